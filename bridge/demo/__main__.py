"""Runs the demo follower: handles to follow come in on stdin, what happens goes out on stdout as JSON lines.

It ends when stdin does, so that it never outlives whoever started it.
"""

import argparse
import logging
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from werkzeug.serving import make_server

from bridge.activitypub.keys import generate_rsa
from bridge.addresses import Reach, parse_pair
from bridge.demo.follower import Follower
from bridge.demo.inbox import Inbox
from bridge.demo.me import Me
from bridge.demo.timeline import Timeline
from bridge.demo.web import create_app
from bridge.demo.wire import Wire
from bridge.errors import BridgeError

START_SECONDS = 15.0  # seconds for the bridge to come up
HOST = "127.0.0.1"


def main() -> None:
    """Serve the timeline, and follow whom stdin names, until stdin ends."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s")
    me = Me(f"http://localhost:{options.port}", _read_or_make_key(options.key))
    timeline, wire = Timeline(), Wire(Reach(frozenset(options.allow), {"localhost": HOST}))
    follower = Follower(me, wire, timeline, _tell, _now)
    app = create_app(me, timeline, follower, Inbox(me, wire, timeline, follower, _tell, _now))
    server = make_server(HOST, options.port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        _follow(follower, line.strip())
    server.shutdown()
    wire.close()


def _follow(follower: Follower, handle: str) -> None:
    try:
        follower.follow(handle, seconds=START_SECONDS)
    except BridgeError as error:
        _tell("failed", handle=handle, why=str(error))


def _tell(what: str, **details: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps({"what": what, **details}) + b"\n")
    sys.stdout.buffer.flush()


def _now() -> datetime:
    return datetime.now(UTC)


def _read_or_make_key(path: Path) -> str:
    """Return our private key, the same one at each start: the bridge remembers its public half."""
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.write_text(generate_rsa(), encoding="ascii")
        unfinished.replace(path)
    return path.read_text(encoding="ascii")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True, help="file with our private key; made if missing")
    parser.add_argument("--allow", type=parse_pair, action="append", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    main()
