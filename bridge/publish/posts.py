"""Publishes posts: a draft → post, activity and fan-out, in one transaction; later sent, shown or deleted."""

import logging
from dataclasses import replace
from datetime import datetime

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.changes.change import Created, Reason
from bridge.changes.timing import publishing_moment
from bridge.look.shown import next_look
from bridge.model import DropCause, Entry, Post, PostState
from bridge.publish.drafts import Draft, describe
from bridge.publish.edits import commit_edited
from bridge.publish.news import activity, create_of, inboxes, is_told_about, send
from bridge.services import Services
from bridge.store import Tx, edits, entries, holds, identity, looks, outgoing, posts
from bridge.store.holds import NewHold
from bridge.store.posts import NewPost

log = logging.getLogger(__name__)


def commit(
    tx: Tx,
    services: Services,
    draft: Draft,
    source_id: int,
    *,
    pictures_are_news: bool = False,
    now: datetime,
) -> int:
    """Store a draft with its activity and deliveries; return how many deliveries it made.

    `pictures_are_news`: followers are told of an edit that only exchanges a picture.
    """
    if isinstance(draft.change, Created):
        return _commit_created(tx, services, draft, draft.change, source_id, now=now)
    commit_edited(tx, services, draft, draft.change, pictures_are_news=pictures_are_news, now=now)
    return 0


def _commit_created(
    tx: Tx, services: Services, draft: Draft, change: Created, source_id: int, *, now: datetime
) -> int:
    post = draft.post
    new = NewPost(
        post=post,
        generation=change.generation,
        identity=change.keys[0],
        keys=change.keys,
        source_id=source_id,
        entry=entries.to_stored(change.entry),
        text_hash=change.text_hash,
        pinned=change.entry.controls.pinned,
    )
    pk = posts.add(tx, new, now=now)
    if pk is None:
        return 0  # another source of the site brought the same entry first
    looks.plan(tx, pk, draft.next_look(now, now))
    if post.state is PostState.HELD:
        reason = change.held or Reason.ASKED
        holds.add(tx, NewHold(post.site, source_id, pk, holds.NEW, reason), now=now)
        return 0
    identity.touch(tx)
    if post.state is PostState.SCHEDULED:
        log.info("Scheduled “%s” for %s", describe(post), f"{post.published_at:%d %b %Y %H:%M} UTC")
        return 0
    return _announce(tx, services, post, pk, now=now)


def _announce(tx: Tx, services: Services, post: Post, pk: int, *, now: datetime) -> int:
    """Store a post's Create, and send it unless the post was there before us."""
    new = create_of(services, post, pk)
    if post.state is not PostState.PUBLISHED:
        outgoing.add_activity(tx, new, now=now)
        return 0
    edits.was_sent(tx, pk)
    sent = send(tx, new, post, now=now)
    log.info("Published “%s”: on its way to %s", describe(post), inboxes(sent))
    return sent


def publish_now(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Send a post whose date has come, or that the owner wants sent; return how many deliveries it made."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    dated = Entry(guid=None, link=None, published_at=post.published_at)
    published_at = publishing_moment(dated, now)
    note = {**post.note, "published": documents.timestamp(published_at)}
    due = replace(post, state=PostState.PUBLISHED, published_at=published_at, note=note)
    posts.release(tx, pk, due)
    looks.plan(tx, pk, next_look(now, now))
    holds.drop(tx, pk, holds.NEW, now=now)
    identity.touch(tx)
    return _announce(tx, services, due, pk, now=now)


def show(tx: Tx, services: Services, post: Post, *, now: datetime) -> None:
    """Show a post that was held among what was there before us, under its own date; nobody is sent it."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    published_at = posts.entry_of(tx, post).published_at or post.published_at
    note = {**post.note, "published": documents.timestamp(published_at)}
    shown = replace(post, state=PostState.BASELINE, published_at=published_at, note=note)
    posts.release(tx, pk, shown)
    identity.touch(tx)
    _announce(tx, services, shown, pk, now=now)


def resend(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Send a published post again to everyone who follows now; servers that have it know it by its id."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    return _announce(tx, services, post, pk, now=now)


def delete_post(
    tx: Tx, services: Services, post: Post, *, state: PostState = PostState.DELETED, now: datetime
) -> int:
    """Make a post a tombstone and tell everyone who may have it; return how many deliveries that made.

    `state` is `WITHDRAWN` when it is the owner's wish, whatever the source says.
    """
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    was_told_about = is_told_about(tx, services, post)
    posts.bury(tx, pk, state=state, now=now)
    for kind in (holds.NEW, holds.EDIT, holds.DELETE):
        holds.drop(tx, pk, kind, now=now)
    identity.touch(tx)
    if not was_told_about:
        return 0
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Delete", object_uri)
    document = activities.delete(services.ids, post.site, post.id, activity_id=activity_id)
    new = activity(post.site, document, object_uri, pk)
    unsent = outgoing.unsent_inboxes(tx, object_uri)
    told, why = ("Create", "Update", *outgoing.PINNING), "deleted before it was delivered"
    outgoing.supersede(tx, object_uri, told, why, cause=DropCause.DELETED, now=now)
    return outgoing.fan_out(tx, outgoing.add_activity(tx, new, now=now), new, now=now, leave_out=unsent)
