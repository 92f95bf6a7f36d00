"""Judges a harvest against the posts we know: what is new, what was edited, what only came again.

Pure: it is handed what is known and what was found, and says what follows. The finer rules of editing,
deleting and holding will live here too.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from bridge.model import Entry, PostState

FRESH = timedelta(hours=1)
"""An entry's own date counts as the moment of publishing when it is younger than this."""

_TRACKING = ("utm_", "fbclid", "gclid", "mc_cid", "mc_eid")


@dataclass(frozen=True, slots=True)
class Known:
    """A post as far as judging goes; `ref` is the caller's own handle for it."""

    ref: int
    state: PostState
    content_hash: str


@dataclass(frozen=True, slots=True)
class Created:
    """An entry nobody has seen before, and the state its post starts in."""

    entry: Entry
    keys: tuple[str, ...]
    content_hash: str
    state: PostState
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Edited:
    """A known post whose entry says something else now."""

    ref: int
    entry: Entry
    keys: tuple[str, ...]
    content_hash: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a harvest changes; `same` are known posts that merely came again."""

    created: tuple[Created, ...] = ()
    edited: tuple[Edited, ...] = ()
    same: tuple[int, ...] = ()


def judge(entries: Sequence[Entry], known: Mapping[str, Known], *, baseline: bool, now: datetime) -> Changes:
    """Compare found entries with the posts their keys lead to.

    `baseline`: the source's first successful poll, whose entries were there before us and are never
    delivered. An entry dated in the future waits for its date. Created posts come oldest first, so that
    followers read them in the order they were written.
    """
    created: dict[int, Created] = {}  # by place from the end: feeds list the newest first
    edited: dict[int, Edited] = {}
    same: set[int] = set()
    taken: set[str] = set()
    for place, entry in enumerate(entries):
        keys = entry_keys(entry)
        post = next((known[key] for key in keys if key in known), None)
        digest = content_hash(entry)
        if post is None:
            if taken.isdisjoint(keys):  # the same entry twice in one feed is one post
                created[-place] = _created(entry, keys, digest, baseline=baseline, now=now)
        elif post.state is PostState.DELETED or post.content_hash == digest:
            same.add(post.ref)
        elif post.ref not in edited:
            edited[post.ref] = Edited(post.ref, entry, keys, digest)
        taken.update(keys)
    in_order = sorted(created.items(), key=lambda item: (item[1].published_at, item[0]))
    return Changes(
        tuple(one for _, one in in_order), tuple(edited.values()), tuple(sorted(same - edited.keys()))
    )


def _created(entry: Entry, keys: tuple[str, ...], digest: str, *, baseline: bool, now: datetime) -> Created:
    written_at = entry.published_at or now
    if written_at > now:
        return Created(entry, keys, digest, PostState.SCHEDULED, written_at)
    if baseline:
        return Created(entry, keys, digest, PostState.BASELINE, written_at)
    return Created(entry, keys, digest, PostState.PUBLISHED, publishing_moment(entry, now))


def publishing_moment(entry: Entry, now: datetime) -> datetime:
    """Return the `published` of a post that goes out now.

    Servers sort what they are sent by this date, and Mastodon puts nothing older than some hours into
    home timelines: an entry found late would reach nobody under its own date.
    """
    written_at = entry.published_at
    if written_at is not None and now - FRESH <= written_at <= now:
        return written_at
    return now


def entry_keys(entry: Entry) -> tuple[str, ...]:
    """Return every name an entry may be found under again, the most trustworthy first.

    The first one is the identity that the post's id is minted from.
    """
    keys = []
    if entry.guid:
        keys.append(f"guid:{entry.guid}")
    if entry.link:
        keys.append(f"link:{canonical_link(entry.link)}")
    if entry.title and entry.published_at:
        keys.append(f"title:{_folded(entry.title)}|{entry.published_at:%Y-%m-%d}")
    if not keys:
        keys.append(f"text:{content_hash(entry)}")
    return tuple(keys)


def canonical_link(link: str) -> str:
    """Fold what differs between spellings of one page: scheme, www, slash, index.html, tracking."""
    parts = urlsplit(link)
    host = (parts.hostname or "").removeprefix("www.")
    if parts.port and parts.port not in (80, 443):
        host = f"{host}:{parts.port}"
    path = parts.path.removesuffix("index.html").rstrip("/")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([pair for pair in pairs if not pair[0].startswith(_TRACKING)])
    return f"{host}{path}{'?' if query else ''}{query}"


def content_hash(entry: Entry) -> str:
    """Fingerprint what followers would see; dates and white space do not count."""
    images = [f"{image.url} {image.alt}" for image in entry.images]
    seen = [entry.title, entry.html or entry.summary, entry.link or "", *entry.tags, *images]
    return hashlib.sha256("\x1f".join(_folded(text) for text in seen).encode()).hexdigest()


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
