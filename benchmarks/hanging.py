"""Servers that hang: how long those that answer wait for a post, when three in ten do not."""

import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from benchmarks.machine import memory, raise_file_limit
from benchmarks.processes import until
from benchmarks.sink import DOMAIN, Sink, running_sink
from benchmarks.subject import add_followers_at, new_subject
from benchmarks.tables import Table

GOAL = "the 99th percentile of healthy servers at most 1.5 of that without servers that hang"
_PATIENCE = 120


@dataclass(frozen=True)
class Run:
    """Seconds from the commit to the arrival at healthy servers; MiB and sockets of the worker at most."""

    seconds: Sequence[float]
    mebibytes: float
    sockets: int

    @property
    def percentile(self) -> float:
        """The 99th percentile."""
        return quantiles(self.seconds, n=100)[98]


def measure(*, quick: bool) -> list[Table]:
    """Send one post: to healthy servers alone, and with those among them that hang."""
    healthy, dead = (140, 60) if quick else (1_400, 600)
    rounds = 1 if quick else 3
    raise_file_limit()
    kinds = {"none": 0, "silent": dead, "unreachable": dead, "silent, and first in line": dead}
    runs: dict[str, list[Run]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, number in kinds.items():
            runs[kind].append(_run(healthy, number, kind))
    base = _middle(runs["none"]).percentile
    names = {
        "none": f"{healthy:,} healthy servers alone",
        "silent": f"and {dead:,} that take the connection and say nothing",
        "unreachable": f"and {dead:,} that take no connection",
        "silent, and first in line": f"and {dead:,} silent ones that all come first",
    }
    rows = [_row(names[kind], _middle(found), base) for kind, found in runs.items()]
    columns = ("", "half, s", "99 %, s", "of healthy alone", "MiB", "sockets")
    note = (
        f"From the commit to the arrival, on TLS; healthy servers only. The middle one of {rounds} runs "
        "each, in turns. MiB is the worker's PSS, sockets what it had open, both at most."
    )
    return [Table("One post, when servers hang", columns, rows, GOAL, (note,))]


def _middle(runs: Sequence[Run]) -> Run:
    return sorted(runs, key=lambda run: run.percentile)[len(runs) // 2]


def _row(name: str, run: Run, base: float) -> tuple[str, ...]:
    half = sorted(run.seconds)[len(run.seconds) // 2]
    ratio = f"{run.percentile / base:.2f}"
    return name, f"{half:.1f}", f"{run.percentile:.1f}", ratio, f"{run.mebibytes:.0f}", f"{run.sockets}"


def _run(healthy: int, dead: int, kind: str) -> Run:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(running_sink(folder, tls=True))
        hole = stack.enter_context(black_hole(answers_syn=kind != "unreachable"))
        allow = (f"127.0.0.1:{hole}",)
        subject = stack.enter_context(new_subject(folder, sink, allow=allow))
        add_followers_at(subject.services, _inboxes(sink, healthy, dead, hole, mixed="first" not in kind))
        worker = stack.enter_context(subject.start("worker"))
        worker.wait_for("at work")
        time.sleep(0.5)
        with watched(worker.pid) as peak:
            started = subject.publish()
            until(lambda: sink.tally().requests >= healthy, "the healthy servers", patience=_PATIENCE)
        return Run([at - started for at in sink.times()], peak.mebibytes, peak.sockets)


def _inboxes(sink: Sink, healthy: int, dead: int, hole: int, *, mixed: bool) -> list[str]:
    """Name the inboxes; deliveries are queued in the order of their names."""
    numbers = list(range(healthy + dead))
    if mixed:
        random.Random(7).shuffle(numbers)
    holes = [f"https://h{number:06d}.{DOMAIN}:{hole}/inbox" for number in numbers[:dead]]
    return holes + [sink.inbox(number) for number in numbers[dead:]]


@contextmanager
def black_hole(*, answers_syn: bool) -> Iterator[int]:
    """Listen on a port where nobody ever answers; yield it."""
    with socket.socket() as hole, ExitStack() as stack:
        hole.bind(("127.0.0.1", 0))
        hole.listen(4096 if answers_syn else 0)
        for _ in range(0 if answers_syn else 2):  # the queue is full now: who comes later gets no SYN-ACK
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(hole.getsockname())
        yield hole.getsockname()[1]


@dataclass
class Peak:
    """The most a process had at once."""

    mebibytes: float = 0
    sockets: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Look at a process four times a second until the block ends."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.25):
            links = list(Path(f"/proc/{pid}/fd").iterdir())
            peak.mebibytes, peak.sockets = max(peak.mebibytes, memory(pid).pss), max(peak.sockets, len(links))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    print(measure(quick=True))
