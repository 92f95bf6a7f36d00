"""A harvest, set against the store: what it changes, and the drafts of it that are committed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.addresses import take_apart
from bridge.changes.brake import SHRUNK_STANDS, has_shrunk, is_strange
from bridge.changes.change import Changes, Policy
from bridge.changes.judge import judge
from bridge.changes.keys import all_keys
from bridge.changes.missing import oldest_date
from bridge.counted import counted
from bridge.errors import NotAFeed, ShrunkenFeed, SourceError
from bridge.look.viewer import Viewer
from bridge.model import Entry, Harvest, KnownPost, PostState, Problem
from bridge.people.fetch import Fetcher
from bridge.people.mentions import find_people
from bridge.publish.drafts import Plan, render
from bridge.services import Services
from bridge.store import holds, posts, sources
from bridge.store.sources import Source

_MOST_WAITING = 40  # scheduled and held changes of one poll whose pictures are looked at


@dataclass(frozen=True, slots=True)
class _Recalled:
    """What the store knows of a harvest's posts: by their entries' keys, and all of the source's own.

    `unread` are posts whose writing is there, but could not be read; `kept`: the owner said that they stay;
    `doomed`: a deletion waits for the owner.
    """

    by_key: Mapping[str, KnownPost]
    ours: tuple[KnownPost, ...]
    unread: frozenset[int]
    kept: frozenset[int]
    doomed: frozenset[int]


def plan(services: Services, source: Source, harvest: Harvest, *, now: datetime) -> Plan:
    """Compare a harvest with the posts we know; return what it changes, not yet rendered.

    Raises:
        SourceError: the harvest cannot be this source's; nothing may be concluded from it.
    """
    known = _recall(services, source, harvest)
    _refuse_strangers(source, harvest, known)
    _refuse_remains(source, harvest, now)
    present = known.kept | known.unread
    found = judge(
        harvest.entries,
        known.by_key,
        ours=[post for post in known.ours if post.pk not in present],
        policy=_policy(services, source),
        anew=harvest.anew,
        baseline=source.baseline_at is None,
        now=now,
    )
    return _as_plan(found, known, _fallen_off(services, harvest, found))


def _recall(services: Services, source: Source, harvest: Harvest) -> _Recalled:
    keys = {key for entry in harvest.entries for key in all_keys(entry)}
    with services.store.read() as tx:
        by_key = posts.known(tx, source.site, keys)
        ours = [] if harvest.partial else posts.of_source(tx, source.id)
        unread = posts.known(tx, source.site, [f"guid:{guid}" for guid in harvest.unreadable])
        held, kept = holds.held_edits(tx, source.site), holds.refused_deletions(tx, source.site)
        doomed = holds.waiting_deletions(tx, source.site)
        elsewhere = sources.others(tx, source.id)
        waiting = {post.pk for post in by_key.values() if post.state is PostState.SCHEDULED}
        dates = posts.written_at(tx, waiting)

    def stands(post: KnownPost) -> KnownPost:
        here, held_hash = post.source_id not in elsewhere, held.get(post.pk)
        return replace(post, here=here, held_hash=held_hash, written_at=dates.get(post.pk))

    return _Recalled(
        {key: stands(post) for key, post in by_key.items()},
        tuple(map(stands, ours)),
        frozenset(post.pk for post in unread.values()),
        frozenset(kept),
        frozenset(doomed),
    )


def _as_plan(found: Changes, known: _Recalled, fallen_off: set[int]) -> Plan:
    """Return what is to be done about changes; nothing about what is noticed already, or stays."""
    # That something is still missing is no change, which would have the feed asked more often.
    noticed = {one.post.pk for one in found.gone if not one.certain and one.post.missing_since}
    staying = known.kept | fallen_off | noticed
    going = {gone.post.pk for gone in found.gone}
    seen = (*(pk for pk, _ in found.same), *(change.post.pk for change in found.edited))
    taken_back = ((pk, holds.EDIT) for pk in found.taken_back)
    found_again = ((pk, holds.DELETE) for pk in seen if pk in known.doomed and pk not in going)
    return Plan(
        created=found.created,
        edited=tuple(change for change in found.edited if change.held is None),
        held_edits=tuple(change for change in found.edited if change.held),
        gone=tuple(gone for gone in found.gone if gone.post.pk not in staying),
        seen=seen,
        moot=(*taken_back, *found_again),
        renamed=tuple((pk, names) for pk, names in found.same if not known.by_key.keys() >= set(names)),
    )


def _fallen_off(services: Services, harvest: Harvest, found: Changes) -> set[int]:
    """Return posts that only fell off the end of their feed: published later than their entries are dated.

    Of what nobody was sent yet that is not believed: its page is asked before it goes out.
    """
    oldest = oldest_date(harvest.entries)
    vanished = [one.post for one in found.gone if not one.certain]
    missing = [one.pk for one in vanished if one.missing_since is None and one.state.is_public]
    with services.store.read() as tx:
        dates = posts.written_at(tx, missing)
    return {pk for pk, date in dates.items() if oldest and date and date < oldest}


async def prepare(
    services: Services, viewer: Viewer, fetcher: Fetcher, source: Source, plan: Plan
) -> tuple[Plan, tuple[Problem, ...]]:
    """Return a plan with its drafts, once pictures and people are found; and what is wrong with pictures."""
    sent, served = entries_to_view(plan, pinned=services.site(source.site).pinned)
    views = await viewer.look(source.site, sent, served)
    people = await find_people(services, fetcher, source.site, sent)
    drafted = await asyncio.to_thread(
        render, services, source, plan, views.pictures, people, now=services.now()
    )
    return drafted, views.problems


def entries_to_view(plan: Plan, *, pinned: int) -> tuple[list[Entry], list[Entry]]:
    """Return whose pictures servers will fetch: of what is sent, newest first, and of what is only served.

    Not all of an archive that is read for the first time: only the `pinned` newest, which profiles show.
    """
    by_state: dict[PostState, list[Entry]] = {}
    for change in sorted(plan.created, key=lambda change: change.published_at, reverse=True):
        by_state.setdefault(change.state, []).append(change.entry)
    edits: dict[bool, list[Entry]] = {True: [], False: []}
    for edit in plan.edited:
        edits[edit.quiet].append(edit.entry)
    held = by_state.get(PostState.HELD, []) + [edit.entry for edit in plan.held_edits]
    waiting = by_state.get(PostState.SCHEDULED, []) + held
    archive = sorted(by_state.get(PostState.BASELINE, []), key=lambda entry: not entry.controls.pinned)
    sent = by_state.get(PostState.PUBLISHED, []) + edits[False] + waiting[:_MOST_WAITING]
    return sent, archive[:pinned] + edits[True]


def _policy(services: Services, source: Source) -> Policy:
    configured = services.source(source.site, source.name)
    return Policy(configured.hold == "all", configured.embargo, is_folder=source.kind == "folder")


def _refuse_strangers(source: Source, harvest: Harvest, known: _Recalled) -> None:
    alive = [post for post in known.ours if post.state.is_alive]
    if alive and not harvest.entries:
        what = "the folder" if source.kind == "folder" else "the feed"
        raise SourceError(
            f"{source.location}: {what} is empty, although {counted(len(alive), 'post')} came from it. They "
            "stay; if they are really gone, delete them with `fedibridge unpublish`."
        )
    hosts = {take_apart(post.page_url).host for post in alive if post.page_url}
    if source.kind == "feed" and is_strange(harvest.entries, known.by_key, hosts):
        raise NotAFeed(
            f"{source.location}: this looks like another site's feed: no entry is known, and none links to "
            f"{', '.join(sorted(hosts))}. If the feed really moved, give the source another `name` in "
            "config.toml; what is in it now then counts as old."
        )


def _refuse_remains(source: Source, harvest: Harvest, now: datetime) -> None:
    """Refuse a feed that suddenly holds far fewer entries, until that has stood for a while."""
    found = harvest.size
    if source.kind != "feed" or harvest.partial or not has_shrunk(found, source.size or 0):
        return
    if source.shrunk_at is not None and now - source.shrunk_at >= SHRUNK_STANDS:
        return
    raise ShrunkenFeed(
        f"{source.location}: the feed has {counted(found, 'entry', 'entries')}; at the last good poll it had "
        f"{source.size}. It may be cut off, so the drop is not trusted for an hour."
    )
