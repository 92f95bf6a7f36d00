"""Who is asking, and whether they ask too often."""

import ipaddress
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address

from bridge.addresses import domain_of, is_public, read_address

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_TRACKED = 10_000  # addresses; strangers choose how many there are


class RateLimit:
    """At most `requests` per `seconds` from one address, one IPv6 /64 or one name; each process counts."""

    def __init__(self, requests: int, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(requests)
        self._per_second = requests / seconds
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, who: Address | str) -> bool:
        """Count a request and say whether it is within the limit."""
        key, now = _bucket(who), self._clock()
        left, then = self._left.get(key, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        if key not in self._left and len(self._left) >= MAX_TRACKED:
            self._left.clear()
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Parties:
    """Names whoever shares what strangers may take: all from one address; behind a proxy, all of one domain.

    The names tell nothing, and nothing at all after this process has ended.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)

    def name(self, address: Address | None, key_host: str) -> str:
        """Name the party of a request from an address, signed with a key on a host."""
        # A private address is a proxy's, behind which everyone is.
        named = _bucket(address) if address is not None and is_public(address) else domain_of(key_host)
        return blake2b(named.encode(), key=self._secret, digest_size=8).hexdigest()


def address_behind(peer: str, forwarded_for: str, trusted: Sequence[Network] | None) -> Address | None:
    """Return the peer, or whom the nearest trusted proxies say it was.

    `None`: no proxies are named. Then a peer with a private address is one, and its last hop is
    believed: nothing hangs on it but who shares which limit.
    """
    address = _parse(peer)
    hops = forwarded_for.split(",")
    if trusted is None:
        near = address is not None and not is_public(address)
        return (_parse(hops[-1]) or address) if near else address
    while address is not None and any(address in network for network in trusted):
        before = _parse(hops.pop()) if hops else None
        if before is None:  # whatever stands further left a stranger may have written
            break
        address = before
    return address


def _parse(text: str) -> Address | None:
    """Read an address, with or without a port, as IIS and Azure's proxies write them."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = read_address(text.partition("%")[0])
    # Seen by a socket that takes both: otherwise all of IPv4 would share one bucket.
    return getattr(address, "ipv4_mapped", None) or address


def _bucket(who: Address | str) -> str:
    if isinstance(who, IPv6Address):
        return str(ipaddress.ip_network((who, 64), strict=False))
    return str(who)
