"""Reactions that are long ago: counted, no longer kept.

A like or boost costs half a kilobyte, a popular site gets a million a year, and nobody looks at who liked
what last spring. What is old becomes a number beside its post and a mark of a few bytes: keyed hashes of who
and of what, so that no id of a person is stored, an Undo that comes late counts one down, once, and whoever
never liked counts nothing down. All marks of a person stand together: whoever is erased takes theirs along.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement, delete, select, true, update

from bridge.store import schema
from bridge.store.engine import Tx
from bridge.store.identity import get_meta
from bridge.store.upsert import insert_into, insert_new

_marks, _counts, _said = schema.faded_reactions.c, schema.reaction_counts.c, schema.interactions.c
_META = "faded_reactions"  # where the secret of the hashes stands

Key = tuple[int, str]
"""(row of a post, kind)."""


@dataclass(frozen=True, slots=True)
class Old:
    """What a look at some rows found: those to fade, and the last row looked at; `None` after the end."""

    ids: Sequence[int]
    last: int | None


def find_old(tx: Tx, kept: Sequence[str], *, after: int, before: datetime, limit: int) -> Old:
    """Look at the next `limit` interactions after a row, for reactions older than `before`.

    What is `kept`, because it says something, never fades.
    """
    query = select(_said.id, _said.kind, _said.received_at, _said.post_pk).where(_said.id > after)
    rows = tx.execute(query.order_by(_said.id).limit(limit)).all()
    old = [row.id for row in rows if row.received_at < before and row.kind not in kept and row.post_pk]
    return Old(old, rows[-1].id if len(rows) == limit else None)


def fade(tx: Tx, ids: Sequence[int]) -> int:
    """Turn interactions into counts and marks; return how many there were.

    What was not public never counted: nothing is left of it.
    """
    gone = tx.execute(delete(schema.interactions).where(_said.id.in_(ids)).returning(*_FADING)).all()
    marks = [_mark(tx, row) for row in gone if row.public]
    if marks:
        tx.execute(insert_into(tx, schema.faded_reactions).values(marks).on_conflict_do_nothing())
    # In one order, or two workers that count the same posts could deadlock.
    for actor_id, post_pk, kind in sorted({(row.actor_id, row.post_pk, row.kind) for row in gone}):
        recount(tx, actor_id, post_pk, kind)
    return len(gone)


def recount(tx: Tx, actor_id: str, post_pk: int, kind: str) -> None:
    """Count a person for a post by their marks if there are any and nothing else of theirs counts already."""
    secret = get_meta(tx, _META)
    if secret is None:
        return  # nothing has faded yet
    theirs = (_marks.person == _hash(secret, actor_id), _marks.post_pk == post_pk, _marks.kind == kind)
    marks = tx.scalars(select(_marks.counted).where(*theirs)).all()
    if not marks:
        return
    same = (_said.actor_id == actor_id, _said.post_pk == post_pk, _said.kind == kind, _said.public)
    count = tx.execute(select(_said.id).where(*same).limit(1)).first() is None
    if count != any(marks):
        _add(tx, post_pk, kind, 1 if count else -1)
    tx.execute(update(schema.faded_reactions).where(*theirs).values(counted=count))


def take_back(tx: Tx, kind: str, actor_id: str, object_key: str) -> int:
    """Count down what an actor did with an object, if they did."""
    return _remove(tx, actor_id, lambda secret: _marks.thing == _hash(secret, kind, object_key))


def take_back_activity(tx: Tx, actor_id: str, activity_id: str) -> int:
    """Count down what an actor did, by the id of the activity that did it."""
    return _remove(tx, actor_id, lambda secret: _marks.activity == _hash(secret, "id", activity_id))


def forget_actor(tx: Tx, actor_id: str) -> int:
    """Count down everything an actor did."""
    return _remove(tx, actor_id, lambda _secret: true())


def knows(tx: Tx, actor_id: str) -> bool:
    """Say whether an actor has reacted to anything."""
    secret = get_meta(tx, _META)
    if secret is None:
        return False
    theirs = select(_marks.person).where(_marks.person == _hash(secret, actor_id)).limit(1)
    return tx.execute(theirs).first() is not None


def counts(tx: Tx, post_pks: Iterable[int]) -> dict[Key, int]:
    """Return (post's row, kind) → how many reactions have faded."""
    query = select(schema.reaction_counts).where(_counts.post_pk.in_(list(post_pks)))
    return {(row.post_pk, row.kind): row.number for row in tx.execute(query)}


_FADING = (
    *(_said.kind, _said.actor_id, _said.object_key),
    *(_said.activity_id, _said.post_pk, _said.public),
)


def _mark(tx: Tx, row: Any) -> dict[str, object]:
    secret = _secret(tx)
    return {
        "person": _hash(secret, row.actor_id),
        "thing": _hash(secret, row.kind, row.object_key),
        "activity": _hash(secret, "id", row.activity_id) if row.activity_id else None,
        "post_pk": row.post_pk,
        "kind": row.kind,
        "counted": False,
    }


def _remove(tx: Tx, actor_id: str, which: Callable[[str], ColumnElement[bool]]) -> int:
    secret = get_meta(tx, _META)
    if secret is None:
        return 0  # nothing has faded yet
    same = (_marks.person == _hash(secret, actor_id), which(secret))
    removed = delete(schema.faded_reactions).where(*same)
    gone = tx.execute(removed.returning(_marks.post_pk, _marks.kind, _marks.counted)).all()
    for post_pk, kind in sorted({(row.post_pk, row.kind) for row in gone if row.counted}):
        _add(tx, post_pk, kind, -1)
        others = (_marks.person == _hash(secret, actor_id), _marks.post_pk == post_pk, _marks.kind == kind)
        tx.execute(update(schema.faded_reactions).where(*others).values(counted=False))
        recount(tx, actor_id, post_pk, kind)
    return len(gone)


def _add(tx: Tx, post_pk: int, kind: str, number: int) -> None:
    row = insert_into(tx, schema.reaction_counts).values(post_pk=post_pk, kind=kind, number=number)
    more = {"number": _counts.number + number}
    tx.execute(row.on_conflict_do_update(index_elements=["post_pk", "kind"], set_=more))


def _secret(tx: Tx) -> str:
    """Return what the hashes are keyed with; made once, and worth nothing outside this database."""
    known = get_meta(tx, _META)
    if known is not None:
        return known
    insert_new(tx, schema.meta, {"key": _META, "value": secrets.token_hex(32)})
    made = get_meta(tx, _META)
    assert made is not None
    return made


def _hash(secret: str, *parts: str) -> int:
    """Return 63 bits that stand for some texts, and tell nothing to who lacks the secret."""
    whole = "\0".join(parts).encode(errors="surrogatepass")
    found = blake2b(whole, digest_size=8, key=bytes.fromhex(secret)).digest()
    return int.from_bytes(found) >> 1
