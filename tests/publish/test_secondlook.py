"""Pictures that could not be seen when a post went out are looked at again, and added."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from drawings import drawing, saved
from fake_peer import Document, Person
from lab import BASE_URL, Lab
from loopback import Reply
from picture_server import PictureHost

from bridge.look.shown import BAD_FOR, next_look, shows_others
from bridge.model import Post, PostState
from bridge.publish.late_pictures import SecondLooker
from bridge.publish.posts import delete_post

PNG = saved(drawing(), "PNG")
OTHER = saved(drawing(80, 40).rotate(180), "PNG")
LARGE = saved(drawing(600, 315), "PNG")


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def host(lab: Lab) -> PictureHost:
    return PictureHost(lab.network)


def urls(post: Post) -> list[str]:
    return [one["url"] for one in post.note["attachment"]]


def images(*urls: str) -> str:
    return "Look. " + " ".join(f'<img src="{url}">' for url in urls)


def last(person: Person) -> Document:
    """Return the object of what a person's server was sent last."""
    found: Document = person.peer.received[-1].activity["object"]
    return found


def look_again(lab: Lab) -> int:
    """Let time pass until a second look is due, and look."""
    lab.wait(minutes=3)
    return lab.run(SecondLooker(lab.services, lab.client).run(lab.stop))


def tell(lab: Lab) -> None:
    """Let edits stand for long enough, and deliver them."""
    lab.wait(minutes=15)
    lab.publish_due()
    lab.work()


# ── looking again ────────────────────────────────────────────────────────────────────────────────


def test_a_picture_that_comes_late_is_added_and_followers_are_told(lab: Lab, host: PictureHost) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    post = lab.publish("Fresh", images(host.url("late.png")))
    lab.work()
    assert urls(post) == []
    assert alice.peer.types[-1] == "Create"
    late = host.put("late.png", PNG)
    assert look_again(lab) == 1
    assert urls(lab.newest()) == [late]
    tell(lab)
    assert alice.peer.types[-1] == "Update"
    told = last(alice)
    assert [one["url"] for one in told["attachment"]] == [late]
    assert told["updated"] > told["published"]
    assert look_again(lab) == 0


def test_it_is_added_to_what_waits_to_be_sent(lab: Lab, host: PictureHost) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.publish("Fresh", images(host.url("late.png")))
    late = host.put("late.png", PNG)
    look_again(lab)
    lab.work()
    assert alice.peer.types[-1] == "Create"
    assert [one["url"] for one in last(alice)["attachment"]] == [late]


def test_somebody_looks_for_a_day_and_ever_more_rarely(lab: Lab, host: PictureHost) -> None:
    lab.publish("Fresh", images(host.url("never.png")))
    began, looks = lab.clock.now(), []
    looker = SecondLooker(lab.services, lab.client)
    while lab.clock.now() - began < timedelta(days=3):
        lab.wait(minutes=1)
        if lab.run(looker.run(lab.stop)):
            looks.append(lab.clock.now() - began)
    assert len(looks) == len(host.asked) - 1
    assert 8 <= len(looks) <= 12
    assert looks[0] <= timedelta(minutes=3)
    assert all(later - earlier >= earlier for earlier, later in pairwise(looks))


def test_a_post_that_shows_all_its_pictures_is_not_looked_at_again(lab: Lab, host: PictureHost) -> None:
    lab.publish("Fresh", images(host.put("bun.png", PNG)))
    assert look_again(lab) == 0


def test_four_pictures_are_enough_whatever_became_of_the_fifth(lab: Lab, host: PictureHost) -> None:
    there = [host.put(f"{number}.png", PNG) for number in range(4)]
    lab.publish("Fresh", images(host.url("gone.png"), *there))
    assert look_again(lab) == 0


def test_a_post_that_was_edited_meanwhile_keeps_its_new_words(lab: Lab, host: PictureHost) -> None:
    lab.publish("Fresh", images(host.url("late.png")))
    late = host.put("late.png", PNG)
    looker = SecondLooker(lab.services, lab.client)
    lab.wait(minutes=3)
    (due,) = looker._claim(5)
    looked = lab.run(looker._look(due))
    lab.edit("Other words.")
    looker._settle([looked])
    assert "Other words." in lab.newest().note["content"]
    assert late not in urls(lab.newest())


def test_a_deleted_post_is_not_looked_at(lab: Lab, host: PictureHost) -> None:
    post = lab.publish("Fresh", images(host.url("late.png")))
    with lab.store.write() as tx:
        delete_post(tx, lab.services, post, now=lab.clock.now())
    assert look_again(lab) == 0


def test_a_killed_worker_leaves_the_look_to_the_next_one(lab: Lab, host: PictureHost) -> None:
    lab.publish("Fresh", images(host.url("late.png")))
    host.put("late.png", PNG)
    lab.wait(minutes=3)
    assert len(SecondLooker(lab.services, lab.client)._claim(5)) == 1  # and then it was killed
    assert lab.run(SecondLooker(lab.services, lab.client).run(lab.stop)) == 0
    assert look_again(lab) == 1
    assert len(urls(lab.newest())) == 1


def test_a_post_that_was_scheduled_is_looked_at_again_once_it_is_out(lab: Lab, host: PictureHost) -> None:
    lab.poll()
    lab.blog.post("Later", images(host.url("late.png")), lab.clock.now() + timedelta(days=3))
    lab.poll()
    lab.wait(days=3, minutes=1)
    lab.publish_due()
    assert urls(lab.newest()) == []
    late = host.put("late.png", PNG)
    look_again(lab)
    assert urls(lab.newest()) == [late]


def test_the_owner_sends_an_old_post_with_pictures_that_were_looked_at(lab: Lab, host: PictureHost) -> None:
    there, gone = host.put("there.png", PNG), host.url("gone.png")
    for number in range(7):  # more than are pinned: the oldest is not looked at
        text = f"Words {number}." if number else images(there, gone)
        lab.blog.post(f"Post {number}", text, lab.clock.now() - timedelta(days=30 - number))
    lab.poll()
    oldest = lab.posts()[-1]
    assert oldest.state is PostState.BASELINE
    assert urls(oldest) == [there, gone]
    lab.run(SecondLooker(lab.services, lab.client).look_now(oldest))
    (shown,) = lab.posts()[-1].note["attachment"]
    assert (shown["url"], shown["width"]) == (there, 64)


# ── a picture that is exchanged ──────────────────────────────────────────────────────────────────


def test_a_picture_that_is_exchanged_is_news_though_the_words_are_the_same(
    lab: Lab, host: PictureHost
) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.publish("Fresh", images(host.put("wrong.png", PNG)))
    lab.work()
    right = host.put("right.png", OTHER)
    lab.edit(images(right))
    lab.work()
    assert alice.peer.types[-1] == "Update"
    assert [one["url"] for one in last(alice)["attachment"]] == [right]


def test_a_picture_that_only_moved_is_no_news(lab: Lab, host: PictureHost) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.publish("Fresh", images(host.put("old/bun.png", PNG)))
    lab.work()
    moved = host.put("new/bun.png", PNG)
    lab.edit(images(moved))
    lab.work()
    assert alice.peer.types[-1] == "Create"
    assert urls(lab.newest()) == [moved]


def test_a_site_with_another_picture_at_every_turn_sends_three_updates_at_most(
    lab: Lab, host: PictureHost
) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.publish("Fresh", images(host.put("0.png", PNG)))
    lab.work()
    for turn in range(1, 7):
        lab.edit(images(host.put(f"{turn}.png", saved(drawing(64, 48).rotate(40 * turn), "PNG"))))
        tell(lab)
    assert alice.peer.types.count("Update") == 3


# ── the picture of the page ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def choosy(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, site='images = "always"\npage_image = true') as lab:
        yield lab


def page(picture: str, alt: str = "A bun") -> Reply:
    head = f'<meta property="og:image" content="{picture}"><meta property="og:image:alt" content="{alt}">'
    return Reply(200, f"<!doctype html><head>{head}</head>".encode(), {"Content-Type": "text/html"})


def attached(lab: Lab) -> list[tuple[Any, ...]]:
    return [(one["url"], one["name"], one["width"]) for one in lab.newest().note["attachment"]]


def test_a_post_without_pictures_carries_the_one_of_its_page(choosy: Lab) -> None:
    host = PictureHost(choosy.network)
    card = host.put("card.png", LARGE)
    choosy.blog.pages["/fresh/"] = page(card)
    choosy.publish("Fresh", "No picture here.")
    assert attached(choosy) == [(card, "A bun", 600)]


def test_a_post_with_pictures_of_its_own_does_not_ask_its_page(choosy: Lab) -> None:
    host = PictureHost(choosy.network)
    own = host.put("own.png", PNG)
    choosy.blog.pages["/fresh/"] = page(host.put("card.png", LARGE))
    assert urls(choosy.publish("Fresh", images(own))) == [own]
    assert host.asked == ["own.png"]


def test_an_icon_is_no_picture_of_a_page(choosy: Lab) -> None:
    host = PictureHost(choosy.network)
    choosy.blog.pages["/fresh/"] = page(host.put("icon.png", PNG))
    assert urls(choosy.publish("Fresh", "No picture here.")) == []
    assert choosy.source().problems == ()


def test_a_page_that_is_not_there_yet_is_asked_again(choosy: Lab) -> None:
    host = PictureHost(choosy.network)
    choosy.blog.pages["/fresh/"] = Reply(404)
    choosy.publish("Fresh", "No picture here.")
    assert urls(choosy.newest()) == []
    assert "the picture its page names was left out" in choosy.source().problems[0].what
    card = host.put("card.png", LARGE)
    choosy.blog.pages["/fresh/"] = page(card)
    look_again(choosy)
    assert attached(choosy) == [(card, "A bun", 600)]


def test_nobody_asks_a_page_unless_the_owner_wants_it(make_services, clock) -> None:
    with Lab(make_services, clock, site='images = "always"') as lab:
        lab.blog.pages["/fresh/"] = page(PictureHost(lab.network).put("card.png", LARGE))
        assert urls(lab.publish("Fresh", "No picture here.")) == []
        assert "/fresh/" not in [request.path for request in lab.blog.requests]


def test_the_picture_of_a_page_is_served_as_a_copy_if_need_be(choosy: Lab) -> None:
    host = PictureHost(choosy.network)
    choosy.blog.pages["/fresh/"] = page(host.put("card.avif", saved(drawing(600, 315), "AVIF", speed=10)))
    ((url, alt, width),) = attached_after(choosy)
    assert url.startswith(f"{BASE_URL}/ap/about/pictures/")
    assert (alt, width) == ("A bun", 600)


def attached_after(lab: Lab) -> list[tuple[Any, ...]]:
    lab.publish("Fresh", "No picture here.")
    return attached(lab)


# ── decisions ────────────────────────────────────────────────────────────────────────────────────


def test_the_next_look_is_when_twice_as_much_time_has_passed(clock) -> None:
    now = clock.now()
    assert next_look(now, now) == now + BAD_FOR
    assert next_look(now - timedelta(hours=2), now) == now + timedelta(hours=2)
    assert next_look(now - timedelta(days=1), now) is None


def test_only_what_was_looked_at_can_be_told_apart() -> None:
    def note(*hashes: str | None) -> dict[str, Any]:
        return {"attachment": [{"blurhash": one} if one else {} for one in hashes]}

    assert shows_others(note("a"), note("b"))
    assert shows_others(note(), note("b"))
    assert not shows_others(note("a"), note("a"))
    assert not shows_others(note(None), note("b"))
    assert not shows_others({}, note())
