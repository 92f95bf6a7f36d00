"""Judges a harvest against the posts we know: what is new, edited, gone or back, and what must wait.

Pure: it is handed what is known and what was found, and says what follows. Followers see only real news:
a known entry under a new guid, address or host is the same post; absence alone never deletes from a feed;
whatever looks like a mishap is held for the owner.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.addresses import take_apart
from bridge.changes.keys import all_keys, canonical_link, content_hash, text_hash
from bridge.changes.matching import Known, Match, match_entries
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
RETURN_STANDS = 12  # times as long, when the post is what it was before: servers of one site may disagree

LEAST_LEFT, FEWEST_LOST = 0.5, 5  # a feed that keeps less and loses as many at once has shrunk
SHRUNK_STANDS = timedelta(hours=1)  # before its new size is believed

GONE_AFTER, GONE_SPAN = 3, timedelta(hours=24)  # that many 404s over that long mean deleted
CHECK_PAUSE = timedelta(hours=12)


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

    ref: int
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

    ref: int
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


def judge(
    entries: Sequence[Entry],
    known: Mapping[str, Known],
    *,
    baseline: bool,
    now: datetime,
    ours: Sequence[Known] = (),
    policy: Policy = Policy(),
    anew: bool = False,
) -> Changes:
    """Compare found entries with the posts their keys lead to (`known`) and with all of the source (`ours`).

    `baseline`: the source's first successful poll, whose entries were there before us and are never
    delivered. `anew`: the source is read in another way than before (after an upgrade, in another dialect of
    Markdown), which is nobody's edit: what differs is shown, and followers are not told. Created posts come
    oldest first, so that followers read them in the order they were written.
    """
    match = match_entries(entries, known)
    found = [_judge_one(entry, place, match, policy, baseline, now) for place, entry in enumerate(entries)]
    created = [one for one in found if isinstance(one, Created)]
    edited = {one.ref: one for one in found if isinstance(one, Edited)}
    matched = sorted(match.posts.items())
    return Changes(
        created=tuple(_brake_new(_in_order(created), policy, now)),
        edited=tuple(_not_told(edited, match) if anew else _brake_edits(list(edited.values()), match)),
        gone=tuple(_gone(entries, ours, match, policy)),
        same=tuple((post.ref, match.names(place)) for place, post in matched if post.ref not in edited),
        taken_back=tuple(post.ref for place, post in matched if _is_taken_back(entries[place], post)),
    )


# ── one entry ─────────────────────────────────────────────────────────────────────────────────────


def _judge_one(
    entry: Entry,
    place: int,
    match: Match,
    policy: Policy,
    baseline: bool,
    now: datetime,
) -> Created | Edited | None:
    post = match.posts.get(place)
    # What another source of the site has brought is that one's to change: feeds often hold only excerpts.
    if place in match.twins or not entry.wanted or (post and not post.here):
        return None
    names = match.names(place)
    if post is None or post.state.may_return:
        # Mastodon refuses a deleted id for ever: what comes back is the next generation.
        generation = post.generation + 1 if post else 1
        start = _start(entry, policy, baseline=baseline, now=now)
        return _created(entry, names, match, generation, start) if names else None
    if post.state.is_refused:
        return None
    return _edited(entry, names, match, post, now)


def _created(
    entry: Entry,
    names: tuple[str, ...],
    match: Match,
    generation: int,
    start: tuple[PostState, datetime],
) -> Created:
    text = text_hash(entry, match.noise)
    return Created(entry, names, content_hash(entry), *start, text, generation)


def _start(entry: Entry, policy: Policy, *, baseline: bool, now: datetime) -> tuple[PostState, datetime]:
    """Return the state a new post starts in, and when it is or will be published."""
    written_at = entry.published_at or now
    if written_at > now:
        return PostState.SCHEDULED, written_at
    if baseline:
        return PostState.BASELINE, written_at
    if policy.embargo:
        return PostState.SCHEDULED, now + policy.embargo
    return PostState.PUBLISHED, publishing_moment(entry, now)


def _edited(entry: Entry, names: tuple[str, ...], match: Match, post: Known, now: datetime) -> Edited | None:
    digest = content_hash(entry)
    due_at = _due_at(entry, post, now) if post.state is PostState.SCHEDULED else None
    is_moved = due_at is not None and due_at != post.published_at
    if digest in (post.content_hash, post.held_hash) and not is_moved:
        return None
    text = text_hash(entry, match.noise)
    quiet = text == post.text_hash or digest == post.content_hash
    return Edited(post.ref, entry, names, digest, text, quiet=quiet, due_at=due_at)


def _due_at(entry: Entry, post: Known, now: datetime) -> datetime | None:
    """Return when a scheduled post goes out: at its date, or when its embargo or a queue says."""
    if entry.published_at is not None and entry.published_at > now:
        return entry.published_at
    if post.published_at == post.written_at:  # it waited for its date, which no longer lies ahead
        return entry.published_at or now
    return post.published_at


def _is_taken_back(entry: Entry, post: Known) -> bool:
    """Say whether an entry is again what followers see, so that the edit that is held says nothing new."""
    return post.held_hash is not None and content_hash(entry) == post.content_hash


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
    """Oldest first by their own dates; feeds list the newest first, which settles equal ones."""
    last_first = list(reversed(created))
    return sorted(last_first, key=lambda one: one.entry.published_at or one.published_at)


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
    if one.entry.no_date:
        return Reason.NO_DATE
    written_at = one.entry.published_at
    return Reason.OLD if written_at is not None and now - written_at > OLD else None


def _held(one: Created, why: Reason | None) -> Created:
    return one if why is None else replace(one, state=PostState.HELD, held=why)


def _brake_edits(edited: Sequence[Edited], match: Match) -> Iterable[Edited]:
    waiting = {post.ref for post in match.posts.values() if post.state is PostState.HELD}  # nobody sees those
    loud = {one.ref for one in edited if not one.quiet and one.ref not in waiting}
    too_many = len(loud) > max(FEWEST_EDITED, len(match.posts) * MOST_EDITED)
    for one in edited:
        yield replace(one, held=Reason.EDITS) if too_many and one.ref in loud else one


def _not_told(edited: Mapping[int, Edited], match: Match) -> Iterable[Edited]:
    """Yield edits as nobody's news; what the owner has yet to judge still waits for that."""
    waiting = {post.ref for post in match.posts.values() if post.held_hash is not None}
    for one in edited.values():
        yield replace(one, held=Reason.EDITS) if one.ref in waiting else replace(one, quiet=True, anew=True)


# ── what is no longer there ───────────────────────────────────────────────────────────────────────


def _gone(entries: Sequence[Entry], ours: Sequence[Known], match: Match, policy: Policy) -> Iterable[Gone]:
    """Judge absence. In a folder it means deletion; in a feed only that a page has to be asked.

    A harvest of nothing proves nothing: a folder may be unmounted, a feed empty by mistake. What its owner
    no longer wants in the fediverse is gone, wherever it stands.
    """
    said = [(entries[place], post) for place, post in match.posts.items()]
    unwanted = [post for entry, post in said if not entry.wanted and not entry.in_doubt]
    absent = [post for post in ours if entries and post.here and post.ref not in match.taken]
    deleted = [post for post in (*unwanted, *(absent if policy.is_folder else ())) if post.state.is_alive]
    shown = {post.ref for post in deleted if post.state.is_public}
    many = len(shown) > max(MOST_GONE, (len(absent) + len(match.posts)) * MOST_GONE_SHARE)
    for post in deleted:
        yield Gone(post.ref, certain=True, held=Reason.GONE if many and post.ref in shown else None)
    if not policy.is_folder:
        yield from _missing(entries, [post for post in absent if post.state.is_alive])


def _missing(entries: Sequence[Entry], absent: Sequence[Known]) -> Iterable[Gone]:
    """Yield what vanished from the middle of a feed; older ones fell off its end, as they should."""
    oldest = oldest_date(entries)
    for post in absent:
        if oldest is not None and post.published_at is not None and post.published_at > oldest:
            yield Gone(post.ref, certain=False)


def oldest_date(entries: Sequence[Entry]) -> datetime | None:
    """Return the date at which a feed ends."""
    return min((entry.published_at for entry in entries if entry.published_at), default=None)


def has_shrunk(found: int, before: int) -> bool:
    """Say whether a feed suddenly holds far fewer entries than before: it may have been cut off."""
    return before - found >= FEWEST_LOST and found < before * LEAST_LEFT


# ── when an edit goes out ─────────────────────────────────────────────────────────────────────────


def update_due_at(
    edited_at: datetime,
    sent_at: datetime | None,
    sent: int,
    *,
    stands: timedelta = EDIT_STANDS,
    returns: bool = False,
) -> datetime | None:
    """Return when an edit is sent; `None` when the post has had its share of Updates.

    `returns`: followers were sent exactly this before. A feed that alternates between two versions, as it
    is served by two machines, never stands long enough.
    """
    if sent >= MOST_UPDATES:
        return None
    pause = min(BETWEEN_UPDATES, stands * 2)
    if returns:
        stands *= RETURN_STANDS
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
    hosts = {take_apart(entry.link).host for entry in found if entry.link}
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
    "has_shrunk",
    "is_deleted",
    "is_strange",
    "judge",
    "match_entries",
    "oldest_date",
    "publishing_moment",
    "text_hash",
    "update_due_at",
]
