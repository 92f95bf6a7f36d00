"""Fan-out: one post to thousands of servers, from the commit of its publishing to the last 202."""

import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import select

from benchmarks.machine import cpu_seconds, raise_file_limit
from benchmarks.processes import Process, module, until
from benchmarks.sink import Sink, running_sink
from benchmarks.subject import SITE, Subject, new_subject
from benchmarks.tables import Table, spread
from bridge.store import identity, schema

GOAL = "at least 0.8 of the bare loop's rate"
_PATIENCE = 120


@dataclass(frozen=True)
class Run:
    """One fan-out: rate in requests per second, processor time as a share of one core."""

    rate: float
    sender_cpu: float
    sink_cpu: float


def measure(*, quick: bool) -> list[Table]:
    """Measure the bridge and the bare loop in turns, and signatures beside them."""
    hosts, rounds = (300, 1) if quick else (5_000, 3)
    raise_file_limit()
    bridge, bare, signatures = [], [], []
    with tempfile.TemporaryDirectory() as name, running_sink(Path(name), tls=True) as sink:
        folder = Path(name)
        with new_subject(folder, sink) as subject:
            subject.add_followers(sink, hosts)
            key, body = _write_key_and_body(subject, folder)
            for number in range(rounds):
                turns: list[Callable[[], None]] = [
                    lambda: bridge.append(_bridge(subject, sink, hosts)),
                    lambda: bare.append(_bare(subject, sink, hosts, key, body, folder)),
                ]
                for turn in turns if number % 2 == 0 else reversed(turns):
                    turn()
                signatures.append(signatures_per_second(0.3 if quick else 2))
    return [_table(hosts, bridge, bare, signatures)]


def _table(hosts: int, bridge: list[Run], bare: list[Run], signatures: list[float]) -> Table:
    ratio = median(run.rate for run in bridge) / median(run.rate for run in bare)
    rows = [
        _row("the bridge: publish → queue → last 202", bridge),
        _row("anchor: a loop that signs and POSTs, no queue", bare),
        ("ratio", f"{ratio:.2f}", "", ""),
        ("RSA-2048 signatures on one core", spread(signatures), "", ""),
    ]
    return Table(
        f"Fan-out: one post to {hosts:,} servers",
        ("", "per second", "core of the sender", "core of the sink"),
        rows,
        GOAL,
        (_judge_sink(bridge + bare), "Every host is another TLS server; one worker process; medians of "
         f"{len(bridge)} rounds in alternating order, with the range."),
    )  # fmt: skip


def _row(name: str, runs: list[Run]) -> tuple[str, str, str, str]:
    sender, sink = median(run.sender_cpu for run in runs), median(run.sink_cpu for run in runs)
    return name, spread([run.rate for run in runs]), f"{sender:.0%}", f"{sink:.0%}"


def _judge_sink(runs: list[Run]) -> str:
    busiest = max(run.sink_cpu for run in runs)
    if busiest > 0.9:
        return (
            f"The sink used up to {busiest:.0%} of a core: it was the bottleneck, the senders could do more."
        )
    return f"The sink used {busiest:.0%} of a core at most: it was not the bottleneck."


# ── the two senders ───────────────────────────────────────────────────────────────────────────────


def _bridge(subject: Subject, sink: Sink, hosts: int) -> Run:
    with subject.start("worker") as worker:
        worker.wait_for("at work")
        time.sleep(0.5)  # its first look at everything is over
        run = _timed(worker, sink, hosts, subject.publish)
        until(subject.is_done, "the last delivery to be settled")
        if worker.stop(signal.SIGTERM) != 0:
            raise RuntimeError(f"the worker did not stop cleanly: {worker.said()[-2000:]}")
    return run


def _bare(subject: Subject, sink: Sink, hosts: int, key: Path, body: Path, folder: Path) -> Run:
    arguments: list[object] = ["--port", sink.port, "--hosts", hosts, "--key", key, "--body", body]
    arguments += ["--concurrency", subject.services.config.delivery.concurrency, "--ca-file", sink.ca_file]
    with Process(module("benchmarks.bareloop", *arguments), folder / "bare.log", pipes=True) as loop:
        loop.hear()

        def go() -> float:
            started = time.monotonic()
            loop.say("go")
            return started

        run = _timed(loop, sink, hosts, go)
        loop.hear()
    return run


def _timed(sender: Process, sink: Sink, hosts: int, start: Callable[[], float]) -> Run:
    sink.reset()
    sender_before, sink_before = cpu_seconds(sender.pid), cpu_seconds(sink.pid)
    started = start()
    until(lambda: sink.tally().requests >= hosts, f"{hosts} arrivals", patience=_PATIENCE, every=0.05)
    wall = time.monotonic() - started
    sender_cpu, sink_cpu = cpu_seconds(sender.pid) - sender_before, cpu_seconds(sink.pid) - sink_before
    return Run(hosts / (sink.tally().last_at - started), sender_cpu / wall, sink_cpu / wall)


# ── signatures ────────────────────────────────────────────────────────────────────────────────────


def signatures_per_second(seconds: float) -> float:
    """Sign one thing after the other with RSA-2048."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return per_second(lambda: key.sign(b"x" * 300, PKCS1v15(), SHA256()), seconds)


def per_second(action: Callable[[], object], seconds: float) -> float:
    """Return how often an action can be done in a second, one after the other."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        action()
        done += 1
    return done / (time.perf_counter() - started)


def _write_key_and_body(subject: Subject, folder: Path) -> tuple[Path, Path]:
    """Give the bare loop the café's own key, and an activity of the size it sends."""
    subject.publish()
    with subject.services.store.read() as tx:
        pem = identity.private_keys(tx)[SITE, "rsa"]
        body: bytes = tx.scalars(select(schema.activities.c.body)).all()[-1]
    assert isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    key_file, body_file = folder / "key.pem", folder / "body.json"
    key_file.write_text(pem)
    body_file.write_bytes(body)
    with subject.services.store.write() as tx:
        tx.execute(schema.deliveries.delete())
    return key_file, body_file
