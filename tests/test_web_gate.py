"""The gate in front of the application: patience with slow senders ends, and memory is not theirs to fill."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import pytest

from bridge.web import gate
from bridge.web.fastpath import Environ, FastPath, StartResponse
from bridge.web.gate import Gate, build_environ
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
    monkeypatch.setattr(gate, "MAX_HELD", 1000)
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
