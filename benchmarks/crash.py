"""What survives SIGKILL and SIGTERM: a worker is stopped again and again while it delivers.

`python -m benchmarks.crash --kills 1000`. After every round nothing may be lost, nothing may have come
twice that was not under way at a kill, and the database must be whole.
"""

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select

from benchmarks.processes import Process, until
from benchmarks.sink import Sink, running_sink
from benchmarks.subject import Subject, new_subject
from bridge.store import schema

KILLS_A_ROUND = 50
INBOXES = 100
CONCURRENCY = 20
ANSWER_AFTER = 0.01  # seconds: something has to be under way when the worker dies
SHARE_BEFORE_LAST_STOP = 0.8  # of all deliveries, so that every stop happens under load
EARLY = 10  # every tenth kill comes while the worker is still starting

Sent = tuple[str, str]
"""(activity id, inbox)"""

# Every line makes a new `fedibridge worker`, with everything imported, so that lives are spent delivering.
_NURSERY = """\
import os, sys
import bridge.cli.run, bridge.cli.supervisor, bridge.services, bridge.worker, uvloop
from bridge.cli import main

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        main()
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Stop:
    """How one life of the worker ended; `under_way` are the deliveries it held at that moment."""

    code: int
    seconds: float
    under_way: frozenset[Sent]


@dataclass(frozen=True)
class Round:
    """What one round did; the reports are empty where all is well."""

    seed: int
    stops: tuple[Stop, ...]
    deliveries: int
    arrivals: int
    lost: frozenset[Sent]
    unknown: frozenset[Sent]
    unexplained: frozenset[Sent]
    states: dict[str, int]
    leased: int
    integrity: str

    @property
    def duplicates(self) -> int:
        """Return how many arrivals were not the first of their kind."""
        return self.arrivals - (self.deliveries - len(self.lost)) - len(self.unknown)

    @property
    def under_way(self) -> int:
        """Return how many deliveries were under way at all stops together: the most that may come twice."""
        return sum(len(stop.under_way) for stop in self.stops)

    def problems(self) -> list[str]:
        """Say what broke the promise; nothing when it was kept."""
        found = {
            "lost": self.lost,
            "never published": self.unknown,
            "twice without a kill": self.unexplained,
        }
        said = [f"{len(those)} {what}: {sorted(those)[:3]}" for what, those in found.items() if those]
        if self.states != {"delivered": self.deliveries}:
            said.append(f"states of deliveries: {self.states}")
        if self.duplicates > self.under_way:
            said.append(f"{self.duplicates} duplicates, but only {self.under_way} were under way")
        if self.leased:
            said.append(f"{self.leased} leases left")
        if self.integrity != "ok":
            said.append(f"the database: {self.integrity}")
        return said


def run_round(
    folder: Path,
    *,
    seed: int,
    stops: int = KILLS_A_ROUND,
    deliveries: int = 5_000,
    how: signal.Signals = signal.SIGKILL,
    told: Callable[[Stop], None] = lambda stop: None,
) -> Round:
    """Deliver 100 inboxes' worth of posts while the worker is stopped `stops` times at random moments."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        sink = stack.enter_context(running_sink(folder, tls=False, log=True, delay=ANSWER_AFTER))
        subject = stack.enter_context(new_subject(folder, sink, concurrency=CONCURRENCY))
        subject.add_followers(sink, INBOXES)
        subject.publish(deliveries // INBOXES)
        command = [sys.executable, "-c", _NURSERY, *subject.options, "worker"]
        nursery = stack.enter_context(Process(command, folder / "worker.log", pipes=True))
        ended = []
        for number in range(stops):
            early = how == signal.SIGKILL and number % EARLY == EARLY - 1
            arrivals = 0 if early else _share(chance, deliveries, stops)
            ended.append(_live(nursery, subject, sink, chance, arrivals, how))
            told(ended[-1])
        _finish(nursery, subject)
        return _judge(seed, tuple(ended), subject, sink)


def _share(chance: random.Random, deliveries: int, stops: int) -> int:
    """Choose how many deliveries a worker gets done before it is stopped."""
    return chance.randint(1, max(2, int(2 * SHARE_BEFORE_LAST_STOP * deliveries / stops)))


def _live(
    nursery: Process, subject: Subject, sink: Sink, chance: random.Random, arrivals: int, how: signal.Signals
) -> Stop:
    """Let a worker live until so much has arrived, and a random moment longer."""
    before = sink.tally().requests
    pid = int(nursery.ask("a worker"))
    if arrivals:
        until(lambda: sink.tally().requests >= before + arrivals, "deliveries", every=0.002)
    time.sleep(chance.uniform(0, 0.06 if arrivals else 0.5))
    stopped = time.monotonic()
    os.kill(pid, how)
    code = int(nursery.hear())
    return Stop(code, time.monotonic() - stopped, frozenset(_leased(subject)))


def _finish(nursery: Process, subject: Subject) -> None:
    pid = int(nursery.ask("a worker"))
    until(subject.is_done, "the rest to be delivered", every=0.05)
    os.kill(pid, signal.SIGTERM)
    if nursery.hear() != "0":
        raise RuntimeError(f"the last worker did not stop cleanly: {nursery.said()[-2000:]}")


def _leased(subject: Subject) -> Iterator[Sent]:
    """Yield what was under way just now: leased, and not given back since."""
    columns, activities = schema.deliveries.c, schema.activities
    joined = schema.deliveries.join(activities, activities.c.pk == columns.activity_pk)
    held = columns.state == "pending", columns.leased, columns.due_at > subject.services.now()
    with subject.services.store.read() as tx:
        rows = tx.execute(select(activities.c.uri, columns.inbox).select_from(joined).where(*held))
        yield from ((uri, inbox) for uri, inbox in rows)


def _judge(seed: int, stops: tuple[Stop, ...], subject: Subject, sink: Sink) -> Round:
    columns, activities = schema.deliveries.c, schema.activities
    joined = schema.deliveries.join(activities, activities.c.pk == columns.activity_pk)
    with subject.services.store.read() as tx:
        wanted = {
            (uri, inbox)
            for uri, inbox in tx.execute(select(activities.c.uri, columns.inbox).select_from(joined))
        }
        integrity = str(tx.exec_driver_sql("PRAGMA integrity_check").scalar())
        leased = len(tx.execute(select(columns.id).where(columns.leased)).all())
    came = Counter(sink.arrivals())
    chances = Counter(sent for stop in stops for sent in stop.under_way)
    return Round(
        seed=seed,
        stops=stops,
        deliveries=len(wanted),
        arrivals=came.total(),
        lost=frozenset(wanted - came.keys()),
        unknown=frozenset(came.keys() - wanted),
        unexplained=frozenset(sent for sent, times in came.items() if times > 1 + chances[sent]),
        states=subject.deliveries(),
        leased=leased,
        integrity=integrity,
    )


# ── many rounds ───────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    """Run rounds until so many workers were killed; exit code 1 when any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    given = parser.parse_args()
    console, broken, rounds = Console(), 0, []
    console.print(f"Seed {given.seed}")
    with Progress(console=console) as progress:
        task = progress.add_task("Killing workers", total=given.kills)
        for number in range(-(-given.kills // KILLS_A_ROUND)):
            kills = min(KILLS_A_ROUND, given.kills - number * KILLS_A_ROUND)
            with tempfile.TemporaryDirectory() as folder:
                done = run_round(
                    Path(folder),
                    seed=given.seed + number,
                    stops=kills,
                    told=lambda stop: progress.advance(task),
                )
            rounds.append(done)
            broken += bool(done.problems())
            progress.console.print(describe(done))
    killed, twice = sum(len(done.stops) for done in rounds), sum(done.duplicates for done in rounds)
    lost = sum(len(done.lost) for done in rounds)
    console.print(f"{killed} kills: {lost} lost, {twice} duplicates ({twice / max(killed, 1):.1f} a kill)")
    return 1 if broken else 0


def describe(done: Round) -> str:
    """Say in a line what a round did."""
    held = [len(stop.under_way) for stop in done.stops]
    said = (
        f"seed {done.seed}: {len(done.stops)} kills, {done.deliveries} deliveries, {len(done.lost)} lost, "
        f"{done.duplicates} duplicates, {done.under_way} were under way "
        f"(at most {max(held, default=0)} at once), integrity {done.integrity}"
    )
    return "\n".join([said, *(f"  BROKEN: {problem}" for problem in done.problems())])


if __name__ == "__main__":
    sys.exit(main())
