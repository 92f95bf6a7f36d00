"""The processes a benchmark runs: each with a log of its own, none left behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 60.0  # seconds, after which something that should have happened is taken to have failed
ROOT = Path(__file__).resolve().parent.parent


class Process:
    """A running program, and what it says on stderr."""

    def __init__(self, arguments: Sequence[str], log: Path, *, pipes: bool = False) -> None:
        self._log = log
        self._began = log.stat().st_size if log.exists() else 0
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=stderr, cwd=ROOT)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop(signal.SIGTERM, patience=10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def ask(self, line: str) -> str:
        """Write a line to the process and return the line it answers with."""
        self.say(line)
        return self.hear()

    def say(self, line: str) -> None:
        """Write a line to the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def hear(self) -> str:
        """Return the next line the process prints."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().decode().strip()
        if not answer:
            raise RuntimeError(f"process {self.pid} ended: {self.said()[-2000:]}")
        return answer

    def said(self) -> str:
        """Return what the process wrote to its log."""
        return self._log.read_bytes()[self._began :].decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Return once the process has written `text` to its log."""
        until(lambda: text in self.said() or self._process.poll() is not None, f"“{text}” in {self._log}")
        if text not in self.said():
            raise RuntimeError(f"process {self.pid} ended: {self.said()[-2000:]}")

    def stop(self, number: signal.Signals, *, patience: float = PATIENCE) -> int:
        """Send a signal, and return the exit code; what does not end in time is killed."""
        self._process.send_signal(number)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def module(name: str, *arguments: object) -> list[str]:
    """Return the command line that runs a Python module."""
    return [sys.executable, "-m", name, *(str(argument) for argument in arguments)]


def until(
    happened: Callable[[], bool], what: str, *, patience: float = PATIENCE, every: float = 0.01
) -> None:
    """Wait until something has happened; raise TimeoutError naming it otherwise."""
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(every)
