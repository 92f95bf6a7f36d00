"""What the absence of an entry from its feed means: nothing, until its own page says more. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model import Entry

GONE_AFTER, GONE_SPAN = 3, timedelta(hours=24)  # that many 404s over that long mean deleted
CHECK_PAUSE = timedelta(hours=12)


def oldest_date(entries: Sequence[Entry]) -> datetime | None:
    """Return the date at which a feed ends."""
    return min((entry.published_at for entry in entries if entry.published_at), default=None)


@dataclass(frozen=True, slots=True)
class PageCheck:
    """What a missing entry's page answers, and how often it was missing before."""

    status: int
    home_status: int
    misses: int  # 404s before this one
    missing_since: datetime


def is_deleted(check: PageCheck, now: datetime) -> bool:
    """Say whether a page is gone for good: 410, or 404 three times over a day, while the site is up."""
    if check.home_status != 200:
        return False
    if check.status == 410:
        return True
    long_enough = now - check.missing_since >= GONE_SPAN
    return check.status == 404 and check.misses + 1 >= GONE_AFTER and long_enough
