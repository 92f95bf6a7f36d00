"""Whoever comes for the first time, or with a new key, is not turned away for what strangers sent before."""

from collections.abc import Iterator

import pytest
from fake_peer import FakePeer, Person
from http_signing import rsa_key
from lab import CAFE, INBOX, Lab

from bridge.people.budget import FAILURES_OF_PROVEN, FAILURES_PER_HOST, NEW_PER_HOST
from bridge.people.fetch import LIMIT

GARBAGE = rsa_key(3)


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, size=12) as lab:
        yield lab


# ── a newer key ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["Like", "Undo", "Create"])
def test_garbage_before_a_rotation_costs_the_sender_a_retry_and_not_a_refusal(lab: Lab, kind: str) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.wait(hours=2)
    assert alice.send(alice.like(CAFE) | {"type": kind, "object": CAFE}, INBOX, key=GARBAGE) in (202, 401)
    assert alice.send(alice.boost(CAFE), INBOX, key=GARBAGE) == 202
    lab.work()
    asked = len(alice.peer.gets)
    lab.wait(minutes=1)
    alice.key = rsa_key(6)
    undo = alice.undo(alice.follow(CAFE))
    assert alice.send(undo, INBOX) == 503
    for _ in range(8):
        lab.wait(minutes=1)
        assert alice.send(alice.like(CAFE), INBOX, key=GARBAGE) == 503
        lab.work()
    assert len(alice.peer.gets) == asked  # garbage never makes us look more often
    lab.wait(minutes=1)
    assert alice.send(undo, INBOX) == 202
    lab.work()
    assert lab.follower_ids() == set()


def test_what_was_signed_before_we_looked_is_refused_for_good(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    assert alice.send(alice.like(CAFE), INBOX, key=GARBAGE) == 401


# ── a key that was not there yet ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [404, 410])
def test_who_was_named_before_they_existed_is_asked_to_come_again_soon(lab: Lab, status: int) -> None:
    alice = lab.peer().person()
    alice.status = status
    alice.send(alice.like(CAFE), INBOX, key=GARBAGE)
    lab.work()
    alice.status = 200
    lab.wait(seconds=5)
    assert alice.send(alice.follow(CAFE), INBOX) == 503
    lab.wait(seconds=61)
    lab.follow(alice)
    assert lab.follower_ids() == {alice.id}


# ── keys that are never fetched ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "actor",
    [
        "http://evil.example/u",
        "http://localhost:22/u",
        "https://localhost/u",
        "https://evil.example:8443/u",
        "https://10.0.0.1/u",
        "https://[::1]/u",
        "https://127.1/u",
        "https://0x7f.1/u",
        "https://u:p@evil.example/u",
        "https://intranet/u",
        "https://a.localhost/u",
        "ftp://evil.example/u",
        "acct:u@evil.example",
        "did:key:z6Mk",
        CAFE,
        "http://localhost:8000/ap/instance",
    ],
)
@pytest.mark.parametrize("kind", ["Follow", "Like", "Delete"])
def test_a_key_that_we_never_open_is_refused_at_once(lab: Lab, actor: str, kind: str) -> None:
    mallory = lab.peer("evil.example").person()
    said = mallory.follow(CAFE) | {"type": kind, "actor": actor, "id": f"{actor}/1"}
    assert mallory.send(said, INBOX, key_id=f"{actor}#main-key") == 401
    assert lab.arrivals() == []


def test_a_document_that_is_too_large_is_refused_and_not_tried_again(lab: Lab) -> None:
    alice = lab.peer().person(a="x" * LIMIT)
    alice.send(alice.follow(CAFE), INBOX)
    lab.work()
    assert [state for _, state, _ in lab.arrivals()] == ["refused"]


# ── made-up keys of one domain, where everyone looks the same ─────────────────────────────────────


def pour(lab: Lab, peer: FakePeer, numbers: range) -> None:
    for number in numbers:
        stranger = Person(peer, f"no{number}", GARBAGE)
        assert stranger.send(stranger.follow(CAFE), INBOX) == 202


@pytest.mark.parametrize("worked_off", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_made_up_keys_of_a_domain_keep_none_of_its_newcomers_out(
    lab: Lab, known: bool, worked_off: bool
) -> None:
    peer = lab.peer()
    if known:
        lab.follow(peer.person("old", rsa_key(2)))
    pour(lab, peer, range(410))
    if worked_off:
        lab.receive()
    alice = peer.person()
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.receive()
    lab.wait(seconds=61)
    lab.receive()
    assert alice.id in lab.follower_ids()


def test_forty_made_up_keys_a_minute_keep_nobody_out(lab: Lab) -> None:
    peer = lab.peer()
    for minute in range(12):
        pour(lab, peer, range(40 * minute, 40 * minute + 40))
        lab.receive()
        lab.wait(minutes=1)
    alice = peer.person()
    lab.follow(alice)
    assert alice.id in lab.follower_ids()


def test_keys_that_are_not_in_the_document_count_as_failures(lab: Lab) -> None:
    alice = lab.peer().person()
    for number in range(150):
        alice.send(alice.follow(CAFE), INBOX, key=GARBAGE, key_id=f"{alice.id}?q={number}#k")
    lab.receive()
    assert len(alice.peer.gets) <= 2 * (NEW_PER_HOST + FAILURES_OF_PROVEN + 1)


@pytest.mark.parametrize("by", ["redirect", "id"])
def test_what_leads_to_another_host_is_bounded_there(lab: Lab, by: str) -> None:
    alice = lab.peer("victim.example").person()
    for number in range(3):
        evil = lab.peer(f"evil{number}.example")
        for serial in range(NEW_PER_HOST - 10):
            mallory = evil.person(f"m{serial}", GARBAGE)
            if by == "redirect":
                evil.redirects[f"/users/m{serial}"] = f"{alice.id}?q={serial}"
            else:
                mallory.changes = {"id": f"{alice.id}?q={number}.{serial}"}
            mallory.send(mallory.follow(CAFE), INBOX)
        lab.receive()
    assert 0 < len(alice.peer.gets) <= 2 * (NEW_PER_HOST + FAILURES_PER_HOST)
