"""Tells what bytes are by their beginning: names and headers are often wrong. Pure."""

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL ", "image/jxl"),
    (b"\0\0\x01\0", "image/x-icon"),
)
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_BEGINNING = 1024  # bytes in which a document says what it is


def sniff(body: bytes) -> str:
    """Return the media type of bytes; empty for what is neither a picture nor a web page."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp":
        return _in_boxes(body)
    found = next((kind for magic, kind in _MAGIC if body.startswith(magic)), "")
    return found or _markup(body[:_BEGINNING])


def _in_boxes(body: bytes) -> str:
    """Tell AVIF from HEIC by the brands a file names; it may name several."""
    end = min(int.from_bytes(body[:4], "big"), 256)
    brands = {body[8:12], *(body[start : start + 4] for start in range(16, end, 4))}
    if brands & _AVIF:
        return "image/avif"
    return "image/heic" if brands & _HEIC else ""


def _markup(beginning: bytes) -> str:
    text = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text.startswith(b"<"):
        return ""
    if b"<svg" in text and b"<html" not in text:
        return "image/svg+xml"
    return "text/html" if b"<html" in text or b"<!doctype html" in text else ""
