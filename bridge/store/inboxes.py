"""Inboxes that need watching: those that fail while their host answers, and those on a stranger's host.

An inbox that is neither has no row. `failures` are in a row, as with a peer; `foreign` is an address that an
actor of another host named, and `took_at` when it took something for the first time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select, union, update

from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.upsert import insert_new, upsert

_table = schema.inboxes
_columns = _table.c
_people = schema.followers.c

MOST_UNPROVEN = 10
"""Addresses on one host that actors of other hosts named and that never took anything."""

MOST_FOREIGN = 200
"""Addresses on one host that actors of other hosts named, all in all."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """What we watch of an inbox."""

    inbox: str
    host: str
    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    error: str | None = None
    foreign: bool = False
    took_at: datetime | None = None


_WATCHED = [_columns[name] for name in Inbox.__slots__]


def known(tx: Tx, inboxes: Iterable[str]) -> Mapping[str, Inbox]:
    """Return inbox → what we watch of it, for those that are watched."""
    rows = tx.execute(select(*_WATCHED).where(_columns.inbox.in_(set(inboxes))))
    return {one.inbox: one for one in aside.legible(rows, _table, lambda row: Inbox(**row._mapping))}


def failing(tx: Tx) -> list[Inbox]:
    """Return the inboxes that are left alone for a while, longest first."""
    query = select(*_WATCHED).where(_columns.open_until.is_not(None)).order_by(_columns.failing_since)
    return aside.legible(tx.execute(query), _table, lambda row: Inbox(**row._mapping))


def save(tx: Tx, inbox: Inbox, *, now: datetime) -> None:
    """Record how an inbox is; one that needs no watching any more is forgotten."""
    if not inbox.failures and not inbox.foreign:
        tx.execute(delete(_table).where(_columns.inbox == inbox.inbox))
        return
    values = {name: getattr(inbox, name) for name in Inbox.__slots__ if name != "inbox"}
    upsert(tx, _table, {"inbox": inbox.inbox}, values, at_first={"noted_at": now})


def took(tx: Tx, inbox: str, *, now: datetime) -> None:
    """A foreign inbox took something: it is believed, and so is the shared one of who is behind it."""
    theirs = select(_people.shared_inbox).where(_people.inbox == inbox, _people.shared_inbox.is_not(None))
    proven = or_(_columns.inbox == inbox, _columns.inbox.in_(theirs))
    tx.execute(update(_table).where(proven, _columns.took_at.is_(None)).values(took_at=now))


def admit(tx: Tx, inbox: str, host: str, *, now: datetime) -> bool:
    """Say whether an inbox that an actor of another host names may be delivered to."""
    if tx.scalar(select(_columns.foreign).where(_columns.inbox == inbox)):
        return True
    named = select(func.count(), func.count(_columns.took_at)).where(_columns.host == host, _columns.foreign)
    foreign, proven = tx.execute(named).one()
    if foreign >= MOST_FOREIGN or foreign - proven >= MOST_UNPROVEN:
        return False
    if not insert_new(tx, _table, {"inbox": inbox, "host": host, "foreign": True, "noted_at": now}):
        tx.execute(update(_table).where(_columns.inbox == inbox).values(foreign=True))
    return True


def named(tx: Tx) -> set[tuple[str, str]]:
    """Return (actor, inbox) for every inbox that anyone we know names."""
    actors = schema.remote_actors.c
    pairs = union(
        select(_people.actor_id, _people.inbox),
        select(_people.actor_id, _people.shared_inbox).where(_people.shared_inbox.is_not(None)),
        select(actors.id, actors.inbox),
        select(actors.id, actors.shared_inbox).where(actors.shared_inbox.is_not(None)),
    )
    return {(row[0], row[1]) for row in tx.execute(pairs)}


def is_silent(tx: Tx, inbox: str) -> bool:
    """Say whether an inbox was tried, as far as is remembered, and never took anything."""
    sent = schema.deliveries.c
    tried = select(func.count(), func.count(sent.id).filter(sent.state == "delivered"))
    total, taken = tx.execute(tried.where(sent.inbox == inbox, sent.last_attempt_at.is_not(None))).one()
    return bool(total and not taken)


def all_fail(tx: Tx, host: str, *, at_least: int) -> bool:
    """Say whether every inbox of a host that followers are behind fails, `at_least` so often in all."""
    total = tx.scalar(select(func.sum(_columns.failures)).where(_columns.host == host)) or 0
    target = func.coalesce(_people.shared_inbox, _people.inbox)
    fails = exists().where(_columns.inbox == target, _columns.failures > 0)
    well = select(_people.id).where(_people.host == host, _people.state == "accepted", ~fails).limit(1)
    return total >= at_least and tx.execute(well).first() is None


def failing_on(tx: Tx, host: str) -> list[Inbox]:
    """Return the inboxes of a host that fail."""
    rows = tx.execute(select(*_WATCHED).where(_columns.host == host, _columns.failures > 0))
    return aside.legible(rows, _table, lambda row: Inbox(**row._mapping))


def purge(tx: Tx, *, before: datetime, after: str = "", limit: int = 500) -> str | None:
    """Forget what was noted before then and nobody who follows is behind any more.

    Among the next `limit` after an inbox; returns the last one, `None` when there are no more.
    """
    query = select(_columns.inbox).where(_columns.inbox > after).order_by(_columns.inbox).limit(limit)
    some = tx.scalars(query).all()
    behind = or_(_people.inbox == _columns.inbox, _people.shared_inbox == _columns.inbox)
    unused = ~exists().where(_people.host == _columns.host, behind)  # by host: that has an index
    tx.execute(delete(_table).where(_columns.inbox.in_(some), _columns.noted_at < before, unused))
    return some[-1] if len(some) == limit else None
