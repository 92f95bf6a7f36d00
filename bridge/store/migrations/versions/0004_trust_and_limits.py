"""Trust and limits: what strangers can fill has bounds, and each part of this release adds what it needs.

One function for each part, so that a reader finds a column's reason beside it.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from bridge.store.schema import Json, Moment, RowId, digest, fold

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring a database of 0003 to 0004."""
    _indexes_that_hold_their_columns()
    _arrivals_that_are_set_aside()
    _holders()
    _causes_of_drops()
    _proven_keys()
    _indexes_of_claims()
    _shares_of_strangers()
    _sites_that_pin_pause_and_close()
    _nothing_was_done_with_what_nobody_saw()
    _one_spelling()
    _inboxes_that_need_watching()
    _deaths()
    _faded_reactions()
    _rows_that_are_set_aside()
    _reports()
    _tokens_that_were_left()
    _warnings_of_replies()


def _indexes_that_hold_their_columns() -> None:
    """A row of a PostgreSQL index has 2,704 bytes; two ids of strangers have 4,096."""
    with op.batch_alter_table("interactions") as batch_op:
        batch_op.add_column(sa.Column("object_hash", sa.Text(), nullable=True))
        batch_op.drop_constraint("uq_interactions_kind_actor_id_object_key", type_="unique")
    _fill("interactions", "id", "object_key", "object_hash", digest)
    with op.batch_alter_table("interactions") as batch_op:
        batch_op.alter_column("object_hash", existing_type=sa.Text(), nullable=False)
        batch_op.create_unique_constraint(
            batch_op.f("uq_interactions_kind_object_hash_actor_id"), ["kind", "object_hash", "actor_id"]
        )
    _fill("seen", "activity_id", "activity_id", "activity_id", digest)
    _fill("undone", "key", "key", "key", digest)
    _fill("entry_keys", "key", "key", "key", lambda key: fold(key, 1_024), at_least=1_024)
    _fill("pictures", "url", "url", "url", lambda url: fold(url, 1_024), at_least=1_024)
    _fill("deliveries", "id", "object_uri", "object_uri", lambda uri: fold(uri, 512), at_least=512)


def _fill(
    table: str, key: str, source: str, target: str, make: Callable[[str], str], *, at_least: int = 0
) -> None:
    """Write `make(source)` into `target` of the rows whose `source` may have `at_least` bytes."""
    connection = op.get_bind()
    rows = sa.table(table, *(sa.column(name) for name in {key, source, target}))
    # A character has four bytes at most.
    long = sa.select(rows.c[key]).where(sa.func.length(rows.c[source]) * 4 >= at_least)
    change = rows.update().where(rows.c[key] == sa.bindparam("row")).values({target: sa.bindparam("made")})
    # Read to the end first: a scan of an index that is written to meets what was written.
    keys = connection.scalars(long).all()
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        found = connection.execute(sa.select(rows.c[key], rows.c[source]).where(rows.c[key].in_(some)))
        connection.execute(change, [{"row": row[0], "made": make(row[1])} for row in found.all()])


def _arrivals_that_are_set_aside() -> None:
    """How often what an arrival wants failed for a fault of ours: another count than asking in vain."""
    with op.batch_alter_table("inbox") as batch_op:
        batch_op.add_column(sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False))


def _holders() -> None:
    """Who has leased a row: a worker renews and settles its own only."""
    for table in ("sources", "subscriptions", "deliveries", "remote_actors", "inbox"):
        op.add_column(table, sa.Column("holder", sa.Integer(), nullable=True))


# What reasons said in words, in the order they are looked for; a drop that none describes stays given up.
_CAUSES = (
    ("superseded by %", "superseded"),
    ("deleted before %", "deleted"),
    ("quarantined: %", "quarantined"),
    ("410: %", "gone"),
    ("404 three times %", "gone"),
    ("%; given up after %", "exhausted"),
)


def _causes_of_drops() -> None:
    """Say in a word why a delivery was given up: only some may be sent again."""
    op.add_column("deliveries", sa.Column("cause", sa.String()))
    _fill("activities", "pk", "object_uri", "object_uri", lambda uri: fold(uri, 512), at_least=512)
    op.create_index("ix_activities_object", "activities", ["object_uri"])
    table = sa.table("deliveries", *(sa.column(name) for name in ("state", "cause", "reason", "status")))
    dropped = sa.and_(table.c.state == "dropped", table.c.cause.is_(None))
    for reason, cause in _CAUSES:
        op.execute(table.update().where(dropped, table.c.reason.like(reason)).values(cause=cause))
    op.execute(table.update().where(dropped, table.c.status >= 300).values(cause="refused"))
    op.execute(table.update().where(dropped).values(cause="left"))


def _proven_keys() -> None:
    """Keys that could not be had now are told from keys that do not exist; a Move moves no follower."""
    with op.batch_alter_table("remote_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("final", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    with op.batch_alter_table("remote_actors", schema=None) as batch_op:
        batch_op.drop_column("moved_at")


def _indexes_of_claims() -> None:
    """A claim looks for Accepts to each host: without an index, through all that waits for it."""
    accepts = sa.text("state = 'pending' AND type = 'Accept'")
    op.create_index(
        "ix_deliveries_accepts",
        "deliveries",
        ["host", "state", "type"],
        sqlite_where=accepts,
        postgresql_where=accepts,
    )


def _shares_of_strangers() -> None:
    """Who shares what strangers may take, and how many of them came before: the first of each goes first."""
    with op.batch_alter_table("inbox") as batch_op:
        batch_op.add_column(sa.Column("party", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("place", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_index("ix_inbox_party", "inbox", ["party", "received_at"])
    op.create_index(
        "ix_inbox_strangers",
        "inbox",
        ["place", "attempts", "id"],
        postgresql_where=sa.text("state = 'pending' AND NOT verified"),
        sqlite_where=sa.text("state = 'pending' AND verified = 0"),
    )


def _tokens_that_were_left() -> None:
    """Whoever calls with a token we gave out once is told to stop; whoever made one up is told nothing."""
    op.add_column("subscriptions", sa.Column("left_token", sa.String(), nullable=True))
    op.create_index("ix_subscriptions_left_token", "subscriptions", ["left_token"])


def _warnings_of_replies() -> None:
    """What people hid a reply behind goes with it, wherever it is shown."""
    op.add_column("interactions", sa.Column("warning", sa.Text(), nullable=True))


def _sites_that_pin_pause_and_close() -> None:
    """What followers know of pins, what a site was like when it left the config, and that it is closed."""
    with op.batch_alter_table("sites") as batch_op:
        batch_op.add_column(sa.Column("told_pins", Json(), nullable=True))
        batch_op.add_column(sa.Column("told_pins_at", Moment(), nullable=True))
        batch_op.add_column(sa.Column("config", Json(), nullable=True))
        batch_op.add_column(sa.Column("closed_at", Moment(), nullable=True))
    with op.batch_alter_table("posts") as batch_op:
        batch_op.add_column(sa.Column("unlisted", sa.Boolean(), server_default=sa.false(), nullable=False))
    posts = sa.table("posts", sa.column("note", sa.Text()), sa.column("unlisted", sa.Boolean()))
    # In JSON only an address can be spelled like this: in a text the quotes would be escaped.
    listed = posts.c.note.contains('"to":["https://www.w3.org/ns/activitystreams#Public"]')
    op.get_bind().execute(
        posts.update().where(~listed, posts.c.note.contains('"to":[')).values(unlisted=True)
    )


def _one_spelling() -> None:
    """Likes and boosts name our posts in one spelling, so that a person counts once; emojis stand beside it.

    And what is undone says when, so that the same id may count again.
    """
    with op.batch_alter_table("undone", schema=None) as batch_op:
        batch_op.add_column(sa.Column("signed_at", Moment(), nullable=True))
        batch_op.add_column(sa.Column("came", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    connection = op.get_bind()
    base = connection.scalar(sa.text("SELECT value FROM meta WHERE key = 'base_url'"))
    emoji = "CASE WHEN i.emoji IS NULL THEN '' ELSE ' ' || i.emoji END"
    spelt = f":base || '/ap/' || p.site || '/posts/' || p.id || {emoji}"
    odd = connection.execute(
        sa.text(
            f"SELECT i.id, i.kind, i.actor_id, {spelt} FROM interactions i JOIN posts p ON p.pk = i.post_pk "  # noqa: S608
            f"WHERE i.kind IN ('like', 'boost') AND i.object_key <> {spelt} ORDER BY i.id"
        ),
        {"base": base or ""},
    ).all()
    for row, kind, actor, key in odd:
        same = {"kind": kind, "actor": actor, "key": key, "hash": digest(key), "row": row}
        known = "SELECT 1 FROM interactions WHERE kind = :kind AND actor_id = :actor AND object_hash = :hash"
        if connection.execute(sa.text(known), same).first():
            connection.execute(sa.text("DELETE FROM interactions WHERE id = :row"), same)
        else:
            change = "UPDATE interactions SET object_key = :key, object_hash = :hash WHERE id = :row"
            connection.execute(sa.text(change), same)


def _inboxes_that_need_watching() -> None:
    """What fails at one address is no failure of its host, and what a host did not ask for has bounds."""
    op.create_table(
        "inboxes",
        sa.Column("inbox", sa.Text(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", Moment(), nullable=True),
        sa.Column("open_until", Moment(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("foreign", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("took_at", Moment(), nullable=True),
        sa.Column("noted_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("inbox", name="pk_inboxes"),
    )
    op.create_index("ix_inboxes_host", "inboxes", ["host"])
    op.create_index("ix_followers_host", "followers", ["host"])
    op.add_column("deliveries", sa.Column("own_due_at", Moment(), nullable=True))


def _deaths() -> None:
    """A worker's death is held against a delivery only when it was alone; what is leased is found at once."""
    op.add_column(
        "deliveries", sa.Column("crowded", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["due_at"],
        sqlite_where=sa.text("leased = 1"),
        postgresql_where=sa.text("leased"),
    )


def _faded_reactions() -> None:
    """Likes and boosts of long ago: a number for each post, and a mark that an Undo finds."""
    op.create_table(
        "reaction_counts",
        sa.Column("post_pk", RowId, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["post_pk"], ["posts.pk"], name=op.f("fk_reaction_counts_post_pk")),
        sa.PrimaryKeyConstraint("post_pk", "kind", name=op.f("pk_reaction_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "faded_reactions",
        sa.Column("person", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("thing", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("activity", sa.BigInteger(), nullable=True),
        sa.Column("post_pk", RowId, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("person", "thing", name=op.f("pk_faded_reactions")),
        sqlite_with_rowid=False,
    )


def _rows_that_are_set_aside() -> None:
    """What cannot be read or handled, and why: it stops nothing else, and the owner sees it."""
    op.create_table(
        "set_aside",
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("what", "key", name=op.f("pk_set_aside")),
    )


def _nothing_was_done_with_what_nobody_saw() -> None:
    """Likes and replies were taken for posts that are not public; they must not count when those come out."""
    posts = sa.table("posts", sa.column("pk"), sa.column("state"))
    done = sa.table("interactions", sa.column("post_pk"))
    unseen = sa.select(posts.c.pk).where(posts.c.state.in_(("scheduled", "held", "ignored")))
    op.execute(done.delete().where(done.c.post_pk.in_(unseen)))


def _reports() -> None:
    """What other servers' people complain of."""
    op.create_table(
        "reports",
        sa.Column("id", RowId, nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("about", Json(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
