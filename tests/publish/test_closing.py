"""An account is closed for good, or paused because config.toml does not name it any more."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fake_peer import Person
from lab import BAKERY, BASE_URL, CAFE, INBOX, SHARED_INBOX, Lab
from sqlalchemy import text
from web_visitor import BROWSER, Visitor

from bridge.config import SiteConfig
from bridge.errors import IdentityChanged
from bridge.model import PostState
from bridge.publish.closing import close
from bridge.publish.pins import Pinner
from bridge.services import Services, open_services
from bridge.store import (
    deliveries,
    followers,
    holds,
    identity,
    interactions,
    posts,
    sources,
    subscriptions,
)
from bridge.web import create_app

WEBFINGER = f"{BASE_URL}/.well-known/webfinger?resource="


@pytest.fixture
def lab(make_services: Callable[..., Services], clock, database: str) -> Iterator[Lab]:
    with Lab(make_services, clock, more=BAKERY, database=database) as opened:
        yield opened


def restart(lab: Lab, **sites: SiteConfig) -> None:
    """Start again with these sites in the config, and the same data."""
    config = replace(lab.services.config, sites=sites)
    lab.services = open_services(config, reach=lab.network.reach, now=lab.clock.now)
    lab.store = lab.services.store
    lab.start_worker()


@pytest.fixture
def cafe(lab: Lab) -> SiteConfig:
    return lab.services.site("cafe")


@pytest.fixture
def bakery(lab: Lab) -> SiteConfig:
    return lab.services.site("bakery")


def close_cafe(lab: Lab) -> int:
    with lab.store.write() as tx:
        return close(tx, lab.services, "cafe", now=lab.clock.now())


def visitor(lab: Lab) -> Visitor:
    return Visitor(create_app(lab.services))


def deletes(person: Person) -> list[object]:
    received = [one.activity for one in person.peer.received]
    return [one["object"] for one in received if one["type"] == "Delete"]


# ── closing ──────────────────────────────────────────────────────────────────────────────────────


def test_everyone_who_knows_the_account_is_told(lab: Lab) -> None:
    lab.poll()
    fan, left, liker = (lab.peer(f"{name}.example").person() for name in ("fan", "left", "liker"))
    stranger = lab.peer("stranger.example").person()
    lab.follow(fan)
    follow = lab.follow(left)
    post = lab.publish()
    lab.work()
    assert left.send(left.undo(follow), INBOX) == 202
    assert liker.send(liker.like(lab.uri(post)), INBOX) == 202
    lab.work()
    lab.edit("Other words.")
    lab.work()
    assert liker.peer.types == ["Update"]  # with which a server learns the key: it cannot be had any more
    assert close_cafe(lab) == 3
    lab.work()
    assert [deletes(who) for who in (fan, left, liker, stranger)] == [[CAFE], [CAFE], [CAFE], []]
    delete = fan.peer.received[-1].activity
    assert visitor(lab).read(delete["id"])["object"] == CAFE


def test_whoever_only_ever_did_something_with_a_post_is_told_too(lab: Lab) -> None:
    liker = lab.peer().person()
    assert liker.send(liker.like(lab.uri(lab.publish())), INBOX) == 202
    lab.work()
    assert close_cafe(lab) == 1
    assert [one.inbox for one in lab.deliveries() if one.type == "Delete"] == [liker.peer.shared_inbox]


def test_of_a_closed_account_nothing_is_held_polled_or_pushed(lab: Lab) -> None:
    lab.poll()
    for number in range(6):
        lab.blog.post(f"Story {number}")
    lab.poll()
    with lab.store.write() as tx:
        assert holds.waiting(tx, "cafe")
        found = ("https://hub.example/", lab.blog.feed)
        subscriptions.advertise(tx, lab.source().id, found, now=lab.clock.now())
    close_cafe(lab)
    with lab.store.read() as tx:
        assert holds.waiting(tx, "cafe") == []
        assert {one.site for one in sources.all_sources(tx)} == {"bakery"}
        states = set(tx.scalars(text("SELECT state FROM subscriptions")))
        assert states == {subscriptions.LEAVING}


def test_of_what_a_closed_account_said_only_its_last_word_is_shown(lab: Lab) -> None:
    lab.publish()
    close_cafe(lab)
    with lab.store.read() as tx:
        said = {row.type: row.uri for row in tx.execute(text("SELECT type, uri FROM activities"))}
    assert {kind: visitor(lab).get(uri).status_code for kind, uri in said.items()} == {
        "Create": 410,
        "Delete": 200,
    }


def test_a_paused_account_tells_nobody_of_its_pins(lab: Lab, cafe: SiteConfig, bakery: SiteConfig) -> None:
    lab.publish()
    with lab.store.write() as tx:
        identity.set_told_pins(tx, "cafe", {}, now=lab.clock.now())
    lab.wait(days=2)
    restart(lab, bakery=bakery)
    assert Pinner(lab.services).run() == 0
    restart(lab, cafe=cafe, bakery=bakery)
    assert Pinner(lab.services).run() == 1


def test_what_was_still_to_be_said_is_not_said_after_the_end(lab: Lab) -> None:
    fan = lab.peer().person()
    lab.follow(fan)
    lab.publish()
    close_cafe(lab)
    lab.work()
    assert fan.peer.types == ["Accept", "Delete"]


@pytest.mark.parametrize("after_restart", [False, True])
def test_a_closed_account_answers_410_for_ever(lab: Lab, bakery: SiteConfig, after_restart: bool) -> None:
    post = lab.publish()
    other = lab.uri(post).rpartition("/")[0] + "/unknown"
    close_cafe(lab)
    if after_restart:
        restart(lab, bakery=bakery)
    web = visitor(lab)
    actor, gone = web.get(CAFE), web.get(lab.uri(post))
    assert (actor.status_code, actor.json["type"], actor.json["id"]) == (410, "Tombstone", CAFE)
    assert (gone.status_code, gone.json["type"], gone.json["id"]) == (410, "Tombstone", lab.uri(post))
    assert web.get(other).status_code == 404
    collections = ("outbox", "outbox/pages/1", "followers", "featured", "tags", "feed", "tagged/x")
    for path in (*collections, "activities/x", "authorizations/x", "media/a/b.png", "pictures/icon-1.png"):
        assert web.get(f"{CAFE}/{path}").status_code == 410, path
        assert web.get(f"{CAFE}/{path}", BROWSER).status_code == 410, path
    for resource in ("acct:cafe@localhost:8000", CAFE):
        assert web.get(WEBFINGER + resource).status_code == 410
    assert web.get(WEBFINGER + "acct:bakery@localhost:8000").status_code == 200
    assert web.get(WEBFINGER + "acct:nobody@localhost:8000").status_code == 404
    assert web.get(f"{BASE_URL}/@cafe").status_code == 410
    assert web.get(f"{BASE_URL}/r/{post.id}", BROWSER).status_code == 410
    assert web.get(f"{BASE_URL}/ap/bakery").status_code == 200
    assert "@cafe@" not in web.get(f"{BASE_URL}/").get_data(as_text=True)
    assert web.read("/nodeinfo/2.1")["usage"]["users"]["total"] == 1


def test_nobody_follows_an_account_that_was_closed_a_moment_ago(lab: Lab) -> None:
    late = lab.peer().person()
    close_cafe(lab)
    assert late.send(late.follow(CAFE), SHARED_INBOX) == 202
    lab.work()
    assert lab.followers() == []
    assert late.send(late.follow(CAFE), INBOX) == 410
    assert late.peer.types == []


def test_nothing_is_published_by_an_account_that_was_closed_while_it_was_polled(lab: Lab) -> None:
    lab.poll()
    lab.blog.post("Too late")
    polled = lab.read_sources()
    close_cafe(lab)
    lab.poller.settle(polled)
    lab.poll()
    with lab.store.read() as tx:
        assert posts.count(tx, "cafe") == 0


def test_what_people_did_is_erased_and_what_waited_never_comes(lab: Lab) -> None:
    lab.poll()
    fan = lab.peer().person()
    lab.follow(fan)
    post = lab.publish()
    assert fan.send(fan.like(lab.uri(post)), INBOX) == 202
    lab.work()
    lab.blog.post("Later", date=lab.clock.now().replace(year=2030))
    lab.poll()
    close_cafe(lab)
    with lab.store.read() as tx:
        assert (interactions.totals(tx), followers.listing(tx)) == ({}, [])
        assert posts.to_come(tx)[0] == 0
        assert posts.find(tx, "cafe", post.id).state is PostState.WITHDRAWN


def test_the_key_does_not_come_back_with_its_table(lab: Lab, cafe: SiteConfig, bakery: SiteConfig) -> None:
    lab.publish()
    close_cafe(lab)
    restart(lab, cafe=cafe, bakery=bakery)
    assert set(lab.services.config.sites) == {"bakery"}
    assert visitor(lab).get(CAFE).status_code == 410
    lab.poll()
    with lab.store.read() as tx:
        assert posts.count(tx, "cafe") == 0


def test_the_handle_cannot_be_anyone_elses(lab: Lab, cafe: SiteConfig, bakery: SiteConfig) -> None:
    close_cafe(lab)
    with pytest.raises(IdentityChanged, match="closed on"):
        restart(lab, coffee=replace(cafe), bakery=bakery)


def test_the_last_word_is_signed_after_a_restart_too(lab: Lab, bakery: SiteConfig) -> None:
    fan = lab.peer().person()
    lab.follow(fan)
    fan.peer.go_down()
    close_cafe(lab)
    lab.work()
    restart(lab, bakery=bakery)
    fan.peer.come_back()
    with lab.store.write() as tx:
        deliveries.flush_host(tx, fan.peer.netloc, now=lab.clock.now())
    lab.wait(hours=1)
    lab.work()
    assert deletes(fan) == [CAFE]


# ── pausing ──────────────────────────────────────────────────────────────────────────────────────


def test_a_paused_account_goes_on_answering_and_publishes_nothing(lab: Lab, bakery: SiteConfig) -> None:
    lab.poll()
    fan = lab.peer().person()
    lab.follow(fan)
    post = lab.publish("Before")
    actor = visitor(lab).read(CAFE)
    restart(lab, bakery=bakery)
    assert lab.services.paused == {"cafe"}
    lab.work()
    assert fan.peer.types[-1] == "Create"
    web = visitor(lab)
    assert web.read(CAFE) == actor
    assert web.read(lab.uri(post))["id"] == lab.uri(post)
    assert web.get(WEBFINGER + "acct:cafe@localhost:8000").status_code == 200
    lab.blog.post("While it was paused")
    lab.poll()
    with lab.store.read() as tx:
        assert posts.count(tx, "cafe") == len(lab.posts()) == 1
    late = lab.peer("late.example").person()
    assert late.send(late.follow(CAFE), INBOX) == 202
    lab.work()
    assert late.id in lab.follower_ids()


def test_what_was_scheduled_waits_until_the_account_is_back(
    lab: Lab, cafe: SiteConfig, bakery: SiteConfig
) -> None:
    lab.poll()
    soon = lab.clock.now().replace(hour=23)
    lab.blog.post("Soon", date=soon)
    lab.poll()
    restart(lab, bakery=bakery)
    lab.wait(days=1)
    lab.publish_due()
    with lab.store.read() as tx:
        assert posts.to_come(tx)[0] == 1
    restart(lab, cafe=cafe, bakery=bakery)
    lab.publish_due()
    assert len(lab.posts()) == 1


def test_a_site_whose_table_was_never_kept_answers_by_its_handle(lab: Lab, bakery: SiteConfig) -> None:
    with lab.store.write() as tx:
        tx.execute(text("UPDATE sites SET config = NULL"))
    restart(lab, bakery=bakery)
    assert visitor(lab).read(CAFE)["preferredUsername"] == "cafe"
