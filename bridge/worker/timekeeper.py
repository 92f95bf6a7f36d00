"""Notices that the system's clock was set, and moves what was due by the old one before anybody sees it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from bridge.errors import StoreUnavailable
from bridge.pump.clock import NOT_BEFORE, SLIP, SteadyClock
from bridge.pump.progress import WORKER_SILENT
from bridge.store import Store, identity, moments
from bridge.store.identity import Beat

log = logging.getLogger(__name__)

TICK = 1.0  # seconds between two looks at the clock
SKEW = timedelta(minutes=1)
"""How far ahead a heartbeat may lie without its clock having been set since: machines differ a little."""


class Timekeeper:
    """Keeps the time of one worker process, called `name` in the heartbeats."""

    def __init__(self, store: Store, clock: SteadyClock, *, name: str) -> None:
        self._store = store
        self._clock = clock
        self._name = name
        self._doubted = False

    async def begin(self, stop: asyncio.Event) -> bool:
        """Wait for a clock that can be right, and put right what was due by one that is gone.

        Return whether there is a worker to begin: not if it is stopped meanwhile.
        """
        while not self._can_be_right():
            if await _stopped(stop):
                return False
            self._clock.adopt(self._clock.jump())
        await asyncio.to_thread(self.catch_up)
        return True

    def catch_up(self) -> None:
        """Put right what was due by the clock of the worker before us, if it was ahead of ours."""
        now = self._clock.now()
        with self._store.long_write() as tx:
            beats = identity.workers(tx)
            ahead = max((beat.beat_at - now for beat in beats), default=timedelta())
            if ahead > SKEW and self._are_alone(beats):
                log.warning("The clock was set back by %s since the last worker ran.", _shown(ahead))
                moments.move(tx, -ahead)
            pulled = moments.pull_in(tx, now=now)
        if pulled:
            log.warning("%d rows were due in an impossible future: they are due now.", pulled)

    async def run(self, stop: asyncio.Event, tell: Callable[[], None]) -> None:
        """Look at the clock every second until the stop; `tell` is called when it was set."""
        while not await _stopped(stop):
            try:
                if await asyncio.to_thread(self.check):
                    await asyncio.to_thread(tell)
            except StoreUnavailable:
                continue  # the store has logged it; until it is back we go by the time that passed
            except Exception:
                log.exception("Could not move due times with the clock; trying again")

    def check(self) -> bool:
        """Return whether the clock was set; then all that is timed has moved with it."""
        jump = self._clock.jump()
        if not self._can_be_right():
            return False
        if abs(jump) < SLIP:
            self._clock.adopt(jump)
            return False
        self._put_right(jump)
        self._clock.adopt(jump)
        way = "forward" if jump > timedelta() else "back"
        log.warning("The clock was set %s by %s: due times moved with it.", way, _shown(abs(jump)))
        return True

    def _put_right(self, jump: timedelta) -> None:
        with self._store.long_write() as tx:
            if self._are_alone(identity.workers(tx)):
                moments.move(tx, jump)
            moments.pull_in(tx, now=self._clock.now() + jump)

    def _are_alone(self, beats: list[Beat]) -> bool:
        """Say whether all that is timed goes by our clock: other workers' need not have been set."""
        now = self._clock.now()
        return not any(
            beat.role not in (self._name, identity.WORKER) and abs(now - beat.beat_at) < WORKER_SILENT
            for beat in beats
        )

    def _can_be_right(self) -> bool:
        wall = self._clock.now() + self._clock.jump()
        if wall >= NOT_BEFORE:
            self._doubted = False
            return True
        if not self._doubted:
            log.error(
                "The system's clock says %s, which cannot be right: other servers refuse signatures of that "
                "date. Set the clock (NTP does that); until then nothing is timed by it.",
                f"{wall:%d %b %Y}",
            )
        self._doubted = True
        return False


async def _stopped(stop: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), TICK)
    except TimeoutError:
        return False
    return True


def _shown(step: timedelta) -> str:
    return str(timedelta(seconds=round(step.total_seconds())))
