"""The checks behind the rules: each yields where its rule is broken."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from bridge.addresses import Parts, take_apart
from bridge.changes.keys import strong_keys
from bridge.lint.look import Look
from bridge.markup.cutoff import is_teaser
from bridge.markup.html import one_line
from bridge.model import Entry
from bridge.sources.feeds.raw import RawEntry

FEW_ENTRIES = 5
MANY_BYTES = 2 * 1024 * 1024
MANY_ENTRIES = 300
SHORT_TEXT = 600  # characters; longer descriptions are whole posts
LONG_TEXT = 3000  # and whatever is longer than this has not been cut short
FUTURE = timedelta(minutes=10)

_ADDRESS = re.compile(r"""\b(?:href|src)\s{0,5}=\s{0,5}["']([^"'<>\s]{1,500})""", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b[^<>]{0,3000}>", re.IGNORECASE)
_ALT = re.compile(r"""\balt\s{0,5}=\s{0,5}(?:"\s*[^"\s]|'\s*[^'\s]|[^"'\s>])""", re.IGNORECASE)
_HIDDEN = re.compile(
    r"""\b(?:aria-hidden\s{0,5}=\s{0,5}["']true|(?:width|height)\s{0,5}=\s{0,5}["']?[01]["'\s])"""
)
_TAG = re.compile(
    r"</?(?:a|b|i|em|strong|span|code|br|p|small|sup|sub|img|font)\b[^<>]{0,500}>|&(?:amp|lt|gt|quot|#\d{1,5});"
)
_TRACKING = re.compile(r"[?&](?:utm_\w{1,30}|fbclid|gclid|mc_[ce]id|igshid|ref)=")
_ZONE = re.compile(r"(?:[+-]\d\d:?\d\d|Z|UTC?|GMT|[ECMP][SD]T|CES?T)$", re.IGNORECASE)

_XML_TYPES = (
    "application/rss+xml",
    "application/atom+xml",
    "application/rdf+xml",
    "application/xml",
    "text/xml",
)
_JSON_TYPES = ("application/feed+json", "application/json")

Where = Iterable[str]


# ── how it is served ─────────────────────────────────────────────────────────────────────────────


def wrong_content_type(look: Look) -> Where:
    if look.answer is None or look.raw is None:
        return
    wanted = _JSON_TYPES if look.raw.kind == "JSON Feed" else _XML_TYPES
    if look.content_type not in wanted:
        yield look.content_type or "no Content-Type at all"


def permanent_redirect(look: Look) -> Where:
    if look.moved_to and look.moved_to != look.asked:
        yield f"{look.asked} → {look.moved_to}"


def redirect_chain(look: Look) -> Where:
    if look.answer is not None and look.answer.hops > 1:
        yield f"{look.answer.hops} redirects from {look.asked} to {look.answer.url}"


def no_validators(look: Look) -> Where:
    if look.answer is not None and not ({"etag", "last-modified"} & look.answer.headers.keys()):
        yield look.answer.url or look.asked


def huge_feed(look: Look) -> Where:
    size = len(look.answer.body) if look.answer else 0
    if size > MANY_BYTES:
        yield f"{size / 1024 / 1024:.1f} MiB"
    elif look.raw is not None and len(look.harvest.entries) > MANY_ENTRIES:
        yield f"{len(look.harvest.entries)} entries"


def no_hub(look: Look) -> Where:
    if look.has_hub is False:
        yield "the feed"


# ── how it is written ────────────────────────────────────────────────────────────────────────────


def invalid_xml(look: Look) -> Where:
    if look.raw is not None and look.raw.error:
        yield look.raw.error


def undeclared_encoding(look: Look) -> Where:
    if look.raw is None or look.raw.is_utf8 or look.raw.has_bom:
        return
    header = look.answer.headers.get("content-type", "") if look.answer else ""
    if look.raw.encoding in ("", "utf-8") and "charset" not in header.lower():
        yield (
            f"declared as {look.raw.encoding}, which it is not"
            if look.raw.encoding
            else "nothing declares it"
        )


def control_characters(look: Look) -> Where:
    if look.raw is not None and look.raw.controls:
        yield f"{look.raw.controls} of them"


def no_feed_title(look: Look) -> Where:
    if look.raw is not None and not look.harvest.title:
        yield "the feed"


def no_language(look: Look) -> Where:
    entries = look.harvest.entries
    if look.raw is not None and not (look.harvest.language or any(entry.language for entry in entries)):
        said = one_line(look.raw.language, 40)
        yield f"the feed (“{said}” is no tag such as pt-BR)" if said else "the feed"
    for number, entry in enumerate(entries, 1):
        if entry.language == "":  # said, and not understood
            name = one_line(entry.title or entry.link or f"entry {number}", 60)
            yield f"“{name}” (what it says is no tag such as pt-BR)"


def too_few_entries(look: Look) -> Where:
    if look.raw is not None and 0 < len(look.harvest.entries) < FEW_ENTRIES:
        yield f"only {len(look.harvest.entries)}"


def oldest_first(look: Look) -> Where:
    dates = [entry.published_at for entry in look.harvest.entries if entry.published_at]
    if look.raw is not None and len(dates) > 2 and dates == sorted(dates) and dates[0] < dates[-1]:
        yield f"from {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"


# ── what entries are called ──────────────────────────────────────────────────────────────────────


def missing_guid(look: Look) -> Where:
    return (entry.name for entry in look.raw_entries if not entry.guid)


def duplicate_guids(look: Look) -> Where:
    counted = Counter(entry.guid for entry in look.raw_entries if entry.guid)
    return (one_line(guid, 100) for guid, number in counted.items() if number > 1)


def changing_guids(look: Look) -> Where:
    """An entry whose address is known, but whose guid is not."""
    for entry in look.harvest.entries:
        guid, *others = strong_keys(entry) if entry.guid else ("",)
        if guid and guid not in look.known and look.known.intersection(others):
            yield _name(entry)


def tracking_in_guids(look: Look) -> Where:
    return (one_line(entry.guid, 100) for entry in look.raw_entries if _TRACKING.search(entry.guid))


def no_link(look: Look) -> Where:
    # A guid that is an address serves as one.
    return (
        entry.name
        for entry in look.raw_entries
        if not entry.links and not entry.guid.startswith(("https://", "http://"))
    )


def same_link(look: Look) -> Where:
    counted = Counter(entry.link for entry in look.harvest.entries if entry.link)
    return (link for link, number in counted.items() if number > 1)


def http_links(look: Look) -> Where:
    if look.raw is not None:
        yield from (
            entry.link for entry in look.harvest.entries if entry.link and entry.link.startswith("http://")
        )


# ── when they were written ───────────────────────────────────────────────────────────────────────


def missing_dates(look: Look) -> Where:
    return (_name(entry) for entry in look.harvest.entries if entry.published_at is None)


def future_dates(look: Look) -> Where:
    if look.raw is None:
        return  # in a folder that is how a post is scheduled
    latest = look.now + FUTURE
    for entry in look.harvest.entries:
        if entry.published_at is not None and entry.published_at > latest:
            yield f"{_name(entry)}: {entry.published_at:%Y-%m-%d %H:%M} UTC"


def dates_without_zone(look: Look) -> Where:
    for entry in look.raw_entries:
        date = next((date for date in entry.dates if date and not _ZONE.search(date.strip())), None)
        if date:
            yield f"{entry.name}: {one_line(date, 40)}"


# ── what they say ────────────────────────────────────────────────────────────────────────────────


def html_in_titles(look: Look) -> Where:
    return (entry.name for entry in look.raw_entries if _TAG.search(entry.title))


def truncated_content(look: Look) -> Where:
    """Beginnings instead of posts; one that happens to end in dots among whole ones is none."""
    cut = [entry.name for entry in look.raw_entries if _is_cut_short(entry, look)]
    if len(cut) * 2 > len(look.raw_entries):
        yield from cut


def _is_cut_short(entry: RawEntry, look: Look) -> bool:
    # A short note without a title is all there is, and so may be the words beside an episode or a picture.
    if not entry.title or entry.enclosures or any("<img" in text for text in entry.texts):
        return False
    text = look.text_of(entry)
    if text and len(text) < LONG_TEXT and is_teaser(text):
        return True
    return bool(text) and not entry.is_full and len(text) < SHORT_TEXT


def images_without_alt(look: Look) -> Where:
    for entry in look.harvest.entries:
        images = [image for image in _IMAGE.findall(entry.html) if not _HIDDEN.search(image)]
        missing = sum(not _ALT.search(image) for image in images)
        if missing:
            yield f"{_name(entry)}: {missing} of {len(images)}"


def relative_links(look: Look) -> Where:
    for entry in look.raw_entries:
        address = None if entry.base else next(_relative_addresses(entry), None)
        if address:
            yield f"{entry.name}: {one_line(address, 80)}"


def _relative_addresses(entry: RawEntry) -> Iterator[str]:
    for text in entry.texts:
        yield from (address for address in _ADDRESS.findall(text) if _is_relative(address))


def relative_enclosure(look: Look) -> Where:
    for entry in look.raw_entries:
        if any(not address or _is_relative(address) for address, _ in entry.enclosures):
            yield entry.name


def enclosure_without_type(look: Look) -> Where:
    return (entry.name for entry in look.raw_entries if any("/" not in kind for _, kind in entry.enclosures))


def _is_relative(address: str) -> bool:
    if address.startswith("#"):  # a footnote's: it leads nowhere else
        return False
    parts = take_apart(address)
    return parts != Parts() and not parts.scheme and not parts.netloc


def _name(entry: Entry) -> str:
    return f"“{one_line(entry.title, 60)}”" if entry.title else entry.link or entry.guid or "an entry"
