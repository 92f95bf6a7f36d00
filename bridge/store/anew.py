"""What would be lost if we became someone else, and how everything but the keys is forgotten."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Table, delete, exists, func, or_, select

from bridge.model import PostState
from bridge.store import schema
from bridge.store.engine import Tx
from bridge.store.identity import INSTANCE, closed_sites, workers

ALIVE = timedelta(seconds=75)
"""A worker that was heard of so lately, and has not said that it stopped, is at work: it beats each 30 s."""

_OTHERS = (
    schema.deliveries,
    schema.inbox,
    schema.seen,
    schema.undone,
    schema.interactions,
    schema.reaction_counts,
    schema.faded_reactions,
    schema.reports,
    schema.remote_actors,
)
"""Where a row says that another server has heard of us, whether or not anyone follows."""

_STAYS = (schema.meta, schema.keys, schema.heartbeats)


@dataclass(frozen=True, slots=True)
class AtStake:
    """What a new identity would cost: who knows the old one, and what its owner decided."""

    followers: int  # accepted or waiting
    heard_of: bool  # by another server
    kept_back: int  # posts that the owner took back, refused or has not yet let through
    closed: int  # accounts that ended for good
    at_work: bool  # a worker, which would go on writing as the old one


def at_stake(tx: Tx, *, now: datetime) -> AtStake:
    """Count it."""
    posts, holds = schema.posts.c, schema.holds.c
    kept_back = (PostState.HELD, PostState.IGNORED, PostState.WITHDRAWN)
    undecided = exists().where(holds.post_pk == posts.pk, holds.decided_at.is_(None))
    return AtStake(
        followers=_count(tx, schema.followers),
        heard_of=any(tx.execute(select(table.c[table.c.keys()[0]]).limit(1)).first() for table in _OTHERS),
        kept_back=tx.scalar(
            select(func.count()).select_from(schema.posts).where(or_(posts.state.in_(kept_back), undecided))
        )
        or 0,
        closed=len(closed_sites(tx)),
        at_work=any(now - beat.beat_at < ALIVE and not has_stopped(beat.detail) for beat in workers(tx)),
    )


def _count(tx: Tx, table: Table) -> int:
    return tx.scalar(select(func.count()).select_from(table)) or 0


def has_stopped(detail: str) -> bool:
    """Say whether a worker's last word was that it stops."""
    try:
        said = json.loads(detail)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("stopped") is True


def begin(tx: Tx, *, keep_keys_of: Collection[str]) -> None:
    """Forget posts, sites and what hangs on them; the instance's keys stay, and those of the sites named."""
    for table in reversed(schema.metadata.sorted_tables):
        if table not in _STAYS:
            tx.execute(delete(table))
    owner = schema.keys.c.owner
    tx.execute(delete(schema.keys).where(owner != INSTANCE, owner.not_in(list(keep_keys_of))))
    tx.execute(delete(schema.meta).where(schema.meta.c.key == "base_url"))


def lock(tx: Tx) -> None:
    """Let no other process ask who we are until this transaction ends."""
    tx.execute(select(schema.meta.c.value).where(schema.meta.c.key == "base_url").with_for_update())
