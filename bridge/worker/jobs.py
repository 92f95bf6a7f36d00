"""The worker: which pump ticks when, and a clean stop [the only home of APScheduler].

*What* is due is data in our tables; the scheduler only says how often somebody looks. It goes by a clock that
is never set; what a job finished last is kept, and a worker in which one stands still ends itself.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from bridge.addresses import Reach
from bridge.deliver.deliverer import Deliverer
from bridge.errors import StoreDamaged, StoreUnavailable
from bridge.identity.establish import count_on
from bridge.net.client import Client
from bridge.net.our_clock import OtherClocks
from bridge.people.fetch import Fetcher
from bridge.poll.folder_watch import FolderWatch
from bridge.poll.hubs import Subscriber
from bridge.poll.missing_pages import PageAsker
from bridge.poll.poller import Poller
from bridge.publish.due import publish_due
from bridge.publish.late_pictures import SecondLooker
from bridge.publish.pins import Pinner
from bridge.publish.profile import announce_profile
from bridge.pump.clock import SteadyClock, SteadyZone, passed
from bridge.pump.engine import REPORT
from bridge.pump.open_files import make_room, most_requests
from bridge.pump.progress import Progress, Standing, to_detail
from bridge.receive import admission
from bridge.receive.receiver import Receiver
from bridge.receive.registrar import ERRAND_SLOTS, Registrar
from bridge.services import Services
from bridge.store import caps, deliveries, identity, inbox, remote, sources, subscriptions
from bridge.worker.housekeeping import keep_house
from bridge.worker.timekeeper import Timekeeper
from bridge.worker.watchdog import Watchdog

log = logging.getLogger(__name__)

TICK, SHORT_TICK = timedelta(seconds=0.5), timedelta(seconds=0.1)
STANDS_STILL = 1.0  # seconds after which a changed file is taken to be written whole
HEARTBEAT = timedelta(seconds=30)
FORGOTTEN_BEATS = timedelta(days=1)
BOUNDS = timedelta(minutes=1)
COUNTS = timedelta(minutes=5)  # how much an older copy of the database may lack unnoticed
HOUSEKEEPING = timedelta(hours=6)
CHECKS = timedelta(days=1)  # whether the database is damaged
FETCH_SLOTS = 80 + inbox.SLOTS + ERRAND_SLOTS  # requests beside deliveries: polls, keys, actors
PAUSE_WITHOUT_STORE = 1.0  # seconds
STOP_SECONDS = 6.5  # for what is under way; containers are killed after ten

_RECOVER = (
    deliveries.recover,
    inbox.recover,
    sources.recover,
    subscriptions.recover,
    remote.recover_errands,
)

Job = Callable[[], Awaitable[object]]


class Worker:
    """One worker process: its client, its pumps and the jobs under way."""

    def __init__(
        self,
        services: Services,
        client: Client,
        stop: asyncio.Event,
        *,
        at_home: Client | None = None,
        progress: Progress | None = None,
        clocks: OtherClocks | None = None,
    ) -> None:
        self._services = services
        self._stop = stop
        self._progress = progress or Progress()
        self._clocks = clocks or OtherClocks()
        self._said_of_clock = ""
        self._standing: set[str] = set()  # the jobs that were said to stand
        self._under_way: set[asyncio.Task[object]] = set()
        self._failing: dict[str, str] = {}  # job → its last failure
        self._resume_at = 0.0  # no job begins before: the database is away
        fetcher = Fetcher(services, client)
        self._poller = Poller(services, client, at_home=at_home)
        self._folders = FolderWatch(services)
        self._subscriber = Subscriber(services, client, self._poller)
        self._asker = PageAsker(services, client)
        self._looker = SecondLooker(services, client, fetcher)
        self._pinner = Pinner(services)
        self._deliverer = Deliverer(services, client)
        self._receiver = Receiver(services, fetcher)
        self._registrar = Registrar(services, fetcher)

    def schedule(self, scheduler: AsyncIOScheduler) -> None:
        """Say which pump ticks when."""
        deliver, stop = self._deliverer, self._stop
        jobs: list[tuple[str, Job, timedelta, timedelta]] = [
            ("receive", lambda: self._receiver.run(stop), TICK, _minutes(5)),
            ("deliver", lambda: deliver.run(deliveries.FAST, stop), SHORT_TICK, _minutes(3)),
            ("deliver to slow servers", lambda: deliver.run(deliveries.SLOW, stop), TICK, _minutes(3)),
            (
                "deliver what killed a worker",
                lambda: deliver.run(deliveries.SUSPECT, stop),
                TICK * 4,
                _minutes(3),
            ),
            ("look at actors", lambda: self._registrar.run(stop), TICK * 4, _minutes(5)),
            ("poll", lambda: self._poller.run(stop), TICK, _minutes(15)),
            ("handle hub pushes", lambda: self._subscriber.take_pushes(stop), TICK, _minutes(15)),
            ("ask hubs", lambda: self._subscriber.run(stop), TICK * 4, _minutes(5)),
            ("watch folders", self._watch, self._services.config.polling.folder_interval, _minutes(10)),
            (
                "publish what is due",
                self._in_thread(self._publish_due),
                TICK * 2,
                _minutes(5),
            ),
            ("announce pins", self._in_thread(self._pinner.run), TICK * 20, _minutes(5)),
            ("check missing pages", lambda: self._asker.run(stop), TICK * 20, _minutes(5)),
            ("look at pictures again", lambda: self._looker.run(stop), TICK * 20, _minutes(10)),
            ("heartbeat", self._in_thread(self.beat), HEARTBEAT, _minutes(3)),
            ("housekeeping", self._in_thread(self._keep_house), HOUSEKEEPING, _minutes(60)),
            ("check the database", self._in_thread(self._services.store.check), CHECKS, _minutes(120)),
            ("note that it is in use", self._in_thread(self._count_on), COUNTS, _minutes(5)),
            ("keep within bounds", self._in_thread(self._keep_within_bounds), BOUNDS, _minutes(10)),
        ]
        for name, job, every, limit in jobs:
            self._progress.expect(name, every=every, limit=limit)
            self._add(scheduler, name, job, every)

    async def finish(self) -> None:
        """Wait until the jobs under way have seen the stop and returned."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_SECONDS)

    def _add(self, scheduler: AsyncIOScheduler, name: str, job: Job, every: timedelta) -> None:
        scheduler.add_job(
            self._run,
            Every(every),
            args=(name, job),
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    async def _run(self, name: str, job: Job) -> None:
        """Run a job; its failure is logged and does not end the worker."""
        if self._stop.is_set() or time.monotonic() < self._resume_at:
            self._progress.finished(name)
            return
        REPORT.set(lambda age: self._progress.finished(name, begun=passed() - age))
        task: asyncio.Task[object] = asyncio.ensure_future(_as_coroutine(job))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            await asyncio.shield(task)
        except StoreUnavailable:  # the store has logged it
            self._resume_at = time.monotonic() + PAUSE_WITHOUT_STORE
            self._progress.finished(name)
        except Exception as error:
            self._progress.failed(name, f"{type(error).__name__}: {error}"[:200])
            self._complain(name, error)
        else:
            self._progress.finished(name)
            if self._failing.pop(name, None):
                log.info("The job “%s” works again", name)

    def _complain(self, name: str, error: Exception) -> None:
        """Log a failure in full when it is new: jobs run several times a second."""
        if self._failing.get(name) != repr(error):
            self._failing[name] = repr(error)
            log.error("The job “%s” failed; it will run again", name, exc_info=error)

    def _in_thread(self, function: Callable[[], object]) -> Job:
        return lambda: asyncio.to_thread(function)

    def take_over(self) -> None:
        """Pick up what a worker before us left, and tell followers what changed in the config meanwhile."""
        services, now = self._services, self._services.now()
        with services.store.write() as tx:
            if services.store.is_sqlite:  # one machine, one worker: whoever held a lease is dead
                recovered = sum(recover(tx, now=now) for recover in _RECOVER)
                if recovered:
                    log.info("Picking up work that was under way: %d.", recovered)
            silent = admission.review(tx, services, now=now)
            if silent:
                log.warning("Inboxes that get no posts, for nothing can be delivered there: %d.", silent)
            subscriptions.follow_config(tx, now=now)
            if older := identity.older_copy(tx):
                log.warning("%s (fedibridge status --noted)", older)
        for site in services.config.sites.keys() - services.paused:
            self._announce(site, now)

    def _announce(self, site: str, now: datetime) -> None:
        """Tell followers of a changed profile; one that cannot be told of is no reason not to begin."""
        try:
            with self._services.store.write() as tx:
                if announce_profile(tx, self._services, site, now=now):
                    log.info("The profile of %s changed: telling its followers.", site)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("Cannot tell whether the profile of %s changed", site)

    def _publish_due(self) -> int:
        return publish_due(self._services)

    async def _watch(self) -> None:
        """Look at the folders; if files changed, once more when they have had time to be written whole."""
        await asyncio.to_thread(self._folders.watch)
        if self._folders.is_restless:
            await asyncio.sleep(STANDS_STILL)
            await asyncio.to_thread(self._folders.watch)

    def beat(self) -> None:
        """Say that we live, and which of our jobs stand still."""
        now = self._services.now()
        standing = self._progress.standing(now=now)
        self._tell(standing)
        clock = self._clocks.sentence(now)
        self._tell_of_clock(clock)
        self._put_down({"pid": os.getpid(), "clock": clock}, standing, now)

    def leave(self) -> None:
        """Say that we stop: whoever starts next need not wait for us."""
        with suppress(StoreUnavailable):
            self._put_down({"pid": os.getpid(), "stopped": True}, [], self._services.now())

    def _put_down(self, about: Mapping[str, object], standing: list[Standing], now: datetime) -> None:
        detail = to_detail(about, standing)
        with self._services.store.write() as tx:
            identity.beat(tx, worker_name(self._services), detail, now=now)
            identity.forget_beats(tx, before=now - FORGOTTEN_BEATS)

    def _tell_of_clock(self, said: str) -> None:
        """Log once that the clock is wrong, and once that it no longer seems to be."""
        if said and not self._said_of_clock:
            log.error("Something is wrong: %s. Set it (NTP does that); no delivery is given up.", said)
        elif self._said_of_clock and not said:
            log.warning("The clock of this machine agrees with other servers again")
        self._said_of_clock = said

    def _tell(self, standing: list[Standing]) -> None:
        """Log once which jobs stand, and once that they go on."""
        jobs = {one.job for one in standing}
        for one in standing:
            if one.job not in self._standing:
                log.error("Something is wrong: %s", one)
        for job in self._standing - jobs:
            log.warning("The job “%s” is running again", job)
        self._standing = jobs

    def _count_on(self) -> None:
        count_on(self._services.store, self._services.witnesses)
        self._services.store.remember_file()

    def _keep_within_bounds(self) -> None:
        for name in caps.CAPS:
            with self._services.store.read() as tx:
                excess = caps.excess(tx, name)
            while excess > 0 and not self._stop.is_set():
                with self._services.store.write() as tx:
                    excess -= caps.trim(tx, name, excess) or excess

    def _keep_house(self) -> None:
        keep_house(self._services, self._stop)


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler is untyped
    """Fires at once and then every so often; what was missed is not made up for."""

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return when to fire after `previous`, by the scheduler's clock."""
        if previous is None:
            return now
        again = previous + self._every
        return again if again > now else now + self._every


async def work(services: Services) -> None:
    """Poll, receive and deliver until SIGTERM or Ctrl-C; what is under way is finished or given back."""
    stop, loop = stop_on_signals(), asyncio.get_running_loop()
    clock = SteadyClock(services.now)
    timekeeper = Timekeeper(services.store, clock, name=worker_name(services))
    services = replace(services, now=clock.now)
    if not await timekeeper.begin(stop):
        return
    make_room(services.config.delivery.concurrency)
    progress, slots = Progress(), most_requests(services.config.delivery.concurrency) + FETCH_SLOTS
    watchdog = Watchdog(
        progress, lambda: loop.call_soon_threadsafe(stop.set), grace=STOP_SECONDS, now=services.now
    )
    clocks = OtherClocks()
    async with (
        Client(services.user_agent, services.reach, slots=slots, now=services.now, clocks=clocks) as client,
        Client(services.user_agent, Reach(private=True), now=services.now) as at_home,
    ):
        worker = Worker(services, client, stop, at_home=at_home, progress=progress, clocks=clocks)
        await _when_there_is_room(worker.take_over, stop)
        scheduler = AsyncIOScheduler(timezone=SteadyZone())
        worker.schedule(scheduler)
        scheduler.start()
        watchdog.start()
        time_is_kept = asyncio.ensure_future(timekeeper.run(stop, worker.beat))
        log.info("The worker runs for %s", services.config.base_url)
        await stop.wait()
        log.info("Stopping: finishing what is under way.")
        scheduler.pause()
        await worker.finish()
        await time_is_kept
        await asyncio.to_thread(worker.leave)
        scheduler.shutdown(wait=False)
    watchdog.close()
    log.info("The worker has stopped.")


async def _when_there_is_room(take_over: Callable[[], None], stop: asyncio.Event) -> None:
    """Take over as soon as the database can be used: the store has logged that it cannot."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(take_over)
        except StoreDamaged:
            raise
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_WITHOUT_STORE)
        else:
            return


def worker_name(services: Services) -> str:
    """Return what this worker's heartbeats are known by: of an embedded database there is one."""
    if services.store.is_sqlite:
        return identity.WORKER
    return f"{identity.WORKER} {socket.gethostname()}:{os.getpid()}"


def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def _as_coroutine(job: Job) -> object:
    return await job()
