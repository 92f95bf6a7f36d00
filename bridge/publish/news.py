"""Tells followers' servers: an activity about a post, and its way to everyone who is to get it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.addresses import host_of
from bridge.compose import mentioned
from bridge.counted import counted
from bridge.model import Post, PostState
from bridge.services import Services
from bridge.store import Tx, outgoing, posts, remote
from bridge.store.outgoing import NewActivity


def send(tx: Tx, new: NewActivity, post: Post, *, now: datetime) -> int:
    """Queue a post's news for every follower and everyone it mentions; return how many deliveries it made."""
    activity_pk = outgoing.add_activity(tx, new, now=now)
    sent = outgoing.fan_out(tx, activity_pk, new, now=now)
    return sent + _tell_mentioned(tx, activity_pk, new, post, now=now)


def is_told_about(tx: Tx, services: Services, post: Post) -> bool:
    """Say whether followers' servers have a post: it was sent, or it is pinned and they fetched it."""
    if post.state is not PostState.BASELINE:
        return post.state is PostState.PUBLISHED
    pinned = posts.featured(tx, post.site, limit=services.site(post.site).pinned)
    return any(one.id == post.id for one in pinned)


def _tell_mentioned(tx: Tx, activity_pk: int, new: NewActivity, post: Post, *, now: datetime) -> int:
    """Queue a post's news for everyone it mentions, followers or not; return how many deliveries it made."""
    whom = sorted(mentioned(post.note))
    actors = [cached[0] for actor_id in whom if (cached := remote.actor(tx, actor_id))]
    inboxes = {actor.shared_inbox or actor.inbox for actor in actors}
    return sum(outgoing.deliver_to(tx, activity_pk, new, inbox, host_of(inbox), now=now) for inbox in inboxes)


def inboxes(number: int) -> str:
    """Count inboxes in words."""
    return counted(number, "inbox", "inboxes")


def create_of(services: Services, post: Post, pk: int) -> NewActivity:
    """Return a post's Create as it would be sent now."""
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Create", object_uri)
    document = activities.create(services.ids, post.site, post.note, activity_id=activity_id)
    return activity(post.site, document, object_uri, pk)


def update_of(services: Services, post: Post, pk: int, *, now: datetime) -> NewActivity:
    """Return a post's Update as it is sent now."""
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Update", object_uri, f"{post.updated_at} {post.content_hash}")
    document = activities.update(services.ids, post.site, post.note, activity_id=activity_id, at=now)
    return activity(post.site, document, object_uri, pk)


def activity(site: str, document: Mapping[str, Any], object_uri: str, post_pk: int | None) -> NewActivity:
    """Return an activity as it is stored: the bytes that are sent."""
    return NewActivity(
        site=site,
        uri=document["id"],
        type=document["type"],
        object_uri=object_uri,
        body=documents.encode(document),
        post_pk=post_pk,
    )
