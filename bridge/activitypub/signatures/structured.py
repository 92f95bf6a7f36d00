"""Structured fields (RFC 9651) as strict as signatures need them: no duplicate keys, one kind of error."""

from typing import Any

import http_sf

from bridge.errors import SignatureError


def parse_dictionary(text: str, header: str) -> dict[str, Any]:
    """Read a dictionary header: each member is a pair of its value (or list of items) and parameters."""
    try:
        fields = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=_refuse)
    except (ValueError, OverflowError, TypeError) as error:
        raise SignatureError(f"The {header} header is not a structured dictionary (RFC 9651).") from error
    assert isinstance(fields, dict)
    return fields


def serialise_member(member: Any) -> str:
    """Write a dictionary's member the canonical way, which is what a signature covers."""
    try:
        return str(http_sf.ser([member]))
    except (ValueError, OverflowError, TypeError) as error:
        raise SignatureError("The signature's parameters are not structured fields (RFC 9651).") from error


def _refuse(key: str, context: str) -> None:
    raise SignatureError(f"The {context} {key[:80]!r} appears twice in one signature header.")
