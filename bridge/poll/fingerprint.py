"""Whether a feed is as it was when it was last read. Pure.

A feed is its bytes and the hub that its `Link` headers name. Both make one mark, remembered until the next
poll.
"""

import hashlib
from collections.abc import Mapping

from bridge.activitypub.websub import parse_links

READING = 3
"""What reading a feed finds out; one more when it learns something that unchanged feeds hold too."""

_TOLD = ("hub", "self")  # the relations of Link headers that are read


def mark_of(headers: Mapping[str, str], body: bytes) -> str:
    """Return what an answer has to equal to be unchanged: ``3:LINKS:BODY``, digests in hex."""
    return f"{READING}:{_links(headers)}:{hashlib.sha256(body).hexdigest()}"


def may_be_asked_conditionally(mark: str | None) -> bool:
    """Say whether “not modified” would tell us enough.

    It would not about a feed never read, or read by a version of the bridge that saw less in it.
    """
    return mark is not None and mark.startswith(f"{READING}:")


def is_read_anew(mark: str | None) -> bool:
    """Say whether another version of the bridge read the feed the last time."""
    return mark is not None and not mark.startswith(f"{READING}:")


def names_another_hub(headers: Mapping[str, str], mark: str | None) -> bool:
    """Say whether a 304 names a hub in other words than what was read; one that names none says nothing."""
    named = any(relation == "hub" for relation, _ in parse_links(headers.get("link", "")))
    return named and f":{_links(headers)}:" not in (mark or "")


def _links(headers: Mapping[str, str]) -> str:
    """Return a digest of the links that matter: others may change with every answer."""
    told = sorted(link for link in parse_links(headers.get("link", "")) if link[0] in _TOLD)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
