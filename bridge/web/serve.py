"""Runs the web process: Granian in front of our application."""

import logging
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.services import Services

BACKLOG = 1024
STOP_SECONDS = 5


def serve(host: str, port: int, open_: "Callable[[], Services]", *, workers: int = 1) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    `open_` is called in each of the server's own processes, which need database connections of their own.
    """
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    server = Granian(
        "fedibridge",
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        workers=workers,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    )
    server.serve(target_loader=partial(_load, open_), wrap_loader=False)


def _load(open_: "Callable[[], Services]", *_: Any) -> Any:
    from bridge.lifeline import end_with
    from bridge.web import create_wsgi
    from bridge.web.gate import Gate

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    end_with(os.getppid())
    return Gate(create_wsgi(open_()))
