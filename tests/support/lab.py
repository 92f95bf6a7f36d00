"""A bridge and its pumps on a bench: real store, sockets and keys, run by hand and by the test's clock."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from fake_peer import MASTODON, BridgeInProcess, Document, FakePeer, Person, Software
from feed_server import Blog
from loopback import Network
from sqlalchemy import text

from bridge.deliver.deliverer import Deliverer
from bridge.model import DeliveryState, Follower, Post
from bridge.net.client import Client
from bridge.people.fetch import Fetcher
from bridge.poll.folder_watch import FolderWatch
from bridge.poll.poller import Polled, Poller
from bridge.publish.due import publish_due
from bridge.receive.receiver import Receiver
from bridge.receive.registrar import Registrar
from bridge.services import Services
from bridge.store import deliveries, delivery_reports, followers, posts, sources
from bridge.store.delivery_reports import DeliveryReport
from bridge.store.sources import Source
from bridge.web import create_app

BASE_URL = "http://localhost:8000"
CAFE = f"{BASE_URL}/ap/cafe"
INBOX = f"{CAFE}/inbox"
SHARED_INBOX = f"{BASE_URL}/ap/inbox"
BAKERY = (
    '\n[sites.bakery]\nhandle = "@bakery@localhost:8000"\nwebsite = "https://bakery.example/"\n'
    'name = "Bakery"\n[[sites.bakery.sources]]\nfeed = "https://bakery.example/feed.xml"\n'
)


class Lab:
    """One bridge for `@cafe@localhost:8000` with the feed of `blog`, and the network it lives in.

    Each pump runs when it is called and returns when nothing is due any more; `clock` says what is due.
    """

    def __init__(
        self,
        make_services: Callable[..., Services],
        clock: Any,
        *,
        size: int = 8,
        more: str = "",
        **written: str,
    ) -> None:
        self.clock = clock
        self.network = Network(size)
        self._runner = asyncio.Runner()
        self._make_services = make_services
        self._written = written
        self._more = more

    def __enter__(self) -> Self:
        self.network.__enter__()
        self.blog = Blog(self.network)
        self.feed = f'[[sites.cafe.sources]]\nname = "blog"\nfeed = "{self.blog.feed}"\n'
        written = {"sources": self.feed + self._more, "handle": "@cafe@localhost:8000", **self._written}
        self.services = self._make_services(base_url=BASE_URL, reach=self.network.reach, **written)
        self.store, self.ids = self.services.store, self.services.ids
        self.bridge = BridgeInProcess(create_app(self.services))
        self.client = self.run(self._open_client())
        self.start_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.client.close())
        self._runner.close()
        self.network.__exit__(kind, error, trace)

    async def _open_client(self) -> Client:
        return Client(self.services.user_agent, self.network.reach, now=self.services.now)

    def start_worker(self) -> None:
        """Begin as a new worker process does: knowing nothing but what the database holds."""
        fetcher = Fetcher(self.services, self.client)
        self.fetcher = fetcher
        self.poller = Poller(self.services, self.client, jitter=lambda: 0.5)
        self.folders = FolderWatch(self.services)
        self.deliverer = Deliverer(self.services, self.client, jitter=lambda: 0.5, grace=0.2)
        self.receiver = Receiver(self.services, fetcher)
        self.registrar = Registrar(self.services, fetcher)
        self.stop = asyncio.Event()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def peer(self, name: str = "mastodon.example", software: Software = MASTODON) -> FakePeer:
        """Bring a server online."""
        return FakePeer(self.network, name, self.bridge, self.services.now, software)

    def change_config(self, **written: str) -> None:
        """Start the bridge again, worker and all, with another config and the same data."""
        whole = {"sources": self.feed, "handle": "@cafe@localhost:8000", **written}
        self.services = self._make_services(base_url=BASE_URL, reach=self.network.reach, **whole)
        self.start_worker()

    # ── the pumps ──

    def receive(self) -> int:
        return self.run(self.receiver.run(self.stop))

    def look_at_actors(self) -> int:
        return self.run(self.registrar.run(self.stop))

    def deliver(self) -> int:
        return self.run(self.deliverer.drain(self.stop))

    def deliver_until(self, done: Callable[[], bool], *, seconds: float = 10) -> float:
        """Deliver until `done` or too late, then stop; return how many seconds it took."""
        return self.run(self._deliver_until(done, seconds))

    async def _deliver_until(self, done: Callable[[], bool], seconds: float) -> float:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        began = loop.time()
        work = asyncio.ensure_future(self.deliverer.drain(stop))
        while not done() and loop.time() - began < seconds:
            await asyncio.sleep(0.005)
        took = loop.time() - began
        stop.set()
        await work
        return took

    def poll(self) -> int:
        """Look at every source now, due or not."""
        with self.store.write() as tx:
            sources.make_due(tx, now=self.services.now())
        return self.poll_due()

    def read_sources(self) -> list[Polled]:
        """Read what is due as a worker does that dies before it writes anything down."""
        with self.store.write() as tx:
            sources.make_due(tx, now=self.services.now())
        return [self.run(self.poller._poll(source)) for source in self.poller._claim(10)]

    def send_deliveries(self) -> None:
        """Send what is due as a worker does that dies before it writes anything down."""
        for job in self.deliverer._claim(deliveries.FAST, 10):
            self.run(self.deliverer._attempt(job))

    def poll_due(self) -> int:
        return self.run(self.poller.run(self.stop))

    def work(self) -> None:
        """Receive, look and deliver until nothing is due."""
        while self.receive() + self.look_at_actors() + self.deliver():
            pass

    def wait(self, **passed: float) -> None:
        """Let time pass."""
        self.clock.tick(timedelta(**passed))

    # ── what usually happens ──

    def follow(self, person: Person, target: str = CAFE, **changes: Any) -> Document:
        """Let someone follow, and the bridge accept."""
        follow = person.follow(target, **changes)
        assert person.send(follow, INBOX) == 202
        self.work()
        return follow

    def publish(self, title: str = "Fresh buns", text: str = "Some words.") -> Post:
        """Write a post after the first poll, and have it found and queued."""
        if self.source().baseline_at is None:
            self.poll()
        self.blog.post(title, text)
        self.poll()
        return self.newest()

    def edit(self, text: str) -> None:
        """Change the newest post's text, have it found, and let the change stand for a while."""
        self.blog.items[0].text = text
        self.poll()
        self.wait(minutes=6)
        self.publish_due()

    def publish_due(self) -> None:
        """Publish what waited for its time."""
        publish_due(self.services)

    # ── looking inside ──

    def followers(self, site: str | None = "cafe") -> list[Follower]:
        with self.store.read() as tx:
            return followers.listing(tx, site)

    def follower_ids(self, site: str | None = "cafe") -> set[str]:
        return {follower.actor_id for follower in self.followers(site)}

    def posts(self, site: str = "cafe") -> list[Post]:
        with self.store.read() as tx:
            return posts.newest(tx, site, limit=50)

    def newest(self) -> Post:
        return self.posts()[0]

    def uri(self, post: Post) -> str:
        return self.ids.post(post.site, post.id)

    def source(self, name: str = "blog") -> Source:
        with self.store.read() as tx:
            return next(source for source in sources.all_sources(tx) if source.name == name)

    def deliveries(self, state: DeliveryState | None = None, **filters: Any) -> list[DeliveryReport]:
        """Return deliveries, oldest first."""
        with self.store.read() as tx:
            return delivery_reports.report(tx, state=state, limit=1000, **filters)[::-1]

    def arrivals(self) -> list[tuple[str, str, str]]:
        """Return (type, state, reason) of everything that came."""
        with self.store.read() as tx:
            rows = tx.execute(text("SELECT type, state, reason FROM inbox ORDER BY id"))
            return [(row[0], row[1], row[2] or "") for row in rows]

    def interactions(self) -> list[dict[str, Any]]:
        """Return everything people did with our posts, oldest first."""
        with self.store.read() as tx:
            rows = tx.execute(text("SELECT * FROM interactions ORDER BY id"))
            return [dict(row._mapping) for row in rows]
