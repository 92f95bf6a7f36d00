"""Which pictures a post carries: each once, in order, nothing that only counts readers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge.addresses import take_apart
from bridge.compose.kinds import Kind
from bridge.compose.sameness import is_resized, name_of
from bridge.compose.template import shows_whole_text
from bridge.config import SiteConfig
from bridge.model import Enclosure, Entry, Image

MAX_IMAGES = 4  # Mastodon shows four
_LARGEST_PIXEL = 2
# What counts readers, asks for money, shares or says who wrote, by a part of its address.
_NOT_OF_THE_POST = re.compile(
    r"//(?:pixel\.wp\.com|stats\.wordpress\.com|feeds\.wordpress\.com/1\.0|feeds\.feedburner\.com|[^/]*doubleclick\.net"
    r"|medium\.com/_/stat|[^/]*feedsportal\.com|images\.pheedo\.com|rss\.buysellads\.com|[^/]*feedblitz\.com/~"
    r"|[^/]*flattr\.com|static\.addtoany\.com|[^/]*sharethis\.com|[^/]*gravatar\.com|[^/]*libravatar\.org"
    r"|www\.paypalobjects\.com|(?:storage\.|cdn\.)?ko-fi\.com|[^/]*buymeacoffee\.com|liberapay\.com"
    r"|i\.creativecommons\.org|licensebuttons\.net|mirrors\.creativecommons\.org"
    r"|img\.shields\.io|badge\.fury\.io|badgen\.net)[/?]"
    r"|/plugins/flattr/|/wp-includes/images/smilies/",
    re.IGNORECASE,
)
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
        if _is_of_the_post(image):
            name = name_of(image.url)
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
    return None if _NEEDS_COPY.search(take_apart(image.url).path) else image


def carries_pictures(entry: Entry, kind: Kind, config: SiteConfig, *, article: bool) -> bool:
    """Decide between pictures and the preview card: Mastodon shows a card only where there is no picture."""
    if not entry.controls.images or config.images == "never":
        return False
    if config.images == "always" or entry.link is None:  # a page that the bridge serves has no card
        return True
    if kind in (Kind.PHOTO, Kind.STATUS):
        return True
    return kind is Kind.TEXT and (article or shows_whole_text(config.template))


def _is_of_the_post(image: Image) -> bool:
    sides = [side for side in (image.width, image.height) if side is not None]
    return all(side > _LARGEST_PIXEL for side in sides) and not _NOT_OF_THE_POST.search(image.url)


def _better(one: Image, other: Image) -> Image:
    """Choose between two copies: the original, else the larger one, else the first."""
    best = max((one, other), key=lambda image: (not is_resized(image.url), image.width or 0))
    return replace(best, alt=one.alt or other.alt)
