"""JSON as people's programs write it: one value that orjson refuses costs that value, not the document."""

import json
import re

import orjson

# Half a character, which some programs write where they cut a text; RFC 8259 (section 8.2) allows it and
# orjson does not. Backslashes and whole characters come first, so that none of them is taken apart.
_HALF = re.compile(
    rb"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_LONGEST = 18  # digits of a whole number that fits 64 bits


def read(text: bytes) -> object:
    """Return what a JSON document holds; raises ValueError when it is broken or too deep.

    Numbers that no program can hold (RFC 8259, section 6, lets readers set limits) and NaN are `None`.
    """
    text = _HALF.sub(_mended, text) if b"\\u" in text else text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text.decode(), parse_int=_whole, parse_float=_broken, parse_constant=_nothing)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _mended(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if len(match[0]) == 6 else match[0]


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits.lstrip("-")) <= _LONGEST else None


def _broken(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < float("inf") else None


def _nothing(_name: str) -> None:
    return None
