"""Leases: how rows that are due are claimed, on both databases, so that a killed worker loses nothing.

A claim moves `due_at` past the lease and marks the row `leased` with its `holder`; settling clears the mark.
A worker renews what it has under way, so leases are short. A row whose lease ran out is simply due again, and
a worker that was away for longer (suspended, or cut off from the database) settles nothing that another one
has taken meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, Update, and_, select, update
from sqlalchemy.engine import Row

from bridge.store import deaths
from bridge.store.engine import Tx, tx_holder

LEASE = timedelta(seconds=15)
"""How long what a dead worker held is out of reach; the pump renews it three times as often."""


def claim(
    tx: Tx,
    table: Table,
    *where: ColumnElement[bool],
    now: datetime,
    limit: int,
    also: dict[str, Any] | None = None,
) -> Sequence[Row[Any]]:
    """Lease up to `limit` due rows of `table`, oldest first, and return them whole.

    What is due at one moment, as all that came in one breath is, is handed out in the order of its keys.
    """
    deaths.bury(tx, now=now)
    due = (
        select(_key(table))
        .where(table.c.due_at <= now, *where)
        .order_by(table.c.due_at, _key(table))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = taking(table, due, until=now + LEASE, holder=tx_holder(tx), also=also)
    return tx.execute(taken.returning(*table.c)).all()


def taking(
    table: Table,
    chosen: Select[Any],
    *,
    until: datetime | ColumnElement[Any],
    holder: int | ColumnElement[Any],
    also: dict[str, Any] | None = None,
) -> Update:
    """Build the statement that leases the rows whose keys `chosen` selects."""
    leased = {"due_at": until, "leased": True, "holder": holder, **(also or {})}
    return update(table).where(_key(table).in_(once(chosen))).values(leased)


def is_ours(tx: Tx, table: Table) -> ColumnElement[bool]:
    """Build the condition that a row is still leased to this process."""
    return and_(table.c.leased, table.c.holder == tx_holder(tx))


def renew(tx: Tx, table: Table, keys: Collection[Any], *, now: datetime) -> int:
    """Extend the leases of rows that this process has under way; return how many.

    What was settled, or taken by another worker, is left alone. A row that someone is writing is passed
    over: it is being settled, and waiting for it could deadlock with a settling of many rows.
    """
    mine = select(_key(table)).where(_key(table).in_(keys), is_ours(tx, table))
    free = once(mine.with_for_update(skip_locked=True))
    return tx.execute(update(table).where(_key(table).in_(free)).values(due_at=now + LEASE)).rowcount


def recover(tx: Tx, table: Table, *where: ColumnElement[bool], now: datetime, **also: Any) -> int:
    """Make everything a dead worker held due at once; only when no other worker can be alive."""
    return tx.execute(update(table).where(table.c.leased, *where).values(due_at=now, **also)).rowcount


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
