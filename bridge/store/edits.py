"""Edits on their way to followers: each waits until it has stood a while, and a post has only so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import func, select, update
from sqlalchemy.engine import Row

from bridge.model import Post, PostState
from bridge.store import aside, schema
from bridge.store.engine import Tx

_table = schema.posts
_columns = _table.c

DUE = _columns.edit_due_at


@dataclass(frozen=True, slots=True)
class DueEdit:
    """A post whose edit has stood long enough. `is_news`: readers would see a difference."""

    pk: int
    post: Post
    is_news: bool


def history(tx: Tx, pk: int) -> tuple[int, datetime | None]:
    """Return how many Updates a post had, and when the last one went out."""
    row = tx.execute(select(_columns.updates_sent, _columns.update_sent_at).where(_columns.pk == pk)).one()
    return row.updates_sent, row.update_sent_at


def was_sent(tx: Tx, pk: int) -> None:
    """Record that followers were sent the post as it is now."""
    tx.execute(update(_table).where(_columns.pk == pk).values(sent_hash=_columns.text_hash))


def forget_sent(tx: Tx, pk: int) -> None:
    """Record that a post differs from what followers were sent, though its text may not."""
    tx.execute(update(_table).where(_columns.pk == pk).values(sent_hash=None))


def reads_now(tx: Tx, pk: int, text_hash: str) -> None:
    """Record that what followers were sent reads like this now; not of a post whose edit they lack."""
    is_known = _columns.sent_hash == _columns.text_hash
    tx.execute(update(_table).where(_columns.pk == pk, is_known).values(sent_hash=text_hash))


def said_before(tx: Tx, pk: int, note: Mapping[str, Any]) -> bool:
    """Say whether followers were sent a post with these very words and pictures before."""
    activities = schema.activities.c
    sent = (activities.post_pk == pk, activities.type.in_(("Create", "Update")))
    documents = (orjson.loads(body) for body in tx.scalars(select(activities.body).where(*sent)))
    return any(_shown(one["object"]) == _shown(note) for one in documents)


def _shown(note: Mapping[str, Any]) -> tuple[Any, Any]:
    return note.get("content"), note.get("attachment")


def plan(tx: Tx, pk: int, due_at: datetime | None) -> None:
    """Say when a post's edit goes out; `None`: it does not."""
    tx.execute(update(_table).where(_columns.pk == pk).values(edit_due_at=due_at))


def due(tx: Tx, *, now: datetime, limit: int = 50) -> list[DueEdit]:
    """Return the edits whose time has come."""
    query = select(_table).where(_columns.edit_due_at <= now).order_by(_columns.edit_due_at).limit(limit)
    return aside.claimed(tx, tx.execute(query).all(), _columns.edit_due_at, _due_edit, now=now)


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Say whether any edit's time has come."""
    return tx.execute(select(_columns.pk).where(_columns.edit_due_at <= now).limit(1)).first() is not None


def waiting(tx: Tx) -> int:
    """Return how many edits wait until they have stood long enough."""
    return tx.scalar(select(func.count()).where(_columns.edit_due_at.is_not(None))) or 0


def sent(tx: Tx, pk: int, *, now: datetime) -> None:
    """Record that an edit went out."""
    values = {
        "edit_due_at": None,
        "updates_sent": _columns.updates_sent + 1,
        "update_sent_at": now,
        "sent_hash": _columns.text_hash,
    }
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def _due_edit(found: Row[Any]) -> DueEdit:
    row = found._mapping
    values = {name: row[name] for name in Post.__slots__} | {"state": PostState(row["state"])}
    return DueEdit(row["pk"], Post(**values), row["sent_hash"] != row["text_hash"])
