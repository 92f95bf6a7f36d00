"""Which pictures a post carries: each once, in order, nothing that only counts readers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from bridge.compose.kinds import Kind
from bridge.compose.template import shows_whole_text
from bridge.config import SiteConfig
from bridge.model import Enclosure, Entry, Image

MAX_IMAGES = 4  # Mastodon shows four
_LARGEST_PIXEL = 2
_COUNTERS = (
    "pixel.wp.com",
    "stats.wordpress.com",
    "feeds.feedburner.com",
    "medium.com/_/stat",
    "doubleclick.net",
)
_SIZE = re.compile(r"-(?:\d{2,5}x\d{2,5}|scaled)(?=\.\w{3,4}$)|@[23]x(?=\.\w{3,4}$)")
_SIZE_ASKED = re.compile(r"(?:^|&)(?:w|h|s|width|height|size|resize|fit)=")
_PHOTON = re.compile(r"^i[0-9]\.wp\.com/")  # WordPress's own copy: the original's address follows
_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|hei[cf]|svg)$", re.IGNORECASE)
_NEEDS_COPY = re.compile(r"\.(?:hei[cf]|svg)$", re.IGNORECASE)  # nobody shows them as they are

PAGE = "text/html"
"""The type of a picture of which only the page that names it is known."""

Checked = Mapping[str, Image | None]
"""What is known of pictures by their URL: what to show instead, or `None` for one that cannot be fetched.
Under a page's URL it is about the picture that the page names."""


def choose_pictures(
    entry: Entry, in_text: Iterable[Image], checked: Checked | None = None, *, page_image: bool = False
) -> tuple[Image, ...]:
    """Return all pictures of an entry, its own before those in its text, each once and in its largest size.

    Alternative texts come from whichever copy has one. More than servers show may be left: see `MAX_IMAGES`.
    With `page_image` an entry without any is left the one that its page names, of type `PAGE` until it is
    known.
    """
    found: dict[str, Image] = {}
    for image in (*entry.images, *in_text):
        if not _counts_readers(image):
            name = _name(image.url)
            found[name] = _better(found[name], image) if name in found else image
    if page_image and not found and entry.link:
        found[entry.link] = Image(entry.link, media_type=PAGE)
    looked_up = ((image, _as_checked(image, checked)) for image in found.values())
    return tuple(replace(now, alt=before.alt or now.alt) for before, now in looked_up if now is not None)


def cover_of(player: Enclosure, entry: Entry, config: SiteConfig) -> tuple[Image, ...]:
    """Return the cover of an episode or video, unless the owner wants no pictures."""
    wants_none = not entry.controls.images or config.images == "never"
    return () if wants_none or player.cover is None else (player.cover,)


def with_cover(player: Enclosure, covers: Iterable[Image], checked: Checked | None) -> Enclosure:
    """Return what players are to show, with a cover that servers can show."""
    known = (_as_checked(cover, checked) for cover in covers)
    return replace(player, cover=next((cover for cover in known if cover), None))


def _as_checked(image: Image, checked: Checked | None) -> Image | None:
    """Return what is to be shown of a picture; one that nobody looked at as it is, if it can be shown so."""
    if checked is None:
        return image
    if image.url in checked:
        return checked[image.url]
    return None if _NEEDS_COPY.search(urlsplit(image.url).path) else image


def without_alt(images: Sequence[Image]) -> int:
    """Count the pictures that say nothing to those who do not see them."""
    return sum(not image.alt for image in images)


def carries_pictures(entry: Entry, kind: Kind, config: SiteConfig, *, article: bool) -> bool:
    """Decide between pictures and the preview card: Mastodon shows a card only where there is no picture."""
    if not entry.controls.images or config.images == "never":
        return False
    if config.images == "always" or entry.link is None:  # a page that the bridge serves has no card
        return True
    if kind in (Kind.PHOTO, Kind.STATUS):
        return True
    return kind is Kind.TEXT and (article or shows_whole_text(config.template))


def _counts_readers(image: Image) -> bool:
    sides = [side for side in (image.width, image.height) if side is not None]
    return any(side <= _LARGEST_PIXEL for side in sides) or any(one in image.url for one in _COUNTERS)


def _name(url: str) -> str:
    """Fold the addresses under which a site offers one picture: its sizes, its copies, its cache busters."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    place = _PHOTON.sub("", f"{host}{_SIZE.sub('', parts.path)}").removeprefix("www.")
    # A query that follows a file's name is about its size; another may name the picture itself.
    return place if _FILE.search(parts.path) else f"{place}?{parts.query}"


def _better(one: Image, other: Image) -> Image:
    """Choose between two copies: the original, else the larger one, else the first."""
    best = max((one, other), key=lambda image: (not _is_resized(image.url), image.width or 0))
    return replace(best, alt=one.alt or other.alt)


def _is_resized(url: str) -> bool:
    parts = urlsplit(url)
    resized = _SIZE.search(parts.path)
    if resized and "scaled" not in resized.group():
        return True
    return bool(_PHOTON.match(f"{parts.netloc}/") or _SIZE_ASKED.search(parts.query))
