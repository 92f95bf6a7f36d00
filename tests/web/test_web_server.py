"""The web process as it really runs: Granian on a port, raw bytes, slow senders, and no way out."""

import json
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from databases import Postgres
from places import DATA
from processes import free_port, is_alive, wait_for
from web_visitor import Stranger

from benchmarks.machine import children
from bridge.config import load_config
from bridge.services import Services, open_services
from bridge.store import inbox
from bridge.web.inbox import MAX_BODY
from bridge.web.serve import STOP_SECONDS

GUARDED = DATA / "web" / "guarded_bridge.py"
ALICE = Stranger()
END = b"\r\n\r\n"
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has")


@dataclass
class Server:
    """A web process listening on a port, the services that share its database, and its guard's log."""

    port: int
    services: Services
    attempts: Path

    @property
    def url(self) -> str:
        return self.services.config.base_url

    @property
    def inbox(self) -> str:
        return f"{self.url}/ap/cafe/inbox"

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def ask(self, raw: bytes) -> bytes:
        """Send bytes and return everything that comes back until the server hangs up or says no more."""
        with self.open() as connection:
            connection.sendall(raw)
            return _read_all(connection)

    def get(self, path: str = "/ap/cafe", *headers: str) -> bytes:
        return self.ask(_request("GET", path, "Accept: application/activity+json", *headers))

    def post(self, body: bytes, signed: dict[str, str], *more: str) -> bytes:
        lines = [f"{name}: {value}" for name, value in signed.items() if name != "Host"]
        return self.ask(_request("POST", "/ap/cafe/inbox", *lines, *more, host=self.netloc) + body)

    @property
    def netloc(self) -> str:
        return self.url.removeprefix("http://")

    def waiting(self) -> int:
        with self.services.store.read() as tx:
            return inbox.waiting(tx)


def _request(method: str, path: str, *headers: str, host: str = "localhost") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + END


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def _length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    about = f'handle = "@cafe@localhost:{port}"\nwebsite = "https://cafe.example/"\nname = "Café"\n'
    top = f'base_url = "http://localhost:{port}"\n[server]\nhost = "127.0.0.1"\nport = {port}\n'
    source = '[[sites.cafe.sources]]\nfeed = "https://cafe.example/feed.xml"\n'
    (folder / "config.toml").write_text(f"{top}[sites.cafe]\n{about}{source}", encoding="utf-8")
    with ExitStack() as stack:
        services = open_services(load_config(folder / "config.toml", environ={}))
        stack.callback(services.close)
        attempts = folder / "outgoing.log"
        command = [sys.executable, GUARDED, attempts, "--config", folder / "config.toml", "web"]
        log = stack.enter_context((folder / "server.log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log)
        stack.callback(_stop, process)
        found = Server(port, services, attempts)
        _wait_until_it_answers(found, process)
        yield found


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the web process ended at once: see server.log"
        try:
            if _status(server.get("/healthz")) == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the web process did not answer within half a minute")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def test_documents_come_whole_with_what_caches_need(server: Server) -> None:
    for _ in range(2):  # computed, then remembered
        head, _, body = server.get().partition(END)
        assert json.loads(body)["id"] == f"{server.url}/ap/cafe"
        headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
        assert headers["content-type"] == "application/activity+json; charset=utf-8"
        assert headers["content-length"] == str(len(body))
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["etag"]
    known = server.get("/ap/cafe", f"If-None-Match: {headers['etag']}")
    assert (_status(known), known.partition(END)[2]) == (304, b"")
    head = server.ask(_request("HEAD", "/ap/cafe", "Accept: application/activity+json"))
    assert f"content-length: {len(body)}\r\n".encode() in head
    assert head.endswith(END)


def test_a_query_and_an_encoded_path_arrive_as_they_were_sent(server: Server) -> None:
    found = server.get(f"/.well-known/webfinger?resource=acct%3Acafe%40localhost%3A{server.port}")
    assert _status(found) == 200
    assert _status(server.get("/ap/cafe/tagged/Stra%C3%9Fe", "Accept: text/html")) == 200
    for path in ("/ap/cafe/posts/%00", "/ap/cafe/posts/%ff%fe", "/ap/%2e%2e/%2e%2e/etc/passwd"):
        assert _status(server.get(path)) == 404


# ── what is no proper HTTP ───────────────────────────────────────────────────────────────────────

FOLDED = _request("GET", "/ap/cafe", "X-A: 1\r\n  folded")
TWO_LENGTHS = _request("POST", "/ap/cafe/inbox", "Content-Length: 3", "Content-Length: 4") + b"abcd"
BOTH = (
    _request("POST", "/ap/cafe/inbox", "Content-Length: 3", "Transfer-Encoding: chunked")
    + b"3\r\nabc\r\n0"
    + END
)


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (FOLDED, {400}),
        (TWO_LENGTHS, {400}),
        (BOTH, {400, 401}),  # read as chunked (RFC 9112 §6.3), then hung up
        (_request("POST", "/ap/cafe/inbox", "Content-Length: +3") + b"abc", {400}),
        (_request("POST", "/ap/cafe/inbox", "Content-Length: -1"), {400}),
        (_request("POST", "/ap/cafe/inbox", "Content-Length: 99999999999999999999999"), {400, 413}),
        (_request("POST", "/ap/cafe/inbox", "Transfer-Encoding: xchunked") + b"0" + END, {400}),
        (_request("POST", "/ap/cafe/inbox", "Transfer-Encoding: chunked, identity") + b"0" + END, {400}),
        (_request("GET", "/ap/cafe", "X-A : 1"), {400}),
        (_request("GET", "/ap/cafe", "X-A: a\0b"), {400}),
        (b"GET /ap/cafe HTTP/1.1\nHost: localhost\nConnection: close\n\n", {200, 400}),
        (b"GET /ap/cafe HTTP/9.9\r\nHost: localhost" + END, {400, 505, 0}),
        (b"GET /ap/ca fe HTTP/1.1\r\nHost: localhost" + END, {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + END, {400}),
        (_request("GET", "/ap/cafe", "X-Big: " + "a" * 600_000), {431}),
        (_request("GET", "/ap/cafe", *(f"X-{number}: a" for number in range(300))), {431}),
        (_request("GET", "/" + "a" * 70_000), {414}),
        (_request("GET", "/ap/cafe/outbox/pages/" + "9" * 5000), {404}),
        (_request("BREW", "/ap/cafe"), {405}),
    ],
    ids=lambda value: "" if isinstance(value, set) else value[:40],
)
def test_malformed_requests_are_refused_without_a_crash(
    server: Server, raw: bytes, statuses: set[int]
) -> None:
    assert _status(server.ask(raw)) in statuses


def test_nothing_hides_behind_a_request_with_two_lengths(server: Server) -> None:
    """Smuggling: whatever follows the body must not be taken for a request of its own."""
    hidden = b"GET /smuggled HTTP/1.1\r\nHost: localhost" + END
    for raw in (BOTH + hidden, TWO_LENGTHS + hidden):
        assert server.ask(raw).count(b"HTTP/1.1 ") == 1


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────


def _chunked(body: bytes, size: int = 10_000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0" + END


@pytest.mark.parametrize("chunked", [False, True])
def test_a_signed_follow_is_stored(server: Server, chunked: bool) -> None:
    before = server.waiting()
    said = ALICE.says("Follow", f"{server.url}/ap/cafe", chunked=chunked)
    body, signed = ALICE.sign(said, datetime.now(UTC), server.inbox)
    framing = "Transfer-Encoding: chunked" if chunked else _length(body)
    assert _status(server.post(_chunked(body, 50) if chunked else body, signed, framing)) == 202
    assert server.waiting() == before + 1


def test_a_body_is_too_large_whether_it_says_so_or_not(server: Server) -> None:
    headers = ("Content-Type: application/activity+json", 'Signature: keyId="x"')
    announced = _request("POST", "/ap/cafe/inbox", *headers, f"Content-Length: {MAX_BODY + 1}")
    assert _status(server.ask(announced)) == 413
    chunked = _request("POST", "/ap/cafe/inbox", *headers, "Transfer-Encoding: chunked")
    with server.open() as connection:
        connection.sendall(chunked + _chunked(b"x" * (MAX_BODY + 1))[: MAX_BODY + 1000])
        assert _status(_read_all(connection)) == 413


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(server: Server) -> None:
    body, signed = ALICE.sign(ALICE.says("Follow", "broken off"), datetime.now(UTC), server.inbox)
    before = server.waiting()
    answer = server.post(b"ffffffffffffffffff\r\n" + body, signed, "Transfer-Encoding: chunked")
    assert _status(answer) in (400, 401, 0)
    assert server.waiting() == before


def test_an_underscore_is_no_hyphen(server: Server) -> None:
    """In WSGI's variables they are the same: a stranger could speak for a proxy, or for a signature."""
    body, signed = ALICE.sign(ALICE.says("Follow", "underscore"), datetime.now(UTC), server.inbox)
    forged = [f"{name.replace('-', '_')}: {value}" for name, value in signed.items()]
    signature = signed.pop("Signature")
    assert _status(server.post(body, signed, _length(body), *forged, f"Sig_nature: {signature}")) in (
        202,
        401,
    )
    clobbered = {**signed, "Signature": signature}
    assert _status(server.post(body, clobbered, _length(body), "Content_Type: text/html")) == 202


# ── patience ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "start",
    [
        b"GET /ap/cafe HTTP/1.1\r\nHost: loc",
        b"POST /ap/cafe/inbox HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow",
        b"POST /ap/cafe/inbox HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nslow",
        b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow",
    ],
    ids=["headers", "body", "chunks", "body for nobody"],
)
def test_fifty_slow_senders_keep_nobody_waiting(server: Server, start: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.open()).sendall(start)
        began = time.monotonic()
        for path in ("/ap/cafe", "/ap/cafe/feed", "/healthz"):
            assert _status(server.get(path)) == 200
        assert time.monotonic() - began < 1


def test_eleven_hundred_idle_connections_keep_nobody_waiting(server: Server) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 3_000:
        pytest.skip("too few files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3_000), most))
    with ExitStack() as idle:
        for _ in range(1_100):
            idle.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        assert _status(server.ask(_request("GET", "/ap/cafe"))) == 200


def test_http_2_is_not_spoken_by_prior_knowledge(server: Server) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    assert server.ask(preface)[3:4] != b"\4"  # no SETTINGS frame


def test_fifty_slow_readers_keep_nobody_waiting(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.open()).sendall(_request("GET", "/ap/cafe/feed", "Accept: text/html"))
        began = time.monotonic()
        assert _status(server.get()) == 200
        assert time.monotonic() - began < 1


# ── how it runs ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Alone:
    """A web process of its own, with how it was started."""

    port: int
    process: subprocess.Popen[bytes]

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def ask(self) -> bytes:
        with self.open() as connection:
            connection.sendall(_request("GET", "/healthz"))
            return _read_all(connection)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Alone]]:
    """Start web processes that are stopped at the end."""
    with ExitStack() as stack:

        def begin(*options: str, database: str = "") -> Alone:
            port = free_port()
            top = f'base_url = "http://localhost:{port}"\n{database}\n[server]\nhost = "127.0.0.1"\n'
            site = f'handle = "@cafe@localhost:{port}"\nwebsite = "https://cafe.example/"\nname = "Café"\n'
            source = '[[sites.cafe.sources]]\nfeed = "https://cafe.example/feed.xml"\n'
            config = tmp_path / "config.toml"
            config.write_text(f"{top}port = {port}\n[sites.cafe]\n{site}{source}", encoding="utf-8")
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "--config", config, "web", *options],
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_stop, process)
            started = Alone(port, process)
            wait_for(lambda: _is_up(started), seconds=30, why="the web process does not answer")
            return started

        yield begin


def _is_up(server: Alone) -> bool:
    assert server.process.poll() is None, "the web process ended at once"
    try:
        return _status(server.ask()) == 200
    except OSError:
        return False


@linux
def test_the_web_process_is_one_process_and_no_parent_of_another(start: Callable[..., Alone]) -> None:
    assert children(start().process.pid) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_waits_a_while_for_those_who_have_not_finished(
    start: Callable[..., Alone], number: signal.Signals
) -> None:
    server = start()
    with server.open() as slow:
        slow.sendall(b"GET /ap/cafe HTTP/1.1\r\nHost: loc")
        server.process.send_signal(number)
        began = time.monotonic()
        assert server.process.wait(15) == 0
        assert time.monotonic() - began < STOP_SECONDS + 2


@linux
def test_with_postgresql_several_processes_answer(
    start: Callable[..., Alone], postgres_server: Postgres
) -> None:
    with postgres_server.empty() as url:
        server = start("--workers", "2", database=f'database = "{url}"')
        assert _status(server.ask()) == 200
        workers = children(server.process.pid)
        assert len(workers) == 2
        server.process.kill()
        wait_for(lambda: not any(map(is_alive, workers)), why="they outlive their parent")


# ── no way out ───────────────────────────────────────────────────────────────────────────────────


def test_whatever_arrives_the_web_process_asks_nobody(server: Server) -> None:
    """Unknown keys, moves, actors and pictures: all of it is for the worker to look at."""
    elsewhere = "https://victim.example/actor"
    objects = (
        elsewhere,
        {"id": f"{ALICE.id}/1", "type": "Note", "attributedTo": ALICE.id, "image": elsewhere},
    )
    for kind in ("Follow", "Create", "Update", "Move", "Announce", "Delete", "Undo", "Block", "QuoteRequest"):
        for obj in objects:
            said = ALICE.says(kind, obj, target=elsewhere, **{"@context": elsewhere})
            body, signed = ALICE.sign(said, datetime.now(UTC), server.inbox)
            assert _status(server.post(body, signed, _length(body))) in (202, 401)
    for path in ("/.well-known/webfinger?resource=acct:a@victim.example", "/@alice", "/r/x", "/", "/readyz"):
        server.get(path)
    assert not server.attempts.exists(), server.attempts.read_text()


def test_the_guard_of_these_tests_sees_an_attempt(tmp_path: Path) -> None:
    """Or the test above could not fail."""
    log = tmp_path / "log"
    attempt = "import runpy, sys, socket; guard = runpy.run_path(sys.argv[1])['_guard']; guard(sys.argv[2]); "
    for call in ("socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo('victim.example', 443)"):
        done = subprocess.run(
            [sys.executable, "-c", attempt + call, GUARDED, log], capture_output=True, check=False
        )
        assert b"no outgoing request" in done.stderr
    assert len(log.read_text().splitlines()) == 2


def test_the_web_process_does_not_even_load_what_could_ask() -> None:
    code = "import sys, bridge.web, bridge.web.serve, bridge.web.gate; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.split()
    forbidden = {
        "bridge.net.client",
        "bridge.people.fetch",
        "bridge.deliver.deliverer",
        "bridge.worker.jobs",
        "aiohttp",
        "urllib.request",
    }
    assert forbidden.isdisjoint(loaded)


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_visitors_at_once_are_all_answered(server: Server) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: _status(server.get()), range(100)))
    assert set(answers) == {200}
