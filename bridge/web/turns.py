"""Whose turn it is: requests that wait for a thread wait beside those of other parties, not behind them.

In one line a genuine request waits behind all junk that came before. Here every party has a line of its own,
and those lines take turns; a party that had no turn lately goes first, every other time. Of such parties the
newest goes first: a flood under ever new names would bury whoever is real otherwise.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

MOST_WAITING = 1_000  # requests of a process
MOST_WAITING_OF_ONE = 200  # of one party
LATELY = 60.0  # seconds
MAX_REMEMBERED = 10_000  # parties that had a turn lately


class Crowded(Exception):
    """Too many wait; of the party that has most of them."""


Line = deque[asyncio.Future[None]]


class Turns:
    """At most `at_once` requests go on at a time; the others wait for their turn. For one event loop."""

    def __init__(self, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = at_once
        self._clock = clock
        self._new: OrderedDict[str, Line] = OrderedDict()  # parties that had no turn lately
        self._others: OrderedDict[str, Line] = OrderedDict()
        self._lately: OrderedDict[str, float] = OrderedDict()
        self._new_is_next = True

    def __len__(self) -> int:
        return sum(len(line) for lines in (self._new, self._others) for line in lines.values())

    async def come(self, party: str) -> None:
        """Return when it is this party's turn; `end` has to be called after it.

        Raises `Crowded` when there is no room to wait in.
        """
        if self._free > 0:
            self._free -= 1
            self._remember(party)
            return
        self._make_room(party)
        turn = asyncio.get_running_loop().create_future()
        self._line(party).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.end()  # it had come to nobody
            raise

    def end(self) -> None:
        """End a turn, and begin the next one."""
        while (turn := self._next()) is not None:
            if not turn.done():  # whoever gave up needs none
                turn.set_result(None)
                return
        self._free += 1

    def _line(self, party: str) -> Line:
        lines = self._others if party in self._others or self._had_a_turn(party) else self._new
        return lines.setdefault(party, deque())

    def _next(self) -> asyncio.Future[None] | None:
        kinds = (self._new, self._others) if self._new_is_next else (self._others, self._new)
        lines = kinds[0] or kinds[1]
        if not lines:
            return None
        self._new_is_next = lines is self._others
        party, line = lines.popitem(last=lines is self._new)
        turn = line.popleft()
        self._remember(party)
        if line:
            self._others[party] = line  # at the end: all others come first
        return turn

    def _make_room(self, party: str) -> None:
        """Refuse the last of the party of which most wait, which may be whoever comes now."""
        if len(self._new.get(party) or self._others.get(party) or ()) >= MOST_WAITING_OF_ONE:
            raise Crowded
        if len(self) < MOST_WAITING:
            return
        largest, lines = max(self._all(), key=lambda found: len(found[1][found[0]]))
        lines[largest].pop().set_exception(Crowded())
        if not lines[largest]:
            del lines[largest]

    def _all(self) -> Iterator[tuple[str, OrderedDict[str, Line]]]:
        # Among equals the oldest: whoever sent it may have given up, and newer ones go before it anyway.
        for lines in (self._new, self._others):
            for party in lines:
                yield party, lines

    def _had_a_turn(self, party: str) -> bool:
        return self._clock() - self._lately.get(party, float("-inf")) < LATELY

    def _remember(self, party: str) -> None:
        self._lately[party] = self._clock()
        self._lately.move_to_end(party)
        if len(self._lately) > MAX_REMEMBERED:
            self._lately.popitem(last=False)
