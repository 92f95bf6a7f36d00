"""Which kinds of pictures can be read, and how each is opened.

Libraries are imported when a picture needs them, which is only ever in the process that looks at it.
"""

from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from bridge.errors import BadPicture
from bridge.pictures.sniff import sniff

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 33_177_600  # as many as Mastodon takes; unpacked they need up to 500 MB
MAX_JPEG_PIXELS = 100_000_000  # which can be unpacked smaller than they are
MAX_HEIC_PIXELS = 50_000_000  # what phones take; unpacked they need 370 MB
ICON_SIDE = 31  # what is no larger counts readers, or is an icon or an emoji

HEIC = "image/heic"
FORMATS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with more pictures behind it, as phones write them
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": HEIC,
}
_READABLE = {True: ("HEIF",), False: ("JPEG", "PNG", "GIF", "WEBP", "AVIF")}  # by whether it is HEIC
DAMAGED = (OSError, SyntaxError, ValueError, RuntimeError, EOFError)  # what libraries raise over it

_MOST = {"JPEG": MAX_JPEG_PIXELS, "MPO": MAX_JPEG_PIXELS, "HEIF": MAX_HEIC_PIXELS}
_PLUGINS = ("Avif", "Bmp", "Gif", "Jpeg", "Mpo", "Png", "Ppm", "Tiff", "WebP")
_NAMES = {
    HEIC: "HEIC, which only Apple's devices show: export it as JPEG, or install pillow-heif for the bridge",
    "image/svg+xml": "SVG, which no server shows: export it as PNG or WebP",
    "image/tiff": "TIFF, which no server shows: export it as JPEG",
    "image/bmp": "BMP, which few servers show: export it as PNG",
    "image/jxl": "JPEG XL, which no server shows yet: export it as JPEG",
    "image/x-icon": "an icon, which no server shows: export it as PNG",
    "text/html": "a web page instead of a picture",
}


def check_kind(body: bytes) -> None:
    """Refuse what is no picture, or none that can be read here, without unpacking it.

    Raises:
        BadPicture: with a phrase that says what it is, and what to do.
    """
    kind = sniff(body)
    if kind not in FORMATS.values() or (kind == HEIC and not find_spec("pillow_heif")):
        raise BadPicture(f"it is {_NAMES.get(kind, 'not a picture')}")


def open_files(body: bytes) -> None:
    """Import now what a picture will need, before this process can open no more files."""
    for name in (*(f"{plugin}ImagePlugin" for plugin in _PLUGINS), "ImageCms"):
        import_module(f"PIL.{name}")
    if sniff(body) == HEIC:
        _learn_heic()


def open_picture(body: bytes) -> "Image":
    """Open a picture without unpacking its pixels.

    Raises:
        BadPicture: it is damaged, or has too many pixels; without a phrase: it is an icon.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the same check, with a sentence people can use
    kind = sniff(body)
    if kind == HEIC:
        _learn_heic()
    try:
        picture = Image.open(BytesIO(body), formats=_READABLE[kind == HEIC])
    except DAMAGED:
        raise BadPicture("it is damaged") from None
    _check_size(picture)
    return picture


def _learn_heic() -> None:
    """Teach Pillow HEIC; one thread, for what counts is memory."""
    import pillow_heif

    pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _check_size(picture: "Image") -> None:
    width, height = picture.size
    most = _MOST.get(picture.format or "", MAX_PIXELS)
    if width * height > most:
        raise BadPicture(
            f"it has {width} × {height} pixels; more than {most // 1_000_000} million are not read"
        )
    if max(width, height) <= ICON_SIDE:
        raise BadPicture("")  # nothing the owner would want to hear of
