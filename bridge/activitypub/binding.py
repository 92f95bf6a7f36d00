"""Whose word an activity may be: what it says has to be its signer's to say."""

from bridge.activitypub.parse import Activity
from bridge.activitypub.values import get_id
from bridge.addresses import same_origin

# What these say twice is said once, and all of it is bound to the signer, so nothing hangs on an id.
_MAY_LACK_ID = frozenset({"Undo", "Accept", "Reject", "Remove"})


def binding_error(activity: Activity, signer: str) -> str | None:
    """Say why `signer`, whose signature is verified, may not say this activity; `None` when it may.

    Everything that cannot be compared counts as different: the checks that were missing in Fedify
    (CVE-2025-54888, actor) and Mastodon (CVE-2024-37903, object). The store still touches only rows that
    belong to `signer`.
    """
    if activity.actor != signer and (activity.actor, activity.type) != (None, "FeatureRequest"):
        return f"It is signed by {signer} but claims to come from {activity.actor}."
    if activity.id is None and activity.type not in _MAY_LACK_ID:
        return f"The {activity.type} has no id."
    if activity.id is not None and not same_origin(activity.id, signer):
        return f"The id {activity.id} is not on the server of {signer}."
    return _object_error(activity, signer)


def _object_error(activity: Activity, signer: str) -> str | None:
    named = activity.object_id
    if activity.type == "Move" and named != signer:
        return f"{signer} may only move itself."
    if activity.type == "Undo":
        return _undo_error(activity, signer)
    if activity.type not in ("Create", "Update", "Delete") or named == signer:
        return None
    if named is None or not same_origin(named, signer):
        return f"The object {named} is not on the server of {signer}."
    return _author_error(activity, signer)


def _undo_error(activity: Activity, signer: str) -> str | None:
    undone = activity.object or {}
    if "actor" in undone and get_id(undone["actor"]) != signer:
        return f"{signer} may not undo what someone else did."
    return None


def _author_error(activity: Activity, signer: str) -> str | None:
    if activity.object is None:
        return None
    # The Tombstone in a Delete seldom names its author; whatever is created or updated has to.
    if activity.type == "Delete" and "attributedTo" not in activity.object:
        return None
    if get_id(activity.object.get("attributedTo")) != signer:
        return f"The object {activity.object_id} is not attributed to {signer} alone."
    return None
