"""One engine for everything that falls due: claim → handle many at once → settle.

No row or transaction lives across an `await`: `claim` and `settle` are plain store functions and run in a
thread, one at a time. What has finished is settled every tick and the slots are topped up, so that a
server that hangs costs one slot and delays no one else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)

TICK = 0.05
"""Seconds between two rounds of settling and claiming: what finishes in between is one transaction."""

IDLE_TICKS = 10
"""After a claim that found nothing, this many ticks pass before the next one while work is under way."""

GRACE = 4.0
"""Seconds that what is under way gets to finish after a stop."""

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
) -> int:
    """Handle everything that is due, `slots` at a time; return how many once nothing is left.

    `handle` turns whatever happens into a result and never raises; if it does all the same, that is logged
    and its item is left to its lease. When `stop` is set nothing more is claimed; what is still under way
    after `grace` seconds is cancelled, which `handle` answers with a result too, so that it can be settled
    as not done. What `claim` or `settle` raise ends the pump, once nothing is under way any more.
    """
    running: set[asyncio.Task[Result]] = set()
    handled = idle = 0
    deadline: float | None = None
    try:
        while True:
            if stop.is_set():
                deadline = deadline or asyncio.get_running_loop().time() + grace
                _cancel_after(deadline, running)
            found: Sequence[Item] = ()
            if not stop.is_set() and idle == 0 and len(running) < slots:
                found = await asyncio.to_thread(claim, slots - len(running))
                running |= {asyncio.ensure_future(handle(item)) for item in found}
                idle = 0 if found else IDLE_TICKS
            if not running:
                return handled
            idle = max(0, idle - 1)
            finished = await _finished(running)
            running -= finished
            handled += len(finished)
            results = list(_results(finished))
            if results:
                await asyncio.to_thread(settle, results)
    finally:
        if running:
            await asyncio.wait(running)


def _cancel_after(deadline: float, running: set[asyncio.Task[Result]]) -> None:
    if asyncio.get_running_loop().time() >= deadline:
        for task in running:
            task.cancel()


async def _finished(running: set[asyncio.Task[Result]]) -> set[asyncio.Task[Result]]:
    """Wait one tick, or less when everything is done before."""
    done, _ = await asyncio.wait(running, timeout=TICK)
    return done


def _results(finished: set[asyncio.Task[Result]]) -> Iterator[Result]:
    for task in finished:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            yield task.result()
        else:
            log.error("One item failed and will be due again when its lease ends", exc_info=error)
