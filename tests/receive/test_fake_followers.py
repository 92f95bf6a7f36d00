"""Followers who name other people's inboxes cost a genuine server nothing, and are not served."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fake_peer import GOTOSOCIAL, FakePeer, Person
from http_signing import rsa_key
from lab import CAFE, INBOX, Lab
from rows import actor, add_follower, claim, news, publish, queue

from bridge.model import DeliveryState, Retry
from bridge.receive.admission import review
from bridge.store import deliveries, delivery_reports, followers, inboxes, peers
from bridge.store.followers import NewFollower
from bridge.store.inboxes import MOST_FOREIGN, MOST_UNPROVEN, Inbox

PENDING, DROPPED = DeliveryState.PENDING, DeliveryState.DROPPED
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FAKES = 400


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def genuine(lab: Lab, name: str = "big.example") -> Person:
    person = lab.peer(name).person()
    lab.follow(person)
    person.peer.received.clear()
    person.peer.knocks.clear()
    return person


def plant(lab: Lab, big: FakePeer, address: str, count: int = FAKES) -> None:
    """Have fakes follow already, from before anything was checked: their inboxes are on another's host."""
    with lab.store.write() as tx:
        for number in range(count):
            fake = actor(f"fake{number}", "evil.example", shared=False)
            inbox = address.format(big=big.netloc, number=number)
            object.__setattr__(fake, "inbox", inbox)
            new = NewFollower("cafe", fake, big.netloc, followers.ACCEPTED, None)
            followers.save(tx, new, now=lab.clock.now())


REFUSED_BY_US = ["http://big.example/{number}", "https://big.example:8443/{number}", "https://10.0.0.1/{number}",
                 "https://intranet/{number}"]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED_BY_US)
def test_inboxes_that_our_rules_refuse_are_no_failure_of_a_host(lab: Lab, address: str) -> None:
    alice = genuine(lab)
    plant(lab, alice.peer, address)
    with lab.store.write() as tx:
        assert review(tx, lab.services, now=lab.clock.now()) == FAKES
        queue(tx, address.format(number=1), now=lab.clock.now())  # from before they were looked at
    lab.publish()
    lab.deliver()
    assert alice.peer.types == ["Create"]
    (dropped,) = lab.deliveries(DROPPED)
    assert dropped.attempts == 1
    assert len(alice.peer.knocks) == 1
    with lab.store.read() as tx:
        assert peers.failing(tx) == []


@pytest.mark.parametrize("status", [503, 500, 429])
def test_an_address_that_fails_is_no_failure_of_its_host(lab: Lab, status: int) -> None:
    alice = genuine(lab)
    plant(lab, alice.peer, "http://{big}/fakes/{number}", count=12)
    alice.peer.paths["/fakes/"] = status
    for number in range(3):
        lab.publish(f"Post {number}")
        lab.deliver()
        assert alice.peer.types == ["Create"] * (number + 1)
        lab.wait(minutes=2)
    with lab.store.read() as tx:
        assert peers.failing(tx) == []


def test_an_address_that_hangs_holds_up_nobody_on_its_host(lab: Lab) -> None:
    alice = genuine(lab)
    plant(lab, alice.peer, "http://{big}/fakes/{number}", count=20)
    alice.peer.paths["/fakes/"] = 503
    lab.publish("The first")
    lab.deliver()
    alice.peer.paths["/fakes/"] = 0
    lab.wait(minutes=2)
    lab.publish("The second")
    lab.deliver_until(lambda: len(alice.peer.received) == 2, seconds=8)
    assert alice.peer.types == ["Create"] * 2


# ── who is let in ────────────────────────────────────────────────────────────────────────────────


def fake(lab: Lab, evil: FakePeer, number: int, inbox: str) -> Person:
    person = evil.person(f"fake{number}", rsa_key(1), inbox=inbox, endpoints={})
    person.send(person.follow(CAFE), INBOX)
    return person


@pytest.mark.parametrize("address", [*REFUSED_BY_US, "https://user@big.example/", "https://localhost/x"])
def test_a_follow_with_an_inbox_that_we_cannot_deliver_to_is_refused(lab: Lab, address: str) -> None:
    fake(lab, lab.peer("evil.example"), 1, address.format(number=1))
    lab.work()
    assert lab.followers() == []
    assert lab.deliveries() == []


def test_a_shared_inbox_that_is_no_use_leaves_the_actors_own(lab: Lab) -> None:
    peer = lab.peer("evil.example")
    person = peer.person("ann", endpoints={"sharedInbox": "https://10.0.0.1/inbox"})
    lab.follow(person)
    assert [(one.inbox, one.shared_inbox) for one in lab.followers()] == [(person.inbox, None)]


def test_four_hundred_fakes_who_never_took_anything_get_nothing_more(lab: Lab) -> None:
    alice = genuine(lab)
    plant(lab, alice.peer, "http://{big}/fakes/{number}")
    with lab.store.write() as tx:
        for number in range(FAKES):
            queue(tx, f"http://{alice.peer.netloc}/fakes/{number}", now=lab.clock.now())
        tx.exec_driver_sql(
            "UPDATE deliveries SET state = 'dropped', last_attempt_at = settled_at, settled_at = NULL"
        )
        tx.exec_driver_sql("UPDATE deliveries SET last_attempt_at = due_at WHERE type = 'Create'")
        assert review(tx, lab.services, now=lab.clock.now()) == FAKES
    lab.publish()
    lab.deliver()
    assert alice.peer.knocks == ["/inbox"]


def test_a_host_that_asked_for_nothing_is_sent_a_few_accepts_and_no_post(lab: Lab) -> None:
    evil, big = lab.peer("evil.example"), lab.peer("big.example")
    big.paths["/"] = 404
    for number in range(MOST_UNPROVEN + 5):
        fake(lab, evil, number, f"{big.url}/users/{number}/inbox")
    lab.work()
    assert len(lab.followers()) == MOST_UNPROVEN
    for number in range(3):
        lab.publish(f"Post {number}")
        lab.deliver()
    assert {one.type for one in lab.deliveries()} == {"Accept"}
    assert len(big.knocks) == MOST_UNPROVEN


def test_an_inbox_elsewhere_that_takes_its_accept_gets_posts(lab: Lab) -> None:
    server, elsewhere = lab.peer("evil.example"), lab.peer("inboxes.example", GOTOSOCIAL)
    home = elsewhere.person("ann")
    person = server.person("ann", inbox=home.inbox, endpoints={"sharedInbox": f"{elsewhere.url}/inbox"})
    elsewhere.paths["/inbox"] = 202
    person.send(person.follow(CAFE), INBOX)
    lab.work()
    lab.publish()
    lab.deliver()
    assert [(one.type, one.state) for one in lab.deliveries()] == [
        ("Accept", DeliveryState.DELIVERED), ("Create", DeliveryState.DELIVERED),
    ]  # fmt: skip


@pytest.mark.parametrize("inbox", ["http://big.example/inbox", "https://10.0.0.1/inbox"])
def test_an_actor_who_names_an_inbox_that_is_no_use_keeps_the_one_that_worked(lab: Lab, inbox: str) -> None:
    alice = genuine(lab)
    alice.changes |= {"inbox": inbox, "endpoints": {}}
    alice.send(alice.update(alice.document()), INBOX)
    lab.work()
    (follower,) = lab.followers()
    assert (follower.inbox, follower.shared_inbox) == (alice.inbox, alice.peer.shared_inbox)


def test_addresses_that_strangers_name_on_a_host_are_bounded(cafe, clock) -> None:
    with cafe.write() as tx:
        for number in range(MOST_FOREIGN + 10):
            inbox = f"https://big.example/{number}"
            if inboxes.admit(tx, inbox, "big.example", now=clock.now()):
                inboxes.took(tx, inbox, now=clock.now())
        known = inboxes.known(tx, [f"https://big.example/{number}" for number in range(MOST_FOREIGN + 10)])
        assert len(known) == MOST_FOREIGN
        assert inboxes.admit(tx, "https://big.example/1", "big.example", now=clock.now())
        assert inboxes.admit(tx, "https://small.example/1", "small.example", now=clock.now())


# ── pauses ───────────────────────────────────────────────────────────────────────────────────────


def failed(reason: str, *, host_down: bool, clock) -> Retry:
    return Retry(clock.now() + HOUR, reason, None if host_down else 500, host_down=host_down)


def test_a_deliverys_own_pause_survives_that_its_host_answers(cafe, clock) -> None:
    with cafe.write() as tx:
        for name in ("own", "down"):
            queue(tx, f"https://one.example/{name}", now=clock.now())
        rows = {row.inbox[-4:].strip("/"): row for row in claim(tx, now=clock.now())}
        decided = [(rows["own"], failed("500: not now", host_down=False, clock=clock)),
                   (rows["down"], failed("connection refused", host_down=True, clock=clock))]  # fmt: skip
        deliveries.settle(tx, decided, now=clock.now())
        deliveries.hold_host(tx, "one.example", clock.now() + 2 * HOUR)
        deliveries.flush_host(tx, "one.example", now=clock.now())
        (due,) = claim(tx, now=clock.now())
        assert due.inbox == "https://one.example/down"
        assert delivery_reports.next_due(tx) < clock.now() + HOUR  # the lease
        assert [row.inbox for row in claim(tx, lane="slow", now=clock.now() + HOUR)] == [
            "https://one.example/own"
        ]


def test_an_inbox_with_errors_of_its_own_uses_its_tries_no_faster(lab: Lab) -> None:
    alice = genuine(lab)
    bob = alice.peer.person("bob", rsa_key(1), endpoints={})
    lab.follow(bob)
    alice.peer.paths["/users/bob"] = 500
    for number in range(12):
        lab.publish(f"Post {number}")
        lab.wait(seconds=3)
        lab.deliver()
    assert alice.peer.types.count("Create") == 12
    first = min((one for one in lab.deliveries(PENDING)), key=lambda one: one.id)
    assert first.attempts == 1
    assert alice.peer.knocks.count("/users/bob/inbox") < 12  # in the end it is left alone


def test_what_only_waited_for_its_inbox_is_sent_when_that_answers(lab: Lab) -> None:
    alice = genuine(lab)
    alice.peer.inbox_status = 503
    for number in range(7):
        lab.publish(f"Post {number}")
        lab.deliver()
    knocks = len(alice.peer.knocks)
    assert knocks == 5
    alice.peer.inbox_status = 202
    lab.wait(minutes=3)
    lab.deliver()
    assert len(alice.peer.received) == 7


def test_a_host_on_which_everything_fails_is_left_alone(lab: Lab) -> None:
    peer = lab.peer(software=GOTOSOCIAL)
    for number in range(6):
        lab.follow(peer.person(f"ann{number}", rsa_key(number % 2)))
    peer.knocks.clear()
    peer.inbox_status = 503
    for number in range(3):
        lab.publish(f"Post {number}")
        lab.deliver()
    assert len(peer.knocks) == 6
    peer.inbox_status = 202
    lab.wait(minutes=5)
    lab.deliver()
    assert peer.types.count("Create") == 18


def test_an_accept_that_is_held_back_holds_nobody_else_back(cafe, clock) -> None:
    with cafe.write() as tx:
        broken = Inbox("https://one.example/x", "one.example", failures=5, open_until=clock.now() + HOUR)
        inboxes.save(tx, broken, now=clock.now())
        queue(tx, broken.inbox, news("Accept", "https://evil.example/x"), now=clock.now())
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(), now=clock.now())
        assert [row.inbox for row in claim(tx, now=clock.now())] == ["https://one.example/inbox"]
