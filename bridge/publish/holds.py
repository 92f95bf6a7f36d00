"""The owner's word on what was held: publish it, ignore it, or treat it as seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.changes.brake import MOST_NEW
from bridge.changes.change import Edited
from bridge.changes.keys import all_keys
from bridge.look.shown import recall_views
from bridge.model import PostState
from bridge.publish.drafts import draft_edited
from bridge.publish.posts import commit, delete_post, publish_now, show
from bridge.services import Services
from bridge.store import Tx, entries, holds, posts
from bridge.store.holds import Hold

PUBLISH, IGNORE, SEEN = "publish", "ignore", "seen"
SPACING = timedelta(minutes=10)  # between posts that are let through by the dozen


def decide(
    tx: Tx, services: Services, hold: Hold, decision: str, *, now: datetime, at: datetime | None = None
) -> None:
    """Carry out the owner's decision about a hold and close it.

    *publish* lets the change through: a new post is sent (`at`: not now, but then), an edit shown and sent,
    a deletion carried out. *ignore* leaves everything as it is. *seen* shows a new post or an edit without
    telling anyone, as what was there before us; a deletion it leaves. The same change does not come up again.
    """
    if decision == PUBLISH:
        _let_through(tx, services, hold, now=now, at=at)
    elif decision == SEEN:
        _show(tx, services, hold, now=now)
    else:
        _leave(tx, hold)
    holds.decide(tx, hold.id, decision, now=now)


def timetable(chosen: Sequence[Hold], now: datetime) -> dict[int, datetime]:
    """Return hold → when its post goes out: more than a handful one after the other, oldest first.

    Dozens of posts in one minute push everything else out of their followers' timelines.
    """
    news = sorted(hold.id for hold in chosen if hold.kind == holds.NEW)
    spacing = SPACING if len(news) > MOST_NEW else timedelta()
    return {hold_id: now + place * spacing for place, hold_id in enumerate(news)}


def _let_through(tx: Tx, services: Services, hold: Hold, *, now: datetime, at: datetime | None) -> None:
    known = posts.by_row(tx, hold.post_pk)
    post = posts.find(tx, hold.site, known.id)
    assert post is not None
    if hold.kind == holds.DELETE:
        delete_post(tx, services, post, now=now)
    elif hold.kind == holds.EDIT:
        _edit(tx, services, hold, quiet=False, now=now)
    else:
        # A yes to a post that is dated in the future is a yes to that date.
        written_at = posts.entry_of(tx, post).published_at
        due_at = max(at or now, written_at or now)
        if due_at > now:
            posts.schedule(tx, hold.post_pk, due_at)
        else:
            publish_now(tx, services, post, now=now)


def _show(tx: Tx, services: Services, hold: Hold, *, now: datetime) -> None:
    if hold.kind == holds.NEW:
        post = posts.find(tx, hold.site, posts.by_row(tx, hold.post_pk).id)
        assert post is not None
        show(tx, services, post, now=now)
    elif hold.kind == holds.EDIT:
        _edit(tx, services, hold, quiet=True, now=now)


def _edit(tx: Tx, services: Services, hold: Hold, *, quiet: bool, now: datetime) -> None:
    assert hold.entry is not None
    known, entry = posts.by_row(tx, hold.post_pk), entries.from_stored(hold.entry)
    change = Edited(known, entry, all_keys(entry), hold.content_hash or "", hold.text_hash or "", quiet=quiet)
    pictures = recall_views(tx, services, hold.site, entry)
    draft = draft_edited(services, hold.site, change, pictures, now=now)
    commit(tx, services, draft, hold.source_id, now=now)


def _leave(tx: Tx, hold: Hold) -> None:
    if hold.kind == holds.NEW:
        posts.set_state(tx, hold.post_pk, PostState.IGNORED)
    elif hold.kind == holds.EDIT:
        posts.accept_as_seen(tx, hold.post_pk, hold.content_hash or "", hold.text_hash or "")
