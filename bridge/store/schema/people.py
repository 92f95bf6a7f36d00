"""Other people: followers, actors and their keys, what they did with our posts, and their reports."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from bridge.store.schema.types import Hashed, Id, Json, Moment, RowId, metadata

followers = Table(
    "followers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("actor_id", Id, nullable=False),
    Column("inbox", Text, nullable=False),
    Column("shared_inbox", Text),
    Column("host", String, nullable=False),  # of the inbox that is delivered to
    Column("state", String, nullable=False),  # accepted, pending
    Column("follow_id", Text),  # id of their newest Follow
    Column("followed_at", Moment, nullable=False),
    UniqueConstraint("site", "actor_id"),
    Index("ix_followers_actor", "actor_id"),
    Index("ix_followers_host", "host"),
)

remote_actors = Table(
    "remote_actors",
    metadata,
    Column("id", Id, primary_key=True),
    Column("type", String, nullable=False),
    Column("handle", String, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("url", Text),
    Column("icon", Text),
    Column("inbox", Text, nullable=False),
    Column("shared_inbox", Text),
    Column("host", String, nullable=False),  # of the inbox that is delivered to
    Column("moved_to", Text),
    Column("also_known_as", Json),
    Column("fetched_at", Moment, nullable=False),
    # A look at the actor that is owed: they changed, moved, or their inbox says they are gone.
    Column("due_at", Moment),
    Column("why_due", String),  # changed, moved, gone
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("holder", Integer),  # the process that has leased it
    Column("misses", Integer, nullable=False, server_default=text("0")),
    Index("ix_remote_actors_due", "due_at"),
)

remote_keys = Table(
    "remote_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("actor_id", Id, index=True),
    Column("pem", Text),  # none: known to be missing until `retry_at`
    Column("error", Text),
    Column("fetched_at", Moment, nullable=False),
    Column("retry_at", Moment, nullable=False),  # not fetched again before
    Column("final", Boolean, nullable=False, server_default=text("true")),  # missing by their server's word
)

interactions = Table(
    "interactions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("post_pk", ForeignKey("posts.pk")),
    Column("kind", String, nullable=False),  # reply, like, boost, quote, listing
    Column("actor_id", Id, nullable=False, index=True),
    Column("object_key", Text, nullable=False),  # see NewInteraction
    Column("object_hash", Hashed, nullable=False),  # of `object_key`, which is too long for an index
    Column("activity_id", Id, index=True),
    Column("in_reply_to", Text),
    Column("content", Text),  # sanitised HTML
    Column("warning", Text),  # to be read before it
    Column("emoji", String),
    Column("stamp", String, index=True),  # last part of the URL of our word that this is welcome
    Column("url", Text),
    Column("public", Boolean, nullable=False),
    Column("published_at", Moment),
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("kind", "object_hash", "actor_id"),
    Index("ix_interactions_post", "post_pk", "kind"),
)

# Reactions that are long ago: see `faded`.
reaction_counts = Table(
    "reaction_counts",
    metadata,
    Column("post_pk", ForeignKey("posts.pk"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("number", Integer, nullable=False),
    sqlite_with_rowid=False,
)

faded_reactions = Table(
    "faded_reactions",
    metadata,
    Column("person", BigInteger, primary_key=True, autoincrement=False),  # keyed hashes
    Column("thing", BigInteger, primary_key=True, autoincrement=False),
    Column("activity", BigInteger),
    Column("post_pk", RowId, nullable=False),
    Column("kind", String, nullable=False),
    Column("counted", Boolean, nullable=False),  # no: they did something else with the post since
    sqlite_with_rowid=False,
)

reports = Table(
    "reports",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("actor_id", Id, nullable=False),
    Column("host", String, nullable=False),
    Column("about", Json, nullable=False),  # our addresses
    Column("words", Text, nullable=False),
    Column("received_at", Moment, nullable=False),
)
