"""Which pictures of an entry are worth showing, and what a reader should click instead of a player."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote

from bridge.addresses import take_apart
from bridge.markup.sanitize import absolute_url
from bridge.markup.text import one_line
from bridge.model import Image

Attributes = Mapping[str, str]

MAX_ALT = 1500
_PIXELS = re.compile(r"(\d{1,5})(?:\.\d{1,3})?(?:px)?\s*")
_NOT_PICTURES = frozenset({".svgz", ".ico"})
_EMOJI_CLASSES = frozenset({"emoji", "wp-smiley", "emojione", "twemoji", "smiley"})
_FACES = frozenset({"avatar"})
_EMOJI_SIZE = 32
_PIXEL_SIZE = 2
_BADGE_SIZE = 64
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{6,20}")


def picture(attributes: Attributes) -> Image | None:
    """Return the picture of an `<img>`; `None` for tracking pixels, emoji, faces, data URIs, badges, icons.

    A lazy loader's attribute wins over `src`, which then holds a placeholder.
    """
    found = (absolute_url(attributes[name]) for name in _SOURCES if attributes.get(name))
    url = next((address for address in found if address), None)
    if url is None or suffix(url) in _NOT_PICTURES or _is_badge(url, attributes):
        return None
    if is_emoji(attributes) or _is_pixel(attributes) or _FACES & set(attributes.get("class", "").split()):
        return None
    width, height = size(attributes.get("width")), size(attributes.get("height"))
    return Image(url, one_line(attributes.get("alt", ""), MAX_ALT), width=width, height=height)


_LAZY = ("data-lazy-src", "data-src", "data-original", "data-lazy-srcset", "data-srcset")
_SOURCES = (*_LAZY, "src", "srcset")


def is_emoji(attributes: Attributes) -> bool:
    """Say whether an `<img>` stands for a character in the text."""
    if _EMOJI_CLASSES & set(attributes.get("class", "").split()):
        return True
    sides = [size(attributes.get("width")), size(attributes.get("height"))]
    return all(side is not None and _PIXEL_SIZE < side <= _EMOJI_SIZE for side in sides)


def _is_badge(url: str, attributes: Attributes) -> bool:
    """Say whether a drawing is shown no larger than badges and icons are."""
    sides = [size(attributes.get("width")), size(attributes.get("height"))]
    return suffix(url) == ".svg" and any(side is not None and side <= _BADGE_SIZE for side in sides)


def _is_pixel(attributes: Attributes) -> bool:
    sides = [size(attributes.get("width")), size(attributes.get("height"))]
    return any(side is not None and side <= _PIXEL_SIZE for side in sides)


def size(value: object) -> int | None:
    """Return a length in pixels from an attribute such as ``640`` or ``640px``; `None` for percentages."""
    match = _PIXELS.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match.group(1)) if match else None


def focal_point(value: object) -> tuple[float, float] | None:
    """Return the spot no crop may lose: two numbers from -1 to 1 (y upwards), or words as Hugo themes have.

    ``[0.2, 0.7]``, ``0.2, 0.7``, ``Top``, ``BottomLeft``, ``center``; `None` for anything else.
    """
    if isinstance(value, str):
        sides = value.lower().replace("-", "").replace("_", "").replace(" ", "")
        if match := _SIDES.fullmatch(sides):
            return float(_ACROSS.get(match[2] or match[3], 0)), float(_UPWARDS.get(match[1], 0))
        value = value.strip("[] ").split(",")
    if not isinstance(value, list) or len(value) != 2:
        return None
    try:
        x, y = (float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return (x, y) if abs(x) <= 1 and abs(y) <= 1 else None


_SIDES = re.compile(r"(top|center|bottom)(left|right)?|(left|right)")
_ACROSS, _UPWARDS = {"left": -1, "right": 1}, {"top": 1, "bottom": -1}


def suffix(url: str) -> str:
    """Return the lower-case file extension of a URL's path, with its dot."""
    return PurePosixPath(take_apart(url).path).suffix.lower()


def watch_url(url: str) -> str:
    """Return the page on which people watch what an embedded player's `url` plays."""
    parts = take_apart(url)
    host = parts.site
    last = parts.path.rstrip("/").rpartition("/")[2]
    if (
        host in ("youtube.com", "youtube-nocookie.com")
        and "/embed/" in parts.path
        and _VIDEO_ID.fullmatch(last)
    ):
        playlist = parse_qs(parts.query).get("list", [""])[0]
        if last == "videoseries":
            return f"https://www.youtube.com/playlist?list={playlist}" if playlist else url
        return f"https://www.youtube.com/watch?v={last}"
    if host == "player.vimeo.com" and last.isdigit():
        return f"https://vimeo.com/{last}"
    return url


def link_label(url: str, title: str = "") -> str:
    """Return what to call a link to a player or file: its title, a file's name, or the host."""
    if name := one_line(title, 200):
        return name
    parts = take_apart(url)
    file = one_line(unquote(parts.path.rpartition("/")[2]), 100)
    if "." in file:
        return file
    return parts.site or one_line(url, 100)
