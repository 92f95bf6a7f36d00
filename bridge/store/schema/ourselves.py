"""Who we are: written at the first run, never changed. And what is remembered about the program itself."""

from sqlalchemy import (
    Column,
    Integer,
    String,
    Table,
    Text,
)

from bridge.store.schema.types import Id, Json, Moment, metadata

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

sites = Table(
    "sites",
    metadata,
    Column("key", String, primary_key=True),
    Column("handle", String, nullable=False, unique=True),
    Column("profile_hash", String),  # of the actor as last sent to followers
    Column("told_pins", Json),  # [[post id, pinned by its owner], …] as followers know them
    Column("told_pins_at", Moment),
    Column("config", Json),  # its table in config.toml as last seen there, without sources
    Column("closed_at", Moment),  # for good: its addresses answer 410
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("owner", String, primary_key=True),  # a site's key; "" is the instance actor
    Column("algorithm", String, primary_key=True),  # rsa, ed25519; post-ids: the secret they are derived with
    Column("private_pem", Text, nullable=False),  # of post-ids in hexadecimal
    Column("created_at", Moment, nullable=False),
)

set_aside = Table(
    "set_aside",
    metadata,
    Column("what", String, primary_key=True),  # table and column that made it due: deliveries.due_at
    Column("key", Id, primary_key=True),  # of the row
    Column("tries", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("role", String, primary_key=True),  # worker, web
    Column("beat_at", Moment, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
)
