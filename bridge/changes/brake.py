"""The brake: what looks like a mishap is held for the owner, or the whole harvest not believed. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.addresses import take_apart
from bridge.changes.change import Created, Edited, Gone, Policy, Reason
from bridge.changes.matching import Match, match_entries
from bridge.model import Entry, KnownPost, PostState

MOST_NEW = 5  # new entries in one poll that go out unasked
OLD = timedelta(days=14)  # a new entry older than this is no news
MOST_EDITED = 0.2  # the share of known entries that may change at once
FEWEST_EDITED = 3  # that many may always change
MOST_GONE, MOST_GONE_SHARE = 3, 0.05  # removed at once from a folder without asking

LEAST_LEFT, FEWEST_LOST = 0.5, 5  # a feed that keeps less and loses as many at once has shrunk
SHRUNK_STANDS = timedelta(hours=1)  # before its new size is believed


def brake_new(created: Sequence[Created], policy: Policy, now: datetime) -> Iterable[Created]:
    """Yield new entries, held where they look like a mishap or the owner wants to be asked."""
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


def brake_edits(edited: Sequence[Edited], match: Match) -> Iterable[Edited]:
    """Yield edits, held where more posts change at once than anyone edits."""
    waiting = {post.pk for post in match.posts.values() if post.state is PostState.HELD}  # nobody sees those
    loud = {one.post.pk for one in edited if not one.quiet and one.post.pk not in waiting}
    too_many = len(loud) > max(FEWEST_EDITED, len(match.posts) * MOST_EDITED)
    for one in edited:
        yield replace(one, held=Reason.EDITS) if too_many and one.post.pk in loud else one


def not_told(edited: Mapping[int, Edited], match: Match) -> Iterable[Edited]:
    """Yield edits as nobody's news; what the owner has yet to judge still waits for that."""
    waiting = {post.pk for post in match.posts.values() if post.held_hash is not None}
    for one in edited.values():
        yield (
            replace(one, held=Reason.EDITS) if one.post.pk in waiting else replace(one, quiet=True, anew=True)
        )


def brake_gone(deleted: Sequence[KnownPost], known: int) -> Iterable[Gone]:
    """Yield deletions, held where more of the `known` posts are gone at once than anyone deletes."""
    shown = {post.pk for post in deleted if post.state.is_public}
    many = len(shown) > max(MOST_GONE, known * MOST_GONE_SHARE)
    for post in deleted:
        yield Gone(post, certain=True, held=Reason.GONE if many and post.pk in shown else None)


# ── a whole harvest ───────────────────────────────────────────────────────────────────────────────


def has_shrunk(found: int, before: int) -> bool:
    """Say whether a feed suddenly holds far fewer entries than before: it may have been cut off."""
    return before - found >= FEWEST_LOST and found < before * LEAST_LEFT


def is_strange(found: Sequence[Entry], known: Mapping[str, KnownPost], hosts_before: Collection[str]) -> bool:
    """Say whether a feed is suddenly another site's: nothing in it is known, and no link leads where it did.

    A parked domain or a mixed-up server answers with a perfectly good feed of somebody else.
    """
    hosts = {take_apart(entry.link).host for entry in found if entry.link}
    if not hosts or not hosts_before or hosts.intersection(hosts_before):
        return False
    return not match_entries(found, known).posts
