"""A line to PostgreSQL that goes bad: everything comes to a halt, and nobody is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class BadLine:
    """A proxy before a server; `stall` it, and it takes whatever comes and passes on nothing.

    As a balancer does that lost its server: what we send is acknowledged, so the kernel sees nothing wrong.
    `swallow_new=False` leaves those who come new in the queue of the listening socket: packets dropped.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "", parts.port or 5432)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._listening.settimeout(0.05)
        self._ends = threading.Event()
        self._stalled = threading.Event()
        self._accepts = threading.Event()
        self._accepts.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._queued: list[socket.socket] = []
        self.accepted = 0
        self.port = self._listening.getsockname()[1]
        self.url = url.replace(f":{self.target[1]}/", f":{self.port}/")

    def __enter__(self) -> Self:
        for work in (self._accept, self._pass_on):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        for one in (self._listening, *self._queued, *(end for pair in self._pairs for end in pair)):
            one.close()

    @contextmanager
    def stall(self, *, swallow_new: bool = True) -> Iterator[None]:
        """Pass on nothing until the block ends; then what was under way is lost."""
        self._stalled.set()
        if not swallow_new:
            self._accepts.clear()
            self._fill_the_queue()
        try:
            yield
        finally:
            for pair in self._pairs:
                for end in pair:
                    end.close()
            self._pairs.clear()
            for one in self._queued:
                one.close()
            self._queued.clear()
            self._accepts.set()
            self._stalled.clear()

    def _fill_the_queue(self) -> None:
        for _ in range(8):
            waiting = socket.socket()
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", self.port))
            self._queued.append(waiting)

    def _accept(self) -> None:
        while not self._ends.is_set():
            if not self._accepts.wait(0.05):
                continue
            try:
                theirs, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.accepted += 1
            with suppress(OSError):
                self._pairs.append((theirs, socket.create_connection(self.target)))

    def _pass_on(self) -> None:
        while not self._ends.is_set():
            pairs = list(self._pairs)
            other = {one: two for pair in pairs for one, two in (pair, pair[::-1])}
            if self._stalled.is_set() or not other:
                self._ends.wait(0.01)
                continue
            try:
                readable, _, _ = select(list(other), [], [], 0.01)
            except (OSError, ValueError):
                self._pairs = [pair for pair in self._pairs if all(end.fileno() >= 0 for end in pair)]
                continue
            for end in readable:
                self._move(end, other[end])

    def _move(self, one: socket.socket, two: socket.socket) -> None:
        try:
            read = one.recv(65536)
            if read and not self._stalled.is_set():
                two.sendall(read)
        except OSError:
            read = b""
        if not read:
            one.close()
            two.close()
