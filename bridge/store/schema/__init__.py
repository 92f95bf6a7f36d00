"""Every table, once. What is due, for whom and why is data: nothing else in the program remembers it.

`types` says how values are stored; the tables stand by subject: `ourselves`, `writing` (where it comes from,
and the posts), `sending`, `people`, `arriving`.
"""

from bridge.store.schema.arriving import ignored, inbox, seen, undone
from bridge.store.schema.ourselves import heartbeats, keys, meta, set_aside, sites
from bridge.store.schema.people import (
    faded_reactions,
    followers,
    interactions,
    reaction_counts,
    remote_actors,
    remote_keys,
    reports,
)
from bridge.store.schema.sending import activities, deliveries, inboxes, peers
from bridge.store.schema.types import (
    ACCEPTS,
    PENDING,
    STRANGERS,
    Bytes,
    Folded,
    Hashed,
    Id,
    Json,
    Moment,
    Name,
    RowId,
    Unreadable,
    digest,
    fold,
    metadata,
)
from bridge.store.schema.writing import entry_keys, holds, pictures, posts, pushes, sources, subscriptions

__all__ = [
    "ACCEPTS",
    "PENDING",
    "STRANGERS",
    "Bytes",
    "Folded",
    "Hashed",
    "Id",
    "Json",
    "Moment",
    "Name",
    "RowId",
    "Unreadable",
    "activities",
    "deliveries",
    "digest",
    "entry_keys",
    "faded_reactions",
    "fold",
    "followers",
    "heartbeats",
    "holds",
    "ignored",
    "inbox",
    "inboxes",
    "interactions",
    "keys",
    "meta",
    "metadata",
    "peers",
    "pictures",
    "posts",
    "pushes",
    "reaction_counts",
    "remote_actors",
    "remote_keys",
    "reports",
    "seen",
    "set_aside",
    "sites",
    "sources",
    "subscriptions",
    "undone",
]
