"""Posts: what we publish, under ids that are never used twice, and the names an entry is known by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.engine import RowMapping

from bridge.model import Post, PostState
from bridge.store import schema
from bridge.store.engine import Tx
from bridge.store.upsert import insert_into, insert_new

_table = schema.posts
_columns = _table.c
_keys = schema.entry_keys.c

VISIBLE = (PostState.BASELINE, PostState.PUBLISHED)
_CHUNK = 500  # keys a query asks for at once


@dataclass(frozen=True, slots=True)
class KnownPost:
    """What judging a change needs to know of a post."""

    pk: int
    id: str
    state: PostState
    content_hash: str
    generation: int
    identity: str
    published_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post about to be stored; `keys` are all the names its entry may be found under again."""

    post: Post
    generation: int
    identity: str
    keys: tuple[str, ...]
    source_id: int
    entry: Mapping[str, Any]


def known(tx: Tx, site: str, keys: Iterable[str]) -> dict[str, KnownPost]:
    """Return key → post for those entry keys that belong to a post of the site."""
    found: dict[str, KnownPost] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = (
            select(_keys.key, _table)
            .join(_table, _columns.pk == _keys.post_pk)
            .where(_keys.site == site, _keys.key.in_(chunk))
        )
        found |= {row.key: _known(row._mapping) for row in tx.execute(query)}
    return found


def add(tx: Tx, new: NewPost, *, now: datetime) -> int | None:
    """Store a post and claim its entry keys; return its row's key, or `None` when it is known already."""
    if known(tx, new.post.site, new.keys) or find(tx, new.post.site, new.post.id):
        return None
    post = new.post
    row = {
        "site": post.site,
        "id": post.id,
        "generation": new.generation,
        "identity": new.identity,
        "source_id": new.source_id,
        "state": post.state,
        "page_url": post.page_url,
        "entry": new.entry,
        "note": post.note,
        "content_hash": post.content_hash,
        "published_at": post.published_at,
        "first_seen_at": now,
        "last_seen_at": now,
    }
    added = insert_into(tx, _table).values(**row).on_conflict_do_nothing().returning(_columns.pk)
    pk: int | None = tx.scalar(added)
    if pk is not None:
        name(tx, post.site, pk, new.keys)
    return pk


def name(tx: Tx, site: str, pk: int, keys: Iterable[str]) -> None:
    """Let more entry keys lead to a post; keys that already lead anywhere are left alone."""
    for key in keys:
        insert_new(tx, schema.entry_keys, {"site": site, "key": key, "post_pk": pk})


def revise(tx: Tx, pk: int, post: Post, entry: Mapping[str, Any], *, now: datetime) -> None:
    """Store a post's new content and state; its id and `published_at` stay what they are."""
    values = {
        "state": post.state,
        "page_url": post.page_url,
        "note": post.note,
        "entry": entry,
        "content_hash": post.content_hash,
        "updated_at": post.updated_at,
        "published_at": post.published_at,
        "last_seen_at": now,
    }
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def release(tx: Tx, pk: int, post: Post) -> None:
    """Let a scheduled post out, under the moment it really was published."""
    values = {"state": post.state, "published_at": post.published_at, "note": post.note}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def bury(tx: Tx, pk: int, *, now: datetime) -> None:
    """Make a post a tombstone: its id answers 410 from now on and is never used again."""
    values = {"state": PostState.DELETED, "deleted_at": now}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def saw(tx: Tx, pks: Sequence[int], *, now: datetime) -> None:
    """Record that entries were found again."""
    for start in range(0, len(pks), _CHUNK):
        chunk = pks[start : start + _CHUNK]
        tx.execute(update(_table).where(_columns.pk.in_(chunk)).values(last_seen_at=now))


def find(tx: Tx, site: str, post_id: str) -> Post | None:
    """Return a site's post by the last part of its URL, tombstones included."""
    query = select(_table).where(_columns.site == site, _columns.id == post_id)
    row = tx.execute(query).first()
    return _post(row._mapping) if row else None


def row_of(tx: Tx, site: str, post_id: str) -> int | None:
    """Return the row's key of a post."""
    return tx.scalar(select(_columns.pk).where(_columns.site == site, _columns.id == post_id))


def anywhere(tx: Tx, post_id: str) -> Post | None:
    """Return the post of any site with this id (ids are minted from the site too, so there is one)."""
    row = tx.execute(select(_table).where(_columns.id == post_id)).first()
    return _post(row._mapping) if row else None


def newest(tx: Tx, site: str, *, limit: int, offset: int = 0) -> list[Post]:
    """Return a site's visible posts, newest first."""
    query = _visible(select(_table), site).order_by(_columns.published_at.desc(), _columns.pk.desc())
    return [_post(row._mapping) for row in tx.execute(query.limit(limit).offset(offset))]


def count(tx: Tx, site: str | None = None) -> int:
    """Return how many posts are visible, of one site or of all."""
    return tx.scalar(_visible(select(func.count()).select_from(_table), site)) or 0


def scheduled(tx: Tx, *, now: datetime, limit: int = 20) -> list[Post]:
    """Return posts whose future date has come."""
    query = select(_table).where(_columns.state == PostState.SCHEDULED, _columns.published_at <= now)
    return [_post(row._mapping) for row in tx.execute(query.order_by(_columns.published_at).limit(limit))]


def by_page(tx: Tx, text: str) -> list[Post]:
    """Return the posts whose page URL or id contains `text`, newest first, at most ten."""
    match = or_(_columns.page_url.contains(text, autoescape=True), _columns.id == text)
    query = select(_table).where(match).order_by(_columns.published_at.desc()).limit(10)
    return [_post(row._mapping) for row in tx.execute(query)]


def _visible(query: Select[Any], site: str | None) -> Select[Any]:
    query = query.where(_columns.state.in_(VISIBLE))
    return query if site is None else query.where(_columns.site == site)


def _known(row: RowMapping) -> KnownPost:
    values = {name: row[name] for name in KnownPost.__slots__}
    return KnownPost(**values | {"state": PostState(row["state"])})


def _post(row: RowMapping) -> Post:
    values = {name: row[name] for name in Post.__slots__}
    return Post(**values | {"state": PostState(row["state"])})
