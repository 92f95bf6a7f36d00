"""Draws an SVG, of which nothing is left first but shapes, words and colours that refer to nothing outside.

An SVG may name files and pages that are to be drawn into it. So it is read strictly and written anew: the
elements of a list, references to its own parts, and the pictures that it brings along.
"""

import os
import re
import string
from collections.abc import Mapping
from xml.etree.ElementTree import TreeBuilder, tostring
from xml.parsers import expat

from bridge.errors import BadPicture

MAX_ELEMENTS = 20_000
MAX_DEPTH = 200
WIDE, NARROW = 200, 80  # pixels; what is smaller is a badge, a button or an icon
SHAPES = 4  # what has fewer is an icon or a logo, however large it says it is
LEAST_SIDE, MOST_SIDE = 1200, 2048  # pixels of the longer side of what is drawn

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHAPES = _names("path rect circle ellipse line polyline polygon text image use")
_WORDS = _names("text tspan textPath")
_KEPT = (
    _SHAPES
    | _WORDS
    | _names(
        "svg g defs symbol a switch marker pattern clipPath mask style linearGradient radialGradient stop"
    )
    | _names(
        "filter feBlend feColorMatrix feComponentTransfer feComposite feDropShadow feFlood feFuncA feFuncB"
    )
    | _names("feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset")
)
_OWN_PART = re.compile(r"#\S{1,200}")
_BROUGHT_ALONG = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]+")
_RULES = re.compile(r"@import[^;]*;?|@font-face\s*\{[^}]*\}|\\", re.IGNORECASE)
_OUTSIDE = re.compile(r"url\(\s*[\"']?\s*(?!#)[^)]*\)?", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,7}(?:\.\d{1,9})?)\s*(px|pt|pc|mm|cm|in|em)?\s*")
_PIXELS = {"pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "em": 16.0}
# What Pillow's own font has.
_LETTERS = frozenset(string.printable) | frozenset("\u00a0©«°±´·»‘’“”…‹›⁄™")
_FONT = "Aileron"


def draw(body: bytes, font: str | None = None) -> bytes:
    """Draw an SVG on white and return it as a PNG. `font` is a file of `open_font`, for the words in it.

    Raises:
        BadPicture: it is damaged, means harm, or has words that cannot be drawn; without a phrase: it is a
            badge or an icon.
    """
    import resvg_py

    harmless = clean(body)
    if harmless.is_small or harmless.shapes < SHAPES:
        raise BadPicture("")
    if harmless.words and (font is None or not harmless.words <= _LETTERS):
        raise BadPicture("it is an SVG with words that cannot be drawn here: export it as PNG")
    side = round(min(max(harmless.width, harmless.height, LEAST_SIDE), MOST_SIDE))
    is_wide = harmless.width >= harmless.height
    try:
        return resvg_py.svg_to_bytes(
            svg_string=harmless.markup(),
            background="#ffffff",  # pages are light; on a dark one black lines would not be seen
            width=side if is_wide else None,
            height=None if is_wide else side,
            dpi=96,
            skip_system_fonts=True,
            font_files=[font] if font else None,
            font_family=_FONT,
            serif_family=_FONT,
            sans_serif_family=_FONT,
            monospace_family=_FONT,
            cursive_family=_FONT,
            fantasy_family=_FONT,
        )
    except ValueError:
        raise BadPicture("it is damaged") from None


def open_font() -> str | None:
    """Return the path of a font that only this process has, or `None` where there is no such thing."""
    from PIL import ImageFont

    font = ImageFont.load_default(16)
    if not isinstance(font, ImageFont.FreeTypeFont) or not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("font")
    os.write(descriptor, font.font_bytes)
    return f"/proc/self/fd/{descriptor}"


def clean(body: bytes) -> "Harmless":
    """Read an SVG and keep what is harmless.

    Raises:
        BadPicture: it is damaged, or declares entities.
    """
    harmless = Harmless()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = harmless.start
    parser.EndElementHandler = harmless.end
    parser.CharacterDataHandler = harmless.data
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise BadPicture("it is damaged") from None
    return harmless


def _refuse_entities(*declaration: object) -> None:
    raise BadPicture("it is an SVG with entities in it: export it as PNG")


class Harmless:
    """What is left of an SVG. `width` and `height` in pixels, as it says; `words` are its letters."""

    def __init__(self) -> None:
        self.width = self.height = 0.0
        self.shapes = 0
        self.words: set[str] = set()
        self._tree = TreeBuilder()
        self._open: list[str] = []
        self._sheet: list[str] = []
        self._left_out = 0  # depth in an element that is left out
        self._elements = 0

    @property
    def is_small(self) -> bool:
        """Say whether it is meant to be no larger than a badge or an icon."""
        return max(self.width, self.height) < WIDE or min(self.width, self.height) < NARROW

    def markup(self) -> str:
        """Write what is left."""
        return tostring(self._tree.close(), encoding="unicode")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Keep an element, or leave it out with all that is in it."""
        self._elements += 1
        space, _, local = name.rpartition(" ")
        if not self._open:
            self._begin(space, local, attributes)
        if self._elements > MAX_ELEMENTS or len(self._open) + self._left_out > MAX_DEPTH:
            raise BadPicture("it is an SVG with too many parts: export it as PNG")
        if local == "foreignObject":  # what `switch` has instead is an excuse, not the same words
            raise BadPicture("it is an SVG with HTML in it: export it as PNG")
        kept = _attributes(local, attributes)
        is_known = space == _SVG and local in _KEPT and (local != "image" or _shows(kept))
        if self._left_out or not is_known:
            self._left_out += 1
            return
        self.shapes += local in _SHAPES
        self._open.append(local)
        self._tree.start(f"{{{_SVG}}}{local}", kept)

    def end(self, name: str) -> None:
        """Close what `start` began."""
        if self._left_out:
            self._left_out -= 1
            return
        local = self._open.pop()
        if local == "style":  # as a whole: it comes in pieces
            self._tree.data(_style("".join(self._sheet)))
            self._sheet.clear()
        self._tree.end(f"{{{_SVG}}}{local}")

    def data(self, text: str) -> None:
        """Keep words and style sheets."""
        if self._left_out:
            return
        if self._open[-1] in _WORDS:
            self.words.update(text.strip())
            self._tree.data(text)
        elif self._open[-1] == "style":
            self._sheet.append(text)

    def _begin(self, space: str, local: str, attributes: Mapping[str, str]) -> None:
        if (space, local) != (_SVG, "svg"):
            raise BadPicture("it is damaged")
        self.width, self.height = _size(attributes)


def _attributes(local: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes that refer to nothing outside."""
    kept = {}
    for name, value in attributes.items():
        space, _, plain = name.rpartition(" ")
        if plain == "href" and space in ("", _XLINK):
            if _OWN_PART.fullmatch(value) or (local == "image" and _BROUGHT_ALONG.fullmatch(value)):
                kept["href"] = value
        elif not space and not plain.startswith("on"):
            kept[plain] = _style(value)
    return kept


def _shows(attributes: Mapping[str, str]) -> bool:
    return attributes.get("href", "").startswith("data:")


def _style(text: str) -> str:
    """Return styles without fonts, other sheets and addresses of anything outside."""
    return _OUTSIDE.sub("none", _RULES.sub("", text))


def _size(attributes: Mapping[str, str]) -> tuple[float, float]:
    """Return how large an SVG wants to be: its size, else that of its view box, else what browsers assume."""
    given = [_pixels(attributes.get(name, "")) for name in ("width", "height")]
    box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
    room = [_pixels(side) for side in box[2:]] if len(box) == 4 else [300.0, 150.0]
    width, height = (side or around or 0.0 for side, around in zip(given, room, strict=True))
    return width, height


def _pixels(text: str) -> float | None:
    match = _LENGTH.fullmatch(text)
    return float(match[1]) * _PIXELS.get(match[2] or "", 1.0) if match else None
