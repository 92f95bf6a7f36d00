"""Absences: entries that vanished from the middle of their feed, and when their pages are asked next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.engine import Row

from bridge.model import Post, PostState
from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.leases import put_off

_table = schema.posts
_columns = _table.c

DUE = _columns.check_at


@dataclass(frozen=True, slots=True)
class Absence:
    """A post whose entry is missing; `misses` counts the 404s of its page so far."""

    pk: int
    post: Post
    source_id: int
    missing_since: datetime
    misses: int


def notice(tx: Tx, pk: int, *, now: datetime) -> None:
    """Note that an entry is missing, once, and that its page is to be asked soon."""
    fresh = (_columns.pk == pk, _columns.missing_since.is_(None))
    tx.execute(update(_table).where(*fresh).values(missing_since=now, check_at=now, misses=0))


def claim_due(tx: Tx, limit: int, *, until: datetime, now: datetime) -> list[Absence]:
    """Return pages that are due to be asked, and do not return them again before `until`."""
    rows = put_off(tx, _columns.check_at, limit, until=until, now=now)
    return aside.claimed(tx, rows, _columns.check_at, _absence, now=now)


def ask_again(tx: Tx, pk: int, *, due_at: datetime | None, missed: bool) -> None:
    """Ask a page again later; `None`: no more, it is there."""
    values = {"check_at": due_at, "misses": _columns.misses + (1 if missed else 0)}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def deleted_lately(tx: Tx, source_id: int, *, since: datetime) -> int:
    """Return how many posts of a source were deleted since then."""
    gone = (_columns.source_id == source_id, _columns.deleted_at >= since)
    return tx.scalar(select(func.count()).where(*gone)) or 0


def _absence(row: Row[Any]) -> Absence:
    post = Post(**{n: row._mapping[n] for n in Post.__slots__} | {"state": PostState(row.state)})
    if row.missing_since is None:
        raise ValueError("missing_since is missing")
    return Absence(row.pk, post, row.source_id, row.missing_since, row.misses)
