"""feedparser, taught that an `xml:base` holds within its element and costs nothing outside it.

feedparser itself keeps the base of an entry for all that follow when the feed names none, and gives every
link up under a base that cannot be taken apart, whole addresses too.
"""

import io
from typing import Any

import feedparser
from feedparser import api

from bridge.markup.sanitize import absolute_url

_BASES = frozenset({"xml:base", "base"})  # by either name, as feedparser reads them
_SOMEWHERE = "https://somewhere.invalid/"


def parse(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Let feedparser read the bytes of a feed; it gets no base address, so that guids stay as they are."""
    # A stream, never the bytes themselves: feedparser would try to open them as a file name first.
    result: dict[str, Any] = feedparser.parse(
        io.BytesIO(body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    return result


class _Scoped:
    """What both of feedparser's readers do with bases, put right."""

    baseuri: str

    def __init__(self, *given: Any, **named: Any) -> None:
        self._outer: list[str] = []
        super().__init__(*given, **named)

    def unknown_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        self._outer.append(self.baseuri)
        usable = [(name, value) for name, value in attrs if name.lower() not in _BASES or _is_base(value)]
        super().unknown_starttag(tag, usable)  # type: ignore[misc]

    def unknown_endtag(self, tag: str) -> None:
        super().unknown_endtag(tag)  # type: ignore[misc]
        self.baseuri = self._outer.pop() if self._outer else ""

    def resolve_uri(self, uri: str) -> str:
        resolved: str = super().resolve_uri(uri)  # type: ignore[misc]
        return resolved or uri


def _is_base(written: str) -> bool:
    """Say whether links can be resolved against it; it may itself be relative."""
    return absolute_url(written, _SOMEWHERE) is not None


class _Strict(_Scoped, api.StrictFeedParser):  # type: ignore[misc]
    pass


class _Loose(_Scoped, api.LooseFeedParser):  # type: ignore[misc]
    pass


# feedparser has no way to be given readers of one's own.
api.StrictFeedParser, api.LooseFeedParser = _Strict, _Loose
