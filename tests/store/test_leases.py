"""Leases are renewed while their worker lives, and a worker that lost one settles nothing."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from databases import opened
from rows import actor, add_site, arrival, claim, queue, source_of

from bridge.model import Retry
from bridge.pump.engine import RENEWAL
from bridge.store import Store, Tx, deliveries, inbox, remote, sources, subscriptions
from bridge.store.leases import LEASE
from bridge.store.sources import SourceForUpdate

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True)
class Leased:
    """A table with leases: how a row of it is made, claimed, renewed and settled for an hour."""

    make: Callable[..., object]
    claim: Callable[..., list[Any]]
    key: Callable[[Any], Any]
    renew: Callable[..., int]
    settle: Callable[..., object]
    recover: Callable[..., int]


def make_delivery(tx, now):
    queue(tx, "https://one.example/inbox", now=now)


def claim_delivery(tx, now):
    return [row for lane in deliveries.LANES for row in claim(tx, lane=lane, now=now)]


def settle_delivery(tx, row, now):
    deliveries.settle(tx, [(row, Retry(now + HOUR, "503", 503))], now=now)


def make_errand(tx, now):
    remote.save_actor(tx, actor("ann"), "one.example", now=now)
    remote.owe(tx, actor("ann").id, "changed", due_at=now)


def make_subscription(tx, now):
    subscriptions.advertise(tx, source_of(tx), ("https://hub.example/", "t"), now=now)


def claim_source(tx, now):
    found = sources.claim_due(tx, 9, now=now)
    return [source for source in found if source.site == "cafe"]


def settle_source(tx, source, now):
    if not sources.is_taken(tx, source.id):
        sources.settle(tx, source.id, SourceForUpdate(now + HOUR, HOUR, 0), now=now)


TABLES = {
    "deliveries": Leased(
        make_delivery, claim_delivery, lambda row: row.id, deliveries.renew, settle_delivery,
        deliveries.recover,
    ),
    "inbox": Leased(
        lambda tx, now: inbox.store(tx, arrival(), now=now),
        lambda tx, now: inbox.claim_due(tx, 9, now=now),
        lambda row: row.id,
        inbox.renew,
        lambda tx, row, now: inbox.later(tx, row.id, "busy", due_at=now + HOUR),
        inbox.recover,
    ),
    "errands": Leased(
        make_errand,
        lambda tx, now: remote.claim_errands(tx, 9, now=now),
        lambda errand: errand.actor.id,
        remote.renew_errands,
        lambda tx, one, now: remote.postpone(tx, one.actor.id, due_at=now + HOUR, missed=True),
        remote.recover_errands,
    ),
    "sources": Leased(
        lambda tx, now: None, claim_source, lambda row: row.id, sources.renew, settle_source, sources.recover
    ),
    "subscriptions": Leased(
        make_subscription,
        lambda tx, now: subscriptions.claim_due(tx, 9, now=now),
        lambda row: row.source_id,
        subscriptions.renew,
        lambda tx, row, now: subscriptions.settle(tx, row, "denied", now + HOUR, "no"),
        subscriptions.recover,
    ),
}  # fmt: skip


@dataclass
class Worker:
    """One worker process, as far as the database sees it: a store of its own."""

    store: Store
    table: Leased

    def claim(self, now) -> list[Any]:
        with self.store.write() as tx:
            return self.table.claim(tx, now=now)

    def renew(self, rows: Collection[Any], now) -> int:
        with self.store.write() as tx:
            return self.table.renew(tx, [self.table.key(row) for row in rows], now=now)

    def settle(self, row, now) -> None:
        with self.store.write() as tx:
            self.table.settle(tx, row, now)


@pytest.fixture(params=TABLES)
def table(request) -> Leased:
    return TABLES[request.param]


@pytest.fixture
def workers(cafe: Store, database: str, clock, table: Leased) -> Iterator[tuple[Worker, Worker]]:
    """Two workers on one database, in which one row is due."""
    with cafe.write() as tx:
        table.make(tx, now=clock.now())
    with opened(database) as another:
        yield Worker(cafe, table), Worker(another, table)


def test_the_pump_renews_a_lease_twice_before_it_ends():
    assert RENEWAL * 2 < LEASE.total_seconds() <= 15


def test_what_a_dead_worker_held_is_due_when_its_lease_ends(workers, clock):
    dead, other = workers
    assert len(dead.claim(clock.now())) == 1
    assert other.claim(clock.tick(LEASE - SECOND)) == []
    assert len(other.claim(clock.tick(SECOND))) == 1


def test_what_is_renewed_stays_with_its_worker(workers, clock):
    alive, other = workers
    rows = alive.claim(clock.now())
    for _ in range(5):
        assert alive.renew(rows, clock.tick(LEASE - SECOND)) == 1
        assert other.claim(clock.now()) == []
    alive.settle(rows[0], clock.now())
    assert other.claim(clock.tick(LEASE)) == []
    assert len(other.claim(clock.tick(HOUR))) == 1


def test_nobody_renews_what_another_worker_holds(workers, clock):
    first, second = workers
    rows = first.claim(clock.now())
    assert second.renew(rows, clock.tick(LEASE - SECOND)) == 0
    assert len(second.claim(clock.tick(SECOND))) == 1


def test_what_is_settled_is_not_renewed(workers, clock):
    worker, _ = workers
    (row,) = worker.claim(clock.now())
    worker.settle(row, clock.now())
    assert worker.renew([row], clock.now()) == 0
    assert len(worker.claim(clock.tick(HOUR))) == 1


def test_a_suspended_worker_settles_and_renews_nothing_that_another_has_taken(workers, clock):
    suspended, other = workers
    (old,) = suspended.claim(clock.now())
    (new,) = other.claim(clock.tick(LEASE))
    assert suspended.renew([old], clock.now()) == 0
    suspended.settle(old, clock.now())
    assert other.renew([new], clock.now()) == 1, "it is still the other one's"
    assert suspended.claim(clock.tick(LEASE - SECOND)) == []
    other.settle(new, clock.now())
    assert suspended.claim(clock.tick(HOUR - SECOND)) == []


def test_a_suspended_worker_settles_what_nobody_took_meanwhile(workers, clock):
    suspended, other = workers
    (row,) = suspended.claim(clock.now())
    suspended.settle(row, clock.tick(LEASE + SECOND))
    assert other.claim(clock.now()) == []
    assert len(other.claim(clock.tick(HOUR))) == 1


def test_a_worker_that_starts_alone_takes_over_at_once(workers, clock, table):
    dead, alone = workers
    assert len(dead.claim(clock.now())) == 1
    with alone.store.write() as tx:
        assert table.recover(tx, now=clock.now()) >= 1
    assert len(alone.claim(clock.now())) == 1


@pytest.mark.may_skip("SQLite has one writer: nothing can be in between")
def test_a_renewal_passes_over_what_is_being_settled(workers, clock):
    """Two transactions that each want rows of the other would be a deadlock on PostgreSQL."""
    worker, _ = workers
    if worker.store.is_sqlite:
        pytest.skip("SQLite has one writer: nothing can be in between")
    (row,) = worker.claim(clock.now())
    with worker.store.write() as tx:
        worker.table.settle(tx, row, clock.now())
        assert worker.renew([row], clock.now()) == 0


def test_a_harvest_of_a_source_that_another_worker_took_is_not_published(cafe, database, clock):
    def taken(tx: Tx, source_id: int) -> bool:
        return sources.is_taken(tx, source_id)

    with cafe.write() as tx:
        (source,) = claim_source(tx, clock.now())
        assert not taken(tx, source.id)
    with opened(database) as another, another.write() as tx:
        add_site(tx, "tea", now=clock.now())
        assert claim_source(tx, clock.tick(LEASE))
    with cafe.write() as tx:
        assert taken(tx, source.id)
        sources.make_due(tx, [source.id], now=clock.now())
        assert not taken(tx, source.id), "it is nobody's: what was found is still news"
