"""An entry's words: read once, and asked by everyone who wants to know what it says. Pure.

Reading HTML is most of what a poll costs. An entry brings its words along, from the source to the note: what
was read of them is kept with the entry, and goes when it goes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TypeVar

from bridge.markup.note import NoteHtml, to_note_html
from bridge.markup.text import plain_text
from bridge.model import Entry

Read = TypeVar("Read")

_START = 4_000  # characters of HTML in which a beginning stands, in most


@dataclass(frozen=True)
class Words:
    """What a piece of writing says: its HTML, or where it has none its summary; links resolve against `base`.

    Each reading of it is made when it is first asked for, and stays.
    """

    html: str
    summary: str = ""
    base: str | None = None

    @cached_property
    def text(self) -> str:
        """What people read: plain text, a blank line between paragraphs."""
        return plain_text(self.html or self.summary)

    @cached_property
    def note(self) -> NoteHtml:
        """All of the HTML as a note's, with its pictures."""
        return to_note_html(self.html, base=self.base)

    def beginning(self, least: int) -> NoteHtml:
        """Return what tells of the rest, without captions and players; `least` characters of text will do.

        It is all of it only where the first lines are not enough.
        """
        if not self.note.has_asides:
            return self.note
        start = self.html[: max(self.html.rfind("<", 0, _START), 0)] if len(self.html) > _START else ""
        found = to_note_html(start, base=self.base, introducing=True) if start else None
        if found is None or len(found.text) < least:
            found = to_note_html(self.html, base=self.base, introducing=True)
        return found


def kept(read: Callable[[Entry], Read]) -> Callable[[Entry], Read]:
    """Keep what a function reads out of an entry with that entry, so that it is read once."""

    @wraps(read)
    def recall(entry: Entry) -> Read:
        if read not in entry.memo:
            entry.memo[read] = read(entry)
        found: Read = entry.memo[read]
        return found

    return recall


@kept
def words_of(entry: Entry) -> Words:
    """Return an entry's words: the same value each time."""
    return Words(entry.html, entry.summary, entry.link)


def already_read(entry: Entry, text: str) -> Entry:
    """Return an entry whose HTML was read before there was an entry: `text` is what people read of it."""
    vars(words_of(entry))["text"] = text
    return entry
