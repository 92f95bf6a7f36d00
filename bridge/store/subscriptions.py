"""Subscriptions at hubs, and what hubs pushed and nobody read yet."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Row

from bridge.store import aside, leases, schema, sources
from bridge.store.engine import Tx, tx_holder
from bridge.store.sources import Source

_table = schema.subscriptions
_columns = _table.c

DUE = _columns.due_at
_pushes = schema.pushes
_sources = schema.sources

ASKED, ACTIVE, DENIED = "asked", "active", "denied"
LEAVING, LEFT = "leaving", "left"  # the source is gone from the config: the hub is told, then was told

MAX_WAITING_PER_SOURCE = 20
MAX_WAITING = 100
MAX_WAITING_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subscription:
    """A source's subscription; `due_at` is when its hub is asked again."""

    source_id: int
    hub: str
    topic: str
    token: str
    secret: str
    state: str
    lease_until: datetime | None
    due_at: datetime
    last_push_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Push:
    """What a hub sent about a source."""

    source: Source
    content_type: str | None
    body: bytes


# ── what there is to subscribe to ────────────────────────────────────────────────────────────────


def advertise(tx: Tx, source_id: int, found: tuple[str, str] | None, *, now: datetime) -> None:
    """Record the (hub, topic) that a source names; `None`: it names none, and an old one is to be left.

    Another hub or topic is another subscription, with a new token and secret; the old token is remembered
    as left, so that the old hub can be told to stop.
    """
    known = tx.execute(select(_table).where(_columns.source_id == source_id)).first()
    if found is None:
        if known is not None and known.state not in (LEAVING, LEFT):
            _change(tx, source_id, state=LEAVING, due_at=now)
        return
    if known is not None and (known.hub, known.topic) == found and known.state not in (LEAVING, LEFT):
        return
    hub, topic = found
    values = {"hub": hub, "topic": topic, "state": ASKED, "due_at": now, "leased": False}
    values |= {"token": secrets.token_urlsafe(24), "secret": secrets.token_hex(32)}
    values |= {"lease_until": None, "error": None}
    if known is None:
        tx.execute(_table.insert().values(source_id=source_id, **values))
    else:
        _change(tx, source_id, left_token=known.token, **values)


def follow_config(tx: Tx, *, now: datetime) -> None:
    """Leave the hubs of sources that left the config, and ask again for those that came back."""
    _forget_pushes(tx)
    active = select(_sources.c.id).where(_sources.c.active)
    leaving = _columns.state.in_((LEAVING, LEFT))
    left, came_back = _columns.source_id.not_in(active) & ~leaving, _columns.source_id.in_(active) & leaving
    tx.execute(update(_table).where(left).values(state=LEAVING, due_at=now, leased=False))
    tx.execute(update(_table).where(came_back).values(state=ASKED, due_at=now, leased=False))


# ── asking hubs ──────────────────────────────────────────────────────────────────────────────────


def claim_due(tx: Tx, limit: int, *, now: datetime) -> list[Subscription]:
    """Lease subscriptions whose hub is to be asked."""
    rows = leases.claim(tx, _table, _columns.state != LEFT, now=now, limit=limit)
    return aside.claimed(tx, rows, _columns.due_at, _subscription, now=now)


def renew(tx: Tx, source_ids: Collection[int], *, now: datetime) -> int:
    """Extend the leases of subscriptions whose hub is being asked here."""
    return leases.renew(tx, _table, source_ids, now=now)


def recover(tx: Tx, *, now: datetime) -> int:
    """Make everything a dead worker held due at once; only when no other worker can be alive."""
    return leases.recover(tx, _table, now=now, leased=False)


def settle(tx: Tx, asked: Subscription, state: str, due_at: datetime, error: str | None) -> None:
    """Record how a hub answered, unless it called back meanwhile: then we know better already."""
    mine = leases.is_ours(tx, _table)
    where = (_columns.source_id == asked.source_id, _columns.token == asked.token, mine)
    values = {"state": state, "due_at": due_at, "error": error, "leased": False}
    tx.execute(update(_table).where(*where).values(**values))


# ── what hubs say ────────────────────────────────────────────────────────────────────────────────


def by_token(tx: Tx, token: str) -> Subscription | None:
    """Return the subscription whose callback ends in `token`."""
    row = tx.execute(select(_table).where(_columns.token == token)).first()
    return next(iter(aside.legible([row] if row else [], _table, _subscription)), None)


def was_left(tx: Tx, token: str) -> bool:
    """Say whether we gave a hub this token, and want nothing by it any more."""
    left = (_columns.token == token) & (_columns.state != ACTIVE) | (_columns.left_token == token)
    return tx.execute(select(_columns.source_id).where(left).limit(1)).first() is not None


def confirm(tx: Tx, source_id: int, *, lease_until: datetime, renew_at: datetime) -> None:
    """Record that the hub will send until the lease ends."""
    _change(tx, source_id, state=ACTIVE, lease_until=lease_until, due_at=renew_at, leased=False, error=None)


def deny(tx: Tx, source_id: int, reason: str, *, ask_again_at: datetime) -> None:
    """Record that the hub will not send."""
    _change(tx, source_id, state=DENIED, lease_until=None, due_at=ask_again_at, leased=False, error=reason)


def leave(tx: Tx, source_id: int) -> None:
    """Record that the hub knows we left."""
    _change(tx, source_id, state=LEFT, lease_until=None, leased=False, error=None)


def listing(tx: Tx) -> list[Subscription]:
    """Return every subscription."""
    query = select(_table).order_by(_columns.source_id)
    return aside.legible(tx.execute(query), _table, _subscription)


# ── what hubs sent ───────────────────────────────────────────────────────────────────────────────


def keep_push(tx: Tx, source_id: int, content_type: str | None, body: bytes, *, now: datetime) -> bool:
    """Keep what a hub sent until a worker reads it; `False` when too much waits already."""
    _change(tx, source_id, last_push_at=now)
    count, size = func.count(), func.coalesce(func.sum(func.length(_pushes.c.body)), 0)
    waiting, stored = tx.execute(select(count, size)).one()
    of_source = tx.scalar(select(count).where(_pushes.c.source_id == source_id)) or 0
    full = waiting >= MAX_WAITING or stored + len(body) > MAX_WAITING_BYTES
    if full or of_source >= MAX_WAITING_PER_SOURCE:
        return False
    values = {"source_id": source_id, "content_type": content_type, "body": body, "received_at": now}
    tx.execute(_pushes.insert().values(**values))
    return True


def waiting_pushes(tx: Tx) -> int:
    """Return how many pushes nobody has read yet."""
    return tx.scalar(select(func.count()).select_from(_pushes)) or 0


def take_pushes(tx: Tx, limit: int, *, now: datetime) -> list[Push]:
    """Take the oldest push of each source that is not being looked at, and lease the source.

    A worker that dies with a push loses nothing: the lease ends, and the source is polled.
    """
    free = _sources.c.active & (~_sources.c.leased | (_sources.c.due_at <= now))
    pushed = _sources.c.id.in_(select(_pushes.c.source_id))
    query = select(_sources).where(free, pushed).limit(limit).with_for_update(skip_locked=True)
    pushed_to = aside.claimed(tx, tx.execute(query).all(), _sources.c.due_at, sources.from_row, now=now)
    chosen = {source.id: source for source in pushed_to}
    if not chosen:
        return []
    lease = {"due_at": now + leases.LEASE, "leased": True, "holder": tx_holder(tx)}
    tx.execute(update(_sources).where(_sources.c.id.in_(chosen)).values(**lease))
    rows = _delete_oldest(tx, list(chosen))
    return [Push(chosen[row.source_id], row.content_type, row.body) for row in rows]


def _forget_pushes(tx: Tx) -> None:
    inactive = select(_sources.c.id).where(~_sources.c.active)
    tx.execute(delete(_pushes).where(_pushes.c.source_id.in_(inactive)))


def _delete_oldest(tx: Tx, ids: Sequence[int]) -> Sequence[Row[Any]]:
    oldest = select(func.min(_pushes.c.id)).where(_pushes.c.source_id.in_(ids)).group_by(_pushes.c.source_id)
    return tx.execute(delete(_pushes).where(_pushes.c.id.in_(oldest)).returning(*_pushes.c)).all()


def _change(tx: Tx, source_id: int, **values: object) -> None:
    tx.execute(update(_table).where(_columns.source_id == source_id).values(**values))


def _subscription(row: Row[Any]) -> Subscription:
    stored = row._mapping
    return Subscription(**{name: stored[name] for name in Subscription.__slots__})
