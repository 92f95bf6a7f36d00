"""UTF-8 that was read as Windows-1252 and written as UTF-8 once more (“Ã¼” for “ü”) is put right again.

Databases and scripts do that to single entries, so it is told by an entry's own text, never by its feed.
"""

import re
from collections.abc import Iterable

ENOUGH = 2  # pairs of characters; one might be meant, a run of three is none


def _shown(byte: int) -> str:
    """Return the character that Windows-1252 shows for a byte; five bytes have none and stay controls."""
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_BYTES = {_shown(byte): byte for byte in range(0x80, 0x100)} | {
    chr(byte): byte for byte in range(0x80, 0x100)
}
_FOLLOWING = "[" + re.escape("".join(char for char, byte in _BYTES.items() if byte < 0xC0)) + "]"
# The first bytes of Latin, Greek, Cyrillic, Hebrew and Arabic letters, then of punctuation and emoji. Those
# that begin nothing common (É is one) are left alone: «CAFÉ» ends in two characters that would fit.
_GARBLED = re.compile(f"[ÂÃÄÅÎÏÐÑ×ØÙ]{_FOLLOWING}|[âãä-é]{_FOLLOWING}{{2}}|ð{_FOLLOWING}{{3}}")


def is_garbled(texts: Iterable[str]) -> bool:
    """Say whether the texts of an entry hold more garbled characters than chance would have it."""
    runs = (match for text in texts for match in _GARBLED.finditer(text) if _mended(match) != match.group())
    return sum(len(match.group()) - 1 for match in runs) >= ENOUGH


def mend(text: str) -> str:
    """Return the text with every garbled character as it was meant."""
    return _GARBLED.sub(_mended, text)


def _mended(match: "re.Match[str]") -> str:
    try:
        return bytes(_BYTES[char] for char in match.group()).decode("utf-8")
    except UnicodeDecodeError:
        return match.group()
