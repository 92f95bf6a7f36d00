"""The inbox: Follows per second, from the request of a stranger to the Accept at their server."""

import json
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.fanout import per_second
from benchmarks.machine import raise_file_limit
from benchmarks.processes import Process, module, until
from benchmarks.sink import running_sink
from benchmarks.strangers import Follow, introduce, make_keys
from benchmarks.subject import SITE, Subject, new_subject
from benchmarks.tables import Table, spread
from bridge.store import followers
from bridge.store.engine import sqlite_module

CONNECTIONS = 16


@dataclass(frozen=True)
class Rates:
    """What one round came to, per second."""

    stored: float
    effects: float
    answered: float


def measure(*, quick: bool) -> list[Table]:
    """Measure the web process alone, the worker alone on what it stored, and both at once."""
    follows, rounds = (100, 1) if quick else (2_000, 3)
    raise_file_limit()
    keys = make_keys(2 if quick else 16)
    apart, together, verified, committed = [], [], [], []
    for _ in range(rounds):
        apart.append(_round(keys, follows, together=False))
        together.append(_round(keys, follows, together=True))
        verified.append(_verifies_per_second(keys[0], 0.3 if quick else 2))
        committed.append(_commits_per_second(0.3 if quick else 2))
    return [_table(follows, apart, together, verified, committed)]


def _table(
    follows: int,
    apart: Sequence[Rates],
    together: Sequence[Rates],
    verified: Sequence[float],
    committed: Sequence[float],
) -> Table:
    def row(name: str, values: Sequence[float], anchor: Sequence[float]) -> tuple[str, str, str]:
        return name, spread(values), f"{median(values) / median(anchor):.2f}"

    return Table(
        f"The inbox: {follows:,} Follows of strangers whose keys are known",
        ("", "per second", "of the commits"),
        (
            row("web alone: verified, stored, answered 202", [one.stored for one in apart], committed),
            row(
                "worker alone: effects (followers, Accepts queued)", [one.effects for one in apart], committed
            ),
            row("worker alone: Accepts delivered", [one.answered for one in apart], committed),
            row("both at once: 202 to the senders", [one.stored for one in together], committed),
            row("both at once: Accepts delivered", [one.answered for one in together], committed),
            ("anchor: SQLite commits of one row", spread(committed), ""),
            ("anchor: RSA-2048 verifications on one core", spread(verified), ""),
        ),
        notes=(
            f"Every stranger is on another server (TLS), and sends over one of {CONNECTIONS} connections "
            "from a second process. Each 202 is one durable commit. Delivering an Accept takes a handshake "
            f"and a signature. Medians of {len(apart)} rounds, with the range.",
        ),
    )


def _round(keys: Sequence[RSAPrivateKey], follows: int, *, together: bool) -> Rates:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(running_sink(folder, tls=True))
        subject = stack.enter_context(new_subject(folder, sink))
        requests = introduce(subject, sink, keys, follows)
        web = stack.enter_context(subject.start("web"))
        wait_for_web(subject)
        worker = stack.enter_context(_started_worker(subject)) if together else None
        sent = _send(subject, requests, folder)
        if not together:
            web.stop(signal.SIGTERM)
        began = sent.started
        if worker is None:
            worker = stack.enter_context(_started_worker(subject))
            began = time.monotonic()
        until(lambda: _followers(subject) >= follows, "the followers", every=0.02)
        effects_at = time.monotonic()
        until(lambda: sink.tally().requests >= follows, "the Accepts", every=0.02)
        answered_at = sink.tally().last_at
        until(subject.is_done, "the settling")
        worker.stop(signal.SIGTERM)
    return Rates(
        follows / (sent.ended - sent.started), follows / (effects_at - began), follows / (answered_at - began)
    )


@dataclass(frozen=True)
class Sending:
    started: float
    ended: float


def _send(subject: Subject, requests: Sequence[Follow], folder: Path) -> Sending:
    file = folder / "requests"
    file.write_text("\n".join(follow.request().hex() for follow in requests))
    command = module(
        "benchmarks.sender", "--port", subject.port, "--connections", CONNECTIONS, "--requests", file
    )
    with Process(command, folder / "sender.log", pipes=True) as sender:
        sender.hear()
        answer = json.loads(sender.ask("go"))
    if answer["accepted"] != len(requests):
        raise RuntimeError(f"only {answer['accepted']} of {len(requests)} Follows were accepted")
    return Sending(answer["started"], answer["ended"])


def wait_for_web(subject: Subject) -> None:
    """Return once the web process answers."""
    import http.client

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    until(answers, "the web process", every=0.05)


def _started_worker(subject: Subject) -> Process:
    worker = subject.start("worker")
    worker.wait_for("at work")
    return worker


def _followers(subject: Subject) -> int:
    with subject.services.store.read() as tx:
        return followers.count(tx, SITE)


# ── anchors ───────────────────────────────────────────────────────────────────────────────────────


def _verifies_per_second(key: RSAPrivateKey, seconds: float) -> float:
    signature, public = key.sign(b"x" * 300, PKCS1v15(), SHA256()), key.public_key()
    return per_second(lambda: public.verify(signature, b"x" * 300, PKCS1v15(), SHA256()), seconds)


def _commits_per_second(seconds: float) -> float:
    """Commit rows of the size of an arrival, as durably as the bridge does."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite_module().connect(f"{folder}/anchor.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE arrivals (id INTEGER PRIMARY KEY, body BLOB)")
        try:
            return per_second(
                lambda: connection.execute("INSERT INTO arrivals (body) VALUES (?)", (b"x" * 1_500,)), seconds
            )
        finally:
            connection.close()
