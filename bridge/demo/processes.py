"""The demo's child processes: each with a log of its own, one that talks, all of them stopped together."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import orjson

from bridge.errors import DemoError

STOP_SECONDS = 8.0  # then they are killed
MOMENT = 0.1  # how long one waits for the next event
LOG_LINES = 12
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Somebody pressed Ctrl-C, closed the terminal or sent SIGTERM."""


@dataclass(frozen=True)
class Process:
    """A child of ours and the file its log goes to."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def last_lines(self) -> str:
        """Return the end of its log under its name, for when something went wrong."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"The end of {self.log}:", *(f"    {line[:300]}" for line in lines)])


class Processes:
    """All children of a demo; leaving the `with` block stops them, whatever the reason.

    Inside it signals end nothing at once: `next_event` raises `Stopped`.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Process] = []
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._children)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Run one of our own modules."""
        self._start(name, module, arguments, stdin=subprocess.DEVNULL)

    def start_follower(self, arguments: Sequence[str]) -> None:
        """Run the demo follower and listen to it."""
        pipe = subprocess.PIPE
        self._follower = self._start("follower", "bridge.demo", arguments, stdin=pipe, stdout=pipe)
        threading.Thread(target=self._listen, daemon=True).start()

    def tell_follower(self, handle: str) -> None:
        """Name an account to follow."""
        assert self._follower.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `next_event` will say that it has ended
            self._follower.stdin.write(f"{handle}\n".encode())
            self._follower.stdin.flush()

    def next_event(self) -> dict[str, Any] | None:
        """Wait a moment for what the follower says next; `None` when it says nothing.

        Raises `Stopped` after a signal and `DemoError` when a child has ended.
        """
        try:
            event = self._events.get(timeout=MOMENT)
        except queue.Empty:
            self._require_all_alive()
            return None
        if event["what"] == "stop":
            raise Stopped
        return event

    def last_lines(self) -> str:
        """Return the end of every log."""
        return "\n".join(child.last_lines() for child in self._children)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._events.put({"what": "stop"})  # a SimpleQueue may be put into from a signal handler

    def _start(
        self, name: str, module: str, arguments: Sequence[str], *, stdin: int, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        log = self._logs / f"{name}.log"
        with log.open("wb") as written:
            # A group of its own: Ctrl-C in a terminal reaches only us, and we stop them in order.
            popen = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-m", module, *arguments],
                stdin=stdin,
                stdout=stdout or written,
                stderr=written,
                start_new_session=True,
            )
        self._children.append(Process(name, popen, log))
        return popen

    def _listen(self) -> None:
        assert self._follower.stdout is not None
        for line in self._follower.stdout:
            self._events.put(orjson.loads(line))

    def _require_all_alive(self) -> None:
        for child in self._children:
            if child.popen.poll() is not None:
                raise DemoError(f"The {child.name} process ended unexpectedly.\n{child.last_lines()}")


def _stop(children: Sequence[Process]) -> None:
    """Ask all to end, wait, and kill what is left with everything it started."""
    for child in children:
        child.popen.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.popen.wait(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.popen.pid, signal.SIGKILL)
        child.popen.wait()
