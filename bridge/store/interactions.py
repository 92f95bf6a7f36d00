"""Interactions: replies, likes, boosts, quotes and listings other people made."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, cast, delete, distinct, func, or_, select, update

from bridge.store import faded, schema
from bridge.store.engine import Tx
from bridge.store.posts import is_public
from bridge.store.upsert import upsert

_table = schema.interactions
_columns = _table.c

REPLY, LIKE, BOOST, QUOTE, LISTING = "reply", "like", "boost", "quote", "listing"

KEPT = (REPLY, QUOTE, LISTING)
"""What people said or hold our word for; everything else is a reaction, and fades (see `faded`)."""

MOST_SHOWN = 200  # replies in a post's collection


@dataclass(frozen=True, slots=True)
class NewInteraction:
    """Something a remote actor did with one of our posts, or with a site of ours (no `post_pk`).

    `content` is sanitised HTML, `warning` the text its author hid it behind. A listing's `url` is the
    collection it is in.
    """

    site: str
    post_pk: int | None
    kind: str
    actor_id: str
    # The reply's or quote's own id; our post's of a boost, and with the emoji of a like; a listing's stamp.
    object_key: str
    activity_id: str | None
    public: bool
    in_reply_to: str | None = None
    content: str | None = None
    warning: str | None = None
    emoji: str | None = None
    stamp: str | None = None
    url: str | None = None
    published_at: datetime | None = None


def save(tx: Tx, new: NewInteraction, *, now: datetime) -> None:
    """Store an interaction; the same actor doing the same again changes the one row."""
    if new.kind not in KEPT:
        faded.take_back(tx, new.kind, new.actor_id, new.object_key)  # it counts once
    values = {name: getattr(new, name) for name in NewInteraction.__slots__}
    same = {"kind": values.pop("kind"), "object_hash": new.object_key, "actor_id": values.pop("actor_id")}
    upsert(tx, _table, same, values, at_first={"received_at": now})
    if new.kind not in KEPT and new.post_pk is not None:
        faded.recount(tx, new.actor_id, new.post_pk, new.kind)


def remove(tx: Tx, kind: str, actor_id: str, object_key: str) -> int:
    """Take back what an actor did with an object."""
    same = (_columns.kind == kind, _columns.actor_id == actor_id, _columns.object_hash == object_key)
    return _take_back(tx, *same) or faded.take_back(tx, kind, actor_id, object_key)


def remove_activity(tx: Tx, actor_id: str, activity_id: str) -> int:
    """Take back what an actor did by the id of the activity that did it."""
    same = (_columns.actor_id == actor_id, _columns.activity_id == activity_id)
    return _take_back(tx, *same) or faded.take_back_activity(tx, actor_id, activity_id)


def _take_back(tx: Tx, *same: ColumnElement[bool]) -> int:
    """Delete what someone did; what of theirs with the same post has faded counts again."""
    what = (_columns.actor_id, _columns.post_pk, _columns.kind)
    gone = tx.execute(delete(_table).where(*same).returning(*what)).all()
    for actor_id, post_pk, kind in gone:
        if post_pk is not None:
            faded.recount(tx, actor_id, post_pk, kind)
    return len(gone)


def remove_reply(tx: Tx, actor_id: str, object_id: str) -> int:
    """Delete a reply; only its own author can."""
    return remove(tx, REPLY, actor_id, object_id)


def remove_listings(tx: Tx, actor_id: str, collection: str) -> int:
    """Forget that a collection lists our sites; only its own owner can."""
    same = (_columns.kind == LISTING, _columns.actor_id == actor_id, _columns.url == collection)
    return tx.execute(delete(_table).where(*same)).rowcount


def revise_reply(
    tx: Tx, actor_id: str, object_id: str, *, content: str, warning: str | None, public: bool
) -> int:
    """Store a reply's new text and warning; only its own author can."""
    same = (_columns.kind == REPLY, _columns.actor_id == actor_id, _columns.object_hash == object_id)
    said = {"content": content, "warning": warning, "public": public}
    return tx.execute(update(_table).where(*same).values(said)).rowcount


def forget_actor(tx: Tx, actor_id: str) -> int:
    """Erase everything an actor did."""
    removed = tx.execute(delete(_table).where(_columns.actor_id == actor_id)).rowcount
    return removed + faded.forget_actor(tx, actor_id)


def find_old(tx: Tx, *, after: int, before: datetime, limit: int) -> faded.Old:
    """Look at the next `limit` interactions after a row, for reactions older than `before`."""
    return faded.find_old(tx, KEPT, after=after, before=before, limit=limit)


def fade(tx: Tx, ids: Sequence[int]) -> int:
    """Turn reactions into counts; an Undo of one still counts one down."""
    return faded.fade(tx, ids)


def forget_site(tx: Tx, site: str) -> None:
    """Erase everything that anyone did with a site and its posts."""
    tx.execute(delete(_table).where(_columns.site == site))
    theirs = select(schema.posts.c.pk).where(schema.posts.c.site == site)
    for table in (schema.faded_reactions, schema.reaction_counts):
        tx.execute(delete(table).where(table.c.post_pk.in_(theirs)))


def counts(tx: Tx, post_pk: int) -> dict[str, int]:
    """Return kind → number of public interactions with a post."""
    query = select(_columns.kind, _number()).where(_columns.post_pk == post_pk, _columns.public)
    found = Counter(_by_kind(tx, query.group_by(_columns.kind)))
    found.update({kind: number for (_, kind), number in faded.counts(tx, [post_pk]).items()})
    return dict(+found)


def _number() -> ColumnElement[int]:
    """Count people for likes, who may have put several emojis to a post, and acts for all else."""
    return func.count(
        distinct(case((_columns.kind == LIKE, _columns.actor_id), else_=cast(_columns.id, Text)))
    )


def emojis(tx: Tx, post_pk: int, actor_id: str, *, other_than: str) -> int:
    """Return how many emojis, beside one, a person has put to a post."""
    theirs = (_columns.post_pk == post_pk, _columns.kind == LIKE, _columns.actor_id == actor_id)
    return tx.scalar(select(func.count()).where(*theirs, _columns.emoji != other_than)) or 0


def counts_by_id(tx: Tx, site: str, post_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return post id → kind → number of public interactions, for several posts at once."""
    posts = schema.posts.c
    query = (
        select(posts.id, _columns.kind, _number())
        .select_from(_table.join(schema.posts, posts.pk == _columns.post_pk))
        .where(posts.site == site, posts.id.in_(list(post_ids)), _columns.public)
        .group_by(posts.id, _columns.kind)
    )
    found: dict[str, Counter[str]] = {}
    for post_id, kind, number in tx.execute(query):
        found.setdefault(post_id, Counter())[kind] = number
    rows = tx.execute(select(posts.pk, posts.id).where(posts.site == site, posts.id.in_(list(post_ids))))
    ids = {row.pk: row.id for row in rows}
    for (pk, kind), number in faded.counts(tx, ids).items():
        found.setdefault(ids[pk], Counter())[kind] += number
    return {post_id: dict(kinds) for post_id, kinds in found.items()}


def reply_ids(tx: Tx, post_pk: int, *, limit: int = MOST_SHOWN) -> list[str]:
    """Return the ids of a post's public replies, oldest first."""
    public = (_columns.post_pk == post_pk, _columns.kind == REPLY, _columns.public)
    query = select(_columns.object_key).where(*public).order_by(_columns.received_at).limit(limit)
    return list(tx.scalars(query))


def totals(tx: Tx) -> dict[str, int]:
    """Return kind → number of interactions there were and are."""
    found = Counter(_by_kind(tx, select(_columns.kind, func.count()).group_by(_columns.kind)))
    old = schema.reaction_counts.c
    found.update(_by_kind(tx, select(old.kind, func.sum(old.number)).group_by(old.kind)))
    return dict(+found)


def _by_kind(tx: Tx, query: Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in tx.execute(query)}


def stamped(tx: Tx, site: str, stamp: str) -> tuple[str, str | None] | None:
    """Return (quote's id, last part of our post's id) that a stamp was given for; (collection, None) for one
    that lists our actor. A stamp ends with the post that it is for.
    """
    posts = schema.posts
    query = (
        select(_columns.kind, _columns.object_key, _columns.url, posts.c.id)
        .select_from(_table.outerjoin(posts, posts.c.pk == _columns.post_pk))
        .where(_columns.site == site, _columns.stamp == stamp)
        .where(or_(_columns.kind == LISTING, is_public(posts.c.state)))
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    return (row.url, None) if row.kind == LISTING else (row.object_key, row.id)


def post_of_reply(tx: Tx, object_id: str) -> tuple[str, int] | None:
    """Return (site, post's row) that a stored reply belongs to: a reply to it is in the same thread.

    The thread of a post that is not public, or no longer, takes none.
    """
    posts = schema.posts.c
    query = (
        select(_columns.site, _columns.post_pk)
        .join(schema.posts, posts.pk == _columns.post_pk)
        .where(_columns.kind == REPLY, _columns.object_hash == object_id, is_public(posts.state))
    )
    row = tx.execute(query).first()
    return (row.site, row.post_pk) if row else None
