"""The inbox: what arrived, kept until it took effect exactly once."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, delete, func, select, update

from bridge.store import aside, leases, schema, strangers
from bridge.store.engine import Tx
from bridge.store.upsert import insert_new, upsert

_table = schema.inbox
_columns = _table.c

SEEN_FOR = timedelta(days=7)
"""How long an activity's id is remembered."""

_COUNTED = {"attempts": _columns.attempts + 1}

NOT_NAMED = ""
"""Stands for the actor where an activity names none: it comes from whoever its key belongs to."""

VERIFIED_SLOTS, OTHER_SLOTS = 40, 40  # how many are handled at once
FIRST_SLOTS = 240  # of strangers, the first of each party: a server that hangs holds one for seconds
SLOTS = VERIFIED_SLOTS + OTHER_SLOTS + FIRST_SLOTS

MOST_IGNORED = 50  # types of activities that do nothing, counted apart

QUARANTINE_AFTER = 4  # failures of ours
FAILURE_PAUSE = timedelta(minutes=1)

STUCK_AFTER = timedelta(minutes=5)
"""How long a verified arrival may wait for nothing until the worker is taken to stand."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came, about to be stored. `request` is what its signature covers."""

    signature_hash: str
    activity_id: str | None
    type: str
    actor_id: str
    key_id: str
    host: str
    verified: bool
    request: Mapping[str, Any]
    body: bytes
    party: str = ""  # who shares a stranger's share
    place: int = 0  # how many unproven ones of that party came before


@dataclass(frozen=True, slots=True)
class Received:
    """An arrival a worker has claimed."""

    id: int
    activity_id: str | None
    type: str
    actor_id: str
    key_id: str
    host: str
    verified: bool
    request: Mapping[str, Any]
    body: bytes
    attempts: int
    received_at: datetime
    party: str = ""
    place: int = 0

    @property
    def is_new(self) -> bool:
        """Whether nobody was asked for its key yet."""
        return not self.verified and self.attempts <= 1

    @property
    def is_first(self) -> bool:
        """Whether it is the first of a party from which nothing unproven came lately, never tried before."""
        return self.is_new and self.place == 0


def store(tx: Tx, arrival: Arrival, *, now: datetime) -> bool:
    """Keep an arrival; `False` when the very same request was kept before."""
    row = {name: getattr(arrival, name) for name in Arrival.__slots__}
    return insert_new(tx, _table, {**row, "received_at": now, "due_at": now})


def waiting(tx: Tx, *, verified: bool | None = None) -> int:
    """Return how many arrivals wait to take effect."""
    where = [_columns.state == "pending"]
    if verified is not None:
        where.append(_columns.verified == verified)
    return tx.scalar(select(func.count()).where(*where)) or 0


def claim_due(tx: Tx, limit: int, *, now: datetime, under_way: Collection[Received] = ()) -> list[Received]:
    """Lease arrivals whose time has come, in the order they came.

    What is verified, the firsts of strangers and all other strangers have slots apart; `under_way` is what
    the caller holds already.
    """
    strange = [received for received in under_way if not received.verified]
    verified = max(0, VERIFIED_SLOTS - (len(under_way) - len(strange)))
    first = FIRST_SLOTS - sum(received.is_first for received in strange)
    others = OTHER_SLOTS - sum(not received.is_first for received in strange)
    hosts = Counter(received.host for received in strange)
    busy = [host for host, number in hosts.items() if number >= strangers.PER_HOST]
    wanted = (_columns.state == "pending", _columns.verified)
    rows = list(leases.claim(tx, _table, *wanted, now=now, limit=min(limit, verified), also=_COUNTED))
    rows += strangers.claim(tx, min(limit - len(rows), first), first=True, also=_COUNTED, now=now)
    room = min(limit - len(rows), others)
    rows += strangers.claim(tx, room, first=False, busy=busy, also=_COUNTED, now=now)
    names = Received.__slots__
    read = lambda row: Received(**{name: row._mapping[name] for name in names})  # noqa: E731
    found = aside.claimed(tx, rows, _columns.due_at, read, now=now)
    return sorted(found, key=lambda received: received.id)


def done(tx: Tx, received_id: int, reason: str | None = None, *, now: datetime) -> None:
    """Close an arrival that took effect, or rightly had none; its body is not kept."""
    _close(tx, received_id, "done", reason, now=now)


def refused(tx: Tx, received_id: int, reason: str, *, now: datetime) -> None:
    """Close an arrival that was not what it claimed to be."""
    _close(tx, received_id, "refused", reason, now=now)


def later(tx: Tx, received_id: int, reason: str, *, due_at: datetime, counts: bool = True) -> None:
    """Try an arrival again; `counts`: another server was asked in vain, and not just us too busy to."""
    attempts = _columns.attempts if counts else _columns.attempts - 1
    values = {"due_at": due_at, "leased": False, "reason": reason, "attempts": attempts}
    _settle(tx, received_id, values)


def renew(tx: Tx, ids: Collection[int], *, now: datetime) -> int:
    """Extend the leases of arrivals that are under way here."""
    return leases.renew(tx, _table, ids, now=now)


def failed(tx: Tx, received_id: int, reason: str, *, now: datetime) -> bool:
    """Record that an arrival could not take effect for a fault of ours; say whether it is set aside.

    It keeps its body, for whoever looks for the fault, until it is purged with what is closed.
    """
    here = _columns.id == received_id
    failures = 1 + (tx.scalar(select(_columns.failures).where(here)) or 0)
    values: dict[str, Any] = {"failures": failures, "reason": reason, "leased": False}
    if failures >= QUARANTINE_AFTER:
        values |= {"state": "quarantined", "settled_at": now}
    else:
        values["due_at"] = now + FAILURE_PAUSE * failures
    _settle(tx, received_id, values)
    return failures >= QUARANTINE_AFTER


def stuck_since(tx: Tx, *, now: datetime) -> datetime | None:
    """Return since when the oldest verified arrival should have had its effect, if it waits for nothing."""
    oldest = select(func.min(_columns.received_at)).where(
        _columns.state == "pending",
        _columns.verified,
        _columns.reason.is_(None),  # with one it waits: for another server, or after a failure
        _columns.received_at < now - STUCK_AFTER,
    )
    since: datetime | None = tx.scalar(oldest)
    return since


def recover(tx: Tx, *, now: datetime) -> int:
    """Make everything a dead worker held due at once; only when no other worker can be alive."""
    return leases.recover(tx, _table, _columns.state == "pending", now=now, leased=False)


def is_waiting(tx: Tx, received_id: int) -> bool:
    """Say whether an arrival is still to take effect: it is not when its actor was erased meanwhile."""
    here = (_columns.id == received_id, _columns.state == "pending")
    return tx.execute(select(_columns.id).where(*here)).first() is not None


def awaits(tx: Tx, actor_id: str, kind: str) -> bool:
    """Say whether an activity of this type by this actor waits to take effect."""
    waiting = (_columns.state == "pending", _columns.actor_id == actor_id, _columns.type == kind)
    return tx.execute(select(_columns.id).where(*waiting).limit(1)).first() is not None


def see(tx: Tx, key: str, *, now: datetime) -> bool:
    """Remember an act by its key; `False` when it took effect before."""
    return insert_new(tx, schema.seen, {"activity_id": key, "seen_at": now})


def was_seen(tx: Tx, *keys: str) -> bool:
    """Say whether an act took effect before, under one of these keys."""
    known = schema.seen.c.activity_id.in_(keys)
    return tx.execute(select(schema.seen.c.activity_id).where(known)).first() is not None


def unsee(tx: Tx, key: str) -> bool:
    """Forget that an act took effect, so that it may again; `False` when nothing was known of it."""
    return tx.execute(delete(schema.seen).where(schema.seen.c.activity_id == key)).rowcount > 0


def undo(tx: Tx, key: str, *, signed_at: datetime | None = None, came: bool = False, now: datetime) -> None:
    """Remember that something is undone, so that a late or replayed original has no effect.

    The same id may be used for the same act again, signed later: `comes_late` tells them apart. `came`: what
    is undone had taken effect.
    """
    undone = schema.undone.c
    came = unsee(tx, key) or came
    came = came or bool(tx.scalar(select(undone.came).where(undone.key == key)))
    upsert(tx, schema.undone, {"key": key}, {"undone_at": now, "signed_at": signed_at or now, "came": came})


def undone_at(tx: Tx, key: str) -> datetime | None:
    """Return when its sender says that something was undone."""
    undone = schema.undone.c
    moment: datetime | None = tx.scalar(select(undone.signed_at).where(undone.key == key))
    return moment


def comes_late(tx: Tx, key: str, *, signed_at: datetime, after_all: bool) -> bool:
    """Say whether this is the original of something undone before, and not the same act done once more.

    It is late when it was signed no later than its Undo. Servers sign anew when they try again: so the first
    that comes after an Undo that came first is taken for the original too, unless `after_all` it may count.
    """
    undone = schema.undone.c
    found = tx.execute(
        select(undone.signed_at, undone.undone_at, undone.came).where(undone.key == key)
    ).first()
    if found is None:
        return False
    if signed_at <= (found.signed_at or found.undone_at) or not (found.came or after_all):
        tx.execute(update(schema.undone).where(undone.key == key).values(came=True))
        return True
    tx.execute(delete(schema.undone).where(undone.key == key))
    return False


def was_undone(tx: Tx, key: str) -> bool:
    """Say whether an Undo for this came already."""
    return tx.execute(select(schema.undone.c.key).where(schema.undone.c.key == key)).first() is not None


def count_ignored(tx: Tx, kind: str, *, now: datetime) -> None:
    """Count an activity of a type we take no interest in; at most `MOST_IGNORED` types are told apart."""
    columns = schema.ignored.c
    known = update(schema.ignored).where(columns.type == kind[:60])
    if tx.execute(known.values(count=columns.count + 1, last_at=now)).rowcount:
        return
    if (tx.scalar(select(func.count()).select_from(schema.ignored)) or 0) < MOST_IGNORED:
        insert_new(tx, schema.ignored, {"type": kind[:60], "count": 1, "last_at": now})


Trouble = tuple[datetime, str, str, str]
"""(received, type, host, why) of an arrival."""


def trouble(tx: Tx, *, limit: int = 10) -> list[Trouble]:
    """Return the newest refused arrivals."""
    return _troubles(tx, "refused", limit)


def delayed(tx: Tx, *, limit: int = 10) -> list[Trouble]:
    """Return the newest arrivals that could not take effect yet."""
    return _troubles(tx, "pending", limit)


def set_aside(tx: Tx, *, limit: int = 10) -> list[Trouble]:
    """Return the newest arrivals that are quarantined."""
    return _troubles(tx, "quarantined", limit)


def _troubles(tx: Tx, state: str, limit: int) -> list[Trouble]:
    query = select(_columns.received_at, _columns.type, _columns.host, _columns.reason)
    query = query.where(_columns.state == state, _columns.reason.is_not(None))
    return [
        (row[0], row[1], row[2], row[3])
        for row in tx.execute(query.order_by(_columns.id.desc()).limit(limit))
    ]


def purge(tx: Tx, *, now: datetime, limit: int = 500) -> int:
    """Forget what is older than a week and closed, at most `limit` rows of a table; return the most."""
    before, seen, undone = now - SEEN_FOR, schema.seen.c, schema.undone.c
    return max(
        _forget(tx, _columns.id, _columns.received_at < before, _columns.state != "pending", limit=limit),
        _forget(tx, seen.activity_id, seen.seen_at < before, limit=limit),
        _forget(tx, undone.key, undone.undone_at < before, limit=limit),
    )


def _forget(tx: Tx, key: Column[Any], *old: ColumnElement[bool], limit: int) -> int:
    chosen = leases.once(select(key).where(*old).limit(limit))
    return tx.execute(delete(key.table).where(key.in_(chosen))).rowcount


def _close(tx: Tx, received_id: int, state: str, reason: str | None, *, now: datetime) -> None:
    erased: dict[str, Any] = {"body": b"", "request": {}}
    _settle(tx, received_id, {"state": state, "reason": reason, "leased": False, "settled_at": now} | erased)


def _settle(tx: Tx, received_id: int, values: Mapping[str, Any]) -> None:
    mine = (_columns.id == received_id, leases.is_ours(tx, _table))
    tx.execute(update(_table).where(*mine).values(holder=None, **values))
