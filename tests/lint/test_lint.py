import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lab import Lab
from loopback import Network, Reply

from bridge.changes.keys import strong_keys
from bridge.lint import RULES, Finding, Look, Severity, examine, restore, rule, store
from bridge.lint.rules import GENERATORS
from bridge.model import Answered, Entry, Harvest
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.raw import look_at

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://cafe.example/feed.xml"
GOOD_HEADERS = {"content-type": "application/rss+xml; charset=utf-8", "etag": '"1"'}
LONG = "From Thursday there is plum cake again, baked with the plums from Ada's garden. " * 10


def item(number: int = 1, **changed: str) -> str:
    """A faultless entry, but for what is changed; an empty text leaves the field out."""
    fields = {
        "title": f"Batch {number}",
        "link": f"https://cafe.example/{number}/",
        "guid": f"https://cafe.example/{number}/",
        "pubDate": f"Sun, {28 - number:02d} Feb 2026 09:00:00 +0100",
        "content:encoded": f"<![CDATA[<p>{LONG}</p>]]>",
        "more": "",
    } | changed
    more = fields.pop("more")
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items() if text)
    return f"<item>{inner}{more}</item>"


def rss(*items: str, head: str = "<title>Café</title><language>en</language>", xml: str = "") -> bytes:
    declaration = xml or '<?xml version="1.0" encoding="utf-8"?>'
    spaces = 'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    written = items or tuple(item(number) for number in range(1, 8))
    return (
        f'{declaration}<rss version="2.0" {spaces}><channel>{head}{"".join(written)}</channel></rss>'.encode()
    )


def with_fault(**changed: str) -> bytes:
    """A feed of seven entries, of which the third has a fault."""
    return rss(*(item(number, **(changed if number == 3 else {})) for number in range(1, 8)))


def look(body: bytes, *, headers: dict[str, str] | None = None, **more: object) -> Look:
    answer = Answered(200, GOOD_HEADERS if headers is None else headers, body, URL)
    harvest = parse_feed(body, url=URL, content_type=answer.headers.get("content-type"), now=NOW)
    facts: dict[str, object] = {"answer": answer, "asked": URL, "has_hub": True}
    return Look(harvest, NOW, look_at(body), **facts | more)


def broken(body: bytes, **more: object) -> dict[str, Finding]:
    """Return rule → finding."""
    return {finding.rule.id: finding for finding in examine(look(body, **more))}


# ── nothing wrong ──


def test_a_faultless_rss_feed_has_no_findings():
    assert broken(rss()) == {}


def test_a_feed_in_an_east_asian_encoding_is_well_formed():
    declared = '<?xml version="1.0" encoding="gb2312"?>'
    body = rss(xml=declared).decode().replace("Café", "咖啡").encode("gb2312")
    assert broken(body) == {}


def test_the_name_of_an_rdf_item_is_its_guid_and_html_is_allowed_in_titles_of_atom():
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
        <item rdf:about="https://cafe.example/1"><title>One</title></item></rdf:RDF>"""
    assert look_at(rdf.encode()).entries[0].guid == "https://cafe.example/1"
    atom = """<feed xmlns="http://www.w3.org/2005/Atom">
        <entry><title type="html">It&amp;#8217;s</title></entry>
        <entry><title type="html">A &amp;amp;amp; B</title></entry></feed>"""
    assert [entry.title for entry in look_at(atom.encode()).entries] == ["It’s", "A &amp; B"]


def test_a_faultless_atom_feed_has_no_findings():
    entries = "".join(
        f'<entry><id>tag:cafe.example,2026:{n}</id><title type="html">Batch {n}</title>'
        f'<link href="https://cafe.example/{n}/"/><updated>2026-02-{28 - n:02d}T09:00:00Z</updated>'
        f'<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>{LONG}</p></div></content></entry>'
        for n in range(1, 8)
    )
    body = f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>Café</title>{entries}</feed>'
    assert broken(body.encode(), headers={**GOOD_HEADERS, "content-type": "application/atom+xml"}) == {}


def test_a_faultless_json_feed_has_no_findings():
    items = [
        {
            "id": f"https://cafe.example/{n}/",
            "url": f"https://cafe.example/{n}/",
            "title": f"Batch {n}",
            "content_html": f"<p>{LONG}</p>",
            "date_published": f"2026-02-{28 - n:02d}T09:00:00Z",
            "attachments": [{"url": "https://cafe.example/a.mp3", "mime_type": "audio/mpeg"}],
        }
        for n in range(1, 8)
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "Café", "language": "en", "items": items}
    headers = {**GOOD_HEADERS, "content-type": "application/feed+json"}
    assert broken(json.dumps(feed).encode(), headers=headers) == {}


def test_a_faultless_folder_has_no_findings():
    entry = Entry("a.md", None, "Buns", '<img src="x.jpg" alt="Buns">', published_at=NOW + timedelta(days=3))
    assert examine(Look(Harvest((entry,)), NOW)) == ()


# ── each rule, once broken ──

FAULTS: dict[str, tuple[bytes, dict[str, object]]] = {
    "invalid-xml": (with_fault(title="Fish & chips"), {}),
    "duplicate-guids": (with_fault(guid="https://cafe.example/1/"), {}),
    "undeclared-encoding": (
        rss(xml='<?xml version="1.0"?>').decode().replace("Café", "Caf\xe9").encode("latin-1"),
        {"headers": {**GOOD_HEADERS, "content-type": "application/rss+xml"}},
    ),
    "wrong-content-type": (rss(), {"headers": {**GOOD_HEADERS, "content-type": "text/html; charset=utf-8"}}),
    "relative-links": (
        with_fault(**{"content:encoded": f'<![CDATA[<p><a href="/menu">{LONG}</a></p>]]>'}),
        {},
    ),
    "missing-dates": (with_fault(pubDate=""), {}),
    "future-dates": (with_fault(pubDate="Sun, 08 Mar 2026 09:00:00 +0100"), {}),
    "missing-guid": (with_fault(guid=""), {}),
    "tracking-in-guids": (with_fault(guid="https://cafe.example/3/?utm_source=rss"), {}),
    "no-link": (with_fault(link="", guid="3"), {}),
    "same-link": (with_fault(link="https://cafe.example/1/"), {}),
    "http-links": (with_fault(link="http://cafe.example/3/"), {}),
    "truncated-content": (
        rss(*(item(n, description=f"{LONG[:200]}…", **{"content:encoded": ""}) for n in range(1, 8))),
        {},
    ),
    "images-without-alt": (
        with_fault(**{"content:encoded": f'<![CDATA[<p>{LONG}</p><img src="https://cafe.example/a.jpg">]]>'}),
        {},
    ),
    "html-in-titles": (with_fault(title="&lt;b&gt;Buns&lt;/b&gt; &amp;amp; cake"), {}),
    "no-feed-title": (rss(head="<language>en</language>"), {}),
    "no-language": (rss(head="<title>Café</title>"), {}),
    "oldest-first": (rss(*(item(number) for number in range(8, 0, -1))), {}),
    "permanent-redirect": (rss(), {"moved_to": "https://new.example/feed.xml"}),
    "no-validators": (rss(), {"headers": {"content-type": "application/rss+xml"}}),
    "huge-feed": (rss(*(item(1) for _ in range(1))) + b" " * (2 * 1024 * 1024 + 1), {}),
    "relative-enclosure": (with_fault(more='<enclosure url="/a.mp3" type="audio/mpeg" length="1"/>'), {}),
    "enclosure-without-type": (with_fault(more='<enclosure url="https://cafe.example/a.mp3"/>'), {}),
    "control-characters": (with_fault(title="Buns\x0b"), {}),
    "dates-without-zone": (with_fault(pubDate="Sun, 22 Feb 2026 09:00:00"), {}),
    "too-few-entries": (rss(item(1)), {}),
    "no-hub": (rss(), {"has_hub": False}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(name):
    body, more = FAULTS[name]
    found = broken(body, **more)
    assert name in found
    assert found[name].count == len(found[name].where) or found[name].count > 5


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"invalid-xml", "control-characters", "huge-feed"}))
def test_a_fault_is_no_other(name):
    body, more = FAULTS[name]
    # Two rules may be broken by one fault: an entry without a date has no place in the order, and so on.
    expected = {"undeclared-encoding": {"invalid-xml"}}.get(name, set())
    assert broken(body, **more).keys() - expected == {name}


def test_several_redirects_are_a_chain():
    answer = Answered(200, GOOD_HEADERS, rss(), "https://c.example/", hops=2)
    assert "redirect-chain" in broken(rss(), answer=answer)
    one = Answered(200, GOOD_HEADERS, rss(), "https://c.example/", hops=1)
    assert "redirect-chain" not in broken(rss(), answer=one)


def test_guids_that_change_between_polls_are_found():
    before = parse_feed(rss(), url=URL, now=NOW)
    known = frozenset(key for entry in before.entries for key in strong_keys(entry))
    assert broken(rss(), known=known) == {}
    after = rss(*(item(number, guid=f"build-4711-{number}") for number in range(1, 8)))
    assert broken(after, known=known)["changing-guids"].count == 7


def test_new_entries_are_no_changed_guids():
    known = frozenset({"guid:cafe.example/1", "link:cafe.example/1"})
    assert broken(rss(), known=known) == {}


def test_every_rule_is_tried_by_these_tests():
    assert {one.id for one in RULES} == FAULTS.keys() | {"redirect-chain", "changing-guids"}


# ── what is not wrong ──


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://cafe.example/a.jpg" alt="Buns on a tray">',
        "<img alt='Buns' src='https://cafe.example/a.jpg'>",
        "<img alt=Buns src=https://cafe.example/a.jpg>",
        '<img src="https://cafe.example/pixel.gif" width="1" height="1">',
        '<img src="https://cafe.example/line.png" aria-hidden="true">',
    ],
)
def test_described_and_invisible_pictures_are_fine(html):
    assert broken(with_fault(**{"content:encoded": f"<![CDATA[{LONG}{html}]]>"})) == {}


def test_a_picture_with_an_empty_alt_is_not_described():
    html = '<img src="https://cafe.example/a.jpg" alt="">'
    assert "images-without-alt" in broken(with_fault(**{"content:encoded": f"<![CDATA[{LONG}{html}]]>"}))


@pytest.mark.parametrize(
    "address", ["#fn1", "https://cafe.example/", "//cafe.example/", "mailto:a@b.example"]
)
def test_footnotes_and_whole_addresses_are_not_relative(address):
    html = f'<a href="{address}">x</a>'
    assert broken(with_fault(**{"content:encoded": f"<![CDATA[{LONG}{html}]]>"})) == {}


def test_relative_links_with_a_base_are_fine():
    entries = "".join(
        f'<entry xml:base="https://cafe.example/"><id>{n}</id><title>B</title><link href="https://x.example/{n}"/>'
        f"<updated>2026-02-0{n}T09:00:00Z</updated>"
        '<content type="html">&lt;a href="a">x&lt;/a></content></entry>'
        for n in range(1, 8)
    )
    body = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>C</title>{entries}</feed>'.encode()
    assert "relative-links" not in broken(body)
    assert "relative-links" in broken(body.replace(b"xml:base", b"base"))


def test_short_notes_without_titles_are_not_cut_short():
    notes = (item(n, title="", description="Buns …", **{"content:encoded": ""}) for n in range(1, 8))
    assert broken(rss(*notes)) == {}


def test_one_post_that_ends_in_dots_is_not_a_truncated_feed():
    assert broken(with_fault(**{"content:encoded": "<![CDATA[<p>And then …</p>]]>"})) == {}


def test_what_stands_after_a_break_in_the_xml_is_not_blamed():
    found = broken(with_fault(title="Fish & chips"))
    assert found.keys() == {"invalid-xml"}
    assert found["invalid-xml"].where == ("line 1: not well-formed (invalid token)",)


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"{", b"[]", b"null", b"<", b"<rss><channel><item>", b"\xff\xfe<"]
)
def test_bytes_that_are_no_feed_are_looked_at_without_an_error(body):
    assert look_at(body).entries == []


@pytest.mark.parametrize(
    "pump", ["<img ", "<img alt", 'href="', "href=", "&lt;", "<a ", "…", "?utm_", " 2026", 'alt="', "="]
)
def test_no_rule_can_be_made_slow(pump):
    text = pump * (100_000 // len(pump))
    body = with_fault(**{"content:encoded": f"<![CDATA[{text}]]>", "title": f"<![CDATA[{text}]]>"})
    seen = look(body)
    began = datetime.now(UTC)
    examine(seen)
    assert datetime.now(UTC) - began < timedelta(seconds=2)


# ── how it is kept and said ──


def test_findings_are_stored_small_and_read_back():
    found = examine(look(rss(*(item(n, guid="") for n in range(1, 90)))))
    stored = json.loads(json.dumps(store(found)))
    assert restore(stored) == found
    (missing,) = [finding for finding in found if finding.rule.id == "missing-guid"]
    assert (missing.count, len(missing.where)) == (89, 5)


def test_a_finding_of_a_rule_that_is_no_more_is_left_out():
    assert restore([["a-rule-of-last-year", 1, ["x"]]]) == ()
    assert restore(None) == ()


def test_the_gravest_comes_first():
    body = rss(item(1, guid="x", pubDate=""), item(2, guid="x"))
    ranks = [finding.rule.severity.rank for finding in examine(look(body))]
    assert ranks == sorted(ranks)
    assert ranks[0] == Severity.ERROR.rank


def test_the_fix_fits_the_generator_that_made_the_feed():
    language = rule("no-language")
    assert language is not None
    assert language.fix_for("Hugo 0.152.0") == "Set `languageCode`."
    assert language.fix_for("Something else") == language.fix


def test_rules_have_ids_of_their_own_and_sentences():
    assert len({one.id for one in RULES}) == len(RULES)
    for one in RULES:
        assert all(text.endswith((".", ">", "`.", "”.", "md.")) for text in (one.what, one.why)), one.id
        assert one.fixes.keys() <= set(GENERATORS), one.id


# ── the command ──


def lint(
    *arguments: object, network: Network | None = None, folder: Path
) -> subprocess.CompletedProcess[str]:
    options = network.options() if network else []
    command = [sys.executable, "-m", "bridge", *options, "lint", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def test_a_file_is_linted_without_any_config(tmp_path):
    (tmp_path / "feed.xml").write_bytes(with_fault(guid="https://cafe.example/1/"))
    ran = lint("feed.xml", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "ERROR duplicate-guids: Several entries have the same guid." in ran.stdout
    assert lint("feed.xml", "--strict", folder=tmp_path).returncode == 1


def test_what_is_no_feed_is_said_in_a_sentence(tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><html><body>Hello</body></html>")
    ran = lint("page.html", folder=tmp_path)
    assert ran.returncode == 1
    assert "an HTML page, not a feed" in ran.stdout
    assert "Traceback" not in ran.stderr
    assert lint("none.xml", folder=tmp_path).returncode == 1


def test_a_post_and_a_folder_of_posts_are_linted_without_any_config(tmp_path):
    (tmp_path / "bun.jpg").write_bytes(b"")
    (tmp_path / "bun.md").write_text("---\ndate: 2026-05-01\n---\n![](bun.jpg)")
    (tmp_path / "tea.md").write_text("---\ndate: May\n---\n![](tea.jpg)")
    (tmp_path / "draft.md").write_text("---\ndraft: true\n---\nx")
    ran = lint("bun.md", folder=tmp_path)
    assert (ran.returncode, ran.stdout.count("images-without-alt")) == (0, 1), ran.stderr
    assert "tea" not in ran.stdout
    assert "! tea.md: date “May” is not a date the bridge can read." in lint(".", folder=tmp_path).stdout
    assert "is not published" in lint("draft.md", folder=tmp_path).stdout
    assert "There is no file" in lint("lost.md", folder=tmp_path).stdout


def test_a_post_is_linted_in_the_dialect_that_its_site_or_its_owner_says(tmp_path):
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "bun.md").write_text("Title: Bun\nDate: 2026-05-01\n\nx")
    (tmp_path / "pelicanconf.py").write_text("DEFAULT_METADATA = {'status': 'draft'}")
    assert "is not published" in lint("posts/bun.md", folder=tmp_path).stdout
    source = '[[sites.cafe.sources]]\nfolder = "posts"\ndialect = "commonmark"\n'
    site = '[sites.cafe]\nhandle = "@cafe@cafe.example"\nwebsite = "https://cafe.example/"\nname = "Café"\n'
    (tmp_path / "config.toml").write_text(f'base_url = "https://cafe.example"\n{site}{source}')
    assert "posts/bun.md: 1 entry" in lint("posts/bun.md", folder=tmp_path).stdout


def test_a_feed_on_the_web_is_fetched_twice_to_see_whether_its_guids_stay(tmp_path):
    builds: list[int] = []

    async def answer(_: object) -> Reply:
        builds.append(1)
        body = rss(*(item(n, guid=f"{len(builds)}-{n}") for n in range(1, 8)))
        return Reply(200, body, {"Content-Type": "application/rss+xml", "ETag": '"x"'})

    with Network(2) as network:
        host = network.host("blog.example", answer)
        ran = lint(f"{host.url}/feed.xml", "--json", network=network, folder=tmp_path)
    (report,) = json.loads(ran.stdout)
    found = {finding["rule"]: finding for finding in report["findings"]}
    assert found["changing-guids"]["count"] == 7
    assert found.keys() == {"changing-guids", "no-hub"}


# ── after every poll ──


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def test_findings_are_stored_after_a_poll_and_stay_while_nothing_changes(lab):
    lab.blog.post("A post")
    lab.poll()
    found = {finding.rule.id for finding in restore(lab.source().findings)}
    assert {"no-language", "missing-dates", "http-links", "no-hub"} <= found
    lab.poll()
    assert {finding.rule.id for finding in restore(lab.source().findings)} == found
    lab.blog.items[0].date = lab.clock.now()
    lab.poll()
    assert "missing-dates" not in {finding.rule.id for finding in restore(lab.source().findings)}


def test_a_feed_that_has_moved_for_good_is_a_finding_as_long_as_the_config_names_the_old_address(lab):
    lab.blog.post("A post")
    lab.blog.moved_to = "/new.xml"
    for title in ("Before", "After"):
        lab.blog.post(title)
        lab.poll()
        assert "permanent-redirect" in {finding.rule.id for finding in restore(lab.source().findings)}


def test_guids_that_change_are_noticed_by_the_poll_that_sees_them(lab):
    lab.blog.post("A post")
    lab.poll()
    lab.blog.raw = lab.blog._rss().replace(b"<guid>", b"<guid>build-2-")
    lab.poll()
    assert "changing-guids" in {finding.rule.id for finding in restore(lab.source().findings)}
    assert len(lab.posts()) == 1
