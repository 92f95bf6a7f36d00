"""Names are looked up in threads of our own, in shares: names that hang hold up only their like.

A look-up cannot be broken off: where nobody answers for a name, the system waits 10 to 40 seconds in a
thread, long after whoever wanted the address has given up. Strangers name as many such names as they like.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import Enum
from typing import Any
from weakref import WeakValueDictionary

from bridge.addresses import domain_of


class Share(Enum):
    """For whom a name is looked up; the value is how many threads may do so at a time."""

    OURS = 64  # deliveries, feeds, whom our posts mention
    FIRSTS = 192  # keys of the firsts among strangers
    STRANGERS = 32  # what else strangers have us fetch


PER_DOMAIN = 8  # look-ups for strangers under way of one domain, whose name servers may be made to hang

_share: ContextVar[Share] = ContextVar("share", default=Share.OURS)


@contextmanager
def shared_by(share: Share) -> Iterator[None]:
    """Look up names in this share, for as long as the block lasts and in the tasks that it starts.

    It is no argument, because aiohttp stands between whoever fetches and whoever looks up.
    """
    before = _share.set(share)
    try:
        yield
    finally:
        _share.reset(before)


class Lookups:
    """All look-ups of one process."""

    def __init__(self, ask: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        self._ask = ask
        self._threads = {share: ThreadPoolExecutor(share.value, f"dns-{share.name}") for share in Share}
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return a name's addresses; raises OSError when there are none."""
        share = _share.get()
        if share is Share.OURS:
            found = await asyncio.wrap_future(self._begin(share, host, port))
        else:
            found = await self._in_turn(share, host, port)
        return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]

    def close(self) -> None:
        """Begin nothing more; look-ups still under way are left to end by themselves."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, share: Share, host: str, port: int) -> Sequence[Any]:
        turn = self._turns.setdefault(domain_of(host), asyncio.Semaphore(PER_DOMAIN))
        loop = asyncio.get_running_loop()
        await turn.acquire()

        def end(_: object) -> None:
            with suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(turn.release)

        try:
            under_way = self._begin(share, host, port)
        except BaseException:
            turn.release()
            raise
        under_way.add_done_callback(end)  # whoever waits may give up before
        return await asyncio.wrap_future(under_way)

    def _begin(self, share: Share, host: str, port: int) -> Future[Sequence[Any]]:
        kind, flags = socket.SOCK_STREAM, socket.AI_ADDRCONFIG
        try:
            return self._threads[share].submit(self._ask, host, port, type=kind, flags=flags)
        except RuntimeError as error:  # no thread can be started
            raise OSError(errno.ENOMEM, str(error)) from error
