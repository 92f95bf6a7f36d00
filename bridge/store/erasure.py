"""Erasing a remote actor: everything they did, and everything of ours that names them.

What refuses them once more stays: the hashes of requests that came, and of what they did and undid.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Text, delete, func, or_, select, type_coerce, update

from bridge.addresses import host_of
from bridge.errors import BadUrl
from bridge.store import followers, interactions, remote, schema
from bridge.store.engine import Tx

_arrivals = schema.inbox.c
_said = schema.interactions.c
_activities = schema.activities.c
_deliveries = schema.deliveries.c
_people = schema.followers.c
_actors = schema.remote_actors.c
_failed = schema.set_aside.c
_reports = schema.reports.c


def erase(tx: Tx, actor_id: str, reason: str, *, site: str | None = None, now: datetime) -> None:
    """Erase what an actor has to do with one site, or with all; with the last of it, the actor."""
    for key in (site,) if site else tuple(tx.scalars(select(schema.sites.c.key))):
        _erase_from(tx, key, actor_id, reason, now=now)
    if site is not None and remote.has_to_do_with_us(tx, actor_id):
        return
    interactions.forget_actor(tx, actor_id)  # also what faded into counts
    _erase_arrivals(tx, actor_id, now=now)
    tx.execute(delete(schema.reports).where(schema.reports.c.actor_id == actor_id))
    _erase_mentions(tx, actor_id)
    remote.forget_actor(tx, actor_id)


def _erase_mentions(tx: Tx, actor_id: str) -> None:
    """Erase their names where they stand in what belongs to others, or in our notes of what failed."""
    known = select(_actors.handle, _actors.inbox).where(_actors.id == actor_id)
    names = {actor_id, *(name for row in tx.execute(known) for name in row if name)}
    for name in names:
        named = (column.contains(name, autoescape=True) for column in (_failed.key, _failed.reason))
        tx.execute(delete(schema.set_aside).where(or_(*named)))
        said = _reports.words.contains(name, autoescape=True)
        tx.execute(update(schema.reports).where(said).values(words=func.replace(_reports.words, name, "…")))
    tx.execute(update(schema.remote_actors).where(_actors.moved_to == actor_id).values(moved_to=None))
    aliases = type_coerce(_actors.also_known_as, Text)  # as JSON, in which a URL stands as it is
    others = select(_actors.id, _actors.also_known_as).where(aliases.contains(actor_id, autoescape=True))
    for row in tx.execute(others).all():
        if isinstance(row.also_known_as, list):
            left = [alias for alias in row.also_known_as if alias != actor_id]
            tx.execute(update(schema.remote_actors).where(_actors.id == row.id).values(also_known_as=left))


def _erase_from(tx: Tx, site: str, actor_id: str, reason: str, *, now: datetime) -> None:
    inboxes = _own_inboxes(tx, site, actor_id)
    theirs = (_said.site == site, _said.actor_id == actor_id)
    did = tx.execute(select(_said.kind, _said.post_pk, _said.object_key, _said.url).where(*theirs)).all()
    stamped = [row for row in did if row.kind in (interactions.QUOTE, interactions.LISTING)]
    about = {actor_id, *(uri for row in stamped for uri in (row.object_key, row.url) if uri)}
    replies = {row.object_key: row.post_pk for row in did if row.kind == interactions.REPLY}
    followers.remove(tx, actor_id, site=site, reason=reason, now=now)
    tx.execute(delete(schema.interactions).where(*theirs))
    _erase_answers_to(tx, replies)
    _erase_news(tx, site, about)
    for inbox in inboxes:
        _erase_deliveries(tx, site, inbox)


def _own_inboxes(tx: Tx, site: str, actor_id: str) -> set[str]:
    known = select(schema.remote_actors.c.inbox).where(schema.remote_actors.c.id == actor_id)
    following = select(_people.inbox).where(_people.site == site, _people.actor_id == actor_id)
    return {*tx.scalars(known), *tx.scalars(following)}


def _erase_answers_to(tx: Tx, replies: dict[str, int | None]) -> None:
    """Someone else's answer stays, without the address of what it answered."""
    threads = {post for post in replies.values() if post is not None}
    answers = (_said.post_pk.in_(threads), _said.in_reply_to.in_(list(replies)))
    tx.execute(update(schema.interactions).where(*answers).values(in_reply_to=None))


def _erase_news(tx: Tx, site: str, about: set[str]) -> None:
    """Erase what we said to them alone: Accepts and Rejects, which quote what they sent."""
    said = select(_activities.pk).where(
        _activities.site == site, _activities.object_uri.in_(about), _activities.post_pk.is_(None)
    )
    pks = tx.scalars(said).all()
    tx.execute(delete(schema.deliveries).where(_deliveries.activity_pk.in_(pks)))
    tx.execute(delete(schema.activities).where(_activities.pk.in_(pks)))


def _erase_deliveries(tx: Tx, site: str, inbox: str) -> None:
    """Erase what was sent to an inbox of their own; one that others use too stays."""
    target = func.coalesce(_people.shared_inbox, _people.inbox)
    used = select(_people.id).where(_people.site == site, or_(target == inbox, _people.inbox == inbox))
    if tx.execute(used.limit(1)).first() is None:
        try:
            host = host_of(inbox)  # there is an index on it, and none on inboxes
        except BadUrl:
            return  # nothing is delivered there
        here = (_deliveries.host == host, _deliveries.site == site, _deliveries.inbox == inbox)
        tx.execute(delete(schema.deliveries).where(*here))
        tx.execute(delete(schema.inboxes).where(schema.inboxes.c.inbox == inbox))


def _erase_arrivals(tx: Tx, actor_id: str, *, now: datetime) -> None:
    """Close what came from them, and leave of it the hash that refuses the same request."""
    keys = select(schema.remote_keys.c.id).where(schema.remote_keys.c.actor_id == actor_id)
    theirs = or_(
        _arrivals.actor_id == actor_id,
        _arrivals.key_id.in_(keys),
        _arrivals.reason.contains(actor_id, autoescape=True),
    )
    erased: dict[str, Any] = {
        "activity_id": None,
        "actor_id": "",
        "key_id": "",
        "reason": None,
        "request": {},
        "body": b"",
    }
    closed = {"state": "done", "settled_at": func.coalesce(_arrivals.settled_at, now)}
    tx.execute(update(schema.inbox).where(theirs).values(**erased, **closed))
