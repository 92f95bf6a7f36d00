"""The one door for URLs from outside: taken apart without raising, and which of them are opened. Pure.

Which addresses are connected to is asked here too, and again at the dial.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NoReturn
from urllib.parse import quote, urljoin, urlsplit

import idna

from bridge.errors import BadUrl

MAX_URL = 2048
_MAX_SHOWN = 200
_DEFAULT_PORTS = {"https": 443, "http": 80}

# ── addresses ────────────────────────────────────────────────────────────────────────────────────

# `ipaddress.is_global` calls ::127.0.0.1, 64:ff9b::7f00:1 and 224.0.0.1 global, so IPv6 is an
# allow-list with holes and IPv4 the IANA special-purpose registry, spelt out.
_V6_UNICAST = IPv6Network("2000::/3")
_V6_REFUSED = tuple(
    IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_V4_REFUSED = tuple(
    IPv4Network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
    )
)


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Say whether an address belongs to the public internet; anything that is no address does not.

    An IPv4 address wrapped in IPv6 (``::ffff:10.0.0.1``) is judged as the IPv4 address it is.
    """
    if isinstance(address, str):
        found = read_address(address)
        if found is None:
            return False
        address = found
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is None:
            return address in _V6_UNICAST and not any(address in net for net in _V6_REFUSED)
        address = address.ipv4_mapped
    return not any(address in net for net in _V4_REFUSED)


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a text is, without brackets; `None` for any other text."""
    try:
        return ip_address(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Reach:
    """What may be connected to beside the public internet: for tests, the demo, and feeds at home.

    Always a constructor argument, never read from the environment. `private` opens every address, for
    feeds whose owner says in config.toml that they are on a network of their own. `allow` holds
    (address, port) pairs; `hosts` maps a host name to an address without DNS, as curl's ``--resolve``
    does, and answers for every name below it too; `ca_file` is a PEM file trusted in addition to the
    public authorities.
    """

    allow: frozenset[tuple[str, int]] = frozenset()
    hosts: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None
    private: bool = False

    def permits(self, address: str, port: int) -> bool:
        """Say whether a socket may be opened to this address and port."""
        return self.private or (address, port) in self.allow or is_public(address)

    def opens_port(self, port: int) -> bool:
        """Say whether URLs with this port are exempt from the rules for names and schemes."""
        return self.private or any(port == opened for _, opened in self.allow)

    def address_of(self, host: str) -> str | None:
        """Find the address that `hosts` gives for a name or for one of its parent domains."""
        if not self.hosts:
            return None
        labels = host.split(".")
        domains = (".".join(labels[depth:]) for depth in range(len(labels)))
        return next((self.hosts[domain] for domain in domains if domain in self.hosts), None)


PUBLIC_INTERNET = Reach()


def parse_pair(text: str) -> tuple[str, int]:
    """Read ``127.0.0.1:8001`` or ``[::1]:8001`` as a pair for `Reach.allow`; raises BadUrl otherwise."""
    address, _, port = text.rpartition(":")
    literal = read_address(address.removeprefix("[").removesuffix("]"))
    if literal is None or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise BadUrl(f"write an address and a port, such as 127.0.0.1:8001, instead of {text[:_MAX_SHOWN]!r}")
    return str(literal), int(port)


# ── URLs as they are written ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parts:
    """A URL taken apart as it is written; `host` in lower case, without brackets, port and user.

    Everything is empty where it cannot be taken apart: a port that is no number or beyond 65535, brackets
    that hold no IPv6 address, a host that changes into a path when it is normalised (NFKC).
    """

    scheme: str = ""
    netloc: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""
    query: str = ""
    fragment: str = ""

    @property
    def site(self) -> str:
        """The host without its `www.`, by which people call it."""
        return _folded(self.host).removeprefix("www.")


_NO_PARTS = Parts()


def take_apart(url: str) -> Parts:
    """Return the parts of a URL, absolute or not; never raises."""
    try:
        split = urlsplit(url)
        host, port = split.hostname or "", split.port
    except ValueError:
        return _NO_PARTS
    return Parts(split.scheme, split.netloc, host, port, split.path, split.query, split.fragment)


def join(base: str, url: str) -> str | None:
    """Return where `url` leads from `base`; `None` where either cannot be taken apart."""
    try:
        joined = urljoin(base, url)
    except ValueError:
        return None
    return joined if not joined or take_apart(joined) is not _NO_PARTS else None


def published(url: str) -> str | None:
    """Return an absolute URL as it may be shown, without user name and password; `None` if it leads nowhere.

    Browsers take a backslash for a slash: before an ``@`` it hides whose host it is.
    """
    parts = take_apart(url)
    labels = parts.host.removesuffix(".").split(".")
    if not all(labels) or parts.port == 0 or "\\" in parts.netloc:
        return None
    bare = parts.netloc.rpartition("@")[2]
    return url.replace(f"//{parts.netloc}", f"//{bare}", 1)


def names_a_user(url: str) -> bool:
    """Say whether a URL has a user name or password in it, which is nobody else's business."""
    return "@" in take_apart(url).netloc


# From the loosest to the strictest: `same_site` (people call it one), `same_host` (servers do), `same_origin`
# (below; who is there is trusted). A URL without a host is on none and shares with nothing.


def same_site(one: str, other: str) -> bool:
    """Say whether two URLs are on one host, with or without `www.`, whatever their scheme and port."""
    site = take_apart(one).site
    return bool(site) and site == take_apart(other).site


def same_host(one: str, other: str) -> bool:
    """Say whether two URLs are on one host, whatever their scheme and port.

    So compares Mastodon before it believes an actor's or a post's `url` (4.3, `non_matching_uri_hosts?`).
    """
    host = _folded(take_apart(one).host)
    return bool(host) and host == _folded(take_apart(other).host)


def _folded(host: str) -> str:
    """Return the one spelling of a host: lower case, A-labels, no dot at its end."""
    try:
        return _canonical_host(host.removesuffix("."))
    except ValueError:  # an IPv6 address, or nothing that is ever connected to
        return host


# ── URLs that are opened ─────────────────────────────────────────────────────────────────────────

_FORBIDDEN = re.compile(r"[\s\\\x00-\x1f\x7f-\x9f]")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # what makes a resolver read the whole host as an IPv4 address
_SENT_AS_IS = "%!$&'()*+,;=:@/?[]~"  # every other character of path and query is percent-encoded once


@dataclass(frozen=True, slots=True)
class _Canonical:
    """A URL taken apart, each part canonical; `target` is path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def netloc(self) -> str:
        """The host, with its port where that is not the scheme's own."""
        return self.host if self.port == _DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def is_literal(self) -> bool:
        return self.host.startswith("[") or _ends_in_number(self.host)


def check_url(url: str, *, reach: Reach = PUBLIC_INTERNET, schemes: Collection[str] = ("https",)) -> str:
    """Return a URL in the one spelling we open and sign, or raise BadUrl saying why we do not open it.

    The fragment is dropped: it never travels, and key ids (``…#main-key``) are fetched without it.
    Percent-encoding is left as it is, so that the path signed is the path sent. What comes out goes in
    again unchanged. On a port that `reach` opens, http, single-label names and IP addresses are fine;
    the address is judged again when the socket opens.
    """
    parts = _parse(url)
    if not reach.opens_port(parts.port):
        _check_public(parts, url, schemes)
    canonical = f"{parts.scheme}://{parts.netloc}{parts.target}"
    if len(canonical) > MAX_URL:
        _refuse(f"a URL may have {MAX_URL} characters", url)
    return canonical


def origin(url: str) -> str | None:
    """Name the origin of a URL (``https://host:443``); None for what has none, so comparisons fail closed."""
    try:
        parts = _parse(url)
    except BadUrl:
        return None
    return f"{parts.scheme}://{parts.host}:{parts.port}"


def same_origin(a: str, b: str) -> bool:
    """Say whether two URLs share scheme, host and port; a URL without a host shares with nothing."""
    ours = origin(a)
    return ours is not None and ours == origin(b)


def host_of(url: str) -> str:
    """Name the peer behind a URL: its host, with the port where that is unusual; raises BadUrl."""
    return _parse(url).netloc


def is_at_home(url: str, owner: str) -> bool:
    """Say whether a URL is on the host of another one, or on one below it, whose owner the same person is."""
    theirs, ours = _parse(url).host, _parse(owner).host
    return theirs == ours or theirs.endswith(f".{ours}")


def domain_of(host: str) -> str:
    """Name the domain a host belongs to, roughly: whoever has it can make up names below it without end.

    No list of public suffixes: ``co.uk`` and its like are known by their shape.
    """
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    name = host.partition(":")[0]
    labels = name.split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return name if _ends_in_number(name) else ".".join(labels[-3 if short else -2 :])


def _check_public(parts: _Canonical, url: str, schemes: Collection[str]) -> None:
    if parts.scheme not in schemes:
        _refuse(f"only {' and '.join(sorted(schemes))} is opened, not {parts.scheme}", url)
    if parts.port != _DEFAULT_PORTS[parts.scheme]:
        _refuse(f"port {parts.port} is not opened, only the default one", url)
    if parts.is_literal:
        _refuse("an IP address is not accepted as a host name", url)
    if "." not in parts.host or parts.host.endswith(".localhost"):
        _refuse("the host is not a public name", url)


def _parse(url: str) -> _Canonical:
    if len(url) > MAX_URL:
        _refuse(f"a URL may have {MAX_URL} characters", url)
    if _FORBIDDEN.search(url):
        _refuse("a URL has no spaces, control characters or backslashes", url)
    shape = _URL.fullmatch(url)
    scheme = shape["scheme"].lower() if shape else ""
    if not shape or scheme not in _DEFAULT_PORTS:
        _refuse("a URL begins with https:// and a host", url)
    host, port = _split_authority(shape["authority"], url)
    try:
        target = quote((shape["path"] or "/") + (shape["query"] or ""), safe=_SENT_AS_IS)
    except UnicodeEncodeError:
        _refuse("the path contains half a character (a lone surrogate)", url)
    return _Canonical(scheme, host, _DEFAULT_PORTS[scheme] if port is None else port, target)


def _split_authority(authority: str, url: str) -> tuple[str, int | None]:
    if "@" in authority:
        _refuse("a URL must not contain a user name or password", url)
    parts = _AUTHORITY.fullmatch(authority)
    if not parts:
        _refuse("the host or port is missing or misspelt", url)
    port = int(parts["port"]) if parts["port"] else None
    if port is not None and not 0 < port < 65536:
        _refuse("a port is a number from 1 to 65535", url)
    try:
        return _canonical_host(parts["host"]), port
    except ValueError:
        _refuse("the host is not a valid name or address", url)


def _canonical_host(host: str) -> str:
    """Bring a host to lower-case A-labels, or an address to its usual spelling; ValueError for neither."""
    if host.startswith("["):
        return f"[{IPv6Address(host[1:-1])}]"
    if len(host) > 253:
        raise ValueError(host)
    # UTS 46 first, then look: it turns ①②⑦.⓪.⓪.① into 127.0.0.1 and 。 into a dot.
    name = host.lower() if host.isascii() else idna.uts46_remap(host, std3_rules=True)
    name = ".".join(label if label.isascii() else idna.alabel(label).decode() for label in name.split("."))
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(host)
    return str(IPv4Address(name)) if _ends_in_number(name) else name


def _ends_in_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _refuse(why: str, url: str) -> NoReturn:
    raise BadUrl(f"{why}: {_shown(url)}")


def _shown(url: str) -> str:
    """Shorten a URL for a message, without what may be secret in it: credentials and the query."""
    shown = re.sub(r"//[^/?#]*@", "//…@", url[:MAX_URL])
    shown = re.sub(r"[?#].*", "?…", shown, flags=re.DOTALL)
    shown = "".join(char if char.isprintable() else "�" for char in shown)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"
