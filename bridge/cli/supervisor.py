"""Keeps child processes running: one that dies or stands still is started again, and all stop together.

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
from functools import partial
from typing import TYPE_CHECKING

from bridge.errors import StoreError

if TYPE_CHECKING:
    from bridge.services import Services

log = logging.getLogger(__name__)

STOP_SECONDS = 7.5  # then they are killed; containers give ten
LOOK_EVERY = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
SILENT = 60.0  # seconds without a sign of life, after which a child is killed: it hangs as a whole
STEADY = 30.0  # seconds a child has to live for its next death to count as the first


@dataclass
class Child:
    """A process under supervision."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes]
    pulse: int  # the pipe in which it says that it lives
    started_at: float
    silent: float | None = None  # seconds since its last sign of life; `None` before the first
    pause: float = FIRST_PAUSE
    restart_at: float | None = None


def check_first(arguments: Sequence[str]) -> None:
    """Run `fedibridge` with these arguments and wait; end as it does when it fails."""
    code = _start(arguments).wait()
    if code:
        raise SystemExit(code)


def supervise(commands: Mapping[str, Sequence[str]]) -> None:
    """Run `fedibridge` with each of these argument lists until SIGTERM or Ctrl-C."""
    stopping = _stop_flag()
    children = [
        Child(name, arguments, *_start_with_pulse(arguments), time.monotonic())
        for name, arguments in commands.items()
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
            child.process, child.pulse = _start_with_pulse(child.arguments)
            child.started_at, child.restart_at, child.silent = now, None, None
        return
    if is_silent(child):
        log.error("The %s process gave no sign of life for %d s: killing it.", child.name, SILENT)
        child.process.kill()
        child.process.wait()
    if child.process.poll() is None:
        return
    if now - child.started_at > STEADY:
        child.pause = FIRST_PAUSE
    log.error("The %s process ended with code %s; restarting it.", child.name, child.process.returncode)
    os.close(child.pulse)
    child.restart_at = now + child.pause
    child.pause = min(child.pause * 2, LONGEST_PAUSE)


def is_silent(child: Child) -> bool:
    """Look for a child's sign of life; say whether it hangs.

    Counted in our own looks: time in which we stood still ourselves (a laptop's sleep) proves nothing.
    """
    try:
        if os.read(child.pulse, 4096):
            child.silent = 0.0
    except BlockingIOError:
        if child.silent is not None:
            child.silent += LOOK_EVERY
    return child.silent is not None and child.silent >= SILENT


def _start_with_pulse(arguments: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a child; return it and the pipe in which it says that it lives."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    try:
        return _start(["--pulse", str(theirs), *arguments], pass_on=(theirs,)), ours
    finally:
        os.close(theirs)


def _start(arguments: Sequence[str], *, pass_on: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    # A group of its own: Ctrl-C in a terminal reaches only us, and we stop them in order.
    command = [sys.executable, "-m", "bridge", "--ends-with", str(os.getpid()), *arguments]
    # Two arenas are enough for our few threads; glibc's default keeps memory of every burst in eight a core.
    environment = {"MALLOC_ARENA_MAX": "2", **os.environ}
    return subprocess.Popen(command, start_new_session=True, env=environment, pass_fds=pass_on)  # noqa: S603  our own program


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
    private = partial(os.open, mode=0o600)
    with open(path, "w", opener=private) as lock:
        path.chmod(0o600)  # an older version's may be readable for others
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"A worker is already running on {path.parent}. With SQLite there is one worker; stop the "
                "other one (`fedibridge run` has one), or use PostgreSQL for more."
            ) from None
        yield
