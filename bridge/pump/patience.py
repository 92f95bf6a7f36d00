"""How long an attempt keeps its slot: a few times as long as others took lately, and never very long.

Slots bound what is worked on. Who does not answer is not worked on but waited for, which costs a socket and
little else: an attempt that takes much longer than its like gives its slot up, and goes on without one. The
measure moves by itself: the more slots are lost to servers that hang, the faster the rest get their turn, the
sooner the lost ones are given up.
"""

from collections import deque
from statistics import median

SHORTEST, FIRST, LONGEST = 0.25, 1.0, 2.0
"""Seconds: the least anyone gets, what they get while nothing is known, and the most."""

TIMES = 3  # as long as the one in the middle took
_LATELY, _ENOUGH = 100, 10  # attempts


class Patience:
    """What one lane has learned about how long attempts take; at most `most` may be under way in all."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._lately: deque[float] = deque(maxlen=_LATELY)

    def learn(self, seconds: float) -> None:
        """Note how long an attempt took, whatever came of it."""
        self._lately.append(seconds)

    @property
    def seconds(self) -> float:
        """How long an attempt keeps its slot now."""
        if len(self._lately) < _ENOUGH:
            return FIRST
        return min(max(TIMES * median(self._lately), SHORTEST), LONGEST)
