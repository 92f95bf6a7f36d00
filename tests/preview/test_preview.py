"""What `fedibridge preview` says of posts: four kinds of readers, and what may surprise their author."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from lab import Lab
from looks import NOW, Bench, bench, compose
from processes import run

from bridge.cli.richpost import to_text
from bridge.markup.as_seen_by import as_misskey, keep_as_mastodon
from bridge.model import Controls, Enclosure, Entry, Image, Visibility
from bridge.preview.page import render_page
from bridge.preview.timelines import Level, Preview, count_characters, preview

PAGE = "https://cafe.example/buns/"
BUNS = Entry(guid="buns", link=PAGE, title="Fresh buns", html="<p>At eight.</p>", published_at=NOW)
LONG = "<p>" + "The oven is warm again, and so are we. " * 40 + "</p>"


def shown(entry: Entry, *, at: Bench | None = None, **said: Any) -> Preview:
    services = at or bench(**said)
    return preview(compose(entry, at=services), entry, services.site("cafe"), now=NOW)


def remarks(entry: Entry, *, level: Level | None = None, **said: Any) -> str:
    return "\n".join(one.what for one in shown(entry, **said).remarks if level in (None, one.level))


# ── what servers make of it ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<h2 id='a'>Hi</h2>", "<p><strong>Hi</strong></p>"),
        ("<p>a<img src='https://x.example/a.jpg'>b</p>", "<p>ab</p>"),
        ("<table><tr><td>a</td></tr></table>", "a"),
        ("<a href='mailto:a@x.example'>write</a>", "write"),
        ("<a href='https://x.example/' class='mention evil u-url' onclick='x()'>a</a>",
         '<a href="https://x.example/" class="mention u-url">a</a>'),
        ("<a href='gemini://x.example/'>g</a>", '<a href="gemini://x.example/">g</a>'),
        ("<span style='x' class='invisible'>a</span>", '<span class="invisible">a</span>'),
        ("<ol start='3' reversed><li value='2' id='x'>a</li></ol>",
         '<ol start="3" reversed=""><li value="2">a</li></ol>'),
        ("<script>alert(1)</script><iframe src='https://x.example/'></iframe>", ""),
        ("<p lang='de' dir='rtl'>a</p>", '<p lang="de">a</p>'),
    ],
)  # fmt: skip
def test_mastodon_keeps_what_is_on_its_list(html: str, kept: str) -> None:
    assert keep_as_mastodon(html) == kept


@pytest.mark.parametrize(
    ("html", "markup"),
    [
        ("<h1>Hi</h1><p>a</p>", "【Hi】\n\n\na"),
        ("<p>a <b>b</b> <i>c</i> <s>d</s> <code>e</code></p>", "a **b** <i>c</i> ~~d~~ `e`"),
        ('<p><a href="https://x.example/">here</a></p>', "[here](https://x.example/)"),
        ('<p><a href="https://x.example/">https://x.example/</a></p>', "https://x.example/"),
        ('<p><a href="https://x.example/t" class="mention hashtag" rel="tag">#<span>b</span></a></p>', "#b"),
        ("<blockquote><p>a</p><p>b</p></blockquote><p>c</p>", "> ab\n\nc"),
        ("<pre><code>a\n  b</code></pre>", "```\na\n  b\n```"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<p>a<br>b</p>", "a\nb"),
        ("</a></blockquote></pre>", ""),
    ],
)
def test_misskey_turns_a_post_into_its_own_markup(html: str, markup: str) -> None:
    assert as_misskey(html) == markup


def test_threads_shows_plain_text_of_notes_and_no_articles() -> None:
    assert shown(BUNS).threads == "Fresh buns\n\nAt eight.\n\ncafe.example/buns"
    assert shown(BUNS, type_of_posts="article").threads == ""


def test_mastodon_shows_an_articles_title_summary_and_link_only() -> None:
    looked = shown(replace(BUNS, html=LONG), type_of_posts="article")
    assert looked.mastodon == f'<p><strong>Fresh buns</strong></p><p><a href="{PAGE}">{PAGE}</a></p>'
    told = shown(replace(BUNS, html=LONG, summary="Why we bake at night."), type_of_posts="article")
    assert "</strong></p><p>Why we bake at night.</p><p><a" in told.mastodon
    assert (looked.warning, told.warning) == ("", "")


def test_misskey_hides_an_article_behind_its_summary_and_shows_its_words() -> None:
    looked = shown(replace(BUNS, html=LONG), type_of_posts="article")
    told = shown(replace(BUNS, html=LONG, summary="Why we bake at night."), type_of_posts="article")
    assert (looked.misskey_warning, told.misskey_warning) == ("", "Why we bake at night.")
    assert looked.misskey.startswith(f"[Fresh buns]({PAGE})\n\nThe oven is warm again")
    assert looked.misskey.endswith(f"[cafe.example/buns]({PAGE})")
    page = render_page([told])
    assert page.count("<summary>Why we bake at night.</summary>") == 1


@pytest.mark.parametrize(
    ("html", "number"),
    [
        ("<p>Hello</p>", 5),
        ("<p>https://cafe.example/a/very/long/address/indeed/that/goes/on</p>", 23),
        ("<p>a</p><p>b</p>", 4),
        ("<p>👩</p>", 1),
    ],
)
def test_characters_are_counted_as_mastodon_does(html: str, number: int) -> None:
    assert count_characters(html) == number


# ── the card ─────────────────────────────────────────────────────────────────────────────────────


def test_the_card_is_that_of_the_first_link_that_is_no_hashtag() -> None:
    card = shown(replace(BUNS, tags=("buns",))).card
    assert card is not None
    assert (card.url, card.title, card.site, card.excerpt) == (PAGE, "Fresh buns", "Café Wren", "At eight.")


def test_the_card_of_a_link_post_is_that_of_the_other_page() -> None:
    card = shown(replace(BUNS, about="https://www.ovens.example/?a=1&b=2")).card
    assert card is not None
    assert (card.url, card.site, card.excerpt) == ("https://www.ovens.example/?a=1&b=2", "ovens.example", "")


def test_without_a_link_there_is_no_card() -> None:
    assert shown(replace(BUNS, title="", link=None, tags=("buns",))).card is None


# ── what may surprise ────────────────────────────────────────────────────────────────────────────


CAT = Image("https://cafe.example/cat.jpg", "A cat")
PHOTOS = replace(BUNS, html="", images=tuple(replace(CAT, url=f"{CAT.url}/{n}") for n in range(6)))


@pytest.mark.parametrize(
    ("entry", "said", "remark"),
    [
        (replace(BUNS, html=LONG), {"template": "full"}, "1596 characters: Mastodon folds"),
        (replace(BUNS, html="<p>" + "ü " * 60_000), {"template": "full"}, "Its text is cut off"),
        (replace(BUNS, html="<p>" + "ü " * 7_000), {"template": "full"}, "kB: beyond 50 kB servers refuse"),
        (replace(BUNS, controls=Controls(warning="Food")), {}, "Threads shows it without"),
        (replace(BUNS, controls=Controls(warning="Food " * 30)), {}, "If it was meant as a summary"),
        (replace(BUNS, controls=Controls(warning="Food", article=True)), {}, "goes out as a Note"),
        (replace(BUNS, controls=Controls(article=True)), {}, "GoToSocial hides it behind its title"),
        (replace(BUNS, html=LONG, summary="Why.", controls=Controls(article=True)), {},
         "GoToSocial hides it behind its summary, and so do Misskey"),
        (replace(BUNS, html="<p>" + "ü " * 60_000), {"type_of_posts": "article"}, "Its text is cut off"),
        (replace(BUNS, tags=tuple(f"t{n}" for n in range(11))), {}, "11 tags, of which 5 become hashtags"),
        (PHOTOS, {}, "6 pictures in it, but only 4 attached: servers show four"),
        (replace(BUNS, html="", images=(replace(CAT, alt=""),)), {}, "1 picture without a description (alt)"),
        (BUNS, {"base_url": "https://social.cafe.example", "urls": "page"}, "on another host than"),
        (replace(BUNS, title="", html="", link=None), {}, "no words at all"),
    ],
)  # fmt: skip
def test_what_followers_will_not_see_as_meant_is_a_warning(
    entry: Entry, said: dict[str, Any], remark: str
) -> None:
    assert remark in remarks(entry, level=Level.WARNING, **said)


@pytest.mark.parametrize(
    ("entry", "said", "remark"),
    [
        (replace(BUNS, controls=Controls(publish=False)), {}, "It is not sent"),
        (replace(BUNS, published_at=NOW + timedelta(days=1)), {}, "waits for its date, 21 Nov 2026"),
        (replace(BUNS, published_at=NOW - timedelta(days=15)), {}, "older than two weeks"),
        (replace(BUNS, html=LONG, images=(CAT,)), {}, "1 picture left out: Mastodon shows the link"),
        (replace(PHOTOS, controls=Controls(images=False)), {}, "6 pictures left out: the post itself"),
        (replace(BUNS, html=LONG, images=(CAT,)), {"images": "never"}, "left out: the site says so"),
        (replace(PHOTOS, enclosures=(Enclosure("https://cafe.example/a.mp3", "audio/mpeg"),)), {},
         "no player among pictures"),
        (replace(BUNS, link="https://blog.example/1"), {}, "Its page is on blog.example, not on"),
    ],
)  # fmt: skip
def test_what_is_good_to_know_is_a_note(entry: Entry, said: dict[str, Any], remark: str) -> None:
    assert remark in remarks(entry, level=Level.NOTE, **said)


def test_an_ordinary_post_has_no_remarks() -> None:
    assert remarks(replace(BUNS, tags=("buns",))) == ""


def test_an_unlisted_post_says_so() -> None:
    assert shown(replace(BUNS, controls=Controls(visibility=Visibility.UNLISTED))).visibility == "unlisted"


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_no_other_file_and_runs_nothing() -> None:
    nasty = replace(
        BUNS,
        title="<script>alert(1)</script>",
        html="<p onclick=x()>[a](javascript:x) **b** <a href='javascript:x()'>c</a></p>",
        images=(Image('https://cafe.example/a.jpg?"onerror=x()', '"><script>'),),
        controls=Controls(warning="<b>hidden</b>"),
    )
    reader = _Reader()
    reader.feed(render_page([shown(nasty, images="always"), shown(BUNS)]))
    names = [tag for tag, _ in reader.tags]
    assert {"script", "link", "iframe", "b" * 9}.isdisjoint(names)
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    addresses = [a.get("href") or a.get("src") for _, a in reader.tags if "href" in a or "src" in a]
    assert addresses
    assert all(str(address).startswith("https://") for address in addresses)


def test_the_page_shows_four_looks_of_each_post_and_its_remarks() -> None:
    page = render_page([shown(replace(PHOTOS, title="Six cats"))])
    assert page.count('<section class="look') == 4
    assert "only 4 attached" in page
    assert page.count("<figure>") == 3 * 4


# ── in a terminal ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b<br>c</p>", "a\n\nb\nc"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><p>d</p>", "• a\n• b\n  • c\n\nd"),
        ('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b"),
        ("<blockquote><p>a</p><p>b</p></blockquote><p>c</p>", "│ a\n\n│ b\n\nc"),
        ("<pre><code>a\n  b</code></pre>", "a\n  b"),
    ],
)
def test_a_post_is_readable_in_a_terminal(html: str, text: str) -> None:
    assert to_text(html).plain == text


# ── the command ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    clock.tick(datetime.now(UTC) - clock.now())  # the command goes by the real time
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "buns.md").write_text("---\ntitle: Folder buns\nfediverse: maybe\n---\nAt eight.")
    (tmp_path / "posts" / "draft.md").write_text("---\ntitle: Draft\ndraft: true\n---\nNot yet.")
    config = tmp_path / "own.toml"
    config.write_text(
        'base_url = "http://localhost:8000"\n[sites.cafe]\nhandle = "@cafe@localhost:8000"\n'
        'website = "https://cafe.example/"\nname = "Café"\n[[sites.cafe.sources]]\nfolder = "posts"\n'
    )
    return tmp_path


def test_a_feeds_entry_is_shown_before_anything_is_published(lab: Lab, tmp_path: Path) -> None:
    lab.blog.post("Fresh buns", "Some words.")
    with lab.store.read() as tx:
        before = lab.store and tx.exec_driver_sql("SELECT count(*) FROM posts").scalar()
    done = run(tmp_path / "config.toml", *lab.network.options(), "preview", "--all", "--json")
    (looked,) = json.loads(done.stdout)
    assert (looked["title"], looked["kind"]) == ("Fresh buns", "text")
    by_page = run(tmp_path / "config.toml", *lab.network.options(), "preview", looked["link"])
    assert "Mastodon" in by_page.stdout
    assert "Some words." in by_page.stdout
    with lab.store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM posts").scalar() == before == 0


def test_a_file_is_shown_with_what_is_wrong_with_it(folder: Path) -> None:
    done = ask(folder, "posts/buns.md")
    assert "Folder buns" in done.stdout
    assert "It is not sent" in done.stdout
    assert "buns.md: fediverse “maybe” is neither true nor false" in done.stderr


def test_all_posts_become_a_page(folder: Path) -> None:
    done = ask(folder, "--all", "--html", "out.html")
    assert "1 post in out.html" in done.stdout
    assert "Folder buns" in (folder / "out.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a post"),
        (["--all", "posts/buns.md"], "Name a post"),
        (["posts/draft.md"], "is not published: it is a draft"),
        (["posts/none.md"], "There is no file posts/none.md"),
        (["own.toml"], "is not in any source folder"),
        (["https://cafe.example/none"], "None of the sources has an entry whose page is"),
        (["--all", "--site", "bakery"], "There is no site 'bakery' in the config; there is: cafe"),
        (["--all", "--html", "no/such/out.html"], "no/such/out.html cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_sentence(folder: Path, arguments: list[str], said: str) -> None:
    done = ask(folder, *arguments, code=None)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def ask(folder: Path, *arguments: str, code: int | None = 0) -> CompletedProcess[str]:
    done = run(folder / "own.toml", "preview", *arguments)
    assert code is None or done.returncode == code, done.stderr
    return done
