"""The activities we send: what happened to a post or the actor, and our answers to what others ask."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.activitypub.contexts import ACTOR_CONTEXT, AS2, AUTHORIZATION_CONTEXT, NOTE_CONTEXT, QUOTE_CONTEXT
from bridge.activitypub.ids import Ids
from bridge.activitypub.objects import address, timestamp
from bridge.activitypub.values import Document, get_id, only


def create(ids: Ids, site: str, note: Mapping[str, Any], *, activity_id: str) -> Document:
    """Announce a post; `activity_id` is the activity's last path part.

    The note goes out without `updated`: Threads' operators report it wanted, but Mastodon shows any Create
    that has it as already edited.
    """
    fresh = {key: value for key, value in note.items() if key != "updated"}
    addressed = _addressees(note)
    return _activity(ids, site, "Create", activity_id, fresh, published=note["published"], to=addressed)


def update(ids: Ids, site: str, note: Mapping[str, Any], *, activity_id: str, at: datetime) -> Document:
    """Announce an edit of a post, made `at`; a note without `updated` only refreshes its counts."""
    addressed = _addressees(note)
    return _activity(ids, site, "Update", activity_id, note, published=timestamp(at), to=addressed)


def update_actor(
    ids: Ids, site: str, actor: Mapping[str, Any], *, activity_id: str, at: datetime
) -> Document:
    """Announce that the actor itself changed; `actor` is its whole document."""
    when = timestamp(at)
    return _activity(ids, site, "Update", activity_id, actor, published=when, context=ACTOR_CONTEXT)


def delete(ids: Ids, site: str, post_id: str, *, activity_id: str) -> Document:
    """Announce that a post is gone for ever."""
    gone = {"id": ids.post(site, post_id), "type": "Tombstone"}
    return _activity(ids, site, "Delete", activity_id, gone, context=AS2)


def delete_actor(ids: Ids, site: str, *, activity_id: str) -> Document:
    """Announce that an actor is gone for ever; its followers go by the address that they know it by."""
    return {
        "@context": AS2,
        "id": ids.activity(site, activity_id),
        "type": "Delete",
        "actor": ids.actor(site),
        **address(ids, site),
        "object": ids.actor(site),
    }


def feature(ids: Ids, site: str, kind: str, post_id: str, *, activity_id: str) -> Document:
    """Announce that a post was put on top of the profile (`kind` is Add) or taken off it (Remove).

    The post goes as its id: Mastodon looks for it, and fetches what it does not have.
    """
    return {
        "@context": AS2,
        "id": ids.activity(site, activity_id),
        "type": kind,
        "actor": ids.actor(site),
        **address(ids, site),
        "object": ids.post(site, post_id),
        "target": ids.featured(site),
    }


def accept(
    ids: Ids, site: str, request: Mapping[str, Any], *, activity_id: str, result: str | None = None
) -> Document:
    """Answer a request with yes: a Follow, or a QuoteRequest with the id of its authorization as `result`."""
    answer = _answer(ids, site, "Accept", request, activity_id)
    return answer | {"result": result} if result else answer


def reject(ids: Ids, site: str, request: Mapping[str, Any], *, activity_id: str) -> Document:
    """Answer a Follow or QuoteRequest with no."""
    return _answer(ids, site, "Reject", request, activity_id)


def quote_authorization(ids: Ids, site: str, authorization_id: str, *, quote: str, quoted: str) -> Document:
    """Describe the stamp that lets `quote`, someone's post, quote ours (FEP-044f)."""
    return {
        "@context": AUTHORIZATION_CONTEXT,
        "id": ids.authorization(site, authorization_id),
        "type": "QuoteAuthorization",
        "attributedTo": ids.actor(site),
        "interactingObject": quote,
        "interactionTarget": quoted,
    }


def feature_authorization(ids: Ids, site: str, authorization_id: str, *, collection: str) -> Document:
    """Describe the stamp that lets someone's `collection` list our actor (FEP-7aa9)."""
    return {
        "@context": AUTHORIZATION_CONTEXT,
        "id": ids.authorization(site, authorization_id),
        "type": "FeatureAuthorization",
        "interactingObject": collection,
        "interactionTarget": ids.actor(site),
    }


def accept_feature(
    ids: Ids, site: str, request_id: str, owner: str, *, activity_id: str, result: str
) -> Document:
    """Answer `owner`'s FeatureRequest with yes; Mastodon wants the request's bare id here."""
    return {
        "@context": AS2,
        "id": ids.activity(site, activity_id),
        "type": "Accept",
        "actor": ids.actor(site),
        "to": [owner],
        "object": request_id,
        "result": result,
    }


def _activity(
    ids: Ids,
    site: str,
    activity_type: str,
    activity_id: str,
    obj: Mapping[str, Any],
    *,
    published: str | None = None,
    context: object = NOTE_CONTEXT,
    to: Document | None = None,
) -> Document:
    return {
        "@context": context,
        "id": ids.activity(site, activity_id),
        "type": activity_type,
        "actor": ids.actor(site),
        **({"published": published} if published else {}),
        **(to or address(ids, site)),
        "object": {key: value for key, value in obj.items() if key != "@context"},
    }


def _addressees(obj: Mapping[str, Any]) -> Document:
    # The object's own: Pleroma and Akkoma compare them.
    return {"to": obj["to"], "cc": obj["cc"]}


def _answer(ids: Ids, site: str, answer_type: str, request: Mapping[str, Any], activity_id: str) -> Document:
    # The request is embedded with strings only: Threads answers 500 to a bare id, Misskey cannot resolve one,
    # GoToSocial never confirms without the request's own id.
    asked = only(request.get("type"))
    named = {key: get_id(request.get(key)) for key in ("id", "actor", "object", "instrument")}
    return {
        "@context": QUOTE_CONTEXT if asked == "QuoteRequest" else AS2,
        "id": ids.activity(site, activity_id),
        "type": answer_type,
        "actor": ids.actor(site),
        "to": [named["actor"]],
        "object": {"type": asked} | {key: found for key, found in named.items() if found},
    }
