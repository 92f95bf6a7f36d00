"""The first look at bytes that claim to be a feed: what they really are, and in which encoding."""

import re

from bridge.errors import NotAFeed

REMEDY = "Find the address of the site's RSS, Atom or JSON feed in a browser and put that into config.toml."

MAX_ENTRIES = 5_000  # of one feed that are read

_HEAD = 65536
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_ENTRY = re.compile(rb"<(?:item|entry)[\s>]")
_PERSON = re.compile(
    rb"<((?:[\w.-]{1,40}:)?(?:author|creator|managingeditor|webmaster|publisher|owner))(?:\s[^<>]{0,500})?(?<!/)>"
)
_FIRST_TAG = re.compile(rb"<([A-Za-z_][\w.:-]{0,60})")
# What people paste by mistake, by root element.
_OTHERS = {
    b"html": "an HTML page",
    b"head": "an HTML page",
    b"body": "an HTML page",
    b"opml": "an OPML list of feeds",
    b"urlset": "a sitemap",
    b"sitemapindex": "a sitemap",
    b"svg": "a picture",
    b"error": "an error message in XML",
    b"xrd": "a WebFinger document",
}
_FEEDS = frozenset({b"rss", b"feed", b"rdf:rdf", b"rdf", b"atom:feed"})
_MAGIC = (
    (b"\x1f\x8b", "compressed bytes"),
    (b"%PDF", "a PDF file"),
    (b"\x89PNG", "a picture"),
    (b"PK\x03\x04", "a ZIP file"),
)


def is_json(body: bytes) -> bool:
    """Say whether the body is meant as JSON."""
    start = body[:256].replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return start[:1] in (b"{", b"[") or start.rstrip() in (b"null", b"true", b"false")


def refuse_what_is_no_feed(body: bytes, url: str) -> None:
    """Raise `NotAFeed` for bytes that are not worth parsing: pages, other formats, entity bombs."""
    head = _ascii(body[: _HEAD * 4])
    if root(head) in _OTHERS or any(body.startswith(magic) for magic, _ in _MAGIC):
        raise NotAFeed(f"{url} answered with {describe(body)}, not a feed. {REMEDY}")
    if _declares_entities(body):
        raise NotAFeed(
            f"{url} declares its own XML entities (<!ENTITY …>), which can hide attacks and are refused. "
            "Remove the <!DOCTYPE …> from the feed's template."
        )


def describe(body: bytes) -> str:
    """Name what the bytes are, for a sentence."""
    for magic, kind in _MAGIC:
        if body.startswith(magic):
            return kind
    head = _ascii(body[: _HEAD * 4])
    name = root(head)
    if name in _OTHERS:
        return _OTHERS[name]
    if name:
        return f"an XML document that starts with <{name.decode(errors='replace')}>"
    return "plain text"


def root(head: bytes) -> bytes:
    """Return the lower-case name of the first element, `b""` when there is none."""
    match = _FIRST_TAG.search(_without_comments(head))
    return match.group(1).lower() if match else b""


def first_entries(body: bytes, limit: int) -> tuple[bytes, int]:
    """Return the document without the entries after `limit`, and how many it had (UTF-16 stays whole)."""
    starts = [match.start() for match in _ENTRY.finditer(body)]
    first = _FIRST_TAG.search(_without_comments(body[:_HEAD]))
    if len(starts) <= limit or not first:
        return body, len(starts)
    name = first.group(1)
    closing = (b"</channel>" if name.lower() == b"rss" else b"") + b"</" + name + b">"
    return body[: starts[limit]] + closing, len(starts)


def without_long_names(body: bytes) -> bytes:
    """Return the document with every person's field over 1000 bytes emptied.

    feedparser 6.0.14 searches them for mail addresses in a time that grows with the square of their length:
    9 s for 60 KB. We do not use them.
    """
    lower = body.lower()
    pieces, position, end = [], 0, -1
    for match in _PERSON.finditer(lower):
        if end < match.end():
            end = lower.find(b"</", match.end()) % (len(lower) + 1)  # not found: the very end
        if end - match.end() > 1000 and lower.startswith(match[1], end + 2):
            pieces.append(body[position : match.end()])
            position = end
    return b"".join([*pieces, body[position:]])


def is_cut_off(body: bytes) -> bool:
    """Say whether a feed's outermost element is never closed."""
    text = _ascii(body)
    match = _FIRST_TAG.search(_without_comments(text[:_HEAD]))
    return match is not None and match[1].lower() in _FEEDS and b"</" + match[1] not in text


def charset_header(body: bytes, content_type: str | None) -> str:
    """Return the Content-Type to hand to feedparser.

    The server's charset counts (RFC 7303) unless the bytes can only be UTF-8: a default charset that a web
    server adds to every file is the commonest wrong label. feedparser reads `text/xml` as US-ASCII (the
    superseded RFC 3023), so the type itself is not passed on.
    """
    match = _CHARSET.search(content_type or "")
    if not match or _is_surely_utf8(body):
        return "application/xml"
    return f"application/xml; charset={match.group(1)}"


def _is_surely_utf8(body: bytes) -> bool:
    if body.isascii():
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\x00" not in body


def _declares_entities(body: bytes) -> bool:
    text = _ascii(body)
    start = _without_comments(text[:_HEAD])
    first = _FIRST_TAG.search(start)
    doctype = start.upper().find(b"<!DOCTYPE")
    if doctype < 0 or (first and first.start() < doctype):
        return False
    subset = start.find(b"[", doctype)
    return subset >= 0 and b"<!ENTITY" in text


def _without_comments(head: bytes) -> bytes:
    """Return `head` without comments and processing instructions, so that the first tag is an element's."""
    pieces, position = [], 0
    while (start := _next(head, position)) >= 0:
        end = head.find(b"-->" if head[start + 1 : start + 2] == b"!" else b"?>", start)
        pieces.append(head[position:start])
        if end < 0:
            return b"".join(pieces)
        position = end + 2
    return b"".join([*pieces, head[position:]])


def _next(head: bytes, position: int) -> int:
    found = [at for mark in (b"<!--", b"<?") if (at := head.find(mark, position)) >= 0]
    return min(found, default=-1)


def _ascii(body: bytes) -> bytes:
    """Return bytes in which ASCII can be searched whatever the width of the encoding (UTF-16, UTF-32)."""
    return body.replace(b"\x00", b"") if b"\x00" in body[:1024] else body
