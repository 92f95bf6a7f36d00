"""Which endings of file names mean which pictures, and who takes them. Pure."""

from pathlib import PurePosixPath

from bridge.addresses import take_apart

# Mastodon takes these as an actor's icon or header, and nothing else: no AVIF, no HEIC, no SVG.
_EVERYWHERE = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
# Browsers and most servers show AVIF in a post; HEIC is copied as JPEG first; SVG is nobody's attachment.
_IN_BROWSERS = {**_EVERYWHERE, ".avif": "image/avif"}
_ALL = {**_IN_BROWSERS, ".heic": "image/heic", ".heif": "image/heif", ".svg": "image/svg+xml"}

OF_PROFILES = tuple(_EVERYWHERE)
"""Endings of what can be an actor's icon or header."""

SERVED = frozenset(_IN_BROWSERS)
"""Endings of files the bridge serves itself, as they are."""

KNOWN = frozenset(_ALL)
"""Endings by which a file or an address is known to be a picture."""


def type_of(suffix: str) -> str | None:
    """Return the media type that a file's ending (``.JPG``) promises; `None` if it promises no picture."""
    return _ALL.get(suffix.lower())


def type_at(url: str) -> str | None:
    """Return the media type that the end of a URL's path promises; `None` if it promises no picture."""
    return type_of(PurePosixPath(take_apart(url).path).suffix)
