"""Judges a harvest against the posts we know: what is new, edited, gone or back, and what must wait.

Pure: it is handed what is known and what was found, and says what follows. Followers see only real news:
a known entry under a new guid, address or host is the same post; absence alone never deletes from a feed;
whatever looks like a mishap is held for the owner.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from bridge.entrykeys import canonical_link, content_hash, strong_keys, text_hash, volatile_lines, weak_keys
from bridge.model import Entry, PostState

FRESH = timedelta(hours=1)
"""An entry's own date counts as the moment of publishing when it is younger than this."""

MOST_NEW = 5  # new entries in one poll that go out unasked
OLD = timedelta(days=14)  # a new entry older than this is no news
MOST_EDITED = 0.2  # the share of known entries that may change at once
FEWEST_EDITED = 3  # that many may always change
MOST_GONE, MOST_GONE_SHARE = 3, 0.05  # removed at once from a folder without asking

EDIT_STANDS = timedelta(minutes=5)  # before it is sent, so that a slip of the pen is not
BETWEEN_UPDATES = timedelta(minutes=10)
MOST_UPDATES = 24  # of one post, ever

GONE_AFTER, GONE_SPAN = 3, timedelta(hours=24)  # that many 404s over that long mean deleted
CHECK_PAUSE = timedelta(hours=12)


class Reason(StrEnum):
    """Why something is held, as the owner reads it."""

    MANY = "more new entries at once than anyone writes"
    OLD = "new here, but older than two weeks"
    ASKED = "this source asks before every post"
    EDITS = "more entries changed at once than anyone edits"
    GONE = "more files are gone at once than anyone deletes"


@dataclass(frozen=True, slots=True)
class Known:
    """A post as far as judging goes; `ref` is the caller's own handle for it.

    `here`: it belongs to the source that was polled. `held_hash`: of an edit that waits for the owner.
    """

    ref: int
    state: PostState
    content_hash: str
    text_hash: str = ""
    published_at: datetime | None = None
    generation: int = 1
    here: bool = True
    held_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner asks of a source."""

    hold_all: bool = False
    embargo: timedelta = timedelta()
    is_folder: bool = False


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
    """A known post whose entry is different now. `quiet`: only its markup is, which nobody needs told."""

    ref: int
    entry: Entry
    keys: tuple[str, ...]
    content_hash: str
    text_hash: str = ""
    quiet: bool = False
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A post whose entry is no longer there. `certain`: deleted; otherwise its page has to be asked."""

    ref: int
    certain: bool
    held: Reason | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a harvest changes. `same` are known posts that came again, with what they are called now."""

    created: tuple[Created, ...] = ()
    edited: tuple[Edited, ...] = ()
    gone: tuple[Gone, ...] = ()
    same: tuple[tuple[int, tuple[str, ...]], ...] = ()


@dataclass
class _Match:
    """Which entry is which post."""

    posts: dict[int, Known] = field(default_factory=dict)  # by the entry's place
    twins: set[int] = field(default_factory=set)  # places of entries that are another's copy
    taken: set[int] = field(default_factory=set)  # refs of posts that an entry was found for
    shared: set[str] = field(default_factory=set)  # addresses of several entries, which name none of them

    def names(self, entry: Entry) -> tuple[str, ...]:
        """Return what this entry, and no other of the harvest, is called."""
        return tuple(key for key in all_keys(entry) if key not in self.shared)


def judge(
    entries: Sequence[Entry],
    known: Mapping[str, Known],
    *,
    baseline: bool,
    now: datetime,
    ours: Sequence[Known] = (),
    policy: Policy = Policy(),
) -> Changes:
    """Compare found entries with the posts their keys lead to (`known`) and with all of the source (`ours`).

    `baseline`: the source's first successful poll, whose entries were there before us and are never
    delivered. Created posts come oldest first, so that followers read them in the order they were written.
    """
    match = match_entries(entries, known)
    noise = volatile_lines(entries)
    found = [
        _judge_one(entry, place, match, noise, policy, baseline, now) for place, entry in enumerate(entries)
    ]
    created = [one for one in found if isinstance(one, Created)]
    edited = [one for one in found if isinstance(one, Edited)]
    unwanted = {post.ref for place, post in match.posts.items() if not entries[place].wanted}
    return Changes(
        created=tuple(_brake_new(_in_order(created), policy, now)),
        edited=tuple(_brake_edits(edited, len(match.posts))),
        gone=tuple(_gone(entries, ours, match, unwanted, policy)),
        same=tuple(
            (post.ref, match.names(entries[place]))
            for place, post in sorted(match.posts.items())
            if post.ref not in {one.ref for one in edited}
        ),
    )


# ── which entry is which post ─────────────────────────────────────────────────────────────────────


def match_entries(entries: Sequence[Entry], known: Mapping[str, Known]) -> _Match:
    """Find each entry's post: by guid, by address, and only then by what merely looks alike.

    Weak keys (path, title and day, text) are believed only for a post that no entry claims by a strong
    one: so a redesign, a move or a new generator is recognised, and two like-named posts stay two.
    """
    match = _Match(shared=_shared_keys(entries))
    claimed: set[str] = set()
    for place, entry in enumerate(entries):
        keys = [key for key in strong_keys(entry) if key not in match.shared]
        if claimed.intersection(keys) or claimed.intersection(strong_keys(entry)[:1]):
            match.twins.add(place)
        claimed.update(keys or strong_keys(entry)[:1])
        if place not in match.twins:
            _claim(match, place, keys or strong_keys(entry)[:1], known)
    for place, entry in enumerate(entries):
        if place in match.posts or place in match.twins:
            continue
        weak = weak_keys(entry)
        words = [key for key in weak if key.startswith("text:")]
        if claimed.intersection(words):  # word for word the same text: the same entry twice
            match.twins.add(place)
            continue
        claimed.update(words)
        _claim(match, place, weak, known)
    return match


def _claim(match: _Match, place: int, keys: Iterable[str], known: Mapping[str, Known]) -> None:
    for key in keys:
        post = known.get(key)
        if post is not None and post.ref not in match.taken:
            match.posts[place] = post
            match.taken.add(post.ref)
            return


def _shared_keys(entries: Sequence[Entry]) -> set[str]:
    """Return addresses that several entries with guids of their own share: they name none of them."""
    holders = Counter(key for entry in entries if entry.guid for key in set(strong_keys(entry)[1:]))
    return {key for key, number in holders.items() if number > 1}


def all_keys(entry: Entry) -> tuple[str, ...]:
    """Return every name an entry may be found under again; the first is what a post's id is minted from."""
    return tuple(dict.fromkeys((*strong_keys(entry), *weak_keys(entry))))


# ── one entry ─────────────────────────────────────────────────────────────────────────────────────


def _judge_one(
    entry: Entry,
    place: int,
    match: _Match,
    noise: frozenset[str],
    policy: Policy,
    baseline: bool,
    now: datetime,
) -> Created | Edited | None:
    if place in match.twins or not entry.wanted:
        return None
    post = match.posts.get(place)
    if post is None or post.state is PostState.DELETED:
        # Mastodon refuses a deleted id for ever: what comes back is the next generation.
        generation = post.generation + 1 if post else 1
        created = _created(entry, noise, generation, policy, baseline=baseline, now=now)
        return replace(created, keys=match.names(entry))
    if post.state in (PostState.WITHDRAWN, PostState.IGNORED):
        return None
    edited = _edited(entry, post, noise)
    return replace(edited, keys=match.names(entry)) if edited else None


def _created(
    entry: Entry, noise: frozenset[str], generation: int, policy: Policy, *, baseline: bool, now: datetime
) -> Created:
    written_at = entry.published_at or now
    keys, digest, text = all_keys(entry), content_hash(entry), text_hash(entry, noise)
    if written_at > now:
        return Created(entry, keys, digest, PostState.SCHEDULED, written_at, text, generation)
    if baseline:
        return Created(entry, keys, digest, PostState.BASELINE, written_at, text, generation)
    if policy.embargo:
        return Created(entry, keys, digest, PostState.SCHEDULED, now + policy.embargo, text, generation)
    return Created(entry, keys, digest, PostState.PUBLISHED, publishing_moment(entry, now), text, generation)


def _edited(entry: Entry, post: Known, noise: frozenset[str]) -> Edited | None:
    digest, text = content_hash(entry), text_hash(entry, noise)
    if digest in (post.content_hash, post.held_hash):
        return None
    return Edited(post.ref, entry, all_keys(entry), digest, text, quiet=text == post.text_hash)


def publishing_moment(entry: Entry, now: datetime) -> datetime:
    """Return the `published` of a post that goes out now.

    Servers sort what they are sent by this date, and Mastodon puts nothing older than some hours into
    home timelines: an entry found late would reach nobody under its own date.
    """
    written_at = entry.published_at
    if written_at is not None and now - FRESH <= written_at <= now:
        return written_at
    return now


def _in_order(created: Sequence[Created]) -> list[Created]:
    """Oldest first; feeds list the newest first, which settles equal dates."""
    places = range(len(created), 0, -1)
    ordered = sorted(zip(created, places, strict=True), key=lambda pair: (pair[0].published_at, pair[1]))
    return [one for one, _ in ordered]


# ── the brake ─────────────────────────────────────────────────────────────────────────────────────


def _brake_new(created: Sequence[Created], policy: Policy, now: datetime) -> Iterable[Created]:
    news = [one for one in created if one.state is not PostState.BASELINE]
    many = len(news) > MOST_NEW
    for one in created:
        yield _held(one, _why_held(one, many, policy, now))


def _why_held(one: Created, many: bool, policy: Policy, now: datetime) -> Reason | None:
    if one.state is PostState.BASELINE:
        return None
    if policy.hold_all:
        return Reason.ASKED
    if many:
        return Reason.MANY
    written_at = one.entry.published_at
    return Reason.OLD if written_at is not None and now - written_at > OLD else None


def _held(one: Created, why: Reason | None) -> Created:
    if why is None:
        return one
    return Created(
        one.entry,
        one.keys,
        one.content_hash,
        PostState.HELD,
        one.published_at,
        one.text_hash,
        one.generation,
        why,
    )


def _brake_edits(edited: Sequence[Edited], known: int) -> Iterable[Edited]:
    loud = sum(not one.quiet for one in edited)
    too_many = loud > max(FEWEST_EDITED, known * MOST_EDITED)
    for one in edited:
        held = Reason.EDITS if too_many and not one.quiet else None
        yield Edited(one.ref, one.entry, one.keys, one.content_hash, one.text_hash, one.quiet, held)


# ── what is no longer there ───────────────────────────────────────────────────────────────────────


def _gone(
    entries: Sequence[Entry], ours: Sequence[Known], match: _Match, unwanted: set[int], policy: Policy
) -> Iterable[Gone]:
    """Judge absence. In a folder it means deletion; in a feed only that a page has to be asked.

    A harvest of nothing proves nothing: a folder may be unmounted, a feed empty by mistake.
    """
    yield from (Gone(ref, certain=True) for ref in sorted(unwanted))
    alive = (PostState.PUBLISHED, PostState.BASELINE, PostState.SCHEDULED)
    absent = [post for post in ours if post.here and post.state in alive and post.ref not in match.taken]
    if not entries or not absent:
        return
    if policy.is_folder:
        total = len(absent) + len(match.posts)
        held = Reason.GONE if len(absent) > max(MOST_GONE, total * MOST_GONE_SHARE) else None
        yield from (Gone(post.ref, certain=True, held=held) for post in absent)
        return
    oldest = min((entry.published_at for entry in entries if entry.published_at), default=None)
    if oldest is None:
        return
    # Older ones fell off the end of the feed, as they should.
    yield from (
        Gone(post.ref, certain=False) for post in absent if post.published_at and post.published_at > oldest
    )


# ── when an edit goes out ─────────────────────────────────────────────────────────────────────────


def update_due_at(
    edited_at: datetime, sent_at: datetime | None, sent: int, *, stands: timedelta = EDIT_STANDS
) -> datetime | None:
    """Return when an edit is sent; `None` when the post has had its share of Updates."""
    if sent >= MOST_UPDATES:
        return None
    pause = min(BETWEEN_UPDATES, stands * 2)
    return max(edited_at + stands, sent_at + pause if sent_at else edited_at)


# ── a page that is missing from its feed ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PageCheck:
    """What a look at a missing entry's page showed, with the looks before it."""

    status: int
    home_status: int
    misses: int  # 404s before this one
    missing_since: datetime


def is_deleted(check: PageCheck, now: datetime) -> bool:
    """Say whether a page is gone for good: 410, or 404 three times over a day, while the site is up."""
    if check.home_status != 200:
        return False
    if check.status == 410:
        return True
    long_enough = now - check.missing_since >= GONE_SPAN
    return check.status == 404 and check.misses + 1 >= GONE_AFTER and long_enough


def is_strange(found: Sequence[Entry], known: Mapping[str, Known], hosts_before: Collection[str]) -> bool:
    """Say whether a feed is suddenly another site's: nothing in it is known, and no link leads where it did.

    A parked domain or a mixed-up server answers with a perfectly good feed of somebody else.
    """
    hosts = {urlsplit(entry.link).hostname for entry in found if entry.link}
    if not hosts or not hosts_before or hosts.intersection(hosts_before):
        return False
    return not match_entries(found, known).posts


__all__ = [
    "Changes",
    "Created",
    "Edited",
    "Gone",
    "Known",
    "PageCheck",
    "Policy",
    "Reason",
    "all_keys",
    "canonical_link",
    "is_deleted",
    "is_strange",
    "judge",
    "match_entries",
    "publishing_moment",
    "text_hash",
    "update_due_at",
]
