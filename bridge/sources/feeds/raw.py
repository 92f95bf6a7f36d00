"""A feed as it is written, before anything is mended: what the lint looks at, and nothing else.

feedparser is kind to feeds and hides what is wrong with them; here expat reads the bytes to the letter.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from bridge.markup.text import one_line, plain_text
from bridge.sources import jsontext
from bridge.sources.feeds.sniff import MAX_ENTRIES, is_json

MAX_TEXT = 1_000_000  # characters of one field

_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_REFERENCE = re.compile(rb"&#(?:x(?:0?[0-8bce-f]|1[0-9a-f])|(?:[0-8]|1[124-9]|2[0-9]|3[01]));", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"

_ATOM, _CONTENT = "http://www.w3.org/2005/Atom", "http://purl.org/rss/1.0/modules/content/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MULTI_BYTE = frozenset({"gb2312", "gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr", "iso-2022-jp"})
_DC, _XML = "http://purl.org/dc/elements/1.1/", "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True)
class RawEntry:
    """An entry's fields as they stand there. `is_full`: it brings a text, not only a description."""

    number: int
    guid: str = ""
    title: str = ""
    links: list[str] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    enclosures: list[tuple[str, str]] = field(default_factory=list)  # (address, type)
    texts: list[str] = field(default_factory=list)
    base: str = ""
    is_full: bool = False

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        title = one_line(self.title, 60)
        return f"entry {self.number} “{title}”" if title else f"entry {self.number}"


@dataclass(slots=True)
class RawFeed:
    """A feed's own fields and its entries. `error`: why, and in which line, it is no well-formed XML."""

    kind: str = ""
    title: str = ""
    language: str = ""
    generator: str = ""
    encoding: str = ""  # as its XML declaration says
    has_bom: bool = False
    is_utf8: bool = True
    controls: int = 0  # characters that no feed may hold
    error: str = ""
    base: str = ""
    entries: list[RawEntry] = field(default_factory=list)


def look_at(body: bytes) -> RawFeed:
    """Read a feed to the letter, as far as it goes; never raises."""
    feed = _read_json(body) if is_json(body) else _read_xml(body)
    declared = _DECLARATION.match(body.removeprefix(_BOM))
    feed.encoding = declared[1].decode().lower() if declared else ""
    feed.has_bom = body.startswith((_BOM, b"\xff\xfe", b"\xfe\xff"))
    feed.is_utf8 = _is_utf8(body)
    if b"\x00" not in body[:1024]:  # UTF-16 is full of them
        feed.controls = sum(1 for _ in _CONTROL.finditer(body)) + sum(1 for _ in _REFERENCE.finditer(body))
    return feed


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# ── XML ──────────────────────────────────────────────────────────────────────────────────────────


def _read_xml(body: bytes) -> RawFeed:
    reader = _XmlReader()
    known = _in_utf8(body)
    body = known or body
    parser = expat.ParserCreate("utf-8" if known else None, namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        reader.feed.error = f"line {error.lineno}: {expat.ErrorString(error.code)}"
        reader.forget_unfinished()
    except (ValueError, LookupError) as error:  # an encoding expat does not know
        reader.feed.error = str(error)
    return reader.feed


def _in_utf8(body: bytes) -> bytes:
    """Return a document in one of the East Asian encodings, which expat does not know, as UTF-8."""
    declared = _DECLARATION.match(body.removeprefix(_BOM))
    name = declared[1].decode().lower() if declared else ""
    try:
        return body.decode(name).encode() if name in _MULTI_BYTE else b""
    except UnicodeDecodeError:
        return b""


class _XmlReader:
    """Takes RSS, RDF and Atom apart as expat reads them."""

    def __init__(self) -> None:
        self.feed = RawFeed()
        self._path: list[str] = []
        self._entry: RawEntry | None = None
        self._depth = 0  # of the entry, or of the channel before there is one
        self._pieces: list[str] | None = None
        self._is_html = False  # a title of Atom's, which may say that it is
        self._size = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take note of an element that begins."""
        name = _short(tag)
        self._path.append(name)
        if len(self._path) == 1:
            self.feed.kind = {"rss": "RSS", "feed": "Atom", "RDF": "RDF"}.get(name, "")
            self.feed.base = attributes.get(f"{_XML} base", "")
            self.feed.language = attributes.get(f"{_XML} lang", "")
        if self._entry is None and name in ("item", "entry") and len(self._path) <= 3:
            self._begin_entry(attributes)
        elif self._is_field():
            self._pieces, self._size = [], 0
            self._is_html = attributes.get("type") == "html"
            if name == "link" or name == "enclosure" or name.endswith(":link"):
                self._link(name, attributes)
        elif self._pieces is not None:  # XHTML in an Atom entry: only its addresses matter
            self._pieces += [
                f'<{name} {key}="{attributes[key]}">' for key in ("href", "src") if key in attributes
            ]

    def end(self, tag: str) -> None:
        """Take note of an element that ends."""
        name = self._path[-1]
        if self._pieces is not None and self._is_field():
            value = "".join(self._pieces).strip()
            self._field(name, plain_text(value) if name == "title" and self._is_html else value)
            self._pieces = None
        if self._entry is not None and len(self._path) == self._depth:
            self._entry = None
        self._path.pop()

    def text(self, data: str) -> None:
        """Take note of text."""
        if self._pieces is not None and self._size < MAX_TEXT:
            self._pieces.append(data)
            self._size += len(data)

    def forget_unfinished(self) -> None:
        """Drop the entry in which the document broke off: what it lacks may have come later."""
        if self._entry is not None and self.feed.entries:
            self.feed.entries.pop()

    def _begin_entry(self, attributes: dict[str, str]) -> None:
        self._entry = RawEntry(
            len(self.feed.entries) + 1,
            guid=attributes.get(f"{_RDF} about", ""),
            base=attributes.get(f"{_XML} base", self.feed.base),
        )
        self._depth = len(self._path)
        if len(self.feed.entries) < MAX_ENTRIES:
            self.feed.entries.append(self._entry)

    def _is_field(self) -> bool:
        """Say whether the element is a field of the entry, or of the feed itself."""
        if self._entry is not None:
            return len(self._path) == self._depth + 1
        return (self._path[1:2] == ["channel"] and len(self._path) == 3) or (
            self.feed.kind == "Atom" and len(self._path) == 2
        )

    def _link(self, name: str, attributes: dict[str, str]) -> None:
        if self._entry is None:
            return
        relation, href = attributes.get("rel", "alternate"), attributes.get("href", "")
        if name == "enclosure":
            self._entry.enclosures.append((attributes.get("url", ""), attributes.get("type", "")))
        elif relation == "enclosure":
            self._entry.enclosures.append((href, attributes.get("type", "")))
        elif relation == "alternate" and href:
            self._entry.links.append(href)

    def _field(self, name: str, value: str) -> None:
        if self._entry is None:
            _set_feed_field(self.feed, name, value)
        else:
            _set_entry_field(self._entry, name, value)


def _short(tag: str) -> str:
    namespace, _, name = tag.rpartition(" ")
    prefix = {_CONTENT: "content:", _DC: "dc:", _ATOM: ""}.get(namespace)
    if prefix is not None:
        return prefix + name
    # RSS has no namespace, RSS 1.0 its own; everything else (media:, itunes:) is none of our fields.
    known = not namespace or "rss/1.0/" in namespace or "rdf-syntax" in namespace
    return name if known else f"?:{name}"


def _set_feed_field(feed: RawFeed, name: str, value: str) -> None:
    if name == "title":
        feed.title = feed.title or value
    elif name in ("language", "dc:language"):
        feed.language = feed.language or value
    elif name == "generator":
        feed.generator = value


def _set_entry_field(entry: RawEntry, name: str, value: str) -> None:
    if name in ("guid", "id"):
        entry.guid = value
    elif name == "title":
        entry.title = value
    elif name == "link" and value:
        entry.links.append(value)
    elif name in ("pubDate", "published", "updated", "dc:date", "issued", "modified"):
        entry.dates.append(value)
    elif name in ("content:encoded", "content", "description", "summary"):
        entry.texts.append(value)
        entry.is_full = entry.is_full or (name.startswith("content") and bool(value))


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def _read_json(body: bytes) -> RawFeed:
    feed = RawFeed(kind="JSON Feed")
    try:
        data = jsontext.read(body.removeprefix(_BOM).strip(b"\x00 \t\r\n"))
    except ValueError as error:
        feed.error = str(error)
        return feed
    if isinstance(data, dict):
        feed.title, feed.language = _text(data, "title"), _text(data, "language")
        items = data.get("items")
        feed.entries = list(_json_entries(items if isinstance(items, list) else []))
    return feed


def _json_entries(items: list[Any]) -> Iterator[RawEntry]:
    for number, item in enumerate(items[:MAX_ENTRIES], 1):
        if isinstance(item, dict):
            html, plain = _text(item, "content_html"), _text(item, "content_text")
            yield RawEntry(
                number=number,
                guid=str(item.get("id") or ""),
                title=_text(item, "title"),
                links=[url for name in ("url", "external_url") if (url := _text(item, name))],
                dates=[date for name in ("date_published", "date_modified") if (date := _text(item, name))],
                enclosures=list(_json_attachments(item.get("attachments"))),
                texts=[text for text in (html, plain) if text],
                is_full=bool(html or plain),
            )


def _json_attachments(attachments: Any) -> Iterator[tuple[str, str]]:
    for one in attachments if isinstance(attachments, list) else ():
        if isinstance(one, dict):
            yield _text(one, "url"), _text(one, "mime_type")


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
