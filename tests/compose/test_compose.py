"""What followers read: kinds of posts, layouts, pictures, hashtags, mentions, and the owner's own word."""

import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from looks import NOW, POST_ID, bench, compose, golden, look, read_source, sources

from bridge.activitypub import documents
from bridge.compose import (
    Kind,
    Mentioned,
    choose_pictures,
    find_mentions,
    kind_of,
    kinds,
    mentions,
    pictures,
    template,
)
from bridge.compose import body as compose_body
from bridge.errors import ConfigError
from bridge.markup.as_seen_by import keep_as_mastodon
from bridge.markup.html import begin_html, one_line, plain_text, strip_controls, to_note_html
from bridge.markup.sanitize import clean_note
from bridge.model import PUBLIC, Controls, Enclosure, Entry, Image, Visibility
from bridge.preview.timelines import count_characters
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.post import Rules, read_post

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PAGE = "https://cafe.example/buns/"
FOLLOWERS = "https://cafe.example/ap/cafe/followers"
BUNS = Entry(guid="buns", link=PAGE, title="Fresh buns", html="<p>At eight.</p>", published_at=NOW)
LONG = "<p>" + "The oven is warm again, and so are we. " * 40 + "</p>"
TITLE = f'<p><a href="{PAGE}">Fresh buns</a></p>'
LINK = f'<p><a href="{PAGE}">cafe.example/buns</a></p>'
CAT = Image("https://cafe.example/cat.jpg", "A cat")


def content(entry: Entry, **said: Any) -> str:
    return compose(entry, **said)["content"]


def attached(entry: Entry, **said: Any) -> list[str]:
    return [one["url"] for one in compose(entry, **said)["attachment"]]


# ── looks ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_a_post_looks_as_its_golden_file_says(source) -> None:
    assert look(source) == golden(source).read_text(encoding="utf-8")


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.stem)
def test_mastodon_keeps_the_words_of_every_look(source) -> None:
    note = compose(read_source(source))
    assert plain_text(keep_as_mastodon(note["content"])) == plain_text(note["content"])


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────

AUDIO = Enclosure("https://cafe.example/12.mp3", "audio/mpeg", 38_400_000, 2530)
VIDEO = Enclosure("https://cafe.example/oven.mp4", "video/mp4", 5_000_000)
PHOTO_HTML = '<p><img src="https://cafe.example/cat.jpg" alt="A cat"></p><p>Miaow.</p>'


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Kind.TEXT),
        ({"html": LONG}, Kind.TEXT),
        ({"html": LONG, "images": (CAT,)}, Kind.TEXT),
        ({"title": ""}, Kind.STATUS),
        ({"title": "", "html": LONG, "images": (CAT,)}, Kind.STATUS),
        ({"title": "At eight."}, Kind.STATUS),
        ({"title": "The oven is warm again, and…", "html": LONG}, Kind.STATUS),
        ({"html": PHOTO_HTML}, Kind.PHOTO),
        ({"html": "", "images": (CAT,)}, Kind.PHOTO),
        ({"html": "<p>Miaow.</p>", "images": (CAT,)}, Kind.PHOTO),
        ({"html": "<p>" + "A teaser that goes on for a while. " * 3 + "</p>", "images": (CAT,)}, Kind.TEXT),
        ({"html": PHOTO_HTML + "<p>More and more […]</p>"}, Kind.TEXT),
        ({"html": PHOTO_HTML + "<p><a href='/'>Continue reading Fresh buns →</a></p>"}, Kind.TEXT),
        ({"enclosures": (AUDIO,)}, Kind.PODCAST),
        ({"enclosures": (VIDEO,)}, Kind.VIDEO),
        ({"enclosures": (Enclosure("https://cafe.example/menu.pdf", "application/pdf"),)}, Kind.TEXT),
        ({"about": "https://ovens.example/"}, Kind.LINK),
    ],
)
def test_the_kind_of_a_post_follows_from_what_is_in_it(changes: dict[str, Any], kind: Kind) -> None:
    entry = replace(BUNS, **changes)
    assert kind_of(entry, to_note_html(entry.html, base=entry.link)) is kind


def test_a_podcast_names_its_length_links_the_audio_and_attaches_nothing_else() -> None:
    entry = replace(BUNS, enclosures=(AUDIO,), images=(CAT,))
    note = compose(entry)
    assert '<p>🎧 <a href="https://cafe.example/12.mp3">42 min · 38 MB</a></p>' in note["content"]
    assert note["attachment"] == [
        {
            "type": "Document",
            "mediaType": "audio/mpeg",
            "url": "https://cafe.example/12.mp3",
            "duration": "PT2530S",
        }
    ]


@pytest.mark.parametrize(
    ("seconds", "length", "label"),
    [
        (None, None, "12.mp3"),
        (None, 1, "12.mp3"),
        (45, None, "45 s"),
        (3599, None, "1 h 00 min"),
        (3725, 90_500_000, "1 h 02 min · 90 MB"),
        (None, 700_000, "700 kB"),
    ],
)
def test_a_file_is_called_by_what_is_known_of_it(seconds: int | None, length: int | None, label: str) -> None:
    entry = replace(BUNS, enclosures=(replace(AUDIO, seconds=seconds, length=length),))
    assert f">{label}</a>" in content(entry)


def test_an_episode_too_large_for_servers_is_only_linked() -> None:
    entry = replace(BUNS, enclosures=(replace(AUDIO, length=200_000_000),))
    assert attached(entry) == []
    assert "12.mp3" in content(entry)


def test_the_title_of_a_link_post_leads_elsewhere_and_a_star_to_its_own_page() -> None:
    html = content(replace(BUNS, about="https://ovens.example/?a=1&b=2"))
    assert html.startswith('<p><a href="https://ovens.example/?a=1&amp;b=2">Fresh buns</a></p>')
    assert f'<a href="{PAGE}">★ cafe.example/buns</a>' in html


def test_a_post_without_a_title_says_all_it_has_to_say() -> None:
    html = content(replace(BUNS, title="", html=LONG))
    assert plain_text(html).startswith(plain_text(LONG))
    assert not html.startswith("<p><a")


# ── layouts ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "is_ours"),
    [
        ("https://cafe.example/buns/", True),
        ("https://cafe.example:443/buns/", True),
        ("https://CAFE.example/buns/", True),
        ("http://cafe.example/buns/", True),
        ("https://www.cafe.example/buns/", False),  # Mastodon's `non_matching_uri_hosts?`, and Misskey's
        ("https://blog.example/buns/", False),
    ],
)
def test_a_post_links_straight_to_its_page_where_that_is_on_our_own_host(written: str, is_ours: bool) -> None:
    entry = replace(BUNS, link=written)
    assert compose(entry)["url"] == (written if is_ours else f"https://cafe.example/r/{POST_ID}")


def test_a_short_post_goes_out_whole_and_a_long_one_is_introduced() -> None:
    assert content(BUNS) == f"{TITLE}<p>At eight.</p>{LINK}"
    introduced = plain_text(content(replace(BUNS, html=LONG)).removeprefix(TITLE).removesuffix(LINK))
    assert 200 < len(introduced) <= 400
    assert introduced.endswith("so are we.")


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("In short.", "In short."),
        ("The oven is warm again, and so […]", "The oven is warm again, and so are we."),
        ("Words. " * 200, "The oven is warm again, and so are we."),
        ("", "The oven is warm again, and so are we."),
        ("In short. The post Fresh buns appeared first on Café Wren.", "In short."),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_a_long_post_is_introduced_by_its_author_where_that_was_not_a_machine(
    summary: str, expected: str
) -> None:
    html = content(replace(BUNS, html=LONG, summary=summary)).removeprefix(TITLE)
    assert html.startswith(f"<p>{expected}")
    assert len(plain_text(html.removesuffix(LINK))) <= 500


def test_a_summary_stands_in_for_text_that_is_not_there_and_is_never_markup() -> None:
    html = content(replace(BUNS, html="", summary="<img src=x onerror=alert(1)> & more"))
    assert "<p>&lt;img src=x onerror=alert(1)&gt; &amp; more</p>" in html


def test_what_wordpress_adds_to_every_entry_goes() -> None:
    added = '<p>The post <a href="/b">Fresh buns</a> appeared first on <a href="/">Café Wren</a>.</p>'
    assert content(replace(BUNS, html=f"<p>At eight.</p>{added}")) == content(BUNS)


def test_a_heading_that_repeats_the_title_goes() -> None:
    assert content(replace(BUNS, html="<h1>Fresh buns</h1><p>At eight.</p>")) == content(BUNS)


def test_the_full_text_goes_out_where_the_site_says_so() -> None:
    assert len(plain_text(content(replace(BUNS, html=LONG), template="full"))) > 1500


def test_a_title_alone_is_enough_where_the_site_says_so() -> None:
    assert content(BUNS, template="title") == TITLE + LINK
    assert "At eight." in content(replace(BUNS, title=""), template="title")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("New: {title}", f'<p>New: <a href="{PAGE}">Fresh buns</a></p>'),
        ("{title}\n\n{excerpt}", f"{TITLE}<p>At eight.</p>"),
        ("{title} – {excerpt}", f'<p><a href="{PAGE}">Fresh buns</a> – At eight.</p>'),
        ("{date}\n{link}", f'<p>2026-11-20<br><a href="{PAGE}">cafe.example/buns</a></p>'),
        ("{title}\n\nTags: {tags}", TITLE),
        (
            "{excerpt}\n  \n\n\n100% <b>{excerpt}</b>",
            "<p>At eight.</p><p>100% &lt;b&gt;At eight.&lt;/b&gt;</p>",
        ),
        ("{excerpt}\n\nhttps://cafe.example/?a&b.", "<p>At eight.</p><p>{}.</p>"),
    ],
)
def test_a_template_is_paragraphs_with_fields(written: str, expected: str) -> None:
    address = '<a href="https://cafe.example/?a&amp;b">cafe.example/?a&amp;b</a>'
    assert content(BUNS, template=written) == expected.replace("{}", address)


def test_a_text_of_several_blocks_stands_on_its_own_in_a_template() -> None:
    entry = replace(BUNS, html="<p>One.</p><ul><li>Two</li></ul>")
    assert content(entry, template="Hear: {content} Bye.") == (
        "<p>Hear:</p><p>One.</p><ul><li>Two</li></ul><p>Bye.</p>"
    )


def test_the_date_of_a_template_is_the_day_where_the_site_is() -> None:
    entry = replace(BUNS, published_at=NOW.replace(hour=23))
    assert content(entry, template="{date}", timezone="Europe/Berlin") == "<p>2026-11-21</p>"


@pytest.mark.parametrize("title", ["{{7*7}}", "{0.__class__}", "%s", "{content}", "{title}", "$title", "<b>"])
@pytest.mark.parametrize("layout", ["excerpt", "{title}: {excerpt}"])
def test_nothing_in_a_title_is_run(title: str, layout: str) -> None:
    html = content(replace(BUNS, title=title), template=layout)
    assert plain_text(html).startswith(title)


@pytest.mark.parametrize(
    "wrong", ["{titel}", "{{7*7}}", "{0.__class__}", "{title!r}", "{title:>9}", "short", "{title", "}"]
)
def test_a_template_with_unknown_fields_is_refused_and_told_the_known_ones(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"\{title\}, \{excerpt\}, \{content\}, \{link\}, \{tags\}"):
        bench(template=wrong)


@unhurried
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=40))
def test_whatever_is_written_only_what_mastodon_keeps_is_sent(html: str, summary: str, title: str) -> None:
    entry = replace(BUNS, html=html, summary=strip_controls(summary), title=one_line(title))
    for layout in ("excerpt", "{title} {content} {tags}"):
        sent = content(entry, template=layout)
        assert clean_note(sent) == sent.replace("&quot;", '"').replace("&#x27;", "'")


# ── size and cost ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "ü " * 60_000 + "</p>",
        "<pre>" + '"\n' * 60_000 + "</pre>",
        "<p><a href='/a?b'>x</a></p>" * 5000,
    ],
)
@pytest.mark.parametrize("said", [{"template": "full"}, {"type_of_posts": "article"}])
def test_no_post_is_larger_than_servers_take(html: str, said: dict[str, Any]) -> None:
    pictures_of = tuple(Image(f"https://cafe.example/{n}.jpg", "猫" * 1500) for n in range(6))
    note = compose(replace(BUNS, html=html, images=pictures_of), **said)
    sent = documents.encode(documents.create(bench().ids, "cafe", note, activity_id="c" * 30))
    assert len(sent) < documents.MAX_ACTIVITY_BYTES
    assert len(plain_text(note["content"])) > 100


def test_composing_costs_milliseconds() -> None:
    entry = replace(BUNS, html=LONG * 5)
    started = time.process_time()
    for _ in range(20):
        compose(entry, at=_BENCH)
    assert (time.process_time() - started) / 20 < 0.02


_BENCH = bench()


@pytest.mark.parametrize("module", [compose_body, kinds, mentions, pictures, template])
def test_every_expression_is_linear(module) -> None:
    for name, pattern in vars(module).items():
        for pump in ("a", " ", "a.", "@", "@a", "The post ", "<p>", "…", "-12x34", "https://", "{", "\n"):
            if isinstance(pattern, re.Pattern):
                started = time.process_time()
                list(pattern.finditer(pump * (10_000 // len(pump))))
                assert time.process_time() - started < 0.3, (name, pump)


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "said", "carries"),
    [
        ({"html": LONG}, {}, False),
        ({"html": LONG, "link": None}, {}, True),
        ({"html": LONG}, {"template": "full"}, True),
        ({"html": LONG}, {"template": "{title}\n\n{content}"}, True),
        ({"html": LONG}, {"template": "title"}, False),
        ({"html": LONG}, {"images": "always"}, True),
        ({"html": LONG}, {"type_of_posts": "article"}, True),
        ({"html": LONG, "title": ""}, {}, True),
        ({"html": ""}, {}, True),
        ({"html": ""}, {"images": "never"}, False),
        ({"html": "", "controls": Controls(images=False)}, {"images": "always"}, False),
        ({"about": "https://ovens.example/"}, {}, False),
    ],
)
def test_a_post_carries_pictures_or_leaves_room_for_the_card(
    changes: dict[str, Any], said: dict[str, Any], carries: bool
) -> None:
    entry = replace(BUNS, images=(CAT,), **changes)
    assert attached(entry, **said) == ([CAT.url] if carries else [])


SITE = "https://cafe.example/wp-content"


@pytest.mark.parametrize(
    ("urls", "kept"),
    [
        (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
        (["a-300x200.jpg", "a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
        (["a.jpg", "a-1024x768.jpg"], ["a.jpg"]),
        (["a.jpg?w=600", "a.jpg?w=1200"], ["a.jpg?w=600"]),
        (["a.jpg?w=600", "a.jpg"], ["a.jpg"]),
        (["photo-scaled.jpg", "photo-150x150.jpg"], ["photo-scaled.jpg"]),
        (["show?id=1", "show?id=2"], ["show?id=1", "show?id=2"]),
        (["12x34.jpg", "12x35.jpg"], ["12x34.jpg", "12x35.jpg"]),
    ],
)
def test_a_picture_in_several_sizes_is_one_picture(urls: list[str], kept: list[str]) -> None:
    entry = replace(BUNS, images=tuple(Image(f"{SITE}/{url}") for url in urls))
    assert [one.url for one in choose_pictures(entry, ())] == [f"{SITE}/{url}" for url in kept]


MEDIUM, WIX = "https://miro.medium.com", "https://static.wixstatic.com/media/ab_12~mv2.jpg"
SUBSTACK = (
    "https://substackcdn.com/image/fetch/{}f_auto,q_auto:good/https%3A%2F%2Fbucket.s3.example%2Fbun.jpeg"
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SUBSTACK.format("w_1456,c_limit,"), SUBSTACK.format("w_424,h_300,c_fill,")),
        (SUBSTACK.format("w_1456,"), "https://bucket.s3.example/bun.jpeg"),
        ("https://cdn-images-1.medium.com/max/1024/1*aB3_x.png", "https://cdn-images-1.medium.com/max/60/1*aB3_x.png"),
        (f"{MEDIUM}/v2/resize:fit:1400/1*aB3_x.png", f"{MEDIUM}/v2/resize:fill:88:88/1*aB3_x.png"),
        (f"{WIX}/v1/fill/w_980,h_650,q_90/bun.jpg", f"{WIX}/v1/fill/w_49,h_32,blur_2/bun.jpg"),
        (f"{SITE}/content/images/2026/01/bun.jpg", f"{SITE}/content/images/size/w600/2026/01/bun.jpg"),
        ("https://1.bp.blogspot.com/-x/AAA/s1600/bun.jpg", "https://1.bp.blogspot.com/-x/AAA/s320/bun.jpg"),
        ("https://blogger.googleusercontent.com/img/b/R2/x=s1600", "https://blogger.googleusercontent.com/img/b/R2/x=w640-h480"),
        ("https://images.squarespace-cdn.com/c/1/a/bun.jpg?format=1500w", "https://images.squarespace-cdn.com/c/1/a/bun.jpg"),
        ("https://cdn.shopify.com/s/files/1/bun.jpg?v=1", "https://cdn.shopify.com/s/files/1/bun_600x.jpg?v=1"),
        (f"{SITE}/cdn-cgi/image/width=600,quality=75/pictures/bun.jpg", f"{SITE}/pictures/bun.jpg"),
        ("https://x.example/_next/image?url=%2Fa%2Fbun.jpg&w=640&q=75", "https://x.example/a/bun.jpg"),
        (f"https://wsrv.nl/?url={SITE}/pictures/bun.jpg&w=300", f"{SITE}/pictures/bun.jpg"),
        ("https://cdn0.vox-cdn.com/thumbor/aB=/400x0/filters:x()/cdn0.vox-cdn.com/uploads/7/a.jpg",
         "https://cdn0.vox-cdn.com/uploads/7/a.jpg"),
        ("https://cafe.typepad.com/.a/6a0105-120wi", "https://cafe.typepad.com/.a/6a0105-800wi"),
        ("https://i.ytimg.com/vi/0QZMAMl/0.jpg", "https://i.ytimg.com/vi/0QZMAMl/hqdefault.jpg"),
    ],
)  # fmt: skip
def test_what_resizers_make_of_a_picture_is_that_picture(one: str, other: str) -> None:
    assert len(choose_pictures(replace(BUNS, images=(Image(one), Image(other))), ())) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{SITE}/s2023/bun.jpg", f"{SITE}/s2024/bun.jpg"),
        (f"{SITE}/show?url=cat", f"{SITE}/show?url=dog"),
        (f"{SITE}/1200w/bun.jpg", f"{SITE}/1300w/bun.jpg"),
        (
            "https://cdn-images-1.medium.com/max/60/1*aB3.png",
            "https://cdn-images-1.medium.com/max/60/1*aB4.png",
        ),
        (SUBSTACK.format("w_1456,"), SUBSTACK.format("w_1456,").replace("bun", "cat")),
        ("https://i.ytimg.com/vi/0QZMAMl/0.jpg", "https://i.ytimg.com/vi/1QZMAMl/0.jpg"),
    ],
)
def test_pictures_with_addresses_alike_stay_two(one: str, other: str) -> None:
    assert len(choose_pictures(replace(BUNS, images=(Image(one), Image(other))), ())) == 2


def test_a_copy_on_wordpress_com_is_the_picture_it_copies() -> None:
    copy = Image("https://i0.wp.com/cafe.example/cat.jpg?fit=300%2C200", "A cat", width=300)
    assert choose_pictures(replace(BUNS, images=(copy,)), [Image("https://www.cafe.example/cat.jpg")]) == (
        Image("https://www.cafe.example/cat.jpg", "A cat"),
    )


def test_the_larger_copy_is_kept_in_the_place_of_the_first_with_its_description() -> None:
    small = Image(f"{SITE}/a.jpg?w=100", "A cat", width=100)
    dog, large = Image(f"{SITE}/dog.jpg"), Image(f"{SITE}/a.jpg?w=900", width=900)
    assert choose_pictures(replace(BUNS, images=(small, dog)), [large]) == (replace(large, alt="A cat"), dog)


@pytest.mark.parametrize(
    "image",
    [
        Image("https://cafe.example/p.gif", width=1, height=1),
        Image("https://pixel.wp.com/b.gif?blog=1"),
        Image("https://feeds.feedburner.com/~r/cafe/~4/x"),
        Image("http://feeds.wordpress.com/1.0/comments/cafe.wordpress.com/7223/"),
        Image("https://www.gravatar.com/avatar/973?s=50"),
        Image("http://api.flattr.com/button/flattr-badge-large.png"),
        Image("https://cafe.example/wp-content/plugins/flattr/img/flattr-badge-large.png"),
        Image("http://images.pheedo.com/images/mm/facebook.gif"),
        Image("https://img.shields.io/badge/bun-fresh-green"),
        Image("https://i.creativecommons.org/l/by/4.0/88x31.png"),
    ],
)
def test_counters_faces_and_buttons_are_no_pictures_of_the_post(image: Image) -> None:
    assert choose_pictures(replace(BUNS, images=(image, CAT)), ()) == (CAT,)


def test_what_is_known_of_a_picture_is_used_and_what_cannot_be_fetched_left_out() -> None:
    better = Image(
        "https://cafe.example/ap/cafe/media/x.jpg", "", "image/jpeg", 800, 600, "LKO2", (0.5, -0.25)
    )
    checked = {CAT.url: better, "https://cafe.example/gone.jpg": None}
    entry = replace(BUNS, html="", images=(CAT, Image("https://cafe.example/gone.jpg")))
    assert compose(entry, pictures=checked)["attachment"] == [
        {
            "type": "Document",
            "mediaType": "image/jpeg",
            "url": better.url,
            "name": "A cat",
            "width": 800,
            "height": 600,
            "blurhash": "LKO2",
            "focalPoint": [0.5, -0.25],
        }
    ]


def test_what_nobody_shows_as_it_is_waits_until_somebody_made_a_copy() -> None:
    drawing, photo = Image(f"{SITE}/week.svg?v=1"), Image(f"{SITE}/IMG_7424.HEIC")
    entry = replace(BUNS, images=(drawing, photo, CAT))
    assert choose_pictures(entry, (), {}) == (CAT,)
    assert choose_pictures(entry, ()) == (drawing, photo, CAT)  # which are to be looked at


# ── hashtags ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({}, ["#WebDev", "#日本語", "#buns"]),
        ({"hashtags": {"web dev": "Web"}}, ["#Web", "#日本語", "#buns"]),
        ({"hashtags": {"Web Dev": False, "#BUNS": False}}, ["#日本語"]),
        ({"hashtags": {"WebDev": "WWW"}}, ["#WWW", "#日本語", "#buns"]),
        ({"hashtags": {"Uncategorized": "Misc"}}, ["#WebDev", "#日本語", "#Misc", "#buns"]),
        ({"max_hashtags": 2}, ["#WebDev", "#日本語"]),
        ({"max_hashtags": 0}, []),
    ],
)
def test_categories_become_the_hashtags_the_site_wants(said: dict[str, Any], names: list[str]) -> None:
    entry = replace(BUNS, tags=("Web dev", "日本語", "Uncategorized", "webdev", "buns"))
    note = compose(entry, **said)
    assert [tag["name"] for tag in note["tag"]] == names
    assert [name in plain_text(note["content"]) for name in names] == [True] * len(names)


@pytest.mark.parametrize("wrong", ["two words", "#", "12", 7, True, ["a"]])
def test_a_hashtag_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="must be a hashtag in quotes"):
        bench(hashtags={"Misc": wrong})


# ── mentions ─────────────────────────────────────────────────────────────────────────────────────

ANN = Mentioned("https://social.example/users/ann", "https://social.example/@ann")
TO_ANN = replace(BUNS, html="<p>Thanks, @ann@Social.Example!</p>")


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Thanks, @ann@Social.Example!</p>", ("@ann@social.example",)),
        ("@a@b.example, @a@b.example and (@c.d@e.example:8443).", ("@a@b.example", "@c.d@e.example:8443")),
        ("<a href='https://b.example/@a'>@a@b.example</a>", ("@a@b.example",)),
        ("<code>@a@b.example</code><pre>@c@d.example</pre>", ()),
        ("mail a@b.example or x@y@b.example, see https://m.example/@a@b.example", ()),
        ("@ann and @ann@localhost and @@a@b.example", ()),
        ("".join(f" @p{n}@b.example" for n in range(12)), tuple(f"@p{n}@b.example" for n in range(10))),
        ("&#64;a@b.example", ("@a@b.example",)),
    ],
)
def test_handles_in_a_text_are_found(html: str, found: tuple[str, ...]) -> None:
    assert find_mentions(html) == found


def test_a_mention_is_linked_tagged_and_told() -> None:
    note = compose(TO_ANN, mentions={"@ann@social.example": ANN}, site_mentions=True)
    assert (
        '<p>Thanks, <span class="h-card"><a href="https://social.example/@ann" class="u-url mention">'
        "@<span>ann</span></a></span>!</p>"
    ) in note["content"]
    assert note["tag"] == [{"type": "Mention", "href": ANN.actor_id, "name": "@ann@social.example"}]
    assert (note["to"], note["cc"]) == ([PUBLIC], [FOLLOWERS, ANN.actor_id])
    assert note["contentMap"] == {"en": note["content"]}


def test_nobody_is_told_unless_the_site_wants_it_and_the_post_still_says_it() -> None:
    known = {"@ann@social.example": ANN}
    assert compose(TO_ANN, mentions=known)["tag"] == []
    assert compose(BUNS, mentions=known, site_mentions=True)["tag"] == []
    assert compose(TO_ANN, mentions={}, site_mentions=True)["cc"] == [FOLLOWERS]


def test_the_page_of_someone_mentioned_is_no_way_to_smuggle_in_markup() -> None:
    evil = {"@ann@social.example": Mentioned(ANN.actor_id, "javascript:alert(1)")}
    note = compose(TO_ANN, mentions=evil, site_mentions=True)
    assert "javascript" not in note["content"]


# ── what the owner says about one post ───────────────────────────────────────────────────────────


def test_an_unlisted_post_is_addressed_alike_everywhere_and_deleted_in_public() -> None:
    note = compose(replace(BUNS, controls=Controls(visibility=Visibility.UNLISTED)))
    ids = bench().ids
    create = documents.create(ids, "cafe", note, activity_id="c")
    update = documents.update(ids, "cafe", note, activity_id="u", at=NOW)
    for said in (note, create, update):
        assert (said["to"], said["cc"]) == ([FOLLOWERS], [PUBLIC])
    assert documents.delete(ids, "cafe", POST_ID, activity_id="d")["to"] == [PUBLIC]


def test_a_warning_hides_words_and_pictures() -> None:
    note = compose(replace(BUNS, controls=Controls(warning="Food & drink")))
    assert (note["summary"], note["sensitive"]) == ("Food & drink", True)


def test_the_owners_own_words_replace_the_text() -> None:
    own = "Tomorrow at eight <b>\nSee https://cafe.example/map?a&b.\n\nBring a bag."
    html = content(replace(BUNS, html=LONG, controls=Controls(text=own)))
    address = '<a href="https://cafe.example/map?a&amp;b">cafe.example/map?a&amp;b</a>'
    assert html == f"{TITLE}<p>Tomorrow at eight &lt;b&gt;<br>See {address}.</p><p>Bring a bag.</p>{LINK}"


def test_the_owners_own_words_are_said_even_by_a_site_of_titles() -> None:
    assert "Mine." in content(replace(BUNS, controls=Controls(text="Mine.")), template="title")


def test_an_article_carries_its_title_its_words_its_link_and_a_note_it_could_be() -> None:
    note = compose(replace(BUNS, html=LONG, tags=("Food",), controls=Controls(article=True)))
    assert (note["type"], note["name"], note["sensitive"]) == ("Article", "Fresh buns", False)
    assert note["content"].startswith(TITLE)
    assert plain_text(LONG) in plain_text(note["content"])
    assert note["content"].endswith(f'<p><a href="{BUNS.link}">cafe.example/buns</a></p>')
    assert note["preview"]["type"] == "Note"
    assert note["preview"]["content"].startswith(TITLE)
    assert note["preview"]["attributedTo"] == note["attributedTo"]


@pytest.mark.parametrize(
    ("summary", "kept"),
    [
        ("Why we bake before dawn.", "Why we bake before dawn."),
        ("Why we bake <b>before</b> & after", "Why we bake <b>before</b> & after"),
        ("", None),
        ("The oven is warm.", None),
        ("the oven is warm, and so", None),
        ("The oven is warm, and so are we. [\u2026]", None),
        ("The oven is warm, and so are we\u2026", None),
        ("and so are we. The ov", None),
        ("The oven is warm, and so are we. The oven is warm \u2026 Weiterlesen Fresh buns", None),
        ("Fresh buns", None),
        ("\u2026", None),
        ("The oven is warm, and so are we. " * 40, None),
    ],
)
def test_an_article_has_a_summary_only_where_it_is_no_copy(summary: str, kept: str | None) -> None:
    html = "<p>" + "The oven is warm, and so are we. " * 30 + "</p>"
    note = compose(replace(BUNS, html=html, summary=summary, controls=Controls(article=True)))
    assert note.get("summary") == kept


@pytest.mark.parametrize("words", [{}, {"html": "", "summary": "Only this."}, {"html": ""}])
def test_a_short_article_hides_behind_nothing(words: dict[str, str]) -> None:
    note = compose(replace(BUNS, **words, controls=Controls(article=True)))
    assert (note["type"], "summary" in note) == ("Article", False)


def test_an_article_in_the_owners_own_words_says_them_once() -> None:
    note = compose(replace(BUNS, summary="Another.", controls=Controls(article=True, text="Mine.")))
    assert ("summary" in note, plain_text(note["content"]).count("Mine.")) == (False, 1)


@pytest.mark.parametrize(
    "said",
    [
        {"type_of_posts": "article"},
        {"template": "full"},
        {"template": "{title}\n\n{content}"},
        {"template": "{content}"},
        {"template": "{content}\n\n{link}\n\n{tags}"},
    ],
)
@pytest.mark.parametrize("text", ["The oven is warm. " * 4_000, "\u00fc" * 60_000, "<br>\U0001f9c1 " * 9_000])
def test_a_post_that_does_not_fit_leads_to_the_rest(said: dict[str, str], text: str) -> None:
    note = compose(replace(BUNS, html=f"<p>{text}</p>", tags=("Food",)), **said)
    assert "\u2026" in note["content"]
    assert f'href="{BUNS.link}"' in note["content"].partition("\u2026")[2]
    assert len(documents.encode(note)) < documents.MAX_ACTIVITY_BYTES


@pytest.mark.parametrize(
    ("site_type", "controls", "title", "sent_as"),
    [
        ("note", Controls(), "T", "Note"),
        ("article", Controls(), "T", "Article"),
        ("article", Controls(article=False), "T", "Note"),
        ("note", Controls(article=True), "T", "Article"),
        ("article", Controls(), "", "Note"),
        ("article", Controls(warning="Food"), "T", "Note"),
    ],
)
def test_a_post_is_an_article_where_asked_if_it_has_a_title_and_no_warning(
    site_type: str, controls: Controls, title: str, sent_as: str
) -> None:
    note = compose(replace(BUNS, title=title, controls=controls), type_of_posts=site_type)
    assert note["type"] == sent_as


@pytest.mark.parametrize("type_of_posts", ["note", "article"])
def test_where_nobody_says_a_language_none_is_claimed(type_of_posts: str) -> None:
    note = compose(BUNS, language=None, type_of_posts=type_of_posts)
    assert "contentMap" not in note
    assert "@language" not in str(documents.with_context(note))


@pytest.mark.parametrize(
    ("language", "site_language", "expected"), [("de", "en", "de"), (None, "pt-BR", "pt-BR")]
)
def test_the_language_is_the_posts_own_or_the_sites(
    language: str | None, site_language: str, expected: str
) -> None:
    note = compose(replace(BUNS, language=language), language=site_language)
    assert note["contentMap"] == {expected: note["content"]}


def test_an_edit_says_when_it_was_made() -> None:
    assert compose(BUNS, updated_at=NOW + timedelta(hours=1))["updated"] == "2026-11-20T13:00:00Z"


# ── how the owner says it ────────────────────────────────────────────────────────────────────────


def read_markdown(*lines: str, text: str = "Words.") -> tuple[Entry, list[str]]:
    written = "\n".join(["---", "title: T", "date: 2026-11-19", *lines, "---", text])
    read = read_post(written, "t.md", Rules("https://cafe.example/"), frozenset(), NOW)
    assert read.entry is not None
    return read.entry, [problem.what for problem in read.problems]


@pytest.mark.parametrize(
    ("lines", "focus"),
    [
        (["image: {url: /bun.jpg, focal_point: [0.2, -0.7]}"], (0.2, -0.7)),
        (["image:", "  src: /bun.jpg", "  focal_point: TopLeft"], (-1.0, 1.0)),
        (["image: /bun.jpg", "focal_point: bottom"], (0.0, -1.0)),
        (["image: /bun.jpg", "params:", "  focal_point: Center"], (0.0, 0.0)),
        (["image: /bun.jpg", "focal_point: 0.5, 0.25"], (0.5, 0.25)),
        (["image: /bun.jpg", "focal_point: Smart"], None),
        (["image: /bun.jpg", "focal_point: [2, 0]"], None),
        (["image: /bun.jpg", "focal_point: [x, 0]"], None),
        (["image: /bun.jpg", "focal_point: "], None),
        (["image: /bun.jpg"], None),
    ],
)
def test_a_pictures_focal_point_is_read_from_front_matter(
    lines: list[str], focus: tuple[float, float] | None
) -> None:
    entry, _ = read_markdown(*lines)
    assert entry.images == (Image("https://cafe.example/bun.jpg", focal_point=focus),)


@pytest.mark.parametrize(
    ("lines", "controls"),
    [
        (["fediverse: false"], Controls(publish=False)),
        (["Fediverse: No"], Controls(publish=False)),
        (["federate: off"], Controls(publish=False)),
        (["fediverse: true"], Controls()),
        (["fediverse: "], Controls()),
        (["fediverse: unlisted"], Controls(visibility=Visibility.UNLISTED)),
        (["cw: Spoilers"], Controls(warning="Spoilers")),
        (["content-warning: '  Spoilers '"], Controls(warning="Spoilers")),
        (["fediverse_text: Mine", "fediverse-images: no"], Controls(text="Mine", images=False)),
        (["fediverse:", "  publish: false", "  cw: X"], Controls(publish=False, warning="X")),
        (["fediverse:", "  visibility: Unlisted", "  pinned: yes"],
         Controls(visibility=Visibility.UNLISTED, pinned=True)),
        (["fediverse:", "  article: true", "  text: |", "    One.", "", "    Two."],
         Controls(article=True, text="One.\n\nTwo.")),
        (["fediverse_article: false"], Controls(article=False)),
        (["params:", "  fediverse: false"], Controls(publish=False)),
        (["tags: [nofediverse]"], Controls(publish=False)),
        (["tags: ['cw:Spoilers']", "cw: Food"], Controls(warning="Food")),
    ],
)  # fmt: skip
def test_front_matter_steers_a_post(lines: list[str], controls: Controls) -> None:
    entry, problems = read_markdown(*lines)
    assert (entry.controls, problems) == (controls, [])
    assert entry.wanted is controls.publish


@pytest.mark.parametrize(
    ("line", "said", "wanted"),
    [
        ("fediverse: fales", "neither true nor false. The post stays off the fediverse", False),
        ("fediverse: [false]", "neither true nor false", False),
        ("fediverse_visibility: private", "neither public nor unlisted", False),
        ("fediverse_images: maybe", "neither true nor false", True),
        ("fediverse: '@ann@social.example'", "says nothing about this post", True),
        ("fediverse: {titel: x}", "fediverse.titel is unknown; fediverse takes publish, warning", False),
        ("cw: true", "is not text", False),
        ("cw: [a, b]", "is not text", False),
        ("cw: {a: b}", "is not text", False),
    ],
)
def test_what_is_not_understood_is_a_problem_and_never_publishes_by_mistake(
    line: str, said: str, wanted: bool
) -> None:
    entry, problems = read_markdown(line)
    assert said in " ".join(problems)
    assert entry.wanted is wanted


@unhurried
@given(
    st.sampled_from(["fediverse", "federate", "cw", "fediverse_text", "fediverse_pinned"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_no_value_of_any_type_raises(name: str, value: Any) -> None:
    from bridge.sources.controls import Told, read_fields

    told = read_fields({name: value}, Told())
    assert isinstance(told.controls.warning + told.controls.text, str)


@pytest.mark.parametrize(
    ("categories", "controls", "tags"),
    [
        (["Buns", "fediverse:false"], Controls(publish=False), ("Buns",)),
        (["#NoFediverse"], Controls(publish=False), ()),
        (["no-fediverse"], Controls(publish=False), ()),
        (["CW: Food, drink"], Controls(warning="Food, drink"), ()),
        (["fediverse:unlisted", "Fediverse: pinned"],
         Controls(visibility=Visibility.UNLISTED, pinned=True), ()),
        (["fediverse:no-image", "fediverse:article"], Controls(images=False, article=True), ()),
        (["fediverse", "Fediverse software"], Controls(), ("fediverse", "Fediverse software")),
        (["cwm: a valley"], Controls(), ("cwm: a valley",)),
    ],
)  # fmt: skip
def test_categories_of_feeds_steer_a_post_and_are_no_hashtags(
    categories: list[str], controls: Controls, tags: tuple[str, ...]
) -> None:
    listed = "".join(f"<category>{name}</category>" for name in categories)
    (entry,) = parse_rss(f"<title>T</title>{listed}").entries
    assert (entry.controls, entry.tags) == (controls, tags)


def test_an_unknown_control_in_a_feed_is_a_problem() -> None:
    harvest = parse_rss("<title>T</title><category>fediverse:maybe</category>")
    assert "“fediverse:maybe” is unknown; known are fediverse:false" in harvest.problems[0].what
    assert harvest.entries[0].tags == ()


def test_a_link_blogs_own_page_is_its_guid() -> None:
    (entry,) = parse_rss(
        "<title>T</title><link>https://o.example/</link><guid>https://cafe.example/1</guid>"
    ).entries
    assert (entry.link, entry.about) == ("https://cafe.example/1", "https://o.example/")
    (entry,) = parse_rss(
        "<title>T</title><link>https://cafe.example/1</link><guid>https://cafe.example/x</guid>"
    ).entries
    assert (entry.link, entry.about) == ("https://cafe.example/1", None)
    (entry,) = parse_rss("<title>T</title><link>https://o.example/</link><guid>x</guid>").entries
    assert (entry.link, entry.about) == ("https://o.example/", None)


def test_a_link_post_in_a_folder_names_what_it_is_about() -> None:
    entry, _ = read_markdown("external_url: https://o.example/a")
    assert entry.about == "https://o.example/a"
    entry, _ = read_markdown("link: https://www.cafe.example/a")
    assert entry.about is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("42:10", 2530), ("1:00:00", 3600), ("95", 95), ("0", None), ("soon", None), ("", None)],
)
def test_the_length_of_an_episode_is_read(written: str, seconds: int | None) -> None:
    (entry,) = parse_rss(
        f"<title>T</title><itunes:duration>{written}</itunes:duration>"
        '<enclosure url="https://cafe.example/12.mp3" type="audio/mpeg" length="5"/>'
    ).entries
    assert entry.enclosures == (Enclosure("https://cafe.example/12.mp3", "audio/mpeg", 5, seconds),)


OWN, SHOW = "https://cafe.example/12.jpg", "https://cafe.example/show.jpg"
MP3 = '<enclosure url="https://cafe.example/12.mp3" type="audio/mpeg" length="5"/>'


@pytest.mark.parametrize(
    ("channel", "item", "cover"),
    [
        (f'<itunes:image href="{SHOW}"/>', f'<itunes:image href="{OWN}"/>{MP3}', OWN),
        (f'<itunes:image href="{SHOW}"/>', MP3, SHOW),
        (f"<image><url>{SHOW}</url></image>", MP3, SHOW),
        (
            f"<image><url>{SHOW}</url></image>",
            '<media:content url="https://cafe.example/1.mp4" type="video/mp4">'
            f'<media:thumbnail url="{OWN}" width="640" height="360"/></media:content>',
            OWN,
        ),
        ("", MP3, None),
    ],
    ids=["the episode's", "the podcast's", "the channel's", "a video's", "none"],
)
def test_an_episode_shows_its_cover(channel: str, item: str, cover: str | None) -> None:
    (entry,) = parse_rss(f"<title>T</title><link>https://cafe.example/12</link>{item}", channel).entries
    (attached,) = compose(entry)["attachment"]
    expected = {"type": "Image", "mediaType": "image/jpeg", "url": cover}
    assert attached.get("icon") == (expected if cover else None)
    assert attached["type"] == "Document"


def test_a_cover_that_cannot_be_shown_costs_the_player_nothing() -> None:
    entry = replace(BUNS, enclosures=(replace(AUDIO, cover=Image(OWN)),))
    (attached,) = compose(entry, pictures={OWN: None})["attachment"]
    assert attached["url"] == AUDIO.url
    assert "icon" not in attached
    (attached,) = compose(entry, pictures={OWN: Image("https://x.example/copy.png", "", "image/png")})[
        "attachment"
    ]
    assert attached["icon"] == {
        "type": "Image",
        "mediaType": "image/png",
        "url": "https://x.example/copy.png",
    }
    (attached,) = compose(replace(entry, controls=Controls(images=False)))["attachment"]
    assert "icon" not in attached


def parse_rss(item: str, channel: str = ""):
    feed = (
        '<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" '
        'xmlns:media="http://search.yahoo.com/mrss/"><channel>'
        f"<link>https://cafe.example/</link>{channel}<item>{item}</item></channel></rss>"
    )
    return parse_feed(feed.encode(), url="https://cafe.example/feed", now=NOW)


# ── what software puts around the words ──────────────────────────────────────────────────────────

OWN = f'<a href="{PAGE}">'


@pytest.mark.parametrize(
    ("html", "left"),
    [
        (f"<p>At eight.</p><p>{OWN}Weiterlesen</a></p>", "<p>At eight.</p>"),
        (f"<p>At eight... {OWN}[read more]</a></p>", "<p>At eight...</p>"),
        (f"<p>At:</p><ul><li>eight… {OWN}more</a></li></ul>", "<p>At:</p><ul><li>eight…</li></ul>"),
        (f"<p>Early.</p><p>Le billet {OWN}Fresh buns</a> est d'abord paru sur Wren.</p>", "<p>Early.</p>"),
        ('<p>Early.</p><p><a href="https://cafe.example/">Café Wren</a></p>', "<p>Early.</p>"),
        ("<p>Early, and warm […]</p>", "<p>Early, and warm…</p>"),
        (f"<p>See {OWN}my own page</a></p>", f"<p>See {OWN}my own page</a></p>"),
        (f'<p>Early.</p><p>And <a href="{PAGE}#late">late</a>.</p>', None),
        ("<p>So it went on...</p>", None),
    ],
)
def test_what_only_leads_to_the_page_is_left_out(html: str, left: str | None) -> None:
    assert content(replace(BUNS, html=html)) == TITLE + (left or html) + LINK


def test_a_table_of_contents_is_left_out_with_its_heading() -> None:
    listed = f'<ul><li><a href="{PAGE}#a">A</a><ul><li><a href="#b">B</a></li></ul></li></ul>'
    assert (
        content(replace(BUNS, html=f"<h2>Contents</h2>{listed}<p>At eight.</p>"))
        == f"{TITLE}<p>At eight.</p>{LINK}"
    )


@pytest.mark.parametrize(
    ("summary", "left"),
    [
        ("We begin at eight, or … Read More Here →", "We begin at eight, or…"),
        ("We begin … Continue reading “Fresh buns”", "We begin…"),
        ("We begin.\n\nL'articolo Fresh buns sembra essere il primo su Wren.", "We begin."),
        ("We waited… and it came", "We waited… and it came"),
    ],
)
def test_a_summary_loses_it_too(summary: str, left: str) -> None:
    assert content(replace(BUNS, html="", summary=summary)) == f"{TITLE}<p>{left}</p>{LINK}"


# ── beginnings ───────────────────────────────────────────────────────────────────────────────────


def test_a_beginning_keeps_its_lines_and_lists_and_ends_after_no_heading() -> None:
    html = f"<p>One<br>two.</p><ul><li>{'three ' * 40}.</li></ul><h2>Next?</h2>{LONG}"
    beginning = begin_html(to_note_html(html).html, 260)
    assert beginning == f"<p>One<br>two.</p><ul><li>{'three ' * 40}.</li></ul>"


def test_a_beginning_leaves_captions_and_players_out() -> None:
    picture = '<figure><img src="https://cafe.example/c.jpg"><figcaption>Photo: J.</figcaption></figure>'
    player = '<iframe src="https://player.example/e/1" title="Song"></iframe><hr>'
    assert content(replace(BUNS, html=picture + player + LONG)).startswith(f"{TITLE}<p>The oven")


def test_a_long_post_fits_into_five_hundred_characters_with_all_that_stands_around_it() -> None:
    entry = replace(BUNS, title="Buns " * 20, html=LONG, tags=("one", "two", "three"))
    assert 300 < count_characters(content(entry)) <= 500


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("We met Dr. Who at the well. We met nobody else there at all.", "We met Dr. Who at the well."),
        ("Ab dem 3. Mai gibt es Eis. Am Tag danach gibt es keines mehr.", "Ab dem 3. Mai gibt es Eis."),
        ("By J. S. Bach, of course. Nobody else could have written that.", "By J. S. Bach, of course."),
    ],
)
def test_no_sentence_ends_with_an_abbreviation(text: str, beginning: str) -> None:
    assert begin_html(f"<p>{text}</p>", 40) == f"<p>{beginning}</p>"


BLOCKS = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=60),
    lambda inner: st.builds(
        lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>",
        st.sampled_from(["p", "ul", "li", "b", "blockquote", "pre", "h2", 'a href="https://a.example/"']),
        st.lists(inner, min_size=1, max_size=5),
    ),
    max_leaves=20,
)


@unhurried
@given(st.lists(BLOCKS, min_size=1, max_size=6), st.integers(20, 300))
def test_a_beginning_is_short_whole_html_and_begins_the_text(parts: list[str], limit: int) -> None:
    note = to_note_html("".join(parts)).html
    beginning = begin_html(note, limit)
    assert clean_note(beginning) == beginning
    said, all_of_it = ("".join(plain_text(html).split()) for html in (beginning, note))
    assert len(said) <= limit + 1
    assert all_of_it.startswith(said.removesuffix("…"))


@pytest.mark.parametrize("unit", ["e\u0301", "👩🏽\u200d🚀", "🇨🇿", "ก็", "❤\ufe0f"])
@pytest.mark.parametrize("limit", [40, 41, 42, 43])
def test_a_beginning_never_ends_within_what_people_take_for_one_character(unit: str, limit: int) -> None:
    beginning = plain_text(begin_html(f"<p>{unit * 60}</p>", limit)).removesuffix("…")
    assert beginning == unit * (len(beginning) // len(unit))
