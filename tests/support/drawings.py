"""Pictures made on the spot: honest ones in every format, and some that mean harm."""

import struct
import zlib
from io import BytesIO

from PIL import Image, ImageDraw

GPS = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
SECRET = b"Taken by Anna at home"


def drawing(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Draw red above blue, with a green dot at the upper left."""
    image = Image.new("RGB", (width, height), "red")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height // 2, width, height), "blue")
    pen.ellipse((2, 2, width // 4, height // 4), "lime")
    return image.convert(mode)


def saved(image: Image.Image, format_name: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def opened(body: bytes) -> Image.Image:
    return Image.open(BytesIO(body))


def photo(orientation: int = 1, width: int = 64, height: int = 48) -> bytes:
    """Take a JPEG as a phone does: turned, and with the place where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825).update(GPS)
    return saved(drawing(width, height), "JPEG", exif=exif, comment=SECRET)


def animation(width: int = 32, height: int = 32) -> bytes:
    frames = [Image.new("P", (width, height), color) for color in range(3)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def png_bomb(side: int = 20_000) -> bytes:
    """Return a valid black-and-white PNG of a few kilobytes and many pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packing, packed = zlib.compressobj(9), b""
    for _ in range(side):
        packed += packing.compress(b"\0" * (1 + (side + 7) // 8))
    chunks = ((b"IHDR", header), (b"IDAT", packed + packing.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def webp_bomb() -> bytes:
    """Return a WebP that promises 16,384 pixels a side, and makes decoders reserve room for them."""
    body = bytearray(saved(drawing(), "WEBP", lossless=True))
    place = body.index(b"VP8L") + 9
    flags = struct.unpack_from("<I", body, place)[0] >> 28 << 28
    struct.pack_into("<I", body, place, flags | 16_383 | 16_383 << 14)
    return bytes(body)


def gif_bomb() -> bytes:
    body = bytearray(animation())
    struct.pack_into("<HH", body, 6, 65_535, 65_535)
    return bytes(body)


def heic(
    width: int = 64, height: int = 48, *, image: Image.Image | None = None, bits: int = 8, **options
) -> bytes:
    """Take a HEIC as phones do; `tile_size` cuts it into tiles."""
    import pillow_heif

    image = image or drawing(width, height)
    if bits > 8:
        deep = b"".join((value << 8).to_bytes(2, "little") for value in image.tobytes())
        file = pillow_heif.from_bytes(f"{image.mode};16", image.size, deep)
    else:
        file = pillow_heif.from_pillow(image)
    packed = BytesIO()
    file.save(packed, quality=90, enc_params={"preset": "ultrafast"}, **options)
    return packed.getvalue()


def heic_bomb() -> bytes:
    """Return a HEIC that promises 16,000 pixels a side."""
    said, promised = (b"ispe\0\0\0\0" + struct.pack(">II", side, side) for side in (64, 16_000))
    return heic(64, 64).replace(said, promised)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><foreignObject/></svg>'
HTML = b"<!DOCTYPE html>\n<html><title>Log in</title></html>"
