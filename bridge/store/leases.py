"""Leases: how rows that are due are claimed, on both databases, so that a killed worker loses nothing.

A claim moves `due_at` past the lease and marks the row `leased`; settling clears the mark. A row whose
lease ran out is simply due again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, Update, select, update
from sqlalchemy.engine import Row

from bridge.store.engine import Tx

LEASE = timedelta(seconds=60)
"""Longer than any attempt may take (two knocks of 15 s each), short enough to pick up after a crash."""


def claim(
    tx: Tx,
    table: Table,
    *where: ColumnElement[bool],
    now: datetime,
    limit: int,
    also: dict[str, Any] | None = None,
) -> Sequence[Row[Any]]:
    """Lease up to `limit` due rows of `table`, oldest first, and return them whole."""
    due = (
        select(_key(table))
        .where(table.c.due_at <= now, *where)
        .order_by(table.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return tx.execute(taking(table, due, until=now + LEASE, also=also).returning(*table.c)).all()


def taking(
    table: Table,
    chosen: Select[Any],
    *,
    until: datetime | ColumnElement[Any],
    also: dict[str, Any] | None = None,
) -> Update:
    """Build the statement that leases the rows whose keys `chosen` selects."""
    leased = {"due_at": until, "leased": True, **(also or {})}
    return update(table).where(_key(table).in_(once(chosen))).values(leased)


def put_off(
    tx: Tx, due_column: Column[Any], limit: int, *, until: datetime, now: datetime
) -> Sequence[Row[Any]]:
    """Return up to `limit` rows, whole, that a column of their own makes due; put them off `until` then."""
    table = due_column.table
    due = (
        select(_key(table))
        .where(due_column <= now)
        .order_by(due_column)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    chosen = update(table).where(_key(table).in_(once(due))).values({due_column: until})
    return tx.execute(chosen.returning(*table.c)).all()


def once(chosen: Select[Any]) -> Select[Any]:
    """Return a selection of keys that is made once, however the statement around it is planned.

    PostgreSQL may otherwise run it anew for each row it looks at; one that skips locked rows then finds
    others every time, and more are taken than its limit says.
    """
    keys = chosen.cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(*keys.c)


def release(tx: Tx, table: Table, ids: Iterable[Any], *, now: datetime) -> None:
    """Give back rows that were claimed but not begun."""
    tx.execute(update(table).where(_key(table).in_(list(ids))).values(due_at=now, leased=False))


def _key(table: Table) -> ColumnElement[Any]:
    (column,) = table.primary_key.columns
    return column
