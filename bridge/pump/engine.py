"""One engine for everything that falls due: claim → handle many at once → settle.

No row or transaction lives across an `await`: `claim`, `settle` and `renew` are plain store functions and run
in a thread. What has finished is settled every tick and the slots are topped up, so that a server that hangs
costs one slot and delays no one else. The leases of what takes long are renewed while it does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bridge.errors import StoreUnavailable
from bridge.pump.patience import Patience

log = logging.getLogger(__name__)

TICK = 0.05
"""Seconds between two rounds of settling and claiming: what finishes in between is one transaction."""

IDLE_TICKS = 10
"""After a claim that found nothing, this many ticks pass before the next one while work is under way."""

RENEWAL = 5.0
"""Seconds after which the lease of what is still under way is renewed; a lease must outlast two of them."""

PAUSE = 1.0
"""Seconds until what could not be settled is tried again."""

GRACE = 4.0
"""Seconds that what is under way gets to finish after a stop."""

REPORT: ContextVar[Callable[[float], None]] = ContextVar("REPORT", default=lambda _age: None)
"""Is told, of the pump that runs in this context, for how many seconds its oldest item is under way.

A pump that always has work never returns: that it gets on is seen by this alone.
"""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Stop(Protocol):
    """Anything that can be asked whether to stop, such as `asyncio.Event`."""

    def is_set(self) -> bool: ...


async def pump(
    claim: Callable[[int], Sequence[Item]],
    handle: Callable[[Item], Awaitable[Result]],
    settle: Callable[[Sequence[Result]], None],
    *,
    slots: int,
    stop: Stop,
    renew: Callable[[Sequence[Item]], object] | None = None,
    spoiled: Callable[[Item, BaseException], object] | None = None,
    renewal: float = RENEWAL,
    patience: Patience | None = None,
    grace: float = GRACE,
    pause: float = PAUSE,
) -> int:
    """Handle everything that is due, `slots` at a time; return how many once nothing is left.

    `handle` turns whatever happens into a result; if it raises, its item is given to `spoiled`, or that is
    logged and the item left to its lease. When `stop` is set nothing more is claimed; what is still under way
    after `grace` seconds is cancelled, which `handle` answers with a result too, so that it can be settled
    as not done. What `claim` or `settle` raise ends the pump, once nothing is under way any more; results
    that could not be settled because the database is away are kept, and nothing is claimed until they are.
    What is under way may hold others up: only a claim with nothing under way that finds nothing is the end.
    With `patience`, what takes much longer than its like gives its slot up and goes on without one.
    """
    results: list[Result] = []
    work: _UnderWay[Item, Result] = _UnderWay(renew, renewal, patience)
    running = work.tasks
    keeping = asyncio.ensure_future(work.keep())
    handled = idle = 0
    deadline: float | None = None
    try:
        while True:
            if stop.is_set():
                deadline = deadline or asyncio.get_running_loop().time() + grace
                _cancel_after(deadline, running)
            found: Sequence[Item] = ()
            room = work.room(slots)
            if not stop.is_set() and (idle == 0 or not running) and room > 0 and not results:
                await work.renew_old()  # after a long suspension we would claim our own work again
                found = await _claimed(claim, room, alone=not running)
                work.begin(handle, found)
                idle = 0 if found else IDLE_TICKS
            if not running and not results:
                return handled
            idle = max(0, idle - 1)
            finished = await _finished(running)
            handled += len(finished)
            results += [task.result() for task in finished if not _error(task)]
            await _spoil(work.end(finished), spoiled)
            if results and await _is_settled(settle, results, stop, pause):
                results = []
                work.forget()
            if not results:
                REPORT.get()(work.age())
    finally:
        if running:
            await asyncio.wait(running)
        keeping.cancel()


@dataclass(slots=True)
class _Lease(Generic[Item]):
    """An item under way: when it began and when its lease last began, in seconds of the loop's clock."""

    item: Item
    begun: float
    since: float


class _UnderWay(Generic[Item, Result]):
    """What is under way, and what waits to be settled: their leases are ours to renew."""

    def __init__(
        self,
        renew: Callable[[Sequence[Item]], object] | None,
        renewal: float,
        patience: Patience | None,
    ) -> None:
        self._renew = renew
        self._renewal = renewal
        self._patience = patience
        self._unsettled: list[_Lease[Item]] = []
        self._now = asyncio.get_running_loop().time
        self._renewing = asyncio.Lock()
        self.tasks: dict[asyncio.Task[Result], _Lease[Item]] = {}

    def begin(self, handle: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> None:
        """Start handling what was just claimed."""
        now = self._now()
        self.tasks |= {asyncio.ensure_future(handle(item)): _Lease(item, now, now) for item in items}

    def end(self, finished: Iterable[asyncio.Task[Result]]) -> list[tuple[Item, BaseException]]:
        """Note what is no longer under way; return what raised, which is left to its lease."""
        failed, now = [], self._now()
        for task in finished:
            lease, error = self.tasks.pop(task), _error(task)
            if self._patience is not None:
                self._patience.learn(now - lease.begun)
            if error is None:
                self._unsettled.append(lease)
            else:
                failed.append((lease.item, error))
        return failed

    def room(self, slots: int) -> int:
        """Return how many more may begin."""
        if self._patience is None:
            return slots - len(self.tasks)
        since = self._now() - self._patience.seconds
        in_slots = sum(one.begun > since for one in self.tasks.values())
        return min(slots - in_slots, self._patience.most - len(self.tasks))

    def age(self) -> float:
        """Return for how many seconds the oldest item is under way."""
        now = self._now()
        return now - next((one.begun for task, one in self.tasks.items() if not task.done()), now)

    def forget(self) -> None:
        """Note that everything that was finished is settled."""
        self._unsettled.clear()

    async def keep(self) -> None:
        """Renew leases until cancelled, also while the pump waits for a claim or a settling."""
        while self._renew is not None:
            await asyncio.sleep(self._renewal / 2)
            await self.renew_old()

    async def renew_old(self) -> None:
        """Renew, in one statement, the leases that were not for a while."""
        async with self._renewing:
            now = self._now()
            held = (*self.tasks.values(), *self._unsettled)
            old = [one for one in held if now - one.since >= self._renewal]
            if self._renew is None or not old:
                return
            try:
                await asyncio.to_thread(self._renew, [one.item for one in old])
            except StoreUnavailable:
                return  # tried again; settling notices a lease that ran out meanwhile
            except Exception:
                log.exception("Leases could not be renewed")
            for one in old:
                one.since = now


async def _claimed(claim: Callable[[int], Sequence[Item]], room: int, *, alone: bool) -> Sequence[Item]:
    """Claim; while the database is away nothing, if something under way is still to be settled."""
    try:
        return await asyncio.to_thread(claim, room)
    except StoreUnavailable:
        if alone:
            raise
        return ()


async def _is_settled(
    settle: Callable[[Sequence[Result]], None], results: Sequence[Result], stop: Stop, pause: float
) -> bool:
    """Settle; while the database is away say no, after a pause. After a stop there is no other time."""
    try:
        await asyncio.to_thread(settle, results)
    except StoreUnavailable:
        if stop.is_set():
            raise
        await asyncio.sleep(pause)
        return False
    return True


def _cancel_after(deadline: float, running: Iterable[asyncio.Task[Result]]) -> None:
    if asyncio.get_running_loop().time() >= deadline:
        for task in running:
            task.cancel()


async def _finished(running: Collection[asyncio.Task[Result]]) -> set[asyncio.Task[Result]]:
    """Wait one tick, or less when everything is done before."""
    done, _ = await asyncio.wait(running, timeout=TICK) if running else (set(), None)
    return done


def _error(task: asyncio.Task[Result]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _spoil(
    failed: Iterable[tuple[Item, BaseException]], spoiled: Callable[[Item, BaseException], object] | None
) -> None:
    """Have set aside what could not be handled; whatever cannot be is due again when its lease ends."""
    for item, error in failed:
        if spoiled is None or isinstance(error, asyncio.CancelledError | StoreUnavailable):
            log.error("One item failed and will be due again when its lease ends", exc_info=error)
            continue
        try:
            await asyncio.to_thread(spoiled, item, error)
        except StoreUnavailable:
            continue  # the store has logged it
