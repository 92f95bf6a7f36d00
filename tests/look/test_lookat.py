"""Pictures are looked at before a post is sent: it carries those that servers can show, and no others."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from drawings import HEIC, HTML, SECRET, SVG, drawing, heic, opened, photo, png_bomb, saved
from feed_server import Item
from lab import BASE_URL, Lab
from loopback import Reply
from picture_server import PictureHost
from PIL import Image as Pillow
from web_visitor import Visitor

from bridge.activitypub.ids import Ids
from bridge.look.shown import MAX_PROBLEMS, Pictured, missing, show
from bridge.look.viewer import Viewer, tidy_pictures
from bridge.model import Entry, Image, Post, PostState
from bridge.pictures import MAX_BYTES, keep_copy
from bridge.publish.holds import PUBLISH, decide
from bridge.store import holds, pictures
from bridge.store.pictures import Viewed
from bridge.web import create_wsgi

JPEG, PNG = saved(drawing(), "JPEG"), saved(drawing(), "PNG")
COPIES = f"{BASE_URL}/ap/about/pictures/"


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def host(lab: Lab) -> PictureHost:
    return PictureHost(lab.network)


def shown(post: Post) -> list[dict[str, Any]]:
    return list(post.note["attachment"])


def images(*urls: str) -> str:
    return "Look. " + " ".join(f'<img src="{url}" alt="A bun">' for url in urls)


def get(lab: Lab, url: str, accept: str = "image/*", **headers: str) -> Any:
    return Visitor(create_wsgi(lab.services)).get(url.removeprefix(BASE_URL), accept, **headers)


def problems(lab: Lab, source: str = "blog") -> str:
    return "\n".join(f"{problem.where}: {problem.what}" for problem in lab.source(source).problems)


# ── what a post shows ────────────────────────────────────────────────────────────────────────────


def test_a_picture_comes_with_its_size_and_a_blurhash(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.jpg", photo(6))
    (attached,) = shown(lab.publish("Fresh", images(url)))
    assert (attached["url"], attached["name"], attached["mediaType"]) == (url, "A bun", "image/jpeg")
    assert (attached["width"], attached["height"]) == (48, 64)
    assert len(attached["blurhash"]) == 28
    assert problems(lab) == ""


def test_a_picture_that_is_not_there_is_left_out_and_the_next_ones_step_in(
    lab: Lab, host: PictureHost
) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    there = [host.put(f"{number}.png", PNG) for number in range(5)]
    post = lab.publish("Fresh", images(host.url("gone.png"), *there))
    assert [one["url"] for one in shown(post)] == there[:4]
    assert "gone.png was left out: it cannot be fetched (pictures.example" in problems(lab)
    assert "answers 404" in problems(lab)
    lab.work()
    assert alice.peer.types[-1] == "Create"
    assert "4.png" not in host.asked  # four are enough


BAD = {
    "a web page": (Reply(200, HTML, {"Content-Type": "image/jpeg"}), "a web page instead of a picture"),
    "an error": (Reply(503), "answers 503"),
    "nothing": (Reply(200, b""), "it is not a picture"),
    "an SVG": (Reply(200, SVG), "it is SVG, which no server shows: export it as PNG or WebP"),
    "half a HEIC": (Reply(200, HEIC), "damaged"),
    "too long": (Reply(200, JPEG + b"\0" * MAX_BYTES), "body larger than 8 MiB"),
    "a bomb": (Reply(200, png_bomb()), "20000 × 20000 pixels"),
    "half of it": (Reply(200, JPEG[: len(JPEG) // 2]), "damaged"),
    "a circle": (Reply(302, headers={"Location": "/bad"}), "redirected in a circle"),
    "our own network": (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), "127.0.0.1"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_post_is_published_without_a_picture_that_is(lab: Lab, host: PictureHost, bad: str) -> None:
    reply, why = BAD[bad]
    host.moods["/bad"] = reply
    good = host.put("good.png", PNG)
    post = lab.publish("Fresh", images(host.url("bad"), good))
    assert post.state is PostState.PUBLISHED
    assert [one["url"] for one in shown(post)] == [good]
    assert why in problems(lab)
    assert lab.source().error is None


def test_a_server_that_does_not_answer_costs_a_picture_and_not_the_post(lab: Lab, host: PictureHost) -> None:
    lab.poll()
    host.slow.add("/slow.png")
    lab.poller._viewer = Viewer(lab.services, lab.client, budget=1)
    good = host.put("good.png", PNG)
    post = lab.publish("Fresh", images(host.url("slow.png"), good))
    assert [one["url"] for one in shown(post)] == [good]
    assert "slow.png was left out: there was no time to look at it" in problems(lab)
    host.slow.clear()
    host.put("slow.png", PNG)
    lab.edit(images(host.url("slow.png"), good) + " Really.")
    assert len(shown(lab.newest())) == 2


def test_a_redirect_is_followed_and_the_address_stays(lab: Lab, host: PictureHost) -> None:
    host.put("real.png", PNG)
    host.moods["/old.png"] = Reply(302, headers={"Location": "/real.png"})
    (attached,) = shown(lab.publish("Fresh", images(host.url("old.png"))))
    assert (attached["url"], attached["width"]) == (host.url("old.png"), 64)


def test_a_picture_is_what_it_is_whatever_it_is_called(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.gif", saved(drawing(), "WEBP"), "text/plain")
    (attached,) = shown(lab.publish("Fresh", images(url)))
    assert attached["mediaType"] == "image/webp"


def test_a_pixel_that_counts_readers_is_left_out_without_a_word(lab: Lab, host: PictureHost) -> None:
    pixel, good = host.put("count.gif", saved(Pillow.new("L", (1, 1)), "GIF")), host.put("a.png", PNG)
    post = lab.publish("Fresh", images(pixel, good))
    assert [one["url"] for one in shown(post)] == [good]
    assert problems(lab) == ""


def test_a_post_with_a_card_costs_its_site_nothing(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.png", PNG)
    post = lab.publish("Fresh", images(url) + "A long text. " * 50)
    assert shown(post) == []
    assert host.asked == []


# ── copies ───────────────────────────────────────────────────────────────────────────────────────


def test_what_servers_do_not_show_is_served_by_the_bridge(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.avif", saved(drawing(5000, 2500), "AVIF", speed=10))
    (attached,) = shown(lab.publish("Fresh", images(url)))
    assert attached["url"].startswith(COPIES)
    assert (attached["mediaType"], attached["width"], attached["height"]) == ("image/jpeg", 2048, 1024)
    answer = get(lab, attached["url"])
    assert opened(answer.get_data()).size == (2048, 1024)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for accept in ("*/*", "image/avif,image/webp,*/*;q=0.8"):  # whoever asks: no redirect, the same picture
        assert get(lab, attached["url"], accept).get_data() == answer.get_data()
    again = get(lab, attached["url"], If_None_Match=answer.headers["ETag"])
    assert (again.status_code, again.get_data()) == (304, b"")


@pytest.mark.parametrize("name", ["x.jpg", "..%2f..%2fconfig.toml", "0" * 64 + ".jpg", "0" * 64, "%2e%2e"])
def test_nothing_else_is_served_as_a_copy(lab: Lab, name: str) -> None:
    answer = get(lab, f"{COPIES}{name}")
    assert answer.status_code == 404


def test_a_lost_copy_is_made_again(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.avif", saved(drawing(), "AVIF"))
    first = shown(lab.publish("Fresh", images(url)))
    (copy,) = (lab.services.config.data / "pictures").iterdir()
    copy.unlink()
    lab.edit(images(url) + " Still warm.")
    assert shown(lab.newest()) == first
    assert copy.exists()
    assert host.asked == ["bun.avif", "bun.avif"]


def test_housekeeping_keeps_the_copies_that_posts_show(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.avif", saved(drawing(), "AVIF"))
    (attached,) = shown(lab.publish("Fresh", images(url)))
    folder = lab.services.config.data / "pictures"
    for number in range(3):
        keep_copy(folder, bytes([number]), "image/png")
    assert tidy_pictures(lab.services, now=lab.clock.now()) == 0
    assert tidy_pictures(lab.services, now=lab.clock.now(), most=1) == 3
    assert [path.name for path in folder.iterdir()] == [attached["url"].removeprefix(COPIES)]


# ── asking politely ──────────────────────────────────────────────────────────────────────────────


def test_a_picture_is_fetched_once_a_month_whatever_happens_to_its_post(lab: Lab, host: PictureHost) -> None:
    url = host.put("bun.png", PNG)
    lab.publish("Fresh", images(url))
    lab.edit(images(url) + " Still warm.")
    lab.publish("Another", images(url))
    assert host.asked == ["bun.png"]
    lab.wait(days=31)
    lab.edit(images(url) + " Cold.")
    assert host.asked == ["bun.png", "bun.png"]
    assert shown(lab.newest())[0]["width"] == 64


def test_a_picture_that_was_missing_is_asked_for_again_later(lab: Lab, host: PictureHost) -> None:
    url = host.url("late.png")
    lab.publish("Fresh", images(url))
    host.put("late.png", PNG)
    lab.blog.post("Another", images(url))
    lab.poll()
    assert host.asked == ["late.png"]
    lab.wait(minutes=16)
    lab.edit(images(url) + " There it is.")
    assert host.asked == ["late.png", "late.png"]
    assert len(shown(lab.newest())) == 1


def test_two_posts_with_one_picture_ask_for_it_once(lab: Lab, host: PictureHost) -> None:
    lab.poll()
    url = host.put("bun.png", PNG)
    lab.blog.post("One", images(url))
    lab.blog.post("Two", images(url) + "Other words.")
    lab.poll()
    assert [len(shown(post)) for post in lab.posts()] == [1, 1]
    assert host.asked == ["bun.png"]


def test_of_an_archive_only_the_pictures_of_pinned_posts_are_looked_at(lab: Lab, host: PictureHost) -> None:
    lab.blog.items = [
        Item(
            f"Old {age}",
            f"{images(host.put(f'{age}.png', PNG))} {age}",
            date=datetime(2026, 2, 20, tzinfo=UTC) - timedelta(days=age),
        )
        for age in range(12)
    ]
    lab.poll()
    pinned = lab.services.site("cafe").pinned
    assert sorted(host.asked) == sorted(f"{age}.png" for age in range(pinned))
    assert [len(shown(post)) for post in lab.posts()] == [1] * 12
    assert ["width" in shown(post)[0] for post in lab.posts()] == [True] * pinned + [False] * (12 - pinned)


def test_an_episodes_cover_is_looked_at_like_a_picture(lab: Lab, host: PictureHost) -> None:
    cover, gone = host.put("cover.avif", saved(drawing(), "AVIF")), host.url("gone.jpg")
    lab.poll()
    for number, (url, kind) in enumerate([(cover, "audio/mpeg"), (gone, "video/mp4")]):
        lab.blog.raw = (
            '<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel>'
            f"<title>Show</title><item><title>Episode {number}</title><guid>e{number}</guid>"
            f'<pubDate>Sun, 01 Mar 2026 12:00:00 GMT</pubDate><itunes:image href="{url}"/>'
            f'<enclosure url="{host.url("1.mp3")}" type="{kind}"/></item></channel></rss>'
        ).encode()
        lab.poll()
    shown_by = {post.note["content"].partition("Episode ")[2][:1]: shown(post)[0] for post in lab.posts()}
    assert shown_by["0"]["icon"]["url"].startswith(COPIES)
    assert shown_by["0"]["icon"]["mediaType"] == "image/jpeg"
    assert "icon" not in shown_by["1"]
    assert "gone.jpg was left out" in problems(lab)
    assert "1.mp3" not in host.asked


def test_what_only_is_served_keeps_a_picture_that_there_was_no_time_for(lab: Lab, host: PictureHost) -> None:
    host.slow.add("/slow.png")
    lab.poller._viewer = Viewer(lab.services, lab.client, budget=0.2)
    lab.blog.post("Old", images(host.url("slow.png")), date=datetime(2026, 2, 1, tzinfo=UTC))
    lab.poll()
    assert [one["url"] for one in shown(lab.newest())] == [host.url("slow.png")]
    assert problems(lab) == ""


def test_scheduled_posts_are_looked_at_before_their_time(lab: Lab, host: PictureHost) -> None:
    lab.poll()
    url = host.put("bun.png", PNG)
    lab.blog.post("Tomorrow", images(url), date=lab.clock.now() + timedelta(days=1))
    lab.poll()
    assert (lab.posts(), host.asked) == ([], ["bun.png"])
    lab.wait(days=1, minutes=1)
    lab.publish_due()
    (attached,) = shown(lab.newest())
    assert (lab.newest().state, attached["width"]) == (PostState.PUBLISHED, 64)


def test_an_edit_the_owner_lets_through_shows_what_was_seen_when_it_was_held(
    lab: Lab, host: PictureHost
) -> None:
    urls = [host.put(f"{n}.avif", saved(drawing(64 + n, 48), "AVIF")) for n in range(10)]
    lab.poll()
    for url in urls:
        lab.publish(f"Title {url[-6]}", images(url))
        lab.wait(hours=1)
    for item, url in zip(lab.blog.items, reversed(urls), strict=True):
        item.text = images(url, host.url("gone.png")) + f" An edit of {item.title}."
    lab.poll()
    with lab.store.write() as tx:
        held = holds.waiting(tx)
        assert len(held) == 10
        for hold in held:
            decide(tx, lab.services, hold, PUBLISH, now=lab.clock.now())
    for post in lab.posts():
        assert "An edit of" in post.note["content"]
        assert [one["url"].startswith(COPIES) for one in shown(post)] == [True]


# ── pictures in folders ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def kitchen(make_services, clock, tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / "content").mkdir()
    with Lab(
        make_services, clock, sources='[[sites.cafe.sources]]\nname = "words"\nfolder = "content"\n'
    ) as lab:
        lab.poll()
        yield lab


def write(tmp_path: Path, picture: str, body: bytes) -> None:
    (tmp_path / "content" / picture).write_bytes(body)
    text = f"---\ntitle: Fresh\ndate: 2026-03-01\n---\nLook: ![A bun]({picture})\n"
    (tmp_path / "content" / "fresh.md").write_text(text)


def test_a_picture_in_a_folder_is_measured_where_it_lies(kitchen: Lab, tmp_path: Path) -> None:
    write(tmp_path, "bun 1.png", PNG)
    kitchen.poll()
    (attached,) = shown(kitchen.newest())
    assert attached["url"] == f"{BASE_URL}/ap/cafe/media/words/bun%201.png"
    assert (attached["width"], attached["height"], attached["name"]) == (64, 48, "A bun")


def test_a_photo_in_a_folder_does_not_tell_where_it_was_taken(kitchen: Lab, tmp_path: Path) -> None:
    write(tmp_path, "home.jpg", photo(6))
    kitchen.poll()
    (attached,) = shown(kitchen.newest())
    assert attached["url"].startswith(COPIES)
    body = get(kitchen, attached["url"]).get_data()
    assert SECRET not in body
    assert not opened(body).getexif()
    assert opened(body).size == (attached["width"], attached["height"]) == (48, 64)


def test_a_picture_too_large_to_be_served_is_served_smaller(kitchen: Lab, tmp_path: Path) -> None:
    noise = Pillow.frombytes("RGB", (3000, 1000), os.urandom(9_000_000))
    write(tmp_path, "large.png", saved(noise, "PNG", compress_level=0))
    kitchen.poll()
    (attached,) = shown(kitchen.newest())
    assert (attached["width"], attached["mediaType"]) == (2048, "image/jpeg")


def test_what_nobody_shows_is_shown_as_a_copy_and_not_served_itself(kitchen: Lab, tmp_path: Path) -> None:
    name = "IMG_7424.HEIC"
    write(tmp_path, name, heic())
    kitchen.poll()
    (attached,) = shown(kitchen.newest())
    assert attached["url"].startswith(COPIES)
    body = get(kitchen, attached["url"])
    assert body.content_type == attached["mediaType"]
    assert opened(body.get_data()).size == (attached["width"], attached["height"])
    assert get(kitchen, f"{BASE_URL}/ap/cafe/media/words/{name}").status_code == 404


def test_a_drawing_in_the_folder_is_left_out_with_advice(kitchen: Lab, tmp_path: Path) -> None:
    write(tmp_path, "week.svg", SVG)
    kitchen.poll()
    assert shown(kitchen.newest()) == []
    assert "it is SVG, which no server shows: export it as PNG or WebP" in problems(kitchen, "words")
    assert get(kitchen, f"{BASE_URL}/ap/cafe/media/words/week.svg").status_code == 404


def test_a_picture_that_changes_in_its_folder_is_looked_at_again(kitchen: Lab, tmp_path: Path) -> None:
    write(tmp_path, "bun.png", PNG)
    kitchen.poll()
    write(tmp_path, "bun.png", saved(drawing(200, 100), "PNG"))
    (tmp_path / "content" / "fresh.md").write_text("---\ntitle: Fresh\n---\nAgain: ![A bun](bun.png)\n")
    kitchen.poll()
    assert shown(kitchen.newest())[0]["width"] == 200


def test_a_feed_does_not_get_at_other_files_by_naming_them(kitchen: Lab, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    for path in ("..%2fsecret.png", "%2e%2e/secret.png", "missing.png", ".hidden.png"):
        url = f"{BASE_URL}/ap/cafe/media/words/{path}"
        entry = Entry(path, f"https://cafe.example/{path}", "Fresh", images=(Image(url),))
        views = kitchen.run(Viewer(kitchen.services, kitchen.client).look("cafe", [entry]))
        assert views.pictures == {url: None}
        assert "it is missing, hidden, or larger than 32 MiB" in views.problems[0].what


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────

A, B, C, D, E, F = (Image(f"https://cafe.example/{name}.png") for name in "abcdef")


def seen(*good: Image, bad: tuple[Image, ...] = ()) -> dict[str, Viewed]:
    found = {one.url: Viewed(one.url, "image/png", 10, 20, "L000") for one in good}
    return found | {one.url: Viewed(one.url, error="it is gone") for one in bad}


def test_as_many_are_looked_at_as_a_post_lacks() -> None:
    every = (A, B, C, D, E, F)
    assert missing(every, {}) == [A, B, C, D]
    assert missing(every, seen(A, B, bad=(C,))) == [D, E]
    assert missing(every, seen(A, B, C, D)) == []
    assert missing(every, seen(A, B, C, D, E)) == []
    assert missing((A, B), seen(bad=(A, B))) == []


def test_what_nobody_looked_at_is_not_sent() -> None:
    post = Pictured(Entry("1", None), (A, B, C), is_sent=True)
    views = show([post], seen(A, bad=(B,)), Ids(BASE_URL))
    assert views.pictures == {A.url: _measured(A), B.url: None, C.url: None}
    assert [problem.what.partition(": ")[2][:20] for problem in views.problems] == [
        "it is gone. A server",
        "there was no time to",
    ]
    served = show([replace(post, is_sent=False)], seen(A, bad=(B,)), Ids(BASE_URL))
    assert served.pictures == {A.url: _measured(A), B.url: None}
    assert len(served.problems) == 1


def test_what_is_sent_decides_over_what_is_only_served() -> None:
    sent, served = Pictured(Entry("1", None), (A,)), Pictured(Entry("2", None), (A, B), is_sent=False)
    views = show([sent, served], {}, Ids(BASE_URL))
    assert views.pictures == {A.url: None}


def _measured(image: Image) -> Image:
    return replace(image, media_type="image/png", width=10, height=20, blurhash="L000")


def test_an_owner_does_not_hear_of_hundreds_of_pictures(lab: Lab, host: PictureHost) -> None:
    entries = [
        Entry(str(n), None, images=tuple(Image(host.url(f"{n}-{m}.png")) for m in range(4)))
        for n in range(10)
    ]
    views = lab.run(Viewer(lab.services, lab.client).look("cafe", entries))
    assert len(views.problems) == MAX_PROBLEMS
    assert set(views.pictures.values()) == {None}
    assert len(host.asked) == 40


# ── what is remembered ───────────────────────────────────────────────────────────────────────────


def test_what_was_seen_is_found_again_until_it_is_forgotten(store, clock) -> None:
    good = Viewed("https://a.example/1.png", "image/png", 3, 4, "L000", "copy.png")
    bad = Viewed("https://a.example/2.png", error="it is gone")
    with store.write() as tx:
        pictures.save(tx, [good, bad], now=clock.now())
        pictures.save(tx, [bad], now=clock.tick(timedelta(days=1)))
        found = pictures.known(tx, [good.url, bad.url, "https://a.example/3.png"])
        assert [(one.url, one.width, one.file, one.error) for one in found] == [
            (good.url, 3, "copy.png", None),
            (bad.url, None, None, "it is gone"),
        ]
        assert pictures.purge(tx, before=clock.now()) == 1
        assert [one.url for one in pictures.known(tx, [good.url, bad.url])] == [bad.url]
