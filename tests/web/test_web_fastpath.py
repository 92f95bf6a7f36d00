"""The memory in front of Flask: fast, never stale for longer than one look, and bounded."""

from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any

import pytest
from web_visitor import AS2, BROWSER, Visitor, publish

from bridge.store import identity
from bridge.web import create_app, fastpath
from bridge.web.fastpath import ASK_EVERY, Environ, FastPath, Memory, StartResponse

OUTBOX = "/ap/cafe/outbox"
PUBLIC = [("Content-Type", "application/activity+json"), ("Cache-Control", "public, max-age=180")]


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Counted:
    """A WSGI application that counts how often it is asked, and may be made to answer anything."""

    def __init__(self, answer: Callable[[Environ], tuple[str, list[tuple[str, str]], bytes]]) -> None:
        self.asked: list[str] = []
        self.answer = answer

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.append(environ["REQUEST_METHOD"] + " " + environ["PATH_INFO"])
        status, headers, body = self.answer(environ)
        start_response(status, headers)
        return [body]


def _of_size(size: int) -> Counted:
    return Counted(lambda environ: ("200 OK", PUBLIC, environ["PATH_INFO"].encode().ljust(size)))


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def make_fast(services, watch: Stopwatch) -> Callable[[Any], FastPath]:
    return lambda app: FastPath(app, services.store, clock=watch)


@pytest.fixture
def web(services, watch: Stopwatch) -> Visitor:
    return Visitor(FastPath(create_app(services).wsgi_app, services.store, clock=watch))


def test_a_document_is_computed_once_for_however_many_ask(make_fast) -> None:
    app = _of_size(10)
    web = Visitor(make_fast(app))
    for method in ("GET", "HEAD", "GET"):
        assert web.get(OUTBOX, method=method).headers["Content-Length"] == str(len(OUTBOX))
    assert app.asked == [f"GET {OUTBOX}"]


def test_a_change_is_seen_at_the_next_look(services, watch: Stopwatch, web: Visitor) -> None:
    assert web.read(OUTBOX)["totalItems"] == 0
    publish(services, "Buns")
    assert web.read(OUTBOX)["totalItems"] == 0  # not yet looked
    watch.seconds += ASK_EVERY + 0.01
    assert web.read(OUTBOX)["totalItems"] == 1


def test_every_kind_of_public_document_is_forgotten_when_something_changes(
    services, watch: Stopwatch, web: Visitor
) -> None:
    paths = (OUTBOX, "/ap/cafe/outbox/pages/1", "/ap/cafe/featured", "/ap/cafe/tags", "/nodeinfo/2.1")
    before = {path: web.get(path).get_data() for path in paths}
    publish(services, "Buns", tags=("bun",))
    watch.seconds += ASK_EVERY + 0.01
    for path in paths:
        assert web.get(path).get_data() != before[path], path


def test_the_database_is_looked_at_once_a_second_at_most(services, watch: Stopwatch) -> None:
    class CountedStore:
        looks = 0

        def read(self):  # type: ignore[no-untyped-def]
            CountedStore.looks += 1
            return services.store.read()

    web = Visitor(FastPath(_of_size(10), CountedStore(), clock=watch))  # type: ignore[arg-type]
    for _ in range(200):
        watch.seconds += 0.05
        web.get(OUTBOX)
    assert CountedStore.looks <= 11


def test_what_was_computed_before_a_change_is_not_remembered_after_it(
    services, watch: Stopwatch, make_fast
) -> None:
    """The change comes, and is noticed by another thread, while an answer is being computed."""
    published: list[int] = []

    def compute(environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        body = str(len(published)).encode()
        if not published:
            published.append(1)
            with services.store.write() as tx:
                identity.touch(tx)
            watch.seconds += ASK_EVERY + 0.01
            other = Thread(target=Visitor(fast).get, args=("/ap/cafe",))
            other.start()
            other.join()
        return "200 OK", PUBLIC, body

    fast = make_fast(Counted(compute))
    web = Visitor(fast)
    assert web.get(OUTBOX).get_data() == b"0"
    assert web.get(OUTBOX).get_data() == b"1"


def test_what_it_remembers_is_still_served_while_the_database_is_away(
    services, watch: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Flaky:
        down = False

        def read(self):  # type: ignore[no-untyped-def]
            if self.down:
                raise OSError("connection refused")
            return services.store.read()

    store = Flaky()
    app = _of_size(10)
    web = Visitor(FastPath(app, store, clock=watch))  # type: ignore[arg-type]
    web.get(OUTBOX)
    store.down = True
    watch.seconds += 10
    assert web.get(OUTBOX).status_code == 200
    assert len(app.asked) == 1
    assert "connection refused" in caplog.text


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("404 NOT FOUND", PUBLIC),
        ("302 FOUND", [*PUBLIC, ("Location", "/x")]),
        ("500 INTERNAL SERVER ERROR", PUBLIC),
        ("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store")]),
        ("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "private, max-age=60")]),
        ("200 OK", [("Content-Type", "application/json")]),
        ("200 OK", [("Content-Type", "image/png"), ("Cache-Control", "public, max-age=86400")]),
    ],
    ids=str,
)
def test_only_public_documents_are_remembered(make_fast, status: str, headers: list[tuple[str, str]]) -> None:
    app = Counted(lambda _: (status, headers, b"x"))
    web = Visitor(make_fast(app))
    for _ in range(2):
        assert web.get(OUTBOX).status == status
    assert len(app.asked) == 2


def test_unknown_names_leave_nothing_behind(services, watch: Stopwatch) -> None:
    fast = FastPath(create_app(services).wsgi_app, services.store, clock=watch)
    web = Visitor(fast)
    for number in range(50):
        assert web.get(f"/ap/cafe/posts/{number}").status_code == 404
        assert web.get(f"/.well-known/webfinger?resource=acct:{number}@cafe.example").status_code == 404
        assert web.get(f"/.well-known/webfinger?resource={number}").status_code == 404
        assert web.get("/.well-known/webfinger").status_code == 400
    assert len(fast.memory) == 0


def test_a_tombstone_is_remembered(make_fast) -> None:
    app = Counted(lambda _: ("410 GONE", PUBLIC, b"{}"))
    web = Visitor(make_fast(app))
    assert [web.get(OUTBOX).status_code for _ in range(2)] == [410, 410]
    assert len(app.asked) == 1


def test_the_number_of_answers_remembered_is_bounded(make_fast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastpath, "MAX_ENTRIES", 20)
    fast = make_fast(_of_size(10))
    web = Visitor(fast)
    for number in range(100):
        assert web.get(f"/ap/cafe/posts/{number}").status_code == 200
        assert len(fast.memory) <= 20


def test_the_bytes_remembered_are_bounded() -> None:
    memory = Memory()
    answer = fastpath.Answer(200, "200 OK", [], b"x" * fastpath.MAX_DOCUMENT)
    for number in range(200):
        memory.keep((str(number), ""), answer)
        assert len(memory) * fastpath.MAX_DOCUMENT <= fastpath.MAX_BYTES


def test_a_huge_document_is_served_but_not_remembered(make_fast) -> None:
    app = _of_size(fastpath.MAX_DOCUMENT + 1)
    fast = make_fast(app)
    assert len(Visitor(fast).get(OUTBOX).get_data()) == fastpath.MAX_DOCUMENT + 1
    assert len(fast.memory) == 0


def test_queries_count_for_discovery_only(make_fast) -> None:
    app = _of_size(10)
    web = Visitor(make_fast(app))
    for query in ("", "?a", "?b=c", "?utm_source=x"):
        web.get(OUTBOX + query)
    assert len(app.asked) == 1
    for query in ("?resource=a", "?resource=b", "?resource=a"):
        web.get("/.well-known/webfinger" + query)
    assert len(app.asked) == 3


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [
        ("POST", "/ap/cafe/inbox", AS2),
        ("OPTIONS", OUTBOX, AS2),
        ("GET", "/", AS2),
        ("GET", "/healthz", AS2),
        ("GET", "/r/1", AS2),
        ("GET", OUTBOX, BROWSER),
        ("HEAD", OUTBOX, BROWSER),
    ],
)
def test_everything_else_goes_straight_to_the_application(
    make_fast, method: str, path: str, accept: str
) -> None:
    app = _of_size(10)
    web = Visitor(make_fast(app))
    for _ in range(2):
        web.get(path, accept, method=method)
    assert app.asked == [f"{method} {path}"] * 2


def test_a_condition_of_one_visitor_does_not_change_what_others_get(make_fast) -> None:
    def compute(environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        partial = any(
            name in environ for name in ("HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")
        )
        return ("206 PARTIAL CONTENT" if partial else "200 OK"), PUBLIC, b"whole"

    web = Visitor(make_fast(Counted(compute)))
    conditions = {
        "Range": "bytes=0-1",
        "If_None_Match": '"x"',
        "If_Modified_Since": "Thu, 01 Jan 2037 00:00:00 GMT",
    }
    assert web.get(OUTBOX, **conditions).get_data() == b"whole"
    assert web.get(OUTBOX).get_data() == b"whole"


def test_an_application_that_fails_while_it_answers_is_closed(make_fast) -> None:
    class Broken:
        closed = False

        def __iter__(self):  # type: ignore[no-untyped-def]
            raise OSError("gone")

        def close(self) -> None:
            Broken.closed = True

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", PUBLIC)
        return Broken()

    with pytest.raises(OSError, match="gone"):
        Visitor(make_fast(app)).get(OUTBOX)
    assert Broken.closed
