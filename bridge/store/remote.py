"""Remote actors and their keys, cached: what we hold of other people is no more than we need."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, or_, select, update
from sqlalchemy.engine import Row, RowMapping

from bridge.model import RemoteActor, RemoteKey
from bridge.store import aside, faded, interactions, leases, schema
from bridge.store.engine import Tx
from bridge.store.upsert import upsert

_actors = schema.remote_actors.c
_keys = schema.remote_keys.c

DUE = _actors.due_at


@dataclass(frozen=True, slots=True)
class CachedKey:
    """What we know of a key id: a key, or that there was none (`pem` is `None`) until `retry_at`.

    `final`: that there is none is their server's word, and no passing trouble on the way. With an actor all
    the same, it is theirs, and of no kind that we take.
    """

    id: str
    actor_id: str | None
    pem: str | None
    error: str | None
    fetched_at: datetime
    retry_at: datetime
    final: bool


@dataclass(frozen=True, slots=True)
class Errand:
    """A look at an actor that is owed, and why: ``changed``, ``moved`` or ``gone``."""

    actor: RemoteActor
    why: str
    misses: int


def actor(tx: Tx, actor_id: str) -> tuple[RemoteActor, datetime] | None:
    """Return an actor as last seen, and when that was."""
    row = tx.execute(select(schema.remote_actors).where(_actors.id == actor_id)).first()
    known = aside.legible([row] if row else [], schema.remote_actors, _actor_and_when)
    return known[0] if known else None  # one that cannot be read is fetched again


def save_actor(tx: Tx, seen: RemoteActor, host: str, *, now: datetime) -> None:
    """Record an actor as their server shows them now; whatever was owed is done."""
    values = {name: getattr(seen, name) for name in RemoteActor.__slots__ if name != "id"}
    values |= {"also_known_as": list(seen.also_known_as), "host": host, "fetched_at": now}
    values |= {"due_at": None, "why_due": None, "leased": False, "misses": 0}
    upsert(tx, schema.remote_actors, {"id": seen.id}, values)


def owe(tx: Tx, actor_id: str, why: str, *, due_at: datetime) -> None:
    """Note that an actor must be looked at again; nothing happens for one we do not know.

    One who was missing is looked at when they would have been: misses count only with a pause between them.
    """
    between_misses = (_actors.misses > 0) & _actors.due_at.is_not(None)
    values = {
        "due_at": case((between_misses, _actors.due_at), else_=due_at),
        "why_due": why,
        "leased": case((between_misses, _actors.leased), else_=False),
    }
    tx.execute(update(schema.remote_actors).where(_actors.id == actor_id).values(values))


def suspect(tx: Tx, actor_id: str, *, pause: timedelta, now: datetime) -> None:
    """Note that an actor may be gone; with `pause` between looks, since it may be a stranger who says so."""
    known = select(_actors.fetched_at).where(_actors.id == actor_id, _actors.due_at.is_(None))
    if (seen := tx.scalar(known)) is not None:
        owe(tx, actor_id, "gone", due_at=max(now, seen + pause))


def claim_errands(tx: Tx, limit: int, *, now: datetime) -> list[Errand]:
    """Lease the looks that are due."""
    rows = leases.claim(tx, schema.remote_actors, now=now, limit=limit)
    return aside.claimed(tx, rows, _actors.due_at, _errand, now=now)


def _errand(row: Row[Any]) -> Errand:
    return Errand(_actor(row._mapping), row.why_due or "changed", row.misses)


def renew_errands(tx: Tx, actor_ids: Collection[str], *, now: datetime) -> int:
    """Extend the leases of looks that are under way here."""
    return leases.renew(tx, schema.remote_actors, actor_ids, now=now)


def recover_errands(tx: Tx, *, now: datetime) -> int:
    """Make every look a dead worker held due at once; only when no other worker can be alive."""
    return leases.recover(tx, schema.remote_actors, now=now, leased=False)


def postpone(tx: Tx, actor_id: str, *, due_at: datetime, missed: bool) -> None:
    """Look again later; `missed`: their server said 404, which counts towards being gone."""
    values = {"due_at": due_at, "leased": False, "misses": _actors.misses + (1 if missed else 0)}
    mine = (_actors.id == actor_id, leases.is_ours(tx, schema.remote_actors))
    tx.execute(update(schema.remote_actors).where(*mine).values(values))


def forget_actor(tx: Tx, actor_id: str) -> None:
    """Erase an actor and their keys."""
    tx.execute(delete(schema.remote_actors).where(_actors.id == actor_id))
    tx.execute(delete(schema.remote_keys).where(_keys.actor_id == actor_id))


def key(tx: Tx, key_id: str) -> CachedKey | None:
    """Return what is known of a key id."""
    row = tx.execute(select(schema.remote_keys).where(_keys.id == key_id)).first()
    known = aside.legible([row] if row else [], schema.remote_keys, lambda row: CachedKey(**row._mapping))
    return known[0] if known else None  # one that cannot be read is fetched again


def save_key(tx: Tx, found: RemoteKey, *, now: datetime, fresh_for: timedelta) -> None:
    """Cache a key; it is not fetched again within `fresh_for` because of a bad signature."""
    said = {"actor_id": found.actor_id, "pem": found.pem, "error": None, "final": True}
    upsert(tx, schema.remote_keys, {"id": found.id}, said | _fetched(now, fresh_for))


def renew_key(tx: Tx, found: RemoteKey, *, now: datetime, fresh_for: timedelta) -> None:
    """Replace a key of an actor that we hold already; one nobody signed with is not worth keeping."""
    held = (_keys.id == found.id, _keys.actor_id == found.actor_id)
    values = {"pem": found.pem, "error": None, "final": True} | _fetched(now, fresh_for)
    tx.execute(update(schema.remote_keys).where(*held).values(values))


def keep_key(tx: Tx, key_id: str, *, now: datetime, pause: timedelta) -> bool:
    """Hold on to a key that could not be fetched again, and leave it for `pause`; `False`: we hold none."""
    held = (_keys.id == key_id, _keys.pem.is_not(None))
    return tx.execute(update(schema.remote_keys).where(*held).values(_fetched(now, pause))).rowcount > 0


def save_missing_key(
    tx: Tx,
    key_id: str,
    actor_id: str | None,
    error: str,
    *,
    now: datetime,
    pause: timedelta,
    final: bool = True,
) -> None:
    """Remember that a key could not be had, so that it is not asked for again before `pause` is over."""
    said = {"actor_id": actor_id, "pem": None, "error": error, "final": final}
    upsert(tx, schema.remote_keys, {"id": key_id}, said | _fetched(now, pause))


def _fetched(now: datetime, pause: timedelta) -> dict[str, datetime]:
    return {"fetched_at": now, "retry_at": now + pause}


def knows(tx: Tx, actor_id: str) -> bool:
    """Say whether anything is stored about an actor."""
    query = (
        select(_actors.id)
        .where(_actors.id == actor_id)
        .union_all(
            select(_keys.id).where(_keys.actor_id == actor_id, _keys.pem.is_not(None)),
            select(schema.followers.c.actor_id).where(schema.followers.c.actor_id == actor_id),
            select(schema.interactions.c.actor_id).where(schema.interactions.c.actor_id == actor_id),
        )
    )
    return tx.execute(query.limit(1)).first() is not None or faded.knows(tx, actor_id)


def purge_actors(tx: Tx, *, before: datetime, after: str, limit: int) -> str | None:
    """Forget actors nobody needed since `before`, among the next `limit` after an id; return the last one.

    Needed is who follows, who said something, and who is to be looked at. `None`: there are no more.
    """
    query = select(_actors.id).where(_actors.id > after).order_by(_actors.id).limit(limit)
    some = tx.scalars(query).all()
    unused = (_actors.fetched_at < before, _actors.due_at.is_(None), ~_is_needed(_actors.id))
    tx.execute(delete(schema.remote_actors).where(_actors.id.in_(some), *unused))
    return some[-1] if len(some) == limit else None


def purge_keys(tx: Tx, *, before: datetime, after: str, limit: int) -> str | None:
    """Forget keys of who is forgotten, as `purge_actors` forgets them: a key can be fetched again."""
    query = select(_keys.id).where(_keys.id > after).order_by(_keys.id).limit(limit)
    some = tx.scalars(query).all()
    orphaned = ~exists().where(_actors.id == _keys.actor_id)  # true too where there is no actor
    unused = (_keys.fetched_at < before, orphaned)
    tx.execute(delete(schema.remote_keys).where(_keys.id.in_(some), *unused))
    return some[-1] if len(some) == limit else None


def _is_needed(actor_id: ColumnElement[Any]) -> ColumnElement[bool]:
    people, said = schema.followers.c, schema.interactions.c
    follows = exists().where(people.actor_id == actor_id)
    speaks = exists().where(said.actor_id == actor_id, said.kind.in_(interactions.KEPT))
    waits = exists().where(schema.inbox.c.actor_id == actor_id, schema.inbox.c.state == "pending")
    return or_(follows, speaks, waits)


def _actor_and_when(row: Row[Any]) -> tuple[RemoteActor, datetime]:
    return _actor(row._mapping), row.fetched_at


def has_to_do_with_us(tx: Tx, actor_id: str) -> bool:
    """Say whether an actor follows a site of ours, or did anything with one of its posts."""
    following = select(schema.followers.c.id).where(schema.followers.c.actor_id == actor_id)
    doing = select(schema.interactions.c.id).where(schema.interactions.c.actor_id == actor_id)
    return tx.execute(following.union_all(doing).limit(1)).first() is not None


def _actor(row: RowMapping) -> RemoteActor:
    values = {name: row[name] for name in RemoteActor.__slots__}
    return RemoteActor(**values | {"also_known_as": tuple(row["also_known_as"] or ())})
