"""Answers are taken in within bounds: so many at once, so many bytes, headers that are text."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import aiohttp
from aiohttp.client_proto import ResponseHandler

from bridge.moments import read_rfc822
from bridge.net.failures import BROKEN_OFF, TooLarge, UnusableAnswer
from bridge.net.unpack import unpacker

MAX_RETRY_AFTER = timedelta(hours=6)
_MAX_ANSWERS = 16  # that wait to be looked at: one, and what may come before it (103 Early Hints)
_MAX_UNSEEN = 512 * 1024  # bytes that come meanwhile; reading pauses at less when they are a body


class BoundedAnswers(ResponseHandler):
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


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
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
        raise UnusableAnswer(BROKEN_OFF)


def plain_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Lower-case the names, join what is repeated, and mend bytes that are no text."""
    headers: dict[str, str] = {}
    for name, text in response.headers.items():
        key = name.lower()
        clean = text if text.isascii() else text.encode(errors="replace").decode()
        headers[key] = f"{headers[key]}, {clean}" if key in headers else clean
    return headers


def _human_size(size: int) -> str:
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} bytes"
