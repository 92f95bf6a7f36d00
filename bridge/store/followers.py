"""Followers: the people a site must never lose."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, case, delete, func, select, update

from bridge.model import DropCause, Follower, RemoteActor
from bridge.store import aside, deliveries, outgoing, schema
from bridge.store.engine import Tx
from bridge.store.upsert import insert_into

_table = schema.followers
_columns = _table.c

ACCEPTED, PENDING = "accepted", "pending"


@dataclass(frozen=True, slots=True)
class NewFollower:
    """A Follow about to take effect."""

    site: str
    actor: RemoteActor
    host: str  # of the inbox that is delivered to
    state: str
    follow_id: str | None


def save(tx: Tx, new: NewFollower, *, now: datetime) -> str:
    """Store a follower, or the newest Follow of one we know; return the state they are in now.

    Someone accepted before stays accepted, whatever `new.state` says.
    """
    who = {"site": new.site, "actor_id": new.actor.id}
    reached = {"inbox": new.actor.inbox, "shared_inbox": new.actor.shared_inbox, "host": new.host}
    values = reached | {"follow_id": new.follow_id}
    row = insert_into(tx, _table).values(**who, **values, state=new.state, followed_at=now)
    state = case((_columns.state == ACCEPTED, ACCEPTED), else_=new.state)
    saved = row.on_conflict_do_update(index_elements=list(who), set_=values | {"state": state})
    in_state: str = tx.execute(saved.returning(_columns.state)).scalar_one()
    return in_state


def find(tx: Tx, site: str, actor_id: str) -> Follower | None:
    """Return one follower of a site."""
    return next(iter(_select(tx, *_is(site, actor_id))), None)


def listing(
    tx: Tx, site: str | None = None, *, state: str | None = None, limit: int | None = None
) -> list[Follower]:
    """Return followers, newest first."""
    return _select(tx, *_in(site, state), limit=limit)


def number(tx: Tx, site: str | None = None, *, state: str | None = None) -> int:
    """Return how many followers there are, without looking at who they are."""
    return tx.scalar(select(func.count()).select_from(_table).where(*_in(site, state))) or 0


def _in(site: str | None, state: str | None) -> list[ColumnElement[bool]]:
    asked = ((_columns.site, site), (_columns.state, state))
    return [column == value for column, value in asked if value is not None]


def count(tx: Tx, site: str) -> int:
    """Return how many followers a site has accepted."""
    query = select(func.count()).where(_columns.site == site, _columns.state == ACCEPTED)
    return tx.scalar(query) or 0


def accept(tx: Tx, site: str, actor_id: str) -> None:
    """Let a pending follower in."""
    tx.execute(update(_table).where(*_is(site, actor_id)).values(state=ACCEPTED))


def remove(tx: Tx, actor_id: str, *, site: str | None = None, reason: str, now: datetime) -> int:
    """Let a follower go, of one site or of all, and give up what only they were waiting for."""
    leaving = [f for f in _select(tx, _columns.actor_id == actor_id) if site in (None, f.site)]
    for follower in leaving:
        tx.execute(delete(_table).where(*_is(follower.site, actor_id)))
        outgoing.supersede(
            tx, actor_id, ["Accept"], reason, site=follower.site, cause=DropCause.LEFT, now=now
        )
        inbox = follower.shared_inbox or follower.inbox
        if not _is_used(tx, follower.site, inbox):
            deliveries.drop_inbox(tx, follower.site, inbox, reason, now=now)
    return len(leaving)


def forget_site(tx: Tx, site: str) -> None:
    """Let all followers of a site go; what is queued for them stays so."""
    tx.execute(delete(_table).where(_columns.site == site))


def relocate(tx: Tx, actor: RemoteActor, host: str) -> None:
    """Deliver to where an actor's document says their inboxes are now."""
    values = {"inbox": actor.inbox, "shared_inbox": actor.shared_inbox, "host": host}
    tx.execute(update(_table).where(_columns.actor_id == actor.id).values(values))


def actors_behind(tx: Tx, inbox: str, *, limit: int = 20) -> Sequence[str]:
    """Return ids of the followers who are reached through an inbox."""
    target = func.coalesce(_columns.shared_inbox, _columns.inbox)
    query = select(_columns.actor_id).where((target == inbox) | (_columns.inbox == inbox))
    return tx.scalars(query.distinct().limit(limit)).all()


def _is_used(tx: Tx, site: str, inbox: str) -> bool:
    target = func.coalesce(_columns.shared_inbox, _columns.inbox)
    return tx.execute(select(_columns.id).where(_columns.site == site, target == inbox)).first() is not None


def _is(site: str, actor_id: str):  # type: ignore[no-untyped-def]
    return _columns.site == site, _columns.actor_id == actor_id


def _select(tx: Tx, *where, limit: int | None = None) -> list[Follower]:  # type: ignore[no-untyped-def]
    actors = schema.remote_actors
    query = (
        select(_table, func.coalesce(actors.c.handle, _columns.actor_id).label("handle"))
        .select_from(_table.outerjoin(actors, actors.c.id == _columns.actor_id))
        .where(*where)
        .order_by(_columns.followed_at.desc(), _columns.id.desc())
        .limit(limit)
    )
    names = Follower.__slots__
    rows = tx.execute(query)
    return aside.legible(rows, _table, lambda row: Follower(**{name: row._mapping[name] for name in names}))
