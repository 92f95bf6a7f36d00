"""The queue alone: what claiming and settling a delivery costs when thousands are due, on both databases."""

import os
import tempfile
import time
from pathlib import Path

from benchmarks.postgres import POSTGRES, new_database
from benchmarks.sink import Sink
from benchmarks.subject import Subject, new_subject
from benchmarks.tables import Table
from bridge.model import Delivered, Delivery
from bridge.store import deliveries, peers

BATCH = 50  # about what finishes in one tick
SLOTS = 225
PER_HOST = 2


class Nowhere(Sink):
    """A sink that only lends its names."""

    def __init__(self) -> None:
        self.port, self.scheme, self.ca_file = 443, "https", None


def measure(*, quick: bool) -> list[Table]:
    """Measure fan-out, claim and settle with few and with many due rows."""
    sizes = (500, 2_000) if quick else (5_000, 100_000)
    rows = [_row("SQLite", size, None) for size in sizes]
    server = os.environ.get(POSTGRES)
    rows += [_on_postgres(server, size) for size in sizes] if server else []
    missing = () if server else (f"PostgreSQL was left out: {POSTGRES} names none.",)
    return [
        Table(
            "The queue: microseconds of one thread per delivery",
            ("", "fan-out", "claim", "settle", "claim and settle"),
            rows,
            notes=(f"Batches of {BATCH} with {SLOTS} hosts busy, as in a running worker.", *missing),
        )
    ]


def _on_postgres(server: str, size: int) -> tuple[str, ...]:
    """Measure in a database of its own."""
    with new_database(server) as url:
        return _row("PostgreSQL", size, url)


def _row(engine: str, size: int, database: str | None) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder, new_subject(Path(folder), database=database) as subject:
        subject.add_followers(Nowhere(), size)
        started = time.perf_counter()
        subject.publish()
        fanned_out = time.perf_counter() - started
        _analyse(subject)
        spent = _drain(subject, rounds=60)
        costs = [fanned_out / size, *(spent[step] / spent["deliveries"] for step in ("claim", "settle"))]
    return (f"{engine}, {size:,} due", *(f"{cost * 1e6:,.0f}" for cost in (*costs, costs[1] + costs[2])))


def _analyse(subject: Subject) -> None:
    """Let PostgreSQL know what was just inserted, as it would by itself after a while."""
    if subject.services.store.is_sqlite:
        return
    with subject.services.store.maintenance() as tx:
        tx.exec_driver_sql("ANALYZE")


def _drain(subject: Subject, *, rounds: int) -> dict[str, float]:
    """Claim and settle as a worker does, with the hosts of earlier batches still busy."""
    store, now = subject.services.store, subject.services.now
    spent = {"claim": 0.0, "settle": 0.0, "deliveries": 0.0}
    under_way: list[Delivery] = []
    for _ in range(rounds):
        busy = [one.host for one in under_way]
        started = time.perf_counter()
        with store.write() as tx:
            claimed = deliveries.claim(
                tx, BATCH, lane=deliveries.FAST, busy=busy, per_host=PER_HOST, now=now()
            )
            peers.known(tx, {one.host for one in claimed})
        spent["claim"] += time.perf_counter() - started
        under_way += claimed
        finished, under_way = under_way[: max(0, len(under_way) - SLOTS)], under_way[-SLOTS:]
        started = time.perf_counter()
        with store.write() as tx:
            deliveries.settle(tx, [(one, Delivered(202)) for one in finished], now=now())
        spent["settle"] += time.perf_counter() - started
        spent["deliveries"] += len(claimed)
        if not claimed:
            break
    return spent
