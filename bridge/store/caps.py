"""Caps: how much each table holds of what strangers can fill, and what goes first when there is more.

Who follows, and whoever waits with a first Follow, is never among it. Ages are the purges' matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from bridge.store import schema
from bridge.store.engine import Tx

STEP = 2_000
"""Rows that go in one transaction: nobody waits long for the one writer of SQLite."""

MAX_WAITING = 10_000  # verified arrivals; with more, the worker stands still, and senders come again
MAX_REPLIES = 1_000  # stored of one post
MAX_REPLIES_OF_HOST = 200  # of those from one server


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many rows that may go; the first by `order` go first."""

    most: int
    order: ColumnElement[object]
    may_go: ColumnElement[bool]


_inbox, _keys, _actors = schema.inbox.c, schema.remote_keys.c, schema.remote_actors.c
_peers, _said, _people = schema.peers.c, schema.interactions.c, schema.followers.c
_following = select(_people.actor_id)

CAPS: Mapping[str, Cap] = {
    "inbox": Cap(20_000, _inbox.id, _inbox.state != "pending"),
    "seen": Cap(200_000, schema.seen.c.seen_at, schema.seen.c.seen_at.is_not(None)),
    "undone": Cap(100_000, schema.undone.c.undone_at, schema.undone.c.undone_at.is_not(None)),
    "remote_keys": Cap(
        20_000, _keys.fetched_at, or_(_keys.actor_id.is_(None), _keys.actor_id.not_in(_following))
    ),
    "remote_actors": Cap(
        50_000, _actors.fetched_at, and_(_actors.id.not_in(_following), _actors.due_at.is_(None))
    ),
    "peers": Cap(
        50_000,
        func.coalesce(_peers.last_success_at, _peers.last_failure_at),
        _peers.host.not_in(select(_people.host)),
    ),
    "inboxes": Cap(
        50_000,
        schema.inboxes.c.noted_at,
        schema.inboxes.c.inbox.not_in(select(func.coalesce(_people.shared_inbox, _people.inbox))),
    ),
    "interactions": Cap(1_000_000, _said.id, _said.kind.not_in(("quote", "listing"))),
}

BOUNDED_ELSEWHERE: Mapping[str, str] = {
    "ignored": "inbox.MOST_IGNORED types",
    "reports": "reports.MOST, and so many of one server",
    "pushes": "subscriptions.MAX_WAITING, and so many of one source",
    "followers": "whoever proves to be someone; each is one row, and can be removed",
    "set_aside": "one for each row that cannot be handled, of tables that are bounded themselves",
    "faded_reactions": "a mark of hashes for each old reaction",
    "reaction_counts": "a number for each post and kind",
    "activities": "one answer to each Follow, until housekeeping",
    "deliveries": "one of each activity and inbox, until housekeeping",
}

OURS = frozenset(
    {
        *("meta", "sites", "keys", "sources", "posts", "entry_keys", "holds", "subscriptions", "pictures"),
        *("heartbeats",),
    }
)
"""Tables that only the owner and the owner's sources fill."""


def excess(tx: Tx, name: str) -> int:
    """Return how many rows a table holds beyond its cap."""
    table = schema.metadata.tables[name]
    number = tx.scalar(select(func.count()).select_from(table).where(CAPS[name].may_go)) or 0
    return max(0, number - CAPS[name].most)


def trim(tx: Tx, name: str, rows: int) -> int:
    """Delete the first so many rows of a table that may go, `STEP` at most; return how many."""
    cap, table = CAPS[name], schema.metadata.tables[name]
    (key,) = table.primary_key.columns
    first = select(key).where(cap.may_go).order_by(cap.order).limit(min(STEP, rows))
    return tx.execute(delete(table).where(key.in_(first))).rowcount


def replies_are_enough(tx: Tx, post_pk: int, actor_id: str) -> bool:
    """Say whether a post has as many replies as are kept, in all or of an actor's server."""
    under = select(func.count()).where(_said.post_pk == post_pk, _said.kind == "reply")
    if (tx.scalar(under) or 0) >= MAX_REPLIES:
        return True
    theirs = under.where(_said.actor_id.startswith("/".join(actor_id.split("/")[:3]) + "/", autoescape=True))
    return (tx.scalar(theirs) or 0) >= MAX_REPLIES_OF_HOST
