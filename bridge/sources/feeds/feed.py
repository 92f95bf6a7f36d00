"""RSS, RDF and Atom become entries, or a sentence that says what came instead of a feed.

feedparser reads the bytes; what it yields is taken apart field by field: one bad entry stops no other.
JSON Feed is recognised here and read in `jsonfeed`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import feedparser

from bridge.addresses import names_a_user, same_site
from bridge.errors import NotAFeed
from bridge.markup.html import (
    absolute_url,
    absolutise,
    already_read,
    html_from,
    is_all_markup,
    one_line,
    paragraphs,
    plain_text,
    strip_controls,
)
from bridge.model import Entry, Harvest, Image, Problem
from bridge.moments import from_struct
from bridge.sources.controls import read_tags
from bridge.sources.feeds import bases, jsonfeed, sniff
from bridge.sources.feeds.links import NAMES_A_USER, lost_link, pages_of
from bridge.sources.feeds.media import cover_of, enclosures_of, images_of
from bridge.sources.feeds.mojibake import mend
from bridge.sources.feeds.password_protected import WHY as WITHHELD
from bridge.sources.feeds.password_protected import is_withheld
from bridge.sources.feeds.sniff import MAX_ENTRIES
from bridge.sources.fields import is_unknown, language_tag, own_language, parse_date, plausible

_BAD_REFERENCE = re.compile(
    rb"&#(?:x0*(d[89a-f][0-9a-f]{2}|[0-9a-f]{7,})|0*(\d{8,}|5[5-7]\d{3}));", re.IGNORECASE
)

Item = dict[str, Any]


def parse_feed(body: bytes, *, url: str, content_type: str | None = None, now: datetime) -> Harvest:
    """Return the entries of the feed that `url` answered with.

    Raises `NotAFeed` when the body is anything else, empty or cut off: nothing may be concluded from it then.
    """
    if not body.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise NotAFeed(
            f"{url} answered with nothing at all. Open it in a browser; if it is empty, rebuild the site."
        )
    if sniff.is_json(body):
        return jsonfeed.parse_json_feed(jsonfeed.load(body, url=url), url=url, now=now)
    sniff.refuse_what_is_no_feed(body, url)
    kept, count = sniff.first_entries(body, MAX_ENTRIES)
    parsed = _read(sniff.without_long_names(kept), url, content_type)
    if parsed.get("bozo") and sniff.is_cut_off(body):
        raise NotAFeed(
            f"{url} answered with a feed that is cut off in the middle. It is read again at the next poll."
        )
    if not parsed.get("version"):
        raise NotAFeed(f"{url} answered with {sniff.describe(body)}, not a feed. {sniff.REMEDY}")
    return _harvest(parsed, url, now, count)


def _read(body: bytes, url: str, content_type: str | None) -> Item:
    """Let feedparser read the bytes, without the references that break it where they do."""
    headers = {"content-type": sniff.charset_header(body, content_type)}
    try:
        return bases.parse(body, headers)
    except Exception:  # feedparser raises many kinds on character references that are no characters
        body = _BAD_REFERENCE.sub(b"", body)
    try:
        return bases.parse(body, headers)
    except Exception as error:
        raise NotAFeed(
            f"{url} answered with a document that cannot be read as a feed ({error}). {sniff.REMEDY}"
        ) from error


def _harvest(parsed: Item, url: str, now: datetime, count: int) -> Harvest:
    entries: list[Entry] = []
    problems = list(_feed_problems(parsed, url, count))
    channel = parsed["feed"]
    language = language_tag(_text(channel, "language"))
    home = absolute_url(_text(channel, "link"), url) or url
    reader = _EntryReader(url, home, now, language, atom=parsed["version"].startswith("atom"))
    reader.cover = cover_of(channel, url)
    reader.said = _text(channel, "language")
    for number, item in enumerate(parsed["entries"][:MAX_ENTRIES], 1):
        try:
            entry = reader.read(item)
        except Exception as error:  # whatever feedparser left there: the other entries are fine
            problems.append(Problem(_name(number, item), f"cannot be read and was skipped ({error})."))
            continue
        problems.extend(Problem(_name(number, item), complaint) for complaint in reader.complaints)
        if entry:
            entries.append(entry)
        else:
            problems.append(
                Problem(_name(number, item), "has neither a title nor text nor a link and was skipped.")
            )
    return Harvest(
        tuple(entries),
        tuple(problems),
        title=_plain(channel, "title", atom=reader.atom),
        language=language,
        hub=_related(channel, "hub", url),
        topic=_related(channel, "self", url),
    )


def _related(channel: Item, relation: str, url: str) -> str | None:
    """Return where a feed's own link with this relation leads."""
    found = (link.get("href") for link in channel.get("links", ()) if link.get("rel") == relation)
    return next((absolute for href in found if href and (absolute := absolute_url(href, url))), None)


def _feed_problems(parsed: Item, url: str, count: int) -> Iterator[Problem]:
    error = parsed.get("bozo_exception")
    if parsed.get("bozo") and not isinstance(error, feedparser.NonXMLContentType):
        reason = one_line(str(error).replace("<unknown>:", "line "), 200)
        yield Problem(
            url,
            f"is not quite a valid feed ({reason}); what could be read was taken. See validator.w3.org/feed.",
        )
    if count > MAX_ENTRIES:
        yield Problem(url, f"has {count} entries; only the first {MAX_ENTRIES} were read.")


def _name(number: int, item: Item) -> str:
    title = one_line(str(item.get("title") or ""), 60)
    return f"entry {number} “{title}”" if title else f"entry {number}"


class _EntryReader:
    """Turns feedparser's entries of one feed into ours."""

    def __init__(self, url: str, home: str, now: datetime, language: str | None, *, atom: bool) -> None:
        self.complaints: tuple[str, ...] = ()  # about the entry read last
        self.cover: Image | None = None  # the feed's own
        self.said = ""  # the feed's language, as it is written
        self.url = url
        self.home = home
        self.now = now
        self.language = language
        self.atom = atom

    def read(self, item: Item) -> Entry | None:
        """Return the entry, or `None` when there is nothing to show."""
        _mend(item)
        told = read_tags(map(mend, _tag_names(item)))
        self.complaints = told.complaints
        guid = _text(item, "id").strip() or None
        link, about = pages_of(item, guid, self.url, self._is_ours)
        if link is None and (lost := lost_link(item, guid, self.url)):
            self.complaints = (*self.complaints, f"its link “{one_line(lost, 60)}” is not a web address.")
        if names_a_user(_text(item, "link")):
            self.complaints = (*self.complaints, NAMES_A_USER)
        html, summary, text = self._writing(item, link)
        title = _plain(item, "title", atom=self.atom)
        if not (title or link or plain_text(html) or "<img" in html):
            return None
        controls = told.controls
        if any(is_withheld(detail.get("value") or "") for detail in _details(item)):
            controls = replace(controls, publish=False)
            self.complaints = (*self.complaints, WITHHELD)
        published, updated = self._dates(item)
        base = link or self.url
        images = images_of(item, base)
        entry = Entry(
            guid=guid,
            link=link,
            title=title,
            html=html,
            summary=summary,
            published_at=published,
            updated_at=updated,
            language=own_language(_language(item, self.said), self.language),
            tags=told.tags,
            images=images,
            enclosures=enclosures_of(item, base, images[0] if images else self.cover),
            controls=controls,
            about=about,
            in_doubt=told.in_doubt,
            no_date=self._has_unread_date(item),
        )
        return entry if text is None else already_read(entry, text)

    def _is_ours(self, url: str) -> bool:
        return same_site(url, self.home) or same_site(url, self.url)

    def _writing(self, item: Item, link: str | None) -> tuple[str, str, str | None]:
        """Return the text as HTML, where it is another one the summary as plain text, and what the HTML says.

        The text is the content, unless there is more to read in the summary. What it says is plain text, and
        `None` where nobody had to know.
        """
        contents = [each for each in item.get("content", ()) if _is_text(each)]
        summary = item.get("summary_detail") or {}
        html = self._absolute(max(contents, key=lambda each: len(each["value"])), link) if contents else ""
        if not _is_text(summary):
            return html, "", None
        if not html:
            return self._absolute(summary, link), "", None
        short, full = plain_text(self._html(summary)), plain_text(html)
        if len(short) > len(full):
            return self._absolute(summary, link), "", None
        return html, "" if short == full else short, full

    def _absolute(self, detail: Item, link: str | None) -> str:
        base = absolute_url(_text(detail, "base"), self.url) if detail.get("base") else None
        return absolutise(self._html(detail), base or link or self.url)

    def _html(self, detail: Item) -> str:
        value = detail["value"]
        if self.atom and detail.get("type") == "text/plain" and not is_all_markup(value):
            return paragraphs(value)
        if detail.get("type") == "application/xhtml+xml":
            # feedparser writes <br/> as <br></br>, which is two line breaks in HTML.
            value = value.replace("</br>", "")
        return html_from(value)

    def _dates(self, item: Item) -> tuple[datetime | None, datetime | None]:
        """Return when it was published and updated; what only says when it was updated was published then."""
        updated = self._date(item, "updated")
        published = self._date(item, "published") or self._date(item, "created")
        return plausible(published or updated, self.now), plausible(updated, self.now)

    def _has_unread_date(self, item: Item) -> bool:
        """Say whether it has a date of publishing, or of updating alone, that tells no day."""
        names = [name for name in ("published", "created") if _text(item, name).strip()] or ["updated"]
        return any(
            _text(item, name).strip() and is_unknown(self._date(item, name), self.now) for name in names
        )

    def _date(self, item: Item, name: str) -> datetime | None:
        parsed = dict.get(item, f"{name}_parsed")  # not .get: feedparser's takes `published` for `updated`
        moment = from_struct(parsed) if parsed else None
        written = dict.get(item, name)
        if moment is None and isinstance(written, str):
            moment = parse_date(written)
        return moment


def _mend(item: Item) -> None:
    """Put the characters of an entry right that were decoded wrongly before they came here."""
    for detail in (item.get("title_detail"), *_details(item)):
        if detail:
            detail["value"] = mend(str(detail.get("value") or ""))
    item["title"] = mend(str(dict.get(item, "title") or ""))


def _details(item: Item) -> list[Item]:
    """Return everything that an entry says, as feedparser describes it."""
    return [detail for detail in (item.get("summary_detail"), *item.get("content", ())) if detail]


def _is_text(detail: Item) -> bool:
    kind = detail.get("type") or "text/html"
    return bool(detail.get("value")) and (kind.startswith("text/") or kind.endswith("xml"))


def _plain(item: Item, name: str, *, atom: bool) -> str:
    """Return a field as one line of plain text; only what is, or looks like, HTML is read as HTML."""
    value = _text(item, name)
    kind = (dict.get(item, f"{name}_detail") or {}).get("type")
    if kind == "text/plain" and (atom or "&" not in value):
        return one_line(value)
    return one_line(plain_text(value))


def _text(item: Item, name: str) -> str:
    value = dict.get(item, name)
    return strip_controls(value) if isinstance(value, str) else ""


def _language(item: Item, inherited: str) -> str:
    """Return the language an entry says it is in: its own, or its text's where that is not the feed's."""
    details = [*item.get("content", ()), item.get("summary_detail"), item.get("title_detail")]
    said = (str(each.get("language") or "") for each in details if each)
    others = (one for one in said if one and one.replace("_", "-") != inherited)
    return _text(item, "language") or next(others, "")


def _tag_names(item: Item) -> Iterator[str]:
    for tag in item.get("tags", ()):
        name = tag.get("label") or tag.get("term")
        if isinstance(name, str):
            yield name
