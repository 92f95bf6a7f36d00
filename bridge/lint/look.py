"""What the rules look at: a harvest, the bytes it came from, and how they were answered."""

from dataclasses import dataclass
from datetime import datetime

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

    @property
    def content_type(self) -> str:
        """The media type the server sent, in lower case, without parameters."""
        sent = self.answer.headers.get("content-type", "") if self.answer else ""
        return sent.partition(";")[0].strip().lower()
