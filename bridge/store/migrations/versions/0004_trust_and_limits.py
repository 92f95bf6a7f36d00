"""Trust and limits: what strangers can fill has bounds, and each part of this release adds what it needs.

One function for each part, so that a reader finds a column's reason beside it.
"""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring a database of 0003 to 0004."""
