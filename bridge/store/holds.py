"""Holds: changes kept back until the owner says yes or no."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import RowMapping

from bridge.store import schema
from bridge.store.engine import Tx

_table = schema.holds
_columns = _table.c

NEW, EDIT, DELETE = "new", "edit", "delete"


@dataclass(frozen=True, slots=True)
class Hold:
    """A change that waits: a new post, an edit (`entry` is what it would become), or a deletion."""

    id: int
    site: str
    source_id: int
    post_pk: int
    kind: str
    reason: str
    entry: Mapping[str, Any] | None
    content_hash: str | None
    text_hash: str | None
    held_at: datetime


@dataclass(frozen=True, slots=True)
class NewHold:
    """A hold about to be stored."""

    site: str
    source_id: int
    post_pk: int
    kind: str
    reason: str
    entry: Mapping[str, Any] | None = None
    content_hash: str | None = None
    text_hash: str | None = None


def add(tx: Tx, new: NewHold, *, now: datetime) -> None:
    """Keep a change back; a newer one of the same kind about the same post takes the older one's place."""
    values = {name: getattr(new, name) for name in NewHold.__slots__}
    waiting = (_columns.post_pk == new.post_pk, _columns.kind == new.kind, _columns.decided_at.is_(None))
    if not tx.execute(update(_table).where(*waiting).values(values)).rowcount:
        tx.execute(insert(_table).values(**values, held_at=now))


def drop(tx: Tx, post_pk: int, kind: str, *, now: datetime) -> None:
    """Forget a hold that has become pointless: what it was about is as it was."""
    waiting = (_columns.post_pk == post_pk, _columns.kind == kind, _columns.decided_at.is_(None))
    tx.execute(update(_table).where(*waiting).values(decided_at=now, decision="moot"))


def waiting(tx: Tx, site: str | None = None) -> list[Hold]:
    """Return the holds that wait for the owner, oldest first."""
    query = select(_table).where(_columns.decided_at.is_(None)).order_by(_columns.id)
    if site is not None:
        query = query.where(_columns.site == site)
    return [_hold(row._mapping) for row in tx.execute(query)]


def count(tx: Tx) -> int:
    """Return how many holds wait for the owner."""
    return tx.scalar(select(func.count()).where(_columns.decided_at.is_(None))) or 0


def held_edits(tx: Tx, site: str) -> dict[int, str]:
    """Return post's row → fingerprint of the edit that waits for the owner."""
    edits = (_columns.site == site, _columns.kind == EDIT, _columns.decided_at.is_(None))
    rows = tx.execute(select(_columns.post_pk, _columns.content_hash).where(*edits))
    return {row.post_pk: row.content_hash for row in rows}


def refused_deletions(tx: Tx, site: str) -> set[int]:
    """Return rows of posts whose deletion the owner declined."""
    kept = (_columns.site == site, _columns.kind == DELETE, _columns.decision == "ignore")
    return set(tx.scalars(select(_columns.post_pk).where(*kept)))


def decide(tx: Tx, hold_id: int, decision: str, *, now: datetime) -> None:
    """Record the owner's word."""
    values = {"decided_at": now, "decision": decision}
    tx.execute(update(_table).where(_columns.id == hold_id).values(values))


def _hold(row: RowMapping) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})
