"""Sources: where writing comes from, when each is due, and how its last poll went."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Update, bindparam, case, func, or_, select, update
from sqlalchemy.engine import Row

from bridge.model import Problem
from bridge.store import aside, leases, schema
from bridge.store.engine import Tx, tx_holder
from bridge.store.upsert import insert_new

_LOOKED_AT = 1000  # due sources, of which some may be read now
AHEAD = timedelta(hours=1)
"""By how much a source that somebody called for is due before those that merely are: oldest goes first."""

_table = schema.sources
_columns = _table.c

DUE = _columns.due_at


@dataclass(frozen=True, slots=True)
class Source:
    """A source as its row says; `interval` is the pause it has earned by how often it changes."""

    id: int
    site: str
    name: str
    kind: str
    location: str
    interval: timedelta
    baseline_at: datetime | None
    etag: str | None
    last_modified: str | None
    body_hash: str | None
    moved_to: str | None
    due_at: datetime
    last_polled_at: datetime | None
    last_ok_at: datetime | None
    last_changed_at: datetime | None
    failures: int
    error: str | None
    problems: tuple[Problem, ...]
    findings: tuple[Any, ...]
    size: int | None = None
    shrunk_at: datetime | None = None
    leased: bool = False  # somebody is reading it, or was while it was stored


@dataclass(frozen=True, slots=True)
class SourceForUpdate:
    """What a poll changes of its source; what is `None` beside `error` stays as it is stored.

    `shrunk_at` stays too, unless the source `answered` as it should.
    """

    due_at: datetime
    interval: timedelta
    failures: int
    error: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    moved_to: str | None = None
    problems: tuple[Problem, ...] | None = None
    findings: Sequence[Any] | None = None
    size: int | None = None
    shrunk_at: datetime | None = None
    answered: bool = False
    changed: bool = False


def sync(tx: Tx, wanted: Iterable[tuple[str, str, str, str]], *, interval: timedelta, now: datetime) -> None:
    """Make the table hold exactly the (site, name, kind, location) that config.toml names.

    A source that left the config is kept, inactive: its posts stay, and it may come back. A source that
    points elsewhere now is polled at once, but is not new: its baseline stands.
    """
    tx.execute(update(_table).values(active=False))
    for site, name, kind, location in wanted:
        known = tx.execute(select(_table).where(_columns.site == site, _columns.name == name)).first()
        if known is None:
            row = {"site": site, "name": name, "kind": kind, "location": location}
            seconds = int(interval.total_seconds())
            insert_new(tx, _table, {**row, "due_at": now, "interval_seconds": seconds})
        elif (known.kind, known.location) == (kind, location):
            tx.execute(update(_table).where(_columns.id == known.id).values(active=True))
        else:
            moved = {"kind": kind, "location": location, "due_at": now, "moved_to": None}
            forgotten = {"etag": None, "last_modified": None, "body_hash": None, "failures": 0}
            forgotten |= {"size": None, "shrunk_at": None}
            tx.execute(
                update(_table).where(_columns.id == known.id).values(active=True, **moved, **forgotten)
            )


def retire(tx: Tx, site: str) -> None:
    """Look at the sources of a site no more."""
    tx.execute(update(_table).where(_columns.site == site).values(active=False))


def all_sources(tx: Tx) -> list[Source]:
    """Return every source of the config, by site and name."""
    query = select(_table).where(_columns.active).order_by(_columns.site, _columns.name)
    return aside.legible(tx.execute(query), _table, from_row)


def others(tx: Tx, source_id: int) -> set[int]:
    """Return the ids of all other sources that are in use."""
    return set(tx.scalars(select(_columns.id).where(_columns.active, _columns.id != source_id)))


def claim_due(
    tx: Tx, limit: int, *, choose: Callable[[str, int], bool] = lambda location, failures: True, now: datetime
) -> list[Source]:
    """Lease sources whose time has come, of those that `choose` (location, failures) says may be read now."""
    where = func.coalesce(_columns.moved_to, _columns.location)
    due = select(_columns.id, where, _columns.failures).where(_columns.active, _columns.due_at <= now)
    # Of those that are equally due, who answered last time goes first: a server that hangs makes nobody wait.
    order = (_columns.due_at, _columns.failures, _columns.last_polled_at)
    looked_at = tx.execute(due.order_by(*order).limit(_LOOKED_AT))
    ids = list(islice((row[0] for row in looked_at if choose(row[1], row[2])), limit))
    rows = leases.claim(tx, _table, _columns.active, _columns.id.in_(ids), now=now, limit=limit)
    return aside.claimed(tx, rows, _columns.due_at, from_row, now=now)


def make_due(tx: Tx, ids: Sequence[int] | None = None, *, now: datetime) -> int:
    """Have sources polled now (`None`: all of them), before whatever else is due; return how many."""
    where: list[ColumnElement[bool]] = [_columns.active]
    if ids is not None:
        where.append(_columns.id.in_(ids))
    return tx.execute(update(_table).where(*where).values(due_at=now - AHEAD, leased=False)).rowcount


def make_due_apart(tx: Tx, source_id: int, apart: timedelta, *, now: datetime) -> None:
    """Have a source polled now, or `apart` after the last poll; if one is under way, `apart` from now.

    For callers who may call a thousand times a minute: few polls come of it, and the last call is heard too.
    """
    query = select(_table).where(_columns.id == source_id, _columns.active).with_for_update()
    known = tx.execute(query).first()
    if known is None or (not known.leased and known.due_at <= now + apart):
        return
    polled_at = now if known.leased else known.last_polled_at
    due_at = polled_at + apart if polled_at and polled_at + apart > now else now - AHEAD
    tx.execute(update(_table).where(_columns.id == source_id).values(due_at=due_at, leased=False))


def renew(tx: Tx, ids: Collection[int], *, now: datetime) -> int:
    """Extend the leases of sources that are being read here."""
    return leases.renew(tx, _table, ids, now=now)


def recover(tx: Tx, *, now: datetime) -> int:
    """Make everything a dead worker held due at once; only when no other worker can be alive."""
    return leases.recover(tx, _table, now=now, leased=False)


def is_taken(tx: Tx, source_id: int) -> bool:
    """Say whether another worker has a source since we took it; nobody can take it until `tx` ends.

    What we found in it may be old then, and is not published.
    """
    query = select(_columns.leased, _columns.holder).where(_columns.id == source_id)
    row = tx.execute(query.with_for_update()).first()
    return row is not None and row.leased and row.holder != tx_holder(tx)


def settle(tx: Tx, source_id: int, found: SourceForUpdate, *, now: datetime) -> None:
    """Record how a poll went; a source that was made due meanwhile stays due."""
    settle_all(tx, [(source_id, found)], now=now)


def settle_all(tx: Tx, found: Iterable[tuple[int, SourceForUpdate]], *, now: datetime) -> None:
    """Record how polls went, in one statement: ten thousand sources settle many times a second."""
    rows = [_settled(source_id, one, now) | {"us": tx_holder(tx)} for source_id, one in found]
    if rows:
        tx.execute(_SETTLE, rows)


def _settled(source_id: int, found: SourceForUpdate, now: datetime) -> dict[str, object]:
    problems = found.problems
    return {
        "new_id": source_id,
        "new_due_at": found.due_at,
        "new_interval_seconds": int(found.interval.total_seconds()),
        "new_failures": found.failures,
        "new_error": found.error,
        "new_last_polled_at": now,
        "new_last_ok_at": now if found.answered else None,
        "new_last_changed_at": now if found.changed else None,
        "new_etag": found.etag,
        "new_last_modified": found.last_modified,
        "new_body_hash": found.body_hash,
        "new_moved_to": found.moved_to,
        "new_size": found.size,
        "new_shrunk_at": found.shrunk_at,
        "new_problems": None if problems is None else [[one.where, one.what] for one in problems],
        "new_findings": None if found.findings is None else list(found.findings),
    }


def _new(name: str) -> BindParameter[Any]:
    return bindparam(f"new_{name}", type_=_columns[name].type)


def _settle_statement() -> Update:
    """Build the UPDATE: what is new where something is, what is stored otherwise."""
    always = ("interval_seconds", "failures", "error", "last_polled_at")
    kept = ("last_ok_at", "last_changed_at", "etag", "last_modified", "body_hash", "moved_to", "size")
    values: dict[str, ColumnElement[Any]] = {name: _new(name) for name in always}
    values |= {name: func.coalesce(_new(name), _columns[name]) for name in (*kept, "problems", "findings")}
    values["baseline_at"] = func.coalesce(_columns.baseline_at, _new("last_ok_at"))
    answered = _new("last_ok_at") == _new("last_polled_at")
    values["shrunk_at"] = case((answered, None), else_=func.coalesce(_new("shrunk_at"), _columns.shrunk_at))
    values["due_at"] = case((_columns.leased, _new("due_at")), else_=_columns.due_at)
    ours = or_(~_columns.leased, _columns.holder == bindparam("us", type_=_columns.holder.type))
    return update(_table).where(_columns.id == _new("id"), ours).values(leased=False, **values)


_SETTLE = _settle_statement()


def from_row(row: Row[Any]) -> Source:
    """Return the source that a row of its table holds."""
    stored = row._mapping
    problems = tuple(Problem(where, what) for where, what in stored["problems"] or ())
    interval = timedelta(seconds=stored["interval_seconds"])
    return Source(
        **{name: stored[name] for name in _PLAIN},
        problems=problems,
        interval=interval,
        findings=tuple(stored["findings"] or ()),
    )


_PLAIN = sorted(set(Source.__slots__) - {"problems", "interval", "findings"})
