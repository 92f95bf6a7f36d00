"""Our own clock is wrong: it is noticed by what others say, and nobody is given up for it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from lab import Lab

from bridge.cli.inspect import _gather
from bridge.model import Answered, DeliveryState, Fault, Unreachable
from bridge.net.client import Client
from bridge.net.our_clock import ENOUGH, MOST, OtherClocks, said_offset, skew
from bridge.store import inboxes, peers
from bridge.worker.jobs import Worker

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minutes(*numbers: float) -> list[timedelta]:
    return [number * MINUTE for number in numbers]


@pytest.mark.parametrize(
    ("offsets", "ours"),
    [
        ((), None),
        ((37, 37), None),  # two may both be wrong
        ((37, 37, 37), 37),
        ((-37, -37.5, -36.5), -37),
        ((37, 36.8, 37.1, 0), 37),  # and one is wrong himself
        ((37, 37, 37, 0, 0), None),
        ((0, 0, 0.1, 90), None),
        ((1, 1.5, 1.9), None),  # nobody minds
        ((5, 300, -40), None),  # they do not agree
        ((60 * 24 * 400,) * 3, 60 * 24 * 400),
    ],
)
def test_others_are_believed_when_enough_of_them_say_the_same(offsets, ours) -> None:
    assert skew(minutes(*offsets)) == (None if ours is None else ours * MINUTE)


@pytest.mark.parametrize(
    ("headers", "offset"),
    [
        ({"date": "Sun, 01 Mar 2026 12:37:00 GMT"}, 37),
        ({"date": "Sun, 01 Mar 2026 11:00:00 GMT", "age": "3600"}, 0),  # out of a cache
        ({"date": "yesterday"}, None),
        ({"date": "Sun, 01 Mar 2026 12:00:00 GMT", "age": "-1"}, None),
        ({"date": "Sun, 01 Mar 2026 12:00:00 GMT", "age": "9" * 50}, None),
        ({"date": ""}, None),
        ({}, None),
    ],
)
def test_a_date_is_read_as_it_was_when_it_came(headers, offset) -> None:
    assert said_offset(headers, NOW) == (None if offset is None else offset * MINUTE)


def answer(status: int, ahead: float, url: str = "https://a.example/") -> Answered:
    return Answered(status, {"date": format_datetime(NOW + ahead * MINUTE, usegmt=True)}, b"", url)


def test_a_401_is_ours_only_where_the_refusing_server_has_the_others_time() -> None:
    clocks = OtherClocks()
    for number in range(ENOUGH + 3):
        clocks.reconsider(f"{number}.example", answer(202, 37), NOW)
    ours = clocks.reconsider("0.example", answer(401, 37), NOW)
    assert ours == Unreachable(
        "the clock of this machine is 37 minutes behind what 6 servers say", Fault.SHORTAGE
    )
    assert clocks.reconsider("7.example", answer(401, 0), NOW) == answer(401, 0)
    assert clocks.reconsider("0.example", answer(404, 37), NOW) == answer(404, 37)


def test_certificates_that_are_all_expired_are_ours_and_a_few_are_theirs() -> None:
    clocks, expired = OtherClocks(), Unreachable("TLS: certificate expired", Fault.HOST)
    seen = [clocks.reconsider(f"{n}.example", expired, NOW, by_date=True) for n in range(ENOUGH)]
    assert [one.fault for one in seen] == [Fault.HOST] * (ENOUGH - 1) + [Fault.SHORTAGE]
    clocks.reconsider("well.example", replace(answer(202, 0), headers={}), NOW)
    assert clocks.reconsider("0.example", expired, NOW, by_date=True) == expired
    clocks.reconsider("well.example", answer(202, 0, "http://a.example/"), NOW)
    for n in range(9):  # somebody's date is as ours: then it is theirs, however many there are
        assert clocks.reconsider(f"{n}.example", expired, NOW, by_date=True) == expired


def test_what_was_said_long_ago_counts_no_more_and_little_is_remembered() -> None:
    clocks = OtherClocks()
    for number in range(3 * MOST):
        clocks.reconsider(f"{number}.example", answer(202, 37), NOW)
    assert len(clocks._said) == MOST
    assert clocks.sentence(NOW)
    assert clocks.sentence(NOW + timedelta(hours=2)) == ""


# ── deliveries ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def test_a_wrong_clock_is_no_attempt_opens_no_breaker_and_is_shown(lab: Lab, caplog) -> None:
    people = [lab.peer(f"p{number}.example").person() for number in range(4)]
    for one in people:
        lab.follow(one)
    lab.publish()
    clocks = OtherClocks()
    for one in people:
        one.peer.ahead, one.peer.inbox_status = 37 * MINUTE, 401
    lab.run(lab.client.close())

    async def open_client() -> Client:
        return Client("test", lab.network.reach, now=lab.services.now, clocks=clocks)

    lab.client = lab.run(open_client())
    lab.start_worker()
    for _ in range(10):
        lab.deliver()
        lab.wait(minutes=15)
    waiting = lab.deliveries(DeliveryState.PENDING)
    assert len(waiting) == 4
    assert max(one.attempts for one in waiting) <= 1, "the first few, before there were enough to say so"
    with lab.store.read() as tx:
        assert (peers.failing(tx), inboxes.failing(tx)) == ([], [])
    worker = Worker(lab.services, lab.client, lab.stop, clocks=clocks)
    lab.deliver()
    caplog.clear()
    for _ in range(2):
        worker.beat()
    said = "the clock of this machine is 37 minutes behind what 4 servers say"
    assert _gather(lab.services)["clock"] == said
    assert caplog.text.count(said) == 1
    assert {tuple(one.peer.types) for one in people} == {("Accept",)}
    for one in people:
        one.peer.ahead, one.peer.inbox_status = timedelta(), 202
    lab.wait(hours=3)
    lab.deliver()
    worker.beat()
    assert _gather(lab.services)["clock"] == ""
    assert lab.deliveries(DeliveryState.PENDING) == []
