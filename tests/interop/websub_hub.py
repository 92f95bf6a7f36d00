"""Runs Flask-WebSub's hub on loopback, and a blog that names it, behind real TLS.

What is verified, signed and sent is that library's; this file writes the feed, and runs its tasks in threads
where it expects Celery. README.md describes the control API.
"""

import argparse
import ssl
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import requests
from flask_websub.hub import Hub, SQLite3HubStorage
from flask_websub.publisher import init_publisher, publisher
from werkzeug.serving import make_server


class Threads:
    """As much of Celery as the hub uses: a task is begun with `delay`, and may be told to try again."""

    def task(self, *, bind: bool = False, **_: Any) -> Callable[[Callable[..., Any]], Any]:
        """Make a task of a function; a bound one is handed itself first."""

        def register(function: Callable[..., Any]) -> Any:
            task = SimpleNamespace(request=SimpleNamespace(retries=0), retry=lambda **_: None)

            def delay(*arguments: Any) -> None:
                given = (task, *arguments) if bind else arguments
                threading.Thread(target=function, args=given, daemon=True).start()

            task.delay = delay
            return task

        return register


class Blog:
    """A feed that grows, and that names its hub until it is told not to."""

    def __init__(self) -> None:
        self.posts = [("Before", datetime.now(UTC))]
        self.names_hub = True

    def rss(self, url: str) -> str:
        """Write the feed as it is now."""
        items = "".join(
            f"<item><title>{title}</title><guid>{url}/{number}</guid><link>{url}/{number}</link>"
            f"<pubDate>{format_datetime(date)}</pubDate><description>{title}, in short.</description></item>"
            for number, (title, date) in enumerate(self.posts)
        )
        return f'<rss version="2.0"><channel><title>A blog</title><link>{url}</link>{items}</channel></rss>'


def build_public(hub: Hub, blog: Blog, origin: str) -> flask.Flask:
    """Build what the world sees: the hub and the feed."""
    app = flask.Flask("hub")
    app.register_blueprint(hub.build_blueprint(url_prefix="/hub"))
    init_publisher(app)
    topic = f"{origin}/feed.xml"

    def feed() -> flask.Response:
        return flask.Response(blog.rss(topic), content_type="application/rss+xml")

    with_hub = publisher(self_url=topic, hub_url=f"{origin}/hub")(feed)

    @app.get("/feed.xml")
    def read() -> flask.Response:
        return with_hub() if blog.names_hub else feed()

    return app


def build_control(hub: Hub, blog: Blog, origin: str, sent: list[dict[str, Any]]) -> flask.Flask:
    """Build what the tests see."""
    app = flask.Flask("control")
    topic = f"{origin}/feed.xml"

    @app.get("/state")
    def state() -> dict[str, Any]:
        with hub.storage.connection() as connection:
            rows = connection.execute("select topic_url, callback_url, expiration_time from hub").fetchall()
        return {"subscriptions": [dict(row) for row in rows], "sent": sent}

    @app.post("/publish")
    def publish() -> dict[str, Any]:
        blog.posts.append((flask.request.json["title"], datetime.now(UTC)))
        hub.send_change_notification.delay(topic)
        return {"topic": topic}

    @app.post("/name")
    def name() -> dict[str, Any]:
        blog.names_hub = flask.request.json["hub"]
        return {}

    return app


def watch_outgoing_requests(sent: list[dict[str, Any]]) -> None:
    """Note every request of the hub's with its answer."""
    plain_send = requests.Session.send

    def send(session: Any, request: Any, **options: Any) -> Any:
        answer = plain_send(session, request, **options)
        signature = request.headers.get("X-Hub-Signature", "")
        sent.append(
            {
                "method": request.method,
                "url": request.url,
                "status": answer.status_code,
                "signature": signature,
            }
        )
        return answer

    requests.Session.send = send


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--port", "--control-port"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--cert", "--key"):
        parser.add_argument(name, type=Path, required=True)
    given = parser.parse_args()
    sent: list[dict[str, Any]] = []
    watch_outgoing_requests(sent)
    origin, blog = f"https://localhost:{given.port}", Blog()
    hub = Hub(SQLite3HubStorage(str(Path.cwd() / "hub.sqlite")), Threads())
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(given.cert, given.key)
    public = make_server(
        "127.0.0.1", given.port, build_public(hub, blog, origin), threaded=True, ssl_context=tls
    )
    control = make_server("127.0.0.1", given.control_port, build_control(hub, blog, origin, sent))
    for server in (public, control):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
