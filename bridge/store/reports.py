"""Reports: what other servers' people complain of, kept until the owner has read it, and bounded."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select

from bridge.store import schema
from bridge.store.engine import Tx

_table = schema.reports
_columns = _table.c

MOST, MOST_OF_A_HOST = 200, 20
"""How many are kept; the newest of each server, so that none can push out what others say."""


@dataclass(frozen=True, slots=True)
class Report:
    """A complaint (a Flag): who sends it (mostly a server's actor), about which of our addresses, why."""

    actor_id: str
    host: str
    about: tuple[str, ...]
    words: str


def add(tx: Tx, new: Report, *, now: datetime) -> None:
    """Keep a report, and of the others as many as there is room for."""
    values = {"actor_id": new.actor_id, "host": new.host, "about": list(new.about), "words": new.words}
    tx.execute(insert(_table).values(**values, received_at=now))
    _keep_newest(tx, MOST_OF_A_HOST, _columns.host == new.host)
    _keep_newest(tx, MOST)


def newest(tx: Tx, *, limit: int = 10) -> list[tuple[datetime, Report]]:
    """Return the newest reports, with when they came."""
    rows = tx.execute(select(_table).order_by(_columns.id.desc()).limit(limit))
    return [(row.received_at, Report(row.actor_id, row.host, tuple(row.about), row.words)) for row in rows]


def count(tx: Tx) -> int:
    """Return how many reports are kept."""
    return tx.scalar(select(func.count()).select_from(_table)) or 0


def _keep_newest(tx: Tx, most: int, *where) -> None:  # type: ignore[no-untyped-def]
    kept = select(_columns.id).where(*where).order_by(_columns.id.desc()).limit(most)
    tx.execute(delete(_table).where(*where, _columns.id.not_in(kept)))
