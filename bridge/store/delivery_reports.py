"""How deliveries fare, as their owner wants to see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    func,
    select,
)

from bridge.model import DeliveryState, DropCause
from bridge.store import aside, schema
from bridge.store.deliveries import is_pending
from bridge.store.engine import Tx

_table = schema.deliveries
_columns = _table.c
_STATES = frozenset(DeliveryState)


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


def counts(tx: Tx) -> dict[DeliveryState, int]:
    """Return state → number of deliveries."""
    rows = tx.execute(select(_columns.state, func.count()).group_by(_columns.state))
    return {DeliveryState(state): number for state, number in rows if state in _STATES}


def quarantined(tx: Tx, *, limit: int = 3) -> list[DeliveryReport]:
    """Return the newest deliveries that were given up because workers died of them."""
    return _reports(tx, [_columns.cause == DropCause.QUARANTINED], limit)


def next_due(tx: Tx) -> datetime | None:
    """Return when the next pending delivery is due."""
    due: datetime | None = tx.scalar(select(func.min(_columns.due_at)).where(is_pending))
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
    return _reports(tx, filters(object_uri, host, state), limit)


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


def filters(
    object_uri: str | None, host: str | None, state: DeliveryState | None
) -> list[ColumnElement[bool]]:
    asked = ((_columns.object_uri, object_uri), (_columns.host, host), (_columns.state, state))
    return [column == value for column, value in asked if value is not None]
