"""Lets requests in whole: a body is read within bounds of time and size before it costs a thread.

A WSGI server's threads read bodies themselves and wait without end, so that a handful of senders who never
finish shut out everyone else (SECURITY D13). Here they wait in one event loop, for a while. What is
remembered is answered there too.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from typing import Any

import orjson

from bridge.web.answers import SECURITY_HEADERS
from bridge.web.fastpath import Answer, Environ, FastPath, capture
from bridge.web.hooks import MAX_PUSH
from bridge.web.inbox import MAX_BODY

THREADS = 4  # per process; with SQLite they share one writer anyway
BODY_SECONDS = 20.0
MAX_HELD = 64 * 1024 * 1024  # bytes of all bodies that are being read or wait for a thread


class Gate:
    """An application for Granian's RSGI, in front of ours for WSGI; one per process."""

    def __init__(self, app: FastPath, *, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._body_seconds = body_seconds
        self._threads = ThreadPoolExecutor(THREADS, "web")
        self._held = 0

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        headers = scope.headers
        answer = self._app.recall(scope.method, scope.path, scope.query_string, headers.get("accept") or "")
        if answer is None:
            answer = await self._ask(scope, protocol)
        else:
            answer = answer.unless_known(headers.get("if-none-match") or "")
        body = b"" if scope.method == "HEAD" else answer.body
        protocol.response_bytes(answer.code, answer.headers, body)

    async def _ask(self, scope: Any, protocol: Any) -> Answer:
        body = bytearray()
        try:
            if scope.method not in ("GET", "HEAD") and not _is_too_long(scope):
                async with asyncio.timeout(self._body_seconds):
                    await self._read(protocol, body, most_for(scope.path))
            if self._held > MAX_HELD:
                return _refuse(503, "Service Unavailable", "Too much arrives at once; please retry.")
            environ = build_environ(scope, bytes(body))
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, capture, self._app, environ
            )
        except TimeoutError:
            return _refuse(408, "Request Timeout", "The request did not arrive in time.")
        finally:
            self._held -= len(body)

    async def _read(self, protocol: Any, body: bytearray, most: int) -> None:
        """Read a body to its end, or as far as is needed to refuse it."""
        async for chunk in protocol:
            body += chunk
            self._held += len(chunk)
            if len(body) > most or self._held > MAX_HELD:
                return


def build_environ(scope: Any, body: bytes) -> Environ:
    """Describe a request as WSGI does (PEP 3333)."""
    server, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in _header_variables(scope.headers.items()):
        environ[name] = f"{environ[name]}, {value}" if name in environ else value
    return environ


def _header_variables(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        # WSGI cannot tell X_Forwarded_For from X-Forwarded-For: a stranger would speak for our proxy.
        if "_" not in name:
            plain = name.upper().replace("-", "_")
            yield (plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}"), value


def _is_too_long(scope: Any) -> bool:
    announced = scope.headers.get("content-length") or "0"
    return not announced.isdecimal() or len(announced) > 10 or int(announced) > most_for(scope.path)


def most_for(path: str) -> int:
    """Return how many bytes a body may have: hubs push whole feeds."""
    return MAX_PUSH if path.startswith("/ap/about/websub/") else MAX_BODY


def _refuse(code: int, phrase: str, message: str) -> Answer:
    headers = {**SECURITY_HEADERS, "Content-Type": "application/json", "Cache-Control": "no-store"}
    headers |= {"Retry-After": "60"} if code == 503 else {"Connection": "close"}
    return Answer(code, f"{code} {phrase}", list(headers.items()), orjson.dumps({"error": message}))
