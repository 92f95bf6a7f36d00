"""What a change is: an entry created, edited or gone, and why one is held."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model import Entry, KnownPost, PostState


class Reason(StrEnum):
    """Why something is held, as the owner reads it."""

    MANY = "more new entries at once than anyone writes"
    OLD = "new here, but older than two weeks"
    NO_DATE = "its date cannot be read, or lies ten years ahead"
    ASKED = "this source asks before every post"
    EDITS = "more entries changed at once than anyone edits"
    GONE = "more posts are gone at once than anyone deletes"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner asks of a source."""

    hold_all: bool = False
    embargo: timedelta = timedelta()
    is_folder: bool = False


NOTHING_ASKED = Policy()


@dataclass(frozen=True, slots=True)
class Created:
    """An entry nobody has seen before, and the state its post starts in. `held`: why it waits."""

    entry: Entry
    keys: tuple[str, ...]
    content_hash: str
    state: PostState
    published_at: datetime
    text_hash: str = ""
    generation: int = 1
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """A known post whose entry is different now. `quiet`: only its markup is, which nobody needs told.

    `anew`: its text may differ too, because it is read in another way; followers have it as it is.
    `due_at`: when a post goes out that is still scheduled.
    """

    post: KnownPost
    entry: Entry
    keys: tuple[str, ...]
    content_hash: str
    text_hash: str = ""
    quiet: bool = False
    held: Reason | None = None
    due_at: datetime | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """A post whose entry is no longer there. `certain`: deleted; otherwise its page has to be asked."""

    post: KnownPost
    certain: bool
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a harvest changes. `same` are known posts that came again, with what they are called now.

    `taken_back` are those that came again as followers know them, though an edit of theirs was held.
    """

    created: tuple[Created, ...] = ()
    edited: tuple[Edited, ...] = ()
    gone: tuple[Gone, ...] = ()
    same: tuple[tuple[int, tuple[str, ...]], ...] = ()
    taken_back: tuple[int, ...] = ()
