"""A flood: how long a first Follow takes to have its effect while junk with made-up keys comes in."""

import http.client
import json
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from benchmarks.hanging import black_hole
from benchmarks.inbox import wait_for_web
from benchmarks.machine import cpu_seconds, raise_file_limit
from benchmarks.processes import Process, module
from benchmarks.sink import DOMAIN, Sink, running_sink
from benchmarks.strangers import Follow, actor_document, follows, make_keys
from benchmarks.subject import ELSEWHERE, SITE, Subject, new_subject
from benchmarks.tables import Table
from bridge.store import followers

GOAL = "a first Follow takes effect in less than 2 seconds at 500 junk requests a second"
RATE = 500
PATIENCE = 30.0  # seconds, after which a Follow counts as one that did not come through


@dataclass(frozen=True)
class Case:
    """Who sends junk. `parties` is how many addresses or, behind a proxy, domains of keys there are."""

    name: str
    parties: int = 0  # none: no junk
    named: bool = True  # with addresses, which a trusted proxy tells us
    hangs: bool = True  # the hosts of the keys; else they answer 404


CASES = (
    Case("no junk"),
    Case("one address, keys whose hosts hang", 1),
    Case("one address, keys whose hosts answer 404", 1, hangs=False),
    Case("200 addresses, keys whose hosts hang", 200),
    Case("200 addresses, keys whose hosts answer 404", 200, hangs=False),
    Case("a proxy that is not trusted, keys on one domain that hang", 1, named=False),
)


@dataclass(frozen=True)
class Run:
    """Seconds of each Follow until the 202 and until there is a follower; what became of the junk."""

    answered: Sequence[float]
    effects: Sequence[float]
    junk_per_second: float
    statuses: dict[str, int]
    web_core: float


def measure(*, quick: bool) -> list[Table]:
    """Send Follows one after the other, in each case with another kind of junk."""
    rate, genuine, cases = (50, 1, CASES[:2]) if quick else (RATE, 5, CASES)
    raise_file_limit()
    keys = make_keys(2)
    rows = [_row(case, _run(case, keys, rate, genuine)) for case in cases]
    columns = ("", "202, s", "follower, s", "worst, s", "junk a second", "core of web", "junk was answered")
    note = (
        f"Medians and worst of {genuine} Follows, each the first of its server and address, one after the "
        f"other; “–”: not within {PATIENCE:.0f} s. The junk comes from a process of its own, each request "
        f"over a connection of its own, {rate} of them offered a second; one web process and one worker, "
        "on SQLite, with real sockets and TLS to the hosts of the keys."
    )
    return [Table("A first Follow in a flood of junk", columns, rows, GOAL, (note,))]


def _row(case: Case, run: Run) -> tuple[str, ...]:
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(run.statuses.items()))
    worst = max(run.effects)
    return (
        case.name,
        _seconds(median(run.answered)),
        _seconds(median(run.effects)),
        _seconds(worst),
        f"{run.junk_per_second:.0f}",
        f"{run.web_core:.0%}",
        statuses or "–",
    )


def _seconds(number: float) -> str:
    return f"{number:.2f}" if number < PATIENCE else "–"


def _run(case: Case, keys: Sequence[RSAPrivateKey], rate: int, genuine: int) -> Run:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        documents = folder / "documents.json"
        sink = stack.enter_context(running_sink(folder, tls=True, documents=documents))
        hole = stack.enter_context(black_hole(answers_syn=True))
        server = 'trusted_proxies = ["127.0.0.1"]' if case.named else ""
        subject = stack.enter_context(new_subject(folder, sink, allow=(f"127.0.0.1:{hole}",), server=server))
        documents.write_text(
            json.dumps(dict(actor_document(sink, keys, number) for number in range(genuine)))
        )
        web = stack.enter_context(subject.start("web"))
        wait_for_web(subject)
        stack.enter_context(subject.start("worker")).wait_for("at work")
        with _junk(case, subject, folder, rate, hole if case.hangs else sink.port) as found:
            time.sleep(5)
            used, began = cpu_seconds(web.pid), time.monotonic()
            times = [_send(subject, sink, keys, number, named=case.named) for number in range(genuine)]
            core = (cpu_seconds(web.pid) - used) / (time.monotonic() - began)
    answered, effects = zip(*times, strict=True)
    return Run(answered, effects, found.get("per_second", 0), found.get("statuses", {}), core)


@contextmanager
def _junk(case: Case, subject: Subject, folder: Path, rate: int, port: int) -> Iterator[dict[str, object]]:
    """Send junk for as long as the block lasts; what became of it is in what is yielded, afterwards."""
    found: dict[str, object] = {}
    if not case.parties:
        yield found
        return
    hosts = f"junk{{0}}.{ELSEWHERE if case.hangs else DOMAIN}:{port}"
    command = ["--port", subject.port, "--rate", rate, "--parties", case.parties, "--hosts", hosts]
    named = ["--named"] if case.named else []
    with Process(module("benchmarks.junk", *command, *named), folder / "junk.log", pipes=True) as process:
        process.hear()
        yield found
        found |= json.loads(process.ask("stop"))
        process.stop(signal.SIGTERM, patience=5)


def _send(
    subject: Subject, sink: Sink, keys: Sequence[RSAPrivateKey], number: int, *, named: bool
) -> tuple[float, float]:
    """Send a first Follow, again a second after each refusal; return when it was taken, and took effect."""
    (follow,) = follows(subject, sink, keys, range(number, number + 1))
    began = time.monotonic()
    while not _is_taken(subject, follow, f"9.9.{number}.9" if named else "") and _since(began) < PATIENCE:
        time.sleep(1)
    answered = _since(began)
    while _followers(subject) <= number and _since(began) < PATIENCE:
        time.sleep(0.02)
    return answered, _since(began)


def _is_taken(subject: Subject, follow: Follow, address: str) -> bool:
    if address:
        follow.headers["X-Forwarded-For"] = address
    connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=PATIENCE)
    with suppress(OSError, http.client.HTTPException):
        return follow.post(connection) == 202
    return False


def _since(began: float) -> float:
    return time.monotonic() - began


def _followers(subject: Subject) -> int:
    with subject.services.store.read() as tx:
        return followers.count(tx, SITE)
