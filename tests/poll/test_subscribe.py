import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from databases import copy_sqlite
from feed_server import Blog, Item
from hub_server import Hub
from lab import Lab
from loopback import Network, Reply, Request
from rows import add_follower, source_of
from sqlalchemy import select
from web_process import web_process
from werkzeug.test import Client as WsgiClient

from bridge.model import Unreachable
from bridge.net.client import Client
from bridge.poll.hubs import Subscriber, decide
from bridge.services import open_services, utc_now
from bridge.store import schema, sources, subscriptions
from bridge.store.subscriptions import ACTIVE, ASKED, DENIED, LEAVING, LEFT
from bridge.web import create_app, create_wsgi
from bridge.worker.jobs import Worker

DAY = timedelta(days=1)
BLOG = ("cafe", "blog", "feed", "https://cafe.example/feed.xml")


class HubLab(Lab):
    """A lab whose blog names a hub."""

    def __enter__(self) -> "HubLab":
        super().__enter__()
        web = WsgiClient(create_app(self.services))

        def call(method, url, headers, body):
            parts = urlsplit(url)
            answer = web.open(
                parts.path, method=method, query_string=parts.query, headers=dict(headers), data=body
            )
            return answer.status_code, answer.get_data()

        self.hub = Hub(self.network, call)
        self.subscriber = Subscriber(self.services, self.client, self.poller)
        self.name_hub(self.hub.url)
        return self

    def name_hub(self, url: str) -> None:
        self.blog.headers["Link"] = f'<{url}>; rel="hub", <{self.blog.feed}>; rel="self"'

    def ask(self) -> int:
        return self.run(self.subscriber.run(self.stop))

    def take_pushes(self) -> int:
        return self.run(self.subscriber.take_pushes(self.stop))

    def subscribe(self) -> None:
        """Poll, ask the hub, and let it call back."""
        self.poll()
        self.hub.verifies = "before"
        assert self.ask() == 1
        assert self.subscription().state == ACTIVE

    def subscription(self) -> subscriptions.Subscription:
        with self.store.read() as tx:
            (found,) = subscriptions.listing(tx)
        return found

    def news(self, title: str = "Fresh buns") -> bytes:
        """Return a feed of one new entry, as a hub sends it."""
        self.blog.items = [Item(title, date=self.clock.now()), *self.blog.items]
        return self.feed_of(self.blog.items[0])

    def feed_of(self, *items: Item) -> bytes:
        """Return the blog's feed with nothing but these entries."""
        everything, self.blog.items = self.blog.items, list(items)
        try:
            return self.blog._rss()
        finally:
            self.blog.items = everything


@pytest.fixture
def lab(make_services, clock) -> Iterator[HubLab]:
    with HubLab(make_services, clock) as lab:
        lab.blog.post("The first")
        yield lab


# ── asking ──


def test_a_hub_the_feed_names_is_asked_and_believed_once_it_calls_back(lab):
    lab.poll()
    assert lab.ask() == 1
    (asked,) = lab.hub.asked
    assert (asked["hub.mode"], asked["hub.topic"]) == ("subscribe", lab.blog.feed)
    assert asked["hub.callback"].startswith("http://localhost:8000/ap/about/websub/")
    assert len(asked["hub.secret"]) == 64
    assert lab.subscription().state == ASKED
    assert lab.hub.verify("echo me") == (200, b"echo me")
    active = lab.subscription()
    assert (active.state, active.lease_until) == (ACTIVE, lab.clock.now() + 10 * DAY)


def test_a_feed_without_a_hub_is_only_polled(lab):
    lab.blog.headers.clear()
    lab.poll()
    assert lab.ask() == 0


def test_a_hub_that_calls_back_before_it_answers_is_not_asked_again_at_once(lab):
    lab.subscribe()
    assert lab.subscription().due_at == lab.clock.now() + 8 * DAY
    assert lab.ask() == 0


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_hub_may_say_yes_in_its_own_way(lab, status):
    lab.hub.status = status
    lab.subscribe()
    assert lab.subscription().error is None


def test_a_hub_of_wordpress_com_is_spoken_to_in_its_old_language(lab):
    lab.hub.needs = ("hub.verify",)
    lab.hub.status, lab.hub.lease, lab.hub.algorithm = 204, 315_360_000, "sha1"
    lab.subscribe()
    assert lab.subscription().due_at == lab.clock.now() + 8 * DAY
    lab.hub.push(lab.news("From WordPress"), "application/rss+xml; charset=UTF-8")
    assert lab.take_pushes() == 1
    assert lab.newest().note["content"].count("From WordPress")


def test_a_lease_that_is_shorter_than_asked_is_renewed_in_time(lab):
    lab.hub.lease = 24 * 3600
    lab.subscribe()
    lab.wait(hours=19, minutes=12)
    assert lab.ask() == 1


def test_a_hub_that_never_calls_back_is_asked_again_in_six_hours(lab):
    lab.poll()
    lab.ask()
    lab.wait(hours=5, minutes=59)
    assert lab.ask() == 0
    lab.wait(minutes=1)
    assert lab.ask() == 1


def test_a_lease_is_renewed_before_it_ends_with_the_same_secret(lab):
    lab.subscribe()
    lab.wait(days=8)
    assert lab.ask() == 1
    first, second = lab.hub.asked
    assert first == second
    assert lab.subscription().lease_until == lab.clock.now() + 10 * DAY


def test_a_denied_subscription_is_remembered_and_asked_for_again_in_a_day(lab):
    lab.poll()
    lab.ask()
    assert lab.hub.deny("too many feeds")[0] == 200
    denied = lab.subscription()
    assert denied.state == DENIED
    assert "too many feeds" in denied.error
    lab.wait(hours=23)
    assert lab.ask() == 0
    lab.wait(hours=1)
    assert lab.ask() == 1
    assert lab.hub.verify()[0] == 404  # it said no; only a new yes of ours counts


def test_a_hub_may_say_no_to_what_it_granted(lab):
    lab.subscribe()
    lab.hub.deny("closed")
    assert lab.subscription().state == DENIED
    assert lab.hub.push(lab.news()) == 410


def test_a_hub_that_says_no_to_whoever_leaves_is_not_asked_again(lab):
    lab.subscribe()
    lab.blog.headers.clear()
    lab.blog.conditional = False
    lab.poll()
    lab.hub.verifies = "by hand"
    lab.ask()
    lab.hub.deny("gone already")
    assert lab.subscription().state == LEFT
    lab.wait(days=2)
    assert lab.ask() == 0


def test_a_hub_that_cannot_be_reached_is_said_and_asked_again_in_an_hour(lab):
    lab.poll()
    lab.hub.go_down()
    assert lab.ask() == 1
    assert "cannot be reached" in lab.subscription().error
    assert lab.subscription().due_at == lab.clock.now() + timedelta(hours=1)


def test_a_hub_that_moved_is_asked_at_its_new_address(lab):
    lab.name_hub(lab.hub.url.replace("/hub", "/moved"))
    lab.poll()
    assert lab.ask() == 1
    assert len(lab.hub.asked) == 1


def test_another_hub_is_another_subscription_and_the_old_one_is_told_to_stop(lab):
    lab.subscribe()
    old = lab.hub.asked[-1]
    lab.name_hub(lab.hub.url + "?new")
    lab.blog.post("A post")
    lab.poll()
    assert lab.subscription().token not in old["hub.callback"]
    assert lab.hub.push(lab.news()) == 410


def test_a_feed_that_names_its_hub_no_more_is_left(lab):
    lab.subscribe()
    lab.blog.headers.clear()
    lab.blog.post("A post")
    lab.poll()
    assert lab.subscription().state == LEAVING
    lab.ask()
    assert lab.hub.asked[-1]["hub.mode"] == "unsubscribe"
    assert lab.subscription().state == LEFT
    assert lab.hub.push(lab.news(), secret="whatever") == 410


def test_a_source_that_left_the_config_leaves_its_hub_and_may_come_back(lab):
    lab.subscribe()
    source = lab.source()
    with lab.store.write() as tx:
        sources.sync(tx, [], interval=DAY, now=lab.clock.now())
        subscriptions.follow_config(tx, now=lab.clock.now())
    assert lab.ask() == 1
    assert lab.hub.asked[-1]["hub.mode"] == "unsubscribe"
    assert lab.hub.verified[-1] == (200, b"a challenge")
    with lab.store.write() as tx:
        sources.sync(tx, [("cafe", source.name, "feed", source.location)], interval=DAY, now=lab.clock.now())
        subscriptions.follow_config(tx, now=lab.clock.now())
    assert lab.ask() == 1
    assert lab.subscription().state == ACTIVE


def test_a_hub_whose_lease_is_over_need_not_be_told(lab):
    lab.poll()
    with lab.store.write() as tx:
        sources.sync(tx, [], interval=DAY, now=lab.clock.now())
        subscriptions.follow_config(tx, now=lab.clock.now())
    assert lab.ask() == 1
    assert (lab.hub.asked, lab.subscription().state) == ([], LEFT)


def test_a_refused_renewal_costs_nothing_while_the_lease_runs(lab):
    lab.subscribe()
    lab.wait(days=8)
    lab.hub.verifies, lab.hub.status = "by hand", 403
    lab.ask()
    assert lab.subscription().state == ACTIVE
    assert "refused (403)" in lab.subscription().error
    lab.wait(days=3)
    lab.ask()
    assert lab.subscription().state == DENIED


def test_a_bridge_on_localhost_does_not_ask_hubs_that_could_never_call_it(lab):
    lab.name_hub("https://hub.public.example.com/")
    lab.poll()
    assert lab.ask() == 1
    assert lab.subscription().error is None
    assert lab.subscription().due_at == lab.clock.now() + DAY


@pytest.mark.parametrize(
    ("hub", "says"),
    [
        ("https://10.0.0.7/hub", "IP address"),
        ("http://hub.example.com:8080/", "https"),  # where the secret could be overheard
    ],
)
def test_a_hub_that_no_secret_should_be_told_is_not_asked(make_services, clock, hub, says):
    services = make_services()
    with services.store.write() as tx:
        subscriptions.advertise(tx, source_of(tx), (hub, "https://cafe.example/"), now=clock.now())

    async def ask() -> None:
        async with Client("test", now=clock.now) as client:
            await Subscriber(services, client, None).run(asyncio.Event())

    asyncio.run(ask())
    with services.store.read() as tx:
        assert says in subscriptions.listing(tx)[0].error


@pytest.mark.parametrize("state", [ASKED, ACTIVE, LEAVING])
def test_a_hub_without_an_answer_changes_nothing_but_the_time(state, clock):
    known = subscriptions.Subscription(
        1, "https://hub.example/", "t", "x", "s", state, clock.now() + DAY, clock.now(), None, None
    )
    assert decide(known, Unreachable("no"), now=clock.now()).state == state


# ── finding a hub although the feed does not change ──


def test_a_hub_that_only_the_headers_name_is_found_though_the_feed_is_the_same(lab):
    lab.blog.headers.clear()
    lab.blog.conditional = False
    lab.poll()
    assert lab.ask() == 0
    lab.name_hub(lab.hub.url)
    lab.poll()
    assert lab.ask() == 1


def test_a_hub_that_a_304_names_is_found(lab):
    lab.blog.headers.clear()
    lab.poll()
    lab.name_hub(lab.hub.url)
    asked = len(lab.blog.requests)
    lab.poll()
    assert len(lab.blog.requests) == asked + 2  # “not modified”, then read whole
    assert lab.ask() == 1
    lab.poll()
    assert len(lab.blog.requests) == asked + 3


def test_a_304_that_names_no_hub_says_nothing_about_it(lab):
    lab.subscribe()
    lab.blog.headers.clear()
    lab.poll()
    assert lab.subscription().state == ACTIVE


def test_a_hub_that_the_headers_name_no_more_is_left_though_the_feed_is_the_same(lab):
    lab.subscribe()
    lab.blog.headers.clear()
    lab.blog.conditional = False
    lab.poll()
    assert lab.ask() == 1
    assert (lab.hub.asked[-1]["hub.mode"], lab.subscription().state) == ("unsubscribe", LEFT)


def test_links_that_name_no_hub_may_change_with_every_answer(lab):
    lab.blog.conditional = False
    lab.poll()
    changed = lab.source().last_changed_at
    mark = lab.source().body_hash
    lab.blog.headers["Link"] += ', </style.css?1>; rel="preload"'
    lab.poll()
    assert (lab.source().body_hash, lab.source().last_changed_at) == (mark, changed)


@pytest.mark.parametrize("read_by", ["0123abcd" * 8, "1:0123abcd:0123abcd"])
def test_a_feed_that_was_read_before_hubs_were_known_is_read_whole_once(lab, read_by):
    lab.poll()
    with lab.store.write() as tx:
        tx.execute(schema.subscriptions.delete())
        tx.execute(schema.sources.update().values(body_hash=read_by))
    lab.poll()
    assert "if-none-match" not in lab.blog.requests[-1].headers
    assert lab.ask() == 1
    lab.poll()
    assert "if-none-match" in lab.blog.requests[-1].headers
    assert len(lab.posts()) == 1


def test_a_hub_that_was_taken_out_and_came_back_is_asked_again(lab):
    lab.subscribe()
    link = lab.blog.headers.pop("Link")
    lab.blog.conditional = False
    lab.poll()
    lab.ask()
    assert lab.subscription().state == LEFT
    lab.blog.headers["Link"] = link
    lab.poll()
    assert lab.ask() == 1
    assert lab.subscription().state == ACTIVE


# ── pushes ──


def test_what_a_hub_pushes_is_published_without_asking_the_site(lab):
    lab.subscribe()
    asked = len(lab.blog.requests)
    assert lab.hub.push(lab.news("Pushed")) == 202
    assert lab.take_pushes() == 1
    assert lab.newest().note["content"].count("Pushed")
    assert len(lab.blog.requests) == asked
    lab.poll()
    assert len(lab.posts()) == 2  # the poll after it finds nothing new


def test_a_push_of_one_entry_says_nothing_about_the_others(lab):
    for number in range(5):
        lab.blog.post(f"Old {number}", date=lab.clock.now() - DAY * number)
    lab.subscribe()
    edited = lab.blog.items[0]  # newer ones are missing from what the hub sends of it
    edited.text = "Other words."
    assert lab.hub.push(lab.feed_of(edited)) == 202
    assert lab.take_pushes() == 1
    with lab.store.read() as tx:
        assert not tx.scalars(
            select(schema.posts.c.pk).where(schema.posts.c.missing_since.is_not(None))
        ).all()
    assert len(lab.posts()) == 6


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_pushes_are_believed_in_every_algorithm(lab, algorithm):
    lab.subscribe()
    lab.hub.algorithm = algorithm
    lab.hub.push(lab.news())
    assert lab.take_pushes() == 1


def test_a_forged_push_is_answered_politely_and_ignored(lab):
    lab.subscribe()
    due_at = lab.source().due_at
    assert lab.hub.push(lab.news(), secret="guessed") == 202
    assert lab.take_pushes() == 0
    assert lab.source().due_at == due_at


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_a_mere_ping_makes_the_source_due(lab, body):
    lab.subscribe()
    lab.wait(minutes=1)
    lab.news("Pinged")
    assert lab.hub.push(body) == 202
    assert lab.take_pushes() == 0
    assert lab.poll_due() == 1
    assert lab.newest().note["content"].count("Pinged")


def test_what_is_no_feed_makes_the_source_due(lab):
    lab.subscribe()
    lab.news("Polled")
    lab.hub.push(b"<html><body>updated!</body></html>", "text/html")
    assert lab.take_pushes() == 1
    assert lab.source().error is None
    assert lab.poll_due() == 1
    assert lab.newest().note["content"].count("Polled")


def test_a_push_that_came_packed_makes_the_source_due(lab):
    lab.subscribe()
    lab.hub.push(gzip.compress(lab.news("Packed")))
    assert lab.take_pushes() == 1
    assert lab.source().error is None
    assert lab.poll_due() == 1
    assert lab.newest().note["content"].count("Packed")


def test_a_burst_of_pushes_is_read_within_bounds_and_loses_nothing(lab):
    lab.subscribe()
    lab.wait(minutes=1)
    asked = len(lab.blog.requests)
    for number in range(30):
        assert lab.hub.push(lab.feed_of(Item(f"Burst {number}"))) == 202
    assert lab.take_pushes() == 20
    lab.news("After the burst")
    assert lab.poll_due() == 1  # for the ten that were too many
    for _ in range(30):
        lab.hub.push(b"")
        assert lab.poll_due() == 0
    assert len(lab.blog.requests) == asked + 1
    lab.wait(seconds=3)
    assert lab.poll_due() == 1


def test_a_push_changes_nothing_about_when_the_source_is_polled(lab):
    lab.subscribe()
    before = lab.source()
    lab.hub.push(lab.news())
    lab.take_pushes()
    after = lab.source()
    assert (after.due_at, after.interval, after.etag) == (before.due_at, before.interval, before.etag)


def test_pushes_are_read_in_the_order_they_came(lab):
    lab.subscribe()
    for title in ("One", "Two", "Three"):
        lab.hub.push(lab.news(title))
    assert lab.take_pushes() == 3
    titles = [post.note["content"] for post in sorted(lab.posts(), key=lambda post: post.note["published"])]
    assert len(titles) == 4


def test_a_push_waits_while_its_source_is_being_polled(lab):
    lab.subscribe()
    with lab.store.write() as tx:
        sources.make_due(tx, now=lab.clock.now())
        (polled,) = sources.claim_due(tx, 1, now=lab.clock.now())
    lab.hub.push(lab.news())
    assert lab.take_pushes() == 0
    lab.wait(minutes=2)  # that worker died: its lease is over
    assert lab.take_pushes() == 1
    assert polled.id == lab.source().id


def test_a_worker_that_dies_with_a_push_leaves_the_source_to_be_polled(lab):
    lab.subscribe()
    lab.hub.push(lab.news("Lost and found"))
    with lab.store.write() as tx:
        assert len(subscriptions.take_pushes(tx, 5, now=lab.clock.now())) == 1
    assert lab.poll_due() == 0
    lab.wait(minutes=1)
    assert lab.poll_due() == 1
    assert lab.newest().note["content"].count("Lost and found")


def test_a_source_that_is_pinged_while_it_is_polled_is_polled_again(lab):
    lab.poll()
    with lab.store.write() as tx:
        sources.make_due(tx, now=lab.clock.now())
        (polled,) = sources.claim_due(tx, 1, now=lab.clock.now())
        sources.make_due(tx, [polled.id], now=lab.clock.now())
        answered = sources.SourceForUpdate(lab.clock.now() + DAY, DAY, 0, answered=True)
        sources.settle(tx, polled.id, answered, now=lab.clock.now())
    assert lab.source().due_at <= lab.clock.now()


# ── what waits ──


def test_no_more_than_twenty_pushes_of_a_source_and_a_hundred_in_all_wait(cafe, clock):
    with cafe.write() as tx:
        wanted = [("cafe", f"s{n}", "feed", f"https://cafe.example/{n}") for n in range(7)]
        sources.sync(tx, wanted, interval=DAY, now=clock.now())
        ids = [source.id for source in sources.all_sources(tx)]
        kept = [
            subscriptions.keep_push(tx, source, "text/xml", b"x", now=clock.now())
            for source in ids
            for _ in range(21)
        ]
        assert (kept[:21].count(True), kept.count(True)) == (20, 100)


def test_pushes_may_not_fill_the_disk(cafe, clock):
    with cafe.write() as tx:
        source, big = source_of(tx), b"x" * (33 * 1024 * 1024)
        assert subscriptions.keep_push(tx, source, None, big, now=clock.now())
        assert not subscriptions.keep_push(tx, source, None, big, now=clock.now())


def test_the_oldest_push_of_each_source_is_taken_and_leases_it(cafe, clock):
    with cafe.write() as tx:
        source = source_of(tx)
        for body in (b"1", b"2"):
            subscriptions.keep_push(tx, source, "text/xml", body, now=clock.now())
        (push,) = subscriptions.take_pushes(tx, 5, now=clock.now())
        assert (push.body, push.source.id) == (b"1", source)
        assert subscriptions.take_pushes(tx, 5, now=clock.now()) == []
        assert subscriptions.waiting_pushes(tx) == 1


def test_what_was_pushed_for_a_source_that_left_is_forgotten(cafe, clock):
    with cafe.write() as tx:
        subscriptions.keep_push(tx, source_of(tx), None, b"x", now=clock.now())
        sources.sync(tx, [], interval=DAY, now=clock.now())
        subscriptions.follow_config(tx, now=clock.now())
        assert subscriptions.waiting_pushes(tx) == 0


def test_an_answer_that_comes_after_the_hub_called_back_changes_nothing(cafe, clock):
    with cafe.write() as tx:
        subscriptions.advertise(tx, source_of(tx), ("https://hub.example/", "t"), now=clock.now())
        (claimed,) = subscriptions.claim_due(tx, 5, now=clock.now())
        until = clock.now() + DAY
        subscriptions.confirm(tx, claimed.source_id, lease_until=until, renew_at=until)
        subscriptions.settle(tx, claimed, ASKED, clock.now(), "late")
        (known,) = subscriptions.listing(tx)
    assert (known.state, known.due_at, known.error) == (ACTIVE, until, None)


# ── the whole way, on real sockets and by the real clock ──


class Followers:
    """A server that notes when something arrives."""

    def __init__(self, network: Network) -> None:
        self._host = network.host("one.example", self._answer)
        self.netloc = self._host.netloc
        self.arrived = threading.Event()

    async def _answer(self, request: Request) -> Reply:
        if b'"Create"' in request.body:
            self.arrived.set()
        return Reply(202)


def call_over_http(method, url, headers, body):
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port, timeout=5)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_from_a_push_to_the_first_delivery_it_takes_less_than_five_seconds(
    make_config, generators, sqlite_template
):
    with Network(4) as network:
        blog, followers = Blog(network), Followers(network)
        hub = Hub(network, call_over_http, verifies="after")
        blog.post("The first")
        blog.headers["Link"] = f'<{hub.url}>; rel="hub"'
        opened = []

        def make_app(port: int):
            feed = f'[[sites.cafe.sources]]\nname = "blog"\nfeed = "{blog.feed}"\n'
            handle = f"@cafe@localhost:{port}"
            config = make_config(base_url=f"http://localhost:{port}", handle=handle, sources=feed)
            copy_sqlite(sqlite_template, Path(config.database.removeprefix("sqlite:///")))
            services = open_services(config, reach=network.reach, now=utc_now, generators=generators)
            with services.store.write() as tx:
                add_follower(tx, "fan", followers.netloc, now=utc_now())
                tx.execute(
                    schema.followers.update().values(
                        inbox=f"http://{followers.netloc}/inbox",
                        shared_inbox=f"http://{followers.netloc}/inbox",
                    )
                )
            opened.append(services)
            return create_wsgi(services)

        with web_process(make_app):
            services = opened[0]
            seconds = asyncio.run(_push_and_wait(services, blog, hub, followers))
            services.close()
    assert seconds < 5


async def _push_and_wait(services, blog, hub, followers) -> float:
    stop = asyncio.Event()
    async with Client("test", services.reach) as client:
        worker = Worker(services, client, stop)
        worker.take_over()
        scheduler = AsyncIOScheduler(timezone=UTC)
        worker.schedule(scheduler)
        scheduler.start()
        try:
            async with asyncio.timeout(20):
                while not hub.verified:
                    await asyncio.sleep(0.02)
            blog.post("Pushed")
            pushed_at = time.monotonic()
            assert await asyncio.to_thread(hub.push, blog._rss()) == 202
            assert await asyncio.to_thread(followers.arrived.wait, 20)
            return time.monotonic() - pushed_at
        finally:
            stop.set()
            scheduler.pause()
            await worker.finish()
            scheduler.shutdown(wait=False)
