"""What arrives: the inbox, what took effect already, and what is not for us."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
    text,
)

from bridge.store.schema.types import PENDING, STRANGERS, Bytes, Hashed, Json, Moment, RowId, metadata

inbox = Table(
    "inbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("signature_hash", String, nullable=False, unique=True),  # the same request twice is one row
    Column("activity_id", Text),
    Column("type", String, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("host", String, nullable=False),  # of the key
    Column("verified", Boolean, nullable=False),
    Column("party", String, nullable=False, server_default=""),  # keyed hash of who shares one share
    Column("place", Integer, nullable=False, server_default=text("0")),  # how many of its party came before
    Column("request", Json, nullable=False),  # method, target, headers: what the signature covers
    Column("body", Bytes, nullable=False),
    Column("state", String, nullable=False, server_default="pending"),  # pending, done, refused, quarantined
    Column("due_at", Moment, nullable=False),
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # other servers asked in vain
    Column("failures", Integer, nullable=False, server_default=text("0")),  # of ours to let it take effect
    Column("holder", Integer),  # the process that has leased it
    Column("received_at", Moment, nullable=False),
    Column("settled_at", Moment),
    Column("reason", Text),
    Index("ix_inbox_due", "due_at", sqlite_where=PENDING),
    Index("ix_inbox_strangers", "place", "attempts", "id", sqlite_where=STRANGERS),
    Index("ix_inbox_party", "party", "received_at"),
    Index("ix_inbox_received", "received_at"),
)  # fmt: skip

seen = Table(
    "seen",
    metadata,
    Column("activity_id", Hashed, primary_key=True),
    Column("seen_at", Moment, nullable=False, index=True),
)

undone = Table(
    "undone",
    metadata,
    Column("key", Hashed, primary_key=True),  # an activity id: its Undo came first, or came already
    Column("undone_at", Moment, nullable=False, index=True),
    Column("signed_at", Moment),  # by who undid it
    Column("came", Boolean, nullable=False, server_default=text("true")),  # what is undone had come before
)

ignored = Table(
    "ignored",
    metadata,
    Column("type", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
)
