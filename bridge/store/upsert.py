"""Inserts that may meet their own row: harmless twice, and harmless when two processes do it at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table

from bridge.store.engine import Tx

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert_into(tx: Tx, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Begin an INSERT that knows ON CONFLICT, in the database's own dialect; the other is never loaded."""
    if tx.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def insert_new(tx: Tx, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row; `False` when one with its unique values is there already, and stays as it is."""
    statement = insert_into(tx, table).values(**values).on_conflict_do_nothing()
    return tx.execute(statement).rowcount == 1


def upsert(
    tx: Tx,
    table: Table,
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    at_first: Mapping[str, Any] | None = None,
) -> None:
    """Make the row of a unique `key` say `values`; `at_first` is only written when it is new."""
    row = {**key, **values, **(at_first or {})}
    statement = insert_into(tx, table).values(**row)
    tx.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))
