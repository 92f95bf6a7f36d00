"""Answers GETs of public documents from memory, in front of Flask.

A popular post makes hundreds of servers fetch it and its actor within a minute: that must cost neither
the database nor Flask. Everything is forgotten when the database's revision changes, which is looked at
once a second at most.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from bridge.errors import StoreUnavailable
from bridge.store import Store, identity
from bridge.web.answers import wants_page

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Key = tuple[str, str]  # path, and the query where it matters

REMEMBERED = ("/ap/", "/.well-known/", "/nodeinfo/")
QUERIES_MATTER = "/.well-known/"
MAX_ENTRIES = 5_000
MAX_BYTES = 32 * 1024 * 1024  # of all that is remembered together
MAX_DOCUMENT = 1024 * 1024  # bytes; larger ones are answered, not remembered
ASK_EVERY = 1.0  # seconds

_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, ready to be sent again."""

    code: int
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    etag: str = ""

    def unless_known(self, if_none_match: str) -> "Answer":
        """Return what to send to someone who may have it already: then only that it did not change."""
        # They name a list of ETags, perhaps weak (W/"…"), as caches that compress make them.
        if self.code != 200 or not (self.etag in if_none_match or if_none_match.strip() == "*"):
            return self
        kept = [pair for pair in self.headers if pair[0].lower() not in ("content-length", "content-type")]
        return Answer(304, "304 Not Modified", kept, b"", self.etag)


class Memory:
    """What was answered since the last change; when it is full it starts afresh."""

    def __init__(self) -> None:
        self._answers: dict[Key, Answer] = {}
        self._bytes = 0

    def recall(self, key: Key) -> Answer | None:
        """Return what was answered before."""
        return self._answers.get(key)

    def keep(self, key: Key, answer: Answer) -> None:
        """Remember an answer."""
        if len(self._answers) >= MAX_ENTRIES or self._bytes + len(answer.body) > MAX_BYTES:
            self._answers.clear()
            self._bytes = 0
        self._answers[key] = answer
        self._bytes += len(answer.body)

    def __len__(self) -> int:
        return len(self._answers)


class FastPath:
    """A WSGI application in front of another, for one process."""

    def __init__(self, app: WsgiApp, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._revision = -1
        self._asked_at = float("-inf")
        self.memory = Memory()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if not _may_be_remembered(method, path, environ.get("HTTP_ACCEPT", "")):
            return self._app(environ, start_response)
        if self._is_asking_due():
            self._ask_for_changes()
        key = _key(path, query)
        found = self.memory.recall(key) or self._ask(environ, key)
        answer = found.unless_known(environ.get("HTTP_IF_NONE_MATCH", ""))
        start_response(answer.status, answer.headers)
        return [] if method == "HEAD" else [answer.body]

    def recall(self, method: str, path: str, query: str, accept: str) -> Answer | None:
        """Return the answer to a request if it is remembered; in no time, so `None` when a look is due."""
        if self._is_asking_due() or not _may_be_remembered(method, path, accept):
            return None
        return self.memory.recall(_key(path, query))

    def _is_asking_due(self) -> bool:
        return self._clock() - self._asked_at > ASK_EVERY

    def _ask_for_changes(self) -> None:
        self._asked_at = self._clock()
        try:
            with self._store.read() as tx:
                current = identity.revision(tx)
        except StoreUnavailable:
            return
        except Exception as problem:
            # Whatever a database can raise: what we remember is still the best there is.
            log.warning("The database cannot be asked for changes: %s", problem)
            return
        if current != self._revision:
            # A new memory, not a cleared one: an answer computed before the change must not get into it.
            self.memory = Memory()
            self._revision = current

    def _ask(self, environ: Environ, key: Key) -> Answer:
        memory = self.memory
        # Conditions are for us to judge: the application always gives the whole document.
        whole = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        found = capture(self._app, {**whole, "REQUEST_METHOD": "GET"})
        if found.code not in (200, 410):
            return found
        found = _with_etag(found)
        if _is_worth_remembering(found):
            memory.keep(key, found)
        return found


def capture(app: WsgiApp, environ: Environ) -> Answer:
    """Let a WSGI application answer in one piece."""
    started: list[Any] = []
    chunks = app(environ, lambda status, headers, exc_info=None: started.extend((status, headers)))
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()
    status, headers = started
    return Answer(int(status[:3]), status, headers, body)


def _may_be_remembered(method: str, path: str, accept: str) -> bool:
    return method in ("GET", "HEAD") and path.startswith(REMEMBERED) and not wants_page(accept)


def _key(path: str, query: str) -> Key:
    return path, query if path.startswith(QUERIES_MATTER) else ""


def _is_worth_remembering(answer: Answer) -> bool:
    headers = {name.lower(): value for name, value in answer.headers}
    public = "public" in headers.get("cache-control", "")
    # Pictures come from files, which change without the database knowing.
    governed = not headers.get("content-type", "").startswith("image/")
    small = len(answer.body) <= MAX_DOCUMENT
    return public and governed and small


def _with_etag(answer: Answer) -> Answer:
    etag = f'"{hashlib.sha256(answer.body).hexdigest()[:24]}"'
    kept = [pair for pair in answer.headers if pair[0].lower() not in ("content-length", "etag")]
    added = [("Content-Length", str(len(answer.body))), ("ETag", etag)]
    return replace(answer, headers=[*kept, *added], etag=etag)
