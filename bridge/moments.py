"""The one door for dates from outside: a moment in UTC, or `None`, and never an exception. Pure.

Python's readers raise ValueError, TypeError, IndexError, OverflowError and more, each over other spellings.
"""

from calendar import timegm
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any


def read_iso(text: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment of ISO 8601 as loosely as Python reads it; what names no offset is in `zone`."""
    return _read(lambda: datetime.fromisoformat(text), zone)


def read_rfc822(text: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment of RFC 822's form, which mail, RSS and HTTP share (RFC 9110, section 5.6.7)."""
    return _read(lambda: parsedate_to_datetime(text), zone)


def read_pattern(text: str, pattern: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment that `strptime` finds."""
    return _read(lambda: datetime.strptime(text, pattern), zone)  # noqa: DTZ007 - as_utc adds the zone


def from_unix(seconds: float) -> datetime | None:
    """Return the moment that many seconds after 1970."""
    return _read(lambda: datetime.fromtimestamp(seconds, UTC), UTC)


def from_struct(parts: Any) -> datetime | None:
    """Return the moment of a UTC time taken apart (`time.struct_time`), as feedparser gives it."""
    return _read(lambda: datetime.fromtimestamp(timegm(parts), UTC), UTC)


def day(year: int, month: int, day_of_month: int) -> date | None:
    """Return a day of the calendar."""
    with suppress(ValueError, OverflowError):
        return date(year, month, day_of_month)
    return None


def midnight(of: date, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment at which a day begins in `zone`."""
    return as_utc(datetime.combine(of, time()), zone)


def as_utc(moment: datetime, zone: tzinfo = UTC) -> datetime | None:
    """Return an aware UTC time; what has no zone is in `zone`. `None` where a year has no UTC equivalent."""
    with suppress(ValueError, OverflowError):
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    return None


def _read(read: Callable[[], datetime], zone: tzinfo) -> datetime | None:
    try:
        return as_utc(read(), zone)
    except Exception:  # whatever a reader makes of it: it is no date
        return None
