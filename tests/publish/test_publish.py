"""What changed becomes posts and news of them: once, in order, dated so that people see it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_peer import Person
from http_signing import rsa_key
from lab import CAFE, INBOX, Lab

from bridge.model import DeliveryState, PostState
from bridge.publish.posts import delete_post
from bridge.store import aside, posts


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def alice(lab: Lab) -> Person:
    """A follower who has seen the Accept; the blog was empty when it was first looked at."""
    lab.poll()
    person = lab.peer().person()
    lab.follow(person)
    person.peer.received.clear()
    return person


def objects(person: Person) -> list[dict[str, Any]]:
    return [arrived.activity["object"] for arrived in person.peer.received]


def ago(lab: Lab, **passed: float) -> datetime:
    return lab.clock.now() - timedelta(**passed)


# ── new ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_entry_reaches_every_server_with_followers(lab: Lab, alice: Person) -> None:
    others = [lab.peer(f"other{number}.example").person() for number in range(3)]
    for person in others:
        lab.follow(person)
    post = lab.publish("Fresh buns")
    lab.deliver()
    for person in (alice, *others):
        assert person.peer.received[-1].activity["object"]["id"] == lab.uri(post)
    status, served = lab.bridge.get(lab.uri(post))
    assert status == 200
    assert served["content"] == objects(alice)[-1]["content"]


def test_several_new_entries_are_published_in_the_order_they_were_written(lab: Lab, alice: Person) -> None:
    for number in (3, 1, 2):
        lab.blog.post(f"Post {number}", date=ago(lab, minutes=10 * number))
    lab.poll()
    oldest_first = [lab.uri(post) for post in reversed(lab.posts())]
    titles = ("Post 3", "Post 2", "Post 1")
    assert all(
        title in post.note["content"] for title, post in zip(titles, reversed(lab.posts()), strict=True)
    )
    assert [d.object_uri for d in lab.deliveries(DeliveryState.PENDING)] == oldest_first
    lab.deliver()
    assert {note["id"] for note in objects(alice)} == set(oldest_first)


def test_the_same_entry_from_two_sources_is_one_post(make_services, clock) -> None:
    with Lab(make_services, clock) as lab:
        alice = lab.peer().person()
        copy = lab.feed.replace('"blog"', '"copy"').replace("/feed.xml", "/feed.xml?copy")
        lab.change_config(sources=lab.feed + copy)
        lab.poll()
        lab.follow(alice)
        lab.publish("Fresh buns")
        lab.deliver()
        assert alice.peer.types == ["Accept", "Create"]
        assert len(lab.posts()) == 1


def test_finding_an_entry_again_is_no_news(lab: Lab, alice: Person) -> None:
    lab.publish("Fresh buns")
    for _ in range(3):
        lab.wait(hours=1)
        lab.blog.headers["X-Changed"] = str(lab.clock.now())
        lab.blog.conditional = not lab.blog.conditional
        lab.poll()
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_post_of_a_megabyte_stays_below_what_servers_take(lab: Lab, alice: Person) -> None:
    lab.publish("A novel", ("<p>" + "word " * 100 + "</p>") * 2_000)
    lab.deliver()
    (create,) = alice.peer.received
    assert len(create.body) < 50_000
    assert "A novel" in create.activity["object"]["content"]


# ── dates ─────────────────────────────────────────────────────────────────────────────────────────


def _published(lab: Lab, date: datetime | None) -> datetime:
    lab.blog.post("Dated", date=date)
    lab.poll()
    return datetime.fromisoformat(lab.newest().note["published"])


def test_an_entry_without_a_date_is_published_now(lab: Lab, alice: Person) -> None:
    assert _published(lab, None) == lab.clock.now()


def test_an_entry_younger_than_an_hour_keeps_its_date(lab: Lab, alice: Person) -> None:
    written_at = ago(lab, minutes=59)
    assert _published(lab, written_at) == written_at


def test_an_entry_found_late_is_published_now_so_that_timelines_show_it(lab: Lab, alice: Person) -> None:
    assert _published(lab, ago(lab, hours=5)) == lab.clock.now()


def test_the_date_of_a_post_never_changes(lab: Lab, alice: Person) -> None:
    first = _published(lab, ago(lab, hours=5))
    lab.deliver()
    lab.wait(hours=2)
    lab.blog.items[0].date = ago(lab, minutes=1)
    lab.edit("Other words")
    assert datetime.fromisoformat(lab.newest().note["published"]) == first


def test_an_entry_dated_in_the_future_waits_and_is_published_when_it_is_due(lab: Lab, alice: Person) -> None:
    tomorrow = lab.clock.now() + timedelta(days=1)
    lab.blog.post("Tomorrow's buns", date=tomorrow)
    lab.poll()
    assert lab.posts() == []
    lab.deliver()
    assert alice.peer.received == []
    lab.wait(hours=23, minutes=59)
    lab.publish_due()
    assert lab.posts() == []
    lab.wait(minutes=2)
    lab.publish_due()
    lab.publish_due()
    lab.deliver()
    assert alice.peer.types == ["Create"]
    assert datetime.fromisoformat(objects(alice)[0]["published"]) == tomorrow
    assert lab.newest().state is PostState.PUBLISHED


def test_a_waiting_post_cannot_be_seen(lab: Lab, alice: Person) -> None:
    lab.blog.post("Secret until tomorrow", date=lab.clock.now() + timedelta(days=1))
    lab.poll()
    with lab.store.read() as tx:
        (waiting,) = posts.scheduled(tx, now=lab.clock.now() + timedelta(days=2))
    assert lab.bridge.get(lab.uri(waiting))[0] == 404
    assert lab.bridge.get(f"{CAFE}/outbox")[1]["totalItems"] == 0


# ── edited ────────────────────────────────────────────────────────────────────────────────────────


def test_an_edit_reaches_followers_as_an_update(lab: Lab, alice: Person) -> None:
    lab.publish("Fresh buns", "From nine")
    lab.deliver()
    lab.wait(hours=1)
    lab.edit("From eight")
    lab.deliver()
    assert alice.peer.types == ["Create", "Update"]
    before, after = objects(alice)
    assert (before["id"], before["published"]) == (after["id"], after["published"])
    assert "From eight" in after["content"]
    assert "updated" not in before
    assert after["updated"] > after["published"]


def test_each_edit_is_dated_later_than_the_one_before(lab: Lab, alice: Person) -> None:
    lab.publish("Fresh buns", "Version 0")
    dates = []
    for number in range(1, 4):
        lab.deliver()
        lab.wait(minutes=11)
        lab.edit(f"Version {number}")
        dates.append(lab.newest().note["updated"])
    assert dates == sorted(set(dates))


@pytest.mark.parametrize(("pinned", "sent"), [(0, ["Accept"]), (5, ["Accept", "Update"])])
def test_an_edit_of_what_was_there_before_us_is_shown_and_sent_only_if_it_is_pinned(
    make_services, clock, pinned: int, sent: list[str]
) -> None:
    with Lab(make_services, clock, site=f"pinned = {pinned}\n") as lab:
        alice = lab.peer().person()
        lab.follow(alice)
        lab.blog.post("Old", "As it was", date=datetime(2026, 1, 1, tzinfo=UTC))
        lab.poll()
        lab.edit("As it should be")
        lab.deliver()
        assert alice.peer.types == sent  # servers fetch what is pinned, and would show it as it was
        assert "As it should be" in lab.newest().note["content"]


def test_an_update_also_goes_to_those_who_replied_or_liked(lab: Lab, alice: Person) -> None:
    stranger = lab.peer("elsewhere.example").person("stranger", rsa_key(1))
    uri = lab.uri(lab.publish("Fresh buns"))
    lab.deliver()
    stranger.send(stranger.like(uri), INBOX)
    lab.receive()
    lab.wait(hours=1)
    lab.edit("From eight")
    lab.deliver()
    assert stranger.peer.types == ["Update"]


# ── deleted ───────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_post_is_a_tombstone_and_everyone_who_has_it_is_told(lab: Lab, alice: Person) -> None:
    post = lab.publish("Regret")
    lab.deliver()
    with lab.store.write() as tx:
        delete_post(tx, lab.services, post, now=lab.clock.now())
    lab.deliver()
    assert alice.peer.types == ["Create", "Delete"]
    assert objects(alice)[1] == {"id": lab.uri(post), "type": "Tombstone"}
    assert lab.bridge.get(lab.uri(post))[0] == 410


def test_what_was_never_sent_needs_no_delete(lab: Lab, alice: Person) -> None:
    post = lab.publish("Regret at once")
    with lab.store.write() as tx:
        delete_post(tx, lab.services, post, now=lab.clock.now())
    lab.deliver()
    assert alice.peer.received == []
    assert [d.reason for d in lab.deliveries(DeliveryState.DROPPED)] == ["deleted before it was delivered"]


# ── on both databases ─────────────────────────────────────────────────────────────────────────────


def test_the_life_of_a_post_is_the_same_on_both_databases(make_services, clock, database: str) -> None:
    with Lab(make_services, clock, database=database) as lab:
        alice, bob = lab.peer().person(), lab.peer("other.example").person()
        follow = lab.follow(alice)
        lab.follow(bob)
        bob.peer.go_down()
        post = lab.publish("Fresh buns", "From nine")
        uri = lab.uri(post)
        lab.deliver()
        for said in (alice.like(uri), alice.create(alice.note(uri, "Yum"))):
            assert alice.send(said, INBOX) == 202
        lab.receive()
        lab.wait(hours=1)
        lab.edit("From eight")
        bob.peer.come_back()
        lab.deliver()
        lab.wait(hours=1)
        lab.deliver()
        assert alice.peer.types == ["Accept", "Create", "Update"]
        assert bob.peer.types[:2] == ["Accept", "Create"]
        assert sorted(one["kind"] for one in lab.interactions()) == ["like", "reply"]
        alice.send(alice.undo(follow), INBOX)
        lab.work()
        with lab.store.write() as tx:
            delete_post(tx, lab.services, lab.newest(), now=lab.clock.now())
        lab.deliver()
        assert (alice.peer.types[-1], bob.peer.types[-1]) == ("Delete", "Delete")
        assert lab.follower_ids() == {bob.id}


# ── once, whatever happens ────────────────────────────────────────────────────────────────────────


def test_a_crash_between_reading_and_publishing_publishes_exactly_once(lab: Lab, alice: Person) -> None:
    lab.blog.post("Fresh buns")
    lab.read_sources()
    assert lab.posts() == []
    lab.start_worker()
    assert lab.poll_due() == 0
    lab.wait(minutes=2)
    assert lab.poll_due() == 1
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_publishing_the_same_twice_is_publishing_once(lab: Lab, alice: Person) -> None:
    lab.blog.post("Fresh buns")
    polled = lab.read_sources()
    lab.poller.settle(polled)
    lab.poller.settle(polled)  # two workers that both had the source
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_what_cannot_be_published_is_said_and_nothing_is_half_done(lab: Lab, alice: Person) -> None:
    """A post that the database refuses rolls back with its deliveries, and the owner reads which it is."""
    lab.blog.post("Fresh buns")
    (polled,) = lab.read_sources()
    unstorable = json.loads('"\\ud800"')  # half a character
    polled.plan.drafts[0].post.note["content"] = unstorable
    lab.poller.settle([polled])
    assert lab.posts() == []
    assert lab.deliveries(DeliveryState.PENDING) == []
    with lab.store.read() as tx:
        (stood_aside,) = aside.listing(tx)
    assert "Fresh buns" in str(stood_aside) or "fresh-buns" in str(stood_aside)
    lab.poll()
    lab.deliver()
    assert alice.peer.types == ["Create"]
