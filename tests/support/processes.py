"""The `fedibridge` command as real processes, the way owners run it."""

import contextlib
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from places import ROOT

PACKAGE = ROOT


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "--config", str(config), *arguments]


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FEDIBRIDGE", "NO_COLOR"))
    }
    return {**kept, "PYTHONPATH": str(PACKAGE), **more}


def run(config: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(config, *arguments),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=config.parent,
        env=environment(**env or {}),
    )


def run_in_terminal(config: Path, *arguments: str, env: dict[str, str]) -> str:
    """Run a command as in a terminal and return everything it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(config, *arguments), stdout=theirs, stderr=theirs, stdin=theirs, env=environment(**env)
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's way of saying that the other end was closed
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait(30) == 0, shown
    return shown.decode()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(what: Callable[[], object], *, seconds: float = 15, why: str = "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"still not after {seconds} s: {why or what}"
        time.sleep(0.02)


def children(pid: int) -> dict[str, int]:
    """Return name of the command → pid of a supervisor's children."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
        found[words[-1]] = int(child)
    return found


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie that waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
