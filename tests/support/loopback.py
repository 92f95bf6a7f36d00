"""A piece of internet on loopback: hosts below .example, each with a port of its own, in one thread.

Ports are reserved when the network starts, so that `Network.reach` can name them before anyone listens;
a host that is down refuses connections.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from bridge.addresses import Reach

ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Awaitable[Reply | None]]
"""What a host does with a request; `None` hangs up without a word."""


class Network:
    """Hosts that listen on loopback; a context manager that takes them all down at the end."""

    def __init__(self, size: int = 12) -> None:
        self._sockets = [_reserve() for _ in range(size)]
        self._free = list(self._sockets)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.hosts: list[Host] = []
        ports = [reserved.getsockname()[1] for reserved in self._sockets]
        self.reach = Reach(frozenset((ADDRESS, port) for port in ports), {"example": ADDRESS})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts:
            host.go_down()
        self.run(_cancel_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        for reserved in self._sockets:
            reserved.close()

    def options(self) -> list[str]:
        """Return the hidden options that let a `fedibridge` process reach these hosts."""
        allowed = [part for _, port in sorted(self.reach.allow) for part in ("--allow", f"{ADDRESS}:{port}")]
        return [*allowed, "--resolve", f"example={ADDRESS}"]

    def host(self, name: str, answer: Answer) -> "Host":
        """Let a host listen: ``mastodon.example`` on the next free port."""
        host = Host(self, name, self._free.pop().detach(), answer)
        self.hosts.append(host)
        host.come_back()
        return host

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the network's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class Host:
    """One listening host. `connections` counts those it ever accepted."""

    def __init__(self, network: Network, name: str, reserved: int, answer: Answer) -> None:
        self._network = network
        self._socket: socket.socket | None = socket.socket(fileno=reserved)
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = self._socket.getsockname()[1]
        self.netloc = f"{name}:{self.port}"
        self.url = f"http://{self.netloc}"
        self.connections = 0

    def go_down(self) -> None:
        """Refuse connections from now on, and break those that are open."""
        self._network.run(self._close())

    def come_back(self) -> None:
        """Listen again on the same port."""
        if self._server is None:
            self._network.run(self._listen())

    async def _listen(self) -> None:
        listening, self._socket = self._socket or _reserve(self.port), None
        self._server = await asyncio.start_server(self._serve, sock=listening, backlog=512)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while (request := await _read(reader)) and (reply := await self._answer(request)):
                writer.write(_spell(reply, request))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            with contextlib.suppress(ConnectionError, RuntimeError):
                writer.close()


def _reserve(port: int = 0) -> socket.socket:
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((ADDRESS, port))
    return reserved


async def _cancel_everything() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (item.partition(":") for item in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = line.split(" ")
    return Request(method, target, headers, body)


def _spell(reply: Reply, request: Request) -> bytes:
    body = b"" if request.method == "HEAD" or reply.status == 304 else reply.body
    headers = {"Content-Length": str(len(body)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
