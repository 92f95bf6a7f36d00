"""Who is asking, and whether they ask too often."""

import ipaddress
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from flask import Request

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_TRACKED = 10_000  # addresses; strangers choose how many there are


class RateLimit:
    """At most `requests` per `seconds` from one address, or one IPv6 /64; kept in this process only."""

    def __init__(self, requests: int, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(requests)
        self._per_second = requests / seconds
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, address: Address) -> bool:
        """Count a request and say whether it is within the limit."""
        key, now = _bucket(address), self._clock()
        left, then = self._left.get(key, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        if key not in self._left and len(self._left) >= MAX_TRACKED:
            self._left.clear()
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def client_address(asked: Request, trusted: Sequence[Network]) -> Address | None:
    """Return who sent a request: the peer, or whom the nearest trusted proxies say it was."""
    address = _parse(asked.environ.get("REMOTE_ADDR", ""))
    hops = [part.strip() for part in asked.headers.get("X-Forwarded-For", "").split(",")]
    while address is not None and hops and any(address in network for network in trusted):
        address = _parse(hops.pop()) or address
        if not hops:
            break
    return address


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None


def _bucket(address: Address) -> str:
    if isinstance(address, IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
