"""Feeds become entries; anything else becomes a sentence."""

import contextlib
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA, SHARED

from bridge.errors import NotAFeed
from bridge.markup.html import to_note_html
from bridge.model import Harvest
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.sniff import MAX_ENTRIES
from bridge.sources.fields import language_tag

NOW = datetime(2026, 11, 1, tzinfo=UTC)
URL = "https://harbour.test/feed.xml"
FEEDS = DATA / "feeds"
ARCHIVES = SHARED / "feeds"


def read(body: bytes | str, content_type: str | None = None, url: str = URL) -> Harvest:
    return parse_feed(
        body.encode() if isinstance(body, str) else body, url=url, content_type=content_type, now=NOW
    )


def rss(items: str, root: str = 'rss version="2.0"') -> str:
    return f"<{root}><channel><title>T</title>{items}</channel></{root.split()[0]}>"


@pytest.fixture(scope="module")
def harbour() -> Harvest:
    return read((FEEDS / "rss2.xml").read_bytes())


def test_an_rss_item_yields_every_field(harbour: Harvest) -> None:
    fish = harbour.entries[0]
    assert harbour.title == "The Harbour & Co"
    assert harbour.language == "en-GB"
    assert fish.guid == "harbour-17"
    assert fish.link == "https://harbour.test/2026/fish/?a=1&b=2"
    assert fish.title == "Fish & chips tonight"
    assert fish.summary == "Short and plain."
    assert fish.published_at == datetime(2026, 5, 1, 16, 30, tzinfo=UTC)
    assert fish.updated_at is None
    assert fish.tags == ("food", "evening")
    assert fish.language == "en-GB"


def test_links_and_pictures_in_content_are_made_absolute_against_the_page(harbour: Harvest) -> None:
    html = harbour.entries[0].html
    assert 'href="https://harbour.test/menu"' in html
    assert 'src="https://harbour.test/2026/fish/plate.jpg"' in html


def test_the_widest_size_of_a_picture_is_kept_and_the_authors_face_is_not(harbour: Harvest) -> None:
    assert [(i.url, i.width) for i in harbour.entries[0].images] == [
        ("https://harbour.test/pics/small.jpg?w=900", 900)
    ]


def test_a_podcast_episode_has_its_file_and_cover_but_no_link(harbour: Harvest) -> None:
    episode = harbour.entries[1]
    assert episode.link is None
    assert [(e.url, e.media_type, e.length) for e in episode.enclosures] == [
        ("https://cdn.harbour.test/3.mp3", "audio/mpeg", 1234)
    ]
    assert [i.url for i in episode.images] == ["https://cdn.harbour.test/3.png"]


def test_a_description_without_tags_keeps_its_paragraphs(harbour: Harvest) -> None:
    assert to_note_html(harbour.entries[1].html).html == "<p>First line.</p><p>Second &lt;3.</p>"


def test_a_date_nobody_can_read_or_believe_is_none(harbour: Harvest) -> None:
    assert harbour.entries[1].published_at is None
    assert harbour.entries[3].published_at is None


def test_a_permalink_guid_stands_in_for_a_missing_link_and_a_word_does_not(harbour: Harvest) -> None:
    assert harbour.entries[2].link == "https://harbour.test/permalink"
    assert harbour.entries[3].link is None


def test_dublin_core_dates_count_as_published(harbour: Harvest) -> None:
    assert harbour.entries[2].published_at == datetime(2026, 4, 1, tzinfo=UTC)


def test_an_item_with_nothing_in_it_is_a_problem_and_the_others_stay(harbour: Harvest) -> None:
    assert len(harbour.entries) == 4
    assert [p.where for p in harbour.problems] == ["entry 5"]


def test_a_line_break_in_xhtml_is_one_line_break() -> None:
    content = '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>A<br/>B</p></div></content>'
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id>{content}</entry></feed>'
    assert read(feed).entries[0].html == "<p>A<br>B</p>"


def test_an_atom_entry_yields_every_field() -> None:
    first, second = read((FEEDS / "atom.xml").read_bytes(), url="https://berg.test/feed").entries
    assert first.guid == "tag:berg.test,2026:1"
    assert first.title == "Ein <b> ist ein Tag"
    assert first.link == "https://berg.test/blog/eins/"
    assert 'href="https://berg.test/blog/zwei/"' in first.html
    assert first.summary == "Kurz."
    assert first.published_at == datetime(2026, 5, 1, 8, tzinfo=UTC)
    assert first.updated_at == datetime(2026, 5, 2, 8, tzinfo=UTC)
    assert first.tags == ("Wandern",)
    assert first.language == "de"
    assert (second.title, second.language, second.link) == ("Deux", "fr", "https://berg.test/blog/deux/")
    assert second.published_at == second.updated_at == datetime(2026, 5, 3, 10, tzinfo=UTC)
    assert to_note_html(second.html).html == "<p>Un <em>deux</em> trois.</p>"


def test_an_rdf_item_is_read() -> None:
    (book,) = read((FEEDS / "rdf.xml").read_bytes()).entries
    assert (book.guid, book.link, book.tags) == ("https://lib.test/b/1", "https://lib.test/b/1", ("books",))
    assert book.published_at == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "nothing at all"),
        (b" \n\t", "nothing at all"),
        (b"\xef\xbb\xbf", "nothing at all"),
        (b"<!DOCTYPE html><html><body>It works!</body></html>", "an HTML page"),
        (b"<!-- rss --><?php ?>\n<HTML>", "an HTML page"),
        (b"<opml version='2.0'><body/></opml>", "an OPML list"),
        (b"<urlset xmlns='x'><url/></urlset>", "a sitemap"),
        (b"<note>x</note>", "an XML document that starts with <note>"),
        (b"Service unavailable", "plain text"),
        (b"\x1f\x8b\x08\x00junk", "compressed bytes"),
        (b"null", "null"),
        (b"[]", "a list"),
        (b"{}", "names no JSON Feed version"),
        (b'{"version": 1}', "names no JSON Feed version"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": [', "broken or cut off"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "broken or cut off"),
        (b"<rss version='2.0'><channel><item><title>One</title></item><item><tit", "cut off"),
        ("<rss version='2.0'><channel><item><title>Zwei".encode("utf-16"), "cut off"),
    ],
)
def test_what_is_no_feed_is_named_with_its_address(body: bytes, expected: str) -> None:
    with pytest.raises(NotAFeed) as error:
        read(body)
    assert expected in str(error.value)
    assert URL in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_declared_entities_are_refused_in_every_encoding(encoding: str) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + rss("<item><title>&b;</title></item>")
    with pytest.raises(NotAFeed, match="ENTITY"):
        read(bomb.encode(encoding))


def test_an_article_about_entities_is_not_refused() -> None:
    text = "<item><title>XXE</title><description>&lt;!DOCTYPE x [ &lt;!ENTITY</description></item>"
    assert read(rss(text)).entries[0].title == "XXE"


def test_an_external_entity_never_reads_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    with pytest.raises(NotAFeed):
        read(f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]>' + rss("<item><title>&x;</title></item>"))


def test_bytes_that_are_a_file_name_are_not_opened() -> None:
    with pytest.raises(NotAFeed, match="plain text"):
        read(b"/etc/hostname")


def test_a_valid_feed_without_items_is_an_empty_harvest() -> None:
    assert read(rss("")).entries == ()


def test_an_undeclared_entity_costs_a_problem_and_no_entry() -> None:
    harvest = read(rss("<item><title>caf&eacute; &nbsp;x</title></item>"))
    assert harvest.entries[0].title == "café x"
    assert "not quite a valid feed" in harvest.problems[0].what


def test_a_feed_that_ends_well_after_a_mistake_is_taken() -> None:
    assert len(read(rss("<item><title>a & b</title></item><item><title>c</b></title></item>")).entries) == 2


@pytest.mark.parametrize(
    ("encoding", "label", "content_type"),
    [
        ("utf-8", "utf-8", "text/xml"),
        ("utf-8", "utf-8", "text/xml; charset=iso-8859-1"),
        ("utf-8", "iso-8859-1", "application/rss+xml; charset=UTF-8"),
        ("iso-8859-1", "iso-8859-1", "text/xml"),
        ("iso-8859-1", "utf-8", "application/xml; charset=iso-8859-1"),
        ("utf-16", "utf-16", "application/xml"),
        ("windows-1251", "windows-1251", None),
    ],
)
def test_the_encoding_is_found(encoding: str, label: str, content_type: str | None) -> None:
    word = "вода" if encoding == "windows-1251" else "Käsespätzle"
    body = f'<?xml version="1.0" encoding="{label}"?>' + rss(f"<item><title>{word}</title></item>")
    harvest = read(body.encode(encoding), content_type)
    assert harvest.entries[0].title == word
    assert harvest.problems == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-05-01T10:00:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("Fri, 1 May 2026 10:00:00 EST", datetime(2026, 5, 1, 15, tzinfo=UTC)),
        ("May 1, 2026", datetime(2026, 5, 1, tzinfo=UTC)),
        ("01.05.2026", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01 10:00:00 +0200", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("2999-01-01T00:00:00Z", None),
        ("9" * 400, None),
    ],
)
def test_odd_dates_are_read_or_none(written: str, expected: datetime | None) -> None:
    item = f"<item><title>x</title><pubDate>{written}</pubDate></item>"
    assert read(rss(item)).entries[0].published_at == expected


def test_control_characters_and_lone_surrogates_never_come_through() -> None:
    (entry,) = read(rss("<item><title>a\x00b&#1;c&#xD800;d\u202ee</title><guid>\x07g</guid></item>")).entries
    assert entry.title == "abcde"
    assert entry.guid == "g"


def test_a_title_that_nobody_can_see_is_no_title() -> None:
    (entry,) = read(rss("<item><title>\u200b\u2060\ufeff</title><link>https://x.test/</link></item>")).entries
    assert entry.title == ""


def test_long_titles_and_many_tags_are_capped() -> None:
    tags = "".join(f"<category>t{n}</category>" for n in range(50))
    (entry,) = read(rss(f"<item><title>{'long ' * 400}</title>{tags}</item>")).entries
    assert len(entry.title) <= 500
    assert len(entry.tags) == 20


def test_a_huge_feed_is_read_up_to_the_cap_and_says_so() -> None:
    items = "".join(f"<item><guid>{n}</guid><title>{n}</title></item>" for n in range(MAX_ENTRIES + 100))
    harvest = read(rss(items))
    assert len(harvest.entries) == MAX_ENTRIES
    assert "5100 entries" in harvest.problems[0].what


def test_long_authors_cost_no_time() -> None:
    names = ("author", "dc:creator", "managingEditor")
    people = "".join(f"<{name}>{'a.a' * 20_000}</{name}>" for name in names)
    started = time.process_time()
    harvest = read(rss(f"<item><title>x</title>{people}<link>https://x.test/</link></item>"))
    read(rss(f"<item><title>x</title>{'<author>' * 50_000}</item>"))
    assert time.process_time() - started < 3
    assert harvest.entries[0].link == "https://x.test/"


def test_empty_and_unclosed_authors_cost_no_entry() -> None:
    long = "y" * 2000
    items = f"<item><author/><title>{long}</title></item><item><author>me<title>{long}</title></item>"
    assert len(read(rss(items + "<item><title>z</title><author>me</author></item>")).entries) == 3


def test_a_json_body_is_recognised_whatever_the_content_type() -> None:
    assert read((FEEDS / "feed.json").read_bytes(), "text/html").title == "Pond"


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300), st.text(alphabet="<>/!?[]&;#x rsitemfd'\"=-", max_size=200).map(str.encode)
    )
)
def test_any_bytes_are_a_feed_or_not_a_feed(body: bytes) -> None:
    for wrapped in (
        body,
        b"<rss version='2.0'><channel><item><title>" + body + b"</title></item></channel></rss>",
    ):
        with contextlib.suppress(NotAFeed):
            read(wrapped)


# ── what other people's services did to it ───────────────────────────────────────────────────────

FEEDBURNER = 'rss version="2.0" xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"'
PROXY = "http://feedproxy.google.com/~r/harbour/~3/abc/"


@pytest.mark.parametrize(
    "item",
    [
        f"<link>{PROXY}</link><feedburner:origLink>https://harbour.test/fish</feedburner:origLink>",
        f"<link>{PROXY}</link><guid>https://harbour.test/fish</guid>",
        "<link>http://feeds.harbour.test/click.phdo?i=1</link><guid>https://harbour.test/fish</guid>",
        "<link>https://harbour.test/fish?utm_source=rss&amp;utm_medium=feed</link>",
        "<link>https://harbour.test/fish?source=rss-b1---2</link>",
    ],
)
def test_an_entry_leads_to_its_own_page_and_past_no_counter(item: str) -> None:
    (entry,) = read(rss(f"<item><title>Fish</title>{item}</item>", FEEDBURNER)).entries
    assert (entry.link, entry.about) == ("https://harbour.test/fish", None)


def test_a_counted_link_is_better_than_none_and_own_parameters_stay() -> None:
    items = (
        f"<item><link>{PROXY}</link></item><item><link>https://harbour.test/?p=3&amp;utm_id=1#a</link></item>"
    )
    assert [entry.link for entry in read(rss(items)).entries] == [PROXY, "https://harbour.test/?p=3#a"]


CONTENT = 'rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"'
FORM = '<form action="https://harbour.test/wp-login.php?action=postpass" class="post-password-form"></form>'


@pytest.mark.parametrize(
    "item",
    [
        "<description>There is no excerpt because this is a protected post.</description>",
        f"<content:encoded><![CDATA[{FORM}]]></content:encoded>",
    ],
)
def test_a_post_behind_a_password_is_not_published(item: str) -> None:
    harvest = read(rss(f"<item><title>Protected: Fish</title>{item}</item>", CONTENT))
    assert [entry.wanted for entry in harvest.entries] == [False]
    assert harvest.problems[0].what == "is protected by a password, and stays off the fediverse."


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("&amp;lt;p class=&quot;a&quot;&amp;gt;Cod&amp;lt;/p&amp;gt;", "<p>Cod</p>"),
        ("&lt;![CDATA[Cod]]&gt;", "<p>Cod</p>"),
        ("Cod&amp;lt;br /&amp;gt;Eel", "<p>Cod<br>Eel</p>"),
        (
            "&amp;lt;a href=&quot;https://a.test/&quot;&amp;gt;A&amp;lt;/a&amp;gt;",
            '<p><a href="https://a.test/">A</a></p>',
        ),
        ("Use &amp;lt;p&amp;gt; for that", "<p>Use &lt;p&gt; for that</p>"),
    ],
)
def test_html_that_was_escaped_too_often_is_html(written: str, shown: str) -> None:
    (entry,) = read(rss(f"<item><title>F</title><description>{written}</description></item>")).entries
    assert to_note_html(entry.html).html == shown


def test_atom_text_that_is_html_throughout_is_html() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><title>F</title>
        <content>&lt;div&gt;&lt;p&gt;Cod&lt;/p&gt;&lt;/div&gt;</content></entry></feed>"""
    assert to_note_html(read(atom).entries[0].html).html == "<p>Cod</p>"


def test_the_content_counts_even_where_the_description_is_longer_to_write() -> None:
    item = """<item><title>F</title><description>Ask Ann&amp;#8230;&amp;#8230;&amp;#8230;</description>
        <content:encoded><![CDATA[<p>Ask Ann, please.</p>]]></content:encoded></item>"""
    assert to_note_html(read(rss(item, CONTENT)).entries[0].html).html == "<p>Ask Ann, please.</p>"


@pytest.mark.parametrize(
    ("title", "text", "read_as"),
    [
        ("Ãœber Wasser", "KÃ¤lte – wir spÃ¼ren sie", "Über Wasser: Kälte – wir spüren sie"),
        ("Weâ€™re here", "At last.", "We’re here: At last."),
        ("Ð¡Ð½ÐµÐ³", "Ð·Ð¸Ð¼Ð°", "Снег: зима"),
        ("æ—¥æœ¬èªž", "äº¬éƒ½", "日本語: 京都"),
        ("La Roma Ã¨ forte", "Des WeiÃŸen Adlers.", "La Roma è forte: Des Weißen Adlers."),
        ("Ãœber", "Richtig: Käse, naïve, œuvre, “so”.", "Über: Richtig: Käse, naïve, œuvre, “so”."),
        ("Caf√©", "Na√Øve.", "Café: Naïve."),
        ("Å", "Å er en by. «CAFÉ», sier de.", "Å: Å er en by. «CAFÉ», sier de."),
        ("SÃO PAULO", "AÇÃO. L’ÎLE, ÂNE! Ð is a letter.", "SÃO PAULO: AÇÃO. L’ÎLE, ÂNE! Ð is a letter."),
    ],
)
def test_characters_that_were_decoded_wrongly_before_are_mended(title: str, text: str, read_as: str) -> None:
    (entry,) = read(rss(f"<item><title>{title}</title><description>{text}</description></item>")).entries
    assert f"{entry.title}: {to_note_html(entry.html).text}" == read_as


def test_tags_that_were_decoded_wrongly_are_mended() -> None:
    item = "<item><title>F</title><category>KÃ¤lte</category></item>"
    assert read(rss(item)).entries[0].tags == ("Kälte",)


def unpacked(name: str, target: Path) -> Path:
    archive = ARCHIVES / f"{name}.tar.xz"
    if not archive.exists():
        pytest.skip(
            f"{archive} is not here: it holds other people's feeds, which are not part of this project"
        )
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target


def test_hostile_feeds_end_quickly_in_entries_or_not_a_feed(tmp_path: Path) -> None:
    folder = unpacked("nasty", tmp_path)
    files = [path for path in folder.rglob("*.*") if path.suffix != ".csv" and ".gz" not in path.suffixes]
    assert len(files) > 200
    for path in files:
        started = time.process_time()
        with path.open("rb") as file:
            body = file.read(10_000_000)
        try:
            harvest = read(body)
        except NotAFeed:
            continue
        for entry in harvest.entries[:200]:
            assert "\x00" not in entry.title + entry.html
            assert "<script" not in to_note_html(entry.html, base=entry.link).html
        assert time.process_time() - started < 5, path.name


DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
RDF = 'xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'


@pytest.mark.parametrize(
    ("feed", "languages"),
    [
        (f"""<rss {DC}><channel><language>en</language><item><title>a</title>
             <dc:language>de</dc:language></item><item><title>b</title></item>
             <item xml:lang="pt-br"><title>c</title></item></channel></rss>""",
         ["de", "en", "pt-BR"]),
        (f"""<rss {DC}><channel><item><title>a</title><dc:language>de_AT</dc:language></item>
             <item><title>b</title></item><item><title>c</title><dc:language>und</dc:language></item>
             <item><title>d</title><dc:language>German, mostly</dc:language></item></channel></rss>""",
         ["de-AT", None, "", ""]),
        (f"""<rss {DC} xml:lang="en"><channel><item><title>a</title><dc:language>de</dc:language>
             <description>x</description></item></channel></rss>""",
         ["de"]),
        ("""<feed xmlns="http://www.w3.org/2005/Atom"><entry xml:lang="de"><id>1</id><title>a</title></entry>
            <entry><id>2</id><title>b</title><content xml:lang="fr">x</content></entry>
            <entry><id>3</id><title>c</title></entry></feed>""",
         ["de", "fr", None]),
        (f"""<rdf:RDF {RDF} {DC}><channel><title>x</title><dc:language>en</dc:language></channel>
             <item rdf:about="a"><title>a</title><link>/a</link><dc:language>ja</dc:language></item>
             <item rdf:about="b"><title>b</title><link>/b</link></item></rdf:RDF>""",
         ["ja", "en"]),
    ],
)  # fmt: skip
def test_an_entry_speaks_its_own_language_else_its_feeds_else_none(
    feed: str, languages: list[str | None]
) -> None:
    harvest = parse_feed(feed.encode(), url="https://cafe.example/feed", now=NOW)
    assert [entry.language for entry in harvest.entries] == languages


NOT_UNDERSTOOD = ("deutsch", "English", "en, de", "und", "mul", "zxx", "xx-YY", "qqq", "C", "C.UTF-8", "--")


@pytest.mark.parametrize("said", NOT_UNDERSTOOD)
def test_no_language_is_claimed_for_what_says_one_that_nobody_understands(said: str) -> None:
    rss = (
        '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title>'
        f"<language>fr</language><item><title>A</title><dc:language>{said}</dc:language></item>"
        "<item><title>B</title></item></channel></rss>"
    )
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><title>T</title>'
        f'<entry xml:lang="{said}"><id>a</id><title>A</title><content>Un</content></entry>'
        "<entry><id>b</id><title>B</title><content>Deux</content></entry></feed>"
    )
    for written in (rss, atom):
        harvest = parse_feed(written.encode(), url="https://a.example/", now=datetime(2026, 5, 2, tzinfo=UTC))
        assert [entry.language for entry in harvest.entries] == ["", "fr"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("zh_CN.UTF-8", "zh-CN"), ("en_US", "en-US"), ("en-us.utf8", "en-US"), ("de_DE@euro", "de-DE"),
        ("ger", "de"), ("deu-AT", "de-AT"), ("zh-hant-tw", "zh-Hant-TW"), ("gsw", "gsw"), ("iw", "he"),
    ],
)  # fmt: skip
def test_well_known_spellings_of_languages_are_understood(said: str, meant: str) -> None:
    assert language_tag(said) == meant
