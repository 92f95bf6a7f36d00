"""People mentioned in a post: found in its text, and linked there once it is known who they are."""

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, NamedTuple

from bridge.activitypub.content import mention_link
from bridge.markup.html import absolute_url, kept
from bridge.model import Entry

MAX_MENTIONS = 10  # more are not a conversation
_HANDLE = re.compile(
    r"(?<![\w@/.])@(\w(?:[\w.-]{0,62}\w)?)@((?:[a-z0-9-]{1,63}\.){1,8}[a-z0-9-]{2,63}(?::\d{2,5})?)(?![\w@-])",
    re.IGNORECASE | re.ASCII,
)
_VERBATIM = frozenset({"pre", "code", "kbd", "samp", "script", "style", "textarea"})


class Mentioned(NamedTuple):
    """Someone who was found: the id of their actor, which is told, and the page that people see."""

    actor_id: str
    url: str


class People(NamedTuple):
    """Handle → who that is, of those who were found; `away` are those whose server could not be asked."""

    known: Mapping[str, Mentioned] = MappingProxyType({})
    away: frozenset[str] = frozenset()


@kept
def mentioned_in(entry: Entry) -> tuple[str, ...]:
    """Return the handles in an entry's words, as `find_mentions` does."""
    return find_mentions(entry.controls.text or entry.html or entry.summary)


def find_mentions(html: str) -> tuple[str, ...]:
    """Return the handles (`@ann@social.example`, the host in lower case) in a text, at most ten, each once.

    Code is not searched.
    """
    reader = _Reader({})
    reader.feed(html)
    reader.close()
    return tuple(reader.seen)[:MAX_MENTIONS]


def mentioned(note: Mapping[str, Any]) -> set[str]:
    """Return the ids of the actors whom a note mentions."""
    return {tag["href"] for tag in note.get("tag", ()) if tag["type"] == "Mention"}


def link_mentions(html: str, people: Mapping[str, Mentioned]) -> tuple[str, tuple[str, ...]]:
    """Link the handles of `people` in note HTML; return it with the handles that are in it.

    A handle that the author linked stays as it is, and is a mention too.
    """
    reader = _Reader(people)
    reader.feed(html)
    reader.close()
    return "".join(reader.out), tuple(handle for handle in reader.seen if handle in people)


class _Reader(HTMLParser):
    """Copies balanced HTML, looking at its text."""

    def __init__(self, people: Mapping[str, Mentioned]) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: dict[str, None] = {}
        self.out: list[str] = []
        self._people = people
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.out.append(self.get_starttag_text() or "")
        if tag == "a" or tag in _VERBATIM:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.out.append(f"</{tag}>")
        if tag in self._open:
            del self._open[self._open.index(tag) :]

    def handle_data(self, data: str) -> None:
        if _VERBATIM.intersection(self._open):
            self.out.append(escape(data, quote=False))
            return
        done = 0
        for match in _HANDLE.finditer(data):
            self.out.append(escape(data[done : match.start()], quote=False) + self._handle(match))
            done = match.end()
        self.out.append(escape(data[done:], quote=False))

    def _handle(self, match: re.Match[str]) -> str:
        handle = f"@{match[1]}@{match[2].lower()}"
        self.seen.setdefault(handle)
        person = self._people.get(handle)
        if person is None or "a" in self._open or absolute_url(person.url) is None:
            return escape(match.group(), quote=False)
        return mention_link(handle, person.url)
