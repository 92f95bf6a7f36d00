"""News on its way: activities, a delivery for each inbox, and how the servers behind them fare."""

from sqlalchemy import (
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

from bridge.store.schema.types import ACCEPTS, PENDING, Bytes, Folded, Id, Moment, RowId, metadata

activities = Table(
    "activities",
    metadata,
    Column("pk", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("uri", Id, nullable=False),
    Column("type", String, nullable=False),
    Column("object_uri", Folded(512), nullable=False),  # as in its deliveries
    Column("post_pk", ForeignKey("posts.pk"), index=True),
    Column("body", Bytes, nullable=False),  # exact bytes; signed when sent
    Column("created_at", Moment, nullable=False),
    Index("ix_activities_uri", "uri"),
    Index("ix_activities_object", "object_uri"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("activity_pk", ForeignKey("activities.pk"), nullable=False),
    Column("site", String, nullable=False),
    Column("inbox", Id, nullable=False),
    Column("host", String, nullable=False),
    Column("type", String, nullable=False),
    Column("object_uri", Folded(512), nullable=False),
    Column("state", String, nullable=False, server_default="pending"),
    Column("lane", String, nullable=False, server_default="fast"),  # fast, slow, suspect
    Column("due_at", Moment, nullable=False),
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("holder", Integer),  # the process that has leased it
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("losses", Integer, nullable=False, server_default=text("0")),  # workers that died with it alone
    Column("crowded", Integer, nullable=False, server_default=text("0")),  # that died with it and others
    Column("first_attempt_at", Moment),
    Column("last_attempt_at", Moment),
    Column("settled_at", Moment),
    Column("status", Integer),
    Column("reason", Text),
    Column("cause", String),  # of a drop: see `model.DropCause`
    Column("own_due_at", Moment),  # when it would be due, were its server as a whole not what it waits for
    UniqueConstraint("activity_pk", "inbox"),
    Index("ix_deliveries_due", "lane", "due_at", sqlite_where=PENDING),
    Index("ix_deliveries_order", "inbox", "object_uri", sqlite_where=PENDING),
    Index("ix_deliveries_host", "host", "state"),
    Index("ix_deliveries_leased", "due_at", sqlite_where=text("leased = 1")),
    # Three columns, of which two say nothing: SQLite takes it before `ix_deliveries_host`, which has two.
    Index("ix_deliveries_accepts", "host", "state", "type", sqlite_where=ACCEPTS),
)  # fmt: skip

peers = Table(
    "peers",
    metadata,
    Column("host", String, primary_key=True),
    Column("scheme", String),  # the signature scheme it accepted last
    Column("scheme_at", Moment),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("open_until", Moment),  # the breaker: nothing is sent before
    Column("failing_since", Moment),
    Column("last_success_at", Moment),
    Column("last_failure_at", Moment),
    Column("error", Text),
)

inboxes = Table(
    "inboxes",
    metadata,
    Column("inbox", Id, primary_key=True),
    Column("host", String, nullable=False, index=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row, while its host answers
    Column("failing_since", Moment),
    Column("open_until", Moment),  # its breaker: nothing is sent before
    Column("error", Text),
    Column("foreign", Boolean, nullable=False, server_default=false()),  # named by an actor of another host
    Column("took_at", Moment),  # when a foreign one first took something
    Column("noted_at", Moment, nullable=False),
)
