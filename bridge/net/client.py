"""The one door out: every request to another server, bounded in time, size, redirects and addresses."""

import asyncio
import contextlib
import socket
import ssl
import weakref
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from types import TracebackType
from typing import Self

import aiohttp
import certifi
from yarl import URL

from bridge.addresses import PUBLIC_INTERNET, Reach, check_url, host_of, join, origin
from bridge.errors import BadUrl, ConfigError
from bridge.model import Answered, Outcome, Unreachable
from bridge.net.answers import BoundedAnswers, parse_retry_after, plain_headers, read_body
from bridge.net.dns import Lookups
from bridge.net.failures import (
    CONNECT_SECONDS,
    FAILURES,
    RefusedAddress,
    UnusableAnswer,
    explain,
    fault_of,
    is_by_date,
)
from bridge.net.our_clock import OtherClocks
from bridge.net.resolver import CheckedResolver, Lookup
from bridge.net.unpack import ACCEPT_ENCODING

PER_HOST = 2  # connections to one server at a time: a slow one holds no more slots than that
ANSWER_SECONDS = 15.0  # for a POST to be answered, connecting included
_MAX_HEADER = 16 * 1024  # bytes of one header: a long Content-Security-Policy passes, a bomb does not
_REST_SECONDS = 2.0  # for the rest of an answer to a POST, once its status is known
_HTTP_ONLY = frozenset({"https"})
_REDIRECTS = {301: True, 302: False, 303: False, 307: False, 308: True}  # status → permanent?
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "signature", "signature-input"}

Sign = Callable[[str, str], Mapping[str, str]]
"""(method, canonical URL) → the headers that sign this request."""


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
            resolver=CheckedResolver(reach, lookup or self._lookups.addresses),
            socket_factory=self._dial,
            use_dns_cache=False,
            ssl=_tls_context(reach.ca_file),
            limit=0,
            limit_per_host=PER_HOST,
        )
        # There is no public place to say it; a test holds aiohttp to it.
        connector._factory = partial(BoundedAnswers, asyncio.get_running_loop())  # type: ignore[assignment]
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
        except FAILURES as error:
            return self._failed(url, error, timeout)

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float = ANSWER_SECONDS,  # noqa: ASYNC109 -- as in get
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
        except FAILURES as error:
            return self._failed(url, error, timeout)

    def _by_all_clocks(self, outcome: Answered) -> Outcome:
        if self._clocks is None:
            return outcome
        return self._clocks.reconsider(host_of(outcome.url), outcome, self._now())

    def _failed(self, url: str, error: BaseException, seconds: float) -> Outcome:
        outcome = Unreachable(explain(error, seconds), fault_of(error))
        if self._clocks is None or not is_by_date(error):
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
            with contextlib.suppress(*FAILURES):
                async with asyncio.timeout(_REST_SECONDS):
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
                    body = await read_body(response, limit)
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
            raise UnusableAnswer("redirected to something that is not a URL")
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
        headers = plain_headers(response)
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


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    return _new_tls_context(ca_file) if ca_file else _public_tls_context()


@cache  # a hundred and more certificates take 17 ms, and nothing changes them but a new installation
def _public_tls_context() -> ssl.SSLContext:
    return _new_tls_context(None)


def _new_tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigError(f"{ca_file} holds no certificates we can read: {error}") from error
    return context
