"""The owner's word on what was held: publish it, or not."""

from datetime import datetime

from bridge.changes import Edited, all_keys
from bridge.model import PostState
from bridge.pictured import recall_views
from bridge.publish import commit, delete_post, draft_edited, publish_now
from bridge.services import Services
from bridge.store import Tx, entries, holds, posts
from bridge.store.holds import Hold

PUBLISH, IGNORE = "publish", "ignore"


def decide(tx: Tx, services: Services, hold: Hold, decision: str, *, now: datetime) -> None:
    """Carry out the owner's decision about a hold and close it.

    *publish* lets the change through: a new post is sent, an edit shown and sent, a deletion carried out.
    *ignore* leaves everything as it is, and the same change does not come up again.
    """
    if decision == PUBLISH:
        _let_through(tx, services, hold, now=now)
    else:
        _leave(tx, hold)
    holds.decide(tx, hold.id, decision, now=now)


def _let_through(tx: Tx, services: Services, hold: Hold, *, now: datetime) -> None:
    known = posts.by_row(tx, hold.post_pk)
    post = posts.find(tx, hold.site, known.id)
    assert post is not None
    if hold.kind == holds.NEW:
        publish_now(tx, services, post, now=now)
    elif hold.kind == holds.DELETE:
        delete_post(tx, services, post, now=now)
    elif hold.entry is not None:
        entry = entries.from_stored(hold.entry)
        change = Edited(
            hold.post_pk, entry, all_keys(entry), hold.content_hash or "", hold.text_hash or "", quiet=False
        )
        pictures = recall_views(tx, services, hold.site, entry)
        draft = draft_edited(services, hold.site, change, known, pictures, now=now)
        commit(tx, services, draft, hold.source_id, now=now)


def _leave(tx: Tx, hold: Hold) -> None:
    if hold.kind == holds.NEW:
        posts.set_state(tx, hold.post_pk, PostState.IGNORED)
    elif hold.kind == holds.EDIT:
        posts.accept_as_seen(tx, hold.post_pk, hold.content_hash or "", hold.text_hash or "")
