"""A job that stands still is noticed, said, and ended: ready means that what fell due was finished."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from lab import Lab

from bridge.cli.supervisor import LOOK_EVERY, SILENT, Child, is_silent
from bridge.errors import StoreUnavailable
from bridge.pump.engine import REPORT, pump
from bridge.pump.progress import FAILING, Progress, from_detail, to_detail
from bridge.store import identity
from bridge.worker.jobs import Worker
from bridge.worker.watchdog import EX_STANDING, Watchdog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = 60.0


class Passing:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def passing() -> Passing:
    return Passing()


@pytest.fixture
def progress(passing: Passing) -> Progress:
    made = Progress(passing)
    made.expect("poll", every=timedelta(seconds=1), limit=timedelta(minutes=10))
    return made


@pytest.fixture
def lab(make_services: Callable[..., object], clock: object) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def standing(progress: Progress) -> list[str]:
    return [one.job for one in progress.standing(now=NOON)]


# ── which job stands ─────────────────────────────────────────────────────────────────────────────


def test_a_job_that_finishes_what_it_begins_does_not_stand(progress: Progress, passing: Passing) -> None:
    for _ in range(100):
        passing.seconds += 4 * MINUTE
        progress.finished("poll")
        assert standing(progress) == []


def test_a_job_that_does_not_finish_stands_and_later_is_over_its_limit(
    progress: Progress, passing: Passing
) -> None:
    passing.seconds += 6 * MINUTE
    (one,) = progress.standing(now=NOON)
    assert (one.job, one.since, one.is_over_limit) == ("poll", NOON - timedelta(minutes=6), False)
    passing.seconds += 5 * MINUTE
    assert [one.is_over_limit for one in progress.standing(now=NOON)] == [True]


def test_a_job_that_runs_seldom_does_not_stand_in_between(passing: Passing) -> None:
    progress = Progress(passing)
    progress.expect("housekeeping", every=timedelta(hours=6), limit=timedelta(minutes=10))
    passing.seconds += 6 * 3600
    assert standing(progress) == []
    passing.seconds += 6 * MINUTE
    assert standing(progress) == ["housekeeping"]


def test_one_slow_item_among_many_that_finish_is_what_stands(progress: Progress, passing: Passing) -> None:
    began = passing.seconds
    passing.seconds += 6 * MINUTE
    progress.finished("poll", begun=began)
    assert standing(progress) == ["poll"]
    progress.finished("poll", begun=passing.seconds - MINUTE)
    assert standing(progress) == []


def test_a_job_that_only_fails_stands_but_is_not_ended_as_soon(progress: Progress, passing: Passing) -> None:
    progress.failed("poll", "ValueError: a row")
    passing.seconds += 11 * MINUTE
    (one,) = progress.standing(now=NOON)
    assert str(one) == "the job “poll” has been stuck since 2026-03-01 11:49:00 UTC (ValueError: a row)"
    assert not one.is_over_limit
    passing.seconds += FAILING
    assert [one.is_over_limit for one in progress.standing(now=NOON)] == [True]


def test_time_in_which_the_whole_process_was_stopped_does_not_count(
    progress: Progress, passing: Passing
) -> None:
    passing.seconds += 3600
    progress.skip(3600)
    assert standing(progress) == []


@pytest.mark.parametrize("detail", ["", "pid 7", "[]", "null", '{"standing": 3}', '{"standing": [{}]}'])
def test_a_heartbeat_of_another_version_says_nothing(detail: str) -> None:
    assert from_detail(detail) == []


def test_what_a_heartbeat_carries_is_read_as_it_was_written(progress: Progress, passing: Passing) -> None:
    passing.seconds += 6 * MINUTE
    (told,) = from_detail(to_detail({"pid": 7}, progress.standing(now=NOON)))
    assert (told.job, told.since) == ("poll", NOON - timedelta(minutes=6))


# ── the pump tells how it gets on ────────────────────────────────────────────────────────────────


def test_a_pump_that_never_runs_dry_tells_how_old_its_oldest_item_is() -> None:
    slow_may_end, told = asyncio.Event(), []

    async def handle(item: int) -> int:
        if item == 0:
            await slow_may_end.wait()
        return item

    def report(age: float) -> None:
        told.append(age)
        if len(told) == 5:
            slow_may_end.set()

    waiting = list(range(30))

    async def run() -> None:
        REPORT.set(report)
        await pump(
            lambda room: [waiting.pop(0)] if waiting else [], handle, len, slots=2, stop=asyncio.Event()
        )

    asyncio.run(run())
    assert told[0] < told[3]
    assert told[-1] == 0


def test_what_cannot_be_written_down_is_not_finished() -> None:
    told: list[float] = []
    tries = iter([True, True, False])

    def settle(_results: object) -> None:
        if next(tries):
            assert told == []
            raise StoreUnavailable("away")

    async def handle(item: int) -> int:
        return item

    waiting = [1]

    async def run() -> None:
        REPORT.set(told.append)
        claim = lambda _room: [waiting.pop()] if waiting else []  # noqa: E731
        await pump(claim, handle, settle, slots=2, stop=asyncio.Event(), pause=0)

    asyncio.run(run())
    assert told == [0]


# ── the worker says it ───────────────────────────────────────────────────────────────────────────


def test_readiness_names_the_job_that_stands_and_since_when(
    lab: Lab, progress: Progress, passing: Passing, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(lab.services, lab.client, asyncio.Event(), progress=progress)
    ready = f"{lab.services.config.base_url}/readyz"
    worker.beat()
    assert lab.bridge.get(ready)[0] == 200
    passing.seconds += 6 * MINUTE
    worker.beat()
    worker.beat()
    status, body = lab.bridge.get(ready)
    assert status == 503
    assert "the job “poll” has been stuck since 2026-03-01 11:54:00 UTC" in body["error"]
    assert caplog.text.count("the job “poll” has been stuck") == 1
    lab.run(worker._run("poll", lambda: asyncio.sleep(0)))
    worker.beat()
    assert lab.bridge.get(ready)[0] == 200
    assert "The job “poll” is running again" in caplog.text


def test_a_job_that_fails_again_and_again_makes_us_not_ready(
    lab: Lab, progress: Progress, passing: Passing
) -> None:
    worker = Worker(lab.services, lab.client, asyncio.Event(), progress=progress)

    async def fail() -> None:
        raise RuntimeError("a row nobody can read")

    passing.seconds += 6 * MINUTE
    lab.run(worker._run("poll", fail))
    worker.beat()
    status, body = lab.bridge.get(f"{lab.services.config.base_url}/readyz")
    assert status == 503
    assert "RuntimeError: a row nobody can read" in body["error"]


def test_a_database_that_is_away_is_no_job_that_stands(
    lab: Lab, progress: Progress, passing: Passing
) -> None:
    worker = Worker(lab.services, lab.client, asyncio.Event(), progress=progress)

    async def fail() -> None:
        raise StoreUnavailable("away")

    passing.seconds += 60 * MINUTE
    lab.run(worker._run("poll", fail))
    assert standing(progress) == []


def test_a_heartbeat_from_the_future_is_none(lab: Lab) -> None:
    with lab.store.write() as tx:
        identity.beat(tx, identity.WORKER, "", now=lab.clock.now() + timedelta(hours=1))
    assert lab.bridge.get(f"{lab.services.config.base_url}/readyz")[0] == 503


def test_one_of_many_workers_that_stands_is_not_hidden_by_the_others(
    lab: Lab, progress: Progress, passing: Passing
) -> None:
    passing.seconds += 6 * MINUTE
    with lab.store.write() as tx:
        identity.beat(tx, "worker a:1", to_detail({}, progress.standing(now=NOON)), now=lab.clock.now())
        identity.beat(tx, "worker b:1", to_detail({}, []), now=lab.clock.now())
    assert lab.bridge.get(f"{lab.services.config.base_url}/readyz")[0] == 503


def test_every_job_has_a_limit(lab: Lab) -> None:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    progress = Progress()
    scheduler = AsyncIOScheduler(timezone="UTC")
    Worker(lab.services, lab.client, asyncio.Event(), progress=progress).schedule(scheduler)
    progress.skip(-1_000_000)
    assert {one.job for one in progress.standing(now=NOON)} == {job.id for job in scheduler.get_jobs()}


# ── and is ended ─────────────────────────────────────────────────────────────────────────────────


def test_a_worker_whose_job_stands_too_long_stops_and_then_ends(
    progress: Progress, passing: Passing, caplog: pytest.LogCaptureFixture
) -> None:
    ended, stopped, codes = threading.Event(), threading.Event(), []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    watchdog = Watchdog(progress, stopped.set, grace=0, now=lambda: NOON, end=end)
    passing.seconds += 11 * MINUTE
    watchdog.start()
    assert ended.wait(20)
    assert (stopped.is_set(), codes) == (True, [EX_STANDING])
    assert "This worker ends itself, to be started again: the job “poll” has been stuck since" in caplog.text


def test_a_process_that_ends_itself_does_so_though_a_thread_hangs() -> None:
    """As in a worker: the loop is told to stop, and a thread of its pool never returns."""
    program = """
import threading
from datetime import UTC, datetime, timedelta
from bridge.pump.progress import Progress
from bridge.worker.watchdog import Watchdog
progress = Progress()
progress.expect("poll", every=timedelta(0), limit=timedelta(0))
Watchdog(progress, lambda: None, grace=0, now=lambda: datetime.now(UTC)).start()
threading.Event().wait()
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == EX_STANDING


@pytest.fixture
def child() -> Iterator[tuple[Child, int]]:
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    process = subprocess.Popen([sys.executable, "-c", ""])
    yield Child("worker", [], process, ours, 0.0), theirs
    process.wait()
    os.close(ours)
    os.close(theirs)


def test_a_child_without_a_sign_of_life_is_found_out(child: tuple[Child, int]) -> None:
    started, pulse = child
    looks = int(SILENT / LOOK_EVERY) + 1
    assert not any(is_silent(started) for _ in range(2 * looks)), "it may still be starting"
    os.write(pulse, b".")
    assert not any(is_silent(started) for _ in range(looks - 1))
    os.write(pulse, b".")
    assert not is_silent(started)
    assert any(is_silent(started) for _ in range(looks))


def test_a_process_says_that_it_lives() -> None:
    ours, theirs = os.pipe()
    program = f"import time; from bridge.parent_gone import keep_pulse; keep_pulse({theirs}); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], pass_fds=(theirs,)) as process:
        assert os.read(ours, 1) == b"."
        process.kill()
    os.close(ours)
    os.close(theirs)


def test_status_says_which_job_stands(lab: Lab, progress: Progress, passing: Passing) -> None:
    from bridge.cli.inspect import _gather, _print_trouble

    passing.seconds += 6 * MINUTE
    Worker(lab.services, lab.client, asyncio.Event(), progress=progress).beat()
    found = _gather(lab.services)
    assert json.loads(json.dumps(found["standing_jobs"], default=str))[0]["job"] == "poll"
    _print_trouble(found)
