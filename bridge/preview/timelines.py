"""How other servers show a note, and what may surprise its author: pure, from the note and its entry."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape, unescape
from typing import Any

from bridge.activitypub.documents import MAX_ACTIVITY_BYTES, encode
from bridge.addresses import same_site, take_apart
from bridge.compose import Kind, choose_pictures, kind_of
from bridge.compose.body import body_of
from bridge.compose.kinds import title_of
from bridge.compose.template import shows_whole_text
from bridge.config import SiteConfig
from bridge.counted import counted
from bridge.markup.as_seen_by import as_misskey, keep_as_mastodon
from bridge.markup.html import plain_text, shorten, words_of
from bridge.model import PUBLIC, Entry

LONG = 500  # characters: what Mastodon lets its own people write
MANY_HASHTAGS = 10
LONG_WARNING = 120
NEAR_LIMIT = 0.8
LINK_LENGTH = 23  # what a link counts on Mastodon, however long it is
OLD = timedelta(days=14)
_MOST_PICTURES = 4
_TAIL = 30  # characters at a text's end by which it is known to be whole
_ADDRESS = re.compile(r"https?://\S+")
_SHORTENED = re.compile(r"\b[\w.-]{1,253}\.\w{2,24}/\S*")
_ANCHOR = re.compile(r'<a\b([^<>]*)href="([^"]*)"([^<>]*)>')
_NO_CARD = re.compile(r"rel=\"[^\"]*\btag\b|\bmention\b|\bu-url\b")


class Level(StrEnum):
    """How much a remark matters."""

    NOTE = "note"  # good to know
    WARNING = "warning"  # followers will not see what was meant


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a post that its author may not expect."""

    level: Level
    what: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A picture or file as it hangs below a post; `alt` is empty where nobody described it."""

    url: str
    media_type: str
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A link's preview card; servers take the text from the page itself, so this is what it may say."""

    url: str
    title: str
    excerpt: str
    site: str


@dataclass(frozen=True, slots=True)
class Preview:
    """One post as four kinds of readers see it; `mastodon` is HTML, safe to show, the others are text.

    `misskey_warning` hides it there: an Article's summary does, which Mastodon shows openly.
    """

    title: str
    link: str | None
    kind: Kind
    warning: str
    visibility: str
    published_at: str
    mastodon: str
    misskey: str
    threads: str
    card: Card | None  # of the post's first link; Mastodon shows it only where nothing is attached
    attached: tuple[Attached, ...]
    hashtags: tuple[str, ...]
    characters: int
    size: int
    remarks: tuple[Remark, ...]
    misskey_warning: str = ""
    language: str = ""  # that is claimed; empty: none is


def preview(note: Mapping[str, Any], entry: Entry, config: SiteConfig, *, now: datetime) -> Preview:
    """Show what becomes of a composed note."""
    kept = _shown_on_mastodon(note)
    attached = tuple(
        Attached(one["url"], one["mediaType"], one.get("name", "")) for one in note["attachment"]
    )
    return Preview(
        title=entry.title or shorten(plain_text(kept), 60),
        link=entry.link,
        kind=kind_of(entry, words_of(entry).note),
        warning=_warning(note),
        visibility="public" if PUBLIC in note["to"] else "unlisted",
        published_at=note["published"],
        mastodon=kept,
        misskey=as_misskey(note["content"]),
        threads=_shown_on_threads(note),
        card=_card(note, entry, config, kept),
        attached=attached,
        hashtags=tuple(tag["name"] for tag in note["tag"] if tag["type"] == "Hashtag"),
        characters=count_characters(kept),
        size=len(encode(note)),
        remarks=tuple(_remarks(note, entry, config, kept, now)),
        misskey_warning=str(note.get("summary", "")),
        language=next(iter(note.get("contentMap", ())), ""),
    )


def count_characters(html: str) -> int:
    """Count as Mastodon does: every web address as 23 characters, a mention without its server."""
    text = plain_text(html)
    return len(_SHORTENED.sub("x" * LINK_LENGTH, _ADDRESS.sub("x" * LINK_LENGTH, text)))


def _shown_on_mastodon(note: Mapping[str, Any]) -> str:
    """Return the HTML that Mastodon shows; of an Article only name, summary and link."""
    if note["type"] == "Note":
        return keep_as_mastodon(note["content"])
    summary = f"<p>{escape(note['summary'])}</p>" if note.get("summary") else ""
    url = escape(note["url"])
    return keep_as_mastodon(f'<h2>{escape(note["name"])}</h2>{summary}<p><a href="{url}">{url}</a></p>')


def _shown_on_threads(note: Mapping[str, Any]) -> str:
    """Return the plain text that Threads shows: of notes only, and without pictures' descriptions."""
    return plain_text(note["content"]) if note["type"] == "Note" else ""


def _warning(note: Mapping[str, Any]) -> str:
    return str(note.get("summary", "")) if note["type"] == "Note" else ""


def _card(note: Mapping[str, Any], entry: Entry, config: SiteConfig, html: str) -> Card | None:
    """Return the card of the first link that is neither hashtag nor mention."""
    links = (url for before, url, after in _ANCHOR.findall(html) if not _NO_CARD.search(before + after))
    url = unescape(next(links, ""))
    if not url:
        return None
    host = take_apart(url).site
    ours = not entry.about and any(same_site(url, own) for own in (config.website, entry.link or note["id"]))
    text = entry.summary or words_of(entry).text
    return Card(url, entry.title or host, shorten(text, 160) if ours else "", config.name if ours else host)


# ── what may surprise ────────────────────────────────────────────────────────────────────────────


def _remarks(
    note: Mapping[str, Any], entry: Entry, config: SiteConfig, kept: str, now: datetime
) -> Iterator[Remark]:
    for what in _on_being_sent(entry, now):
        yield Remark(Level.NOTE, what)
    for what in (*_on_warnings(note, entry), *_on_words(note, entry, config, kept)):
        yield Remark(Level.WARNING, what)
    yield from _on_pictures(note, entry, config)
    yield from _on_links(note, entry, config)


def _on_being_sent(entry: Entry, now: datetime) -> Iterator[str]:
    if entry.in_doubt:
        yield "It is not sent: what it says about publishing, or its warning, is not understood."
    elif not entry.wanted:
        yield "It is not sent: the post itself says so (fediverse: false)."
    if entry.no_date:
        yield "Its date cannot be read: as a new entry it would be put on hold."
    if entry.published_at and entry.published_at > now:
        yield f"It waits for its date, {entry.published_at:%d %b %Y %H:%M} UTC."
    elif entry.published_at and now - entry.published_at > OLD:
        yield "It is older than two weeks: as a new entry it would be put on hold."


def _on_warnings(note: Mapping[str, Any], entry: Entry) -> Iterator[str]:
    if note["type"] == "Article" and note.get("summary"):
        yield (
            "As an Article, GoToSocial hides it behind its summary, and so do Misskey, Hollo, snac and "
            "microblog.pub; Threads does not show it at all."
        )
    elif note["type"] == "Article":
        yield (
            "As an Article, Mastodon shows its title and its link only, GoToSocial hides it behind its "
            "title, and Threads does not show it at all."
        )
    if entry.controls.warning and entry.controls.article:
        yield "With a content warning it goes out as a Note: Mastodon shows an Article's warning as its text."
    if entry.controls.warning:
        yield "Threads shows it without its content warning."
    if len(entry.controls.warning) > LONG_WARNING:
        yield (
            f"Its content warning has {len(entry.controls.warning)} characters, and people see nothing else "
            "before they click. If it was meant as a summary, call it description."
        )


def _on_words(note: Mapping[str, Any], entry: Entry, config: SiteConfig, kept: str) -> Iterator[str]:
    characters, size = count_characters(kept), len(encode(note))
    if not plain_text(kept):
        yield "It has no words at all."
    if characters > LONG:
        yield f"It has {characters} characters: Mastodon folds posts of that length behind “Read more”."
    if size > MAX_ACTIVITY_BYTES * NEAR_LIMIT:
        yield f"It is {size // 1000} kB: beyond {MAX_ACTIVITY_BYTES // 1000} kB servers refuse posts."
    if _is_cut(note, entry, config):
        yield f"Its text is cut off: servers refuse posts beyond {MAX_ACTIVITY_BYTES // 1000} kB."
    if len(entry.tags) > MANY_HASHTAGS:
        used = sum(tag["type"] == "Hashtag" for tag in note["tag"])
        yield f"It has {len(entry.tags)} tags, of which {used} become hashtags: more look like spam."


def _is_cut(note: Mapping[str, Any], entry: Entry, config: SiteConfig) -> bool:
    """Say whether a post that was to go out whole did not fit."""
    found = words_of(entry).note
    kind = kind_of(entry, found)
    is_whole = note["type"] == "Article" or kind is Kind.STATUS
    if entry.controls.text or not (is_whole or shows_whole_text(config.template)):
        return False
    words = plain_text(body_of(entry, kind, title_of(entry, found.text), found).whole)
    shown = plain_text(note["content"])
    return "…" in shown and (words[-_TAIL:] not in shown or len(shown) < len(words))


def _on_pictures(note: Mapping[str, Any], entry: Entry, config: SiteConfig) -> Iterator[Remark]:
    there = choose_pictures(entry, words_of(entry).note.images)
    attached = [one for one in note["attachment"] if one["mediaType"].startswith("image/")]
    if there and not attached:
        yield Remark(
            Level.NOTE, f"{_pictures(len(there))} left out: {_why_no_pictures(note, entry, config)}."
        )
    elif len(there) > len(attached):
        some = f"{_pictures(len(there))} in it, but only {len(attached)} attached"
        why = "servers show four" if len(attached) == _MOST_PICTURES else "the others cannot be fetched"
        yield Remark(Level.WARNING, f"{some}: {why}.")
    if silent := sum(not one.get("name") for one in attached):
        yield Remark(
            Level.WARNING, f"{_pictures(silent)} without a description (alt) for people who do not see them."
        )


def _why_no_pictures(note: Mapping[str, Any], entry: Entry, config: SiteConfig) -> str:
    if note["attachment"]:
        return "Mastodon shows no player among pictures"
    if not entry.controls.images:
        return "the post itself says so"
    if config.images == "never":
        return "the site says so (images = “never”)"
    return "Mastodon shows the link's preview card instead (images = “auto”)"


def _pictures(number: int) -> str:
    return counted(number, "picture")


def _on_links(note: Mapping[str, Any], entry: Entry, config: SiteConfig) -> Iterator[Remark]:
    if take_apart(note["url"]).netloc != take_apart(note["id"]).netloc:
        yield Remark(
            Level.WARNING,
            "Its link is on another host than the bridge: Misskey's relatives and Pixelfed drop it. "
            "urls = “auto” avoids that.",
        )
    if entry.link and not same_site(entry.link, config.website):
        host = take_apart(entry.link).host
        yield Remark(Level.NOTE, f"Its page is on {host}, not on {take_apart(config.website).host}.")
