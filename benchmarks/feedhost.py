"""Thousands of blogs in one process: every host below bench.test has a feed that never changes.

`python -m benchmarks.feedhost` prints its port and answers until stdin is closed. Asked for /304.xml a host
answers that nothing changed, asked for /same.xml it sends the same bytes again.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.processes import Process, module

KINDS = ("304", "same")
ENTRIES = 20
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_ETAG = b'"unchanged"'


@contextmanager
def running_feeds(folder: Path) -> Iterator[int]:
    """Run the blogs; yields their port."""
    with Process(module("benchmarks.feedhost"), folder / "feeds.log", pipes=True) as process:
        yield int(process.hear())


def feed() -> bytes:
    """Write a feed of an ordinary size, about 30 KB."""
    text = "From Thursday there is plum cake again, with the plums from Ada's garden. " * 18
    items = "".join(
        f"<item><title>Plum cake, batch {number}</title><link>https://cafe.example/{number}/</link>"
        f"<guid>https://cafe.example/{number}/</guid><pubDate>Fri, 01 May 2026 09:00:00 +0000</pubDate>"
        f"<description>{text}</description></item>"
        for number in range(ENTRIES)
    )
    head = '<?xml version="1.0"?><rss version="2.0"><channel><title>Café</title><language>en</language>'
    return f"{head}{items}</channel></rss>".encode()


class Connection(asyncio.Protocol):
    """As little of HTTP/1.1 as it takes to be polled."""

    body = feed()

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[: end + 2], self._received[end + 4 :]
            self._transport.write(self._answer(head))
            if _CLOSE.search(head):
                self._transport.close()

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET /304") and _ETAG in head:
            return b"HTTP/1.1 304 Not Modified\r\nETag: %s\r\n\r\n" % _ETAG
        fields = b"Content-Type: application/rss+xml\r\nETag: %s\r\nContent-Length: %d" % (
            _ETAG,
            len(self.body),
        )
        return b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (fields, self.body)


async def serve() -> None:
    """Answer until stdin is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await lines.read()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
