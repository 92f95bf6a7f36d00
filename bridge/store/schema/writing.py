"""Where writing comes from, and what became of it: sources, posts, changes on hold, pictures."""

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

from bridge.store.schema.types import Bytes, Json, Moment, Name, RowId, metadata

sources = Table(
    "sources",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),  # feed, folder
    Column("location", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),  # still in config.toml
    Column("due_at", Moment, nullable=False),
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("holder", Integer),  # the process that has leased it
    Column("interval_seconds", Integer, nullable=False),
    Column("baseline_at", Moment),  # first successful poll: everything found then was there before us
    Column("etag", Text),
    Column("last_modified", Text),
    Column("body_hash", String),
    Column("moved_to", Text),
    Column("size", Integer),  # entries of the last good poll
    Column("shrunk_at", Moment),  # since when a feed holds far fewer, which is not believed at once
    Column("last_polled_at", Moment),
    Column("last_ok_at", Moment),
    Column("last_changed_at", Moment),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("error", Text),
    Column("problems", Json),  # [[where, what], …] of the last harvest
    Column("findings", Json),  # of the last lint: [[rule, count, [where, …]], …]
    UniqueConstraint("site", "name"),
    Index("ix_sources_due", "due_at"),
)

posts = Table(
    "posts",
    metadata,
    Column("pk", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("id", String, nullable=False),  # the last part of its URL
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("identity", Text, nullable=False),  # what the id was minted from
    Column("source_id", ForeignKey("sources.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("page_url", Text),
    Column("entry", Json, nullable=False),  # as last found, for previews and for judging the next change
    Column("note", Json, nullable=False),
    Column("content_hash", String, nullable=False),
    Column("published_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("deleted_at", Moment),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    # An edit on its way to followers, and how many went before it.
    Column("text_hash", String, nullable=False, server_default=""),  # of what readers read
    Column("sent_hash", String),  # of what followers were last sent
    Column("edit_due_at", Moment),
    Column("updates_sent", Integer, nullable=False, server_default=text("0")),
    Column("update_sent_at", Moment),
    # An entry that vanished from the middle of its feed: its page is asked before anything is deleted.
    Column("missing_since", Moment),
    Column("check_at", Moment),
    Column("misses", Integer, nullable=False, server_default=text("0")),
    Column("pinned", Boolean, nullable=False, server_default=false()),
    Column("unlisted", Boolean, nullable=False, server_default=false()),  # as its note says
    Column("look_at", Moment),  # when its pictures are looked at again: some could not be seen
    UniqueConstraint("site", "id"),
    Index("ix_posts_edit_due", "edit_due_at"),
    Index("ix_posts_check", "check_at"),
    Index("ix_posts_look", "look_at"),
    Index("ix_posts_listing", "site", "state", "published_at"),
    Index("ix_posts_page", "id"),
)

entry_keys = Table(
    "entry_keys",
    metadata,
    Column("site", ForeignKey("sites.key"), primary_key=True),
    Column("key", Name, primary_key=True),  # guid:…, link:…, title:…, text:…
    Column("post_pk", ForeignKey("posts.pk"), nullable=False, index=True),
)

holds = Table(
    "holds",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("site", ForeignKey("sites.key"), nullable=False),
    Column("source_id", ForeignKey("sources.id"), nullable=False),
    Column("post_pk", ForeignKey("posts.pk"), nullable=False),
    Column("kind", String, nullable=False),  # new, edit, delete
    Column("reason", Text, nullable=False),
    Column("entry", Json),  # of an edit, as it would become
    Column("content_hash", String),
    Column("text_hash", String),
    Column("held_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decision", String),  # publish, ignore
    Index("ix_holds_post", "post_pk", "kind"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("source_id", ForeignKey("sources.id"), primary_key=True),
    Column("hub", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("token", String, nullable=False, unique=True),  # the last part of the callback's URL
    Column("left_token", String),  # of the subscription before this one, whose hub is told to stop
    Column("secret", String, nullable=False),
    Column("state", String, nullable=False),  # asked, active, denied
    Column("lease_until", Moment),
    Column("due_at", Moment, nullable=False),  # when to ask the hub (again)
    Column("leased", Boolean, nullable=False, server_default=false()),
    Column("holder", Integer),  # the process that has leased it
    Column("last_push_at", Moment),
    Column("error", Text),
    Index("ix_subscriptions_due", "due_at"),
    Index("ix_subscriptions_left_token", "left_token"),
)

pushes = Table(
    "pushes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("source_id", ForeignKey("sources.id"), nullable=False),
    Column("content_type", Text),
    Column("body", Bytes, nullable=False),
    Column("received_at", Moment, nullable=False),
)

pictures = Table(
    "pictures",
    metadata,
    Column("url", Name, primary_key=True),  # where the site has it, or the page that names it
    Column("state", String, nullable=False),  # good, bad
    Column("media_type", String),
    Column("width", Integer),
    Column("height", Integer),
    Column("blurhash", String),
    Column("file", String),  # our own copy, where servers could not read the original
    Column("error", Text),
    Column("looked_at", Moment, nullable=False),
    Column("address", Text),  # where it is, if a page named it
    Column("alt", Text),  # what that page says of it
)
