"""A blog that has news when it is told to, and the hub that its feed names."""

import hashlib
import hmac
import io
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from PIL import Image

from benchmarks.sink import DOMAIN


class Newsroom:
    """The feed as it is now, and what the hub was asked for."""

    def __init__(self, port: int, delay: float) -> None:
        self.port = port
        self.feed = f"http://blog.{DOMAIN}:{port}/feed.xml"
        self.delay = delay
        self.picture = _picture()
        self._items = [_item("Before", "", f"{self.feed}/before")]
        self._asked: dict[str, str] = {}

    def publish(self, *, pictures: int = 0) -> None:
        """Put a new entry into the feed."""
        number = len(self._items)
        base = f"http://blog.{DOMAIN}:{self.port}"
        shown = "".join(f'<img src="{base}/{number}-{one}.png" alt="A cake">' for one in range(pictures))
        self._items.append(_item(f"Batch {number}", shown, f"{base}/batch-{number}/"))

    def rss(self) -> bytes:
        """Write the feed, newest first."""
        items = "".join(reversed(self._items))
        return f'<rss version="2.0"><channel><title>Café</title>{items}</channel></rss>'.encode()

    @property
    def links(self) -> str:
        """The header by which the feed names its hub."""
        return f'<http://hub.{DOMAIN}:{self.port}/hub>; rel="hub", <{self.feed}>; rel="self"'

    def subscribe(self, body: bytes) -> None:
        """Take a subscription."""
        self._asked = dict(parse_qsl(body.decode()))

    def verify(self, origin: str) -> bool:
        """Ask at the callback, on `origin`, whether the subscription was meant; `False`: nobody asked yet."""
        if not self._asked:
            return False
        query = {name: self._asked[name] for name in ("hub.mode", "hub.topic", "hub.lease_seconds")}
        query["hub.challenge"] = "echo"
        with urllib.request.urlopen(f"{self._callback(origin)}?{urlencode(query)}", timeout=10) as answer:
            return bool(answer.read() == b"echo")

    def push(self, origin: str) -> None:
        """Push the feed to the callback."""
        body = self.rss()
        signature = hmac.new(self._asked["hub.secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/rss+xml", "X-Hub-Signature": f"sha256={signature}"}
        urllib.request.urlopen(
            urllib.request.Request(self._callback(origin), body, headers), timeout=10
        ).close()

    def _callback(self, origin: str) -> str:
        return origin + urlsplit(self._asked["hub.callback"]).path


@contextmanager
def running_newsroom(delay: float) -> Iterator[Newsroom]:
    """Run blog and hub in a thread of this process; pictures come after `delay` seconds."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    room = Handler.room = Newsroom(server.server_port, delay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield room
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request to the blog or the hub."""

    room: Newsroom

    def do_GET(self) -> None:
        if self.path == "/feed.xml":
            self._answer(200, self.room.rss(), "application/rss+xml")
        elif self.path.endswith(".png"):
            time.sleep(self.room.delay)
            self._answer(200, self.room.picture, "image/png")
        else:
            self._answer(404)

    def do_POST(self) -> None:
        self.room.subscribe(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(202)

    def _answer(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Link", self.room.links)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is for the results."""


def _item(title: str, content: str, link: str) -> str:
    text = f"{title} is out of the oven. {content}".replace("<", "&lt;")
    return (
        f"<item><title>{title}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{format_datetime(datetime.now(UTC))}</pubDate><description>{text}</description></item>"
    )


def _picture() -> bytes:
    drawn = io.BytesIO()
    Image.effect_noise((800, 600), 40).save(drawn, "PNG")
    return drawn.getvalue()
