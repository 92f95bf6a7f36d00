"""Keeps child processes running: one that dies is started again, and all stop together.

They do when we are killed, too: see `lifeline`.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import StoreError

if TYPE_CHECKING:
    from bridge.services import Services

log = logging.getLogger(__name__)

STOP_SECONDS = 7.5  # then they are killed; containers give ten
LOOK_EVERY = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY = 30.0  # seconds a child has to live for its next death to count as the first


@dataclass
class Child:
    """A process under supervision."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes]
    started_at: float
    pause: float = FIRST_PAUSE
    restart_at: float | None = None


def check_first(arguments: Sequence[str]) -> None:
    """Run `bridge` with these arguments and wait; end as it does when it fails."""
    code = _start(arguments).wait()
    if code:
        raise SystemExit(code)


def supervise(commands: Mapping[str, Sequence[str]]) -> None:
    """Run `bridge` with each of these argument lists until SIGTERM or Ctrl-C."""
    stopping = _stop_flag()
    children = [
        Child(name, arguments, _start(arguments), time.monotonic()) for name, arguments in commands.items()
    ]
    while not stopping:
        for child in children:
            _look_after(child)
        time.sleep(LOOK_EVERY)
    _stop_all(children)


def _look_after(child: Child) -> None:
    now = time.monotonic()
    if child.restart_at is not None:
        if now >= child.restart_at:
            child.process, child.started_at, child.restart_at = _start(child.arguments), now, None
        return
    if child.process.poll() is None:
        return
    if now - child.started_at > STEADY:
        child.pause = FIRST_PAUSE
    log.error("The %s process ended with code %s; starting it again.", child.name, child.process.returncode)
    child.restart_at = now + child.pause
    child.pause = min(child.pause * 2, LONGEST_PAUSE)


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    # A group of its own: Ctrl-C in a terminal reaches only us, and we stop them in order.
    command = [sys.executable, "-m", "bridge", "--ends-with", str(os.getpid()), *arguments]
    # Two arenas are enough for our few threads; glibc's default keeps memory of every burst in eight a core.
    environment = {"MALLOC_ARENA_MAX": "2", **os.environ}
    return subprocess.Popen(command, start_new_session=True, env=environment)  # noqa: S603  our own program


def _stop_flag() -> list[int]:
    """Return a list that a signal makes non-empty: all a handler can safely do."""
    received: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _frame: received.append(number))
    return received


def _stop_all(children: Sequence[Child]) -> None:
    alive = [child for child in children if child.process.poll() is None]
    for child in alive:
        child.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in alive:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("The %s process did not stop in time; killing it.", child.name)
            child.process.kill()
            child.process.wait()


@contextmanager
def only_one(services: "Services") -> Iterator[None]:
    """Make sure that an embedded database has a single worker; raise `StoreError` if there is one."""
    if not services.store.is_sqlite:
        yield
        return
    path = services.config.data / "worker.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"A worker is already running on {path.parent}. With SQLite there is one worker; stop the "
                "other one (`bridge run` has one), or use PostgreSQL for more."
            ) from None
        yield
