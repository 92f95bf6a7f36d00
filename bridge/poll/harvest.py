"""Turns a harvest into what will be committed: judged against the posts we know, and rendered."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bridge.addresses import take_apart
from bridge.changes import judge as changes
from bridge.changes.judge import Created, Edited, Gone, Known, Policy
from bridge.compose import Checked, People
from bridge.errors import NotAFeed, ShrunkenFeed, SourceError
from bridge.model import Entry, Harvest, PostState, Problem
from bridge.publish.posts import Draft, commit, delete_post, draft_created, draft_edited
from bridge.services import Services
from bridge.store import Tx, absences, aside, entries, holds, posts, sources
from bridge.store.holds import NewHold
from bridge.store.posts import KnownPost
from bridge.store.sources import Source

log = logging.getLogger(__name__)

_POST = aside.ENTRY
_MOST_WAITING = 40  # scheduled and held changes of one poll whose pictures are looked at


@dataclass(frozen=True, slots=True)
class Judged:
    """What a harvest changes, beside the posts it changes.

    `renamed` are (row, what it is called now); `moot` are holds that nobody needs to decide any more, as
    (row, kind).
    """

    created: tuple[Created, ...] = ()
    edited: tuple[tuple[Edited, KnownPost], ...] = ()
    held_edits: tuple[tuple[Edited, KnownPost], ...] = ()
    gone: tuple[tuple[Gone, KnownPost], ...] = ()
    seen: tuple[int, ...] = ()
    renamed: tuple[tuple[int, tuple[str, ...]], ...] = ()
    moot: tuple[tuple[int, str], ...] = ()

    @property
    def is_change(self) -> bool:
        """Say whether the source has anything new to say."""
        return bool(self.created or self.edited or self.held_edits or self.gone)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a harvest changes, rendered where it will be shown; `problems`: what could not be rendered."""

    judged: Judged = Judged()
    drafts: tuple[Draft, ...] = ()
    problems: tuple[Problem, ...] = ()


NOTHING = Prepared()


def judge(services: Services, source: Source, harvest: Harvest, *, now: datetime) -> Judged:
    """Compare a harvest with the posts we know.

    Raises:
        SourceError: the harvest cannot be this source's; nothing may be concluded from it.
    """
    keys = {key for entry in harvest.entries for key in changes.all_keys(entry)}
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
    found = changes.judge(
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
    return Judged(
        created=found.created,
        edited=tuple((change, rows[change.ref]) for change in found.edited if change.held is None),
        held_edits=tuple((change, rows[change.ref]) for change in found.edited if change.held),
        gone=tuple((gone, rows[gone.ref]) for gone in found.gone if gone.ref not in kept),
        seen=seen,
        moot=(*taken_back, *found_again),
        renamed=tuple((ref, names) for ref, names in found.same if any(key not in known for key in names)),
    )


def _fallen_off(
    services: Services, harvest: Harvest, found: changes.Changes, rows: Mapping[int, KnownPost]
) -> set[int]:
    """Return posts that only fell off the end of their feed: published later than their entries are dated.

    Of what nobody was sent yet that is not believed: its page is asked before it goes out.
    """
    oldest = changes.oldest_date(harvest.entries)
    vanished = [rows[one.ref] for one in found.gone if not one.certain]
    missing = [one.pk for one in vanished if one.missing_since is None and one.state.is_public]
    with services.store.read() as tx:
        dates = posts.written_at(tx, missing)
    return {pk for pk, date in dates.items() if oldest and date and date < oldest}


def entries_to_look_at(judged: Judged, *, pinned: int) -> tuple[list[Entry], list[Entry]]:
    """Return whose pictures servers will fetch: of what is sent, newest first, and of what is only served.

    Not all of an archive that is read for the first time: only the `pinned` newest, which profiles show.
    """
    by_state: dict[PostState, list[Entry]] = {}
    for change in sorted(judged.created, key=lambda change: change.published_at, reverse=True):
        by_state.setdefault(change.state, []).append(change.entry)
    edits: dict[bool, list[Entry]] = {True: [], False: []}
    for edit, _ in judged.edited:
        edits[edit.quiet].append(edit.entry)
    held = by_state.get(PostState.HELD, []) + [edit.entry for edit, _ in judged.held_edits]
    waiting = by_state.get(PostState.SCHEDULED, []) + held
    archive = sorted(by_state.get(PostState.BASELINE, []), key=lambda entry: not entry.controls.pinned)
    sent = by_state.get(PostState.PUBLISHED, []) + edits[False] + waiting[:_MOST_WAITING]
    return sent, archive[:pinned] + edits[True]


def render(
    services: Services,
    source: Source,
    judged: Judged,
    pictures: Checked | None = None,
    people: People | None = None,
    *,
    now: datetime,
) -> Prepared:
    """Render what a harvest changes; `pictures` and `people`: see `compose_note`.

    An entry that cannot be rendered costs that entry: it is named, and tried again at the next poll.
    """
    site, known = source.site, (pictures, people)
    to_render: list[tuple[Created | Edited, Callable[[], Draft]]] = [
        *((change, partial(draft_created, services, site, change, *known)) for change in judged.created),
        *(
            (change, partial(draft_edited, services, site, change, post, *known, now=now))
            for change, post in judged.edited
        ),
    ]
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for change, draft in to_render:
        try:
            drafts.append(draft())
        except Exception as error:
            problems.append(_not_rendered(source, change.entry, error))
    return Prepared(judged, tuple(drafts), tuple(problems))


def _not_rendered(source: Source, entry: Entry, error: Exception) -> Problem:
    log.error("%s: %s cannot be rendered", source.location, _name(entry), exc_info=error)
    return _faulty(_name(entry), "rendered", error)


def _name(entry: Entry) -> str:
    return entry.guid or entry.link or f"“{entry.title}”"


def _faulty(where: str, what: str, error: Exception) -> Problem:
    why = f"cannot be {what}, and is left out ({aside.explained(error)})"
    return Problem(where, f"{why[:280]}. Please report it")


def commit_prepared(
    tx: Tx, services: Services, source: Source, prepared: Prepared, *, now: datetime
) -> tuple[Problem, ...]:
    """Store everything a harvest changes, with its activities and deliveries; return what could not be.

    What cannot be stored of one post costs that post: it is named, and tried again at the next poll.
    """
    judged = prepared.judged
    # A site that serves all its pictures anew is no news; one that exchanges a wrong one is.
    quiet = [change for change, _ in judged.edited if change.quiet]
    few = len(quiet) <= changes.FEWEST_EDITED and not any(change.anew for change in quiet)
    steps: list[tuple[str, Callable[[], object]]] = [
        *(
            (
                _name(draft.change.entry),
                partial(commit, tx, services, draft, source.id, pictures_are_news=few, now=now),
            )
            for draft in prepared.drafts
        ),
        *(
            (_name(change.entry), partial(_hold_edit, tx, source, change, post, now=now))
            for change, post in judged.held_edits
        ),
        *(
            (post.page_url or post.id, partial(_let_go, tx, services, source, gone, post, now=now))
            for gone, post in judged.gone
        ),
    ]
    problems = _committed_apart(tx, source, steps, now=now)
    posts.saw(tx, judged.seen, now=now)
    for pk, kind in judged.moot:
        holds.drop(tx, pk, kind, now=now)
    for pk, names in judged.renamed:
        posts.name(tx, source.site, pk, names)
    _tell_what_is_held(source, judged)
    if anew := sum(change.anew for change, _ in judged.edited):
        what = "1 post differs" if anew == 1 else f"{anew} posts differ"
        log.info("%s: read otherwise than before: %s; followers are not told", source.location, what)
    return problems


def _committed_apart(
    tx: Tx, source: Source, steps: Sequence[tuple[str, Callable[[], object]]], *, now: datetime
) -> tuple[Problem, ...]:
    """Commit posts one apart from the other; set aside, and return, those that cannot be."""
    problems = []
    for where, step in steps:
        error = aside.apart(tx, step)
        if error is not None:
            aside.note(tx, _POST, f"{source.location}: {where}", error, now=now, put_off=False)
            problems.append(_faulty(where, "stored", error))
    if not problems and steps:
        aside.forget(tx, _POST, [f"{source.location}: {where}" for where, _ in steps])
    return tuple(problems)


def _tell_what_is_held(source: Source, judged: Judged) -> None:
    """Say it once for each reason: it may be thousands of entries."""
    held = Counter(change.held for change in judged.created)
    held.update(change.held for change, _ in judged.held_edits)
    held.update(gone.held for gone, _ in judged.gone)
    del held[None]
    for reason, number in held.items():
        log.warning("%s: %d held for you: %s (fedibridge holds)", source.location, number, reason)


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
            f"{source.location}: {what} is empty, but {len(alive)} posts came from it. Nothing is concluded "
            "from that: if they are really gone, `fedibridge unpublish` deletes them."
        )
    hosts = {take_apart(post.page_url).host for post in alive if post.page_url}
    if source.kind == "feed" and changes.is_strange(harvest.entries, known, hosts):
        raise NotAFeed(
            f"{source.location}: this is another site's feed now: none of its {len(harvest.entries)} entries "
            f"is known, and none links to {', '.join(sorted(hosts))}. If it really moved there, give the "
            "source another `name` in config.toml: then what is in it now counts as old."
        )


def _refuse_remains(source: Source, harvest: Harvest, now: datetime) -> None:
    """Refuse a feed that suddenly holds far fewer entries, until that has stood for a while."""
    found = harvest.size
    if source.kind != "feed" or harvest.partial or not changes.has_shrunk(found, source.size or 0):
        return
    if source.shrunk_at is not None and now - source.shrunk_at >= changes.SHRUNK_STANDS:
        return
    raise ShrunkenFeed(
        f"{source.location}: the feed holds {found} {'entry' if found == 1 else 'entries'}, a poll ago it "
        f"held {source.size}. It may have been cut off, so nothing is concluded from it yet; if it stays "
        "like this for an hour, that is how it is now."
    )


def _hold_edit(tx: Tx, source: Source, change: Edited, post: KnownPost, *, now: datetime) -> None:
    assert change.held is not None
    new = NewHold(
        source.site,
        source.id,
        post.pk,
        holds.EDIT,
        change.held,
        entry=entries.to_stored(change.entry),
        content_hash=change.content_hash,
        text_hash=change.text_hash,
    )
    holds.add(tx, new, now=now)


def _let_go(
    tx: Tx, services: Services, source: Source, gone: Gone, post: KnownPost, *, now: datetime
) -> None:
    if not gone.certain:
        absences.notice(tx, post.pk, now=now)
    elif gone.held is not None:
        holds.add(tx, NewHold(source.site, source.id, post.pk, holds.DELETE, gone.held), now=now)
    else:
        found = posts.find(tx, source.site, post.id)
        if found is not None:
            log.info(
                "%s: its file is gone or says so; deleting %s", source.location, found.page_url or found.id
            )
            delete_post(tx, services, found, now=now)
