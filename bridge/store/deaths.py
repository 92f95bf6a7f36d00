"""What workers that died had under way: due again, and only what was alone is suspected of it.

A delivery is held against none that died with it among others: whatever those did may have been the reason.
One that is lost with others again and again is sent alone, where it shows.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update

from bridge.store import schema
from bridge.store.engine import Tx

_columns = schema.deliveries.c
_LEASED = (schema.deliveries, schema.inbox, schema.sources, schema.remote_actors, schema.subscriptions)

SUSPECT = "suspect"
"""The lane of what is sent alone."""

SUSPECT_AFTER = 3
"""Deaths, alone or with others, after which a delivery is sent alone."""


def bury(tx: Tx, *, now: datetime) -> int:
    """Free the deliveries that dead workers held, and note what they may have died of; return how many.

    A worker is dead for a row when its lease has run out. It is asked before anything that ran out is taken
    over, of whatever kind: afterwards nobody could tell what was under way together.
    """
    lapsed = _columns.leased & (_columns.due_at <= now)
    dead = tx.scalars(select(_columns.holder).where(lapsed).distinct()).all()
    return sum(_bury(tx, holder, now=now) for holder in dead)


def _bury(tx: Tx, holder: int | None, *, now: datetime) -> int:
    theirs = _columns.leased & (_columns.due_at <= now) & _is(_columns.holder, holder)
    if sum(_held(tx, holder)) == 1:
        blamed = {"losses": _columns.losses + 1}
    else:  # the attempt did not end, and its end is nobody's doing
        blamed = {"crowded": _columns.crowded + 1, "attempts": _columns.attempts - 1}
    freed = update(schema.deliveries).where(theirs, _columns.state == "pending")
    freed = freed.values(leased=False, holder=None, **blamed)
    rows = tx.execute(freed.returning(_columns.id, _columns.crowded)).all()
    crowded = [row.id for row in rows if row.crowded >= SUSPECT_AFTER]
    tx.execute(update(schema.deliveries).where(_columns.id.in_(crowded)).values(lane=SUSPECT))
    return len(rows)


def _held(tx: Tx, holder: int | None) -> Sequence[int]:
    """Return how many rows of each kind a worker held."""
    counts = (select(func.count()).where(t.c.leased, _is(t.c.holder, holder)) for t in _LEASED)
    return [tx.scalar(count) or 0 for count in counts]


def _is(column: ColumnElement[int | None], holder: int | None) -> ColumnElement[bool]:
    return column.is_(None) if holder is None else column == holder
