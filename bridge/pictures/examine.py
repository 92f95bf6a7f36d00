"""Looks at a picture's pixels, and makes a copy where servers could not show the original.

Whoever wrote the bytes may want to hurt the reader: call this in a process of its own, see `examine_apart`.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import blurhash

from bridge.errors import BadPicture
from bridge.pictures.opening import DAMAGED, FORMATS, check_kind, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 8 * 1024 * 1024  # of what others are to fetch
MAX_SIDE = 4096  # pixels; servers shrink anything larger, after all of them fetched it
COPY_SIDE = 2048
MAX_GIF_PIXELS = 921_600  # Mastodon refuses larger animations
MAX_PNG = 2 * 1024 * 1024  # bytes of a copy with transparency, before it becomes WebP

_BLURRED = 32  # pixels; a blurhash knows no more anyway
_SHOWN_EVERYWHERE = frozenset({"JPEG", "MPO", "PNG", "GIF", "WEBP"})
_ORIENTATION = 0x0112  # the Exif field that says which way up
_METADATA = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "photoshop", "comment"})


@dataclass(frozen=True, slots=True)
class Examined:
    """A picture as people see it, upright. With a `copy` everything said is about the copy."""

    media_type: str
    width: int
    height: int
    blurhash: str
    copy: bytes = b""


def examine(body: bytes, *, at_home: bool = False) -> Examined:
    """Measure a picture, and copy it where servers could not show the original, or should not.

    `at_home`: it is the bridge that serves the original; then metadata such as where a photo was taken, and
    more than `MAX_BYTES`, call for a copy too. A copy has at most 2048 pixels a side and no metadata.

    Raises:
        BadPicture: it cannot be shown at all.
    """
    check_kind(body)
    picture = open_picture(body)
    orientation = _orientation(picture)
    if not _is_fit(picture, len(body), at_home):
        return _copied(_upright(_shrunk(picture, COPY_SIDE), orientation))
    kind, size = FORMATS[picture.format or ""], picture.size
    width, height = reversed(size) if orientation > 4 else size
    return Examined(kind, width, height, _blurhash(_upright(_shrunk(picture, 2 * _BLURRED), orientation)))


def _is_fit(picture: "Image", size: int, at_home: bool) -> bool:
    """Say whether servers may have the original."""
    if picture.format not in _SHOWN_EVERYWHERE or picture.mode == "CMYK" or max(picture.size) > MAX_SIDE:
        return False
    if size > MAX_BYTES:
        return False
    if picture.format in ("GIF", "WEBP", "PNG") and getattr(picture, "is_animated", False):
        return picture.format != "GIF" or picture.width * picture.height <= MAX_GIF_PIXELS
    return not (at_home and _has_metadata(picture))


def _has_metadata(picture: "Image") -> bool:
    if picture.format == "PNG":
        picture.load()  # theirs may stand behind the pixels
    return bool(_METADATA & picture.info.keys())


def _orientation(picture: "Image") -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Exif is written by anyone and read by Pillow with several kinds of surprise
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


# ── pixels ───────────────────────────────────────────────────────────────────────────────────────


def _shrunk(picture: "Image", side: int) -> "Image":
    """Return a picture's pixels as RGB, or RGBA where it is see-through, at most `side` wide and high."""
    picture.draft(None, (side, side))  # a JPEG need not be unpacked in full
    profile = picture.info.get("icc_profile")
    try:
        picture.load()
    except DAMAGED:
        raise BadPicture("it is damaged, or breaks off") from None
    if picture.mode.startswith("I"):
        picture = _with_eight_bits(picture)
    elif picture.mode not in ("L", "RGB", "RGBA", "CMYK") or "transparency" in picture.info:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.thumbnail((side, side), reducing_gap=2.0)
    picture = _in_srgb(picture, profile)
    return picture if picture.mode in ("RGB", "RGBA") else picture.convert("RGB")


def _with_eight_bits(picture: "Image") -> "Image":
    """Scale 16-bit grey down; Pillow's own conversion makes everything above 255 white."""
    return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _in_srgb(picture: "Image", profile: bytes | None) -> "Image":
    """Turn a camera's or press's colours into those everybody assumes where no profile is given."""
    if not profile:
        return picture
    from PIL import ImageCms

    try:
        own, wanted = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, own, wanted, outputMode=mode) or picture
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a profile that does not fit: the colours as they are


def _upright(picture: "Image", orientation: int) -> "Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture


def _blurhash(picture: "Image") -> str:
    """Return a picture in 28 characters, to be shown blurred until it is loaded."""
    from PIL import Image

    small = picture.convert("RGBA")
    small.thumbnail((_BLURRED, _BLURRED))
    on_white = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    (width, height), flat = on_white.size, on_white.tobytes()
    pixels = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    across, down = (4, 3) if width >= height else (3, 4)
    return str(blurhash.encode(rows, components_x=across, components_y=down))


# ── the copy ─────────────────────────────────────────────────────────────────────────────────────


def _copied(picture: "Image") -> Examined:
    kind, body = _encoded(picture)
    return Examined(kind, picture.width, picture.height, _blurhash(picture), body)


def _encoded(picture: "Image") -> tuple[str, bytes]:
    """Write pixels and nothing else: JPEG, or PNG where they are see-through (WebP when that is large)."""
    picture.info.clear()
    if picture.mode == "RGB" or picture.getchannel("A").getextrema()[0] == 255:
        return "image/jpeg", _saved(picture.convert("RGB"), "JPEG", quality=87, optimize=True)
    png = _saved(picture, "PNG")
    if len(png) <= MAX_PNG:
        return "image/png", png
    return "image/webp", _saved(picture, "WEBP", quality=87)


def _saved(picture: "Image", format_name: str, **options: int | bool) -> bytes:
    file = BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()
