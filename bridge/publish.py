"""Publishes: a judged change → post, activity and fan-out, in one transaction."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id, mint_post_id
from bridge.changes import Created, Edited, publishing_moment
from bridge.compose import compose_note
from bridge.model import Entry, Post, PostState
from bridge.profile import actor_document, profile_hash
from bridge.services import Services
from bridge.sources.html import plain_text
from bridge.store import Tx, deliveries, identity, posts
from bridge.store.deliveries import NewActivity
from bridge.store.posts import KnownPost, NewPost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A change with its note rendered, ready to be committed."""

    change: Created | Edited
    post: Post
    known: KnownPost | None = None


# ── rendering: no database ────────────────────────────────────────────────────────────────────────


def draft_created(services: Services, site: str, change: Created) -> Draft:
    """Render an entry nobody has seen before."""
    post_id = mint_post_id(site, change.keys[0])
    post = Post(
        site=site,
        id=post_id,
        state=change.state,
        page_url=change.entry.link,
        note=compose_note(services, site, post_id, change.entry, published_at=change.published_at),
        content_hash=change.content_hash,
        published_at=change.published_at,
    )
    return Draft(change, post)


def draft_edited(services: Services, site: str, change: Edited, known: KnownPost, *, now: datetime) -> Draft:
    """Render an edited entry; its post keeps its id and the moment it was published."""
    scheduled = known.state is PostState.SCHEDULED
    published_at = (change.entry.published_at or now) if scheduled else known.published_at
    # Strictly later than before, in whole seconds: Mastodon ignores any other edit.
    updated_at = None if scheduled else max(now, (known.updated_at or published_at) + timedelta(seconds=1))
    post = Post(
        site=site,
        id=known.id,
        state=known.state,
        page_url=change.entry.link,
        note=compose_note(
            services, site, known.id, change.entry, published_at=published_at, updated_at=updated_at
        ),
        content_hash=change.content_hash,
        published_at=published_at,
        updated_at=updated_at,
    )
    return Draft(change, post, known)


def describe(post: Post) -> str:
    """Return a post's text in one line, for logs and lists."""
    return plain_text(str(post.note.get("content", ""))).replace("\n", " ")[:80]


# ── committing: one transaction ───────────────────────────────────────────────────────────────────


def commit(tx: Tx, services: Services, draft: Draft, source_id: int, *, now: datetime) -> int:
    """Store a draft with its activity and deliveries; return how many deliveries it made."""
    if isinstance(draft.change, Created):
        return _commit_created(tx, services, draft, draft.change, source_id, now=now)
    return _commit_edited(tx, services, draft, draft.change, now=now)


def _commit_created(
    tx: Tx, services: Services, draft: Draft, change: Created, source_id: int, *, now: datetime
) -> int:
    post = draft.post
    new = NewPost(
        post=post,
        generation=1,
        identity=change.keys[0],
        keys=change.keys,
        source_id=source_id,
        entry=dataclasses.asdict(change.entry),
    )
    pk = posts.add(tx, new, now=now)
    if pk is None:
        return 0  # another source of the site brought the same entry first
    identity.touch(tx)
    if post.state is PostState.SCHEDULED:
        log.info("Scheduled for %s: %s", f"{post.published_at:%d %b %Y %H:%M} UTC", describe(post))
        return 0
    return _announce(tx, services, post, pk, now=now)


def _announce(tx: Tx, services: Services, post: Post, pk: int, *, now: datetime) -> int:
    """Store a post's Create, and send it unless the post was there before us."""
    new = _create(services, post, pk)
    activity_pk = deliveries.add_activity(tx, new, now=now)
    if post.state is not PostState.PUBLISHED:
        return 0
    sent = deliveries.fan_out(tx, activity_pk, new, now=now)
    log.info("Published “%s” on its way to %d inbox%s", describe(post), sent, "" if sent == 1 else "es")
    return sent


def _commit_edited(tx: Tx, services: Services, draft: Draft, change: Edited, *, now: datetime) -> int:
    known, post = draft.known, draft.post
    assert known is not None
    posts.revise(tx, known.pk, post, dataclasses.asdict(change.entry), now=now)
    posts.name(tx, post.site, known.pk, change.keys)
    identity.touch(tx)
    if post.state is not PostState.PUBLISHED:
        return 0
    deliveries.merge_into_create(tx, _create(services, post, known.pk), now=now)
    new = _update(services, post, known.pk, now=now)
    reason = "superseded by a later edit"
    deliveries.supersede(tx, new.object_uri, ["Update"], reason, now=now)
    sent = deliveries.fan_out(tx, deliveries.add_activity(tx, new, now=now), new, now=now)
    log.info("Edited “%s”: an Update on its way to %d inboxes", describe(post), sent)
    return sent


def publish_scheduled(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Send a post whose date has come."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    dated = Entry(guid=None, link=None, published_at=post.published_at)
    published_at = publishing_moment(dated, now)
    note = {**post.note, "published": documents.timestamp(published_at)}
    due = replace(post, state=PostState.PUBLISHED, published_at=published_at, note=note)
    posts.release(tx, pk, due)
    identity.touch(tx)
    return _announce(tx, services, due, pk, now=now)


def delete_post(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Make a post a tombstone and tell everyone who may have it; return how many deliveries that made."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    posts.bury(tx, pk, now=now)
    identity.touch(tx)
    if post.state is not PostState.PUBLISHED:
        return 0
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Delete", object_uri)
    document = activities.delete(services.ids, post.site, post.id, activity_id=activity_id)
    new = _activity(post.site, document, object_uri, pk)
    unsent = deliveries.unsent_inboxes(tx, object_uri)
    deliveries.supersede(tx, object_uri, ["Create", "Update"], "deleted before it was delivered", now=now)
    return deliveries.fan_out(tx, deliveries.add_activity(tx, new, now=now), new, now=now, leave_out=unsent)


def announce_profile(tx: Tx, services: Services, site: str, *, now: datetime) -> bool:
    """Tell followers when the actor changed since they were last told; say whether it had."""
    told, _, _ = identity.profile(tx, site)
    current = profile_hash(services, site)
    if told == current:
        return False
    identity.set_profile(tx, site, current, now=now)
    if told is None:
        return False
    actor_uri = services.ids.actor(site)
    activity_id = mint_activity_id(site, "Update", actor_uri, documents.timestamp(now))
    actor = actor_document(tx, services, site)
    document = activities.update_actor(services.ids, site, actor, activity_id=activity_id, at=now)
    new = _activity(site, document, actor_uri, None)
    deliveries.supersede(tx, actor_uri, ["Update"], "superseded by a later profile", now=now)
    deliveries.fan_out(tx, deliveries.add_activity(tx, new, now=now), new, now=now)
    return True


def _create(services: Services, post: Post, pk: int) -> NewActivity:
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Create", object_uri)
    document = activities.create(services.ids, post.site, post.note, activity_id=activity_id)
    return _activity(post.site, document, object_uri, pk)


def _update(services: Services, post: Post, pk: int, *, now: datetime) -> NewActivity:
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Update", object_uri, f"{post.updated_at} {post.content_hash}")
    document = activities.update(services.ids, post.site, post.note, activity_id=activity_id, at=now)
    return _activity(post.site, document, object_uri, pk)


def _activity(site: str, document: Mapping[str, Any], object_uri: str, post_pk: int | None) -> NewActivity:
    return NewActivity(
        site=site,
        uri=document["id"],
        type=document["type"],
        object_uri=object_uri,
        body=documents.encode(document),
        post_pk=post_pk,
    )
