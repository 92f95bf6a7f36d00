"""Peers: what we learned about other servers — how they want requests signed, and whether they answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Row

from bridge.model import Scheme
from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.upsert import upsert

_table = schema.peers
_columns = _table.c


@dataclass(frozen=True, slots=True)
class Peer:
    """Another server, by host. `failures` counts unanswered attempts in a row."""

    host: str
    scheme: Scheme | None = None
    scheme_at: datetime | None = None
    failures: int = 0
    open_until: datetime | None = None
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    error: str | None = None


def known(tx: Tx, hosts: Iterable[str]) -> Mapping[str, Peer]:
    """Return host → peer for those hosts we know anything about."""
    rows = tx.execute(select(_table).where(_columns.host.in_(set(hosts))))
    return {peer.host: peer for peer in aside.legible(rows, _table, _peer)}


def failing(tx: Tx) -> list[Peer]:
    """Return the peers that do not answer, longest first."""
    query = select(_table).where(_columns.failures > 0).order_by(_columns.failing_since)
    return aside.legible(tx.execute(query), _table, _peer)


def save(tx: Tx, peer: Peer) -> None:
    """Record what we know about a peer now."""
    values = {name: getattr(peer, name) for name in Peer.__slots__ if name != "host"}
    upsert(tx, _table, {"host": peer.host}, values)


def _peer(row: Row[Any]) -> Peer:
    stored = row._mapping
    values: dict[str, Any] = {name: stored[name] for name in Peer.__slots__}
    scheme = values.pop("scheme")
    return Peer(**values, scheme=Scheme(scheme) if scheme else None)
