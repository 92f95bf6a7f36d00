"""The bridge that is measured: a café in a folder of its own, with followers, posts and real processes."""

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, insert, select

from benchmarks.processes import Process, module
from benchmarks.sink import DOMAIN, Sink
from bridge.changes.change import Created
from bridge.cli.settings import Settings
from bridge.model import Entry, PostState
from bridge.publish import posts as publish
from bridge.publish.drafts import draft_created
from bridge.services import Services
from bridge.store import schema, sources

SITE = "cafe"
BASE_URL = "https://cafe.example"
ELSEWHERE = "junk.example"  # a domain that is none of the sink's
_CHUNK = 10_000

_CONFIG = """\
base_url = "{base_url}"
data = "data"
{database}

[server]
host = "127.0.0.1"
port = {port}
{server}

[delivery]
concurrency = {concurrency}

[sites.cafe]
handle = "@cafe@cafe.example"
website = "https://cafe.example/"
name = "The Wren & Kettle"
summary = "A small café by the ferry. New on the menu and on the blog."

[[sites.cafe.sources]]
folder = "content"
"""

_TEXT = """\
<p>From Thursday there is <strong>plum cake</strong> again, baked with the plums from Ada's garden, and
a new coffee from a small farm in Huila that tastes of apricots and brown sugar.</p>
<p>We open at eight, as always; on Sunday we stay open until the last ferry. Come early, the cake will not
last: <a href="https://cafe.example/menu">the whole menu</a>.</p>
"""


class Subject:
    """A bridge of one café, whose followers all live in a sink."""

    def __init__(self, settings: Settings, services: Services, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._posts = 0
        self.services = services
        self.source_id = _add_unpolled_source(services)

    @property
    def port(self) -> int:
        """Where its web process listens."""
        return self.services.config.server.port

    def command(self, *arguments: object) -> list[str]:
        """Return the command line of one of its processes."""
        return module("bridge", *self._settings.arguments(), *arguments)

    @property
    def options(self) -> list[str]:
        """The options before the command."""
        return self._settings.arguments()

    def start(self, *arguments: object) -> Process:
        """Start one of its processes."""
        return Process(self.command(*arguments), self._folder / f"{arguments[0]}.log")

    def add_followers(self, sink: Sink, count: int, *, first: int = 0) -> None:
        """Give the café followers, each on a server of their own."""
        add_followers(self.services, sink, count, first=first)

    def publish(self, posts: int = 1) -> float:
        """Publish posts in one transaction; return the monotonic moment after its commit."""
        now = self.services.now()
        with self.services.store.write() as tx:
            for _ in range(posts):
                draft = draft_created(self.services, SITE, self._next_post())
                publish.commit(tx, self.services, draft, self.source_id, now=now)
        return time.monotonic()

    def _next_post(self) -> Created:
        self._posts += 1
        link = f"https://cafe.example/blog/plum-cake-{self._posts}/"
        tags = ("cake", "coffee")
        entry = Entry(guid=link, link=link, title=f"Plum cake, batch {self._posts}", html=_TEXT, tags=tags)
        return Created(
            entry=entry,
            keys=(f"guid:{link}",),
            content_hash=f"batch {self._posts}",
            state=PostState.PUBLISHED,
            published_at=self.services.now(),
        )

    def newest_post(self) -> str:
        """Return the path of the newest post's document."""
        with self.services.store.read() as tx:
            newest = select(schema.posts.c.id).order_by(schema.posts.c.pk.desc()).limit(1)
            return f"/ap/{SITE}/posts/{tx.scalar(newest)}"

    def deliveries(self) -> dict[str, int]:
        """Return state → how many deliveries are in it."""
        state = schema.deliveries.c.state
        with self.services.store.read() as tx:
            rows = tx.execute(select(state, func.count()).group_by(state)).all()
        return {row[0]: row[1] for row in rows}

    def is_done(self) -> bool:
        """Say whether nothing waits to be delivered."""
        return "pending" not in self.deliveries()


def add_followers(services: Services, sink: Sink, count: int, *, first: int = 0) -> None:
    """Give a bridge's café followers, each on a server of their own."""
    for start in range(first, first + count, _CHUNK):
        numbers = range(start, min(start + _CHUNK, first + count))
        add_followers_at(services, [sink.inbox(number) for number in numbers])


def add_followers_at(services: Services, inboxes: Iterable[str]) -> None:
    """Give a bridge's café a follower behind each of these shared inboxes."""
    with services.store.write() as tx:
        tx.execute(insert(schema.followers), [_follower(inbox, services.now()) for inbox in inboxes])


def _follower(inbox: str, now: datetime) -> dict[str, object]:
    return {
        "site": SITE,
        "actor_id": inbox.replace("/inbox", "/users/fan"),
        "inbox": inbox.replace("/inbox", "/users/fan/inbox"),
        "shared_inbox": inbox,
        "host": inbox.split("/")[2],
        "state": "accepted",
        "follow_id": inbox.replace("/inbox", "/follows/1"),
        "followed_at": now,
    }


@contextmanager
def new_subject(
    folder: Path,
    sink: Sink | None = None,
    *,
    concurrency: int = 300,
    database: str | None = None,
    allow: Sequence[str] = (),
    server: str = "",
) -> Iterator[Subject]:
    """Set up a bridge in `folder` that may reach nothing but the sink, and what `allow` names.

    `server` are lines for ``[server]``.
    """
    (folder / "content").mkdir()
    config = folder / "config.toml"
    named = f'database = "{database}"' if database else ""
    port = free_port()
    text = _CONFIG.format(
        base_url=BASE_URL, port=port, server=server, concurrency=concurrency, database=named
    )
    config.write_text(text)
    settings = Settings(config=config)
    if sink is not None:
        allow, resolve = (f"127.0.0.1:{sink.port}", *allow), (f"{DOMAIN}=127.0.0.1", f"{ELSEWHERE}=127.0.0.1")
        ca_file = str(sink.ca_file) if sink.ca_file else None
        settings = Settings(config=config, allow=allow, resolve=resolve, ca_file=ca_file)
    services = settings.open()
    try:
        yield Subject(settings, services, folder)
    finally:
        services.close()


def _add_unpolled_source(services: Services) -> int:
    """Add a source the config does not name: its posts are ours alone, no poll ever misses them."""
    interval = services.config.polling.min_interval
    wanted = [(SITE, "benchmark", "folder", "/nowhere")]
    with services.store.write() as tx:
        sources.sync(tx, wanted, interval=interval, now=services.now())
        return sources.all_sources(tx)[0].id


def free_port() -> int:
    """Name a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
