"""The pictures and files that come with a feed's entry, out of the many ways feeds name them."""

import mimetypes
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from bridge.addresses import take_apart
from bridge.markup.pictures import size
from bridge.markup.sanitize import absolute_url
from bridge.model import Enclosure, Image
from bridge.picturetypes import type_at

MAX_MEDIA = 20
# wordpress.com puts the author's face into every entry as media:content.
_FACES = ("gravatar.com",)
_PLAYERS = "application/x-shockwave-flash"

Item = dict[str, Any]


def images_of(item: Item, base: str) -> tuple[Image, ...]:
    """Return an entry's own pictures, not those in its text: media, enclosures, a podcast's cover.

    Of several sizes of one picture the widest is kept.
    """
    found: dict[str, Image] = {}
    for image in _candidates(item, base):
        key = _without_query(image.url)
        if key not in found or (image.width or 0) > (found[key].width or 0):
            found[key] = image
    return tuple(found.values())[:MAX_MEDIA]


def cover_of(channel: Item, url: str) -> Image | None:
    """Return the picture a feed shows of itself: a podcast's cover, a channel's logo."""
    picture = channel.get("image")
    address = _url(picture, url) if isinstance(picture, dict) else None
    return Image(address) if address else None


def enclosures_of(item: Item, base: str, cover: Image | None = None) -> tuple[Enclosure, ...]:
    """Return the files that come with an entry and are no pictures; those that play have a `cover`."""
    found: dict[str, Enclosure] = {}
    told = _seconds(item.get("itunes_duration"))
    for media in _media(item):
        url, kind = _url(media, base), _kind(media)
        if url and kind != _PLAYERS and not is_picture(media):
            plays = kind.startswith(("audio/", "video/"))
            seconds = (_seconds(media.get("duration")) or told) if plays else None
            kind = kind or "application/octet-stream"
            file = Enclosure(url, kind, _length(media), seconds, cover if plays else None)
            found.setdefault(url, file)
    return tuple(found.values())[:MAX_MEDIA]


def is_picture(media: Item) -> bool:
    """Say whether a media element is a picture, by its medium, its type or its name."""
    if media.get("medium") == "image" or _kind(media).startswith("image/"):
        return True
    return not media.get("medium") and not media.get("type") and type_at(_address(media)) is not None


def _candidates(item: Item, base: str) -> Iterator[Image]:
    pictures = [media for media in _media(item) if is_picture(media)]
    if not pictures:
        pictures = [media for media in item.get("media_thumbnail", ()) if isinstance(media, dict)]
    cover = item.get("image")
    if isinstance(cover, dict):
        pictures = [*pictures, cover]
    for media in pictures:
        url = _url(media, base)
        if url and not take_apart(url).host.endswith(_FACES):
            kind = media.get("type") if str(media.get("type", "")).startswith("image/") else None
            yield Image(
                url, media_type=kind, width=size(media.get("width")), height=size(media.get("height"))
            )


def _media(item: Item) -> Iterator[Item]:
    yield from (
        media for media in item.get("media_content", ()) if isinstance(media, dict) and _address(media)
    )
    yield from (link for link in item.get("links", ()) if link.get("rel") == "enclosure" and _address(link))


def _kind(media: Item) -> str:
    kind = str(media.get("type") or "").split(";")[0].strip().lower()
    if "/" in kind:
        return kind[:100]
    name = PurePosixPath(take_apart(_address(media)).path).name  # of a whole address it makes a ValueError
    return mimetypes.guess_type(name)[0] or ""


def _address(media: Item) -> str:
    return str(media.get("url") or media.get("href") or "")


def _url(media: Item, base: str) -> str | None:
    address = _address(media)
    return absolute_url(address, base) if address else None


def _length(media: Item) -> int | None:
    text = str(media.get("length") or media.get("filesize") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0 else None


def _seconds(text: object) -> int | None:
    """Return a playing time written as seconds, ``42:10`` or ``1:02:03``."""
    parts = str(text or "").strip().partition(".")[0].split(":")
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        return None
    total = 0
    for part in parts:
        total = total * 60 + int(part)
    return total if 0 < total < 100 * 3600 else None


def _without_query(url: str) -> str:
    return url.partition("?")[0].partition("#")[0]
