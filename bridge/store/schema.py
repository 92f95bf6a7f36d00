"""Every table, once. What is due, for whom and why is data: nothing else in the program remembers it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from bridge.model import MAX_ID_BYTES

PENDING = text("state = 'pending'")
"""The condition of SQLite's partial indexes. PostgreSQL's have the same, in the migrations: said here it
would load SQLAlchemy's part for PostgreSQL, 2 MB, into every process on SQLite."""

ACCEPTS = text("state = 'pending' AND type = 'Accept'")
"""The same, of the index in which claims look for Accepts."""

STRANGERS = text("state = 'pending' AND verified = 0")
"""And of the index in which strangers wait."""


class Unreadable:
    """What stands for a stored value that its column cannot hold: text in a date, JSON that is none."""

    def __init__(self, stored: object) -> None:
        self._stored = stored

    def __repr__(self) -> str:
        return repr(self._stored)


class _Lenient:
    """A type whose values are read one by one: what is wrong with one of them is no error for all rows."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        inner = super().result_processor(dialect, coltype)  # type: ignore[misc]

        def read(value: Any) -> Any:
            try:
                return inner(value) if inner else value
            except (ValueError, TypeError, AttributeError, OverflowError):
                return Unreadable(value)

        return read


class Bytes(_Lenient, TypeDecorator[bytes]):
    """Bytes as they came or are sent."""

    impl = LargeBinary
    cache_ok = True


class Moment(_Lenient, TypeDecorator[datetime]):
    """An aware UTC datetime on both databases (SQLite has no zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(_Lenient, TypeDecorator[Any]):
    """Plain data as JSON text, the same bytes on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


class Folded(TypeDecorator[str]):
    """Text that an index holds: what has more than `most` bytes is cut, and told apart by its hash.

    A row of a PostgreSQL index has room for 2,704 bytes, and refuses what is longer. Folding happens where
    values are bound, so that what is looked for is folded as what is stored was.
    """

    impl = Text
    cache_ok = True

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return fold(value, self.most) if isinstance(value, str) else value  # garbage is deleted by what it is


class Hashed(TypeDecorator[str]):
    """Text of strangers that is only ever looked for, never read: kept as its SHA-256, in hex."""

    impl = Text
    cache_ok = True
    most = 64

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else digest(value)


def fold(text: str, most: int) -> str:
    """Return a text of at most `most` bytes that stands for this one and no other."""
    whole = text.encode(errors="surrogatepass")
    if len(whole) <= most:
        return text
    kept = whole[: most - 72].decode(errors="ignore")  # room for the hash and its mark
    return f"{kept}#sha256:{digest(text)}"


def digest(text: str) -> str:
    """Return a text's SHA-256, in hex."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


Id = Folded(MAX_ID_BYTES)  # never folded: what reads documents lets no longer one in
Name = Folded(1_024)  # addresses and guids of the owner's own site, of whatever length
RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite only numbers INTEGER keys by itself

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# ── who we are: written at the first run, never changed ───────────────────────────────────────────

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

# ── where writing comes from ──────────────────────────────────────────────────────────────────────

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

# ── news on its way ───────────────────────────────────────────────────────────────────────────────

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

# ── people ────────────────────────────────────────────────────────────────────────────────────────

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

# ── what arrives ──────────────────────────────────────────────────────────────────────────────────

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

ignored = Table(
    "ignored",
    metadata,
    Column("type", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
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
