"""Reading foreign JSON one value at a time: its bounds, and getters that never raise."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from bridge.addresses import origin
from bridge.model import MAX_ID_BYTES
from bridge.moments import read_iso, read_rfc822

Document = dict[str, Any]

MAX_DEPTH = 32
MAX_NODES = 2_000
# One cap for all strings, wide enough for the content of a long article (FEP-b2b8), which comes embedded in
# an Announce or an Update. What we store is cut much shorter where it is read; a whole body has 1 MB at most.
MAX_STRING = 256 * 1024

_FORBIDDEN_KEYS = frozenset({"@graph", "@included", "@reverse"})
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────


def load_object(body: bytes) -> Document:
    """Read a JSON object of bearable depth and size; raises `ValueError` ending the sentence “The body …”."""
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError as reason:
        raise ValueError(f"is not JSON: {reason}") from None
    if not isinstance(loaded, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - the bytes are wrong, not our caller
    flaw = _find_flaw(loaded)
    if flaw:
        raise ValueError(flaw)
    return loaded


def _find_flaw(document: Document) -> str | None:
    pending: list[tuple[object, int]] = [(document, 1)]
    nodes = 1
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            inside: list[object] = []
            flaw = _string_flaw(value)
        elif isinstance(value, dict):
            inside = list(value.values())
            flaw = next(filter(None, map(_key_flaw, value)), None)
        else:
            inside = value if isinstance(value, list) else []
            flaw = None
        nodes += len(inside)
        if flaw or nodes > MAX_NODES:
            return flaw or f"has more than {MAX_NODES} parts"
        if inside and depth > MAX_DEPTH:
            return f"is nested more than {MAX_DEPTH} deep"
        pending.extend((item, depth + 1) for item in inside)
    return None


def _key_flaw(key: str) -> str | None:
    if key in _FORBIDDEN_KEYS:
        return f"uses {key}, which only a JSON-LD processor understands"
    return _string_flaw(key)


def _string_flaw(text: str) -> str | None:
    if "\0" in text:  # PostgreSQL cannot store it, SQLite can: both refuse it here
        return "contains a NUL character"
    return f"contains a string of more than {MAX_STRING} characters" if len(text) > MAX_STRING else None


# ── one value at a time ──────────────────────────────────────────────────────────────────────────


def get_id(value: object) -> str | None:
    """Return the one id in a string, an object or a list of one; `None` for anything else."""
    value = only(value)
    found = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(found, str) or not found or len(found.encode(errors="replace")) > MAX_ID_BYTES:
        return None
    return found if found.isprintable() and " " not in found else None


def get_ids(value: object) -> tuple[str, ...]:
    """Return every id in a string, an object or a list of them, unusable ones left out."""
    ids = (get_id(item) for item in as_list(value))
    return tuple(dict.fromkeys(found for found in ids if found))


def get_text(value: object, limit: int) -> str:
    """Return a line of plain text, without what would reorder or garble its surroundings; '' when none."""
    value = only(value)
    if not isinstance(value, str):
        return ""
    # Cut before cleaning too, so that a huge string costs nothing.
    shown = "".join(c for c in value[: limit * 4] if not _garbles(c))
    return " ".join(shown.split())[:limit].strip()


def get_url(value: object) -> str | None:
    """Return the first web address in a string, Link, Image or list of them, an HTML page preferred."""
    items = as_list(value)
    pages = [item for item in items if isinstance(item, Mapping) and item.get("mediaType") == "text/html"]
    urls = (_web_address(item) for item in (*pages, *items))
    return next((url for url in urls if url), None)


def get_time(value: object) -> datetime | None:
    """Return a moment in UTC from ISO 8601 as loosely as servers write it, or an RFC 822 date."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    return read_iso(value.strip()) or read_rfc822(value.strip())


def only(value: object) -> object:
    """Unwrap lists of one; a list of several stays a list, which nothing takes for a single value."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def as_list(value: object) -> tuple[object, ...]:
    """Return the items of a list, or the value alone, or nothing for null."""
    if isinstance(value, list):
        return tuple(value)
    return () if value is None else (value,)


def _garbles(character: str) -> bool:
    control = unicodedata.category(character) in ("Cc", "Cs") and not character.isspace()
    return control or character in _BIDI_CONTROLS


def _web_address(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("href") or value.get("url") or value.get("id")
    found = get_id(value)
    return found if found and origin(found) else None
