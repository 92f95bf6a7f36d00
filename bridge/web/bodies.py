"""Bodies on their way in: how much, how slowly and by whom, so that no few senders hold all there is.

Who is over a bound is not refused at the cost of others: of all that share one room, the largest that is
still being read is cut. An activity of a few kilobytes is never that.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridge.activitypub.ids import Ids
from bridge.addresses import is_public
from bridge.web.door import MAX_BODY
from bridge.web.hooks import MAX_CALL, MAX_PUSH
from bridge.web.limits import Address

MAX_HELD = 32 * 1024 * 1024
"""Bytes of all bodies of one room (what hubs push; everything else) that are read or wait for a thread."""

MAX_HELD_BY_ONE = 16 * 1024 * 1024  # bytes of those from one public address
GRACE = 5.0  # seconds, after which a body has to come at
SLOWEST = 16 * 1024  # bytes a second

PUSHES, OTHERS = "pushes", "others"


class Cut(Exception):
    """A body is read no further: too much arrives at once."""


class Body:
    """One request's body."""

    def __init__(self, bodies: "Bodies", path: str, sender: str | None) -> None:
        self.room = room_of(path)
        self.sender = sender
        self.received = bytearray()
        self._bodies = bodies
        self._most = most_for(path)
        self._timeout: asyncio.Timeout | None = None
        self.is_cut = False

    @property
    def is_coming(self) -> bool:
        """Whether it is still being read."""
        return self._timeout is not None

    async def read(self, protocol: Any) -> None:
        """Read it to its end, or as far as is needed to refuse it.

        Raises `TimeoutError` when it comes too slowly, and `Cut` when there is no room for it any more.
        """
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._deadline(began)) as self._timeout:
                async for chunk in protocol:
                    self.received += chunk
                    self._bodies.make_room(self)
                    if len(self.received) > self._most:
                        return
                    if not self.is_cut:
                        self._timeout.reschedule(self._deadline(began))
        except TimeoutError:
            if self.is_cut:
                raise Cut("Too much is arriving at once; please retry.") from None
            raise
        finally:
            self._timeout = None

    def cut(self) -> None:
        """Read no further."""
        self.is_cut = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def _deadline(self, began: float) -> float:
        slowest = self._bodies.grace + len(self.received) / SLOWEST
        return began + min(self._bodies.seconds, slowest)


class Bodies:
    """All bodies of one process that are being read or wait for a thread."""

    def __init__(self, *, seconds: float, grace: float = GRACE) -> None:
        self.seconds = seconds
        self.grace = grace
        self._held: set[Body] = set()

    @contextmanager
    def of(self, path: str, address: Address | None) -> Iterator[Body]:
        """Hold a request's body for as long as the block lasts.

        Behind a proxy that is not trusted, all look the same, and nobody is bounded by their address.
        """
        body = Body(self, path, str(address) if address is not None and is_public(address) else None)
        self._held.add(body)
        try:
            yield body
        finally:
            self._held.discard(body)

    def make_room(self, growing: Body) -> None:
        """Cut the largest of those that share a bound which `growing` has gone beyond."""
        shared = [body for body in self._held if body.room == growing.room and not body.is_cut]
        theirs = [body for body in shared if growing.sender is not None and body.sender == growing.sender]
        for bodies, most in ((theirs, MAX_HELD_BY_ONE), (shared, MAX_HELD)):
            if sum(len(body.received) for body in bodies) > most:
                coming = (body for body in bodies if body.is_coming and not body.is_cut)
                largest = max(coming, key=lambda body: len(body.received), default=growing)
                largest.cut()


def most_for(path: str) -> int:
    """Return how many bytes a body may have: hubs push whole feeds; most addresses expect nothing."""
    if path.startswith(_PUSH):
        return MAX_PUSH
    if path.endswith("/inbox"):
        return MAX_BODY
    return MAX_CALL if path.startswith(_CALLS) else 0


_PUSH = Ids("").websub("")
_CALLS = (Ids("").build_call(""), "/hooks/poll/")


def room_of(path: str) -> str:
    """Name the room that a path's bodies share."""
    return PUSHES if path.startswith(_PUSH) else OTHERS
