"""Pictures: what we found out about those of our posts, by the URL the site has them at."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast, delete, select
from sqlalchemy.engine import Row

from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.upsert import upsert

_table = schema.pictures
_columns = _table.c
_CHUNK = 500
_COPY = re.compile(r"[0-9a-f]{64}\.\w{3,4}")
GOOD, BAD = "good", "bad"


@dataclass(frozen=True, slots=True)
class Viewed:
    """What we saw of a picture. `file`: our copy, which the rest is about; `error`: why nobody can see it.

    Where `url` is a page, `address` and `alt` are those of the picture it names for its preview card.
    """

    url: str
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    blurhash: str | None = None
    file: str | None = None
    error: str | None = None
    looked_at: datetime | None = None
    address: str | None = None
    alt: str | None = None


def known(tx: Tx, urls: Collection[str]) -> list[Viewed]:
    """Return what is known of some pictures, however long ago it was seen."""
    whole = {schema.fold(url, schema.Name.most): url for url in urls}  # a long one is stored folded
    wanted, found = sorted(whole), list[Viewed]()
    for start in range(0, len(wanted), _CHUNK):
        query = select(_table).where(_columns.url.in_(wanted[start : start + _CHUNK]))
        found += aside.legible(tx.execute(query), _table, lambda row: _viewed(row, whole[row.url]))
    return found


def _viewed(row: Row[Any], url: str) -> Viewed:
    values: dict[str, Any] = {field.name: row._mapping[field.name] for field in fields(Viewed)}
    return Viewed(**values | {"url": url})


def save(tx: Tx, seen: Iterable[Viewed], *, now: datetime) -> None:
    """Record what was seen just now."""
    for one in seen:
        values = {field.name: getattr(one, field.name) for field in fields(Viewed) if field.name != "url"}
        state = GOOD if one.error is None else BAD
        upsert(tx, _table, {"url": one.url}, {**values, "state": state, "looked_at": now})


def purge(tx: Tx, *, before: datetime) -> int:
    """Forget what was seen long ago; return how many pictures that was. Copies stay where they are."""
    return tx.execute(delete(_table).where(_columns.looked_at < before)).rowcount


def copies_in_use(tx: Tx, address: str) -> set[str]:
    """Name the copies that posts show; `address` is what their URLs begin with. Reads every such post."""
    note = cast(schema.posts.c.note, String)
    rows = tx.execute(select(note).where(note.contains(address, autoescape=True)))
    return {name for row in rows for name in _COPY.findall(row[0])}
