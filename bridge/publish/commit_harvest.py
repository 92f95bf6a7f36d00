"""Commits a harvest: everything a poll changes, each post apart from the others, in one transaction."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from bridge.changes.brake import FEWEST_EDITED
from bridge.changes.change import Edited, Gone
from bridge.counted import counted
from bridge.model import Problem
from bridge.publish.drafts import Plan, describe, faulty, name_of
from bridge.publish.posts import commit, delete_post
from bridge.services import Services
from bridge.store import Tx, absences, aside, entries, holds, posts
from bridge.store.holds import NewHold
from bridge.store.sources import Source

log = logging.getLogger(__name__)

_POST = aside.ENTRY


def commit_harvest(
    tx: Tx, services: Services, source: Source, plan: Plan, *, now: datetime
) -> tuple[Problem, ...]:
    """Store everything a harvest changes, with its activities and deliveries; return what could not be.

    What cannot be stored of one post costs that post: it is named, and tried again at the next poll.
    """
    # A site that serves all its pictures anew is no news; one that exchanges a wrong one is.
    quiet = [change for change in plan.edited if change.quiet]
    few = len(quiet) <= FEWEST_EDITED and not any(change.anew for change in quiet)
    steps: list[tuple[str, Callable[[], object]]] = [
        *(
            (
                name_of(draft.change.entry),
                partial(commit, tx, services, draft, source.id, pictures_are_news=few, now=now),
            )
            for draft in plan.drafts
        ),
        *(
            (name_of(change.entry), partial(_hold_edit, tx, source, change, now=now))
            for change in plan.held_edits
        ),
        *(
            (gone.post.page_url or gone.post.id, partial(_let_go, tx, services, source, gone, now=now))
            for gone in plan.gone
        ),
    ]
    problems = _committed_apart(tx, source, steps, now=now)
    posts.saw(tx, plan.seen, now=now)
    for pk, kind in plan.moot:
        holds.drop(tx, pk, kind, now=now)
    for pk, names in plan.renamed:
        posts.name(tx, source.site, pk, names)
    _tell_what_is_held(source, plan)
    if anew := sum(change.anew for change in plan.edited):
        what = counted(anew, "post")
        log.info("%s: %s now read differently; followers are not told", source.location, what)
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
            problems.append(faulty(where, "stored", error))
    if not problems and steps:
        aside.forget(tx, _POST, [f"{source.location}: {where}" for where, _ in steps])
    return tuple(problems)


def _tell_what_is_held(source: Source, plan: Plan) -> None:
    """Say it once for each reason: it may be thousands of entries."""
    held = Counter(change.held for change in plan.created)
    held.update(change.held for change in plan.held_edits)
    held.update(gone.held for gone in plan.gone)
    del held[None]
    for reason, number in held.items():
        log.warning("%s: %d on hold: %s (fedibridge holds)", source.location, number, reason)


def _hold_edit(tx: Tx, source: Source, change: Edited, *, now: datetime) -> None:
    assert change.held is not None
    new = NewHold(
        source.site,
        source.id,
        change.post.pk,
        holds.EDIT,
        change.held,
        entry=entries.to_stored(change.entry),
        content_hash=change.content_hash,
        text_hash=change.text_hash,
    )
    holds.add(tx, new, now=now)


def _let_go(tx: Tx, services: Services, source: Source, gone: Gone, *, now: datetime) -> None:
    post = gone.post
    if not gone.certain:
        absences.notice(tx, post.pk, now=now)
    elif gone.held is not None:
        holds.add(tx, NewHold(source.site, source.id, post.pk, holds.DELETE, gone.held), now=now)
    else:
        found = posts.find(tx, source.site, post.id)
        if found is not None:
            log.info("%s: “%s”: file removed or withdrawn; deleting", source.location, describe(found))
            delete_post(tx, services, found, now=now)
