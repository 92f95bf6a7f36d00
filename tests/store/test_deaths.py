"""A delivery is given up for a worker's death only if nothing else can have been the reason."""

import logging
from datetime import timedelta

import pytest
from databases import opened
from rows import claim, news, queue

from bridge.model import DeliveryState, Drop, Retry
from bridge.store import deliveries, delivery_reports, leases, sources

PENDING, DROPPED = DeliveryState.PENDING, DeliveryState.DROPPED


def restart(cafe, clock, *, recovering: bool) -> None:
    """A worker begins after another died: SQLite's knows that it is alone, PostgreSQL's waits for leases."""
    if not recovering:
        clock.tick(leases.LEASE)
        return
    with cafe.write() as tx:
        deliveries.recover(tx, now=clock.now())
        sources.recover(tx, now=clock.now())


def claim_all(tx, clock) -> list:
    return [row for lane in deliveries.LANES for row in claim(tx, lane=lane, now=clock.now())]


@pytest.mark.parametrize("recovering", [True, False], ids=["restarted", "lease ran out"])
@pytest.mark.parametrize("company", ["another delivery", "a poll"])
def test_what_died_in_company_is_never_given_up_and_no_attempt_is_counted(
    cafe, clock, database, recovering: bool, company: str
) -> None:
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        if company == "another delivery":
            queue(tx, "https://two.example/inbox", now=clock.now())
        sources.make_due(tx, now=clock.now())
    for _ in range(20):
        with opened(database) as dying, dying.write() as tx:
            if company == "a poll":
                assert sources.claim_due(tx, 1, now=clock.now())
            claim_all(tx, clock)
        restart(cafe, clock, recovering=recovering)
    with cafe.write() as tx:
        claimed = claim_all(tx, clock)
        assert [(row.losses, row.attempts) for row in claimed] == [(0, 1)] * len(claimed) != []
        assert delivery_reports.report(tx, state=DROPPED) == []


def test_what_keeps_dying_in_company_is_sent_alone(cafe, clock) -> None:
    with cafe.write() as tx:
        for host in ("one", "two"):
            queue(tx, f"https://{host}.example/inbox", now=clock.now())
        for _ in range(3):
            assert len(claim(tx, now=clock.now())) == 2
            clock.tick(leases.LEASE)
        assert claim(tx, now=clock.now()) == []
        assert len(claim(tx, 1, lane="suspect", now=clock.now())) == 1


def test_an_attempt_that_ended_clears_what_died_in_company(cafe, clock) -> None:
    with cafe.write() as tx:
        for host in ("one", "two"):
            queue(tx, f"https://{host}.example/inbox", now=clock.now())
        for _ in range(3):
            claim(tx, now=clock.now())
            clock.tick(leases.LEASE)
        claim(tx, now=clock.now())
        rows = claim(tx, 1, lane="suspect", now=clock.now())
        deliveries.settle(tx, [(row, Retry(clock.now(), "503: not now")) for row in rows], now=clock.now())
        assert [row.id for row in claim(tx, lane="slow", now=clock.now())] == [row.id for row in rows]


def test_what_kills_every_worker_alone_is_given_up_logged_and_shown(cafe, clock, caplog) -> None:
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", news(), now=clock.now())
        with caplog.at_level(logging.ERROR):
            for _ in range(7):
                claim_all(tx, clock)
                clock.tick(leases.LEASE)
        (shown,) = delivery_reports.quarantined(tx)
    assert "quarantined" in shown.reason
    assert "Please report" in caplog.text


def test_nothing_is_quarantined_that_was_refused(cafe, clock) -> None:
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        refused = [(row, Drop("no", 400)) for row in claim(tx, now=clock.now())]
        deliveries.settle(tx, refused, now=clock.now() + timedelta(seconds=1))
        assert delivery_reports.quarantined(tx) == []
