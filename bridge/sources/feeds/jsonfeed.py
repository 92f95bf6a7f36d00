"""JSON Feed 1.0 and 1.1 become entries; a field of the wrong type costs that field, not the entry.

See https://www.jsonfeed.org/version/1.1/.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bridge.addresses import names_a_user, same_site
from bridge.errors import NotAFeed
from bridge.markup.html import absolute_url, absolutise, one_line, paragraphs, plain_text, strip_controls
from bridge.model import Enclosure, Entry, Harvest, Image, Problem
from bridge.sources import jsontext
from bridge.sources.controls import read_tags
from bridge.sources.feeds.links import NAMES_A_USER
from bridge.sources.feeds.media import MAX_MEDIA
from bridge.sources.feeds.mojibake import mend
from bridge.sources.feeds.sniff import MAX_ENTRIES, REMEDY
from bridge.sources.fields import is_unknown, language_tag, own_language, parse_date, plausible

Item = dict[str, Any]


def load(body: bytes, *, url: str) -> Item:
    """Read the bytes of a JSON Feed; raises `NotAFeed` for JSON that is broken, too deep or no object."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip(b"\x00 \t\r\n")
    try:
        data = jsontext.read(text)
    except ValueError as error:
        raise NotAFeed(f"{url} answered with JSON that is broken or cut off ({error}). {REMEDY}") from error
    if not isinstance(data, dict):
        raise NotAFeed(f"{url} answered with JSON that is not a JSON Feed but {_kind(data)}. {REMEDY}")
    return data


def parse_json_feed(data: Item, *, url: str, now: datetime) -> Harvest:
    """Return the entries of a JSON Feed. Raises `NotAFeed` when `version` does not say that it is one."""
    version = data.get("version")
    if not isinstance(version, str) or "jsonfeed.org/version/" not in version:
        raise NotAFeed(f"{url} answered with JSON that names no JSON Feed version. {REMEDY}")
    items = data.get("items")
    if not isinstance(items, list):
        raise NotAFeed(f"{url} is a JSON Feed without a list of items. Check the feed's template.")
    reader = _Reader(url, now, language_tag(_field(data, "language")))
    icon = absolute_url(_field(data, "icon"), url) if _field(data, "icon") else None
    reader.cover = Image(icon) if icon else None
    if len(items) > MAX_ENTRIES:
        reader.problems.append(
            Problem(url, f"has {len(items)} entries; only the first {MAX_ENTRIES} were read.")
        )
    entries = [entry for n, item in enumerate(items[:MAX_ENTRIES], 1) if (entry := reader.read(n, item))]
    return Harvest(
        tuple(entries),
        tuple(reader.problems),
        one_line(_field(data, "title")),
        reader.language,
        hub=next(_hubs(data, url), None),
        topic=absolute_url(_field(data, "feed_url"), url) if _field(data, "feed_url") else None,
    )


def _hubs(data: Item, url: str) -> Iterator[str]:
    for hub in _list(data, "hubs"):
        if isinstance(hub, dict) and _field(hub, "type").lower() == "websub":
            found = absolute_url(_field(hub, "url"), url)
            yield from [found] if found else []


class _Reader:
    """Reads the items of one feed and notes what is wrong with them."""

    def __init__(self, url: str, now: datetime, language: str | None) -> None:
        self.url = url
        self.now = now
        self.language = language
        self.cover: Image | None = None  # the feed's own
        self.problems: list[Problem] = []

    def read(self, number: int, item: object) -> Entry | None:
        """Return the entry, or `None` (and a problem) when there is nothing to show."""
        if not isinstance(item, dict):
            self.problems.append(
                Problem(f"entry {number}", f"is {_kind(item)}, not an object, and was skipped.")
            )
            return None
        item = item | {name: mend(_field(item, name)) for name in _WRITTEN if _field(item, name)}
        title = one_line(_field(item, "title"), 60)
        where = f"entry {number} “{title}”" if title else f"entry {number}"
        try:
            return self._read(where, title, item)
        except Exception as error:  # the other entries are fine
            self.problems.append(Problem(where, f"cannot be read and was skipped ({error})."))
            return None

    def _read(self, where: str, title: str, item: Item) -> Entry | None:
        self._note_wrong_types(where, item)
        link, about = self._links(item)
        lost = _field(item, "url") or _field(item, "external_url")
        if lost and link is None:
            self.problems.append(Problem(where, f"its url “{one_line(lost, 60)}” is not a web address."))
        if names_a_user(lost):
            self.problems.append(Problem(where, NAMES_A_USER))
        html = self._html(item, link)
        if not (title or link or plain_text(html) or "<img" in html):
            self.problems.append(Problem(where, "has neither a title nor text nor a link and was skipped."))
            return None
        told = read_tags(mend(tag) for tag in _list(item, "tags") if isinstance(tag, str))
        self.problems.extend(Problem(where, complaint) for complaint in told.complaints)
        images = tuple(self._images(item, link))
        published = self._date(where, item, "date_published")
        return Entry(
            guid=_guid(item),
            link=link,
            title=one_line(_field(item, "title")),
            html=html,
            summary=one_line(_field(item, "summary"), 2000),
            published_at=plausible(published, self.now),
            updated_at=plausible(self._date(where, item, "date_modified"), self.now),
            in_doubt=told.in_doubt,
            no_date=bool(_field(item, "date_published").strip()) and is_unknown(published, self.now),
            language=own_language(item.get("language"), self.language),
            tags=told.tags,
            images=images,
            enclosures=tuple(self._enclosures(item, link, images[0] if images else self.cover))[:MAX_MEDIA],
            controls=told.controls,
            about=about,
        )

    def _note_wrong_types(self, where: str, item: Item) -> None:
        wrong = [
            f"{name} is {_kind(item[name])}"
            for name, kind in _TYPES.items()
            if not isinstance(item.get(name), kind | None)
        ]
        if wrong:
            self.problems.append(
                Problem(where, f"has fields of the wrong type, which were left out: {', '.join(wrong)}.")
            )

    def _url(self, item: Item, name: str) -> str | None:
        text = _field(item, name)
        return absolute_url(text, self.url) if text else None

    def _links(self, item: Item) -> tuple[str | None, str | None]:
        """Return the item's own page and, of a link post, the page elsewhere that it is about."""
        own, external = self._url(item, "url"), self._url(item, "external_url")
        if own and external and not same_site(own, external):
            return own, external
        return own or external, None

    def _html(self, item: Item, link: str | None) -> str:
        html = _field(item, "content_html") or paragraphs(_field(item, "content_text"))
        return absolutise(html, link or self.url)

    def _date(self, where: str, item: Item, name: str) -> datetime | None:
        text = _field(item, name)
        moment = parse_date(text) if text else None
        if text and moment is None:
            self.problems.append(
                Problem(where, f"{name} “{one_line(text, 40)}” is not a date (want 2026-05-01T10:00:00Z).")
            )
        return moment

    def _images(self, item: Item, link: str | None) -> Iterator[Image]:
        urls = [_field(item, "image"), _field(item, "banner_image")]
        found = {url: Image(url) for text in urls if text and (url := absolute_url(text, link or self.url))}
        for url, kind, attachment in self._attachments(item, link):
            if kind.startswith("image/"):
                found.setdefault(url, Image(url, one_line(_field(attachment, "title"), 1500), kind))
        yield from list(found.values())[:MAX_MEDIA]

    def _enclosures(self, item: Item, link: str | None, cover: Image | None) -> Iterator[Enclosure]:
        for url, kind, attachment in self._attachments(item, link):
            if not kind.startswith("image/"):
                yield Enclosure(
                    url,
                    kind,
                    _whole(attachment.get("size_in_bytes")),
                    _whole(attachment.get("duration_in_seconds")),
                    cover if kind.startswith(("audio/", "video/")) else None,
                )

    def _attachments(self, item: Item, link: str | None) -> Iterator[tuple[str, str, Item]]:
        for attachment in _list(item, "attachments"):
            if isinstance(attachment, dict) and (
                url := absolute_url(_field(attachment, "url"), link or self.url)
            ):
                kind = _field(attachment, "mime_type").lower()[:100]
                yield url, kind if "/" in kind else "application/octet-stream", attachment


_WRITTEN = ("title", "content_html", "content_text", "summary")
_TYPES: dict[str, Any] = {
    "id": str | int | float,
    **dict.fromkeys(
        (
            "url",
            "external_url",
            "title",
            "content_html",
            "content_text",
            "summary",
            "image",
            "date_published",
            "language",
        ),
        str,
    ),
    "tags": list,
    "attachments": list,
}


def _field(item: Item, name: str) -> str:
    value = item.get(name)
    return strip_controls(value).strip() if isinstance(value, str) else ""


def _list(item: Item, name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    """Return a number above zero, whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 1 <= value < 10**15 else None


def _guid(item: Item) -> str | None:
    """Return the id; the specification asks readers to take numbers as their text."""
    value = item.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return strip_controls(str(value)).strip()[:2048] or None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
