"""Holds: changes kept back until the owner says yes or no."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Row, RowMapping

from bridge.store import aside, schema
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


@dataclass(frozen=True, slots=True)
class Group:
    """What one poll of a source held for one reason: `number` holds, the oldest with the id `first`."""

    site: str
    source: str
    kind: str
    reason: str
    held_at: datetime
    first: int
    number: int


def add(tx: Tx, new: NewHold, *, now: datetime) -> None:
    """Keep a change back; a newer one of the same kind about the same post takes the older one's place."""
    values = {name: getattr(new, name) for name in NewHold.__slots__}
    waiting = (_columns.post_pk == new.post_pk, _columns.kind == new.kind, _columns.decided_at.is_(None))
    if not tx.execute(update(_table).where(*waiting).values(values)).rowcount:
        tx.execute(insert(_table).values(**values, held_at=now))


def waiting_deletions(tx: Tx, site: str) -> set[int]:
    """Return rows of posts whose deletion waits for the owner."""
    deletions = (_columns.site == site, _columns.kind == DELETE, _columns.decided_at.is_(None))
    return set(tx.scalars(select(_columns.post_pk).where(*deletions)))


def drop(tx: Tx, post_pk: int, kind: str, *, now: datetime) -> None:
    """Forget a hold that has become pointless: what it was about is as it was."""
    waiting = (_columns.post_pk == post_pk, _columns.kind == kind, _columns.decided_at.is_(None))
    tx.execute(update(_table).where(*waiting).values(decided_at=now, decision="moot"))


def forget_site(tx: Tx, site: str) -> None:
    """Forget everything that was held of a site."""
    tx.execute(delete(_table).where(_table.c.site == site))


def waiting(tx: Tx, site: str | None = None) -> list[Hold]:
    """Return the holds that wait for the owner, oldest first."""
    query = select(_table).where(_columns.decided_at.is_(None)).order_by(_columns.id)
    if site is not None:
        query = query.where(_columns.site == site)
    return _holds(tx.execute(query))


def groups(tx: Tx, site: str | None = None) -> list[Group]:
    """Return the holds that wait for the owner as one poll brought them; the newest first."""
    sources = schema.sources.c
    alike = (_columns.site, sources.name, _columns.kind, _columns.reason, _columns.held_at)
    query = (
        select(*alike, func.min(_columns.id).label("first"), func.count().label("number"))
        .join(schema.sources, sources.id == _columns.source_id)
        .where(_columns.decided_at.is_(None))
        .group_by(*alike)
        .order_by(func.min(_columns.id).desc())
    )
    if site is not None:
        query = query.where(_columns.site == site)
    return [Group(r.site, r.name, r.kind, r.reason, r.held_at, r.first, r.number) for r in tx.execute(query)]


def of_group(tx: Tx, hold_id: int) -> list[Hold]:
    """Return what still waits of all that was held together with this."""
    like = ("source_id", "kind", "reason", "held_at")
    one = tx.execute(select(*(_columns[name] for name in like)).where(_columns.id == hold_id)).first()
    if one is None:
        return []
    same = (_columns[name] == one._mapping[name] for name in like)
    query = select(_table).where(*same, _columns.decided_at.is_(None)).order_by(_columns.id)
    return _holds(tx.execute(query))


def by_id(tx: Tx, hold_id: int) -> Hold | None:
    """Return a hold that waits for the owner."""
    row = tx.execute(select(_table).where(_columns.id == hold_id, _columns.decided_at.is_(None))).first()
    return _hold(row._mapping) if row else None


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


def _holds(rows: Iterable[Row[Any]]) -> list[Hold]:
    return aside.legible(rows, _table, lambda row: _hold(row._mapping))


def _hold(row: RowMapping) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})
