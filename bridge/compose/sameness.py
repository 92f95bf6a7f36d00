"""Which addresses are one picture's: its sizes, its copies on other hosts, its cache busters. Pure."""

import re
from urllib.parse import parse_qs, unquote

from bridge.addresses import take_apart

# A copy that a resizer serves: the original's whole address is in its path (Substack, Cloudinary, Cloudflare)
# or its query (Next.js, weserv).
_INNER = re.compile(r"https?:/{1,2}(.+)")
_INNER_PARAMETERS = ("url", "src", "image")
# WordPress's own copy and thumbor's: the original's address follows, without its scheme.
_PHOTON = re.compile(r"^i[0-9]\.wp\.com/")
_THUMBOR = re.compile(r"^[^/]+/thumbor/.*/([\w-]+(?:\.[\w-]+)+/.+)$")
_CLOUDFLARE = re.compile(r"/cdn-cgi/image/[^/]+/")
# Sizes in a path, each with what is left of it.
_SIZES = (
    (re.compile(r"-(?:\d{2,5}x(?:\d{2,5})?(?:-crop)?|scaled)(?=\.\w{3,4}$)"), ""),  # WordPress, Kirby
    (re.compile(r"@[23]x(?=\.\w{3,4}$)"), ""),
    (re.compile(r"/content/images/size/[wh]\d+[^/]*/(?:format/\w+/)?"), "/content/images/"),  # Ghost
    (re.compile(r"(?:/max|/fit/[ct]|(?:/v2)?/resize:[\w:]+)/(?:\d+/){0,2}(?=\d\*)"), "/"),  # Medium
    (re.compile(r"^([^/]*wixstatic\.com/media/[^/]+)/v1/.+$"), r"\1"),
    (re.compile(r"^([^/]*(?:blogspot|googleusercontent)\.com/.+)/[swh]\d+[a-z0-9-]*(?=/[^/]+$)"), r"\1"),
    (re.compile(r"^([^/]*(?:blogger|googleusercontent)\.com/.+)=[swh]\d+[a-z0-9-]*$"), r"\1"),
    (re.compile(r"^([^/]*squarespace[^/]*/.+)/\d{3,4}w(?=/[^/]+$)"), r"\1"),
    (re.compile(r"^([^/]*shopify\.com/.+)_\d*x\d*(?=\.\w{3,4}$)"), r"\1"),
    (re.compile(r"-\d{2,4}[wp]i$"), ""),  # TypePad
    (re.compile(r"^(i\d?\.ytimg\.com/vi/[^/]+)/.+$"), r"\1"),  # frames of a video
)
_ASKED = re.compile(r"(?:^|&)(?:w|h|s|width|height|size|resize|fit|format)=")
_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|hei[cf]|svg)$", re.IGNORECASE)


def name_of(url: str) -> str:
    """Return one name for all addresses under which a site offers one picture."""
    parts = take_apart(_original(url))
    place = _plain(f"{parts.site}{parts.path}").removeprefix("www.")
    # A query that follows a file's name is about its size; another may name the picture itself.
    return place if _FILE.search(parts.path) else f"{place}?{parts.query}"


def is_resized(url: str) -> bool:
    """Say whether an address is one of a smaller copy's."""
    parts = take_apart(url)
    place = f"{parts.host}{parts.path}"
    shorter = _plain(place)
    if shorter != place and "-scaled." not in place:
        return True
    return _original(url) != url or bool(_PHOTON.match(place) or _ASKED.search(parts.query))


def _original(url: str) -> str:
    """Return the address that a resizer's address contains, or the address itself."""
    parts = take_apart(url)
    if match := _INNER.search(unquote(parts.path)):
        return f"https://{match[1]}"
    asked = parse_qs(parts.query[:4096])
    given = next((asked[name][0] for name in _INNER_PARAMETERS if name in asked), "")
    if match := _INNER.match(given):
        return f"https://{match[1]}"
    return f"https://{parts.netloc}{given}" if given.startswith("/") and _FILE.search(given) else url


def _plain(place: str) -> str:
    """Return host and path without sizes."""
    place = _CLOUDFLARE.sub("/", _THUMBOR.sub(r"\1", _PHOTON.sub("", place)))
    for size, rest in _SIZES:
        place = size.sub(rest, place)
    return place
