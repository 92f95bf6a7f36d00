"""Answers GETs of public documents from memory, in front of Flask.

A popular post makes hundreds of servers fetch it and its actor within a minute: that must cost neither
the database nor Flask. Everything is forgotten when the database's revision changes, which is looked at
once a second at most.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from bridge.store import Store, identity
from bridge.web.answers import wants_page

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

REMEMBERED = ("/ap/", "/.well-known/", "/nodeinfo/")
QUERIES_MATTER = "/.well-known/"
MAX_ENTRIES = 5_000
MAX_BYTES = 1024 * 1024  # of one document; larger ones are answered, not remembered
LOOK_EVERY = 1.0  # seconds

Remembered = tuple[str, list[tuple[str, str]], bytes, str]
"""Status line, headers, body, ETag."""


class FastPath:
    """A WSGI application in front of another, for one process."""

    def __init__(self, app: WsgiApp, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._store = store
        self._clock = clock
        self._remembered: dict[tuple[str, str], Remembered] = {}
        self._revision = -1
        self._looked_at = float("-inf")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method not in ("GET", "HEAD") or not path.startswith(REMEMBERED):
            return self._app(environ, start_response)
        if wants_page(environ.get("HTTP_ACCEPT", "")):
            return self._app(environ, start_response)
        if self._clock() - self._looked_at > LOOK_EVERY:
            self._look_for_changes()
        key = (path, environ.get("QUERY_STRING", "") if path.startswith(QUERIES_MATTER) else "")
        found = self._remembered.get(key) or self._ask(environ, key)
        return _answer(found, environ, start_response)

    def _look_for_changes(self) -> None:
        self._looked_at = self._clock()
        with self._store.read() as tx:
            current = identity.revision(tx)
        if current != self._revision:
            # A new dict, not a cleared one: an answer computed before the change must not get into it.
            self._remembered = {}
            self._revision = current

    def _ask(self, environ: Environ, key: tuple[str, str]) -> Remembered:
        remembered = self._remembered
        found = _capture(self._app, {**environ, "REQUEST_METHOD": "GET"})
        if _is_worth_remembering(found):
            if len(remembered) >= MAX_ENTRIES:
                remembered.clear()
            remembered[key] = found
        return found


def _capture(app: WsgiApp, environ: Environ) -> Remembered:
    started: list[Any] = []
    # Conditions are for us to judge, below: the application always gives the whole document.
    for condition in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE"):
        environ.pop(condition, None)
    chunks = app(environ, lambda status, headers, exc_info=None: started.extend((status, headers)))
    body = b"".join(chunks)
    close = getattr(chunks, "close", None)
    if close:
        close()
    status, headers = started
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    replaced = {"content-length", "etag"}
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    if status.startswith(("200", "410")):
        kept.append(("ETag", etag))
    return status, [*kept, ("Content-Length", str(len(body)))], body, etag


def _is_worth_remembering(found: Remembered) -> bool:
    status, headers, body, _ = found
    public = any(name.lower() == "cache-control" and "public" in value for name, value in headers)
    return public and status.startswith(("200", "410")) and len(body) <= MAX_BYTES


def _answer(found: Remembered, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body, etag = found
    if status.startswith("200") and etag in environ.get("HTTP_IF_NONE_MATCH", ""):
        unsent = {"content-length", "content-type"}
        start_response("304 Not Modified", [pair for pair in headers if pair[0].lower() not in unsent])
        return []
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
