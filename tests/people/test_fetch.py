"""Other people's keys and actors: found, believed only where they stand, and never asked for too often."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fake_peer import GOTOSOCIAL, MASTODON, Document, FakePeer, Person, Software
from http_signing import CAVAGE, RFC9421, public_pem, rsa_key
from lab import CAFE, INBOX, Lab

from bridge.people.budget import FAILURES_OF_PROVEN, FAILURES_PER_HOST, NEW_PER_HOST, Budget
from bridge.people.fetch import FoundActor, NotNow, NotThere


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def knock(lab: Lab, person: Person, **signed: Any) -> str:
    """Send a Follow and return what became of it: ``done``, ``refused``, ``pending`` or ``401``."""
    if person.send(person.follow(CAFE), INBOX, **signed) == 401:
        return "401"
    lab.receive()
    return lab.arrivals()[-1][1]


# ── finding a key ─────────────────────────────────────────────────────────────────────────────────


def test_a_key_is_fetched_once_and_then_held(lab: Lab) -> None:
    alice = lab.peer().person()
    assert [knock(lab, alice) for _ in range(3)] == ["done"] * 3
    assert alice.peer.gets == ["/users/alice"]


def test_the_fetch_is_signed_by_the_instance_actor(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.peer.secure = True
    assert knock(lab, alice) == "done"
    assert alice.peer.refused == []
    assert list(alice.peer._known_keys) == [f"{lab.ids.instance}#main-key"]


@pytest.mark.parametrize("scheme", [CAVAGE, RFC9421])
def test_a_secure_server_may_understand_only_one_scheme(lab: Lab, scheme: str) -> None:
    alice = lab.peer().person()
    alice.peer.secure, alice.peer.speaks = True, {scheme}
    assert knock(lab, alice) == "done"


def test_a_gotosocial_key_answers_with_a_stub_and_the_actor_is_asked_too(lab: Lab) -> None:
    alice = lab.peer("gts.example", GOTOSOCIAL).person()
    alice.peer.secure = True
    assert alice.key_id.endswith("/alice/main-key")
    assert knock(lab, alice) == "done"
    assert lab.followers()[0].inbox == alice.inbox


def test_a_key_may_be_a_document_of_its_own(lab: Lab) -> None:
    alice = lab.peer(software=Software("other", key_suffix="/publickey")).person()
    alice.peer.documents["/users/alice/publickey"] = alice.public_key | {"type": "CryptographicKey"}
    assert knock(lab, alice) == "done"


# ── believing it ──────────────────────────────────────────────────────────────────────────────────


def test_an_actor_that_does_not_list_the_key_does_not_own_it(lab: Lab) -> None:
    alice = lab.peer(software=Software("other", key_suffix="/publickey")).person()
    forged = alice.public_key | {"publicKeyPem": public_pem(rsa_key(1))}
    alice.peer.documents["/users/alice/publickey"] = forged
    alice.changes = {"publicKey": alice.public_key | {"id": f"{alice.id}#main-key"}}
    assert knock(lab, alice, key=rsa_key(1)) == "refused"


def test_what_the_actor_says_of_its_key_overrides_the_keys_own_document(lab: Lab) -> None:
    alice = lab.peer(software=Software("other", key_suffix="/publickey")).person()
    forged = alice.public_key | {"publicKeyPem": public_pem(rsa_key(1))}
    alice.peer.documents["/users/alice/publickey"] = forged
    assert knock(lab, alice, key=rsa_key(1)) == "refused"
    assert "not made by the key" in lab.arrivals()[-1][2]


def test_a_key_that_belongs_to_someone_else_speaks_for_nobody(lab: Lab) -> None:
    peer = lab.peer()
    alice, victim = peer.person("alice"), peer.person("victim", rsa_key(1))
    alice.changes = {"publicKey": alice.public_key | {"owner": victim.id}}
    assert knock(lab, alice) == "refused"
    assert knock(lab, victim, key=alice.key, key_id=alice.key_id) in ("401", "refused")
    assert lab.followers() == []


def _foreign_id(victim: Person) -> Document:
    return {"id": victim.id, "publicKey": victim.public_key}


def _other_path(victim: Person) -> Document:
    return {"id": f"{victim.peer.url}/users/nobody"}


def _no_id(victim: Person) -> Document:
    return {"id": None}


def _list_of_ids(victim: Person) -> Document:
    return {"id": [victim.id, f"{victim.peer.url}/users/other"]}


@pytest.mark.parametrize("lie", [_foreign_id, _other_path, _no_id, _list_of_ids])
def test_a_document_that_calls_itself_something_else_is_not_believed(lab: Lab, lie: Any) -> None:
    victim = lab.peer("victim.example").person("victim", rsa_key(1))
    mallory = lab.peer("evil.example").person("mallory")
    mallory.changes = lie(victim)
    assert knock(lab, mallory) == "refused"
    assert lab.followers() == []
    assert knock(lab, victim) == "done"  # nothing was stored under the victim's name


def test_a_redirect_leads_to_whose_document_it_is(lab: Lab) -> None:
    alice, mallory = lab.peer().person("alice"), lab.peer("evil.example").person("mallory", rsa_key(1))
    mallory.peer.redirects["/users/mallory"] = alice.id
    assert knock(lab, mallory) == "refused"
    found = lab.run(lab.fetcher.actor(mallory.id))
    assert isinstance(found, FoundActor)
    assert found.actor.id == alice.id


def test_a_redirect_to_a_private_address_is_not_followed(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.peer.redirects["/users/alice"] = "http://127.0.0.1:9/users/alice"
    found = lab.run(lab.fetcher.actor(alice.id))
    assert isinstance(found, NotNow)
    assert "redirected astray" in found.why


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/html", "text/html; application/activity+json", "application/ld+json", ""],
)
def test_a_file_that_only_looks_like_an_actor_is_not_believed(lab: Lab, content_type: str) -> None:
    alice = lab.peer().person()
    alice.peer.document_type = content_type
    assert knock(lab, alice) == "refused"


def test_an_actor_may_be_found_under_another_address(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.peer.documents["/@alice"] = alice.document()
    found = lab.run(lab.fetcher.actor(f"{alice.peer.url}/@alice"))
    assert isinstance(found, FoundActor)
    assert found.actor.id == alice.id
    assert found.actor.handle == alice.handle


# ── not asking too often ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "pause"), [(404, {"minutes": 11}), (410, {"hours": 25})])
def test_a_key_that_is_not_there_is_not_asked_for_again_for_a_while(
    lab: Lab, status: int, pause: dict[str, float]
) -> None:
    alice = lab.peer().person()
    alice.status = status
    knock(lab, alice)
    assert [knock(lab, alice) for _ in range(5)] == ["401"] * 5
    assert len(alice.peer.gets) == 1
    lab.wait(**pause)
    alice.status = 200
    assert knock(lab, alice) == "done"


def test_a_rotated_key_is_fetched_once_and_then_believed(lab: Lab) -> None:
    alice = lab.peer().person()
    knock(lab, alice)
    lab.wait(hours=1)
    alice.key = rsa_key(1)
    assert [knock(lab, alice) for _ in range(3)] == ["done"] * 3
    assert len(alice.peer.gets) == 2


def test_bad_signatures_lead_to_one_fetch_in_ten_minutes(lab: Lab) -> None:
    alice = lab.peer().person()
    knock(lab, alice)
    lab.wait(minutes=11)
    for _ in range(40):
        alice.send(alice.follow(CAFE), INBOX, key=rsa_key(1))
    lab.receive()
    assert len(alice.peer.gets) == 2
    for _ in range(10):
        assert alice.send(alice.follow(CAFE), INBOX, key=rsa_key(1)) == 401
    lab.wait(minutes=11)
    knock(lab, alice, key=rsa_key(1))
    assert len(alice.peer.gets) == 3


def test_a_flood_of_made_up_keys_makes_us_ask_once_a_second(lab: Lab) -> None:
    peer = lab.peer()
    stranger = Person(peer, "nobody0", rsa_key())
    most = NEW_PER_HOST + FAILURES_PER_HOST
    for number in range(2 * most):
        stranger.user = f"nobody{number}"
        assert stranger.send(stranger.follow(CAFE), INBOX) == 202
    lab.receive()
    assert len(peer.gets) <= most
    lab.wait(minutes=1, seconds=1)
    lab.receive()
    assert len(peer.gets) <= 2 * most


def test_a_flood_from_one_server_does_not_keep_others_out(lab: Lab) -> None:
    evil, alice = lab.peer("evil.example"), lab.peer().person()
    stranger = Person(evil, "nobody", rsa_key())
    for number in range(50):
        stranger.user = f"nobody{number}"
        stranger.send(stranger.follow(CAFE), INBOX)
    assert knock(lab, alice) == "done"


def test_many_genuine_followers_of_one_server_are_no_flood(lab: Lab) -> None:
    peer = lab.peer()
    people = [peer.person(f"user{number}") for number in range(60)]
    for person in people:
        person.send(person.follow(CAFE), INBOX)
    lab.receive()
    assert len(lab.followers()) == 60


def test_the_same_document_is_fetched_once_at_a_time(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.peer.delay = 0.05

    async def twenty_times() -> list[Any]:
        return await asyncio.gather(*(lab.fetcher.actor(alice.id) for _ in range(20)))

    assert all(isinstance(found, FoundActor) for found in lab.run(twenty_times()))
    assert len(alice.peer.gets) == 1


# ── servers that fail ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [500, 503, 429, 403])
def test_a_server_in_trouble_is_asked_again_later(lab: Lab, status: int) -> None:
    alice = lab.peer().person()
    alice.status = status
    assert knock(lab, alice) == "pending"
    alice.status = 200
    lab.wait(minutes=2)
    lab.receive()
    assert lab.follower_ids() == {alice.id}


def test_a_server_that_is_not_there_is_not_the_same_as_an_actor_that_is_not(lab: Lab) -> None:
    peer = lab.peer(software=MASTODON)
    alice = peer.person()
    missing = f"{peer.url}/users/nobody"
    assert isinstance(lab.run(lab.fetcher.actor(missing)), NotThere)
    peer.go_down()
    assert isinstance(lab.run(lab.fetcher.actor(alice.id)), NotNow)


def test_an_address_we_may_not_open_is_never_dialled(lab: Lab) -> None:
    mallory: FakePeer = lab.peer("evil.example")
    person = mallory.person("mallory")
    for key_id in (
        "http://127.0.0.1:9/k",
        "https://10.0.0.1/k",
        "http://169.254.169.254/latest",
        "https://[::1]/k",
    ):
        found = lab.run(lab.fetcher.key(key_id))
        assert isinstance(found, NotThere | NotNow)
    assert knock(lab, person, key_id="http://127.0.0.1:9/users/mallory#main-key") == "401"


def test_made_up_keys_do_not_shut_out_the_people_of_a_server_that_answered_lately(clock) -> None:
    budget, now = Budget(), clock.now()
    counted = budget.take("genuine.example", now)
    assert counted
    budget.give_back("genuine.example", now, counted)
    for host, most in (("genuine.example", FAILURES_OF_PROVEN), ("unknown.example", FAILURES_PER_HOST)):
        assert [bool(budget.take(host, now)) for _ in range(most + 1)] == [True] * most + [False]
    for number in range(100):
        budget.take(f"h{number}.example", now)
    later = clock.tick(timedelta(seconds=61))
    assert budget.take("genuine.example", later) and budget.take("unknown.example", later)
