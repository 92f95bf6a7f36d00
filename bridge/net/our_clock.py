"""Whether it is our own clock that is wrong, by what other servers say of the time. Pure.

Signatures and certificates are judged by clocks. When ours is wrong, everybody refuses us at once, and
everybody's certificate has expired: that is nobody's failure but ours.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from bridge.model import Answered, Fault, Outcome, Unreachable
from bridge.moments import read_rfc822

T = TypeVar("T")

ENOUGH = 3  # servers that have to say the same
TOLERATED = timedelta(minutes=2)  # by which a clock may differ; some servers take signatures for five
AGREEING = timedelta(minutes=1)  # how near to one another those have to be who say that ours is wrong
REMEMBERED = timedelta(hours=1)
MOST = 64  # servers that are remembered


def skew(offsets: Collection[timedelta]) -> timedelta | None:
    """Return by how much our clock is behind others' (negative: ahead), `None` while it seems right.

    It takes `ENOUGH` others who are all but unanimous: one that differs alone has a wrong clock itself.
    """
    if len(offsets) < ENOUGH:
        return None
    median = sorted(offsets)[len(offsets) // 2]
    agree = sum(abs(one - median) <= AGREEING for one in offsets)
    return median if abs(median) > TOLERATED and agree * 4 >= len(offsets) * 3 else None


def said_offset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how far a server's clock is ahead of ours, by the `Date` of its answer and the age of that."""
    said = read_rfc822(headers.get("date", ""))
    age = headers.get("age", "0").strip()
    if said is None or not age.isdecimal() or len(age) > 6:
        return None
    return said + timedelta(seconds=int(age)) - now


class OtherClocks:
    """What other servers' clocks say, for one process; `sentence` is for the owner."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[datetime, timedelta]] = {}
        self._too_early_or_late: dict[str, datetime] = {}  # whose certificates are, by our clock

    def reconsider(self, host: str, outcome: Outcome, now: datetime, *, by_date: bool = False) -> Outcome:
        """Return an outcome as it is, or as a shortage of ours where it comes of our own clock.

        `by_date`: there was no connection because a certificate has expired, or is not valid yet.
        """
        if isinstance(outcome, Answered):
            return self._answered(host, outcome, now)
        if not by_date:
            return outcome
        _remember(self._too_early_or_late, host, now)
        why = self.sentence(now)
        return Unreachable(why, Fault.SHORTAGE) if why else outcome

    def _answered(self, host: str, outcome: Answered, now: datetime) -> Outcome:
        if outcome.url.startswith("https:"):
            self._too_early_or_late.clear()  # a certificate was good by our clock
        theirs = said_offset(outcome.headers, now)
        if theirs is None:
            return outcome
        _remember(self._said, host, (now, theirs))
        ours = self._skew(now)
        # What a server with another time than the others refuses is between it and us.
        is_ours = ours is not None and abs(theirs - ours) <= AGREEING and outcome.status == 401
        return Unreachable(self.sentence(now), Fault.SHORTAGE) if is_ours else outcome

    def _skew(self, now: datetime) -> timedelta | None:
        return skew([offset for at, offset in self._said.values() if abs(now - at) <= REMEMBERED])

    def sentence(self, now: datetime) -> str:
        """Say that our clock is wrong; nothing while it seems right."""
        lately = [offset for at, offset in self._said.values() if abs(now - at) <= REMEMBERED]
        ours = skew(lately)
        if ours is not None:
            way = "behind" if ours > timedelta() else "ahead of"
            return f"the clock of this machine is {_shown(abs(ours))} {way} what {len(lately)} servers say"
        doubts = [host for host, at in self._too_early_or_late.items() if abs(now - at) <= REMEMBERED]
        if len(doubts) >= ENOUGH and not lately:
            return (
                f"the clock of this machine seems to be wrong: the certificates of {len(doubts)} servers "
                "have expired by it, or are not valid yet, and none was good"
            )
        return ""


def _remember(table: dict[str, T], host: str, what: T) -> None:
    table.pop(host, None)
    table[host] = what
    if len(table) > MOST:
        del table[next(iter(table))]


def _shown(step: timedelta) -> str:
    minutes = round(step / timedelta(minutes=1))
    for size, name in ((60 * 24, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {name}s"
    return f"{minutes} minutes"
