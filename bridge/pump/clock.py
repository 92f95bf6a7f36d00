"""Time that passes whatever is done to the system's clock: set back, set forward, or wrong since boot."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that says less is wrong: this program is younger. Computers without a battery wake up in 1970."""

SLIP = timedelta(seconds=2)
"""What a clock may be off without anybody having set it: NTP lets it run faster or slower, not jump."""

_SUSPENDED_TOO = getattr(time, "CLOCK_BOOTTIME", None)


def passed() -> float:
    """Return seconds that never go back nor jump; where the system can say so, sleep counts as passed."""
    return time.monotonic() if _SUSPENDED_TOO is None else time.clock_gettime(_SUSPENDED_TOO)


class SteadyClock:
    """The wall clock as it was last believed, going on by the time that really passed.

    Whoever watches it decides when a jump of the wall is believed (`adopt`): everybody else sees the new
    time only after what was due by the old one has been put right.
    """

    def __init__(self, wall: Callable[[], datetime], *, steady: Callable[[], float] = passed) -> None:
        self._wall = wall
        self._steady = steady
        self._believed, self._since = wall(), steady()

    def now(self) -> datetime:
        """Return the current moment, aware."""
        return self._believed + timedelta(seconds=self._steady() - self._since)

    def jump(self) -> timedelta:
        """Return by how much the wall was set forward (or back: negative) since it was last believed."""
        return self._wall() - self.now()

    def adopt(self, jump: timedelta) -> None:
        """Believe the wall again; `jump` is what was put right."""
        self._believed, self._since = self.now() + jump, self._steady()


class SteadyZone(tzinfo):
    """UTC for whoever asks `datetime.now(zone)` and must not see the system's clock jump: APScheduler.

    Its jobs are due by `datetime.now(scheduler.timezone)`. A clock set back by an hour would silence it for
    an hour; one set forward by a month would have it list every tenth of a second of that month.
    """

    def __init__(self, steady: Callable[[], float] = passed) -> None:
        self._steady = steady
        self._began = steady()

    def fromutc(self, _wall: datetime) -> datetime:
        """Return the moment by the steady clock, whatever the wall says."""
        since = timedelta(seconds=self._steady() - self._began)
        return NOT_BEFORE.replace(tzinfo=self) + since

    def utcoffset(self, _when: datetime | None) -> timedelta:
        return timedelta()

    def dst(self, _when: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, _when: datetime | None) -> str:
        return "steady"
