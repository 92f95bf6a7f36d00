"""The one door out: every request to another server, bounded in time, size, redirects and addresses."""

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from bridge.addresses import PUBLIC_INTERNET, Reach, check_url, host_of, join, origin
from bridge.errors import BadUrl, ConfigError
from bridge.model import Answered, Fault, Outcome, Unreachable
from bridge.moments import read_rfc822
from bridge.net.dns import Lookups
from bridge.net.our_clock import OtherClocks
from bridge.net.unpack import ACCEPT_ENCODING, Unpackable, unpacker

CONNECT_SECONDS = 5
PER_HOST = 2  # connections to one server at a time: a slow one holds no more slots than that
MAX_RETRY_AFTER = timedelta(hours=6)
_MAX_WHY = 200
_MAX_HEADER = 16 * 1024  # bytes of one header: a long Content-Security-Policy passes, a bomb does not
_MAX_ANSWERS = 16  # that wait to be looked at: one, and what may come before it (103 Early Hints)
_MAX_UNSEEN = 512 * 1024  # bytes that come meanwhile; reading pauses at less when they are a body
_ANSWER_SECONDS = 2.0  # for the rest of an answer to a POST, once its status is known
_HTTP_ONLY = frozenset({"https"})
_REDIRECTS = {301: True, 302: False, 303: False, 307: False, 308: True}  # status → permanent?
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "signature", "signature-input"}
_BROKEN_OFF = "the answer broke off or is garbled"

Sign = Callable[[str, str], Mapping[str, str]]
"""(method, canonical URL) → the headers that sign this request."""

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → its addresses; raises OSError when there are none."""


class RefusedAddress(OSError):
    """An address that may not be connected to."""

    def __init__(self, address: str) -> None:
        super().__init__(f"address {address} is not public")


class ResolverDown(OSError):
    """No name can be looked up."""

    def __init__(self) -> None:
        super().__init__("our own DNS resolver does not answer")


class UnusableAnswer(Exception):
    """An answer that came, and that we do not take: too large, packed oddly, redirecting astray."""


class TooLarge(UnusableAnswer):
    """More than we asked for."""


# What aiohttp, the sockets below it and our own rules raise when the far side is at fault.
_FAILURES = (
    BadUrl,
    UnusableAnswer,
    aiohttp.ClientError,
    HttpProcessingError,
    Unpackable,
    OSError,
    MemoryError,
    TimeoutError,
)

_SHORTAGES = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENETDOWN}
)
"""What the system says when it is us who lack something, whoever is asked."""

_NO_RESOLVER = frozenset({socket.EAI_AGAIN, socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""What a look-up says when it got no answer: the name's own servers may be away, or our resolver is."""


class Client:
    """All outgoing HTTP of one process; built inside the running loop and closed with it.

    `slots` requests run at a time; waiting for a slot does not count against a request's deadline.
    One server gets two connections at a time, and waiting for those does count: it is the server that
    is slow. Connections stay open for the next request to the same server only while fewer than `idle`
    are: a fan-out to thousands of servers meets none of them again soon. There are no cookies and no
    proxies, and nothing is read from the environment. `lookup` replaces DNS in tests. `clocks` hears what
    time other servers say it is.
    """

    def __init__(
        self,
        user_agent: str,
        reach: Reach = PUBLIC_INTERNET,
        *,
        slots: int = 300,
        idle: int = 100,
        lookup: Lookup | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clocks: OtherClocks | None = None,
    ) -> None:
        self._reach = reach
        self._now = now
        self._clocks = clocks
        self._slots = asyncio.Semaphore(slots)
        self._most_open = idle
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lookups = Lookups()
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(reach, lookup or self._lookups.addresses),
            socket_factory=self._dial,
            use_dns_cache=False,
            ssl=_tls_context(reach.ca_file),
            limit=0,
            limit_per_host=PER_HOST,
        )
        # There is no public place to say it; a test holds aiohttp to it.
        connector._factory = partial(_Answers, asyncio.get_running_loop())  # type: ignore[assignment]
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            trust_env=False,
            max_field_size=_MAX_HEADER,
            max_line_size=_MAX_HEADER,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; look-ups still under way are left to end by themselves."""
        await self._session.close()
        self._lookups.close()

    async def get(
        self,
        url: str,
        *,
        accept: str,
        limit: int,
        timeout: float,  # noqa: ASYNC109 -- ends as a value, Unreachable, not as an exception
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        schemes: Collection[str] = _HTTP_ONLY,
        redirects: int = 3,
    ) -> Outcome:
        """Fetch a document, following redirects; whatever goes wrong out there comes back as Unreachable.

        `limit` is in bytes after unpacking, `timeout` in seconds for everything together. `sign` is asked
        anew for every hop; credentials among `headers` are not shown to another origin.
        """
        sent = {"Accept": accept, **(headers or {})}
        try:
            async with self._slots, asyncio.timeout(timeout):
                return self._by_all_clocks(await self._follow(url, sent, sign, schemes, redirects, limit))
        except _FAILURES as error:
            return self._failed(url, error, timeout)

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float = 15,  # noqa: ASYNC109 -- as in get
        limit: int = 64 * 1024,
    ) -> Outcome:
        """POST signed bytes, exactly as they are; a redirect is not followed but Answered.

        Sign what `check_url` returns: that is what is sent. At most `limit` bytes of the answer are kept:
        its status counts, and a body that is too long or breaks off changes nothing about it.
        """
        try:
            target = check_url(url, reach=self._reach)
            async with self._slots, asyncio.timeout(timeout):
                return self._by_all_clocks(await self._post_persistently(target, body, headers, limit))
        except _FAILURES as error:
            return self._failed(url, error, timeout)

    def _by_all_clocks(self, outcome: Answered) -> Outcome:
        if self._clocks is None:
            return outcome
        return self._clocks.reconsider(host_of(outcome.url), outcome, self._now())

    def _failed(self, url: str, error: BaseException, seconds: float) -> Outcome:
        outcome = Unreachable(_explain(error, seconds), _fault(error))
        if self._clocks is None or not _is_by_date(error):
            return outcome
        return self._clocks.reconsider(host_of(url), outcome, self._now(), by_date=True)

    async def _post_persistently(
        self, url: str, body: bytes, headers: Mapping[str, str], limit: int
    ) -> Answered:
        """POST, and once more when a connection kept open was closed just as we used it.

        aiohttp does this for a GET only; an activity may arrive twice, so here it is as harmless.
        """
        try:
            return await self._post_once(url, body, headers, limit)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await self._post_once(url, body, headers, limit)

    async def _post_once(self, url: str, body: bytes, headers: Mapping[str, str], limit: int) -> Answered:
        async with self._request("POST", url, headers, body) as response:
            kept = bytearray()
            with contextlib.suppress(*_FAILURES):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    async for chunk in response.content.iter_any():
                        kept += chunk
                        if len(kept) > limit:
                            break
            return self._answered(response, bytes(kept[:limit]), url)

    async def _follow(
        self,
        url: str,
        headers: dict[str, str],
        sign: Sign | None,
        schemes: Collection[str],
        redirects: int,
        limit: int,
    ) -> Answered:
        """GET hop by hop until something other than a redirect answers."""
        url = check_url(url, reach=self._reach, schemes=schemes)
        visited = [url]
        permanent = True
        while True:
            signed = sign("GET", url) if sign else {}
            async with self._request("GET", url, {**headers, **signed}) as response:
                if response.status not in _REDIRECTS:
                    body = await _read(response, limit)
                    moved_to = url if permanent and len(visited) > 1 else None
                    strayed = len({origin(hop) for hop in visited}) > 1
                    return self._answered(response, body, url, moved_to, len(visited) - 1, strayed=strayed)
                target = self._next_hop(response, url, schemes)
                permanent = permanent and _REDIRECTS[response.status]
            if target in visited:
                raise UnusableAnswer("redirected in a circle")
            if len(visited) > redirects:
                raise UnusableAnswer("redirected too often")
            if origin(target) != origin(url):
                headers = {name: text for name, text in headers.items() if name.lower() not in _CREDENTIALS}
            visited.append(target)
            url = target

    def _next_hop(self, response: aiohttp.ClientResponse, url: str, schemes: Collection[str]) -> str:
        location = response.headers.get("Location", "")
        if not location:
            raise UnusableAnswer(f"redirected ({response.status}) without saying where to")
        joined = join(url, location)
        if joined is None:
            raise UnusableAnswer("redirected to something that is no URL")
        try:
            target = check_url(joined, reach=self._reach, schemes=schemes)
        except BadUrl as error:
            raise UnusableAnswer(f"redirected astray: {error}") from None
        if url.startswith("https:") and not target.startswith("https:"):
            raise UnusableAnswer("redirected from https to http")
        return target

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if len(self._open) >= self._most_open:
            headers = {**headers, "Connection": "close"}
        # encoded=True: the path that was signed is the path that is sent.
        return self._session.request(
            method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
        )

    def _answered(
        self,
        response: aiohttp.ClientResponse,
        body: bytes,
        url: str,
        moved_to: str | None = None,
        hops: int = 0,
        *,
        strayed: bool = False,
    ) -> Answered:
        headers = _plain_headers(response)
        wait = parse_retry_after(headers["retry-after"], self._now()) if "retry-after" in headers else None
        return Answered(response.status, headers, body, url, moved_to, wait, hops, strayed)

    def _dial(
        self, info: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
    ) -> socket.socket:
        """Make the socket for an address that is about to be connected to: the last word on every address."""
        family, kind, protocol, _, (address, port, *_) = info
        if not self._reach.permits(address, port):
            raise RefusedAddress(address)
        dialled = socket.socket(family, kind, protocol)
        self._open.add(dialled)
        return dialled


class _CheckedResolver(AbstractResolver):
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


class _Answers(ResponseHandler):
    """Reads answers as aiohttp does, and gives up on a server that sends them without end.

    They are queued as they are parsed. uvloop reads a busy connection 32 times before anyone takes them from
    the queue: 8 MB, which are 300,000 answers of a line, and 130 MB once they are objects.
    """

    _unseen = 0  # bytes since the queue was empty

    def data_received(self, data: bytes) -> None:
        if self.exception() is not None:
            return
        self._unseen = self._unseen + len(data) if len(self) else len(data)
        super().data_received(data)
        endless = len(self) > _MAX_ANSWERS or (len(self) and self._unseen > _MAX_UNSEEN)
        if endless and self.transport is not None:
            self.set_exception(UnusableAnswer("one request is answered again and again"))
            self.transport.abort()


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Read a Retry-After header, clamped to six hours; None for what is neither 0–86,400 s nor a date."""
    text = text.strip()
    if len(text) > 64:
        return None
    if re.fullmatch("[0-9]+", text):
        return min(timedelta(seconds=int(text)), MAX_RETRY_AFTER) if int(text) <= 86_400 else None
    until = read_rfc822(text)
    return None if until is None else min(max(until - now, timedelta()), MAX_RETRY_AFTER)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for piece in _unpack(response):
        body += piece
        if len(body) > limit:
            raise TooLarge(f"body larger than {_human_size(limit)}")
    return bytes(body)


async def _unpack(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    unpacking = unpacker(response.headers.get("Content-Encoding", ""))
    async for chunk in response.content.iter_any():
        for piece in unpacking.unpack(chunk):
            yield piece
    if not unpacking.complete:
        raise UnusableAnswer(_BROKEN_OFF)


def _plain_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Lower-case the names, join what is repeated, and mend bytes that are no text."""
    headers: dict[str, str] = {}
    for name, text in response.headers.items():
        key = name.lower()
        clean = text if text.isascii() else text.encode(errors="replace").decode()
        headers[key] = f"{headers[key]}, {clean}" if key in headers else clean
    return headers


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigError(f"{ca_file} holds no certificates we can read: {error}") from error
    return context


def _human_size(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} bytes"


# ── whose fault it is ────────────────────────────────────────────────────────────────────────────


def _fault(error: BaseException) -> Fault:
    """Say whose failure an error is: a host's only when there was no connection to it at all."""
    if _is_shortage(error):
        return Fault.SHORTAGE
    match error:
        case BadUrl():
            return Fault.RULE
        case TooLarge():
            return Fault.SIZE
        case aiohttp.ClientConnectorError():
            return Fault.OURS if isinstance(error.os_error, RefusedAddress) else Fault.HOST
        case RefusedAddress():
            return Fault.OURS
        case aiohttp.ConnectionTimeoutError():
            return Fault.HOST
        case _:
            return Fault.INBOX


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, MemoryError | ResolverDown):
        return True
    return isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno in _SHORTAGES


def _is_by_date(error: BaseException) -> bool:
    """Say whether a certificate was refused because of what time it is here."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return False
    refused = error.certificate_error
    return isinstance(refused, ssl.SSLCertVerificationError) and refused.verify_code in _BY_DATE


# ── why it failed, for people ────────────────────────────────────────────────────────────────────

_DNS = {
    socket.EAI_NONAME: "DNS: no such name",
    socket.EAI_AGAIN: "DNS: no answer",
}
_BY_DATE = (9, 10)
_CERTIFICATE = {  # OpenSSL's X509_V_ERR_… numbers
    10: "certificate expired",
    9: "certificate not valid yet",
    18: "certificate is self-signed",
    19: "certificate of an unknown authority",
    20: "certificate of an unknown authority, or sent without its chain",
    21: "certificate of an unknown authority, or sent without its chain",
    62: "certificate is for another name",
}


def _explain(error: BaseException, timeout: float) -> str:
    """Say in one short line why a request came to nothing."""
    return " ".join(_reason(error, timeout).split())[:_MAX_WHY]


def _reason(error: BaseException, timeout: float) -> str:
    match error:
        case MemoryError():
            return "out of memory"
        case BadUrl() | UnusableAnswer() | Unpackable() | RefusedAddress() | ResolverDown():
            return str(error)
        case aiohttp.ClientConnectorCertificateError():
            return _tls_reason(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return _tls_reason(error.os_error)
        case aiohttp.ClientConnectorError():
            return _reason(error.os_error, timeout)
        case aiohttp.ServerTimeoutError():
            return f"no connection in {CONNECT_SECONDS} s"
        case TimeoutError():
            return f"no answer in {timeout:g} s"
        case aiohttp.ServerDisconnectedError():
            return "connection closed without an answer"
        case aiohttp.ClientPayloadError():
            return _BROKEN_OFF
        case socket.gaierror():
            return _DNS.get(error.errno or 0, "DNS: no address found")
        case OSError():
            return os.strerror(error.errno).lower() if error.errno else "connection lost"
        case _:
            return "the answer is no valid HTTP"


def _tls_reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "TLS: " + _CERTIFICATE.get(error.verify_code, error.verify_message)
    named = getattr(error, "reason", None) or "handshake failed"
    return "TLS: " + named.replace("_", " ").lower()
