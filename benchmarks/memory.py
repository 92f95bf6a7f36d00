"""Memory: what `bridge run` holds at rest, and with a hundred thousand followers and a post on its way."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.inbox import wait_for_web
from benchmarks.machine import Memory, command, family, memory, raise_file_limit
from benchmarks.processes import until
from benchmarks.sink import running_sink
from benchmarks.subject import Subject, new_subject
from benchmarks.tables import Table

GOAL = "web and worker at rest below 130 MB together; at most 30 MB more with 100,000 followers"

Snapshot = dict[str, Memory]
"""Role → what it holds."""


def measure(*, quick: bool) -> list[Table]:
    """Measure at rest, then at the worst moment of a large fan-out."""
    followers, rest, watch = (1_000, 3, 3) if quick else (100_000, 20, 40)
    raise_file_limit()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(running_sink(folder, tls=True))
        subject = stack.enter_context(new_subject(folder, sink))
        run = stack.enter_context(subject.start("run"))
        wait_for_web(subject)
        run.wait_for("at work")
        time.sleep(rest)
        at_rest = _look(run.pid)
        subject.add_followers(sink, followers)
        subject.publish()
        until(lambda: sink.tally().requests > 0, "the first deliveries")
        at_most = _worst(run.pid, watch, subject)
        sent = sink.tally().requests
    return [_table(followers, sent, rest, at_rest, at_most)]


def _table(followers: int, sent: int, rest: int, at_rest: Snapshot, at_most: Snapshot) -> Table:
    rows = [
        (
            role,
            *_cells(at_rest[role]),
            *_cells(at_most[role]),
            f"{at_most[role].pss - at_rest[role].pss:+.0f}",
        )
        for role in at_rest
    ]
    resting, busy = _together(at_rest), _together(at_most)
    rows.append(("together", *_cells(resting), *_cells(busy), f"{busy.pss - resting.pss:+.0f}"))
    columns = ("process", "RSS at rest", "PSS at rest", "RSS at most", "PSS at most", "PSS more")
    notes = (
        f"MiB. At rest: {rest} s after the start, with no followers. At most: the largest seen while the "
        f"first {sent:,} of {followers:,} deliveries, each to another TLS server, went out. PSS counts "
        "memory that processes share once; RSS counts it in every one of them.",
    )
    return Table("Memory of `bridge run`", columns, rows, GOAL, notes)


def _cells(held: Memory) -> tuple[str, str]:
    return f"{held.rss:.0f}", f"{held.pss:.0f}"


def _together(snapshot: Snapshot) -> Memory:
    return Memory(sum(one.rss for one in snapshot.values()), sum(one.pss for one in snapshot.values()))


def _worst(pid: int, seconds: int, subject: Subject) -> Snapshot:
    """Return the largest that each process became."""
    worst = _look(pid)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not subject.is_done():
        time.sleep(0.5)
        now = _look(pid)
        worst = {role: _larger(worst.get(role, held), held) for role, held in now.items()}
    return worst


def _larger(a: Memory, b: Memory) -> Memory:
    return Memory(max(a.rss, b.rss), max(a.pss, b.pss))


def _look(pid: int) -> Snapshot:
    found: Snapshot = {}
    for one in family(pid):
        role = _role(one, pid)
        held, before = memory(one), found.get(role, Memory(0, 0))
        found[role] = Memory(before.rss + held.rss, before.pss + held.pss)
    return found


def _role(pid: int, root: int) -> str:
    """Name a process by its command line; Granian's own processes belong to the web."""
    if pid == root:
        return "supervisor"
    words = command(pid).split()
    return next((role for role in ("web", "worker") if words[-1:] == [role]), "web: its processes")
