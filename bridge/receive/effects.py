"""What a verified activity does: one function per type, each inside the transaction it is handed.

Whatever is changed or removed is looked up together with the actor who signed: nobody can touch what
belongs to someone else. Everything may happen twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.activitypub.parse import Activity, is_vote, parse_reply
from bridge.activitypub.reactions import read_emoji
from bridge.activitypub.values import get_id
from bridge.addresses import host_of
from bridge.errors import BadDocument
from bridge.markup.html import clean_incoming, truncate_html
from bridge.model import Follower, RemoteActor
from bridge.receive import authorizations
from bridge.receive.admission import admitted, host_reached
from bridge.receive.complaints import keep_complaint
from bridge.receive.incoming import Incoming, act_key, in_one_spelling, post_of, seen_keys, site_of
from bridge.services import Services
from bridge.store import (
    Tx,
    caps,
    erasure,
    followers,
    identity,
    inbox,
    interactions,
    outgoing,
    posts,
    remote,
)
from bridge.store.interactions import BOOST, LIKE, REPLY, NewInteraction
from bridge.store.outgoing import NewActivity

MAX_REPLY = 10_000  # characters of a reply's HTML that are kept; Mastodon lets people write 500

COUNTS_AGAIN = frozenset({"Follow", "Undo", "Block"})
"""What has its effect again when its id comes again: a Follow is answered again, for our Accept may be lost,
and some servers name all Follows of one pair, their Undos and Blocks alike (FoundKey, Misskey)."""

Effect = Callable[[Tx, Services, Incoming], str]


def take_effect(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Let an activity take effect, once, and say in a phrase what it did."""
    activity = incoming.activity
    effect = EFFECTS.get(activity.type)
    if effect is None:
        inbox.count_ignored(tx, activity.type, now=incoming.now)
        return f"ignored: {activity.type}"
    ended_at = inbox.undone_at(tx, act_key(incoming.signer, incoming.signer))
    if ended_at is not None and incoming.said_at <= ended_at:
        return "its actor was deleted"
    if activity.id is None:
        return effect(tx, services, incoming)
    key, after_all = act_key(incoming.signer, activity.id), activity.type == "Follow"
    if inbox.comes_late(tx, key, signed_at=incoming.said_at, after_all=after_all):
        return "undone before it came"
    new = inbox.see(tx, key, now=incoming.now)
    if not new and activity.type not in COUNTS_AGAIN:
        return "came before"
    return effect(tx, services, replace(incoming, came_before=not new))


def concerns_us(tx: Tx, services: Services, activity: Activity) -> bool:
    """Say whether an activity is about a site, a post or a reply of ours: worth asking who its actor is."""
    if activity.type == "Create":
        parts = _reply_parts(activity)
        return parts is not None and _thread_of(tx, services, parts.in_reply_to) is not None
    where = post_of(services, activity.object_id)
    if where is not None:
        return posts.public_row_of(tx, *where) is not None
    return site_of(services, activity.object_id) is not None


# ── following ─────────────────────────────────────────────────────────────────────────────────────


def _follow(tx: Tx, services: Services, incoming: Incoming) -> str:
    activity, actor = incoming.activity, incoming.actor
    site = site_of(services, activity.object_id)
    if site is None or actor is None or identity.is_closed(tx, site):
        return "not about us"
    reached = admitted(tx, services, actor, now=incoming.now)
    if isinstance(reached, str):
        return f"refused: {reached}"
    actor, host = reached, host_reached(reached)
    asks = followers.PENDING if services.site(site).approve_followers else followers.ACCEPTED
    state = followers.save(tx, followers.NewFollower(site, actor, host, asks, activity.id), now=incoming.now)
    identity.touch(tx)
    if state == followers.PENDING:
        return f"{actor.handle} asks to follow {site}"
    queue_answer(
        tx, services, "Accept", site, actor, activity.raw, version=str(incoming.serial), now=incoming.now
    )
    return f"{actor.handle} follows {site}"


def queue_answer(
    tx: Tx,
    services: Services,
    answer: str,
    site: str,
    actor: RemoteActor,
    follow: Mapping[str, Any],
    *,
    version: str,
    now: datetime,
) -> None:
    """Queue an Accept or Reject of a Follow for the follower's own inbox, instead of one that waits there."""
    both, why = ("Accept", "Reject"), "superseded by a later answer"
    outgoing.supersede(tx, actor.id, both, why, site=site, now=now)
    make = activities.accept if answer == "Accept" else activities.reject
    activity_id = mint_activity_id(site, answer, str(follow.get("id") or actor.id), version)
    document = make(services.ids, site, follow, activity_id=activity_id)
    new = NewActivity(site, document["id"], answer, actor.id, documents.encode(document))
    activity_pk = outgoing.add_activity(tx, new, now=now)
    outgoing.deliver_to(tx, activity_pk, new, actor.inbox, host_of(actor.inbox), now=now)


def approve(tx: Tx, services: Services, follower: Follower, *, now: datetime) -> None:
    """Let a waiting follower in and tell them."""
    followers.accept(tx, follower.site, follower.actor_id)
    identity.touch(tx)
    _answer_follower(tx, services, "Accept", follower, now=now)


def reject(tx: Tx, services: Services, follower: Follower, *, now: datetime) -> None:
    """Turn a follower away, waiting or accepted, and tell them."""
    followers.remove(tx, follower.actor_id, site=follower.site, reason="the follower was rejected", now=now)
    _answer_follower(tx, services, "Reject", follower, now=now)
    identity.touch(tx)


def _answer_follower(tx: Tx, services: Services, answer: str, follower: Follower, *, now: datetime) -> None:
    follow = {
        "id": follower.follow_id,
        "type": "Follow",
        "actor": follower.actor_id,
        "object": services.ids.actor(follower.site),
    }
    # Where they are reached stands with them: who they are may have been forgotten.
    theirs = RemoteActor(follower.actor_id, "Person", follower.handle, follower.inbox, follower.shared_inbox)
    queue_answer(tx, services, answer, follower.site, theirs, follow, version=now.isoformat(), now=now)


def _block(tx: Tx, services: Services, incoming: Incoming) -> str:
    site = site_of(services, incoming.activity.object_id)
    if site is None:
        return "not about us"
    _leave(tx, services, incoming, site, "they blocked us")
    erasure.erase(tx, incoming.signer, "they blocked us", site=site, now=incoming.now)
    identity.touch(tx)
    return f"blocked {site}"  # who is erased with their words


def _leave(tx: Tx, services: Services, incoming: Incoming, site: str | None, reason: str) -> int:
    """End a follow; the Follow that made it has no effect if it comes, or is tried, once more."""
    for key in services.config.sites if site is None else (site,):
        follower = followers.find(tx, key, incoming.signer)
        if follower is not None and follower.follow_id:
            _take_back(tx, incoming, follower.follow_id, came=True)
    removed = followers.remove(tx, incoming.signer, site=site, reason=reason, now=incoming.now)
    if removed:
        identity.touch(tx)
    return removed


def _take_back(tx: Tx, incoming: Incoming, activity_id: str, *, came: bool) -> None:
    key, by_id = seen_keys(incoming.signer, activity_id)
    came = inbox.unsee(tx, by_id) or came
    inbox.undo(tx, key, signed_at=incoming.said_at, came=came, now=incoming.now)


# ── taking back ───────────────────────────────────────────────────────────────────────────────────


def _undo(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Take something back by its id, or by what it did; an Undo that comes first is remembered.

    An Undo that came before takes back by id only: what it describes may have been done anew under another.
    """
    undone_id, embedded = incoming.activity.object_id, incoming.activity.object
    removed = _undo_by_id(tx, services, incoming, undone_id) if undone_id else 0
    if embedded and not removed and not incoming.came_before:
        removed = _undo_embedded(tx, services, incoming, embedded)
    if undone_id:
        _take_back(tx, incoming, undone_id, came=removed > 0)
    if removed:
        identity.touch(tx)
    return f"undone by {incoming.signer}" if removed else "nothing to undo"


def _undo_by_id(tx: Tx, services: Services, incoming: Incoming, undone_id: str) -> int:
    removed = interactions.remove_activity(tx, incoming.signer, undone_id)
    for site in services.config.sites:
        follower = followers.find(tx, site, incoming.signer)
        if follower is not None and follower.follow_id == undone_id:
            removed += _leave(tx, services, incoming, site, "they unfollowed")
    return removed


def _undo_embedded(tx: Tx, services: Services, incoming: Incoming, embedded: Mapping[str, Any]) -> int:
    target, kind = get_id(embedded.get("object")), _KINDS.get(str(embedded.get("type")))
    where = post_of(services, target)
    if kind and where:
        key, _ = _reaction(kind, services.ids.post(*where), embedded)
        return interactions.remove(tx, kind, incoming.signer, key)
    site = site_of(services, target)
    if embedded.get("type") == "Follow" and site:
        return _leave(tx, services, incoming, site, "they unfollowed")
    return 0


# ── what people do with posts ─────────────────────────────────────────────────────────────────────

_KINDS = {"Like": LIKE, "EmojiReact": LIKE, "Announce": BOOST}
MAX_REACTIONS = 10
"""How many different emojis one person may put to a post."""


def _reaction(kind: str, post: str, said: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return what tells a person's reactions to a post apart, and their emoji.

    A like and each emoji are acts of their own: Pleroma and Akkoma let people make several on one post.
    Misskey's people have one; it sends an Undo before the next.
    """
    emoji = read_emoji(said) if kind == LIKE else None
    return (f"{post} {emoji}" if emoji else post), emoji


def _react(tx: Tx, services: Services, incoming: Incoming) -> str:
    activity = incoming.activity
    where = post_of(services, activity.object_id)
    pk = posts.public_row_of(tx, *where) if where else None
    if where is None or pk is None:
        return "not about a post of ours"
    kind = _KINDS[activity.type]
    key, emoji = _reaction(kind, services.ids.post(*where), activity.raw)
    if emoji and interactions.emojis(tx, pk, incoming.signer, other_than=emoji) >= MAX_REACTIONS:
        return "too many emojis from them"
    new = NewInteraction(
        site=where[0],
        post_pk=pk,
        kind=kind,
        actor_id=incoming.signer,
        object_key=key,
        activity_id=activity.id,
        # A Like is addressed to its author alone and counted everywhere; a boost is as public as it says.
        public=activity.is_public or kind == LIKE,
        emoji=emoji,
        published_at=activity.published,
    )
    interactions.save(tx, new, now=incoming.now)
    identity.touch(tx)
    return f"{kind} by {incoming.signer}"


def _reply(tx: Tx, services: Services, incoming: Incoming) -> str:
    parts = _reply_parts(incoming.activity)
    thread = _thread_of(tx, services, parts.in_reply_to) if parts else None
    if parts is None or thread is None:
        return "not a reply to us"
    if inbox.was_undone(tx, act_key(incoming.signer, parts.id)):
        return "deleted before it came"
    if caps.replies_are_enough(tx, thread[1], incoming.signer):
        return "not kept: the post has enough replies"
    new = NewInteraction(
        site=thread[0],
        post_pk=thread[1],
        kind=REPLY,
        actor_id=incoming.signer,
        object_key=parts.id,
        activity_id=incoming.activity.id,
        public=parts.is_public and incoming.activity.is_public,
        in_reply_to=in_one_spelling(services, parts.in_reply_to),
        content=shown_reply(parts.content),
        warning=parts.warning or None,
        url=parts.url,
        published_at=parts.published,
    )
    interactions.save(tx, new, now=incoming.now)
    identity.touch(tx)
    return f"reply by {incoming.signer}"


def shown_reply(html: str) -> str:
    """Return what is kept of a reply: cleaned first, then cut, so that no cut ends inside a tag."""
    return truncate_html(clean_incoming(html), MAX_REPLY, unit=len)


def _reply_parts(activity: Activity):  # type: ignore[no-untyped-def]
    if activity.object is None or is_vote(activity.object):
        return None
    try:
        return parse_reply(activity.object)
    except BadDocument:
        return None


def _thread_of(tx: Tx, services: Services, parent: str | None) -> tuple[str, int] | None:
    """Return (site, post's row) of the thread a reply belongs to: under a post or under a stored reply."""
    where = post_of(services, parent)
    if where is not None:
        pk = posts.public_row_of(tx, *where)
        return (where[0], pk) if pk is not None else None
    return interactions.post_of_reply(tx, parent) if parent else None


# ── changes on their side ─────────────────────────────────────────────────────────────────────────


def _update(tx: Tx, services: Services, incoming: Incoming) -> str:
    activity = incoming.activity
    if activity.is_about_its_actor:
        # What it says is only a hint: an attacker could name a victim's inbox.
        remote.owe(tx, incoming.signer, "changed", due_at=incoming.now)
        return "will look at them again"
    parts = _reply_parts(activity)
    if parts is None:
        return "not about us"
    public = parts.is_public and activity.is_public
    changed = interactions.revise_reply(
        tx,
        incoming.signer,
        parts.id,
        content=shown_reply(parts.content),
        warning=parts.warning or None,
        public=public,
    )
    if changed:
        identity.touch(tx)
    return "reply edited" if changed else "not about us"


def _delete(tx: Tx, services: Services, incoming: Incoming) -> str:
    activity = incoming.activity
    if activity.is_about_its_actor:
        forget(tx, incoming.signer, "their account was deleted", now=incoming.now)
        _take_back(tx, incoming, incoming.signer, came=True)
        return "an account is gone"  # kept with the arrival, whose other words were erased
    if activity.object_id is None:
        return "not about us"
    removed = interactions.remove_reply(tx, incoming.signer, activity.object_id)
    removed += authorizations.withdraw(tx, incoming.signer, activity.object_id)
    inbox.undo(tx, act_key(incoming.signer, activity.object_id), now=incoming.now)
    if removed:
        identity.touch(tx)
    return "reply deleted" if removed else "not about us"


def _remove(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Mastodon takes a collection of accounts off its owner's profile, where others delete it."""
    collection = incoming.activity.object_id
    removed = authorizations.withdraw(tx, incoming.signer, collection) if collection else 0
    return "no longer listed" if removed else "not about us"


def _move(tx: Tx, services: Services, incoming: Incoming) -> str:
    if incoming.activity.target is None:
        return "moves nowhere"
    remote.owe(tx, incoming.signer, "moved", due_at=incoming.now)
    return "will look where they moved"


def forget(tx: Tx, actor_id: str, reason: str, *, now: datetime) -> None:
    """Erase a remote actor with everything they did, and what of ours names them."""
    erasure.erase(tx, actor_id, reason, now=now)
    identity.touch(tx)


EFFECTS: Mapping[str, Effect] = {
    "Follow": _follow,
    "Undo": _undo,
    "Block": _block,
    "Like": _react,
    "EmojiReact": _react,
    "Announce": _react,
    "QuoteRequest": authorizations.welcome_quote,
    "FeatureRequest": authorizations.welcome_listing,
    "Create": _reply,
    "Update": _update,
    "Delete": _delete,
    "Remove": _remove,
    "Move": _move,
    "Flag": keep_complaint,
}
