"""One odd address or date costs one entry at most: a corpus of them at every door and on whole paths."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from looks import bench, compose
from spellings import DATES, URLS, VALUES

from bridge import lint
from bridge.activitypub import signatures, values
from bridge.activitypub.content import page_link
from bridge.activitypub.discovery import parse_resource
from bridge.activitypub.signatures import message
from bridge.activitypub.websub import find_hub, parse_links, parse_question, prefer_https, resolve
from bridge.addresses import (
    check_url,
    host_of,
    is_public,
    join,
    origin,
    parse_pair,
    same_origin,
    same_site,
    take_apart,
)
from bridge.changes.brake import is_strange
from bridge.changes.judge import judge
from bridge.changes.keys import all_keys, canonical_link, content_hash, strong_keys, text_hash, weak_keys
from bridge.changes.matching import match_entries
from bridge.cli.richpost import to_text
from bridge.compose import sameness
from bridge.errors import BridgeError
from bridge.lint import Look
from bridge.markup import pagehead, pictures, sanitize
from bridge.markup.as_seen_by import as_misskey
from bridge.markup.text import strip_controls
from bridge.model import Entry, Harvest
from bridge.net.answers import parse_retry_after
from bridge.preview.page import render_page
from bridge.preview.timelines import preview
from bridge.sources import fields
from bridge.sources.feeds import links
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.raw import look_at
from bridge.sources.folders import frontmatter, permalink
from bridge.sources.folders.folder import Folder, read_folder

NOW = datetime(2026, 5, 2, 12, tzinfo=UTC)
FEED = "https://cafe.example/feed"
GOOD = "Fresh buns at eight"


def survivors(readers: Mapping[str, Callable[[Any], object]], spellings: Iterable[object]) -> list[str]:
    """Return what raised anything but our own errors."""
    raised = []
    for spelling in spellings:
        for name, read in readers.items():
            try:
                read(spelling)
            except BridgeError:
                continue
            except Exception as error:
                raised.append(f"{name}({shown(spelling)}): {error!r}"[:200])
    return raised


def shown(spelling: object) -> str:
    try:
        return ascii(spelling)[:60]
    except ValueError:
        return "a huge number"


# ── every door ───────────────────────────────────────────────────────────────────────────────────


def html(url: str) -> str:
    return strip_controls(f"<a href={quoteattr(url)}>x</a><img src={quoteattr(url)}>")


ADDRESS_READERS: dict[str, Callable[[str], object]] = {
    "check_url": check_url,
    "check_url private": lambda url: check_url(url, schemes=("http", "https")),
    "origin": origin,
    "same_origin": lambda url: same_origin(url, url),
    "host_of": host_of,
    "is_public": is_public,
    "parse_pair": parse_pair,
    "take_apart": take_apart,
    "join": lambda url: (join(FEED, url), join(url, "x")),
    "absolute_url": sanitize.absolute_url,
    "absolute_url base": lambda url: sanitize.absolute_url(url, FEED, mailto=True),
    "absolute_url of": lambda url: sanitize.absolute_url("x", url),
    "same_site": lambda url: same_site(url, FEED),
    "widest": lambda url: sanitize.widest(f"{url} 1x, {url} 2x", FEED),
    "absolutise": lambda url: sanitize.absolutise(html(url), FEED),
    "absolutise base": lambda url: sanitize.absolutise("<a href='x'>x</a>", url),
    "clean_note": lambda url: sanitize.clean_note(html(url)),
    "clean_incoming": lambda url: sanitize.clean_incoming(html(url)),
    "canonical_link": canonical_link,
    "name_of": sameness.name_of,
    "is_resized": sameness.is_resized,
    "suffix": pictures.suffix,
    "watch_url": pictures.watch_url,
    "link_label": pictures.link_label,
    "picture": lambda url: pictures.picture({"src": url, "srcset": url}),
    "without_tracking": links.without_tracking,
    "join_site": lambda url: permalink.join_site("https://cafe.example/", url),
    "join_site of": lambda url: permalink.join_site(url, "/x"),
    "slugify": permalink.slugify,
    "expand": lambda url: permalink.expand("https://cafe.example/{slug}/", {"slug": url}),
    "dated_name": permalink.dated_name,
    "resolve": lambda url: resolve(FEED, url),
    "resolve of": lambda url: resolve(url, "/hub"),
    "prefer_https": prefer_https,
    "parse_links": lambda url: list(parse_links(f'<{url}>; rel="hub", <x>; rel={url}')),
    "find_hub": lambda url: find_hub(
        {"link": f'<{url}>; rel="hub self"'}, Harvest((), hub=url, topic=url), url=url
    ),
    "page_picture": lambda url: pagehead.page_picture(
        f"<base href={quoteattr(url)}><meta property=og:image content={quoteattr(url)}>".encode(
            "utf-8", "replace"
        ),
        url,
    ),
    "page_link": page_link,
    "parse_resource": parse_resource,
    "get_id": values.get_id,
    "get_url": values.get_url,
    "get_url link": lambda url: values.get_url([{"type": "Link", "href": url, "mediaType": "text/html"}]),
    "require_key_id": message.require_key_id,
    "split_url": message.split_url,
    "as_misskey": lambda url: as_misskey(f'<p><a class="mention" href={quoteattr(url)}>@x</a></p>'),
    "to_text": lambda url: to_text(f"<p><a href={quoteattr(url)}>x</a></p>"),
}

DATE_READERS: dict[str, Callable[[str], object]] = {
    "parse_date": fields.parse_date,
    "get_time": values.get_time,
    "parse_retry_after": lambda text: parse_retry_after(text, NOW),
    "moment": frontmatter.moment,
    "dated_name": lambda text: permalink.dated_name(f"{text}-post"),
    "parse_question": lambda text: parse_question({"hub.lease_seconds": text}),
    "to_text": lambda text: to_text(f"<ol start={quoteattr(text)}><li>x</li></ol>"),
    "size": pictures.size,
    "focal_point": pictures.focal_point,
    "language_tag": fields.language_tag,
    "date header": lambda text: signatures.check(
        signatures.SignedRequest("GET", "/", {"date": text, "host": "x"}), _claim(), base_urls=[], now=NOW
    ),
}


def _claim() -> signatures.Claim:
    return signatures.Claim(
        signatures.Scheme.CAVAGE, "https://x.example/key", None, ("(request-target)", "host", "date"), b"", {}
    )


def test_whoever_reads_an_address_returns_a_value_or_an_error_of_our_own() -> None:
    assert len(URLS) >= 200
    assert survivors(ADDRESS_READERS, URLS) == []


def test_whoever_reads_a_date_or_a_number_returns_a_value_or_an_error_of_our_own() -> None:
    assert len(DATES) >= 200
    assert survivors(DATE_READERS, DATES) == []


def test_whatever_stands_where_a_text_should_is_read_or_left_out() -> None:
    readers: dict[str, Callable[[Any], object]] = {
        "moment": frontmatter.moment,
        "get_time": values.get_time,
        "get_id": values.get_id,
        "get_url": values.get_url,
        "focal_point": pictures.focal_point,
        "size": pictures.size,
        "text": lambda value: frontmatter.text({"x": value}, "x"),
        "texts": lambda value: frontmatter.texts({"xs": value}, "xs"),
        "flag": lambda value: frontmatter.flag({"x": value}, "x"),
    }
    assert survivors(readers, VALUES) == []


# ── feeds, with one odd entry for each spelling ──────────────────────────────────────────────────


def xml(text: str) -> str:
    """Write a text into XML; what XML cannot hold stands there as a reference, as bad generators write it."""
    safe = escape(text, {'"': "&quot;"})
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", lambda m: f"&#{ord(m[0])};", safe)


RSS = {
    "link": "<guid>{n}</guid><link>{x}</link>",
    "guid": "<guid>{x}</guid>",
    "guid permalink": '<guid isPermaLink="true">{x}</guid>',
    "enclosure": '<guid>{n}</guid><enclosure url="{x}" length="{x}" type="audio/mpeg"/>',
    "untyped enclosure": '<guid>{n}</guid><enclosure url="{x}"/>',
    "picture": '<guid>{n}</guid><enclosure url="{x}" type="image/png"/>',
    "media": '<guid>{n}</guid><media:content url="{x}" medium="image" width="{x}"/>',
    "thumbnail": '<guid>{n}</guid><media:thumbnail url="{x}"/>',
    "media group": '<guid>{n}</guid><media:group><media:content url="{x}"/></media:group>',
    "itunes": '<guid>{n}</guid><itunes:image href="{x}"/><itunes:duration>{x}</itunes:duration>',
    "origin": "<guid>{n}</guid><feedburner:origLink>{x}</feedburner:origLink>",
    "comments": "<guid>{n}</guid><comments>{x}</comments><source url='{x}'>x</source>",
    "atom link": '<guid>{n}</guid><atom:link rel="related" href="{x}"/><atom:link href="{x}" rel="{x}"/>',
    "date": "<guid>{n}</guid><pubDate>{x}</pubDate>",
    "dc date": "<guid>{n}</guid><dc:date>{x}</dc:date><dc:language>{x}</dc:language>",
    "updated": "<guid>{n}</guid><atom:updated>{x}</atom:updated><atom:published>{x}</atom:published>",
    "description": '<guid>{n}</guid><description>&lt;a href="{x}">x&lt;/a>&lt;img src="{x}"></description>',
    "category": '<guid>{n}</guid><category domain="{x}">{x}</category>',
    "author": "<guid>{n}</guid><author>{x}</author><dc:creator>{x}</dc:creator>",
    "base": '<guid>{n}</guid><link>/p</link><description xml:base="{x}">&lt;a href="q">x</description>',
    "geo": "<guid>{n}</guid><georss:point>{x}</georss:point><geo:lat>{x}</geo:lat><geo:long>{x}</geo:long>",
    "psc": '<guid>{n}</guid><psc:chapters><psc:chapter start="{x}" href="{x}" image="{x}"/></psc:chapters>',
}  # fmt: skip
ATOM = {
    "id": "<id>{x}</id>",
    "link": '<id>{n}</id><link href="{x}"/>',
    "related": '<id>{n}</id><link href="{x}" rel="related"/><link href="/p" rel="{x}"/>',
    "enclosure": '<id>{n}</id><link rel="enclosure" href="{x}" length="{x}"/>',
    "updated": "<id>{n}</id><updated>{x}</updated>",
    "published": "<id>{n}</id><published>{x}</published><updated>{x}</updated><modified>{x}</modified>",
    "author": "<id>{n}</id><author><name>x</name><uri>{x}</uri><email>{x}</email></author>",
    "base": '<id>{n}</id><content type="html" xml:base="{x}">&lt;a href="q"&gt;x&lt;/a&gt;</content>',
    "content src": '<id>{n}</id><content type="{x}" src="{x}"/>',
    "language": '<id>{n}</id><content type="html" xml:lang="{x}">x</content>',
    "source": '<id>{n}</id><source><id>{x}</id><link href="{x}"/><updated>{x}</updated></source>',
    "thread": '<id>{n}</id><thr:in-reply-to ref="{x}" href="{x}"/>',
}
RDF = {
    "about": "<link>{x}</link>",
    "date": "<link>https://cafe.example/{n}</link><dc:date>{x}</dc:date><dc:identifier>{x}</dc:identifier>",
}
NAMESPACES = " ".join(
    f'xmlns:{name}="{address}"'
    for name, address in {
        "media": "http://search.yahoo.com/mrss/",
        "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
        "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
        "atom": "http://www.w3.org/2005/Atom",
        "dc": "http://purl.org/dc/elements/1.1/",
        "thr": "http://purl.org/syndication/thread/1.0",
        "georss": "http://www.georss.org/georss",
        "geo": "http://www.w3.org/2003/01/geo/wgs84_pos#",
        "psc": "http://podlove.org/simple-chapters",
    }.items()
)


def rss(items: Iterable[str], head: str = "") -> bytes:
    whole = "".join(f"<item><title>{number}</title>{item}</item>" for number, item in enumerate(items))
    good = f"<item><title>{GOOD}</title><guid>good</guid><link>/good</link></item>"
    channel = f"<title>x</title><link>/</link>{head}{good}{whole}"
    return f'<rss version="2.0" {NAMESPACES}><channel>{channel}</channel></rss>'.encode()


def atom(items: Iterable[str], head: str = "") -> bytes:
    whole = "".join(f"<entry><title>{number}</title>{item}</entry>" for number, item in enumerate(items))
    good = f"<entry><title>{GOOD}</title><id>good</id><link href='/good'/></entry>"
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {NAMESPACES}>{head}{good}{whole}</feed>'.encode()


def rdf(items: Iterable[str], head: str = "") -> bytes:
    whole = "".join(f"<item><title>{number}</title>{item}</item>" for number, item in enumerate(items))
    good = f"<item><title>{GOOD}</title><link>/good</link></item>"
    names = 'xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    channel = f"<channel><title>x</title>{head}</channel>"
    return f"<rdf:RDF {names} {NAMESPACES}>{channel}{good}{whole}</rdf:RDF>".encode()


FORMS = [(rss, field, RSS[field]) for field in RSS] + [(atom, field, ATOM[field]) for field in ATOM]
FORMS += [(rdf, field, RDF[field]) for field in RDF]


SHORT_URLS, SHORT_DATES = ([one for one in spellings if len(one) <= 6000] for spellings in (URLS, DATES))
_DATED = ("date", "updated", "publish", "expiry", "modified", "duration")


def spellings_for(field: str) -> list[str]:
    """Return misspelt dates for a field that holds a date, and some addresses; else the other way round."""
    if any(word in field for word in _DATED):
        return SHORT_DATES + SHORT_URLS[::15]
    return SHORT_URLS + SHORT_DATES[::15]


@pytest.mark.parametrize(("write", "field", "form"), FORMS, ids=[f"{w.__name__} {f}" for w, f, _ in FORMS])
@pytest.mark.parametrize("made_for", ["strict", "loose"])
def test_an_odd_spelling_in_a_feed_costs_its_entry_at_most(
    write: Callable[..., bytes], field: str, form: str, made_for: str
) -> None:
    spellings = spellings_for(field)
    if made_for == "strict":  # what expat reads; the rest of the feed falls to feedparser's other parser
        spellings = [one for one in spellings if "&#" not in xml(one)]
    body = write(form.format(x=xml(one), n=number) for number, one in enumerate(spellings))
    harvest = parse_feed(body, url=FEED, now=NOW)
    look_through(harvest, body)
    assert len(harvest.entries) + len(harvest.problems) > len(spellings) * 0.9


ENDLESS = [one for one in URLS + DATES if len(one) > 6000]


@pytest.mark.parametrize("number", range(len(ENDLESS)))
def test_an_endless_spelling_costs_its_entry_at_most(number: int) -> None:
    for write, field, form in FORMS:
        if write is not rdf and field != "base":
            body = write([form.format(x=xml(ENDLESS[number]), n=0)])
            look_through(parse_feed(body, url=FEED, now=NOW), body)


HEADS = {
    "rss hub": (rss, '<atom:link rel="hub" href="{x}"/><atom:link rel="self" href="{x}"/>'),
    "rss home": (rss, "<link>{x}</link><image><url>{x}</url></image><itunes:image href='{x}'/>"),
    "rss dates": (rss, "<pubDate>{x}</pubDate><lastBuildDate>{x}</lastBuildDate><ttl>{x}</ttl>"),
    "rss cloud": (rss, '<cloud domain="{x}" port="{x}"/><docs>{x}</docs><language>{x}</language>'),
    "atom": (atom, '<link rel="hub" href="{x}"/><link rel="self" href="{x}"/><link href="{x}"/>'),
    "atom updated": (atom, "<updated>{x}</updated><id>{x}</id>"),
    "atom pictures": (atom, "<icon>{x}</icon><logo>{x}</logo><author><uri>{x}</uri></author>"),
    "rdf": (rdf, "<link>{x}</link><image>{x}</image><dc:date>{x}</dc:date><dc:language>{x}</dc:language>"),
}  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_an_odd_spelling_in_a_feeds_own_fields_costs_no_entry(head: str) -> None:
    write, form = HEADS[head]
    for spelling in spellings_for(head):
        body = write([], form.format(x=xml(spelling)))
        harvest = parse_feed(body, url=FEED, now=NOW)
        find_hub({}, harvest, url=FEED)
        assert [entry.title for entry in harvest.entries] == [GOOD]


@pytest.mark.parametrize("spelling", [one for one in URLS if len(one) < 3000], ids=ascii)
def test_an_odd_base_address_costs_no_entry(spelling: str) -> None:
    for write in (rss, atom, rdf):
        body = write([]).replace(b"xmlns:", f"xml:base={quoteattr(xml(spelling))} xmlns:".encode(), 1)
        harvest = parse_feed(body, url=FEED, now=NOW)
        assert [entry.title for entry in harvest.entries] == [GOOD]


BASED = (
    '<feed xmlns="http://www.w3.org/2005/Atom"{feed}><title>T</title>'
    "<entry{entry}><id>tag:cafe.example,2026:1</id><title>One</title><link href='https://cafe.example/1'/>"
    "<content type='html'{content}>{html}</content></entry>"
    "<entry><id>tag:cafe.example,2026:2</id><title>Two</title><link href='https://cafe.example/2'/>"
    "<content type='html'>{html}</content></entry>{broken}</feed>"
)
WHOLE = '<a href="https://other.example/x">x</a>'


@pytest.mark.parametrize("broken", ["", "<b>&nbsp;&"], ids=["strict", "loose"])
@pytest.mark.parametrize("place", ["feed", "entry", "content"])
def test_a_base_costs_no_whole_address_and_nothing_outside_its_element(place: str, broken: str) -> None:
    html = escape(WHOLE + '<a href="y">y</a>')
    places = dict.fromkeys(("feed", "entry", "content"), "")
    for spelling in (one for one in [*URLS, "https://elsewhere.example/"] if len(one) < 3000):
        places[place] = f" xml:base={quoteattr(xml(spelling))}"
        body = BASED.format(html=html, broken=broken, **places).encode("utf-8", "replace")
        one, two = parse_feed(body, url=FEED, now=NOW).entries
        assert (one.link, two.link) == ("https://cafe.example/1", "https://cafe.example/2"), spelling
        assert WHOLE in one.html, spelling
        assert WHOLE in two.html, spelling
        assert place == "feed" or 'href="https://cafe.example/y"' in two.html, spelling


JSON_FIELDS = (
    *(
        "id",
        "url",
        "external_url",
        "title",
        "content_html",
        "content_text",
        "summary",
        "image",
        "banner_image",
    ),
    *("date_published", "date_modified", "language", "tags", "authors", "author", "attachments"),
)


def json_item(field: str, value: object, number: int) -> dict[str, object]:
    nested: dict[str, object] = {
        "tags": [value],
        "authors": [{"name": value, "url": value, "avatar": value}],
        "author": {"url": value},
        "attachments": [
            {
                "url": value,
                "mime_type": kind,
                "size_in_bytes": value,
                "duration_in_seconds": value,
                "title": value,
            }
            for kind in ("image/png", "audio/mpeg", value)
        ],
    }
    return {"id": str(number), "title": str(number), field: nested.get(field, value)}


@pytest.mark.parametrize("field", JSON_FIELDS)
def test_an_odd_spelling_in_a_json_feed_costs_its_entry_at_most(field: str) -> None:
    plain = [value for value in VALUES if json_can_hold(value)]
    odd = [*spellings_for(field), *plain, [], {}, [None], [[[]]]]
    items = [json_item(field, value, number) for number, value in enumerate(odd)]
    body = json_feed(items)
    harvest = parse_feed(body, url=FEED, now=NOW)
    look_through(harvest, body)
    assert len(harvest.entries) + len(harvest.problems) > len(odd) * 0.9


@pytest.mark.parametrize(
    "field", ["icon", "favicon", "home_page_url", "feed_url", "hubs", "language", "author"]
)
def test_an_odd_spelling_in_a_json_feeds_own_fields_costs_no_entry(field: str) -> None:
    for value in [*SHORT_URLS, *filter(json_can_hold, VALUES)]:
        nested = {"hubs": [{"type": "WebSub", "url": value}, value], "author": {"url": value}}
        harvest = parse_feed(json_feed([], **{field: nested.get(field, value)}), url=FEED, now=NOW)
        find_hub({}, harvest, url=FEED)
        assert [entry.title for entry in harvest.entries] == [GOOD]


def json_can_hold(value: object) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return isinstance(value, list | dict | str | bool | int | None) and not (
        isinstance(value, int) and abs(value) > 10**40
    )


def json_feed(items: list[dict[str, object]], **head: object) -> bytes:
    good = {"id": "good", "title": GOOD, "url": "/good"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "x", **head, "items": [good, *items]}
    return json.dumps(feed).encode()


# ── a folder, with one odd file for each spelling ────────────────────────────────────────────────

FRONT_FIELDS = (
    *(
        "date",
        "updated",
        "expirydate",
        "publishdate",
        "permalink",
        "url",
        "slug",
        "title",
        "external_url",
        "image",
    ),
    *("cover", "tags", "language", "summary", "focal_point", "fediverse", "cw", "draft", "weight", "aliases"),
)


def front_matter(field: str) -> Iterator[str]:
    """Yield files whose front matter has each odd value in a field, in YAML and in JSON."""
    for number, value in enumerate([*spellings_for(field), *filter(json_can_hold, VALUES)]):
        written = json.dumps(value)  # which is YAML too
        yield f"---\ntitle: x\n{field}: {written}\n---\nWords [x](<{str(value)[:300]}>)\n"
        if number % 5 == 0:
            yield f'{{\n"title": "x", "{field}": {written}\n}}\nWords\n'
        elif number % 5 == 1 and isinstance(value, str) and value.isprintable():
            yield f"---\ntitle: x\n{field}: {value}\n---\nWords ![]({value[:300]})\n"


@pytest.mark.parametrize("field", FRONT_FIELDS)
def test_an_odd_spelling_in_front_matter_costs_its_file_at_most(tmp_path: Path, field: str) -> None:
    files = [*front_matter(field), *(f"+++\ntitle = 'x'\n{field} = {value}\n+++\nx" for value in TOML)]
    for number, text in enumerate(files):
        (tmp_path / f"p{number}.md").write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / "good.md").write_text(f"---\ntitle: {GOOD}\ndate: 2026-05-01\n---\nWords\n")
    folder = Folder(
        tmp_path,
        "https://cafe.example/",
        "https://cafe.example/{year}/{slug}/",
        lambda path: f"https://cafe.example/m/{path}",
    )
    harvest = read_folder(folder, now=NOW)
    look_through(harvest, None, step=4)


TOML = (
    *(
        "0x" + "f" * 5000,
        "1" * 5000,
        "1e400",
        "inf",
        "-inf",
        "nan",
        "1979-05-27",
        "0001-01-01",
        "9999-12-31",
        "07:32:00",
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1979-05-27T07:32:00",
        "[]",
        "{}",
        "[[1], {a = 1}]",
    ),
    *('"\\u0000"', '"\\uD800"', "2026-02-30", "2026-05-01T24:00:00", "0b" + "1" * 20_000, "0o7777", "true"),
)


# ── what is done with what was read ──────────────────────────────────────────────────────────────


def look_through(harvest: Harvest, body: bytes | None, *, step: int = 1) -> None:
    """Do with a harvest everything that a poll, the lint and the preview do; its good entry is among it."""
    assert GOOD in [entry.title for entry in harvest.entries]
    find_hub({}, harvest, url=FEED)
    json.dumps([(problem.where, problem.what) for problem in harvest.problems], ensure_ascii=False).encode()
    assert [one for one in harvest.problems if "cannot be read and was skipped" in one.what] == []
    list(lint.examine(Look(harvest, NOW, raw=look_at(body) if body else None)))
    changes = judge(harvest.entries, {}, baseline=False, now=NOW)
    assert len(changes.created) <= len(harvest.entries)
    match_entries(harvest.entries, {})
    is_strange(harvest.entries, {}, ["elsewhere.example"])
    services = bench()
    raised = survivors({"compose": lambda entry: show(entry, services)}, harvest.entries[::step])
    assert raised == []


def show(entry: Entry, services: Any) -> None:
    """Compose an entry and preview it; what comes out can be stored and sent."""
    keys = [*strong_keys(entry), *weak_keys(entry), *all_keys(entry), content_hash(entry), text_hash(entry)]
    note = compose(entry, at=services)
    shown = preview(note, entry, services.site("cafe"), now=NOW)
    page = render_page([shown])
    to_text(shown.mastodon)
    everything = json.dumps([keys, note, entry.guid, entry.link, page], ensure_ascii=False, default=str)
    everything.encode()
    assert "\\u0000" not in everything
