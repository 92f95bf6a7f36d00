"""Whether news is still true: nothing newer says otherwise, and who was to get it still wants it."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select

from bridge.model import DropCause
from bridge.store import schema
from bridge.store.engine import Tx

_columns = schema.deliveries.c
_people, _actors = schema.followers.c, schema.remote_actors.c
_said, _posts = schema.interactions.c, schema.posts.c

FOR_THE_PEERS_SAKE = (DropCause.REFUSED, DropCause.EXHAUSTED, DropCause.GONE, DropCause.QUARANTINED)
"""Drops that were the peer's doing: it may take now what it did not take then."""

OWED = ("Accept", "Reject", "Delete")
"""What is not for followers: an answer to someone, and the end of what an inbox may hold."""

_ANSWERS, _PINS = ("Accept", "Reject"), ("Add", "Remove")
_OVERRIDDEN = {
    "Create": ("Delete",),
    "Update": ("Update", "Delete"),
    "Accept": _ANSWERS,
    "Reject": _ANSWERS,
    "Add": (*_PINS, "Delete"),
    "Remove": (*_PINS, "Delete"),
}
"""Type → the later ones about the same object that leave nothing of it to say."""

_VISIBLE, _BURIED = ("baseline", "published"), ("deleted", "withdrawn")


def is_true() -> ColumnElement[bool]:
    """Build the condition under which a delivery may still be sent, as far as one statement can tell.

    Posts for people who do not follow are left to `also_wanted`.
    """
    kind = _columns.type
    return and_(
        ~_is_overridden(),
        _post_stands(),
        or_(
            and_(kind == "Accept", or_(_follows(), _is_welcomed())),
            and_(kind == "Reject", ~_follows()),
            kind == "Delete",
            and_(kind.not_in(OWED), or_(_state_of_post().is_(None), _has_followers())),
        ),
    )


def also_wanted(tx: Tx, where: Collection[ColumnElement[bool]]) -> list[int]:
    """Return those chosen deliveries of posts that nobody who follows is behind, but someone concerned is."""
    posted = (_columns.type.in_(("Create", "Update")), ~_has_followers(), ~_is_overridden(), _post_stands())
    activities = schema.activities.c
    query = (
        select(_columns.id, _columns.inbox, _columns.type, activities.post_pk)
        .join(schema.activities, activities.pk == _columns.activity_pk)
        .where(*where, *posted, activities.post_pk.is_not(None))
    )
    rows = tx.execute(query).all()
    return [row.id for row in rows if row.inbox in concerned(tx, row.post_pk, edits=row.type == "Update")]


def concerned(tx: Tx, post_pk: int, *, edits: bool) -> set[str]:
    """Return the inboxes of who a post mentions and, for its edits, of who answered it."""
    found: set[str] = set()
    note = tx.scalar(select(_posts.note).where(_posts.pk == post_pk)) or {}
    named = [tag.get("href") for tag in note.get("tag", ()) if tag.get("type") == "Mention"]
    target = func.coalesce(_actors.shared_inbox, _actors.inbox)
    found |= set(tx.scalars(select(target).where(_actors.id.in_(named))))
    if edits:
        spoke = schema.remote_actors.join(schema.interactions, _actors.id == _said.actor_id)
        found |= set(tx.scalars(select(target).select_from(spoke).where(_said.post_pk == post_pk)))
    return found


def _is_overridden() -> ColumnElement[bool]:
    newer = schema.activities.alias("newer")
    later = or_(*(and_(_columns.type == old, newer.c.type.in_(new)) for old, new in _OVERRIDDEN.items()))
    same = (newer.c.object_uri == _columns.object_uri, newer.c.site == _columns.site)
    return exists().where(*same, newer.c.pk > _columns.activity_pk, later)


def _post_stands() -> ColumnElement[bool]:
    """A post's news is true while the post is, and its Delete once it is not; others are about no post."""
    state = _state_of_post()
    there, gone = state.in_(_VISIBLE), state.in_(_BURIED)
    return or_(state.is_(None), and_(_columns.type != "Delete", there), and_(_columns.type == "Delete", gone))


def _state_of_post() -> ScalarSelect[str]:
    about = schema.activities.alias("about")
    states = select(_posts.state).join(about, about.c.post_pk == _posts.pk)
    return states.where(about.c.pk == _columns.activity_pk).scalar_subquery()


def _follows() -> ColumnElement[bool]:
    theirs = (_people.site == _columns.site, _people.actor_id == _columns.object_uri)
    return exists().where(*theirs, _people.state == "accepted")


def _is_welcomed() -> ColumnElement[bool]:
    """A quote or a listing that we gave our word for, and did not take it back."""
    named = or_(_said.object_key == _columns.object_uri, _said.url == _columns.object_uri)
    return exists().where(_said.site == _columns.site, _said.stamp.is_not(None), named)


def _has_followers() -> ColumnElement[bool]:
    target = func.coalesce(_people.shared_inbox, _people.inbox)
    behind = (_people.site == _columns.site, target == _columns.inbox)
    return exists().where(*behind, _people.state == "accepted")
