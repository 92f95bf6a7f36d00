"""What is due when the clock was set: moments move with it, and none stays in an impossible future."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Interval, Table, case, func, literal, or_, update

from bridge.store import schema
from bridge.store.engine import Tx

FACTS: Mapping[str, frozenset[str]] = {
    "sites": frozenset({"created_at", "updated_at", "closed_at"}),
    "keys": frozenset({"created_at"}),
    "sources": frozenset({"baseline_at"}),
    "posts": frozenset({"published_at", "updated_at", "deleted_at", "first_seen_at", "last_seen_at"}),
    "activities": frozenset({"created_at"}),
    "holds": frozenset({"held_at", "decided_at"}),
    "followers": frozenset({"followed_at"}),
    "interactions": frozenset({"published_at", "received_at"}),
    "undone": frozenset({"signed_at"}),
}
"""Table → moments that stay when the clock is set: others were told them, or nothing falls due by them.

All others say how long something waits, lasts or is kept, and that goes by the time that passes.
"""

_A_DAY = timedelta(days=1)
_LONGEST: Mapping[str, timedelta] = {
    "sources.due_at": 2 * _A_DAY,  # a feed that answers 410, or says when to come again
    "subscriptions.due_at": 400 * _A_DAY,  # a hub's lease, which may be a year
    "subscriptions.lease_until": 400 * _A_DAY,
    "deliveries.due_at": 3 * _A_DAY,
    "remote_actors.due_at": 2 * _A_DAY,
    "remote_keys.retry_at": 2 * _A_DAY,
    "inbox.due_at": 2 * _A_DAY,
    "peers.open_until": timedelta(hours=2),
    "posts.edit_due_at": 8 * _A_DAY,
    "posts.check_at": 8 * _A_DAY,
    "posts.look_at": 2 * _A_DAY,
}
"""Column → longer than any pause of ours that it could hold. What is not named here lies in the past."""


def move(tx: Tx, by: timedelta) -> None:
    """Let everything that is timed move with a clock that was set forward (or back) `by` so much.

    What was due stays due, what was not is not, and nothing that is kept for a while expires.
    """
    for table in schema.metadata.sorted_tables:
        moved = {column.name: _moved(tx, column, by) for column in timed(table)}
        if moved:
            tx.execute(update(table).values(moved))


def pull_in(tx: Tx, *, now: datetime) -> int:
    """Bring to `now` what lies further ahead than we could have put it; return how many rows."""
    pulled = 0
    for table in schema.metadata.sorted_tables:
        latest = {column: now + _LONGEST.get(f"{table.name}.{column.name}", _SKEW) for column in timed(table)}
        if not latest:
            continue
        values = {column.name: case((column > bound, now), else_=column) for column, bound in latest.items()}
        ahead = or_(*(column > bound for column, bound in latest.items()))
        pulled += tx.execute(update(table).where(ahead).values(values)).rowcount
    return pulled


_SKEW = timedelta(minutes=5)  # by which the clocks of several machines may differ


def timed(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that go by the time that passes."""
    facts = FACTS.get(table.name, frozenset())
    return [c for c in table.columns if isinstance(c.type, schema.Moment) and c.name not in facts]


def _moved(tx: Tx, column: Column[Any], by: timedelta) -> ColumnElement[Any]:
    if tx.dialect.name != "sqlite":
        return column + literal(by, Interval)
    # SQLAlchemy's own spelling of a moment, in milliseconds; what is none stays as it is.
    moved = func.strftime("%Y-%m-%d %H:%M:%f000", column, f"{by.total_seconds():+.3f} seconds")
    return func.coalesce(moved, column)
