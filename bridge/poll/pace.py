"""When a source is polled next, whatever came of this poll: what changes often is asked often."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

from bridge.changes.brake import SHRUNK_STANDS
from bridge.model import Problem
from bridge.services import Services
from bridge.store.sources import Source, SourceForUpdate

FOLDER_SAFETY_NET = timedelta(minutes=10)  # folders are watched; this is for what a watch cannot see
GONE = timedelta(days=1)  # how often a feed that answers 410 is asked


class Pace:
    """Says what becomes of a source after a poll; `jitter` is a number from 0 to 1."""

    def __init__(self, services: Services, jitter: Callable[[], float] = random.random) -> None:
        self._services = services
        self._jitter = jitter

    def answered(
        self,
        source: Source,
        *,
        changed: bool,
        problems: Sequence[Problem] | None = None,
        size: int | None = None,
        **cached: str | None,
    ) -> SourceForUpdate:
        """Return what becomes of a source that answered as it should; `cached`: what spares a reading."""
        interval = self._interval(source, changed=changed)
        pause = FOLDER_SAFETY_NET if source.kind == "folder" else interval
        return SourceForUpdate(
            due_at=self._services.now() + pause * (1 + 0.1 * self._jitter()),
            interval=interval,
            failures=0,
            problems=None if problems is None else tuple(problems),
            size=size,
            shrunk_at=None,
            answered=True,
            changed=changed,
            **cached,
        )

    def failed(self, source: Source, error: str, *, pause: timedelta | None = None) -> SourceForUpdate:
        """Return what becomes of a source that failed: it is asked less and less often."""
        polling = self._services.config.polling
        failures = source.failures + 1
        backoff = min(polling.min_interval * 2 ** min(failures - 1, 8), polling.max_interval)
        if source.kind == "folder":
            backoff = min(backoff, FOLDER_SAFETY_NET)
        due_at = self._services.now() + max(backoff * (1 + 0.2 * self._jitter()), pause or timedelta())
        return SourceForUpdate(due_at, source.interval, failures, error=error)

    def shrunken(self, source: Source, error: str) -> SourceForUpdate:
        """Ask again soon: a feed that was cut off is whole again in minutes, one that stays so is news."""
        now = self._services.now()
        due_at = now + min(self._services.config.polling.min_interval, SHRUNK_STANDS)
        shrunk_at = source.shrunk_at or now
        return SourceForUpdate(due_at, source.interval, source.failures + 1, error=error, shrunk_at=shrunk_at)

    def interrupted(self, source: Source, *, pause: timedelta = timedelta()) -> SourceForUpdate:
        """Return what becomes of a source that could not be polled, for a reason of ours."""
        due_at = self._services.now() + pause
        return SourceForUpdate(due_at, source.interval, source.failures, error=source.error)

    def _interval(self, source: Source, *, changed: bool) -> timedelta:
        """Ask twice as often after a change, a quarter less often after none, within the config's bounds."""
        polling = self._services.config.polling
        interval = source.interval / 2 if changed else source.interval * 1.25
        return min(max(interval, polling.min_interval), polling.max_interval)
