"""Deliveries on their way: claimed by lease, settled with a reason people can read, held back and let go.

`outgoing` makes them, `delivery_reports` shows how they fare.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.sql.dml import ReturningUpdate

from bridge.model import Decision, Delivered, Delivery, DeliveryState, Drop, DropCause, Retry
from bridge.store import aside, deaths, leases, schema, truth
from bridge.store.engine import Tx, tx_holder

log = logging.getLogger(__name__)

_table = schema.deliveries
_columns = _table.c
DUE = _columns.due_at

# Written into the statements, not bound: a plan that was made for any value uses no partial index.
PENDING: ColumnElement[str] = literal_column("'pending'")
_ACCEPT: ColumnElement[str] = literal_column("'Accept'")
is_pending = _columns.state == PENDING

FAST, SLOW, SUSPECT = "fast", "slow", deaths.SUSPECT
"""Lanes: hosts that answer; hosts that lately did not; deliveries that workers died with."""

LANES = (FAST, SLOW, SUSPECT)

SUSPECT_AFTER = deaths.SUSPECT_AFTER
QUARANTINE_AFTER = 5  # deaths of workers with nothing else under way

_CLAIMED = ("activity_pk", *(name for name in Delivery.__slots__ if name != "body"))


def is_anything_due(tx: Tx, lane: str, *, now: datetime) -> bool:
    """Say whether a claim could find anything in a lane."""
    due = select(_columns.id).where(is_pending, _columns.lane == lane, _columns.due_at <= now).limit(1)
    return tx.execute(due).first() is not None


def claim(
    tx: Tx, limit: int, *, lane: str, busy: Collection[str], per_host: int, now: datetime
) -> list[Delivery]:
    """Lease due deliveries of a lane, at most `per_host` of a host and none of the `busy` hosts.

    Within an inbox an object's news keeps its order, and nothing overtakes the first try of an Accept
    to the same host (Mastodon drops posts of actors nobody there follows yet).
    """
    asked = {
        "room": limit,
        "holder": tx_holder(tx),
        "looked_at": 4 * limit,
        "this_lane": lane,
        "busy_hosts": list(busy),
    }
    times = {"moment": now, "until": now + leases.LEASE}
    deaths.bury(tx, now=now)
    found = tx.execute(_claim(), {**asked, **times, "most_per_host": per_host}).all()
    rows = aside.claimed(tx, found, _columns.due_at, lambda row: row, now=now)
    harmless = _set_aside(tx, rows, lane, now=now)
    bodies = _bodies(tx, {row.activity_pk for row in harmless})
    read = lambda row: _delivery(row, bodies[row.activity_pk])  # noqa: E731
    return aside.claimed(tx, harmless, _columns.due_at, read, now=now)


def _set_aside(tx: Tx, rows: Sequence[Row[Any]], lane: str, *, now: datetime) -> list[Row[Any]]:
    """Move what workers keep dying with to a lane where it runs alone, and in the end give it up.

    This happens before anything is sent: what kills a worker leaves it no time to judge afterwards.
    """
    lethal = [row.id for row in rows if row.losses >= QUARANTINE_AFTER]
    suspect = [row.id for row in rows if SUSPECT_AFTER <= row.losses < QUARANTINE_AFTER and lane != SUSPECT]
    if lethal:
        reason = f"quarantined: the worker died {QUARANTINE_AFTER} times while sending this"
        log.error("Deliveries %s given up: %s, and nothing else. Please report.", lethal, reason)
        _mark(tx, lethal, **dropped(reason, DropCause.QUARANTINED, now=now))
    if suspect:
        _mark(tx, suspect, lane=SUSPECT, due_at=now, attempts=_columns.attempts - 1)
    aside = {*lethal, *suspect}
    return [row for row in rows if row.id not in aside]


@cache
def _claim() -> ReturningUpdate[Any]:
    """Build the claim once: putting it together takes SQLAlchemy longer than SQLite takes to run it."""
    moment = bindparam("moment", type_=schema.Moment)
    counted = {
        "attempts": _columns.attempts + 1,
        "first_attempt_at": func.coalesce(_columns.first_attempt_at, moment),
        "last_attempt_at": moment,
    }
    until = bindparam("until", type_=schema.Moment)
    holder = bindparam("holder", type_=Integer)
    claimed = leases.taking(_table, _due(), until=until, holder=holder, also=counted)
    return claimed.returning(*(_columns[name] for name in _CLAIMED))


def _due() -> Select[tuple[int]]:
    moment = bindparam("moment", type_=schema.Moment)
    in_lane = _columns.lane == bindparam("this_lane")
    busy = _columns.host.in_(bindparam("busy_hosts", expanding=True))
    earlier = _table.alias("earlier")
    overtaken = exists().where(
        earlier.c.state == PENDING,
        earlier.c.inbox == _columns.inbox,
        earlier.c.object_uri == _columns.object_uri,
        earlier.c.id < _columns.id,
    )
    accept = _table.alias("accept")
    unaccepted = exists().where(
        accept.c.state == PENDING,
        accept.c.host == _columns.host,
        accept.c.type == _ACCEPT,
        or_(accept.c.due_at <= moment, accept.c.leased),  # one that is held back holds nobody back
        or_(accept.c.attempts == 0, and_(accept.c.attempts == 1, accept.c.leased)),
        accept.c.id < _columns.id,
    )
    due = (
        select(_columns.id, _columns.host, _columns.due_at)
        .where(is_pending, in_lane, _columns.due_at <= moment, ~busy)
        .where(~overtaken, or_(_columns.type == _ACCEPT, ~unaccepted))
        .order_by(_columns.due_at)  # nothing more: it is the index's order, so PostgreSQL stops at the limit
        .limit(bindparam("looked_at"))
        .with_for_update(skip_locked=True)
        .subquery()
    )
    place = func.row_number().over(partition_by=due.c.host, order_by=(due.c.due_at, due.c.id))
    ranked = select(due.c.id, due.c.due_at, place.label("place")).subquery()
    allowed = ranked.c.place <= bindparam("most_per_host")
    return select(ranked.c.id).where(allowed).order_by(ranked.c.due_at).limit(bindparam("room"))


def settle(tx: Tx, decided: Sequence[tuple[Delivery, Decision]], *, now: datetime) -> None:
    """Record how attempts went."""
    delivered: dict[int, list[int]] = {}
    for delivery, decision in decided:
        match decision:
            case Delivered(status):
                delivered.setdefault(status, []).append(delivery.id)
            case Retry(due_at, reason, status, counts=False):
                uncounted = {"attempts": _columns.attempts - 1}
                _mark(tx, [delivery.id], due_at=due_at, reason=reason, status=status, **uncounted)
            case Retry(due_at, reason, status, host_down):
                own = {"own_due_at": now if host_down else None, "lane": _lane(delivery), "crowded": 0}
                _mark(tx, [delivery.id], due_at=due_at, reason=reason, status=status, **own)
            case Drop(reason, status, gone, cause):
                why = DropCause.GONE if gone else cause
                _mark(tx, [delivery.id], status=status, **dropped(reason, why, now=now))
    for status, ids in delivered.items():
        done = {"state": DeliveryState.DELIVERED, "settled_at": now, "reason": None}
        _mark(tx, ids, status=status, **done)


def dropped(reason: str, cause: DropCause, *, now: datetime) -> dict[str, Any]:
    """Return what says of a delivery that it is given up."""
    return {"state": DeliveryState.DROPPED, "reason": reason, "cause": cause, "settled_at": now}


def _lane(delivery: Delivery) -> str:
    return SUSPECT if delivery.losses >= SUSPECT_AFTER else SLOW


def _mark(tx: Tx, ids: Sequence[int], **values: Any) -> None:
    mine = and_(_columns.id.in_(ids), leases.is_ours(tx, _table))
    tx.execute(update(_table).where(mine).values(leased=False, holder=None, **values))


def release(tx: Tx, ids: Collection[int], *, now: datetime) -> None:
    """Give back deliveries that were claimed but never begun; the attempt does not count."""
    _mark(tx, list(ids), due_at=now, attempts=_columns.attempts - 1)


def renew(tx: Tx, ids: Collection[int], *, now: datetime) -> int:
    """Extend the leases of deliveries that are under way here."""
    return leases.renew(tx, _table, ids, now=now)


def recover(tx: Tx, *, now: datetime) -> int:
    """Make everything a dead worker held due at once; only when no other worker can be alive."""
    leases.recover(tx, _table, is_pending, now=now)
    return deaths.bury(tx, now=now)


def hold_host(tx: Tx, host: str, until: datetime) -> None:
    """Keep everything for a host back while its breaker is open."""
    _hold(tx, _columns.host == host, until)


def hold_inbox(tx: Tx, inbox: str, until: datetime) -> None:
    """Keep everything for one inbox back while its breaker is open."""
    _hold(tx, _columns.inbox == inbox, until)


def _hold(tx: Tx, whose: ColumnElement[bool], until: datetime) -> None:
    waiting = and_(is_pending, whose, ~_columns.leased)
    tx.execute(update(_table).where(waiting).values(lane=SLOW))
    sooner = and_(waiting, _columns.due_at < until)
    own = func.coalesce(_columns.own_due_at, _columns.due_at)
    tx.execute(update(_table).where(sooner).values(due_at=until, own_due_at=own))


def flush_host(tx: Tx, host: str, *, now: datetime) -> None:
    """A host answers again: send at once what waited for it. A delivery's own pause is not over by that."""
    watched = schema.inboxes.c
    is_open = exists().where(watched.inbox == _columns.inbox, watched.open_until > now)
    _flush(tx, and_(_columns.host == host, ~is_open), now=now)


def flush_inbox(tx: Tx, inbox: str, *, now: datetime) -> None:
    """An inbox answers again: send at once what its breaker held back, and nothing else."""
    peers = schema.peers.c
    is_open = exists().where(peers.host == _columns.host, peers.open_until > now)
    _flush(tx, and_(_columns.inbox == inbox, ~is_open), now=now)


def _flush(tx: Tx, whose: ColumnElement[bool], *, now: datetime) -> None:
    waited = and_(is_pending, whose, ~_columns.leased, _columns.own_due_at.is_not(None))
    ready = and_(waited, _columns.own_due_at <= now, _columns.lane == SLOW)
    tx.execute(update(_table).where(ready).values(due_at=now, lane=FAST, own_due_at=None))
    tx.execute(update(_table).where(waited).values(due_at=_columns.own_due_at, own_due_at=None))


def give_up_site(tx: Tx, site: str, reason: str, *, now: datetime) -> int:
    """Give up whatever a site still had to say."""
    waiting = and_(is_pending, _columns.site == site, ~_columns.leased)
    gone = dropped(reason, DropCause.DELETED, now=now)
    return tx.execute(update(_table).where(waiting).values(gone)).rowcount


def drop_inbox(tx: Tx, site: str, inbox: str, reason: str, *, now: datetime) -> int:
    """Give up what is queued for an inbox whose last follower left, and concerns nobody else behind it.

    Answers are for one person, and a Delete is owed to whoever may hold the post: they stay.
    """
    theirs = [_columns.site == site, _columns.inbox == inbox, ~_columns.leased]
    theirs += [_columns.type.not_in(truth.OWED), _columns.state != DeliveryState.DELIVERED]
    theirs.append(_columns.id.not_in(truth.also_wanted(tx, theirs)))
    failed = and_(_columns.state == DeliveryState.DROPPED, _columns.cause.in_(truth.FOR_THE_PEERS_SAKE))
    tx.execute(update(_table).where(failed, *theirs).values(cause=DropCause.LEFT))
    values = dropped(reason, DropCause.LEFT, now=now)
    return tx.execute(update(_table).where(is_pending, *theirs).values(values)).rowcount


def purge(tx: Tx, *, before: datetime, limit: int = 500) -> int:
    """Forget up to `limit` deliveries settled before `before`; return how many. The activities stay.

    They are found by the age of their activities: an index on `settled_at` would cost more than it brings.
    """
    old = (_columns.activity_pk <= _last_before(tx, before), _columns.settled_at < before)
    chosen = select(_columns.id).where(*old, _columns.state != PENDING).limit(limit)
    return tx.execute(_table.delete().where(_columns.id.in_(leases.once(chosen)))).rowcount


def purge_answers(tx: Tx, *, before: datetime, limit: int) -> int:
    """Forget up to `limit` Accepts and Rejects of before `before` whose deliveries are forgotten.

    There is one for every follower there ever was, and nobody looks at it again.
    """
    acts = schema.activities.c
    answers = (acts.pk <= _last_before(tx, before), acts.type.in_(("Accept", "Reject")))
    sent = exists().where(_columns.activity_pk == acts.pk)
    chosen = select(acts.pk).where(*answers, acts.post_pk.is_(None), ~sent).order_by(acts.pk).limit(limit)
    return tx.execute(schema.activities.delete().where(acts.pk.in_(leases.once(chosen)))).rowcount


def _last_before(tx: Tx, before: datetime) -> int:
    acts = schema.activities.c
    last = select(acts.pk).where(acts.created_at < before).order_by(acts.pk.desc()).limit(1)
    return tx.scalar(last) or 0


def _bodies(tx: Tx, pks: Collection[int]) -> dict[int, bytes]:
    columns = schema.activities.c
    rows = tx.execute(select(columns.pk, columns.body).where(columns.pk.in_(pks)))
    return dict(aside.legible(rows, schema.activities, lambda row: (row.pk, row.body)))


def _delivery(row: Row[Any], body: bytes) -> Delivery:
    values = row._asdict()
    del values["activity_pk"]
    return Delivery(**values, body=body)
