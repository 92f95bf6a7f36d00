"""A harvest, set against the store: what it changes, and the drafts of it that are committed."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime

from bridge.addresses import take_apart
from bridge.changes.brake import SHRUNK_STANDS, has_shrunk, is_strange
from bridge.changes.change import Changes, Policy
from bridge.changes.judge import judge
from bridge.changes.keys import all_keys
from bridge.changes.matching import Known
from bridge.changes.missing import oldest_date
from bridge.counted import counted
from bridge.errors import NotAFeed, ShrunkenFeed, SourceError
from bridge.look.viewer import Viewer
from bridge.model import Entry, Harvest, PostState, Problem
from bridge.people.fetch import Fetcher
from bridge.people.mentions import find_people
from bridge.publish.drafts import Plan, render
from bridge.services import Services
from bridge.store import holds, posts, sources
from bridge.store.posts import KnownPost
from bridge.store.sources import Source

_MOST_WAITING = 40  # scheduled and held changes of one poll whose pictures are looked at


def plan(services: Services, source: Source, harvest: Harvest, *, now: datetime) -> Plan:
    """Compare a harvest with the posts we know; return what it changes, not yet rendered.

    Raises:
        SourceError: the harvest cannot be this source's; nothing may be concluded from it.
    """
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
    known = {key: _known(post, elsewhere, held, dates) for key, post in by_key.items()}
    _refuse_strangers(source, harvest, known, ours)
    _refuse_remains(source, harvest, now)
    present = kept | {post.pk for post in unread.values()}
    found = judge(
        harvest.entries,
        known,
        ours=[_known(post, elsewhere, held, dates) for post in ours if post.pk not in present],
        policy=_policy(services, source),
        anew=harvest.anew,
        baseline=source.baseline_at is None,
        now=now,
    )
    rows = {post.pk: post for post in (*by_key.values(), *ours)}
    kept |= _fallen_off(services, harvest, found, rows)
    # Noticed before: that it is still missing is no change, which would have the feed asked more often.
    kept |= {one.ref for one in found.gone if not one.certain and rows[one.ref].missing_since}
    going = {gone.ref for gone in found.gone}
    seen = tuple(ref for ref, _ in found.same) + tuple(change.ref for change in found.edited)
    taken_back = ((ref, holds.EDIT) for ref in found.taken_back)
    found_again = ((ref, holds.DELETE) for ref in seen if ref in doomed and ref not in going)
    return Plan(
        created=found.created,
        edited=tuple((change, rows[change.ref]) for change in found.edited if change.held is None),
        held_edits=tuple((change, rows[change.ref]) for change in found.edited if change.held),
        gone=tuple((gone, rows[gone.ref]) for gone in found.gone if gone.ref not in kept),
        seen=seen,
        moot=(*taken_back, *found_again),
        renamed=tuple((ref, names) for ref, names in found.same if any(key not in known for key in names)),
    )


def _fallen_off(
    services: Services, harvest: Harvest, found: Changes, rows: Mapping[int, KnownPost]
) -> set[int]:
    """Return posts that only fell off the end of their feed: published later than their entries are dated.

    Of what nobody was sent yet that is not believed: its page is asked before it goes out.
    """
    oldest = oldest_date(harvest.entries)
    vanished = [rows[one.ref] for one in found.gone if not one.certain]
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
    for edit, _ in plan.edited:
        edits[edit.quiet].append(edit.entry)
    held = by_state.get(PostState.HELD, []) + [edit.entry for edit, _ in plan.held_edits]
    waiting = by_state.get(PostState.SCHEDULED, []) + held
    archive = sorted(by_state.get(PostState.BASELINE, []), key=lambda entry: not entry.controls.pinned)
    sent = by_state.get(PostState.PUBLISHED, []) + edits[False] + waiting[:_MOST_WAITING]
    return sent, archive[:pinned] + edits[True]


def _known(
    post: KnownPost,
    elsewhere: Collection[int],
    held: Mapping[int, str],
    dates: Mapping[int, datetime | None],
) -> Known:
    return Known(
        ref=post.pk,
        state=post.state,
        content_hash=post.content_hash,
        text_hash=post.text_hash,
        published_at=post.published_at,
        generation=post.generation,
        here=post.source_id not in elsewhere,
        held_hash=held.get(post.pk),
        written_at=dates.get(post.pk),
    )


def _policy(services: Services, source: Source) -> Policy:
    configured = services.source(source.site, source.name)
    return Policy(configured.hold == "all", configured.embargo, is_folder=source.kind == "folder")


def _refuse_strangers(
    source: Source, harvest: Harvest, known: Mapping[str, Known], ours: list[KnownPost]
) -> None:
    alive = [post for post in ours if post.state.is_alive]
    if alive and not harvest.entries:
        what = "the folder" if source.kind == "folder" else "the feed"
        raise SourceError(
            f"{source.location}: {what} is empty, although {counted(len(alive), 'post')} came from it. They "
            "stay; if they are really gone, delete them with `fedibridge unpublish`."
        )
    hosts = {take_apart(post.page_url).host for post in alive if post.page_url}
    if source.kind == "feed" and is_strange(harvest.entries, known, hosts):
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
