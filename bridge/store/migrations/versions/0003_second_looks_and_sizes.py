"""Second looks at pictures, pictures that only a page names, and how many entries a feed held."""

import sqlalchemy as sa
from alembic import op

from bridge.store.schema import Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("pictures", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("alt", sa.Text(), nullable=True))

    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("look_at", Moment(), nullable=True))
        batch_op.create_index("ix_posts_look", ["look_at"], unique=False)

    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.add_column(sa.Column("size", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("shrunk_at", Moment(), nullable=True))
