"""Ends a worker in which a job stands still: the one thing a hung thread or loop cannot do for itself."""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime

from bridge.pump.progress import Progress, Standing

log = logging.getLogger(__name__)

TICK = 1.0  # seconds
MISSED = 10.0
"""Seconds without a tick, after which the process must have been stopped as a whole (SIGSTOP, a debugger)."""

EX_STANDING = 70  # sysexits' EX_SOFTWARE


class Watchdog:
    """Looks every second whether a job stands longer than it may; a thread of its own, as the loop may hang.

    `stop` is told first, so that what does not hang is given back; after `grace` seconds `end` ends the
    process, which cannot end by itself: Python waits for its threads, and one of them hangs.
    """

    def __init__(
        self,
        progress: Progress,
        stop: Callable[[], object],
        *,
        grace: float,
        now: Callable[[], datetime],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._grace = grace
        self._now = now
        self._end = end
        self._over = threading.Event()

    def start(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def close(self) -> None:
        """Watch no more."""
        self._over.set()

    def check(self) -> Standing | None:
        """Return the job that stands longer than it may, if one does."""
        return next((one for one in self._progress.standing(now=self._now()) if one.is_over_limit), None)

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._over.wait(TICK):
            gap, looked = time.monotonic() - looked, time.monotonic()
            if gap > MISSED:
                self._progress.skip(gap)
                continue
            found = self.check()
            if found is not None:
                self._end_for(found)
                return

    def _end_for(self, found: Standing) -> None:
        log.critical("This worker ends itself, to be started again: %s.", found)
        self._stop()
        self._over.wait(self._grace)
        self._end(EX_STANDING)  # not 0, even when all else ended well: whoever watches us starts us again
