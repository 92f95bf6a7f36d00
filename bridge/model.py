"""The frozen dataclasses that travel between the parts: what a thing *is*, never what to do with it.

*entry → post → object* is the life of a piece of writing; *activity → delivery → attempt* the life of
its news. Times are aware UTC, durations `timedelta`, URLs `str`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"

MAX_ID_BYTES = 2_048  # of an actor, activity, object or key, taken from anyone; indexes have room for it


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of an entry; sizes in pixels, `None` where the source does not say.

    `focal_point` is the spot that no crop may lose, as Mastodon counts it: x and y from -1 to 1, y upwards.
    """

    url: str
    alt: str = ""
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    blurhash: str = ""
    focal_point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that comes with an entry and is no picture: a podcast episode, a video.

    `length` in bytes, `seconds` of playing time. `cover`: what players show, its own picture or the feed's.
    """

    url: str
    media_type: str
    length: int | None = None
    seconds: int | None = None
    cover: Image | None = None


class Visibility(StrEnum):
    """Where servers show a post; all of them are public."""

    PUBLIC = "public"
    UNLISTED = "unlisted"  # on the profile and to followers, in no public timeline


@dataclass(frozen=True, slots=True)
class Controls:
    """What the owner says about one post in particular, in its front matter or by its categories.

    `publish`: whether it goes to the fediverse at all. `text`: the note's own words instead of the entry's.
    `article`: as an Article rather than a Note; `None` leaves it to the site.
    """

    publish: bool = True
    warning: str = ""
    visibility: Visibility = Visibility.PUBLIC
    text: str = ""
    images: bool = True
    article: bool | None = None
    pinned: bool = False


@dataclass(frozen=True)
class Entry:
    """One piece of writing as a source yields it, before we judge it.

    `html` is the author's HTML with every link made absolute, not yet sanitised; `title` and `summary`
    are plain text. `guid` is the source's own name for it (a feed's guid; a file's path in its folder).
    `about` is what a link post is about: a page of someone else's, while `link` is the author's own.
    `in_doubt`: what it says about publishing is not understood, so nothing is concluded from it; `no_date`:
    it names a date that nobody can read.
    """

    guid: str | None
    link: str | None
    title: str = ""
    html: str = ""
    summary: str = ""
    published_at: datetime | None = None
    updated_at: datetime | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    controls: Controls = Controls()
    about: str | None = None
    in_doubt: bool = False
    no_date: bool = False

    @property
    def wanted(self) -> bool:
        """Say whether the owner wants it in the fediverse at all."""
        return self.controls.publish and not self.in_doubt

    @cached_property
    def memo(self) -> dict[object, Any]:
        """What was read out of it, kept for whoever asks next (`markup.words`); no part of what it is."""
        return {}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one entry or file that did not stop the others.

    `where` names it (``posts/hello.md:3``, ``entry 4 “Hello”``); `what` is a sentence with the remedy.
    """

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """What one successful poll of a source yielded, in the source's own order.

    `unreadable` are the guids of writing that is there but could not be read this time: it is not gone.
    `hub` and `topic` are where a feed says it can be subscribed to, and under which name (WebSub).
    `partial`: a hub pushed only what is new; nothing may be concluded from what is missing.
    `anew`: it was read in another way than the last time, so that what differs may be our doing alone.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...] = ()
    title: str = ""
    language: str | None = None
    unreadable: tuple[str, ...] = ()
    hub: str | None = None
    topic: str | None = None
    partial: bool = False
    anew: bool = False

    @property
    def size(self) -> int:
        """Return how many pieces of writing the source has, readable or not."""
        return len(self.entries) + len(self.unreadable)


class PostState(StrEnum):
    """Where a post stands towards followers, and what follows from that: asked here and nowhere else."""

    BASELINE = "baseline"  # was there before us: served, may be pinned, never delivered
    PUBLISHED = "published"  # delivered by us
    SCHEDULED = "scheduled"  # its date lies in the future
    HELD = "held"  # waits for the owner's word
    IGNORED = "ignored"  # the owner said no; known, so that it does not come up again
    WITHDRAWN = "withdrawn"  # deleted by the owner's wish; a tombstone, whatever the source says
    DELETED = "deleted"  # a tombstone; its id is never used again

    @property
    def is_public(self) -> bool:
        """Say whether anyone may see it, count it, and do something with it."""
        return self in (PostState.BASELINE, PostState.PUBLISHED)

    @property
    def is_waiting(self) -> bool:
        """Say whether it may still be published, and nobody may know of it until then."""
        return self in (PostState.SCHEDULED, PostState.HELD)

    @property
    def is_alive(self) -> bool:
        """Say whether its entry still decides what becomes of it."""
        return self.is_public or self.is_waiting

    @property
    def is_refused(self) -> bool:
        """Say whether the owner does not want it, whatever its source says."""
        return self in (PostState.IGNORED, PostState.WITHDRAWN)

    @property
    def is_tombstone(self) -> bool:
        """Say whether a 410 stands in its place for ever."""
        return self in (PostState.WITHDRAWN, PostState.DELETED)

    @property
    def may_return(self) -> bool:
        """Say whether its entry, when it comes again, becomes a post of the next generation."""
        return self is PostState.DELETED


@dataclass(frozen=True, slots=True)
class Post:
    """What we publish of an entry. `note` is the object as served and delivered; `id` its last path part."""

    site: str
    id: str
    state: PostState
    page_url: str | None
    note: Mapping[str, Any]
    content_hash: str
    published_at: datetime
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def is_unlisted(self) -> bool:
        """Say whether it keeps out of public timelines, and off the top of the profile."""
        return PUBLIC in self.note.get("cc", ())


@dataclass(frozen=True, slots=True)
class KnownPost:
    """A post as judging and drafting need it."""

    pk: int  # its row
    state: PostState
    content_hash: str
    text_hash: str = ""
    published_at: datetime | None = None
    generation: int = 1
    here: bool = True  # the source that was polled has the word on it
    held_hash: str | None = None  # of an edit that waits for the owner
    written_at: datetime | None = None  # its entry's date when last read, of a post that is scheduled
    id: str = ""
    source_id: int = 0
    page_url: str | None = None
    updated_at: datetime | None = None
    missing_since: datetime | None = None


# ── news on its way ──────────────────────────────────────────────────────────────────────────────


class DeliveryState(StrEnum):
    """The three states of a delivery."""

    PENDING = "pending"  # due now or later
    DELIVERED = "delivered"  # the inbox answered 2xx
    DROPPED = "dropped"  # given up, with a reason the owner can read


class DropCause(StrEnum):
    """Why a delivery was given up, for programs; its `reason` is for people.

    The first ones are about who was to get it, who may be asked again; the others say that there is
    nothing left to send.
    """

    REFUSED = "refused"  # the inbox understood and said no
    EXHAUSTED = "exhausted"  # tried as often as is sensible
    GONE = "gone"  # there is no such inbox (any more)
    QUARANTINED = "quarantined"  # workers died of it
    UNUSABLE = "unusable"  # an address that our own rules refuse
    SUPERSEDED = "superseded"  # something newer says it all
    DELETED = "deleted"  # what it was about was deleted first
    LEFT = "left"  # whoever it was for does not want it any more


class Scheme(StrEnum):
    """How an HTTP request is signed."""

    CAVAGE = "cavage"  # draft-cavage-http-signatures-12: what most of the fediverse speaks
    RFC9421 = "rfc9421"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One activity on its way to one inbox, as a worker claims it."""

    id: int
    site: str
    inbox: str
    host: str
    type: str  # of the activity
    object_uri: str
    body: bytes
    attempts: int  # this one included: counted when claimed, so that one that kills the process counts
    first_attempt_at: datetime
    losses: int  # how often a worker died with it


@dataclass(frozen=True, slots=True)
class Delivered:
    """The inbox took it. That proves nothing about what the server did afterwards, and nobody can know."""

    status: int


@dataclass(frozen=True, slots=True)
class Retry:
    """It is sent again at `due_at`; it `counts` as an attempt unless it was for a shortage of ours.

    `host_down`: it waits for its server as a whole, and is due as soon as that answers.
    """

    due_at: datetime
    reason: str
    status: int | None = None
    host_down: bool = False
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    """It is given up. `gone`: the inbox may be, so whoever is behind it is to be looked at first."""

    reason: str
    status: int | None = None
    gone: bool = False
    cause: DropCause = DropCause.REFUSED


Decision = Delivered | Retry | Drop


@dataclass(frozen=True, slots=True)
class Follower:
    """A remote actor who gets our posts (`accepted`) or waits for the owner's word (`pending`)."""

    site: str
    actor_id: str
    handle: str
    inbox: str
    shared_inbox: str | None
    state: str
    follow_id: str | None
    followed_at: datetime


@dataclass(frozen=True, slots=True)
class RemoteActor:
    """Someone else's actor as their server last showed it to us."""

    id: str
    type: str
    handle: str
    inbox: str
    shared_inbox: str | None = None
    name: str = ""
    url: str | None = None
    icon: str | None = None
    moved_to: str | None = None
    also_known_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A public key that speaks for `actor_id`; `pem` is SPKI."""

    id: str
    actor_id: str
    pem: str


# ── answers of other servers ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Answered:
    """A server answered. Header names are lower case; `body` is decompressed and within its limit.

    `url` is the final one after redirects; `moved_to` is it too when every redirect on the way was
    permanent (301, 308), else `None`; `hops` is how many redirects there were, and `strayed` whether one led
    to another origin, even if a later one led back. `retry_after` is clamped to six hours.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes = b""
    url: str = ""
    moved_to: str | None = None
    retry_after: timedelta | None = None
    hops: int = 0
    strayed: bool = False


class Fault(StrEnum):
    """Whose failure it is that there is no usable answer."""

    HOST = "host"  # no connection: whatever were asked for there, it would be the same
    INBOX = "inbox"  # the host was reached, and what was asked for there did not answer
    RULE = "rule"  # an address that our own rules refuse
    SIZE = "size"  # the host answered with more than we take
    OURS = "ours"  # something in us that goes wrong with this one, and may always
    SHORTAGE = "shortage"  # something that we lack now, for whoever is asked


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No usable answer: `why` is a short phrase for people: ``connection refused``, ``no answer in 10 s``."""

    why: str
    fault: Fault = Fault.HOST


Outcome = Answered | Unreachable
