"""The gate in front of the application: patience with slow senders ends, and memory is not theirs to fill."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import pytest

from bridge.web import bodies, create_app
from bridge.web.bodies import PUSHES, Bodies, most_for, room_of
from bridge.web.door import WAS_ASKED, Door
from bridge.web.fastpath import Environ, FastPath, StartResponse
from bridge.web.gate import THREADS, Gate, build_environ
from bridge.web.hooks import expects
from bridge.web.inbox import MAX_BODY


class Headers:
    """As Granian hands them over: names in lower case, the same one perhaps more than once."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self._pairs = pairs

    def get(self, name: str) -> str | None:
        return next((value for key, value in self._pairs if key == name), None)

    def items(self) -> Iterable[tuple[str, str]]:
        return self._pairs


@dataclass
class Scope:
    method: str = "POST"
    path: str = "/ap/cafe/inbox"
    query_string: str = ""
    client: str = "8.8.8.8:4711"
    server: str = "127.0.0.1:8000"
    scheme: str = "http"
    http_version: str = "1.1"
    headers: Headers = field(default_factory=Headers)


class Connection:
    """Sends chunks, then hangs if it is told to, and takes one answer."""

    def __init__(self, *chunks: bytes, hangs: bool = False) -> None:
        self._chunks = chunks
        self._hangs = hangs
        self.status = 0
        self.body = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._hangs:
            await asyncio.Event().wait()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        assert dict(headers)
        self.status, self.body = status, body


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with how much arrived."""
    start_response("202 ACCEPTED", [("Content-Type", "text/plain")])
    return [str(len(environ["wsgi.input"].read())).encode()]


@pytest.fixture
def make_gate(services):
    return lambda seconds=5.0: Gate(FastPath(echo, services.store), body_seconds=seconds)


def _send(to: Gate, *connections: Connection, scope: Scope | None = None) -> None:
    async def send_all() -> None:
        await asyncio.gather(*(to.__rsgi__(scope or Scope(), connection) for connection in connections))

    asyncio.run(send_all())


def test_a_body_is_handed_over_whole(make_gate) -> None:
    connection = Connection(b"one", b"two")
    _send(make_gate(), connection)
    assert (connection.status, connection.body) == (202, b"6")


def test_who_never_finishes_is_hung_up_on(make_gate) -> None:
    slow, quick = Connection(b"slow", hangs=True), Connection(b"quick")
    _send(make_gate(0.05), *[slow] * 20, quick)
    assert (slow.status, quick.status) == (408, 202)
    assert "in time" in json.loads(slow.body)["error"]


def test_no_more_is_read_than_it_takes_to_refuse_it(make_gate) -> None:
    endless = Connection(*[b"x" * 100_000] * 1000)
    _send(make_gate(), endless)
    assert MAX_BODY < int(endless.body) <= MAX_BODY + 100_000


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 5000, "x"])
def test_a_body_that_announces_itself_as_too_large_is_not_read_at_all(make_gate, length: str) -> None:
    connection = Connection(b"x", hangs=True)
    _send(make_gate(), connection, scope=Scope(headers=Headers(("content-length", length))))
    assert (connection.status, connection.body) == (202, b"0")


def test_all_who_send_together_hold_a_bounded_amount(make_gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD", 1000)
    opened = make_gate(0.05)
    many = [Connection(b"x" * 100, hangs=True) for _ in range(30)]
    _send(opened, *many)
    assert {connection.status for connection in many} == {408, 503}
    after = Connection(b"x" * 100)
    _send(opened, after)
    assert after.status == 202


def test_a_hub_may_push_a_whole_feed(make_gate) -> None:
    headers = Headers(("content-length", "5000000"))
    connection = Connection(*[b"x" * 100_000] * 50)
    _send(make_gate(), connection, scope=Scope(path="/ap/about/websub/token", headers=headers))
    assert (connection.status, connection.body) == (202, b"5000000")


PUSH = "/ap/about/websub/"


def expecting(services, *paths: str, **limits: float) -> Gate:
    limits = {"seconds": 5.0, **limits}
    return Gate(FastPath(echo, services.store), expects=paths.__contains__, bodies=Bodies(**limits))


@pytest.mark.parametrize("path", [f"{PUSH}anything", "/ap/nobody/inbox", "/ap/hooks/poll/x", "/", "/ap/cafe"])
def test_nothing_is_read_that_nobody_expects(services, path: str) -> None:
    never = Connection(b"x" * 1000, hangs=True)
    _send(expecting(services, "/ap/cafe/inbox"), never, scope=Scope(path=path))
    assert (never.status, never.body) == (202, b"0")  # what the application says without it


def test_a_body_that_stalls_is_cut_long_before_its_time(services) -> None:
    gate = expecting(services, "/ap/cafe/inbox", seconds=3600.0, grace=0.05)
    stalled = Connection(b"x" * 100, hangs=True)
    _send(gate, stalled)
    assert stalled.status == 408


def test_few_that_never_finish_leave_room_for_everyone_else(services) -> None:
    """Twelve pushes of 10 MB and forty bodies of 1 MB, of everyone behind one proxy, none of which ends."""
    gate = expecting(services, f"{PUSH}token", "/ap/cafe/inbox", seconds=0.5)
    megabyte = b"x" * 1_000_000
    pushes = [Connection(*[megabyte] * 10, hangs=True) for _ in range(12)]
    large = [Connection(megabyte, hangs=True) for _ in range(40)]
    genuine = [Connection(b"x" * 2_000) for _ in range(20)]

    async def send_all() -> None:
        inside = Scope(client="10.0.0.1:1")
        outside = Scope(client="10.0.0.1:1", path=f"{PUSH}token")
        await asyncio.gather(
            *(gate.__rsgi__(outside, push) for push in pushes),
            *(gate.__rsgi__(inside, one) for one in [*large, *genuine]),
        )

    asyncio.run(send_all())
    assert {one.status for one in genuine} == {202}
    assert {one.status for one in [*pushes, *large]} == {408, 503}


def test_one_address_cannot_take_the_room_of_all(services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD_BY_ONE", 5_000)
    gate = expecting(services, "/ap/cafe/inbox", seconds=0.3)
    greedy = [Connection(b"x" * 1_000, hangs=True) for _ in range(12)]
    modest = Connection(b"x" * 4_000, hangs=True)

    async def send_all() -> None:
        others = (gate.__rsgi__(Scope(client="8.8.8.8:1"), one) for one in greedy)
        await asyncio.gather(gate.__rsgi__(Scope(client="9.9.9.9:1"), modest), *others)

    asyncio.run(send_all())
    assert [one.status for one in greedy].count(503) == 7
    assert modest.status == 408  # it took its time, and nobody's room


def send_from(gate: Gate, *sent: tuple[Scope, Connection]) -> list[int]:
    """Let all send at once, one after the other; return what each was answered."""

    async def send_all() -> None:
        await asyncio.gather(*(gate.__rsgi__(scope, connection) for scope, connection in sent))

    asyncio.run(send_all())
    return [connection.status for _, connection in sent]


def hanging(size: int) -> Connection:
    return Connection(b"x" * size, hangs=True)


def test_where_there_is_too_much_the_largest_is_cut(services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD", 1_000)
    gate = expecting(services, "/ap/cafe/inbox", seconds=0.2)
    sizes = (100, 850, 100, 100)
    sent = [(Scope(client=f"8.8.8.{place}:1"), hanging(size)) for place, size in enumerate(sizes)]
    assert send_from(gate, *sent) == [408, 503, 408, 408]


def test_what_hubs_push_takes_no_room_of_an_inbox(services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD", 1_000)
    gate = expecting(services, "/ap/cafe/inbox", f"{PUSH}token", seconds=0.2)
    inbox, push = (Scope(client="10.0.0.1:1", path=path) for path in ("/ap/cafe/inbox", f"{PUSH}token"))
    assert send_from(gate, (inbox, hanging(900)), (push, hanging(900))) == [408, 408]
    assert sorted(send_from(gate, (push, hanging(900)), (push, hanging(900)))) == [408, 503]


def test_those_behind_a_proxy_do_not_share_what_one_may_hold(
    services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD_BY_ONE", 1_000)
    gate = expecting(services, "/ap/cafe/inbox", seconds=0.2)
    for client, statuses in (("10.0.0.1:1", [408, 408]), ("8.8.8.8:1", [408, 503])):
        sent = [(Scope(client=client), hanging(900)) for _ in range(2)]
        assert sorted(send_from(gate, *sent)) == statuses


def test_every_route_that_takes_a_body_is_expected_to(services) -> None:
    """A route that is new and reads a body has to say so, or its body would never come."""
    expected = {rule.rule for rule in create_app(services).url_map.iter_rules() if "POST" in rule.methods}
    known = {"/ap/about/websub/<token>", "/ap/hooks/poll/<site>", "/hooks/poll/<site>"}
    inboxes = {"/ap/inbox", "/ap/instance/inbox", "/ap/<site>/inbox"}
    assert expected == known | inboxes
    assert all(most_for(rule) > 0 for rule in expected)
    assert {rule for rule in expected if room_of(rule) == PUSHES} == {"/ap/about/websub/<token>"}
    for path in ("/ap/inbox", "/ap/instance/inbox", "/ap/cafe/inbox"):
        assert expects(services, path)
    for path in (
        "/ap/nobody/inbox",
        f"{PUSH}anything",
        "/ap/hooks/poll/cafe",
        "/ap/cafe/posts/inbox",
        "/inbox",
    ):
        assert not expects(services, path)


# ── what is asked at the door ────────────────────────────────────────────────────────────────────

SIGNED = ("signature", 'keyId="https://junk.example/u#key",signature="eA=="')
JSON = ("content-type", "application/activity+json")


def guarded(services, app=echo, **options: int) -> Gate:
    door = Door(services.config, **{"posts_per_5_minutes": 1_000, **options})
    return Gate(FastPath(app, services.store), door=door, bodies=Bodies(seconds=5.0))


def nobody(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("a thread was taken")


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (401, (JSON,)),
        (401, (JSON, ("sig_nature", "x"))),
        (415, (SIGNED, ("content-type", "text/html; charset=utf-8"))),
        (413, (SIGNED, JSON, ("content-length", str(MAX_BODY + 1)))),
        (413, (SIGNED, JSON, ("content-length", "9" * 5000))),
    ],
)
@pytest.mark.parametrize("path", ["/ap/cafe/inbox", "/ap/inbox"])
def test_what_its_headers_refuse_costs_neither_a_body_nor_a_thread(services, status, headers, path) -> None:
    never = Connection(b"x", hangs=True)
    _send(guarded(services, nobody), never, scope=Scope(path=path, headers=Headers(*headers)))
    assert never.status == status
    assert json.loads(never.body)["error"]


def test_too_many_of_one_address_cost_no_thread(services) -> None:
    gate, headers = guarded(services, posts_per_5_minutes=3), Headers(SIGNED, JSON)
    flood = [Connection(b"x") for _ in range(5)]
    _send(gate, *flood, scope=Scope(headers=headers))
    other, proxied = Connection(b"x"), [Connection(b"x") for _ in range(5)]
    _send(gate, other, scope=Scope(client="9.9.9.9:1", headers=headers))
    _send(gate, *proxied, scope=Scope(client="10.0.0.1:1", headers=headers))
    assert [one.status for one in flood].count(429) == 2
    assert other.status == 202
    assert {one.status for one in proxied} == {202}  # everyone is behind that proxy


def test_a_request_is_counted_once(services) -> None:
    """The application asks for itself whatever did not come by the gate."""
    seen = []

    def note(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(WAS_ASKED in environ)
        return echo(environ, start_response)

    gate = guarded(services, note)
    for method, path in (("POST", "/ap/cafe/inbox"), ("POST", "/ap/hooks/poll/cafe"), ("GET", "/ap/inbox")):
        _send(gate, Connection(b"x"), scope=Scope(method, path, headers=Headers(SIGNED, JSON)))
    assert seen == [True, False, False]


def test_a_line_that_a_stranger_sends_does_not_hide_the_one_that_the_proxy_adds(make_services) -> None:
    services = make_services(top='[server]\ntrusted_proxies = ["10.0.0.1"]\n')
    gate = guarded(services, posts_per_5_minutes=1)
    statuses = []
    for spoofed in ("6.6.6.1", "6.6.6.2"):
        lines = (("x-forwarded-for", spoofed), ("x-forwarded-for", "8.8.8.8"))
        connection = Connection(b"x")
        scope = Scope(client="10.0.0.1:1", headers=Headers(SIGNED, JSON, *lines))
        _send(gate, connection, scope=scope)
        statuses.append(connection.status)
    assert statuses == [202, 429]


def test_whoever_comes_first_gets_a_thread_before_a_flood_that_waits(services) -> None:
    """All threads are held; one address has filled its line; then someone new comes."""
    began, order, go_on = threading.Semaphore(0), [], threading.Event()

    def slow(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        began.release()
        go_on.wait(30)
        order.append(environ["REMOTE_ADDR"])
        return echo(environ, start_response)

    gate, headers = guarded(services, slow), Headers(SIGNED, JSON)

    async def send_all() -> None:
        flood = [
            asyncio.create_task(gate.__rsgi__(Scope(headers=headers), Connection(b"x"))) for _ in range(100)
        ]
        for _ in range(THREADS):
            await asyncio.to_thread(began.acquire)
        real = asyncio.create_task(gate.__rsgi__(Scope(client="9.9.9.9:1", headers=headers), Connection()))
        while len(gate._turns) < 100 - THREADS + 1:
            await asyncio.sleep(0.001)
        go_on.set()
        await asyncio.gather(real, *flood)

    asyncio.run(send_all())
    assert len(order) == 101
    assert order.index("9.9.9.9") <= 3 * THREADS


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_is_answered_without_waiting_for_a_body(make_gate, method: str) -> None:
    connection = Connection(hangs=True)
    _send(make_gate(), connection, scope=Scope(method, "/"))
    assert (connection.status, connection.body) == (202, b"0" if method == "GET" else b"")


# ── what the application is told ─────────────────────────────────────────────────────────────────


def test_a_request_is_described_as_wsgi_does() -> None:
    headers = Headers(("content-type", "a/b"), ("content-length", "3"), ("x-a", "1"), ("x-a", "2"))
    environ = build_environ(Scope(path="/ap/Straße", query_string="x=%2f", headers=headers), b"abc")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/ap/Straße"
    assert environ["QUERY_STRING"] == "x=%2f"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("a/b", "3")
    assert environ["HTTP_X_A"] == "1, 2"  # as a signature covers them
    assert environ["wsgi.input"].read() == b"abc"
    assert "HTTP_CONTENT_TYPE" not in environ


@pytest.mark.parametrize(
    ("client", "address"), [("8.8.8.8:1", "8.8.8.8"), ("[2001:4860::1]:1", "2001:4860::1"), ("", "")]
)
def test_the_address_of_the_sender_comes_without_its_port(client: str, address: str) -> None:
    assert build_environ(Scope(client=client), b"")["REMOTE_ADDR"] == address


def test_a_header_with_an_underscore_speaks_for_nobody() -> None:
    headers = Headers(("x-forwarded-for", "8.8.8.8"), ("x_forwarded_for", "6.6.6.6"), ("sig_nature", "x"))
    environ = build_environ(Scope(headers=headers), b"")
    assert environ["HTTP_X_FORWARDED_FOR"] == "8.8.8.8"
    assert "HTTP_SIG_NATURE" not in environ
