"""Which sources may be read at once: one host, and those that failed lately, leave slots for the others."""

from collections import Counter
from collections.abc import Callable, Iterable

from bridge.addresses import host_of
from bridge.errors import BadUrl
from bridge.store.sources import Source

MOST_OF_A_HOST = 5
MOST_FAILING_OF_A_HOST = 4  # so that those that answer have one slot there at any time
MOST_FAILING = 20  # of those that failed lately, waiting for an answer or not


class Shares:
    """What is being read now, by one worker process."""

    def __init__(self) -> None:
        self._reading: dict[int, tuple[str, bool]] = {}  # source → its host, and whether it failed lately

    def choice(self) -> Callable[[str, int], bool]:
        """Return what says, one after the other, whether a (location, failures) may be read too."""
        hosts = Counter(host for host, _ in self._reading.values())
        failing_of = Counter(host for host, fails in self._reading.values() if fails)
        failing = failing_of.total()

        def may_be_read(location: str, failures: int) -> bool:
            nonlocal failing
            host, fails = _host(location), failures > 0
            if hosts[host] >= MOST_OF_A_HOST:
                return False
            if fails and (failing >= MOST_FAILING or failing_of[host] >= MOST_FAILING_OF_A_HOST):
                return False
            hosts[host] += 1
            failing_of[host] += fails
            failing += fails
            return True

        return may_be_read

    def begin(self, claimed: Iterable[Source]) -> None:
        """Note what is read from now on."""
        for source in claimed:
            self._reading[source.id] = _host(source.moved_to or source.location), source.failures > 0

    def end(self, source: Source) -> None:
        """Note that a source was read, or not."""
        self._reading.pop(source.id, None)


def _host(location: str) -> str:
    """Name what is read: a feed's host, or a folder."""
    try:
        return host_of(location)
    except BadUrl:
        return location
