"""Followers' servers are told when the posts on top of a profile are other ones; unlisted ones never are."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fake_peer import Person
from lab import CAFE, Lab
from web_visitor import Visitor

from bridge.publish.pins import ROTATION, Pinner, Round, decide
from bridge.web import create_app

NOW_LATER = ROTATION + timedelta(minutes=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "posts").mkdir()
    return tmp_path / "posts"


@pytest.fixture
def lab(make_services, clock, folder: Path, database: str) -> Iterator[Lab]:
    source = f'[[sites.cafe.sources]]\nname = "posts"\nfolder = "{folder}"\n'
    write(folder, "old", "2020-01-01")
    with Lab(make_services, clock, sources=source, site="pinned = 2\n", database=database) as lab:
        lab.poll()
        lab.pinner = Pinner(lab.services)
        lab.pinner.run()
        yield lab


def write(folder: Path, name: str, date: str, more: str = "") -> None:
    (folder / f"{name}.md").write_text(f"---\ntitle: {name}\ndate: {date}\n{more}---\nWords of {name}.\n")


def publish(lab: Lab, folder: Path, name: str, more: str = "") -> str:
    """Write a post, or write it anew; have it sent, and pins told. Return its id."""
    write(folder, name, f"{lab.clock.now():%Y-%m-%dT%H:%M:%SZ}", more)
    return look(lab, name)


def look(lab: Lab, name: str) -> str:
    lab.wait(minutes=1)
    lab.poll()
    tell(lab)
    return next(lab.uri(post) for post in lab.posts() if name in post.note["content"])


def tell(lab: Lab) -> None:
    lab.pinner.run()
    lab.work()


def told(fan: Person) -> list[tuple[str, str]]:
    """Return (type, object) of what a follower was told about pins."""
    activities = [one.activity for one in fan.peer.received]
    assert {one["target"] for one in activities if "target" in one} <= {f"{CAFE}/featured"}
    return [(one["type"], one["object"]) for one in activities if "target" in one]


def featured(lab: Lab) -> list[str]:
    return Visitor(create_app(lab.services)).read(f"{CAFE}/featured")["orderedItems"]


def a_fan(lab: Lab) -> Person:
    fan = lab.peer().person()
    lab.follow(fan)
    return fan


def test_what_is_pinned_and_unpinned_is_told_at_once_and_can_be_read(lab: Lab, folder: Path) -> None:
    fan = a_fan(lab)
    for name in ("one", "two", "three"):
        publish(lab, folder, name)
    lab.wait(days=2)
    tell(lab)
    before = len(told(fan))
    date = next(line for line in (folder / "one.md").read_text().splitlines() if "date" in line)
    write(folder, "one", date.removeprefix("date: "), "fediverse:\n  pinned: true\n")
    one = look(lab, "one")
    (added, pinned), (removed, pushed_out) = sorted(told(fan)[before:])
    assert (removed, added, pinned) == ("Remove", "Add", one)
    assert featured(lab)[0] == one
    assert pushed_out not in featured(lab)
    web = Visitor(create_app(lab.services))
    for activity in [one.activity for one in fan.peer.received][-2:]:
        assert web.read(activity["id"])["target"] == f"{CAFE}/featured"
    write(folder, "one", date.removeprefix("date: "))
    look(lab, "one")
    assert sorted(told(fan)[before + 2 :]) == [("Add", pushed_out), ("Remove", one)]


def test_what_new_posts_push_out_is_told_once_a_day(lab: Lab, folder: Path) -> None:
    lab.wait(days=2)
    fan = a_fan(lab)
    first = publish(lab, folder, "one")
    assert told(fan) == [("Add", first)]
    posts = [publish(lab, folder, name) for name in ("two", "three", "four")]
    assert told(fan) == [("Add", first)]
    lab.wait(days=1)
    tell(lab)
    added, removed = posts[1:], [first, old(lab)]
    expected = [*(("Add", one) for one in added), *(("Remove", one) for one in removed)]
    assert sorted(told(fan)[1:]) == sorted(expected)
    tell(lab)
    assert len(told(fan)) == 5
    assert fan.peer.types.count("Create") == 4


def old(lab: Lab) -> str:
    return lab.uri(lab.posts()[-1])


def test_nobody_hears_of_a_pin_before_the_post(lab: Lab, folder: Path) -> None:
    lab.wait(days=2)
    fan = a_fan(lab)
    publish(lab, folder, "one")
    assert fan.peer.types[-2:] == ["Create", "Add"]


def test_a_deleted_post_is_not_taken_off_the_top_besides(lab: Lab, folder: Path) -> None:
    fan = a_fan(lab)
    publish(lab, folder, "one", "fediverse:\n  pinned: true\n")
    before = len(told(fan))
    (folder / "one.md").unlink()
    lab.wait(minutes=1)
    lab.poll()
    tell(lab)
    assert fan.peer.types[-1] == "Delete"
    assert len(told(fan)) == before


@pytest.mark.parametrize("pinned", ["", "  pinned: true\n"])
def test_unlisted_posts_are_never_on_top(lab: Lab, folder: Path, pinned: str) -> None:
    lab.wait(days=2)
    fan = a_fan(lab)
    quiet = publish(lab, folder, "quiet", f"fediverse:\n  visibility: unlisted\n{pinned}")
    assert told(fan) == []
    assert quiet not in featured(lab)
    web = Visitor(create_app(lab.services))
    create = web.read(f"{CAFE}/outbox/pages/1")["orderedItems"][0]
    assert create["object"]["id"] == quiet
    assert web.read(create["id"])["object"]["id"] == quiet


def test_a_post_that_becomes_unlisted_is_taken_off_the_top(lab: Lab, folder: Path) -> None:
    lab.wait(days=2)
    fan = a_fan(lab)
    one = publish(lab, folder, "one", "fediverse:\n  pinned: true\n")
    write(
        folder,
        "one",
        f"{lab.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "fediverse:\n  pinned: true\n  visibility: unlisted\n",
    )
    look(lab, "one")
    assert told(fan) == [("Add", one), ("Remove", one)]


@pytest.mark.parametrize(
    ("told", "pins", "alive", "expected"),
    [
        ({}, {}, "", Round()),
        ({"a": False}, {"a": True}, "a", Round()),
        ({"a": False}, {"b": False}, "a", None),
        ({"a": False}, {"b": True}, "a", Round(("a",), ("b",))),
        ({"a": True}, {"b": False}, "a", Round(("a",), ("b",))),
        ({"a": True}, {"b": False}, "", None),
        ({"a": False}, {"b": False, "a": False}, "a", None),
        ({"b": False, "a": True}, {"b": False}, "ab", Round(("a",))),
    ],
)
def test_only_the_owners_word_is_news_at_once(clock, told, pins, alive, expected) -> None:
    now = clock.now()
    assert decide(told, pins, set(alive), now, now) == expected
    later = decide(told, pins, set(alive), now, now + NOW_LATER)
    assert later is not None
    assert set(later.added) == pins.keys() - told.keys()


def test_what_is_to_stand_first_is_told_last(clock) -> None:
    """Servers show on top what was added last."""
    assert decide({}, {"a": True, "b": True}, set(), clock.now(), clock.now()) == Round((), ("b", "a"))
