"""Posts: what we publish, under ids that are never used twice, and the names an entry is known by."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, func, or_, select, type_coerce, update
from sqlalchemy.engine import Row, RowMapping

from bridge.model import Entry, KnownPost, Post, PostState
from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.entries import from_stored
from bridge.store.upsert import insert_into, insert_new

_table = schema.posts
_columns = _table.c
_keys = schema.entry_keys.c

DUE = _columns.published_at  # of one that is scheduled

_PUBLIC = [state for state in PostState if state.is_public]
_CHUNK = 500  # keys a query asks for at once


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post about to be stored; `keys` are all the names its entry may be found under again."""

    post: Post
    generation: int
    identity: str
    keys: tuple[str, ...]
    source_id: int
    entry: Mapping[str, Any]
    text_hash: str = ""
    pinned: bool = False


_STORED = (
    *("pk", "id", "state", "content_hash", "text_hash", "generation", "source_id", "page_url"),
    *("published_at", "updated_at", "missing_since"),
)
_KNOWN = [_columns[name] for name in _STORED]


def as_known(row: RowMapping | Mapping[str, Any]) -> KnownPost:
    """Return what a row says of a post that is known."""
    values = {name: row[name] for name in _STORED}
    return KnownPost(**values | {"state": PostState(row["state"])})


def known(tx: Tx, site: str, keys: Iterable[str]) -> dict[str, KnownPost]:
    """Return key → post for those entry keys that belong to a post of the site."""
    found: dict[str, KnownPost] = {}
    whole = {schema.fold(key, schema.Name.most): key for key in keys}  # a long one is stored folded
    wanted = sorted(whole)
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        query = (
            select(_keys.key, *_KNOWN)
            .join(_table, _columns.pk == _keys.post_pk)
            .where(_keys.site == site, _keys.key.in_(chunk))
        )
        rows = tx.execute(query)
        found |= dict(aside.legible(rows, _table, lambda row: (whole[row.key], as_known(row._mapping))))
    return found


def add(tx: Tx, new: NewPost, *, now: datetime) -> int | None:
    """Store a post and claim its entry keys; return its row's key, or `None` when it is known already.

    Only the keys of a deleted post may be claimed anew, by its next generation. A title, a path or a text
    that another post has too does not make it the same.
    """
    taken = known(tx, new.post.site, new.keys)
    own = [key for key in new.keys if key.startswith(("guid:", "link:"))] or new.keys[:1]
    if any(not taken[key].state.may_return for key in own if key in taken):
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
        "text_hash": new.text_hash,
        "pinned": new.pinned,
        "unlisted": post.is_unlisted,
        "published_at": post.published_at,
        "first_seen_at": now,
        "last_seen_at": now,
    }
    added = insert_into(tx, _table).values(**row).on_conflict_do_nothing().returning(_columns.pk)
    pk: int | None = tx.scalar(added)
    if pk is not None:
        _inherit(tx, post.site, [old.pk for old in taken.values() if old.state.may_return], pk)
        name(tx, post.site, pk, new.keys)
    return pk


def _inherit(tx: Tx, site: str, dead: Sequence[int], pk: int) -> None:
    keys = schema.entry_keys
    tx.execute(update(keys).where(_keys.site == site, _keys.post_pk.in_(dead)).values(post_pk=pk))


def name(tx: Tx, site: str, pk: int, keys: Iterable[str]) -> None:
    """Let more entry keys lead to a post; keys that already lead anywhere are left alone."""
    for key in keys:
        insert_new(tx, schema.entry_keys, {"site": site, "key": key, "post_pk": pk})


def by_row(tx: Tx, pk: int) -> KnownPost:
    """Return a post by its row's key."""
    return as_known(tx.execute(select(*_KNOWN).where(_columns.pk == pk)).one()._mapping)


def of_source(tx: Tx, source_id: int) -> list[KnownPost]:
    """Return the posts of a source that are not yet deleted."""
    alive = (_columns.source_id == source_id, _columns.deleted_at.is_(None))
    rows = tx.execute(select(*_KNOWN).where(*alive))
    return aside.legible(rows, _table, lambda row: as_known(row._mapping))


def entry_of(tx: Tx, post: Post) -> Entry:
    """Return a post's entry as it was last found."""
    query = select(_columns.entry).where(_columns.site == post.site, _columns.id == post.id)
    return from_stored(tx.execute(query).scalar_one())


def stored_entries(tx: Tx, source_id: int) -> list[tuple[PostState, Mapping[str, Any]]]:
    """Return (state, entry as last found) of every post of a source."""
    rows = tx.execute(select(_columns.state, _columns.entry).where(_columns.source_id == source_id))
    return aside.legible(rows, _table, lambda row: (PostState(row.state), row.entry))


def revise(
    tx: Tx,
    pk: int,
    post: Post,
    entry: Mapping[str, Any],
    *,
    text_hash: str = "",
    pinned: bool = False,
    now: datetime,
) -> None:
    """Store a post's new content and state; its id and `published_at` stay what they are."""
    values = {
        "text_hash": text_hash,
        "pinned": pinned,
        "unlisted": post.is_unlisted,
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


def bury(tx: Tx, pk: int, *, state: PostState = PostState.DELETED, now: datetime) -> None:
    """Make a post a tombstone: its id answers 410 from now on and is never used again."""
    values = {"state": state, "deleted_at": now, "edit_due_at": None, "check_at": None, "look_at": None}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def bury_all(tx: Tx, site: str, *, now: datetime) -> None:
    """Make tombstones of a site's public posts; what nobody saw never comes."""
    theirs, quiet = _columns.site == site, {"edit_due_at": None, "check_at": None, "look_at": None}
    gone = {"state": PostState.WITHDRAWN, "deleted_at": now}
    waiting = [state for state in PostState if state.is_waiting]
    tx.execute(update(_table).where(theirs, is_public(_columns.state)).values(gone))
    tx.execute(update(_table).where(theirs, _columns.state.in_(waiting)).values(state=PostState.IGNORED))
    tx.execute(update(_table).where(theirs).values(quiet))


def saw(tx: Tx, pks: Sequence[int], *, now: datetime) -> None:
    """Record that entries were found again."""
    for start in range(0, len(pks), _CHUNK):
        chunk = pks[start : start + _CHUNK]
        back = {"last_seen_at": now, "missing_since": None, "check_at": None, "misses": 0}
        tx.execute(update(_table).where(_columns.pk.in_(chunk)).values(back))


def find(tx: Tx, site: str, post_id: str) -> Post | None:
    """Return a site's post by the last part of its URL, tombstones included."""
    query = select(_table).where(_columns.site == site, _columns.id == post_id)
    row = tx.execute(query).first()
    return _post(row._mapping) if row else None


def row_of(tx: Tx, site: str, post_id: str) -> int | None:
    """Return the row's key of a post."""
    return tx.scalar(select(_columns.pk).where(_columns.site == site, _columns.id == post_id))


def public_row_of(tx: Tx, site: str, post_id: str) -> int | None:
    """Return the row's key of a post that anyone may see; of any other nothing tells that it exists."""
    pk: int | None = tx.scalar(_public(select(_columns.pk), site).where(_columns.id == post_id))
    return pk


def only_hidden_show(tx: Tx, picture_url: str) -> bool:
    """Say whether the posts that show a picture are all such as nobody may see."""
    shows = type_coerce(_columns.note, Text).contains(f'"{picture_url}"', autoescape=True)
    hidden, public = ~is_public(_columns.state), is_public(_columns.state)
    # In this order: posts that are not public are few, and of what none of them shows no more is asked.
    return _any(tx, hidden, shows) and not _any(tx, public, shows)


def _any(tx: Tx, *where: ColumnElement[bool]) -> bool:
    return tx.execute(select(_columns.pk).where(*where).limit(1)).first() is not None


def anywhere(tx: Tx, post_id: str) -> Post | None:
    """Return the post of any site with this id (ids are minted from the site too, so there is one)."""
    row = tx.execute(select(_table).where(_columns.id == post_id)).first()
    return _post(row._mapping) if row else None


def newest(tx: Tx, site: str, *, limit: int, offset: int = 0) -> list[Post]:
    """Return a site's public posts, newest first."""
    query = _public(select(_table), site).order_by(_columns.published_at.desc(), _columns.pk.desc())
    return _posts(tx.execute(query.limit(limit).offset(offset)))


def count(tx: Tx, site: str | None = None) -> int:
    """Return how many posts are public, of one site or of all."""
    return tx.scalar(_public(select(func.count()).select_from(_table), site)) or 0


def scheduled(tx: Tx, *, now: datetime, limit: int = 20, but: Collection[str] = ()) -> list[Post]:
    """Return posts whose time has come, but not those that vanished from their feed and may be withdrawn.

    `but`: not of these sites.
    """
    due = (_columns.state == PostState.SCHEDULED, _columns.published_at <= now, _columns.check_at.is_(None))
    resting = [int(key) for key in aside.resting(tx, DUE, now=now)]
    query = select(_table).where(*due, _columns.pk.not_in(resting), _columns.site.not_in(but))
    query = query.order_by(_columns.published_at).limit(limit)
    return _posts(tx.execute(query))


def schedule(tx: Tx, pk: int, at: datetime) -> None:
    """Have a post that was held go out at this time."""
    values = {"state": PostState.SCHEDULED, "published_at": at}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def written_at(tx: Tx, pks: Iterable[int]) -> dict[int, datetime | None]:
    """Return the date that each post's entry had when it was last read."""
    query = select(_columns.pk, _columns.entry).where(_columns.pk.in_(list(pks)))
    rows = tx.execute(query)
    return dict(aside.legible(rows, _table, lambda row: (row.pk, from_stored(row.entry).published_at)))


def to_come(tx: Tx) -> tuple[int, datetime | None]:
    """Return how many posts are scheduled, and when the first of them is due."""
    query = select(func.count(), func.min(_columns.published_at)).where(_columns.state == PostState.SCHEDULED)
    number, first = tx.execute(query).one()
    return number, first


def featured(tx: Tx, site: str, *, limit: int) -> list[Post]:
    """Return the posts on top of a profile: those the owner pinned, then the newest; no unlisted ones."""
    return _posts(tx.execute(_on_top(select(_table), site, limit)))


def pins(tx: Tx, site: str, *, limit: int) -> dict[str, bool]:
    """Return id → whether its owner pinned it, of the posts on top of a profile."""
    return {
        row.id: row.pinned for row in tx.execute(_on_top(select(_columns.id, _columns.pinned), site, limit))
    }


def _on_top(query: Select[Any], site: str, limit: int) -> Select[Any]:
    order = (_columns.pinned.desc(), _columns.published_at.desc(), _columns.pk.desc())
    return _public(query, site).where(~_columns.unlisted).order_by(*order).limit(limit)


def public_ids(tx: Tx, site: str, ids: Iterable[str]) -> set[str]:
    """Return which of these are ids of public posts."""
    return set(tx.scalars(_public(select(_columns.id), site).where(_columns.id.in_(list(ids)))))


def set_state(tx: Tx, pk: int, state: PostState) -> None:
    """Record the owner's word about a post."""
    tx.execute(update(_table).where(_columns.pk == pk).values(state=state))


def accept_as_seen(tx: Tx, pk: int, content_hash: str, text_hash: str) -> None:
    """Take an entry's present content as known, without showing it: the owner does not want it sent."""
    values = {"content_hash": content_hash, "text_hash": text_hash}
    tx.execute(update(_table).where(_columns.pk == pk).values(values))


def by_name(tx: Tx, text: str) -> list[Post]:
    """Return the posts an owner means by an entry's key, or by a part of a page's address."""
    found = tx.scalars(select(_keys.post_pk).where(_keys.key == text)).all()
    if not found:
        return by_page(tx, text)
    rows = tx.execute(select(_table).where(_columns.pk.in_(found)))
    return _posts(rows)


def is_called(tx: Tx, post: Post, names: Sequence[str]) -> bool:
    """Say whether one of these is a post's id, its page's address or a key of its entry, and no mere part."""
    if post.id in names or post.page_url in names:
        return True
    pk = row_of(tx, post.site, post.id)
    query = select(_keys.key).where(_keys.site == post.site, _keys.post_pk == pk, _keys.key.in_(names))
    return tx.execute(query).first() is not None


def by_page(tx: Tx, text: str) -> list[Post]:
    """Return the posts whose page, file or id is called something like `text`; the newest ten."""
    in_name = (_columns.page_url, _columns.identity)
    match = or_(_columns.id == text, *(column.contains(text, autoescape=True) for column in in_name))
    query = select(_table).where(match).order_by(_columns.published_at.desc()).limit(10)
    return _posts(tx.execute(query))


def is_public(state: ColumnElement[str]) -> ColumnElement[bool]:
    """Say in SQL what `PostState.is_public` says."""
    return state.in_(_PUBLIC)


def _public(query: Select[Any], site: str | None) -> Select[Any]:
    query = query.where(is_public(_columns.state))
    return query if site is None else query.where(_columns.site == site)


def _posts(rows: Iterable[Row[Any]]) -> list[Post]:
    return aside.legible(rows, _table, lambda row: _post(row._mapping))


def _post(row: RowMapping) -> Post:
    values = {name: row[name] for name in Post.__slots__}
    return Post(**values | {"state": PostState(row["state"])})
