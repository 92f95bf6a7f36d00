"""Every table that strangers can fill has a cap, and nobody who follows pays for it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from http_signing import public_pem
from lab import CAFE, INBOX, Lab
from rows import actor, add_follower, arrival
from sqlalchemy import func, select, text

from bridge.activitypub.keys import load_public_key
from bridge.model import RemoteKey
from bridge.store import Store, caps, inbox, inboxes, interactions, peers, remote, schema
from bridge.store.inboxes import Inbox
from bridge.store.interactions import LIKE, LISTING, QUOTE, NewInteraction
from bridge.store.peers import Peer
from bridge.worker.jobs import Worker

HOUR = timedelta(hours=1)


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def cap_at(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    low = {name: replace(cap, most=most) for name, cap in caps.CAPS.items()}
    monkeypatch.setattr(caps, "CAPS", low)


def test_every_table_is_ours_or_has_a_bound() -> None:
    """A table that is new has to be named in `bridge/store/caps.py`, on one of its lists."""
    lists = [set(caps.CAPS), set(caps.BOUNDED_ELSEWHERE), set(caps.OURS)]
    assert set.union(*lists) == set(schema.metadata.tables)
    assert sum(map(len, lists)) == len(schema.metadata.tables)


def count(tx: Any, name: str) -> int:
    return tx.scalar(select(func.count()).select_from(schema.metadata.tables[name]))


def trim_all(store: Store) -> None:
    for name in caps.CAPS:
        with store.write() as tx:
            caps.trim(tx, name, caps.excess(tx, name))


def test_the_oldest_that_nobody_needs_goes(cafe: Store, clock, monkeypatch) -> None:
    cap_at(monkeypatch, 3)
    with cafe.write() as tx:
        for number in range(8):
            now = clock.tick(HOUR)
            inbox.see(tx, f"https://one.example/{number}", now=now)
            inbox.undo(tx, f"https://two.example/{number}", now=now)
            who = actor(f"junk{number}", f"h{number}.example")
            remote.save_actor(tx, who, f"h{number}.example", now=now)
            remote.save_key(tx, RemoteKey(f"{who.id}#key", who.id, "PEM"), now=now, fresh_for=HOUR)
            remote.save_missing_key(tx, f"{who.id}#x", None, "404", now=now, pause=HOUR)
    trim_all(cafe)
    with cafe.read() as tx:
        assert {name: count(tx, name) for name in ("seen", "undone", "remote_keys", "remote_actors")} == {
            "seen": 3,
            "undone": 3,
            "remote_keys": 3,
            "remote_actors": 3,
        }
        assert not inbox.was_seen(tx, "https://one.example/0")
        assert inbox.was_seen(tx, "https://one.example/7")
        assert remote.actor(tx, actor("junk7", "h7.example").id)


def test_no_follower_goes_and_nothing_of_theirs(cafe: Store, clock, monkeypatch) -> None:
    cap_at(monkeypatch, 2)
    with cafe.write() as tx:
        for number in range(5):
            who = add_follower(tx, f"fan{number}", now=clock.now())
            remote.save_actor(tx, who, "one.example", now=clock.now())
            remote.save_key(tx, RemoteKey(f"{who.id}#key", who.id, "PEM"), now=clock.now(), fresh_for=HOUR)
        clock.tick(HOUR)
        for number in range(5):
            remote.save_missing_key(
                tx, f"https://junk{number}.example/k", None, "404", now=clock.now(), pause=HOUR
            )
    trim_all(cafe)
    with cafe.read() as tx:
        assert (count(tx, "followers"), count(tx, "remote_actors"), count(tx, "remote_keys")) == (5, 5, 7)


def test_what_followers_need_and_what_is_owed_or_promised_does_not_go(cafe, clock, monkeypatch) -> None:
    cap_at(monkeypatch, 0)
    with cafe.write() as tx:
        now = clock.now()
        fan, late = add_follower(tx, "fan", now=now), actor("late", "late.example")
        remote.save_actor(tx, late, "late.example", now=now)
        remote.owe(tx, late.id, "changed", due_at=now)
        for host in ("one.example", "junk.example"):
            peers.save(tx, Peer(host, failures=1, last_failure_at=now))
            inboxes.save(tx, Inbox(f"https://{host}/inbox", host, failures=1), now=now)
        for kind in (LIKE, QUOTE, LISTING):
            said = NewInteraction("cafe", None, kind, fan.id, f"{fan.id}/{kind}", None, public=True)
            interactions.save(tx, said, now=now)
    trim_all(cafe)
    with cafe.read() as tx:
        assert remote.actor(tx, late.id)
        assert list(peers.known(tx, ["one.example", "junk.example"])) == ["one.example"]
        assert [one.host for one in tx.execute(select(schema.inboxes.c.host))] == ["one.example"]
        assert set(tx.scalars(select(schema.interactions.c.kind))) == {QUOTE, LISTING}


def test_what_waits_to_take_effect_does_not_go(store: Store, clock, monkeypatch) -> None:
    cap_at(monkeypatch, 1)
    with store.write() as tx:
        for number in range(6):
            inbox.store(tx, arrival(number, verified=number % 2 == 0), now=clock.now())
    trim_all(store)
    with store.write() as tx:
        assert inbox.waiting(tx) == 6
        for received in inbox.claim_due(tx, 3, now=clock.now()):
            inbox.done(tx, received.id, now=clock.now())
    trim_all(store)
    with store.read() as tx:
        assert (inbox.waiting(tx), count(tx, "inbox")) == (3, 4)


def test_the_worker_trims_in_small_steps_until_nothing_is_over(lab: Lab, clock, monkeypatch) -> None:
    cap_at(monkeypatch, 3)
    monkeypatch.setattr(caps, "STEP", 2)
    with lab.store.write() as tx:
        for number in range(14):
            inbox.see(tx, f"https://one.example/{number}", now=clock.tick(HOUR))
    Worker(lab.services, lab.client, lab.stop)._keep_within_bounds()
    with lab.store.read() as tx:
        assert count(tx, "seen") == 3


def test_a_post_keeps_so_many_replies_and_of_one_server_fewer(lab: Lab, monkeypatch) -> None:
    monkeypatch.setattr(caps, "MAX_REPLIES", 5)
    monkeypatch.setattr(caps, "MAX_REPLIES_OF_HOST", 3)
    post = lab.uri(lab.publish())
    one, two = lab.peer("one.example").person(), lab.peer("two.example").person()
    for who in (one, two):
        for number in range(4):
            assert who.send(who.create(who.note(post, f"Reply {number}")), INBOX) == 202
            lab.work()
    written = [row["actor_id"] for row in lab.interactions()]
    assert (written.count(one.id), written.count(two.id)) == (3, 2)


def test_when_too_much_that_is_verified_waits_senders_come_again(lab: Lab, monkeypatch) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    monkeypatch.setattr(caps, "MAX_WAITING", 2)
    sent = [alice.send(alice.block(f"{CAFE}x{number}"), INBOX) for number in range(3)]
    assert sent == [202, 202, 503]
    lab.work()
    assert alice.send(alice.block(CAFE), INBOX) == 202


def test_of_a_document_full_of_keys_the_one_that_signed_is_kept_as_we_write_it(lab: Lab) -> None:
    alice = lab.peer().person()
    pem = public_pem(alice.key)
    padded = pem + "\n" * 8_000
    junk = [{"id": f"{alice.id}#k{n}", "owner": alice.id, "publicKeyPem": "x" * 16_000} for n in range(7)]
    alice.changes = {"publicKey": [{**alice.public_key, "publicKeyPem": padded}, *junk]}
    lab.follow(alice)
    with lab.store.read() as tx:
        ((key_id, stored),) = tx.execute(text("SELECT id, pem FROM remote_keys")).all()
    assert key_id == alice.key_id
    assert len(stored) < 1_000
    assert load_public_key(stored) == load_public_key(pem)
