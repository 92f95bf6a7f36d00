"""What the rules look at: a harvest, the bytes it came from, and how they were answered."""

from dataclasses import dataclass
from datetime import datetime

from bridge.markup.html import plain_text, words_of
from bridge.model import Answered, Harvest
from bridge.sources.feeds.raw import RawEntry, RawFeed


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a source. `raw` is `None` for a folder, `answer` for a file.

    `asked` is the feed's address in the config, `moved_to` where it has moved for good; `known` are the
    keys (`entrykeys`) of entries found before, and `has_hub` says whether feed or headers name one (`None`:
    nobody looked).
    """

    harvest: Harvest
    now: datetime
    raw: RawFeed | None = None
    answer: Answered | None = None
    asked: str = ""
    moved_to: str | None = None
    known: frozenset[str] = frozenset()
    has_hub: bool | None = None

    @property
    def raw_entries(self) -> list[RawEntry]:
        """The entries as they are written."""
        return self.raw.entries if self.raw else []

    def text_of(self, raw: RawEntry) -> str:
        """Return what people read of an entry; where it was read as one of ours, it is not read again."""
        entries = self.harvest.entries
        if len(self.raw_entries) == len(entries):
            entry = entries[raw.number - 1]
            if entry.html and (len(raw.texts) == 1 or entry.summary):  # else its text may be another one
                return words_of(entry).text
        return plain_text(max(raw.texts, key=len, default=""))

    @property
    def content_type(self) -> str:
        """The media type the server sent, in lower case, without parameters."""
        sent = self.answer.headers.get("content-type", "") if self.answer else ""
        return sent.partition(";")[0].strip().lower()
