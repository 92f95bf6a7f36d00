"""What waits for the owner's word: shown in groups, decided in one go, and let out one after the other."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from feed_server import Item
from lab import Lab
from test_cli import ask_in

from bridge.model import Post, PostState
from bridge.store import holds, posts
from bridge.store.holds import Hold

MANY = 37


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    clock.tick(datetime.now(UTC) - clock.now())  # the commands go by the real time
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def ask(lab: Lab, tmp_path: Path) -> Callable[..., str]:
    return partial(ask_in, tmp_path)


def flood(lab: Lab, number: int = MANY) -> None:
    """Let a feed bring many new entries in one poll."""
    lab.poll()
    now = lab.clock.now()
    for count in range(number):
        lab.blog.post(f"Story {count}", date=now - timedelta(minutes=number - count))
    lab.poll()


def waiting(lab: Lab) -> list[Hold]:
    with lab.store.read() as tx:
        return holds.waiting(tx)


def all_posts(lab: Lab) -> list[Post]:
    with lab.store.read() as tx:
        known = posts.of_source(tx, lab.source().id)
        return [post for one in known if (post := posts.find(tx, "cafe", one.id))]


def states(lab: Lab) -> set[PostState]:
    return {post.state for post in all_posts(lab)}


# ── shown ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_one_poll_brought_is_one_line(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab)
    shown = ask("holds")
    assert "37 new posts" in shown and "more new entries at once" in shown
    assert shown.count("cafe/blog") == 1 and len(shown.splitlines()) < 12
    assert "On hold: 37 (fedibridge holds)." in ask("status")
    lab.wait(minutes=20)
    lab.blog.post("Old news", date=datetime(2020, 1, 1, tzinfo=UTC))
    lab.poll()
    assert ask("holds").count("cafe/blog") == 2


def test_a_group_is_listed_one_by_one(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab, 60)
    listed = ask("holds", "show", "g1")
    assert "/story-0/" in listed and "/story-59/" not in listed and "… and 20 more" in listed
    assert "/story-59/" in ask("holds", "show", "g1", "--all")
    assert "/story-3/" in ask("holds", "show", "4")


def test_scripts_see_every_single_one(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab, 7)
    assert [(one["id"], one["group"]) for one in json.loads(ask("holds", "--json"))] == [
        (number, "g1") for number in range(1, 8)
    ]


def test_what_is_not_held_cannot_be_decided(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab, 6)
    ask("holds", "ignore", "g99", code=1)
    assert "is neither an id such as 17" in ask("holds", "ignore", "buns", code=2)
    assert "Name ids or groups" in ask("holds", "publish", code=2)
    ask("holds", "ignore", "g1")
    ask("holds", "publish", "1", code=1)
    assert "Nothing is on hold." in ask("holds")


# ── decided ───────────────────────────────────────────────────────────────────────────────────────


def test_many_are_let_through_only_when_that_is_confirmed(lab: Lab, ask: Callable[..., str]) -> None:
    lab.follow(lab.peer().person())
    flood(lab)
    assert "Send 37 new posts to 1 follower? Confirm with --yes" in ask("holds", "publish", "g1", code=2)
    assert len(waiting(lab)) == MANY


def test_many_go_out_one_after_the_other_oldest_first(lab: Lab, ask: Callable[..., str]) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    flood(lab)
    said = ask("holds", "publish", "g1", "--yes")
    assert "37 new posts let through" in said and "one every 10 minutes" in said
    assert states(lab) == {PostState.PUBLISHED, PostState.SCHEDULED}
    lab.wait(minutes=1)  # the command took its time
    for number in range(1, MANY + 1):
        lab.publish_due()
        lab.poll()  # finding them again does not hurry them
        assert sum(post.state is PostState.PUBLISHED for post in all_posts(lab)) == number
        assert f"Story {number - 1}" in lab.newest().note["content"]
        lab.wait(minutes=10)
    lab.deliver()
    assert peer.types.count("Create") == MANY


def test_many_go_out_at_once_when_the_owner_wants_that(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab)
    ask("holds", "publish", "--all", "--yes", "--at-once")
    assert states(lab) == {PostState.PUBLISHED}


def test_a_few_go_out_at_once_without_a_question(lab: Lab, ask: Callable[..., str]) -> None:
    flood(lab, 6)
    assert "2 new posts let through" in ask("holds", "publish", "1", "3")
    assert [post.state for post in lab.posts()] == [PostState.PUBLISHED] * 2
    assert len(waiting(lab)) == 4


def test_what_is_ignored_is_shown_nowhere_and_does_not_come_up_again(
    lab: Lab, ask: Callable[..., str]
) -> None:
    flood(lab)
    assert "37 new posts left as they were" in ask("holds", "ignore", "--all")
    lab.blog.items[3].text = "Other words"
    lab.poll()
    assert (states(lab), waiting(lab), lab.posts()) == ({PostState.IGNORED}, [], [])


def test_what_is_treated_as_seen_is_shown_and_sent_to_nobody(lab: Lab, ask: Callable[..., str]) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    flood(lab)
    assert "37 new posts treated as seen" in ask("holds", "seen", "g1")
    lab.publish_due()
    lab.deliver()
    assert states(lab) == {PostState.BASELINE}
    assert peer.types == ["Accept"]
    newest = lab.posts()[0]
    assert newest.note["published"] == f"{newest.published_at:%Y-%m-%dT%H:%M:%SZ}"
    assert newest.published_at < lab.clock.now()


def rewrite(lab: Lab, text: str) -> None:
    for item in lab.blog.items:
        item.text = text
    lab.poll()


def publish_five(lab: Lab) -> None:
    lab.poll()
    for number in range(5):
        lab.blog.post(f"Story {number}")
    lab.poll()


def test_an_edit_that_is_treated_as_seen_is_shown_and_not_sent(lab: Lab, ask: Callable[..., str]) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    publish_five(lab)
    rewrite(lab, "Other words")
    assert len(waiting(lab)) == 5
    ask("holds", "seen", "--all")
    lab.wait(hours=2)
    lab.publish_due()
    lab.deliver()
    assert "Other words" in lab.newest().note["content"]
    assert "Update" not in peer.types


def test_an_edit_that_was_ignored_and_then_taken_back_is_no_news(lab: Lab, ask: Callable[..., str]) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    publish_five(lab)
    rewrite(lab, "Other words")
    ask("holds", "ignore", "--all")
    for item in lab.blog.items[:2]:
        item.text = "Some words."
    lab.poll()
    lab.wait(hours=2)
    lab.publish_due()
    lab.deliver()
    assert "Update" not in peer.types


# ── settled by itself ─────────────────────────────────────────────────────────────────────────────


def test_an_edit_that_is_taken_back_waits_no_longer(lab: Lab) -> None:
    publish_five(lab)
    rewrite(lab, "Other words")
    rewrite(lab, "Some words.")
    assert waiting(lab) == []


def test_an_edit_of_a_post_that_is_held_itself_is_no_second_question(
    lab: Lab, ask: Callable[..., str]
) -> None:
    flood(lab, 8)
    rewrite(lab, "Other words")
    assert [hold.kind for hold in waiting(lab)] == [holds.NEW] * 8
    ask("holds", "publish", "1")
    assert "Other words" in lab.newest().note["content"]


def test_a_yes_to_a_post_dated_in_the_future_is_a_yes_to_that_date(
    make_services, clock, tmp_path: Path
) -> None:
    clock.tick(datetime.now(UTC) - clock.now())
    with Lab(make_services, clock, more='hold = "all"\nembargo = "2h"\n') as lab:
        lab.poll()
        lab.blog.items = [Item("Tomorrow", date=clock.now() + timedelta(days=1)), Item("Now")]
        lab.poll()
        assert len(waiting(lab)) == 2
        ask_in(tmp_path, "holds", "publish", "--all")
        assert [post.state for post in lab.posts()] == [PostState.PUBLISHED]
        lab.wait(days=1, seconds=1)
        lab.publish_due()
        assert "Tomorrow" in lab.newest().note["content"]
