"""What an entry is called and what it says, folded until only real differences are left.

Redesigns, redirects, trackers and feed plugins change how the same entry is spelled; none of that makes
it another entry, and none of it is an edit.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, unquote, urlencode

from bridge.addresses import Parts, take_apart
from bridge.markup.html import kept, words_of
from bridge.model import Entry

_TRACKING = re.compile(r"(utm_|mtm_|pk_|mc_|fbclid|gclid|igshid|ref$|ref_|source$|at_medium|at_campaign|_hs)")
_PLACES = re.compile(
    r"(comments?|respond|top|main|content|more(-\d+)?|(rss|atom|feed)([-_].*)?|(tk\.|xtor=|utm_).*)$",
    re.IGNORECASE,
)
_INDEX = re.compile(r"/(index|default)\.(html?|php|aspx?)$")
_FIGURES = re.compile(r"\d+(?:[.,:\s]\d+)*")
_SUFFIX = re.compile(r"\.(html?|php|aspx?)$")
_SHORTEST_TITLE = 4  # characters; “Hi” names nothing
_SHORTEST_SLUG = 6  # letters; “2” and “post-17” name nothing
_SHORTEST_TEXT = 80  # characters; less may be said twice
_LONGEST_COUNTER = 60  # characters of a line like “3 days ago · 1,204 views”
_FEWEST_CARRIERS = 3  # entries that have to share a line for it to be a template's


@kept
def strong_keys(entry: Entry) -> tuple[str, ...]:
    """Return the names that are this entry's own: its guid, its address."""
    keys = []
    if entry.guid:
        keys.append(f"guid:{_folded_guid(entry.guid)}")
    if entry.link and not (entry.guid and _is_root(entry.link)):
        keys.append(f"link:{canonical_link(entry.link)}")
    return tuple(keys)


@kept
def weak_keys(entry: Entry) -> tuple[str, ...]:
    """Return what it may be recognised by when guid and address changed.

    Its path on any host; its title and day; title and text; the last part of its path and the day; its text
    and the day, under whatever title. What other entries may share counts only with the day.
    """
    keys = []
    day = f"{entry.published_at:%Y-%m-%d}" if entry.published_at else ""
    if entry.link and (path := _path(entry.link)):
        keys.append(f"path:{path}")
    title = _folded(entry.title)
    if len(title) >= _SHORTEST_TITLE and day:
        keys.append(f"title:{_words(title)}|{day}")
    text = _folded(words_of(entry).text)
    if len(text) >= _SHORTEST_TEXT or not (entry.guid or entry.link):
        keys.append(f"text:{_digest([title, text])}")
    if entry.link and day and (slug := _slug(entry.link)):
        keys.append(f"slug:{slug}|{day}")
    if len(text) >= _SHORTEST_TEXT and day:
        keys.append(f"words:{_digest([text])}|{day}")
    return tuple(keys)


def all_keys(entry: Entry) -> tuple[str, ...]:
    """Return every name an entry may be found under again; the first is what a post's id is minted from."""
    return tuple(dict.fromkeys((*strong_keys(entry), *weak_keys(entry))))


def canonical_link(link: str) -> str:
    """Fold what differs between spellings of one page: scheme, www, slash, index.html, tracking, %xx.

    What stands behind a # is kept, for weblogs put a whole day's posts on one page.
    """
    parts = take_apart(link)
    if parts == Parts():  # it has no other spelling
        return link.strip()
    host = parts.site
    if parts.port and parts.port not in (80, 443):
        host = f"{host}:{parts.port}"
    return f"{host}{_folded_path(parts.path)}{_folded_query(parts.query)}{_folded_fragment(parts.fragment)}"


def content_hash(entry: Entry) -> str:
    """Fingerprint everything followers would see, markup included; dates and white space do not count."""
    images = [f"{image.url} {image.alt}" for image in entry.images]
    seen = [
        entry.title,
        entry.html or entry.summary,
        entry.link or "",
        *entry.tags,
        *images,
        repr(entry.controls),
    ]
    return _digest(_folded(text) for text in seen)


def text_hash(entry: Entry, noise: frozenset[str] = frozenset()) -> str:
    """Fingerprint what readers read: title, text and alternative texts, without addresses and templates."""
    alts = [image.alt for image in entry.images if image.alt]
    lines = text_lines(entry)
    own = [line for line in lines if _without_figures(line) not in noise] or lines
    return _digest([_folded(entry.title), *own, *map(_folded, alts), entry.controls.warning or ""])


def text_lines(entry: Entry) -> tuple[str, ...]:
    """Return an entry's text in folded lines, web addresses without their queries."""
    text = words_of(entry).text
    return tuple(line for raw in text.splitlines() if (line := _without_queries(_folded(raw))))


def volatile_lines(entries: Sequence[Entry]) -> frozenset[str]:
    """Return lines that are a template's or an advertisement's, nobody's writing; figures are left out.

    They stand in half of all entries, be it with other figures (“3 days ago”, “1,204 views”), or are other
    entries' titles (“Related posts”).
    """
    if len(entries) < _FEWEST_CARRIERS:
        return frozenset()
    carriers = Counter(line for entry in entries for line in set(map(_without_figures, text_lines(entry))))
    enough = max(_FEWEST_CARRIERS, len(entries) / 2)
    titles = {_without_figures(_folded(entry.title)) for entry in entries if entry.title}
    return frozenset(line for line, number in carriers.items() if number >= enough) | titles


def _without_figures(line: str) -> str:
    """Leave the figures out of a short line; in a long one somebody wrote them."""
    return _FIGURES.sub("#", line) if len(line) <= _LONGEST_COUNTER else line


def _folded_guid(guid: str) -> str:
    return canonical_link(guid) if guid.startswith(("http://", "https://")) else guid.strip()


def _path(link: str) -> str:
    """Return a page's path on whatever host, whatever its case; a site's root names no entry."""
    parts = take_apart(link)
    path = _folded_path(parts.path).casefold()
    rest = f"{path}{_folded_query(parts.query)}{_folded_fragment(parts.fragment)}"
    return rest if path or parts.query or parts.fragment else ""


def _is_root(link: str) -> bool:
    parts = take_apart(link)
    return not (_folded_path(parts.path) or _folded_query(parts.query) or _folded_fragment(parts.fragment))


def _slug(link: str) -> str:
    """Return the last part of a page's path, which stays when it is moved to another folder."""
    parts = take_apart(link)
    if _folded_fragment(parts.fragment):
        return ""
    last = _SUFFIX.sub("", _folded_path(parts.path).rpartition("/")[2].casefold())
    return last if sum(map(str.isalpha, last)) >= _SHORTEST_SLUG else ""


def _words(title: str) -> str:
    """Return a title's words: commas, quotes and hyphens are mended without making it another title."""
    return " ".join(re.findall(r"\w+", title.casefold())) or title.casefold()


def _folded_path(path: str) -> str:
    # PostgreSQL holds no NUL: the one character that stays as it is written.
    return unquote(_INDEX.sub("/", path)).replace("\0", "%00").rstrip("/")


def _folded_query(query: str) -> str:
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if not _TRACKING.match(pair[0])]
    return f"?{urlencode(sorted(pairs), errors='replace')}" if pairs else ""


def _folded_fragment(fragment: str) -> str:
    return f"#{fragment}" if fragment and not _PLACES.match(fragment) else ""


def _without_queries(line: str) -> str:
    return " ".join(word.partition("?")[0] if "://" in word else word for word in line.split(" "))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
