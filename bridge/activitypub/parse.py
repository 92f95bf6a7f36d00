"""Bytes from outside become our types here, or an error: plain JSON, never JSON-LD.

No context is expanded and none is fetched, so a document means what its literal keys say. Contexts that
give keys another meaning were a way round signatures (Mastodon, CVE-2022-24307).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.activitypub.keys import MAX_PEM_LENGTH
from bridge.activitypub.values import (
    Document,
    as_list,
    get_id,
    get_ids,
    get_text,
    get_time,
    get_url,
    load_object,
    only,
)
from bridge.addresses import host_of, same_origin
from bridge.errors import BadActivity, BadDocument
from bridge.model import PUBLIC, RemoteActor, RemoteKey

MAX_NAME = 100
MAX_WARNING = 500
MAX_KEYS = 8

ACTOR_TYPES = ("Person", "Service", "Application", "Group", "Organization")
NOTE_TYPES = ("Note", "Article", "Page", "Question", "Image", "Video", "Audio", "Event", "Document")
ACTIVITY_TYPES = (
    *("Create", "Update", "Delete", "Undo", "Follow", "Accept", "Reject", "Like", "EmojiReact", "Dislike"),
    *("Announce", "Block", "Flag", "Move", "Add", "Remove", "QuoteRequest", "FeatureRequest"),
)

_PUBLIC_SPELLINGS = frozenset({PUBLIC, "as:Public", "Public"})
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")
_AS2_PROFILE = "https://www.w3.org/ns/activitystreams"


# ── what we read ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity as it arrived, its shape checked and nothing believed yet.

    `id` is `None` when there is none, `actor` only in a FeatureRequest (FEP-7aa9 has none). `object_id` is
    `None` when there is no object, one without id, or several; `object` is it when embedded.
    """

    id: str | None
    type: str
    actor: str | None
    object_id: str | None
    object: Document | None
    target: str | None
    instrument: str | None
    published: datetime | None
    raw: Document

    @property
    def is_public(self) -> bool:
        return _is_public(self.raw)

    @property
    def object_ids(self) -> tuple[str, ...]:
        """Return the ids of all its objects: a Flag names an account and posts at once."""
        return get_ids(self.raw.get("object"))

    @property
    def is_about_its_actor(self) -> bool:
        """Tell whether it is an actor's own Update or Delete: from strangers, not worth fetching a key."""
        return self.type in ("Update", "Delete") and self.actor is not None and self.object_id == self.actor


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """What we take from someone's Note; `content` is their HTML, unsanitised.

    `warning` is their content warning, '' for none: an article's summary is no warning (Mastodon shows it).
    """

    id: str
    actor: str
    in_reply_to: str | None
    content: str
    warning: str
    published: datetime | None
    url: str | None
    is_public: bool
    language: str | None


def parse_activity(body: bytes) -> Activity:
    """Read an activity from a request's body, whose size the caller has bounded.

    Raises `BadActivity`, and nothing else, whatever the bytes.
    """
    try:
        raw = load_object(body)
    except ValueError as flaw:
        raise BadActivity(f"The activity {flaw}.") from None
    activity_type = _first_type(raw, ACTIVITY_TYPES)
    if activity_type is None:
        raise BadActivity("The activity has no type.")
    embedded = only(raw.get("object"))
    embedded = embedded if isinstance(embedded, dict) else None
    return Activity(
        id=_read_activity_id(raw),
        type=activity_type,
        actor=_read_actor_id(raw, activity_type),
        object_id=get_id(raw.get("object")),
        object=embedded,
        target=get_id(raw.get("target")),
        instrument=get_id(raw.get("instrument")),
        published=get_time(raw.get("published")),
        raw=raw,
    )


def parse_document(body: bytes, *, url: str) -> Document:
    """Read a document fetched from `url`, or raise `BadDocument`; it says nothing yet about whose it is."""
    try:
        return load_object(body)
    except ValueError as flaw:
        raise BadDocument(f"The document at {url} {flaw}.") from None


def is_activitypub(content_type: str | None) -> bool:
    """Tell whether a response's Content-Type promises ActivityPub, by Mastodon's rule.

    Anything laxer would take a file that someone uploaded to a server for that server's word, as Mastodon
    once did (CVE-2024-25623).
    """
    media_type, *parameters = (part.strip() for part in (content_type or "").split(";"))
    if media_type.lower() == "application/activity+json":
        return True
    profiles = (
        value.strip()
        for name, _, value in (p.partition("=") for p in parameters)
        if name.lower() == "profile"
    )
    named = " ".join(profile.strip('"') for profile in profiles).split()
    return media_type.lower() == "application/ld+json" and _AS2_PROFILE in named


def find_self(jrd: Mapping[str, Any]) -> str | None:
    """Return the id of the actor that a WebFinger answer is about (its first ActivityPub `self` link)."""
    for link in as_list(jrd.get("links")):
        if isinstance(link, dict) and link.get("rel") == "self" and is_activitypub(str(link.get("type"))):
            return get_url(link.get("href"))
    return None


def parse_actor(doc: Mapping[str, Any], *, url: str) -> RemoteActor:
    """Read the actor that `url` (the final one, after redirects) answered with.

    Raises `BadDocument` when it is none, or when it speaks for another URL: then its `id` is what to fetch,
    once. Who believes such a document believes anybody about anybody (Mastodon, CVE-2024-23832). The handle
    is what the id proves; a `webfinger` property only claims.
    """
    actor_id = _own_id(doc, url)
    actor_type = _first_type(doc, ACTOR_TYPES)
    if actor_type not in ACTOR_TYPES:
        raise BadDocument(
            f"{actor_id} is not an actor: its type is {get_text(doc.get('type'), 40) or 'missing'}."
        )
    inbox = get_url(doc.get("inbox"))
    if inbox is None:
        raise BadDocument(f"The actor {actor_id} has no inbox to deliver to.")
    user = get_text(doc.get("preferredUsername"), MAX_NAME).replace("@", "").replace(" ", "")
    if not user:
        raise BadDocument(f"The actor {actor_id} has no preferredUsername, so it has no handle.")
    endpoints = doc.get("endpoints")
    shared = endpoints.get("sharedInbox") if isinstance(endpoints, dict) else None
    return RemoteActor(
        id=actor_id,
        type=actor_type,
        handle=f"@{user}@{host_of(actor_id)}",
        inbox=inbox,
        shared_inbox=get_url(shared) or get_url(doc.get("sharedInbox")),
        name=get_text(doc.get("name"), MAX_NAME) or user,
        url=get_url(doc.get("url")),
        icon=get_url(doc.get("icon")),
        moved_to=get_url(doc.get("movedTo")),
        also_known_as=get_ids(doc.get("alsoKnownAs"))[:50],
    )


def parse_keys(doc: Mapping[str, Any]) -> tuple[RemoteKey, ...]:
    """Return the keys embedded in an actor's document, or the one that a key's own document is.

    `pem` holds the text as given: PEM, or the multibase of a Multikey. A key whose owner is another than the
    document's is left out; a key document's word about its owner counts for nothing until that actor's own
    document lists the key (`listed_key_ids`).
    """
    given = (*as_list(doc.get("publicKey")), *as_list(doc.get("assertionMethod")))
    actor_id = get_id(doc)
    if not given:
        key = _read_key(doc, get_id(doc.get("owner")) or get_id(doc.get("controller")))
        return (key,) if key else ()
    keys = (_read_key(key, actor_id) for key in given[:MAX_KEYS] if isinstance(key, dict))
    return tuple(key for key in keys if key)


def listed_key_ids(doc: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the keys an actor's document lists, embedded or by reference."""
    given = (*as_list(doc.get("publicKey")), *as_list(doc.get("assertionMethod")))
    return get_ids(list(given[:MAX_KEYS]))


def parse_reply(obj: Mapping[str, Any]) -> ReplyParts:
    """Read someone's Note, or whatever else servers reply with; `BadDocument` when it is not a post."""
    object_id, kind = _web_id(obj), _first_type(obj, NOTE_TYPES)
    if kind not in NOTE_TYPES or object_id is None:
        raise BadDocument(f"{get_id(obj) or 'An object without id'} is not a post.")
    actor = get_id(obj.get("attributedTo"))
    if actor is None:
        raise BadDocument(f"The post {object_id} does not name exactly one author.")
    return ReplyParts(
        id=object_id,
        actor=actor,
        in_reply_to=get_id(obj.get("inReplyTo")),
        content=_read_content(obj),
        warning=get_text(obj.get("summary"), MAX_WARNING) if kind in ("Note", "Question") else "",
        published=get_time(obj.get("published")),
        url=get_url(obj.get("url")),
        is_public=_is_public(obj),
        language=_read_language(obj),
    )


def is_vote(obj: Mapping[str, Any]) -> bool:
    """Tell whether a Note is a vote in a poll, which has a name instead of content, and no reply."""
    return bool(obj.get("name")) and not _read_content(obj) and obj.get("inReplyTo") is not None


# ── who may say what ─────────────────────────────────────────────────────────────────────────────


# ── parts of a document ──────────────────────────────────────────────────────────────────────────


def _read_activity_id(raw: Document) -> str | None:
    if raw.get("id") is None:
        return None
    found = get_id(raw["id"]) if isinstance(raw["id"], str) else None
    if found is None:
        raise BadActivity("The activity's id is not a usable string.")
    return found


def _read_actor_id(raw: Document, activity_type: str) -> str | None:
    if raw.get("actor") is None and activity_type == "FeatureRequest":
        return None
    actor = get_id(raw.get("actor"))
    if actor is None:
        raise BadActivity(f"The {activity_type} does not name exactly one actor.")
    return actor


def _own_id(doc: Mapping[str, Any], url: str) -> str:
    claimed = _web_id(doc)
    if claimed is None:
        raise BadDocument(f"The document at {url} has no id that is a web address.")
    if claimed not in (url, url.partition("#")[0]):
        raise BadDocument(f"The document at {url} calls itself {claimed}; only the document there counts.")
    return claimed


def _web_id(doc: Mapping[str, Any]) -> str | None:
    found = doc.get("id")
    return get_url(found) if isinstance(found, str) else None


def _read_key(doc: Mapping[str, Any], actor_id: str | None) -> RemoteKey | None:
    key_id = get_id(doc.get("id"))
    owners = {get_id(doc[name]) for name in ("owner", "controller") if doc.get(name) is not None}
    material = doc.get("publicKeyPem") or doc.get("publicKeyMultibase")
    if not isinstance(material, str) or len(material) > MAX_PEM_LENGTH or key_id is None or actor_id is None:
        return None
    if owners != {actor_id} or not same_origin(key_id, actor_id):
        return None
    return RemoteKey(id=key_id, actor_id=actor_id, pem=material)


def _read_content(obj: Mapping[str, Any]) -> str:
    translations = obj.get("contentMap")
    candidates = [obj.get("content"), *(translations.values() if isinstance(translations, dict) else ())]
    return next((text for text in candidates if isinstance(text, str) and text), "")


def _read_language(obj: Mapping[str, Any]) -> str | None:
    translations = obj.get("contentMap")
    first = next(iter(translations), None) if isinstance(translations, dict) else None
    return first if isinstance(first, str) and _LANGUAGE.fullmatch(first) else None


def _first_type(doc: Mapping[str, Any], known: tuple[str, ...]) -> str | None:
    types = [item for item in as_list(doc.get("type")) if isinstance(item, str) and 0 < len(item) <= MAX_NAME]
    return next((item for item in types if item in known), types[0] if types else None)


def _is_public(doc: Mapping[str, Any]) -> bool:
    return not _PUBLIC_SPELLINGS.isdisjoint((*get_ids(doc.get("to")), *get_ids(doc.get("cc"))))
