"""What cannot be read or handled is set aside, so that one row never stops the others.

SQLite stores anything in any column, a restored backup may hold what an older version wrote, and we make
mistakes. A row that fails is tried again after a pause that grows; after a few tries it rests.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import BigInteger

from bridge.errors import StoreUnavailable
from bridge.store import schema
from bridge.store.engine import Store, Tx
from bridge.store.outage import explain

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(days=1)
MENDED_AFTER = timedelta(days=3)  # what did not fail again in that time is taken to be mended
SHOWN_FOR = timedelta(days=30)

ENTRY = schema.posts.c.identity
"""Stands for what an entry would have become, and could not."""

_table = schema.set_aside
_columns = _table.c


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that could not be handled: which, how often, and why."""

    what: str  # table and column, such as ``deliveries.due_at``
    key: str
    tries: int
    reason: str
    first_at: datetime
    last_at: datetime


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def legible(rows: Iterable[Any], table: Table, read: Callable[[Row[Any]], T]) -> list[T]:
    """Return what `read` makes of the rows that can be read, and leave the others out."""
    return [good for good, _ in ((_read(row, table, read)) for row in rows) if good is not None]


def claimed(
    tx: Tx, rows: Iterable[Row[Any]], due: Column[Any], read: Callable[[Row[Any]], T], *, now: datetime
) -> list[T]:
    """Return what `read` makes of rows that `due` made due; set aside those that cannot be read."""
    found = []
    for row in rows:
        good, why = _read(row, due.table, read)
        if good is None:
            put(tx, due, row._mapping[_key(due.table).name], why, now=now)
        else:
            found.append(good)
    return found


def _read(row: Row[Any], table: Table, read: Callable[[Row[Any]], T]) -> tuple[T | None, str]:
    why = fault(row, table)
    if why:
        return None, why
    try:
        return read(row), ""
    except Exception as error:  # an unknown state, a JSON document of another shape
        return None, explained(error)


def fault(row: Row[Any], table: Table) -> str:
    """Say which value of a row its column cannot hold."""
    for name, value in row._mapping.items():
        column = table.c.get(str(name))
        if column is None:
            continue
        if value is None and not column.nullable:
            return f"{name} is missing"
        if value is not None and not isinstance(value, _kinds(column)):
            return f"{name} cannot be read: {value!r:.100}"
    return ""


def _kinds(column: Column[Any]) -> tuple[type, ...]:
    match column.type:
        case schema.Json():
            return (dict, list, str, int, float)
        case schema.Moment():
            return (datetime,)
        case Boolean():
            return (bool,)
        case Integer() | BigInteger():
            return (int,)
        case LargeBinary() | schema.Bytes():
            return (bytes,)
        case _:
            return (str,)


def explained(error: BaseException) -> str:
    """Say in a line what went wrong."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


# ── setting aside ────────────────────────────────────────────────────────────────────────────────


def put(tx: Tx, due: Column[Any], key: Any, why: str, *, now: datetime, put_off: bool = True) -> int:
    """Set aside the row that `due` made due; return how often that was.

    `put_off`: `due` is only a due time, and can be moved; otherwise see `resting`.
    """
    where = (_columns.what == _name(due), _columns.key == str(key))
    tries = 1 + (tx.scalar(select(_columns.tries).where(*where)) or 0)
    values = {"tries": tries, "reason": why, "last_at": now}
    if tries == 1:
        log.error("%s of row %s: set aside: %s", _name(due), key, why)
        tx.execute(insert(_table).values(what=_name(due), key=str(key), first_at=now, **values))
    else:
        tx.execute(update(_table).where(*where).values(values))
    if put_off:
        tx.execute(update(due.table).where(_key(due.table) == key).values(_later(due, tries, why, now)))
    return tries


def _later(due: Column[Any], tries: int, why: str, now: datetime) -> dict[str, Any]:
    """Return what becomes of a row that failed so often."""
    columns, name = due.table.c, due.table.name
    values: dict[str, Any] = {"leased": False} if "leased" in columns else {}
    if tries < TRIES or not (due.nullable or "settled_at" in columns):
        pause = min(FIRST_PAUSE * 4 ** min(tries - 1, 8), LONGEST_PAUSE)
        return values | {due.name: now + pause}
    if due.nullable:
        return values | {due.name: None}
    state = "dropped" if name == "deliveries" else "quarantined"
    return values | {"state": state, "settled_at": now, "reason": f"set aside: {why}"}


def settle_each(
    store: Store,
    items: Sequence[T],
    settle: Callable[[Tx, T], object],
    *,
    due: Column[Any],
    key: Callable[[T], Any],
    now: datetime,
) -> None:
    """Settle all in one transaction; if that fails, each in its own, and set aside what fails."""

    def settle_them(tx: Tx, them: Sequence[T]) -> None:
        for one in them:
            settle(tx, one)

    settle_all(store, items, settle_them, due=due, key=key, now=now)


def settle_all(
    store: Store,
    items: Sequence[T],
    settle: Callable[[Tx, Sequence[T]], object],
    *,
    due: Column[Any],
    key: Callable[[T], Any],
    now: datetime,
) -> None:
    """Settle as `settle_each` does, by a function that takes many."""
    if _is_settled(store, items, settle, due, key):
        return
    for item in items:
        try:
            with store.write() as tx:
                settle(tx, [item])
        except StoreUnavailable:
            raise
        except Exception as error:
            failed(store, due, key(item), error, now=now)


def _is_settled(
    store: Store,
    items: Sequence[T],
    settle: Callable[[Tx, Sequence[T]], object],
    due: Column[Any],
    key: Callable[[T], Any],
) -> bool:
    try:
        with store.write() as tx:
            settle(tx, items)
            forget(tx, due, [key(item) for item in items])
    except StoreUnavailable:
        raise
    except Exception:  # whose it is, is found out one by one
        return False
    return True


def failed(
    store: Store,
    due: Column[Any],
    key: Any,
    error: BaseException,
    *,
    now: datetime,
    put_off: bool = True,
) -> None:
    """Set aside a row that could not be handled; the traceback is logged the first time only."""
    with store.write() as tx:
        note(tx, due, key, error, now=now, put_off=put_off)


def note(
    tx: Tx, due: Column[Any], key: Any, error: BaseException, *, now: datetime, put_off: bool = True
) -> None:
    """Set aside, within a transaction, what could not be handled."""
    tries = put(tx, due, key, explained(error), now=now, put_off=put_off)
    if tries == 1:
        log.error("This is how %s of row %s failed", _name(due), key, exc_info=error)
    elif tries == TRIES:
        log.error("%s of row %s failed %d times: %s", _name(due), key, tries, explained(error))


def forget(tx: Tx, due: Column[Any], keys: Iterable[Any]) -> None:
    """Note that rows were handled well."""
    if tx.execute(select(_columns.key).limit(1)).first() is not None:
        handled = (_columns.what == _name(due), _columns.key.in_([str(key) for key in keys]))
        tx.execute(delete(_table).where(*handled))


def resting(tx: Tx, due: Column[Any], *, now: datetime) -> set[str]:
    """Return keys of rows that have no due time of their own to put off and are not to be tried now."""
    query = select(_columns.key, _columns.tries, _columns.last_at).where(_columns.what == _name(due))
    rows = tx.execute(query)
    return {
        row.key
        for row in rows
        if row.last_at + min(FIRST_PAUSE * 4 ** min(row.tries - 1, 8), LONGEST_PAUSE) > now
    }


def apart(tx: Tx, work: Callable[[], object]) -> Exception | None:
    """Do what may fail within a transaction; return the failure, which undoes that alone.

    A database that cannot be used is no failure of `work`: it is raised.
    """
    try:
        with tx.begin_nested():
            work()
    except DBAPIError as error:
        if explain(error) is not None:
            raise
        return error
    except StoreUnavailable:
        raise
    except Exception as error:
        return error
    return None


# ── for the owner ────────────────────────────────────────────────────────────────────────────────


def listing(tx: Tx, *, limit: int = 20) -> list[SetAside]:
    """Return what is set aside, newest first."""
    rows = tx.execute(select(_table).order_by(_columns.last_at.desc()).limit(limit))
    return legible(rows, _table, lambda row: SetAside(**row._mapping))


def count(tx: Tx) -> int:
    """Return how many rows are set aside."""
    return tx.scalar(select(func.count()).select_from(_table)) or 0


def purge(tx: Tx, *, now: datetime) -> None:
    """Forget what did not fail again, and in the end what was given up."""
    mended = (_columns.tries < TRIES, _columns.last_at < now - MENDED_AFTER)
    tx.execute(delete(_table).where(*mended))
    tx.execute(delete(_table).where(_columns.last_at < now - SHOWN_FOR))


def _name(due: Column[Any]) -> str:
    return f"{due.table.name}.{due.name}"


def _key(table: Table) -> Column[Any]:
    (column,) = table.primary_key.columns
    return column
