"""What was published reaches every follower's server, signed, in order, and as often as it takes."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import pytest
from fake_peer import FakePeer, Person
from http_signing import CAVAGE, RFC9421, Signer, rsa_key
from lab import CAFE, INBOX, Lab
from sqlalchemy import text

from bridge.deliver.deliverer import Deliverer
from bridge.deliver.retry import PAUSES
from bridge.model import Answered, DeliveryState, Scheme
from bridge.store import deliveries, delivery_reports, outgoing, peers

PENDING, DELIVERED, DROPPED = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DROPPED


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def follower_on(lab: Lab, name: str = "mastodon.example") -> Person:
    """Let someone on a server of their own follow, and forget the Accept."""
    person = lab.peer(name).person()
    lab.follow(person)
    person.peer.received.clear()
    person.peer.knocks.clear()
    return person


def deliver_when_due(lab: Lab, *, until: datetime | None = None) -> None:
    """Let time pass from one attempt to the next until nothing waits any more, or `until`."""
    for _ in range(60):
        lab.deliver()
        with lab.store.read() as tx:
            due = delivery_reports.next_due(tx)
        if due is None or (until and due > until):
            return
        lab.clock.tick(max(due - lab.clock.now(), timedelta()))
    raise AssertionError("still waiting after sixty attempts")


# ── on its way ────────────────────────────────────────────────────────────────────────────────────


def test_a_post_arrives_signed_by_its_site(lab: Lab) -> None:
    alice = follower_on(lab)
    post = lab.publish("Fresh buns", "From eight")
    assert lab.deliver() == 1
    (create,) = alice.peer.received
    assert create.signer == Signer(f"{CAFE}#main-key", CAVAGE)
    assert (create.type, create.activity["actor"]) == ("Create", CAFE)
    assert create.activity["object"]["id"] == lab.uri(post)
    assert "Fresh buns" in create.activity["object"]["content"]
    assert create.activity["cc"] == [f"{CAFE}/followers"]
    assert [(d.state, d.status, d.attempts) for d in lab.deliveries()][-1] == (DELIVERED, 202, 1)


def test_everyone_on_a_server_shares_one_delivery(lab: Lab) -> None:
    peer = lab.peer()
    for user in ("alice", "bob", "carol"):
        lab.follow(peer.person(user))
    peer.received.clear()
    lab.publish()
    lab.deliver()
    assert [(one.type, one.path) for one in peer.received] == [("Create", "/inbox")]


def test_a_server_that_speaks_only_rfc_9421_is_knocked_at_twice_and_remembered(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.speaks = {RFC9421}
    lab.publish("First")
    lab.deliver()
    assert [one.signer.scheme for one in alice.peer.received] == [RFC9421]
    assert len(alice.peer.knocks) == 2
    lab.publish("Second")
    lab.deliver()
    assert len(alice.peer.received) == 2
    assert len(alice.peer.knocks) == 3


def test_a_server_that_went_back_to_cavage_is_relearned(lab: Lab) -> None:
    alice = follower_on(lab)
    for speaks, knocks in (({RFC9421}, 2), ({CAVAGE}, 4), ({CAVAGE}, 5)):
        alice.peer.speaks = speaks
        lab.publish(f"Heard after {knocks} knocks")
        lab.deliver()
        assert len(alice.peer.knocks) == knocks
    assert len(alice.peer.received) == 3
    with lab.store.read() as tx:
        assert peers.known(tx, [alice.peer.netloc])[alice.peer.netloc].scheme is Scheme.CAVAGE


def test_a_scheme_is_remembered_for_a_week_and_learned_anew_after_it(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.speaks = {RFC9421}
    for days, knocks in ((0, 2), (6, 3), (8, 5), (6, 6)):
        lab.wait(days=days)
        lab.publish(f"Heard after {knocks} knocks")
        lab.deliver()
        assert len(alice.peer.knocks) == knocks


class Threads:
    """Answers `status` to signatures it does not like, and takes RFC 9421."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.knocks: list[str] = []

    async def post(self, _url: str, _body: bytes, headers: Mapping[str, str]) -> Answered:
        names = {name.lower() for name in headers}
        self.knocks.append("rfc9421" if "signature-input" in names else "cavage")
        return Answered(202 if "signature-input" in names else self.status)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    ("host", "knocks"),
    [
        ("threads.net", ["cavage", "rfc9421"]),
        ("www.threads.com", ["cavage", "rfc9421"]),
        ("mastodon.example", ["cavage"]),
    ],
)
def test_threads_hides_that_it_refuses_a_signature(
    lab: Lab, host: str, knocks: list[str], status: int
) -> None:
    person, server = lab.peer().person(), Threads(status)
    lab.follow(person)
    lab.publish()
    with lab.store.write() as tx:
        tx.execute(text("UPDATE deliveries SET host = :host"), {"host": host})
    lab.run(Deliverer(lab.services, server).drain(lab.stop))  # type: ignore[arg-type]
    assert server.knocks == knocks
    assert (lab.deliveries()[-1].state is DELIVERED) == (len(knocks) == 2)


def test_a_server_that_speaks_only_cavage_hears_nothing_else(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.speaks = {CAVAGE}
    lab.publish()
    lab.deliver()
    assert len(alice.peer.knocks) == 1
    assert alice.peer.refused == []


def test_nothing_overtakes_the_accept(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.poll()
    alice.send(alice.follow(CAFE), INBOX)
    lab.receive()
    lab.publish()
    lab.deliver()
    assert alice.peer.types == ["Accept", "Create"]


def test_an_edit_waits_for_the_post_it_edits(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.next_statuses.append(500)
    alice.peer.retry_after = "1200"
    lab.publish(text="Tpyo")
    lab.deliver()
    lab.edit("Typo")
    assert [d.type for d in lab.deliveries(PENDING)] == ["Create", "Update"]
    assert lab.deliver() == 0
    lab.wait(minutes=20)
    lab.deliver()
    assert alice.peer.types == ["Create", "Update"]
    create, update = (one.activity["object"] for one in alice.peer.received)
    assert "Tpyo" in create["content"]
    assert "Typo" in update["content"]


def test_an_edit_before_the_first_attempt_needs_no_update(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish(text="Tpyo")
    lab.edit("Typo")
    lab.deliver()
    assert alice.peer.types == ["Create"]
    assert "Typo" in alice.peer.received[0].activity["object"]["content"]


def test_the_same_bytes_are_sent_every_time(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish()
    lab.send_deliveries()
    lab.wait(minutes=2)
    lab.start_worker()
    lab.deliver()
    first, second = alice.peer.received
    assert first.body == second.body
    assert [d.state for d in lab.deliveries() if d.type == "Create"] == [DELIVERED]


# ── servers in trouble ────────────────────────────────────────────────────────────────────────────


def test_a_server_that_was_down_for_71_hours_gets_everything(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.go_down()
    began = lab.clock.now()
    for number in range(3):
        lab.publish(f"Post {number}")
        lab.wait(hours=1)
    deliver_when_due(lab, until=began + timedelta(hours=71))
    lab.clock.tick(began + timedelta(hours=71) - lab.clock.now())
    alice.peer.come_back()
    deliver_when_due(lab)
    assert sorted(alice.peer.types) == ["Create"] * 3
    assert {d.state for d in lab.deliveries()} == {DELIVERED}
    assert lab.clock.now() - began < timedelta(hours=84)


def test_a_server_that_stays_down_is_given_up_and_its_followers_kept(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.go_down()
    lab.publish()
    began = lab.clock.now()
    deliver_when_due(lab)
    (dropped,) = lab.deliveries(DROPPED)
    assert dropped.attempts == len(PAUSES) + 1
    assert dropped.reason == f"connection refused; given up after {len(PAUSES) + 1} attempts"
    assert timedelta(hours=82) < lab.clock.now() - began < timedelta(hours=100)
    assert lab.follower_ids() == {alice.id}


def test_a_given_up_delivery_can_be_sent_again(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status = 400
    post = lab.publish()
    lab.deliver()
    assert [d.state for d in lab.deliveries(object_uri=lab.uri(post))] == [DROPPED]
    alice.peer.inbox_status = 202
    with lab.store.write() as tx:
        assert outgoing.retry(tx, object_uri=lab.uri(post), now=lab.clock.now()) == 1
    lab.deliver()
    assert alice.peer.types == ["Create"]


@pytest.mark.parametrize("retry_after", ["7200", "Sun, 01 Mar 2026 14:00:00 GMT"], ids=["seconds", "date"])
def test_a_server_may_say_when_to_come_back(lab: Lab, retry_after: str) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status, alice.peer.retry_after = 503, retry_after
    lab.publish()
    lab.deliver()
    (waiting,) = lab.deliveries(PENDING)
    assert waiting.due_at == lab.clock.now() + timedelta(hours=2)
    assert waiting.reason == "503: not now"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again_in_a_minute(lab: Lab, status: int) -> None:
    alice = follower_on(lab)
    alice.peer.next_statuses.append(status)
    lab.publish()
    lab.deliver()
    assert alice.peer.received == []
    lab.wait(seconds=59)
    assert lab.deliver() == 0
    lab.wait(seconds=15)
    lab.deliver()
    assert alice.peer.types == ["Create"]


@pytest.mark.parametrize("status", [400, 405, 406, 413, 422, 501])
def test_a_server_that_says_no_is_not_asked_again(lab: Lab, status: int) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status = status
    lab.publish()
    lab.deliver()
    (dropped,) = lab.deliveries(DROPPED)
    assert dropped.status == status
    assert dropped.reason.startswith(f"{status}: ")
    assert lab.follower_ids() == {alice.id}


def test_a_server_that_rejects_our_signature_is_tried_four_times_in_a_day(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.suspicious = True
    lab.publish()
    began = lab.clock.now()
    deliver_when_due(lab)
    (dropped,) = lab.deliveries(DROPPED)
    assert dropped.attempts == 4
    assert "rejects our signature" in dropped.reason
    assert timedelta(hours=23) < lab.clock.now() - began < timedelta(hours=30)
    assert len(alice.peer.knocks) == 8


def test_a_failing_server_is_left_alone_for_a_while_and_others_are_not(lab: Lab) -> None:
    alice, bob = follower_on(lab), follower_on(lab, "other.example")
    alice.peer.inbox_status = 500
    for number in range(5):
        lab.publish(f"Post {number}")
        lab.deliver()
    assert len(alice.peer.knocks) == 5
    lab.publish("Behind the breaker")
    lab.deliver()
    assert len(alice.peer.knocks) == 5
    assert len(bob.peer.received) == 6
    alice.peer.inbox_status = 202
    lab.wait(minutes=3)
    lab.deliver()
    assert len(alice.peer.received) == 6


def test_a_server_that_answers_again_gets_at_once_what_waited_for_hours(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.go_down()
    for number in range(8):
        lab.publish(f"Post {number}")
        deliver_when_due(lab, until=lab.clock.now() + timedelta(hours=2))
    alice.peer.come_back()
    with lab.store.read() as tx:
        due = delivery_reports.next_due(tx)
    assert due is not None
    lab.clock.tick(due - lab.clock.now())
    lab.deliver()
    assert len(alice.peer.received) == 8


def test_thirty_hanging_servers_in_a_hundred_delay_nobody_else(make_services, clock) -> None:
    with Lab(make_services, clock, size=102) as lab:
        crowd = [lab.peer(f"peer{number}.example") for number in range(100)]
        for peer in crowd:
            peer.person().send(peer.people["alice"].follow(CAFE), INBOX)
        lab.work()
        assert len(lab.followers()) == 100

        def everyone_has(count: int, peers: list[FakePeer]) -> Callable[[], bool]:
            return lambda: all(peer.types.count("Create") == count for peer in peers)

        lab.publish("Everyone is well")
        all_well = lab.deliver_until(everyone_has(1, crowd))
        for peer in crowd[::3][:30]:
            peer.hangs = True
        healthy = [peer for peer in crowd if not peer.hangs]
        lab.publish("Some hang")
        some_hang = lab.deliver_until(everyone_has(2, healthy))
        assert len(healthy) == 70
        assert everyone_has(2, healthy)()
        assert some_hang < 1.5 * all_well + 0.5
        # What was under way when the worker was stopped waits for the next one.
        assert len(lab.deliveries(PENDING)) == 30


# ── followers that are gone ───────────────────────────────────────────────────────────────────────


def test_an_inbox_that_is_gone_ends_the_follow_of_an_actor_who_is(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status, alice.status = 410, 410
    lab.publish()
    lab.work()
    assert [d.reason for d in lab.deliveries(DROPPED)] == ["410: the inbox is gone for good"]
    assert lab.followers() == []


def test_an_inbox_that_is_gone_by_mistake_costs_no_follower(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status = 410
    lab.publish()
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_a_shared_inbox_that_is_gone_costs_only_those_who_are(lab: Lab) -> None:
    peer = lab.peer()
    alice, bob = peer.person("alice"), peer.person("bob", rsa_key(1))
    lab.follow(alice)
    lab.follow(bob)
    peer.inbox_status, bob.status = 410, 410
    lab.publish()
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_an_inbox_that_is_missing_is_tried_three_times_over_two_days(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.inbox_status, alice.status = 404, 404
    lab.publish()
    began = lab.clock.now()
    deliver_when_due(lab)
    (dropped,) = lab.deliveries(DROPPED)
    assert dropped.attempts == 3
    assert lab.clock.now() - began > timedelta(hours=48)
    lab.look_at_actors()
    assert lab.follower_ids() == {alice.id}  # servers have bad days: the actor is looked at three times too
    for _ in range(2):
        lab.wait(hours=25)
        lab.look_at_actors()
    assert lab.followers() == []


# ── workers that die or stop ──────────────────────────────────────────────────────────────────────


def worker_dies(lab: Lab, *, sparing: str = "") -> None:
    """Claim what is due as a worker does, for all hosts but one, and let it die there and then."""
    with lab.store.write() as tx:
        for lane in (deliveries.FAST, deliveries.SUSPECT):
            deliveries.claim(tx, 10, lane=lane, busy=[sparing], per_host=2, now=lab.clock.now())
    with lab.store.write() as tx:
        deliveries.recover(tx, now=lab.clock.now())
    lab.start_worker()


def test_what_a_dead_worker_held_is_delivered_by_the_next(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish()
    worker_dies(lab)
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_lease_that_ran_out_is_taken_up_without_any_recovery(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish()
    with lab.store.write() as tx:
        assert deliveries.claim(tx, 10, lane=deliveries.FAST, busy=[], per_host=2, now=lab.clock.now())
    assert lab.deliver() == 0
    lab.wait(seconds=61)
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_delivery_that_kills_five_workers_is_quarantined_and_the_rest_delivered(lab: Lab) -> None:
    alice, bob = follower_on(lab), follower_on(lab, "other.example")
    lab.publish()
    for _ in range(5):
        worker_dies(lab, sparing=bob.peer.netloc)
    lab.deliver()
    assert alice.peer.knocks == []
    (dropped,) = lab.deliveries(DROPPED)
    assert (dropped.host, dropped.reason) == (
        alice.peer.netloc,
        "quarantined: the worker died 5 times while sending this",
    )
    assert bob.peer.types == ["Create"]
    lab.publish("The next one")
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_delivery_that_was_in_bad_company_is_delivered(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish()
    for _ in range(4):
        worker_dies(lab)
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_stop_gives_back_what_is_under_way(lab: Lab) -> None:
    alice, bob = follower_on(lab), follower_on(lab, "other.example")
    alice.peer.hangs = True
    post = lab.publish()
    took = lab.deliver_until(lambda: bool(bob.peer.received and alice.peer.knocks))
    assert took < 5
    (waiting,) = lab.deliveries(PENDING)
    assert (waiting.host, waiting.attempts, waiting.due_at) == (alice.peer.netloc, 0, lab.clock.now())
    alice.peer.hangs = False
    lab.start_worker()
    lab.deliver()
    assert alice.peer.types == bob.peer.types == ["Create"]
    assert {d.state for d in lab.deliveries(object_uri=lab.uri(post))} == {DELIVERED}


def test_after_a_stop_nothing_new_is_begun(lab: Lab) -> None:
    alice = follower_on(lab)
    lab.publish()
    lab.stop.set()
    assert lab.deliver() == 0
    assert alice.peer.knocks == []


def test_no_server_gets_more_than_two_at_a_time(lab: Lab) -> None:
    alice = follower_on(lab)
    for number in range(6):
        lab.publish(f"Post {number}")
    alice.peer.hangs = True
    lab.deliver_until(lambda: len(alice.peer.knocks) >= 3, seconds=0.4)
    assert len(alice.peer.knocks) == 2
