"""Lets requests in whole: a body is read within bounds of time and size before it costs a thread.

What is refused for nothing but its headers is refused here, and whoever waits for a thread waits in turns.

A WSGI server's threads read bodies themselves and wait without end, so that a handful of senders who never
finish shut out everyone else. Here they wait in one event loop, for a while. What is remembered is answered
there too.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from io import BytesIO, StringIO
from typing import Any, TypeVar, TypeVarTuple

import orjson

from bridge.web.answers import EVERYWHERE
from bridge.web.bodies import PUSHES, Bodies, Cut, most_for, room_of
from bridge.web.door import WAS_ASKED, Door
from bridge.web.fastpath import Answer, Environ, FastPath, capture
from bridge.web.limits import address_behind
from bridge.web.turns import Crowded, Turns

THREADS = 4  # per process; with SQLite they share one writer anyway
BODY_SECONDS = 20.0

Expects = Callable[[str], bool]
"""Whether a body may be sent to a path; asks the database about what hubs push to, and else nobody."""


Given = TypeVarTuple("Given")
Got = TypeVar("Got")


class Gate:
    """An application for Granian's RSGI, in front of ours for WSGI; one per process."""

    def __init__(
        self,
        app: FastPath,
        *,
        body_seconds: float = BODY_SECONDS,
        expects: Expects = lambda _path: True,
        bodies: Bodies | None = None,
        door: Door | None = None,
    ) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(THREADS, "web")
        self._expects = expects
        self._bodies = bodies or Bodies(seconds=body_seconds)
        self._door = door
        self._turns = Turns(THREADS)

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
        header, peer = partial(_header, scope), _host(scope.client)
        address = self._door.address(peer, header) if self._door else address_behind(peer, "", ())
        party = self._door.party(address, header) if self._door else str(address)
        try:
            if scope.method in ("GET", "HEAD") or not await self._is_expected(scope.path, party):
                return await self._hand_over(scope, b"", party)
            no = self._door.refusal(address, header) if self._door and _is_to_inbox(scope) else None
            if no is not None:
                return _refuse(no.status, no.message, retry_after=no.retry_after)
            if _is_too_long(scope):
                return await self._hand_over(scope, b"", party)
            with self._bodies.of(scope.path, address) as body:
                await body.read(protocol)
                return await self._hand_over(scope, bytes(body.received), party)
        except TimeoutError:
            return _refuse(408, "The request did not arrive in time.")
        except Cut as why:
            return _refuse(503, str(why), retry_after=60)
        except Crowded:
            return _refuse(503, "Too many requests wait here; please retry.", retry_after=60)

    async def _is_expected(self, path: str, party: str) -> bool:
        """Say whether a body is worth reading; what is not is answered by the application without it."""
        if most_for(path) == 0:
            return False
        if room_of(path) != PUSHES:
            return self._expects(path)  # which the config says
        return await self._in_turn(party, self._expects, path)

    async def _hand_over(self, scope: Any, body: bytes, party: str) -> Answer:
        environ = build_environ(scope, body)
        if self._door and _is_to_inbox(scope):
            environ[WAS_ASKED] = True
        return await self._in_turn(party, capture, self._app, environ)

    async def _in_turn(self, party: str, call: Callable[[*Given], Got], *given: *Given) -> Got:
        """Call a function in a thread once it is this party's turn."""
        await self._turns.come(party)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *given)
        finally:
            self._turns.end()


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
        "REMOTE_ADDR": _host(scope.client),
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


def _header(scope: Any, name: str) -> str | None:
    """Return what a header says, with all its lines: a proxy may add one of its own to a stranger's."""
    return ", ".join(value for key, value in scope.headers.items() if key == name) or None


def _host(client: str) -> str:
    return client.rpartition(":")[0].strip("[]")


def _is_to_inbox(scope: Any) -> bool:
    return bool(scope.method == "POST" and scope.path.endswith("/inbox"))


def _is_too_long(scope: Any) -> bool:
    announced = scope.headers.get("content-length") or "0"
    return not announced.isdecimal() or len(announced) > 10 or int(announced) > most_for(scope.path)


def _refuse(code: int, message: str, *, retry_after: int | None = None) -> Answer:
    headers = {**EVERYWHERE, "Content-Type": "application/json", "Cache-Control": "no-store"}
    headers |= {"Connection": "close"} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(
        code, f"{code} {HTTPStatus(code).phrase}", list(headers.items()), orjson.dumps({"error": message})
    )
