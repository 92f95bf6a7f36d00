"""Memory: what `fedibridge run` holds at rest, with 100,000 followers, and with a post for them."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.inbox import wait_for_web
from benchmarks.machine import Memory, command, family, memory, raise_file_limit
from benchmarks.processes import Process, until
from benchmarks.sink import running_sink
from benchmarks.subject import Subject, new_subject
from benchmarks.tables import Table

GOAL = "web and worker at rest below 130 MB together; at most 30 MB more with 100,000 followers stored"

Snapshot = dict[str, Memory]
"""Role → what it holds."""


def measure(*, quick: bool) -> list[Table]:
    """Measure at rest, with followers stored, then at the worst moment of a large fan-out."""
    followers, rest, watch = (1_000, 3, 3) if quick else (100_000, 20, 40)
    raise_file_limit()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(running_sink(folder, tls=True))
        subject = stack.enter_context(new_subject(folder, sink))
        with _at_rest(subject, rest) as run:
            at_rest = _look(run.pid)
        subject.add_followers(sink, followers)
        with _at_rest(subject, rest) as run:
            stored = _look(run.pid)
            subject.publish()
            until(lambda: sink.tally().requests > 0, "the first deliveries")
            at_most = _worst(run.pid, watch, subject)
            sent = sink.tally().requests
    return [_table(followers, sent, rest, [at_rest, stored, at_most])]


@contextmanager
def _at_rest(subject: Subject, seconds: int) -> Iterator[Process]:
    """Run `fedibridge run`, and wait until nothing more happens in it."""
    with subject.start("run") as run:
        wait_for_web(subject)
        run.wait_for("at work")
        time.sleep(seconds)
        yield run


def _table(followers: int, sent: int, rest: int, snapshots: Sequence[Snapshot]) -> Table:
    together = [_together(snapshot, ("web", "worker")) for snapshot in snapshots]
    rows = [_row(role, [snapshot[role] for snapshot in snapshots]) for role in ("web", "worker")]
    rows.append(_row("web and worker", together))
    rows.append(_row("supervisor", [snapshot["supervisor"] for snapshot in snapshots]))
    columns = ("process", "at rest", f"{followers:,} followers", "more", "a post on its way", "more")
    notes = (
        "MiB of PSS, which counts memory that processes share once, and of RSS in brackets, which counts it "
        f"in each of them. At rest: {rest} s after a start, with no followers. Followers: {rest} s after a "
        "start, while nothing goes out to them. A post on its way: the largest seen while the first "
        f"{sent:,} of {followers:,} deliveries, each to another TLS server, went out. More: than at rest. "
        "This benchmark shares libraries with them: without it they hold a little more.",
    )
    return Table("Memory of `fedibridge run`", columns, rows, GOAL, notes)


def _row(what: str, held: Sequence[Memory]) -> tuple[str, ...]:
    at_rest, *later = held
    more = [cell for one in later for cell in (_cell(one), f"{one.pss - at_rest.pss:+.0f}")]
    return (what, _cell(at_rest), *more)


def _cell(held: Memory) -> str:
    return f"{held.pss:.0f} ({held.rss:.0f})"


def _together(snapshot: Snapshot, roles: Sequence[str]) -> Memory:
    return Memory(sum(snapshot[role].rss for role in roles), sum(snapshot[role].pss for role in roles))


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
    """Name a process by its command line."""
    if pid == root:
        return "supervisor"
    words = command(pid).split()
    return next((role for role in ("web", "worker") if words[-1:] == [role]), "others")
