"""Judging changes: holds, edits that wait, pages to ask; pushes and pictures."""

import sqlalchemy as sa
from alembic import op

from bridge.store.schema import Json, Moment, RowId

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("blurhash", sa.String(), nullable=True),
        sa.Column("file", sa.String(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("looked_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("url", name=op.f("pk_pictures")),
    )
    op.create_table(
        "pushes",
        sa.Column("id", RowId, nullable=False),
        sa.Column("source_id", RowId, nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_pushes_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushes")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("source_id", RowId, nullable=False),
        sa.Column("hub", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("leased", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_push_at", Moment(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_subscriptions_source_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("token", name=op.f("uq_subscriptions_token")),
    )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.create_index("ix_subscriptions_due", ["due_at"], unique=False)

    op.create_table(
        "holds",
        sa.Column("id", RowId, nullable=False),
        sa.Column("site", sa.String(), nullable=False),
        sa.Column("source_id", RowId, nullable=False),
        sa.Column("post_pk", RowId, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entry", Json(), nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("text_hash", sa.String(), nullable=True),
        sa.Column("held_at", Moment(), nullable=False),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["post_pk"], ["posts.pk"], name=op.f("fk_holds_post_pk")),
        sa.ForeignKeyConstraint(["site"], ["sites.key"], name=op.f("fk_holds_site")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_holds_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.create_index("ix_holds_post", ["post_pk", "kind"], unique=False)

    with op.batch_alter_table("interactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stamp", sa.String(), nullable=True))
        batch_op.create_index(batch_op.f("ix_interactions_stamp"), ["stamp"], unique=False)

    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("text_hash", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("sent_hash", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("edit_due_at", Moment(), nullable=True))
        batch_op.add_column(
            sa.Column("updates_sent", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.add_column(sa.Column("update_sent_at", Moment(), nullable=True))
        batch_op.add_column(sa.Column("missing_since", Moment(), nullable=True))
        batch_op.add_column(sa.Column("check_at", Moment(), nullable=True))
        batch_op.add_column(sa.Column("misses", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.create_index("ix_posts_check", ["check_at"], unique=False)
        batch_op.create_index("ix_posts_edit_due", ["edit_due_at"], unique=False)

    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("findings", Json(), nullable=True))
