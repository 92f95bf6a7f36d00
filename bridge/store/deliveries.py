"""Deliveries: fanned out with the activity, claimed by lease, settled with a reason people can read."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.sql.dml import ReturningUpdate

from bridge.model import Decision, Delivered, Delivery, DeliveryState, Drop, DropCause, Retry
from bridge.store import aside, deaths, leases, schema, truth
from bridge.store.engine import Tx, tx_holder
from bridge.store.upsert import insert_into

log = logging.getLogger(__name__)

_table = schema.deliveries
_columns = _table.c
DUE = _columns.due_at

# Written into the statements, not bound: a plan that was made for any value uses no partial index.
_PENDING: ColumnElement[str] = literal_column("'pending'")
_ACCEPT: ColumnElement[str] = literal_column("'Accept'")
_pending = _columns.state == _PENDING

PINNING = ("Add", "Remove")

_STATES = frozenset(DeliveryState)

FAST, SLOW, SUSPECT = "fast", "slow", deaths.SUSPECT
"""Lanes: hosts that answer; hosts that lately did not; deliveries that workers died with."""

LANES = (FAST, SLOW, SUSPECT)

SUSPECT_AFTER = deaths.SUSPECT_AFTER
QUARANTINE_AFTER = 5  # deaths of workers with nothing else under way

_CLAIMED = ("activity_pk", *(name for name in Delivery.__slots__ if name != "body"))


@dataclass(frozen=True, slots=True)
class NewActivity:
    """An activity about to be stored with its exact bytes."""

    site: str
    uri: str
    type: str
    object_uri: str
    body: bytes
    post_pk: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery as its owner wants to see it."""

    id: int
    site: str
    type: str
    object_uri: str
    host: str
    inbox: str
    state: DeliveryState
    attempts: int
    status: int | None
    reason: str | None
    due_at: datetime
    last_attempt_at: datetime | None
    settled_at: datetime | None


# ── publishing side ───────────────────────────────────────────────────────────────────────────────


def add_activity(tx: Tx, new: NewActivity, *, now: datetime) -> int:
    """Store an activity and return its row's key."""
    values = {name: getattr(new, name) for name in NewActivity.__slots__}
    statement = insert(schema.activities).values(**values, created_at=now)
    pk: int = tx.execute(statement.returning(schema.activities.c.pk)).scalar_one()
    return pk


def has_activity(tx: Tx, uri: str) -> bool:
    """Say whether an activity of this id was stored before."""
    return tx.execute(select(literal(1)).where(schema.activities.c.uri == uri)).first() is not None


def activity_body(tx: Tx, uri: str) -> bytes | None:
    """Return an activity's newest bytes."""
    columns = schema.activities.c
    newest = select(columns.body).where(columns.uri == uri).order_by(columns.pk.desc()).limit(1)
    body: bytes | None = tx.scalar(newest)
    return body


def fan_out(
    tx: Tx, activity_pk: int, new: NewActivity, *, now: datetime, leave_out: Collection[str] = ()
) -> int:
    """Queue one delivery per distinct (shared) inbox of everyone the activity concerns; return how many.

    Creates go to the followers; Updates and Deletes of a post also to everyone who replied, liked or
    boosted, and a Delete to every inbox that may ever have taken the post, or remote copies would rot.
    Inboxes whose Create waits unsent are left out of Updates: `merge_into_create` has changed it.
    """
    audience = union(*_audiences(new)).subquery()
    unsent = exists().where(
        _columns.inbox == audience.c.inbox, _columns.object_uri == new.object_uri, *_unsent_create()
    )
    watched = schema.inboxes.c
    unproven = exists().where(
        watched.inbox == audience.c.inbox, watched.foreign, watched.took_at.is_(None)
    )  # their Accept comes first: who did not ask for it takes none
    chosen = select(audience.c.inbox, audience.c.host)
    chosen = chosen.where(~unproven, audience.c.inbox.not_in(leave_out))
    if new.type not in PINNING:  # which no Create says, and which waits until that is there
        chosen = chosen.where(~unsent)
    return _enqueue(tx, activity_pk, new, chosen.subquery(), now=now)


def bid_farewell(tx: Tx, activity_pk: int, new: NewActivity, *, now: datetime) -> int:
    """Queue a site's last word for everyone who may know it; return how many deliveries that made.

    That is who follows or asked to, who ever did something with a post of it, and every inbox that took
    anything from it.
    """
    people, actors, said = schema.followers.c, schema.remote_actors.c, schema.interactions.c
    theirs = func.coalesce(actors.shared_inbox, actors.inbox).label("inbox")
    spoke = schema.remote_actors.join(schema.interactions, actors.id == said.actor_id)
    # Answers went to a person's own inbox: their server need not be told twice.
    is_behind = and_(actors.inbox == _columns.inbox, actors.host == _columns.host)
    took = (
        select(func.coalesce(actors.shared_inbox, _columns.inbox), _columns.host)
        .select_from(_table.outerjoin(schema.remote_actors, is_behind))
        .where(_columns.site == new.site, _columns.state == DeliveryState.DELIVERED)
    )
    inbox = func.coalesce(people.shared_inbox, people.inbox).label("inbox")
    audience = union(
        select(inbox, people.host).where(people.site == new.site),
        select(theirs, actors.host).select_from(spoke).where(said.site == new.site),
        took,
    )
    return _enqueue(tx, activity_pk, new, audience.subquery(), now=now)


def deliver_to(tx: Tx, activity_pk: int, new: NewActivity, inbox: str, host: str, *, now: datetime) -> int:
    """Queue an activity for one inbox."""
    target = select(literal(inbox).label("inbox"), literal(host).label("host")).subquery()
    return _enqueue(tx, activity_pk, new, target, now=now)


def merge_into_create(tx: Tx, new_create: NewActivity, *, now: datetime) -> int:
    """Let every Create of the object that was never tried carry the object's new content instead."""
    waiting = and_(_columns.object_uri == new_create.object_uri, *_unsent_create())
    if not tx.scalar(select(func.count()).where(waiting)):
        return 0
    newer = add_activity(tx, new_create, now=now)
    return tx.execute(update(_table).where(waiting).values(activity_pk=newer)).rowcount


def unsent_inboxes(tx: Tx, object_uri: str) -> list[str]:
    """Return the inboxes that were never even tried with the object: they need not hear of its end."""
    unsent = select(_columns.inbox).where(_columns.object_uri == object_uri, *_unsent_create())
    return list(tx.scalars(unsent))


def supersede(
    tx: Tx,
    object_uri: str,
    types: Collection[str],
    reason: str,
    *,
    site: str | None = None,
    cause: DropCause = DropCause.SUPERSEDED,
    now: datetime,
) -> int:
    """Drop what is still queued about an object, by one site or all, because something newer says it all."""
    queued = and_(_pending, ~_columns.leased, _columns.object_uri == object_uri, _columns.type.in_(types))
    if site is not None:
        queued = and_(queued, _columns.site == site)
    return tx.execute(update(_table).where(queued).values(_dropped(reason, cause, now=now))).rowcount


def _unsent_create() -> tuple[ColumnElement[bool], ...]:
    # Not `attempts == 0`: an attempt that was interrupted is not counted, but may have arrived.
    return _pending, ~_columns.leased, _columns.type == "Create", _columns.last_attempt_at.is_(None)


def _audiences(new: NewActivity) -> Iterable[Select[Any]]:
    people, actors, said = schema.followers.c, schema.remote_actors.c, schema.interactions.c
    target = func.coalesce(people.shared_inbox, people.inbox).label("inbox")
    yield select(target, people.host).where(people.site == new.site, people.state == "accepted")
    if new.post_pk is None or new.type == "Create":
        return
    theirs = func.coalesce(actors.shared_inbox, actors.inbox).label("inbox")
    spoke = schema.remote_actors.join(schema.interactions, actors.id == said.actor_id)
    yield select(theirs, actors.host).select_from(spoke).where(said.post_pk == new.post_pk)
    if new.type == "Delete":
        yield select(_columns.inbox, _columns.host).where(
            _columns.object_uri == new.object_uri, _may_have_arrived()
        )


def _may_have_arrived() -> ColumnElement[bool]:
    """An attempt without an answer may have arrived all the same, whatever became of its delivery."""
    said_no = _columns.cause.in_((DropCause.REFUSED, DropCause.GONE, DropCause.UNUSABLE))
    tried = _columns.last_attempt_at.is_not(None)
    return or_(
        _columns.state == DeliveryState.DELIVERED, and_(tried, or_(_columns.cause.is_(None), ~said_no))
    )


def _enqueue(tx: Tx, activity_pk: int, new: NewActivity, target: Any, *, now: datetime) -> int:
    """One INSERT … SELECT; a failing host's deliveries start in the slow lane, after its breaker."""
    peers, watched = schema.peers.c, schema.inboxes.c
    is_open = or_(peers.open_until > now, watched.open_until > now)
    until = case((peers.open_until > func.coalesce(watched.open_until, now), peers.open_until),
                 (watched.open_until > now, watched.open_until), else_=now)  # fmt: skip
    lane = case((or_(peers.failures > 0, watched.failures > 0), SLOW), else_=FAST)
    known = target.outerjoin(schema.peers, peers.host == target.c.host)
    rows = (
        select(
            literal(activity_pk), literal(new.site), target.c.inbox, target.c.host, literal(new.type),
            literal(new.object_uri, _columns.object_uri.type), lane, until, case((is_open, now)),
        ).distinct().select_from(known.outerjoin(schema.inboxes, watched.inbox == target.c.inbox))
    )  # fmt: skip
    names = ["activity_pk", "site", "inbox", "host", "type", "object_uri", "lane", "due_at", "own_due_at"]
    # SQLite reads the ON of ON CONFLICT as a join's unless a WHERE stands between.
    statement = insert_into(tx, _table).from_select(names, rows.where(literal(1) == 1))
    return tx.execute(statement.on_conflict_do_nothing()).rowcount


# ── sending side ──────────────────────────────────────────────────────────────────────────────────


def is_anything_due(tx: Tx, lane: str, *, now: datetime) -> bool:
    """Say whether a claim could find anything in a lane."""
    due = select(_columns.id).where(_pending, _columns.lane == lane, _columns.due_at <= now).limit(1)
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
        _mark(tx, lethal, **_dropped(reason, DropCause.QUARANTINED, now=now))
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
        earlier.c.state == _PENDING,
        earlier.c.inbox == _columns.inbox,
        earlier.c.object_uri == _columns.object_uri,
        earlier.c.id < _columns.id,
    )
    accept = _table.alias("accept")
    unaccepted = exists().where(
        accept.c.state == _PENDING,
        accept.c.host == _columns.host,
        accept.c.type == _ACCEPT,
        or_(accept.c.due_at <= moment, accept.c.leased),  # one that is held back holds nobody back
        or_(accept.c.attempts == 0, and_(accept.c.attempts == 1, accept.c.leased)),
        accept.c.id < _columns.id,
    )
    due = (
        select(_columns.id, _columns.host, _columns.due_at)
        .where(_pending, in_lane, _columns.due_at <= moment, ~busy)
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
                _mark(tx, [delivery.id], status=status, **_dropped(reason, why, now=now))
    for status, ids in delivered.items():
        done = {"state": DeliveryState.DELIVERED, "settled_at": now, "reason": None}
        _mark(tx, ids, status=status, **done)


def _dropped(reason: str, cause: DropCause, *, now: datetime) -> dict[str, Any]:
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
    leases.recover(tx, _table, _pending, now=now)
    return deaths.bury(tx, now=now)


def hold_host(tx: Tx, host: str, until: datetime) -> None:
    """Keep everything for a host back while its breaker is open."""
    _hold(tx, _columns.host == host, until)


def hold_inbox(tx: Tx, inbox: str, until: datetime) -> None:
    """Keep everything for one inbox back while its breaker is open."""
    _hold(tx, _columns.inbox == inbox, until)


def _hold(tx: Tx, whose: ColumnElement[bool], until: datetime) -> None:
    waiting = and_(_pending, whose, ~_columns.leased)
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
    waited = and_(_pending, whose, ~_columns.leased, _columns.own_due_at.is_not(None))
    ready = and_(waited, _columns.own_due_at <= now, _columns.lane == SLOW)
    tx.execute(update(_table).where(ready).values(due_at=now, lane=FAST, own_due_at=None))
    tx.execute(update(_table).where(waited).values(due_at=_columns.own_due_at, own_due_at=None))


def give_up_site(tx: Tx, site: str, reason: str, *, now: datetime) -> int:
    """Give up whatever a site still had to say."""
    waiting = and_(_pending, _columns.site == site, ~_columns.leased)
    gone = _dropped(reason, DropCause.DELETED, now=now)
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
    values = _dropped(reason, DropCause.LEFT, now=now)
    return tx.execute(update(_table).where(_pending, *theirs).values(values)).rowcount


# ── for the owner ─────────────────────────────────────────────────────────────────────────────────


def counts(tx: Tx) -> dict[DeliveryState, int]:
    """Return state → number of deliveries."""
    rows = tx.execute(select(_columns.state, func.count()).group_by(_columns.state))
    return {DeliveryState(state): number for state, number in rows if state in _STATES}


def quarantined(tx: Tx, *, limit: int = 3) -> list[DeliveryReport]:
    """Return the newest deliveries that were given up because workers died of them."""
    return _reports(tx, [_columns.cause == DropCause.QUARANTINED], limit)


def next_due(tx: Tx) -> datetime | None:
    """Return when the next pending delivery is due."""
    due: datetime | None = tx.scalar(select(func.min(_columns.due_at)).where(_pending))
    return due


def report(
    tx: Tx,
    *,
    object_uri: str | None = None,
    host: str | None = None,
    state: DeliveryState | None = None,
    limit: int = 50,
) -> list[DeliveryReport]:
    """Return deliveries, newest first."""
    return _reports(tx, _filters(object_uri, host, state), limit)


def _reports(tx: Tx, where: Sequence[ColumnElement[bool]], limit: int) -> list[DeliveryReport]:
    query = select(_table).where(*where).order_by(_columns.id.desc()).limit(limit)
    names = DeliveryReport.__slots__
    rows = tx.execute(query)
    return aside.legible(
        rows,
        _table,
        lambda row: DeliveryReport(
            **{n: row._mapping[n] for n in names} | {"state": DeliveryState(row.state)}
        ),
    )


def summary(tx: Tx, *, limit: int = 20) -> list[tuple[str, str, str, datetime, dict[DeliveryState, int]]]:
    """Return (site, type, object, first queued, state → number) of the newest activities' deliveries."""
    acts = schema.activities.c
    newest = select(acts.pk).where(acts.pk.in_(select(_columns.activity_pk))).order_by(acts.pk.desc())
    query = (
        select(acts.pk, acts.site, acts.type, acts.object_uri, acts.created_at, _columns.state, func.count())
        .join(_table, _columns.activity_pk == acts.pk)
        .where(acts.pk.in_(newest.limit(limit)))
        .group_by(acts.pk, acts.site, acts.type, acts.object_uri, acts.created_at, _columns.state)
        .order_by(acts.pk.desc())
    )
    found: dict[int, tuple[str, str, str, datetime, dict[DeliveryState, int]]] = {}
    for pk, site, kind, uri, created_at, state, number in tx.execute(query):
        if state in _STATES:
            found.setdefault(pk, (site, kind, uri, created_at, {}))[4][DeliveryState(state)] = number
    return list(found.values())


def retry(
    tx: Tx,
    *,
    ids: Collection[int] = (),
    object_uri: str | None = None,
    host: str | None = None,
    now: datetime,
) -> int:
    """Send again now what is still true: dropped deliveries start afresh, pending ones stop waiting.

    Only what failed for the peer's sake comes back; what was superseded or deleted stays given up. Return
    how many are due.
    """
    where = _filters(object_uri, host, None)
    if ids:
        where.append(_columns.id.in_(ids))
    failed = and_(_columns.state == DeliveryState.DROPPED, _columns.cause.in_(truth.FOR_THE_PEERS_SAKE))
    where += [or_(_pending, failed), ~_columns.leased]
    wanted = truth.also_wanted(tx, where)
    afresh = {"attempts": 0, "losses": 0, "first_attempt_at": None, "settled_at": None, "cause": None}
    afresh |= {"own_due_at": None, "crowded": 0}
    again = {"state": DeliveryState.PENDING, "due_at": now, "lane": FAST, **afresh}
    sendable = or_(_pending, truth.is_true(), _columns.id.in_(wanted))
    return tx.execute(update(_table).where(sendable, *where).values(again)).rowcount


def creates_to_begin(tx: Tx, *, now: datetime) -> list[str]:
    """Return the objects whose Creates begin afresh now."""
    return list(tx.scalars(select(_columns.object_uri).where(*_to_begin(now)).distinct()))


def renew_creates(tx: Tx, new: NewActivity, *, now: datetime) -> None:
    """Let the Creates of an object that begin afresh now carry its new content, if it has any."""
    begins = and_(_columns.object_uri == new.object_uri, *_to_begin(now))
    bodies = select(schema.activities.c.body).join(_table, _columns.activity_pk == schema.activities.c.pk)
    if set(tx.scalars(bodies.where(begins).distinct())) - {new.body}:
        tx.execute(update(_table).where(begins).values(activity_pk=add_activity(tx, new, now=now)))


def _to_begin(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        _pending,
        ~_columns.leased,
        _columns.type == "Create",
        _columns.attempts == 0,
        _columns.due_at == now,
    )


def purge(tx: Tx, *, before: datetime, limit: int = 500) -> int:
    """Forget up to `limit` deliveries settled before `before`; return how many. The activities stay.

    They are found by the age of their activities: an index on `settled_at` would cost more than it brings.
    """
    old = (_columns.activity_pk <= _last_before(tx, before), _columns.settled_at < before)
    chosen = select(_columns.id).where(*old, _columns.state != _PENDING).limit(limit)
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


def _filters(
    object_uri: str | None, host: str | None, state: DeliveryState | None
) -> list[ColumnElement[bool]]:
    asked = ((_columns.object_uri, object_uri), (_columns.host, host), (_columns.state, state))
    return [column == value for column, value in asked if value is not None]


def _bodies(tx: Tx, pks: Collection[int]) -> dict[int, bytes]:
    columns = schema.activities.c
    rows = tx.execute(select(columns.pk, columns.body).where(columns.pk.in_(pks)))
    return dict(aside.legible(rows, schema.activities, lambda row: (row.pk, row.body)))


def _delivery(row: Row[Any], body: bytes) -> Delivery:
    values = row._asdict()
    del values["activity_pk"]
    return Delivery(**values, body=body)
