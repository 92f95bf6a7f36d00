"""The clock is set back, set forward or wrong since boot: what is due by the time that passed is done."""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from lab import CAFE, INBOX, Lab
from rows import add_follower, add_post, arrival, claim, news, publish
from sqlalchemy import insert, select, update

from bridge.pump.clock import NOT_BEFORE, SteadyClock, SteadyZone
from bridge.store import Store, deliveries, identity, inbox, moments, schema
from bridge.store.leases import LEASE
from bridge.worker.jobs import Every, Worker
from bridge.worker.timekeeper import Timekeeper

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


class Wall:
    """A wall clock that can be set, and the time that really passes."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self._now = now
        self.passed = 0.0

    def now(self) -> datetime:
        return self._now

    def steady(self) -> float:
        return self.passed

    def set(self, by: timedelta) -> None:
        self._now += by

    def pass_(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self.passed += seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def steady(wall: Wall) -> SteadyClock:
    return SteadyClock(wall.now, steady=wall.steady)


@pytest.fixture
def keeper(store: Store, steady: SteadyClock) -> Timekeeper:
    return Timekeeper(store, steady, name="worker")


JUMPS = (-HOUR, HOUR, -DAY, 40 * DAY, -40 * DAY, 80 * YEAR, timedelta(minutes=3))


THE_END = datetime(2200, 1, 1, tzinfo=UTC)

# ── the clock ────────────────────────────────────────────────────────────────────────────────────


def test_a_jump_of_the_wall_is_seen_only_once_it_is_believed(wall: Wall, steady: SteadyClock) -> None:
    wall.set(-HOUR)
    wall.pass_(5)
    assert steady.now() == datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
    assert steady.jump() == -HOUR
    steady.adopt(steady.jump())
    assert (steady.now(), steady.jump()) == (wall.now(), timedelta())


def test_the_schedulers_clock_goes_by_what_passes(wall: Wall) -> None:
    zone = SteadyZone(wall.steady)
    first = datetime.now(zone)
    wall.set(-YEAR)
    wall.pass_(5)
    assert datetime.now(zone) - first == timedelta(seconds=5)


def test_a_month_that_was_jumped_over_is_not_listed_tick_by_tick(wall: Wall) -> None:
    zone = SteadyZone(wall.steady)
    scheduler = AsyncIOScheduler(timezone=zone)
    job = scheduler.add_job(print, Every(timedelta(seconds=0.1)))
    trigger, before = job.trigger, datetime.now(zone)
    wall.pass_(30 * 86_400)
    assert trigger.get_next_fire_time(before, datetime.now(zone)) > datetime.now(zone)


# ── what is due moves with it ────────────────────────────────────────────────────────────────────


def due_rows(store: Store) -> dict[str, list[datetime]]:
    """Return all that is timed, by column."""
    found = {}
    with store.read() as tx:
        for table in schema.metadata.sorted_tables:
            for column in moments.timed(table):
                rows = tx.scalars(select(column).where(column.is_not(None)).order_by(column)).all()
                found[f"{table.name}.{column.name}"] = list(rows)
    return found


def fill(store: Store, now: datetime) -> None:
    """Store something that waits in every way."""
    with store.write() as tx:
        add_follower(tx, "ann", now=now)
        pk = add_post(tx, now=now)
        publish(tx, news(post_pk=pk), now=now)
        values = {"edit_due_at": now + HOUR, "check_at": now + 2 * HOUR, "look_at": now, "missing_since": now}
        tx.execute(update(schema.posts).values(values))
        inbox.store(tx, arrival(), now=now)
        inbox.see(tx, "https://one.example/a/9", now=now)
        tx.execute(update(schema.deliveries).values(due_at=now + HOUR / 2))
        tx.execute(insert(schema.peers).values(host="one.example", failures=5, open_until=now + HOUR))
        tx.execute(update(schema.sources).values(due_at=now + HOUR / 4, shrunk_at=now - HOUR / 2))


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_all_that_is_timed_keeps_its_distance(
    cafe: Store, keeper: Timekeeper, wall: Wall, by: timedelta
) -> None:
    fill(cafe, wall.now())
    before = {name: [moment - wall.now() for moment in rows] for name, rows in due_rows(cafe).items()}
    wall.set(by)
    assert keeper.check()
    after = {name: [moment - wall.now() for moment in rows] for name, rows in due_rows(cafe).items()}
    assert after == before
    assert not keeper.check()


def test_what_is_told_to_others_does_not_move(cafe: Store, keeper: Timekeeper, wall: Wall) -> None:
    fill(cafe, wall.now())
    wall.set(80 * YEAR)
    keeper.check()
    with cafe.read() as tx:
        (published,) = tx.scalars(select(schema.posts.c.published_at))
    assert published == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_whatever_the_clock_does_what_is_due_by_the_time_that_passed_is_due(
    cafe: Store, keeper: Timekeeper, wall: Wall, steady: SteadyClock
) -> None:
    """For any sequence of jumps: nothing early, nothing more than a tick late."""
    chance = random.Random(20_261_130)
    with cafe.write() as tx:
        add_follower(tx, "ann", now=wall.now())
        publish(tx, news(), now=wall.now())
    for _ in range(40):
        pause = chance.uniform(10, 3 * 3600)
        with cafe.write() as tx:
            tx.execute(update(schema.deliveries).values(due_at=steady.now() + timedelta(seconds=pause)))
        left = pause
        while left > 1:
            step = chance.uniform(0, left - 0.5)
            if chance.random() < 0.5:
                wall.set(chance.choice([by for by in JUMPS if NOT_BEFORE < wall.now() + by < THE_END]))
            wall.pass_(step)
            left -= step
            keeper.check()
            with cafe.read() as tx:
                assert not deliveries.is_anything_due(tx, deliveries.FAST, now=steady.now())
        wall.pass_(left + 0.1)
        keeper.check()
        with cafe.read() as tx:
            assert deliveries.is_anything_due(tx, deliveries.FAST, now=steady.now())


def test_a_lease_does_not_end_because_the_clock_was_set_forward(
    cafe: Store, keeper: Timekeeper, wall: Wall, steady: SteadyClock
) -> None:
    with cafe.write() as tx:
        add_follower(tx, "ann", now=wall.now())
        publish(tx, news(), now=wall.now())
        assert len(claim(tx, now=steady.now())) == 1
    wall.set(YEAR)
    keeper.check()
    with cafe.write() as tx:
        assert claim(tx, now=steady.now()) == []
    wall.pass_(LEASE.total_seconds() + 1)
    with cafe.write() as tx:
        assert len(claim(tx, now=steady.now())) == 1


def test_nothing_is_forgotten_because_the_clock_was_wrong_for_a_day(
    cafe: Store, keeper: Timekeeper, wall: Wall, steady: SteadyClock
) -> None:
    with cafe.write() as tx:
        inbox.see(tx, "https://one.example/a/9", now=steady.now())
    for by in (80 * YEAR, -80 * YEAR):
        wall.set(by)
        keeper.check()
        wall.pass_(86_400)
        with cafe.write() as tx:
            inbox.purge(tx, now=steady.now())
            assert inbox.was_seen(tx, "https://one.example/a/9")


def test_where_others_work_too_their_rows_stay_and_only_the_impossible_is_pulled_in(
    cafe: Store, keeper: Timekeeper, wall: Wall
) -> None:
    fill(cafe, wall.now())
    with cafe.write() as tx:
        identity.beat(tx, "worker elsewhere:7", "", now=wall.now())
    before = due_rows(cafe)["deliveries.due_at"]
    wall.set(-HOUR)
    assert keeper.check()
    assert due_rows(cafe)["deliveries.due_at"] == before


# ── a worker that begins ─────────────────────────────────────────────────────────────────────────


def test_what_the_last_worker_put_off_by_a_clock_that_was_ahead_is_due_in_time(
    cafe: Store, keeper: Timekeeper, wall: Wall
) -> None:
    fill(cafe, wall.now() + 3 * HOUR)
    with cafe.write() as tx:
        identity.beat(tx, "worker", "", now=wall.now() + 3 * HOUR)
    keeper.catch_up()
    assert due_rows(cafe)["deliveries.due_at"] == [wall.now() + HOUR / 2]
    assert due_rows(cafe)["heartbeats.beat_at"] == [wall.now()]


@pytest.mark.parametrize("ahead", [20 * DAY, 80 * YEAR], ids=str)
def test_no_row_waits_for_an_impossible_future(
    cafe: Store, keeper: Timekeeper, wall: Wall, ahead: timedelta
) -> None:
    fill(cafe, wall.now() + ahead)
    keeper.catch_up()
    late = {name: rows for name, rows in due_rows(cafe).items() if any(row > wall.now() for row in rows)}
    assert late == {}


def test_pulling_in_leaves_what_is_possible_alone(cafe: Store, wall: Wall) -> None:
    fill(cafe, wall.now())
    before = due_rows(cafe)
    with cafe.write() as tx:
        assert moments.pull_in(tx, now=wall.now()) == 0
    assert due_rows(cafe) == before


def test_a_clock_that_cannot_be_right_is_waited_out(
    cafe: Store, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    fill(cafe, wall.now())
    before = due_rows(cafe)
    wall.set(datetime(1970, 1, 1, tzinfo=UTC) - wall.now())
    keeper = Timekeeper(cafe, SteadyClock(wall.now, steady=wall.steady), name="worker")

    async def boot() -> bool:
        stop = asyncio.Event()
        begun = asyncio.ensure_future(keeper.begin(stop))
        await asyncio.sleep(0.05)
        assert not begun.done()
        wall.set(datetime(2026, 3, 1, 12, tzinfo=UTC) - wall.now())
        return await begun

    assert asyncio.run(boot())
    assert "says 01 Jan 1970, which cannot be" in caplog.text
    assert due_rows(cafe) == before


def test_a_clock_that_is_reset_while_we_run_is_not_believed(
    cafe: Store, keeper: Timekeeper, wall: Wall, steady: SteadyClock
) -> None:
    fill(cafe, wall.now())
    before, now = due_rows(cafe), steady.now()
    wall.set(datetime(1970, 1, 1, tzinfo=UTC) - wall.now())
    assert not keeper.check()
    assert (due_rows(cafe), steady.now()) == (before, now)


# ── a real scheduler ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lab(make_services: Callable[..., object], clock: object) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.mark.parametrize("by", [-HOUR, -80 * YEAR, 40 * DAY], ids=str)
def test_a_worker_goes_on_while_its_clock_is_set(lab: Lab, by: timedelta) -> None:
    """With the scheduler of `work`: a Follow that comes after the jump is accepted at once."""
    alice = lab.peer().person()
    stop = asyncio.Event()
    worker = Worker(lab.services, lab.client, stop)

    async def go() -> None:
        scheduler = AsyncIOScheduler(timezone=SteadyZone())
        worker.schedule(scheduler)
        scheduler.start()
        try:
            lab.wait(seconds=by.total_seconds())
            assert await asyncio.to_thread(alice.send, alice.follow(CAFE), INBOX) == 202
            async with asyncio.timeout(20):
                while alice.peer.types != ["Accept"]:
                    await asyncio.sleep(0.02)
        finally:
            stop.set()
            await worker.finish()
            scheduler.shutdown(wait=False)

    lab.run(go())
