"""Runs the web process: Granian in front of our application."""

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError
from bridge.parent_gone import end_with
from bridge.web import create_wsgi
from bridge.web.gate import Gate
from bridge.web.hooks import expects
from bridge.web.inbox import door_of

if TYPE_CHECKING:
    from bridge.services import Services

BACKLOG = 1024
MAX_CONNECTIONS = 4_096  # in a process; an idle one takes some 6 KB
SPARE_FILES = 256  # for all that is no connection
IDLE_SECONDS = 15  # without a request, before the first one and after each
MAX_HEAD = 96 * 1024  # bytes of a request's head
STOP_SECONDS = 5


async def serve(host: str, port: int, services: "Services") -> None:
    """Answer requests in this process until SIGTERM or Ctrl-C.

    One process, not two: Granian's other way of serving keeps a parent that only watches its child, which
    `fedibridge run` and every service manager do as well (see docs/decisions/0014).
    """
    from granian.log import LogLevels
    from granian.server.embed import Server

    # Below errors it only has to say that this way of serving is young.
    server = Server(_application(services), **_options(host, port), log_level=LogLevels.error)
    serving = asyncio.ensure_future(server.serve())
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # It waits for requests under way, and without end for those that never come whole.
        server.stop()  # type: ignore[no-untyped-call]
        loop.call_later(STOP_SECONDS, serving.cancel)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    with suppress(asyncio.CancelledError):
        await serving
    if not server.interrupt_signal:
        raise BridgeError("The web server stopped by itself; its last lines say why. Start it again.")


def serve_with_many(host: str, port: int, open_: "Callable[[], Services]", *, workers: int) -> None:
    """Answer requests in several processes until SIGTERM or Ctrl-C.

    `open_` is called in each of them, because they need database connections of their own.
    """
    from granian import Granian
    from granian.log import LogLevels

    server = Granian(
        "fedibridge",
        **_options(host, port),
        workers=workers,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=partial(_load, open_, os.getpid()), wrap_loader=False)


def _options(host: str, port: int) -> dict[str, Any]:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings

    head = HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000, max_buffer_size=MAX_HEAD)
    return {
        "address": host,
        "port": port,
        "interface": Interfaces.RSGI,
        "backlog": BACKLOG,
        # Connections, not requests: the next one waits until another has ended, of itself or as idle.
        "backpressure": _connections(),
        "http": HTTPModes.http1,  # HTTP/2 without TLS is nothing that a proxy or a server speaks unasked
        "http1_settings": head,
        "websockets": False,
    }


def _connections() -> int:
    """Return how many connections may be open, having asked the system for as many files as we may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(64, min(MAX_CONNECTIONS, files - SPARE_FILES))


def _application(services: "Services") -> Gate:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    return Gate(create_wsgi(services), expects=partial(expects, services), door=door_of(services))


def _load(open_: "Callable[[], Services]", parent: int, *_: Any) -> Any:
    end_with(parent)
    return _application(open_())
