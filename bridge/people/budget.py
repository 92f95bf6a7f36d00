"""How many fetches may fail in a minute, of one host and of all."""

from collections import defaultdict, deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta

FAILURES_PER_HOST, FAILURES_IN_ALL = 6, 60  # a minute
FIRSTS_PER_HOST, FIRSTS_IN_ALL = 12, 900  # of the firsts of their party, who have an allowance of their own
# A minute, from a host that answered lately: made-up keys must not shut its people out.
FAILURES_OF_PROVEN = 30
PROVEN_FOR = timedelta(days=1)
NEW_PER_HOST, NEW_IN_ALL = 60, 600  # a minute, of what was never tried before

_MINUTE = timedelta(minutes=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Counted = tuple[deque[datetime], ...]
"""Where a fetch was counted, so that it is taken off nowhere else."""


class Budget:
    """How many fetches may fail in a minute: a flood of made-up key ids must not make us a weapon.

    What is under way counts as failed until it succeeds, and is given back then: thousands of followers who
    arrive with a Move are all genuine, and each needs one fetch that succeeds.
    """

    def __init__(self) -> None:
        self._failures: dict[str, deque[datetime]] = defaultdict(deque)
        self._all: deque[datetime] = deque()
        self._firsts: deque[datetime] = deque()
        self._new: dict[str, deque[datetime]] = defaultdict(deque)
        self._all_new: deque[datetime] = deque()
        self._answered: dict[str, datetime] = {}

    def take(self, host: str, now: datetime, *, first: bool = False, new: bool = False) -> Counted:
        """Count another fetch from this host, and return where; nowhere, if it may not be tried.

        `first`: for someone from whom nothing unproven came lately. What others had tried in vain is not
        held against them. `new`: for what was never tried before, which has an allowance of its own.
        """
        if new and self._has_room_for_new(host, now):
            return _count(now, self._new[host], self._all_new)
        failed, everywhere = _recent(self._failures[host], now), self._firsts if first else self._all
        most, most_in_all = (
            (FIRSTS_PER_HOST, FIRSTS_IN_ALL) if first else (FAILURES_PER_HOST, FAILURES_IN_ALL)
        )
        proven = now - self._answered.get(host, _LONG_AGO) < PROVEN_FOR
        spent = failed >= most or _recent(everywhere, now) >= most_in_all
        if failed >= FAILURES_OF_PROVEN if proven else spent:
            return ()
        self._forget_quiet_hosts(now)
        return _count(now, self._failures[host], everywhere)

    def in_vain(self, host: str, now: datetime) -> None:
        """Count a fetch as failed though it was answered: what was looked for was not in it."""
        if self._has_room_for_new(host, now):
            _count(now, self._new[host], self._all_new)
        else:
            _count(now, self._failures[host], self._all)

    def give_back(self, host: str, then: datetime, counted: Counted) -> None:
        """Count a fetch no longer: it succeeded."""
        self._answered[host] = then
        self.uncount(then, counted)

    def uncount(self, then: datetime, counted: Counted) -> None:
        """Count a fetch no longer: it never came to be, for want of something of ours."""
        for moments in counted:
            with suppress(ValueError):  # it took so long that it was forgotten meanwhile
                moments.remove(then)

    def _has_room_for_new(self, host: str, now: datetime) -> bool:
        of_host, in_all = _recent(self._new[host], now), _recent(self._all_new, now)
        return of_host < NEW_PER_HOST and in_all < NEW_IN_ALL

    def _forget_quiet_hosts(self, now: datetime) -> None:
        if len(self._failures) > 1000:  # hosts are named by strangers: forget those that are quiet
            self._answered = {h: t for h, t in self._answered.items() if now - t < PROVEN_FOR}
        for counted in (self._failures, self._new):
            if len(counted) > 1000:
                for quiet in [name for name, failed in counted.items() if not _recent(failed, now)]:
                    del counted[quiet]


def _count(now: datetime, *moments: deque[datetime]) -> Counted:
    for counted in moments:
        counted.append(now)
    return moments


def _recent(moments: deque[datetime], now: datetime) -> int:
    while moments and now - moments[0] > _MINUTE:
        moments.popleft()
    return len(moments)
