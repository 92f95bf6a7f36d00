"""An odd address or date beside a good entry, on the whole way: poll, page asking, preview and lint."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from lab import Lab
from processes import run
from spellings import DATES, URLS

from bridge.cli.preview import _preview
from bridge.model import Entry, PostState
from bridge.poll.missing_pages import PageAsker

WORST = (
    *(
        "https://cafe.example:8o80/p",
        "https://cafe.example:99999/p",
        "//host:port/x",
        "http://[::1/p",
        "http:///x",
    ),
    *(
        "http://[v1.x]/p",
        "http://℀.example/p",
        "https://cafe.example/%00",
        "data:,x",
        "https://cafe.example/\x07",
    ),
    *("https://a.b@c@d:e/", "https://" + "a" * 300 + ".example/"),
)
SAFE = [one for one in (*URLS, *DATES) if len(one) <= 3000 and one.isprintable()]


@pytest.fixture
def lab(make_services, clock, database: str) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        lab.blog.post("Here before us")
        lab.poll()
        yield lab


def feed(*items: str, head: str = "") -> bytes:
    atom = 'xmlns:atom="http://www.w3.org/2005/Atom"'
    return (
        f'<rss version="2.0" {atom}><channel><title>x</title>{head}{"".join(items)}</channel></rss>'.encode()
    )


def item(title: str, link: str, date: str = "", guid: str = "") -> str:
    enclosure = f'<enclosure url={quoteattr(link)} length={quoteattr(link)} type="image/png"/>'
    named = f"<guid>{escape(guid or title)}</guid><pubDate>{escape(date)}</pubDate>"
    return f"<item><title>{title}</title><link>{escape(link)}</link>{named}{enclosure}</item>"


def test_the_good_entry_beside_an_odd_one_is_published(lab: Lab) -> None:
    for number, (url, date) in enumerate(zip(WORST, DATES[:: len(DATES) // len(WORST)], strict=False)):
        good, odd = item(f"Good {number}", f"/good/{number}"), item(f"Odd {number}", url, date)
        links = f'<atom:link rel="hub" href={quoteattr(url)}/><atom:link rel="self" href={quoteattr(url)}/>'
        lab.blog.raw = feed(good, odd, head=links)
        lab.poll()
        assert lab.source().error is None
        assert f"Good {number}" in " ".join(post.note["content"] for post in lab.posts())


def test_an_odd_link_is_named_to_the_owner_and_the_post_leads_to_the_bridge(lab: Lab) -> None:
    lab.blog.raw = feed(item("Odd", "https://cafe.example:8o80/p"), item("Good", "/good"))
    lab.poll()
    said = {problem.where: problem.what for problem in lab.source().problems}
    assert said["entry 1 “Odd”"] == "its link “https://cafe.example:8o80/p” is not a web address."
    odd = next(post for post in lab.posts() if "Odd" in post.note["content"])
    assert (odd.state, odd.page_url, odd.note["url"]) == (PostState.PUBLISHED, None, lab.ids.page(odd.id))


def test_every_odd_spelling_in_one_feed_is_held_and_then_looked_for_without_trouble(lab: Lab) -> None:
    late = format_datetime(lab.clock.now())
    odd = [item(f"Odd {n}", x, late if n % 2 else x, guid=x) for n, x in enumerate(SAFE)]
    lab.blog.raw = feed(item("Good", "/good", late), *odd)
    lab.poll()
    assert lab.source().error is None
    with lab.store.read() as tx:
        found = {row[0] for row in tx.exec_driver_sql("SELECT state FROM posts").all()}
    assert found == {PostState.BASELINE, PostState.HELD}
    lab.blog.raw = feed(item("Good", "/good", late), item("Old", "/old", "Mon, 01 Jan 2024 10:00:00 GMT"))
    for _ in range(3):
        lab.wait(hours=13)
        lab.poll()
        lab.run(PageAsker(lab.services, lab.client).run(lab.stop))
    assert lab.source().error is None or "entries" in lab.source().error


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", WORST[:8])
def test_preview_and_lint_show_the_good_entry_beside_an_odd_one(
    make_services, clock, tmp_path: Path, url: str
) -> None:
    clock.tick(datetime.now(UTC) - clock.now())  # the commands go by the real time
    with Lab(make_services, clock) as lab:
        lab.blog.raw = feed(item("Odd", url, "0000-00-00"), item("Good", "/good"))
        reach, config = lab.network.options(), tmp_path / "config.toml"
        shown = run(config, *reach, "preview", "--all")
        page = run(config, *reach, "preview", "--all", "--html", str(tmp_path / "out.html"))
        examined = run(config, *reach, "lint", "--all")
    for done in (shown, page, examined):
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "Good" in shown.stdout
    assert "Good" in (tmp_path / "out.html").read_text()


def test_a_folder_with_an_odd_file_is_previewed_and_examined(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(
        'base_url = "http://localhost:8000"\n[sites.cafe]\nhandle = "@cafe@localhost:8000"\n'
        'website = "https://cafe.example/"\nname = "Café"\n[[sites.cafe.sources]]\nfolder = "posts"\n'
    )
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "good.md").write_text("---\ntitle: Good\ndate: 2026-05-01\n---\nWords.")
    for number, url in enumerate(WORST):
        fields = "".join(f"{name}: {url!a}\n" for name in ("permalink", "image", "external_url", "date"))
        (tmp_path / "posts" / f"odd{number}.md").write_text(f"---\ntitle: Odd\n{fields}---\n[x](<{url}>)")
    for arguments in (("preview", "--all"), ("lint", "--all"), ("lint", "posts")):
        done = run(config, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "Good" in run(config, "preview", "--all").stdout


def test_an_entry_that_cannot_be_shown_is_a_sentence_and_the_others_are_shown(services) -> None:
    problems: list[str] = []
    broken, good = (
        Entry(guid="x", link=None, title="Odd", html=None),
        Entry(guid="y", link=None, title="Good"),
    )
    shown = [_preview(services, "cafe", entry, problems) for entry in (broken, good)]
    assert [one and one.title for one in shown] == [None, "Good"]
    assert problems[0].startswith("“Odd” cannot be shown (")
