"""Second looks: posts whose pictures could not all be seen, and when somebody looks again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from bridge.model import Entry, KnownPost, Post, PostState
from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.entries import from_stored
from bridge.store.leases import put_off
from bridge.store.posts import as_known

_table = schema.posts
_columns = _table.c

DUE = _columns.look_at


@dataclass(frozen=True, slots=True)
class DueLook:
    """A post whose pictures are to be looked at again, and since when it waits for them."""

    known: KnownPost
    post: Post
    entry: Entry
    since: datetime


def plan(tx: Tx, pk: int, look_at: datetime | None) -> None:
    """Say when a post's pictures are looked at again; `None`: no more."""
    tx.execute(update(_table).where(_columns.pk == pk).values(look_at=look_at))


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Say whether any post's pictures are to be looked at."""
    return tx.execute(select(_columns.pk).where(_columns.look_at <= now).limit(1)).first() is not None


def claim_due(tx: Tx, limit: int, *, until: datetime, now: datetime) -> list[DueLook]:
    """Return posts whose pictures are to be looked at, and do not return them again before `until`."""
    rows = put_off(tx, _columns.look_at, limit, until=until, now=now)
    return aside.claimed(tx, rows, _columns.look_at, lambda row: _due_look(dict(row._mapping)), now=now)


def now_at(tx: Tx, pk: int, *, until: datetime) -> DueLook:
    """Return a post whose pictures somebody looks at now; nobody else does `until` then."""
    claimed = update(_table).where(_columns.pk == pk).values(look_at=until).returning(*_columns)
    return _due_look(dict(tx.execute(claimed).one()._mapping))


def redraw(tx: Tx, pk: int, post: Post) -> None:
    """Store a note whose pictures are other ones, or known better."""
    values = {"note": post.note, "updated_at": post.updated_at}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def _due_look(row: dict[str, Any]) -> DueLook:
    row["state"] = PostState(row["state"])
    known = as_known(row)
    post = Post(**{name: row[name] for name in Post.__slots__})
    since = max(row["first_seen_at"], row["published_at"], row["updated_at"] or row["first_seen_at"])
    return DueLook(known, post, from_stored(row["entry"]), since)
