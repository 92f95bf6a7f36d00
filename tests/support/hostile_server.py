"""A raw HTTP server on loopback that misbehaves on request, in a thread of its own.

Each path has a mood: a coroutine that reads nothing more and writes whatever it likes. What clients
sent is kept in `requests`, as raw head and body.
"""

import asyncio
import gzip
import ssl
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

Mood = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int  # which connection it came over, counted from 0


@dataclass
class HostileServer:
    moods: dict[str, Mood]
    greeting: bytes = b""  # sent before anyone asks, as mail servers do
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        try:
            writer.write(self.greeting)
            while not writer.is_closing():
                await self.answer(await read_request(reader, number), writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client has had enough
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        path = request.line.split(" ")[1].partition("?")[0]
        await self.moods.get(path, reply("404 Not Found"))(writer)
        await writer.drain()
        if request.headers.get("connection") == "close":
            writer.close()


async def read_request(reader: asyncio.StreamReader, number: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): text for name, text in (field.split(": ", 1) for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(line, headers, body, number)


@contextmanager
def running(
    moods: dict[str, Mood], tls: ssl.SSLContext | None = None, greeting: bytes = b""
) -> Iterator[HostileServer]:
    """Serve until the block ends; `server.port` is chosen by the system."""
    server = HostileServer(moods, greeting)
    started = threading.Event()
    stop: Callable[[], object] = started.set

    async def serve_until_stopped() -> None:
        nonlocal stop
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda *_: None)  # broken connections are the point here
        stop = partial(loop.call_soon_threadsafe, stopped.set)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
        started.set()
        await stopped.wait()
        listener.close()

    thread = threading.Thread(target=asyncio.run, args=(serve_until_stopped(),), daemon=True)
    thread.start()
    started.wait()
    try:
        yield server
    finally:
        stop()
        thread.join(timeout=5)


# ── moods ────────────────────────────────────────────────────────────────────────────────────────


def reply(status: str, *headers: str, body: bytes = b"") -> Mood:
    """Answer properly."""
    return raw(head(status, f"Content-Length: {len(body)}", *headers) + body)


def redirect(location: str, status: str = "302 Found") -> Mood:
    return reply(status, f"Location: {location}")


def raw(answer: bytes) -> Mood:
    """Write these bytes and leave the connection open."""

    async def mood(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return mood


def hang_up(answer: bytes = b"") -> Mood:
    """Write these bytes and close the connection."""

    async def mood(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    return mood


def reset_after(answer: bytes) -> Mood:
    """Answer properly, then close the kept-alive connection when the next request comes."""
    answered: set[asyncio.StreamWriter] = set()

    async def mood(writer: asyncio.StreamWriter) -> None:
        if writer in answered:
            writer.close()
            return
        answered.add(writer)
        writer.write(answer)

    return mood


async def silence(writer: asyncio.StreamWriter) -> None:
    """Accept the request and say nothing, for ever."""
    await asyncio.Event().wait()


def drip(answer: bytes, seconds: float) -> Mood:
    """Write one byte at a time, for ever."""

    async def mood(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(seconds)

    return mood


def flood(answer: bytes, piece: bytes) -> Mood:
    """Write the same piece for ever, as fast as it is taken."""

    async def mood(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return mood


def head(status: str, *headers: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "")).encode("utf-8")


# ── bombs ────────────────────────────────────────────────────────────────────────────────────────


def gzip_bomb(megabytes: int) -> bytes:
    """Pack so many megabytes of zeros: a thousandth of their size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


def nested_gzip(megabytes: int) -> bytes:
    return gzip.compress(gzip_bomb(megabytes))
