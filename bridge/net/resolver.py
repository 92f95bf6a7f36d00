"""Names become addresses that may be connected to, or the reason why not."""

import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from bridge.addresses import Reach
from bridge.net.failures import RefusedAddress, ResolverDown

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → its addresses; raises OSError when there are none."""

_NO_RESOLVER = frozenset({socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""What a look-up says when it got no answer: the name's own servers may be away, or our resolver is."""


class CheckedResolver(AbstractResolver):
    """Refuses a name entirely when any of its addresses is refused: any of them might be dialled."""

    def __init__(self, reach: Reach, lookup: Lookup) -> None:
        self._reach = reach
        self._lookup = lookup
        self._known: tuple[str, ...] = ()  # the names found last

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        given = self._reach.address_of(host)
        addresses = [given] if given else await self._find(host, port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for address in addresses:
            if not self._reach.permits(address, port):
                raise RefusedAddress(address)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def _find(self, host: str, port: int) -> Sequence[str]:
        """Look a name up; what no name gets an answer to is no failure of this one."""
        try:
            found = await self._lookup(host, port)
        except socket.gaierror as error:
            if error.errno in _NO_RESOLVER and await self._is_down(host):
                raise ResolverDown from error
            raise
        self._known = (*(name for name in self._known if name != host), host)[-2:]
        return found

    async def _is_down(self, but: str) -> bool:
        """Ask for a name that was found before; while there is none, nothing speaks for our resolver."""
        for name in reversed(self._known):
            if name != but:
                try:
                    await self._lookup(name, 443)
                except socket.gaierror as error:
                    return error.errno in _NO_RESOLVER
                return False
        return True

    async def close(self) -> None:
        """Hold nothing to close."""
