"""Strangers' share of the inbox: what waits for a key is bounded, and nobody's shuts out another's.

Each belongs to a *party*: whoever sends from one address or, behind a proxy, with keys on one domain. Its
*place* is how many unproven ones of its party came shortly before. The first of a party goes before every
second one, so that a flood waits for itself.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.engine import Row

from bridge.store import leases, schema
from bridge.store.engine import Tx, tx_holder

_table = schema.inbox
_columns = _table.c

MAX_STRANGERS = 2_000  # arrivals that wait for a key; more are asked to come back
MAX_OF_PARTY = 400  # unproven arrivals of one party within the window
PARTY_WINDOW = timedelta(minutes=10)
PER_HOST = 10  # arrivals under way whose keys are on one host


def admit(tx: Tx, party: str, *, now: datetime) -> int | None:
    """Return the place of another arrival of a party; `None` when there is no room for it."""
    recent = select(literal(1)).where(
        _columns.party == party,
        _columns.received_at > now - PARTY_WINDOW,
        ~_columns.verified,
        _columns.state != "done",  # who proved to be someone leaves no trace here
    )
    place = tx.scalar(select(func.count()).select_from(recent.limit(MAX_OF_PARTY).subquery())) or 0
    return None if _is_full(tx) and _least_deserving(tx, place) is None else place


def shed(tx: Tx, party: str) -> None:
    """Forget the oldest of a party whose share is full, for one that comes: it may be someone else's."""
    if (oldest := _oldest_of(tx, party)) is not None:
        tx.execute(delete(_table).where(_columns.id == oldest))


def make_room(tx: Tx, place: int, *, now: datetime) -> bool:
    """Refuse the least deserving for one at `place`, if there has to be room; `False`: all deserve more."""
    if not _is_full(tx):
        return True
    found = _least_deserving(tx, place)
    if found is None:
        return False
    why = "too many strangers waited, and its party had sent most"
    emptied = {"state": "refused", "reason": why, "settled_at": now, "body": b"", "request": {}}
    tx.execute(update(_table).where(_columns.id == found).values(emptied))
    return True


def claim(
    tx: Tx,
    limit: int,
    *,
    first: bool,
    busy: Collection[str] = (),
    also: Mapping[str, Any],
    now: datetime,
) -> Sequence[Row[Any]]:
    """Lease the first of each party, or all others: at most `PER_HOST` of a host, none of the `busy` ones.

    The newest first, or a queue of made-up keys would be worked off before anyone real is; of each party in
    turn, and what was never tried before what was tried in vain.
    """
    if limit <= 0:
        return ()
    is_first = and_(_columns.place == 0, _columns.attempts == 0)
    tried = case((_columns.attempts > 0, 1), else_=0)
    of_party = func.row_number().over(partition_by=(_columns.party, tried), order_by=_columns.id.desc())
    waiting = (
        select(_columns.id, _columns.host, tried.label("tried"), of_party.label("of_party"))
        .where(*_waiting(), _columns.due_at <= now, is_first if first else ~is_first)
        .where(_columns.host.not_in(list(busy)))
        .subquery()
    )
    order = (waiting.c.tried, waiting.c.of_party, waiting.c.id.desc())
    turn = func.row_number().over(order_by=order).label("turn")
    due = select(waiting.c.id, waiting.c.host, turn).order_by(*order).limit(10 * limit).subquery()
    nth = func.row_number().over(partition_by=due.c.host, order_by=due.c.turn).label("nth")
    ranked = select(due.c.id, due.c.turn, nth).subquery()
    chosen = select(ranked.c.id).where(ranked.c.nth <= PER_HOST).order_by(ranked.c.turn).limit(limit)
    # Locked by themselves: PostgreSQL locks no rows beneath a window. Due they still have to be.
    free = select(_columns.id).where(_columns.id.in_(chosen), *_waiting(), _columns.due_at <= now)
    free = free.with_for_update(skip_locked=True)
    until, holder = now + leases.LEASE, tx_holder(tx)
    taken = leases.taking(_table, free, until=until, holder=holder, also=dict(also))
    return tx.execute(taken.returning(*_columns)).all()


def _is_full(tx: Tx) -> bool:
    query = select(func.count()).select_from(_table).where(*_waiting())
    return (tx.scalar(query) or 0) >= MAX_STRANGERS


def _oldest_of(tx: Tx, party: str) -> int | None:
    """Find what a party has waiting longest, tried in vain before untried."""
    query = select(_columns.id).where(*_waiting(), _columns.party == party, ~_columns.leased)
    untried = case((_columns.attempts > 0, 0), else_=1)
    found: int | None = tx.scalar(query.order_by(untried, _columns.id).limit(1))
    return found


def _least_deserving(tx: Tx, place: int) -> int | None:
    """Find whoever waits at a higher place, or at this one and was tried in vain."""
    worse = or_(_columns.place > place, and_(_columns.place == place, _columns.attempts > 0))
    query = select(_columns.id).where(*_waiting(), worse, ~_columns.leased)
    order = (_columns.place.desc(), _columns.attempts.desc(), _columns.id.desc())
    found: int | None = tx.scalar(query.order_by(*order).limit(1))
    return found


def _waiting() -> tuple[ColumnElement[bool], ...]:
    return _columns.state == "pending", ~_columns.verified
