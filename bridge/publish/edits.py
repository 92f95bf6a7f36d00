"""Edits: the new content is served at once, and an Update follows when it has stood for a while."""

import logging
from datetime import datetime

from bridge.changes.change import Edited
from bridge.changes.timing import update_due_at
from bridge.look.shown import shows_others
from bridge.model import KnownPost, Post
from bridge.publish.drafts import Draft, as_news, describe
from bridge.publish.news import create_of, inboxes, is_told_about, send, update_of
from bridge.services import Services
from bridge.store import Tx, edits, entries, holds, identity, looks, outgoing, posts
from bridge.store.edits import DueEdit

log = logging.getLogger(__name__)

MOST_PICTURE_UPDATES = 3  # of one post, over a picture alone


def commit_edited(
    tx: Tx, services: Services, draft: Draft, change: Edited, *, pictures_are_news: bool, now: datetime
) -> None:
    """Serve the new content at once; followers are told when it has stood for a while."""
    known, post = change.post, draft.post
    shows_news = change.quiet and pictures_are_news and _shows_news(tx, draft, known)
    if shows_news:
        post = as_news(post, now=now)
    pinned = change.entry.controls.pinned
    stored = entries.to_stored(change.entry)
    if change.anew:
        edits.reads_now(tx, known.pk, change.text_hash)
    posts.revise(tx, known.pk, post, stored, text_hash=change.text_hash, pinned=pinned, now=now)
    posts.name(tx, post.site, known.pk, change.keys)
    looks.plan(tx, known.pk, draft.next_look(now, now))
    holds.drop(tx, known.pk, holds.EDIT, now=now)
    identity.touch(tx)
    if shows_news:
        edits.forget_sent(tx, known.pk)
    if shows_news or not change.quiet:
        plan_update(tx, services, post, known.pk, now=now)
    elif is_told_about(tx, services, post):
        outgoing.merge_into_create(tx, create_of(services, post, known.pk), now=now)


def _shows_news(tx: Tx, draft: Draft, known: KnownPost) -> bool:
    """Say whether a picture was exchanged, and not by a site that does so at every turn."""
    before = posts.find(tx, draft.post.site, draft.post.id)
    if before is None or draft.is_short or not shows_others(before.note, draft.post.note):
        return False
    sent, _ = edits.history(tx, known.pk)
    return sent < MOST_PICTURE_UPDATES


def plan_update(tx: Tx, services: Services, post: Post, pk: int, *, now: datetime) -> None:
    """Have followers told of a post as it is now: by its Create if that waits, else once it has stood."""
    if not is_told_about(tx, services, post):
        return
    returns = edits.said_before(tx, pk, post.note)
    outgoing.merge_into_create(tx, create_of(services, post, pk), now=now)
    sent, sent_at = edits.history(tx, pk)
    stands = services.config.polling.edit_delay
    edits.plan(tx, pk, update_due_at(now, sent_at, sent, stands=stands, returns=returns))


def send_edit(tx: Tx, services: Services, due: DueEdit, *, now: datetime) -> int:
    """Tell followers about an edit that has stood, unless it was taken back meanwhile."""
    if not due.is_news or not is_told_about(tx, services, due.post):
        edits.plan(tx, due.pk, None)
        return 0
    new = update_of(services, due.post, due.pk, now=now)
    outgoing.supersede(tx, new.object_uri, ["Update"], "superseded by a later edit", now=now)
    number = send(tx, new, due.post, now=now)
    edits.sent(tx, due.pk, now=now)
    log.info("Edited “%s”: the edit is on its way to %s", describe(due.post), inboxes(number))
    return number
