"""Judges a harvest against the posts we know: what is new, edited, gone or back, and what must wait.

Pure: it is handed what is known and what was found, and says what follows. Followers see only real news:
a known entry under a new guid, address or host is the same post; absence alone never deletes from a feed;
whatever looks like a mishap is held for the owner (`brake`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bridge.changes.brake import brake_edits, brake_gone, brake_new, not_told
from bridge.changes.change import NOTHING_ASKED, Changes, Created, Edited, Gone, Policy
from bridge.changes.keys import content_hash, text_hash
from bridge.changes.matching import Match, match_entries
from bridge.changes.missing import oldest_date
from bridge.changes.timing import publishing_moment
from bridge.model import Entry, KnownPost, PostState


def judge(
    entries: Sequence[Entry],
    known: Mapping[str, KnownPost],
    *,
    baseline: bool,
    now: datetime,
    ours: Sequence[KnownPost] = (),
    policy: Policy = NOTHING_ASKED,
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
    edited = {one.post.pk: one for one in found if isinstance(one, Edited)}
    matched = sorted(match.posts.items())
    return Changes(
        created=tuple(brake_new(_in_order(created), policy, now)),
        edited=tuple(not_told(edited, match) if anew else brake_edits(list(edited.values()), match)),
        gone=tuple(_gone(entries, ours, match, policy)),
        same=tuple((post.pk, match.names(place)) for place, post in matched if post.pk not in edited),
        taken_back=tuple(post.pk for place, post in matched if _is_taken_back(entries[place], post)),
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


def _edited(
    entry: Entry, names: tuple[str, ...], match: Match, post: KnownPost, now: datetime
) -> Edited | None:
    digest = content_hash(entry)
    due_at = _due_at(entry, post, now) if post.state is PostState.SCHEDULED else None
    is_moved = due_at is not None and due_at != post.published_at
    if digest in (post.content_hash, post.held_hash) and not is_moved:
        return None
    text = text_hash(entry, match.noise)
    quiet = text == post.text_hash or digest == post.content_hash
    return Edited(post, entry, names, digest, text, quiet=quiet, due_at=due_at)


def _due_at(entry: Entry, post: KnownPost, now: datetime) -> datetime | None:
    """Return when a scheduled post goes out: at its date, or when its embargo or a queue says."""
    if entry.published_at is not None and entry.published_at > now:
        return entry.published_at
    if post.published_at == post.written_at:  # it waited for its date, which no longer lies ahead
        return entry.published_at or now
    return post.published_at


def _is_taken_back(entry: Entry, post: KnownPost) -> bool:
    """Say whether an entry is again what followers see, so that the edit that is held says nothing new."""
    return post.held_hash is not None and content_hash(entry) == post.content_hash


def _in_order(created: Sequence[Created]) -> list[Created]:
    """Oldest first by their own dates; feeds list the newest first, which decides between equal ones."""
    last_first = list(reversed(created))
    return sorted(last_first, key=lambda one: one.entry.published_at or one.published_at)


# ── what is no longer there ───────────────────────────────────────────────────────────────────────


def _gone(
    entries: Sequence[Entry], ours: Sequence[KnownPost], match: Match, policy: Policy
) -> Iterable[Gone]:
    """Judge absence. In a folder it means deletion; in a feed only that a page has to be asked.

    A harvest of nothing proves nothing: a folder may be unmounted, a feed empty by mistake. What its owner
    no longer wants in the fediverse is gone, wherever it stands.
    """
    said = [(entries[place], post) for place, post in match.posts.items()]
    unwanted = [post for entry, post in said if not entry.wanted and not entry.in_doubt]
    absent = [post for post in ours if entries and post.here and post.pk not in match.taken]
    deleted = [post for post in (*unwanted, *(absent if policy.is_folder else ())) if post.state.is_alive]
    yield from brake_gone(deleted, len(absent) + len(match.posts))
    if not policy.is_folder:
        yield from _missing(entries, [post for post in absent if post.state.is_alive])


def _missing(entries: Sequence[Entry], absent: Sequence[KnownPost]) -> Iterable[Gone]:
    """Yield what vanished from the middle of a feed; older ones fell off its end, as they should."""
    oldest = oldest_date(entries)
    for post in absent:
        if oldest is not None and post.published_at is not None and post.published_at > oldest:
            yield Gone(post, certain=False)
