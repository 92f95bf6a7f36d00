"""What is to be sent: activities with their exact bytes, and a delivery for each inbox that gets one."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union,
    update,
)

from bridge.model import DeliveryState, DropCause
from bridge.store import schema, truth
from bridge.store.deliveries import FAST, SLOW, dropped, is_pending
from bridge.store.delivery_reports import filters
from bridge.store.engine import Tx
from bridge.store.upsert import insert_into

PINNING = ("Add", "Remove")

_table = schema.deliveries
_columns = _table.c


@dataclass(frozen=True, slots=True)
class NewActivity:
    """An activity about to be stored with its exact bytes."""

    site: str
    uri: str
    type: str
    object_uri: str
    body: bytes
    post_pk: int | None = None


def add_activity(tx: Tx, new: NewActivity, *, now: datetime) -> int:
    """Store an activity and return its row's key."""
    values = {name: getattr(new, name) for name in NewActivity.__slots__}
    statement = insert(schema.activities).values(**values, created_at=now)
    pk: int = tx.execute(statement.returning(schema.activities.c.pk)).scalar_one()
    return pk


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
    queued = and_(is_pending, ~_columns.leased, _columns.object_uri == object_uri, _columns.type.in_(types))
    if site is not None:
        queued = and_(queued, _columns.site == site)
    return tx.execute(update(_table).where(queued).values(dropped(reason, cause, now=now))).rowcount


def _unsent_create() -> tuple[ColumnElement[bool], ...]:
    # Not `attempts == 0`: an attempt that was interrupted is not counted, but may have arrived.
    return is_pending, ~_columns.leased, _columns.type == "Create", _columns.last_attempt_at.is_(None)


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


# ── sent again ───────────────────────────────────────────────────────────────────────────────────


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
    where = filters(object_uri, host, None)
    if ids:
        where.append(_columns.id.in_(ids))
    failed = and_(_columns.state == DeliveryState.DROPPED, _columns.cause.in_(truth.FOR_THE_PEERS_SAKE))
    where += [or_(is_pending, failed), ~_columns.leased]
    wanted = truth.also_wanted(tx, where)
    afresh = {"attempts": 0, "losses": 0, "first_attempt_at": None, "settled_at": None, "cause": None}
    afresh |= {"own_due_at": None, "crowded": 0}
    again = {"state": DeliveryState.PENDING, "due_at": now, "lane": FAST, **afresh}
    sendable = or_(is_pending, truth.is_true(), _columns.id.in_(wanted))
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
        is_pending,
        ~_columns.leased,
        _columns.type == "Create",
        _columns.attempts == 0,
        _columns.due_at == now,
    )
