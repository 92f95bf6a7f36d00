"""What a web page says of itself for those who link to it: the picture of its preview card. Pure.

The names are Open Graph's (https://ogp.me), Twitter's, and what came before both.
"""

import re
from html.parser import HTMLParser

from bridge.markup.pictures import MAX_ALT, size
from bridge.markup.sanitize import absolute_url
from bridge.markup.text import one_line
from bridge.model import Image

_PICTURE = (
    "og:image:secure_url",
    "og:image",
    "og:image:url",
    "twitter:image",
    "twitter:image:src",
    "image_src",
)
_ALT = ("og:image:alt", "twitter:image:alt")
_MOST = 256 * 1024  # bytes in which a page gets to say it
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_DECLARES_WITHIN = 2048  # bytes; browsers look at 1024


def page_picture(body: bytes, url: str) -> Image | None:
    """Return the picture that the page at `url` names for its preview card; `None` when it names none."""
    head = _HeadReader()
    head.feed(_decoded(body[:_MOST]))
    base = absolute_url(head.base, url) if head.base else url
    named = (absolute_url(head.found[name], base) for name in _PICTURE if name in head.found)
    picture = next((address for address in named if address), None)
    if picture is None:
        return None
    alt = next((head.found[name] for name in _ALT if name in head.found), "")
    width, height = (size(head.found.get(f"og:image:{side}")) for side in ("width", "height"))
    return Image(picture, one_line(alt, MAX_ALT), width=width, height=height)


def _decoded(body: bytes) -> str:
    declared = _CHARSET.search(body[:_DECLARES_WITHIN])
    try:
        return body.decode(declared[1].decode() if declared else "utf-8", "replace")
    except LookupError:  # an encoding nobody knows
        return body.decode("utf-8", "replace")


class _HeadReader(HTMLParser):
    """Collects what `<meta>` and `<link rel>` say, the first of each name, wherever they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: (value or "").strip() for name, value in attrs}
        if tag == "meta":
            name = given.get("property") or given.get("name") or ""
            self._note(name, given.get("content", ""))
        elif tag == "link":
            self._note(given.get("rel", ""), given.get("href", ""))
        elif tag == "base":
            self.base = self.base or given.get("href", "")

    handle_startendtag = handle_starttag

    def _note(self, name: str, value: str) -> None:
        if name and value:
            self.found.setdefault(name.lower(), value)
