"""One engine for everything that falls due: claim → handle many at once → settle.

No row or transaction lives across an `await`: `claim` and `settle` are plain store functions and run in a
thread, one at a time. What has finished is settled every tick and the slots are topped up, so that a
server that hangs costs one slot and delays no one else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol, TypeVar

from bridge.errors import StoreUnavailable

log = logging.getLogger(__name__)

TICK = 0.05
"""Seconds between two rounds of settling and claiming: what finishes in between is one transaction."""

IDLE_TICKS = 10
"""After a claim that found nothing, this many ticks pass before the next one while work is under way."""

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
    grace: float = GRACE,
    pause: float = PAUSE,
) -> int:
    """Handle everything that is due, `slots` at a time; return how many once nothing is left.

    `handle` turns whatever happens into a result and never raises; if it does all the same, that is logged
    and its item is left to its lease. When `stop` is set nothing more is claimed; what is still under way
    after `grace` seconds is cancelled, which `handle` answers with a result too, so that it can be settled
    as not done. What `claim` or `settle` raise ends the pump, once nothing is under way any more; results
    that could not be settled because the database is away are kept, and nothing is claimed until they are.
    """
    results: list[Result] = []
    running: set[asyncio.Task[Result]] = set()
    handled = idle = 0
    deadline: float | None = None
    under_way: dict[object, float] = {}  # when each began, oldest first
    try:
        while True:
            if stop.is_set():
                deadline = deadline or asyncio.get_running_loop().time() + grace
                _cancel_after(deadline, running)
            found: Sequence[Item] = ()
            if not stop.is_set() and idle == 0 and len(running) < slots and not results:
                found = await _claimed(claim, slots - len(running), alone=not running)
                running |= {asyncio.ensure_future(_timed(handle, item, under_way)) for item in found}
                idle = 0 if found else IDLE_TICKS
            if not running and not results:
                return handled
            idle = max(0, idle - 1)
            finished = await _finished(running)
            running -= finished
            handled += len(finished)
            results += _results(finished)
            if results and await _is_settled(settle, results, stop, pause):
                results = []
            if not results:
                REPORT.get()(_age(under_way))
    finally:
        if running:
            await asyncio.wait(running)


async def _timed(
    handle: Callable[[Item], Awaitable[Result]], item: Item, under_way: dict[object, float]
) -> Result:
    mark = object()
    under_way[mark] = asyncio.get_running_loop().time()
    try:
        return await handle(item)
    finally:
        del under_way[mark]


def _age(under_way: Mapping[object, float]) -> float:
    now = asyncio.get_running_loop().time()
    return now - next(iter(under_way.values()), now)


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


def _cancel_after(deadline: float, running: set[asyncio.Task[Result]]) -> None:
    if asyncio.get_running_loop().time() >= deadline:
        for task in running:
            task.cancel()


async def _finished(running: set[asyncio.Task[Result]]) -> set[asyncio.Task[Result]]:
    """Wait one tick, or less when everything is done before."""
    done, _ = await asyncio.wait(running, timeout=TICK) if running else (set(), None)
    return done


def _results(finished: set[asyncio.Task[Result]]) -> Iterator[Result]:
    for task in finished:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            yield task.result()
        else:
            log.error("One item failed and will be due again when its lease ends", exc_info=error)
