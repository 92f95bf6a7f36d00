"""Nobody is acted upon because of what others say of them: not erased, not shut out, not impersonated."""

import logging
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from fake_peer import GOTOSOCIAL, FakePeer, Person
from http_signing import public_pem, rsa_key
from lab import CAFE, INBOX, SHARED_INBOX, Lab
from rows import actor
from sqlalchemy import text

from bridge.receive.receiver import RECHECK_PAUSE
from bridge.receive.registrar import MISS_PAUSE
from bridge.store import remote


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def settled(lab: Lab, alice: Person) -> Person:
    """Let someone follow, like and reply; and an hour pass, so that what we know of them is stale."""
    lab.follow(alice)
    uri = lab.uri(lab.publish())
    alice.send(alice.like(uri), INBOX)
    alice.send(alice.create(alice.note(uri, "Yum")), INBOX)
    lab.work()
    lab.wait(hours=2)
    return alice


def left(lab: Lab) -> tuple[int, int]:
    return len(lab.followers()), len(lab.interactions())


def forge(lab: Lab, victim: Person, key_id: str, **changes: object) -> int:
    """Send something as a victim, under a key id of the sender's choice, signed with the sender's key."""
    said = victim.delete(victim.id) if "type" not in changes else victim.like(CAFE) | changes
    status = victim.send(said, SHARED_INBOX, key=rsa_key(3), key_id=key_id)
    lab.work()
    return status


# ── a 410 speaks for nobody but who answers it ─────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["Delete", "Follow", "Like", "Undo", "Create", "Move", "Block", "Update"])
def test_a_key_that_is_gone_removes_nobody(lab: Lab, kind: str) -> None:
    alice = settled(lab, lab.peer().person())
    alice.peer.person("mallory", rsa_key(1)).status = 410  # a note mallory deleted would do as well
    forge(lab, alice, f"{alice.peer.url}/users/mallory", type=kind)
    assert left(lab) == (1, 2)


@pytest.mark.parametrize("through", [[], ["/back"]], ids=["redirected", "redirected there and back"])
def test_a_redirect_to_another_server_makes_nobody_gone(lab: Lab, through: list[str]) -> None:
    """An open redirect on the victim's server, or the actor's own id that redirects to another server."""
    alice, evil = settled(lab, lab.peer().person()), lab.peer("evil.example")
    evil.person("gone").status = alice.peer.person("deleted").status = 410
    evil.redirects["/back"] = f"{alice.peer.url}/users/deleted"
    there = evil.url + (through[0] if through else "/users/gone")
    alice.peer.redirects["/out"] = alice.peer.redirects["/users/alice"] = there
    forge(lab, alice, f"{alice.peer.url}/out")
    forge(lab, alice, f"{alice.id}#other-key")
    for _ in range(5):
        lab.wait(hours=25)
        lab.work()
    assert left(lab) == (1, 2)


def test_whose_document_calls_itself_something_that_is_gone_is_not_gone(lab: Lab) -> None:
    alice = settled(lab, lab.peer().person())
    alice.peer.person("old").status = 410
    alice.changes = {"id": f"{alice.peer.url}/users/old"}
    alice.send(alice.update(alice.document() | {"id": alice.id}), INBOX)
    for _ in range(4):
        lab.work()
        lab.wait(hours=25)
    assert left(lab) == (1, 2)


@pytest.mark.parametrize("status", [404, 410])
def test_a_redirect_within_their_server_makes_nobody_gone(lab: Lab, status: int) -> None:
    """A server that shuts itself off sends everyone to its login, which may be missing."""
    alice = settled(lab, lab.peer().person())
    alice.peer.person("login").status = status
    alice.peer.redirects["/users/alice"] = f"{alice.peer.url}/users/login"
    for _ in range(5):
        forge(lab, alice, alice.key_id)
        forge(lab, alice, f"{alice.id}#other-key")
        lab.wait(hours=25)
        lab.work()
    assert left(lab) == (1, 2)


def test_a_page_instead_of_an_actor_makes_nobody_gone(lab: Lab) -> None:
    alice = settled(lab, lab.peer().person())
    alice.peer.document_type = "text/html"
    alice.send(alice.update(alice.document()), INBOX)
    for _ in range(5):
        lab.work()
        lab.wait(hours=25)
    assert left(lab) == (1, 2)


def test_who_is_really_gone_is_erased_whoever_pointed_there_and_it_is_logged(lab: Lab, caplog) -> None:
    alice = settled(lab, lab.peer().person())
    alice.status = 410
    caplog.set_level(logging.WARNING)
    forge(lab, alice, f"{alice.peer.url}/users/nobody", type="Like")  # 404: a hint to look at alice
    assert left(lab) == (0, 0)
    assert [alice.handle in line or alice.id in line for line in caplog.messages] == [True]


def test_misses_count_only_with_a_day_between_them(lab: Lab) -> None:
    """Neither strangers nor a lively blog may turn a server's bad hour into three 404s over two days."""
    alice = settled(lab, lab.peer().person())
    alice.status = 404
    for number in range(6):
        forge(lab, alice, f"{alice.peer.url}/users/nobody{number}", type="Like")
        lab.publish(f"Post {number}")
        lab.work()
        lab.wait(minutes=70)
    assert lab.follower_ids() == {alice.id}
    lab.wait(hours=25)
    alice.status = 200
    lab.work()
    assert left(lab) == (1, 2)


def test_strangers_make_us_look_at_someone_once_an_hour_at_most(lab: Lab) -> None:
    alice = settled(lab, lab.peer().person())
    for number in range(30):
        forge(lab, alice, f"{alice.peer.url}/keys/{number}", type="Like")
        lab.wait(seconds=90)
    assert alice.peer.gets.count("/users/alice") <= 2 + 1  # the first time included


def test_a_look_that_is_owed_is_not_put_off_by_a_strangers_word(store, clock) -> None:
    alice = actor("alice")
    with store.write() as tx:
        remote.save_actor(tx, alice, "one.example", now=clock.now())
        remote.owe(tx, alice.id, "changed", due_at=clock.now())
        remote.suspect(tx, alice.id, pause=RECHECK_PAUSE, now=clock.now())
        assert [one.why for one in remote.claim_errands(tx, 9, now=clock.now())] == ["changed"]


def test_whoever_was_missing_is_not_looked_at_before_their_time(store, clock) -> None:
    alice = actor("alice")
    with store.write() as tx:
        remote.save_actor(tx, alice, "one.example", now=clock.now())
        remote.owe(tx, alice.id, "gone", due_at=clock.now())
        assert len(remote.claim_errands(tx, 9, now=clock.now())) == 1
        remote.postpone(tx, alice.id, due_at=clock.now() + MISS_PAUSE, missed=True)
        remote.owe(tx, alice.id, "gone", due_at=clock.now())
        assert remote.claim_errands(tx, 9, now=clock.now()) == []
        assert [one.misses for one in remote.claim_errands(tx, 9, now=clock.tick(MISS_PAUSE))] == [1]


def test_nobody_is_looked_at_whom_we_do_not_know(lab: Lab) -> None:
    alice = lab.peer().person()
    forge(lab, alice, f"{alice.peer.url}/users/nobody", type="Like")
    assert alice.peer.gets == ["/users/nobody"]


# ── whose key it is ───────────────────────────────────────────────────────────────────────────────


def claims_the_key_of(mallory: Person, victim: Person, pem: str | None = None) -> None:
    """Let a document list the key of a neighbour as its own, embedded and as a multikey."""
    stolen = {"id": victim.key_id, "owner": mallory.id, "controller": mallory.id, "type": "Multikey"}
    stolen |= {"publicKeyPem": pem or public_pem(mallory.key)}
    mallory.changes = {"publicKey": [mallory.public_key, stolen], "assertionMethod": [stolen]}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("software", [None, GOTOSOCIAL], ids=["fragment", "own URL"])
def test_a_neighbour_cannot_claim_a_key_by_listing_it(lab: Lab, order: str, software) -> None:
    peer = lab.peer(**({"software": software} if software else {}))
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    claims_the_key_of(mallory, alice)
    if order == "after":
        lab.follow(alice)
    mallory.send(mallory.follow(CAFE), INBOX)
    mallory.send(mallory.update(mallory.document()), INBOX)  # a look at the actor saves keys, too
    lab.work()
    lab.wait(hours=1)
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.work()
    assert {alice.id, mallory.id} == lab.follower_ids()
    assert {state for _, state, _ in lab.arrivals()} == {"done"}
    assert mallory.send(mallory.like(CAFE), INBOX, key_id=alice.key_id) in (202, 401)
    lab.work()
    with lab.store.read() as tx:
        assert remote.key(tx, alice.key_id).actor_id == alice.id


def test_a_key_whose_owner_and_controller_differ_belongs_to_nobody(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    mallory.changes = {"publicKey": mallory.public_key | {"controller": alice.id}}
    mallory.send(mallory.follow(CAFE), INBOX)
    lab.work()
    assert lab.followers() == []


def test_a_key_booked_on_a_neighbour_by_an_older_version_is_set_right(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    lab.follow(alice)
    with lab.store.write() as tx:
        pem = public_pem(mallory.key)
        tx.execute(
            text("UPDATE remote_keys SET actor_id = :who, pem = :pem"), {"who": mallory.id, "pem": pem}
        )
    lab.wait(hours=1)
    assert alice.send(alice.like(lab.uri(lab.publish())), INBOX) == 202
    lab.work()
    assert [one["actor_id"] for one in lab.interactions()] == [alice.id]


# ── no key, for now or for ever ───────────────────────────────────────────────────────────────────


def test_a_key_we_hold_outlives_its_servers_bad_hour(lab: Lab) -> None:
    alice = settled(lab, lab.peer().person())
    for trouble in ("404", "page", "redirect"):
        alice.status = 404 if trouble == "404" else 200
        alice.peer.document_type = "text/html" if trouble == "page" else "application/activity+json"
        alice.peer.redirects = {"/users/alice": "https://evil.example/x"} if trouble == "redirect" else {}
        forge(lab, alice, alice.key_id, type="Like")  # a bad signature makes us fetch the key again
        alice.send(alice.boost(lab.uri(lab.newest())), INBOX)
        assert lab.receive() == 1, trouble
        assert lab.arrivals()[-1][1] == "done"
        lab.wait(hours=1)


def test_a_key_we_hold_is_given_up_when_its_actor_no_longer_lists_it(lab: Lab) -> None:
    alice = settled(lab, lab.peer().person())
    old = alice.key
    alice.changes = {"publicKey": alice.public_key | {"id": f"{alice.id}#new-key"}}
    forge(lab, alice, alice.key_id, type="Like")
    assert alice.send(alice.like(CAFE), INBOX, key=old) == 401


@pytest.mark.parametrize("trouble", ["page", "garbled", "redirect"])
def test_a_sender_whose_key_we_could_not_get_is_asked_to_come_again(lab: Lab, trouble: str) -> None:
    peer = lab.peer()
    alice = peer.person()
    peer.document_type = "text/html" if trouble == "page" else "application/activity+json"
    if trouble == "redirect":
        peer.redirects["/users/alice"] = lab.peer("evil.example").url + "/nothing"
    if trouble == "garbled":
        peer.documents["/users/alice"] = ["half a document"]  # type: ignore[assignment]
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.work()
    lab.wait(seconds=1)
    assert alice.send(alice.follow(CAFE), INBOX) == 503
    peer.document_type, peer.redirects = "application/activity+json", {}
    peer.documents.clear()
    lab.wait(minutes=11)
    lab.follow(alice)
    assert lab.follower_ids() == {alice.id}


def test_a_sender_without_a_key_is_told_that_the_signature_is_bad(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.status = 404
    alice.send(alice.follow(CAFE), INBOX)
    lab.work()
    assert alice.send(alice.follow(CAFE), INBOX) == 401
    lab.wait(seconds=1)
    assert alice.send(alice.follow(CAFE), INBOX) == 503  # signed after we looked: they may exist by now


def test_epicyon_is_asked_again_for_one_type_alone(lab: Lab) -> None:
    alice = Epicyon(lab.network, "epicyon.example", lab.bridge, lab.services.now).person()
    lab.follow(alice)
    assert lab.follower_ids() == {alice.id}
    assert alice.peer.gets == ["/users/alice"] * 2


class Epicyon(FakePeer):
    """Answers bare JSON-LD unless it is asked for `application/activity+json` and nothing else."""

    def __init__(self, *args) -> None:
        super().__init__(*args, GOTOSOCIAL.__class__("epicyon"))

    def _show(self, request):
        alone = request.headers.get("accept") == "application/activity+json"
        self.document_type = "application/activity+json" if alone else "application/ld+json; charset=utf-8"
        return super()._show(request)


# ── keys we do not take ───────────────────────────────────────────────────────────────────────────


def _pem(key) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


UNUSABLE = {
    "RSA-1024": lambda: _pem(rsa.generate_private_key(65537, 1024)),
    "P-256": lambda: _pem(ec.generate_private_key(ec.SECP256R1())),
    "Ed448": lambda: _pem(ed448.Ed448PrivateKey.generate()),
    "broken": lambda: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    "not ASCII": lambda: "-----BEGIN PUBLIC KEY-----\nÄÖÜ\n-----END PUBLIC KEY-----",
    "empty multibase": lambda: "z",
    "words": lambda: "my key",
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_key_of_a_kind_we_do_not_take_is_a_bad_signature_and_logged_once(lab: Lab, kind, caplog) -> None:
    alice = lab.peer().person()
    alice.changes = {"publicKey": alice.public_key | {"publicKeyPem": UNUSABLE[kind]()}}
    caplog.set_level(logging.INFO)
    statuses = []
    for minutes in (1, 1, 11, 1, 11):
        statuses.append(alice.send(alice.follow(CAFE), INBOX))
        lab.work()
        lab.wait(minutes=minutes)
    assert statuses == [202, 401, 401, 202, 401]
    assert len([line for line in caplog.messages if alice.key_id in line]) == 1
    assert not any(record.exc_info for record in caplog.records)
    assert lab.followers() == []


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_key_that_was_stored_before_anyone_looked_at_it_is_a_bad_signature(lab: Lab, kind, caplog) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    with lab.store.write() as tx:
        tx.execute(text("UPDATE remote_keys SET pem = :pem"), {"pem": UNUSABLE[kind]()})
    lab.wait(seconds=1)
    assert alice.send(alice.follow(CAFE), INBOX) == 401
    assert not any(record.exc_info for record in caplog.records)
    lab.wait(minutes=11)  # then we look for the key, and find a good one
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.work()
    assert lab.arrivals()[-1][1] == "done"
