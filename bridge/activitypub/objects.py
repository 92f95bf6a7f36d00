"""Our actors and notes, and the tombstones of notes, as documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge import PRODUCT
from bridge.activitypub.content import link_html
from bridge.activitypub.contexts import ACTOR_CONTEXT, AS2, NOTE_CONTEXT
from bridge.activitypub.ids import Ids
from bridge.activitypub.values import Document
from bridge.model import PUBLIC, Enclosure, Image, Visibility
from bridge.picturetypes import type_at

_RFC9421 = {
    "name": "RFC-9421: HTTP Message Signatures",
    "href": "https://datatracker.ietf.org/doc/html/rfc9421",
}
# MisskeyIO drops a whole post over an attachment without mediaType; a wrong one is corrected by all.
_UNKNOWN_IMAGE_TYPE = "image/jpeg"


# ── actors ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorProfile:
    """What a site's actor shows of itself.

    `user` and `domain` are the two halves of its handle; `website` is the site, `url` the page a profile
    links to (the website, or our own page where their hosts differ). `summary_html` and the values of
    `fields` are HTML, ready and safe. `attribution_domains` lists whose articles may credit it.
    """

    site: str
    user: str
    domain: str
    name: str
    url: str
    rsa_pem: str
    summary_html: str = ""
    website: str | None = None
    type: str = "Service"
    icon: Image | None = None
    header: Image | None = None
    fields: tuple[tuple[str, str], ...] = ()
    discoverable: bool = True
    indexable: bool = True
    approve_followers: bool = False
    attribution_domains: tuple[str, ...] = ()
    also_known_as: tuple[str, ...] = ()
    moved_to: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    ed25519_multibase: str | None = None


def actor(ids: Ids, profile: ActorProfile) -> Document:
    """Describe a site's actor, complete with its @context."""
    me = ids.actor(profile.site)
    document: Document = {
        "@context": ACTOR_CONTEXT,
        "id": me,
        "type": profile.type,
        "preferredUsername": profile.user,
        "webfinger": f"{profile.user}@{profile.domain}",
        "name": profile.name,
        "summary": profile.summary_html,  # even when empty: Pixelfed fails without
        "url": profile.url,
        **_actor_urls(ids, profile.site),
        **_keys(ids, me, profile.rsa_pem, profile.ed25519_multibase),
        "attachment": [_field(name, value) for name, value in _all_fields(profile)],
        "tag": [],
        "manuallyApprovesFollowers": profile.approve_followers,
        "discoverable": profile.discoverable,
        "indexable": profile.indexable,
        "attributionDomains": list(profile.attribution_domains),
        "alsoKnownAs": list(profile.also_known_as),
        "interactionPolicy": {"canFeature": {"automaticApproval": [PUBLIC]}},
        "generator": {"type": "Application", "name": PRODUCT, "implements": [_RFC9421]},
    }
    optional = {
        "published": profile.published_at and timestamp(profile.published_at),
        "updated": profile.updated_at and timestamp(profile.updated_at),
        "icon": profile.icon and _image(profile.icon),
        "image": profile.header and _image(profile.header),
        "movedTo": profile.moved_to,
    }
    return document | {key: value for key, value in optional.items() if value}


def instance_actor(ids: Ids, rsa_pem: str, *, ed25519_multibase: str | None = None) -> Document:
    """Describe the actor that signs our GETs."""
    user = ids.instance_user
    return {
        "@context": ACTOR_CONTEXT,
        "id": ids.instance,
        "type": "Application",
        "preferredUsername": user,
        "webfinger": f"{user}@{ids.host}",
        "name": PRODUCT,
        "summary": "",
        "url": ids.base_url + "/",
        "inbox": ids.shared_inbox,
        "outbox": ids.outbox("instance"),
        "endpoints": {"sharedInbox": ids.shared_inbox},
        **_keys(ids, ids.instance, rsa_pem, ed25519_multibase),
        "manuallyApprovesFollowers": True,
        "discoverable": False,
        "indexable": False,
        "generator": {"type": "Application", "name": PRODUCT, "implements": [_RFC9421]},
    }


def _actor_urls(ids: Ids, site: str) -> Document:
    return {
        "inbox": ids.inbox(site),
        "outbox": ids.outbox(site),
        "followers": ids.followers(site),
        "following": ids.following(site),
        "featured": ids.featured(site),
        "featuredTags": ids.tags(site),
        "endpoints": {"sharedInbox": ids.shared_inbox},
    }


def _keys(ids: Ids, owner: str, rsa_pem: str, multibase: str | None) -> Document:
    # One RSA key, as an object: Misskey cannot read an array of keys.
    rsa = {"id": ids.rsa_key(owner), "owner": owner, "publicKeyPem": rsa_pem}
    if multibase is None:
        return {"publicKey": rsa}
    multikey = {
        "id": ids.ed25519_key(owner),
        "type": "Multikey",
        "controller": owner,
        "publicKeyMultibase": multibase,
    }
    return {"publicKey": rsa, "assertionMethod": [multikey]}


def _all_fields(profile: ActorProfile) -> tuple[tuple[str, str], ...]:
    """Put the website first, unless the owner's own fields link to it already."""
    if profile.website is None or any(profile.website in value for _, value in profile.fields):
        return profile.fields
    return (("Website", link_html(profile.website)), *profile.fields)


def _field(name: str, value_html: str) -> Document:
    return {"type": "PropertyValue", "name": name, "value": value_html}


def _image(image: Image) -> Document:
    document = {"type": "Image", "mediaType": _image_type(image), "url": image.url}
    return document | ({"name": image.alt} if image.alt else {})


def _image_type(image: Image) -> str:
    return image.media_type or type_at(image.url) or _UNKNOWN_IMAGE_TYPE


# ── notes ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteParts:
    """What a post is made of.

    `content` is HTML, ready and safe (see `compose_content`). `url` is the page for people: the owner's page
    where its host is ours too, else `Ids.page` (Misskey and Pixelfed drop notes whose `url` and `id` are on
    different hosts). `tags` are names without `#`. `warning` is a content warning and nothing else.
    `mentions` are (handle, actor id). `article` makes it an Article.
    """

    site: str
    id: str
    content: str
    url: str
    published_at: datetime
    updated_at: datetime | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    attachments: tuple[Image | Enclosure, ...] = ()
    warning: str = ""
    visibility: Visibility = Visibility.PUBLIC
    mentions: tuple[tuple[str, str], ...] = ()
    article: "ArticleParts | None" = None


@dataclass(frozen=True, slots=True)
class ArticleParts:
    """What an Article has beyond a Note: its title, its author's summary, and the note it could be.

    `summary` is plain text, and empty where it would only say again what the content says: most servers take
    it for a content warning and hide the post behind it.
    """

    name: str
    summary: str
    preview: str


def note(ids: Ids, parts: NoteParts) -> Document:
    """Describe a post as a Note, without @context: to be embedded, or served `with_context`.

    A Note even for an article, unless `article` asks for one: Mastodon shows no content of an Article. A Note
    has no `name`, which GoToSocial and Takahē take for a content warning. No `atomUri` either: Threads
    answers 500.
    """
    thread = ids.context(parts.site, parts.id)
    document: Document = {
        "id": ids.post(parts.site, parts.id),
        "type": "Note",
        "attributedTo": ids.actor(parts.site),
        "url": parts.url,
        "published": timestamp(parts.published_at),
        **address(ids, parts.site, parts.visibility, [actor_id for _, actor_id in parts.mentions]),
        "content": parts.content,
        "mediaType": "text/html",
        "sensitive": bool(parts.warning),
        "tag": [
            *(describe_hashtag(ids, parts.site, name) for name in parts.tags),
            *({"type": "Mention", "href": href, "name": handle} for handle, href in parts.mentions),
        ],
        "attachment": [_attachment(item) for item in parts.attachments],
        "context": thread,
        "conversation": thread,
        **_interactions(ids, parts),
        "interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC]}},
    }
    if parts.updated_at:
        document["updated"] = timestamp(_after(parts.updated_at, parts.published_at))
    if parts.language:  # a single one and identical to the content: GoToSocial and Mastodon take the first
        document["contentMap"] = {parts.language: parts.content}
    if parts.warning:
        document["summary"] = parts.warning
    return _as_article(document, parts.article) if parts.article else document


def _as_article(note: Document, article: ArticleParts) -> Document:
    """Turn a note into an Article (FEP-b2b8).

    Mastodon shows name, summary and link (app/lib/activitypub/parser/status_parser.rb); Misskey, Hollo,
    snac, GoToSocial and microblog.pub take the summary for a content warning, and GoToSocial the name where
    there is none (ASStatusToStatus: “prefer Summary, fall back to Name”).
    """
    shared = {key: note[key] for key in ("attributedTo", "published", "url", "to", "cc")}
    preview = {"type": "Note", **shared, "content": article.preview}
    named = {"type": "Article", "name": article.name, "preview": preview}
    return note | named | ({"summary": article.summary} if article.summary else {})


def with_interactions(
    note: Mapping[str, Any], *, likes: int, shares: int, replies: Sequence[str] = ()
) -> Document:
    """Return a note with today's counts and the ids of the replies to it."""
    thread = note["replies"]
    return {
        **note,
        "replies": {**thread, "first": {**thread["first"], "items": list(replies)}},
        "likes": {**note["likes"], "totalItems": likes},
        "shares": {**note["shares"], "totalItems": shares},
    }


def with_context(obj: Mapping[str, Any]) -> Document:
    """Return a note as it is served on its own, with the @context its terms need."""
    return {"@context": NOTE_CONTEXT, **obj}


def tombstone(ids: Ids, site: str, post_id: str, deleted_at: datetime) -> Document:
    """Describe what stands, with a 410, where a post was."""
    gone = {"id": ids.post(site, post_id), "type": "Tombstone", "formerType": "Note"}
    return {"@context": AS2, **gone, "deleted": timestamp(deleted_at)}


def actor_tombstone(ids: Ids, site: str, former_type: str, deleted_at: datetime) -> Document:
    """Describe what stands, with a 410, where an actor was."""
    gone = {"id": ids.actor(site), "type": "Tombstone", "formerType": former_type}
    return {"@context": AS2, **gone, "deleted": timestamp(deleted_at)}


def _interactions(ids: Ids, parts: NoteParts) -> Document:
    where = (parts.site, parts.id)
    replies = ids.replies(*where)
    return {
        "replies": {
            "id": replies,
            "type": "Collection",
            "first": {"type": "CollectionPage", "partOf": replies, "items": []},
        },
        "likes": {"id": ids.likes(*where), "type": "Collection", "totalItems": 0},
        "shares": {"id": ids.shares(*where), "type": "Collection", "totalItems": 0},
    }


def _attachment(item: Image | Enclosure) -> Document:
    if isinstance(item, Enclosure):
        playing = {"duration": f"PT{item.seconds}S"} if item.seconds else {}
        # Mastodon's players show the icon; an Image, as Mastodon itself writes it.
        cover = {"icon": _image(item.cover)} if item.cover else {}
        return {"type": "Document", "mediaType": item.media_type, "url": item.url, **playing, **cover}
    document: Document = {"type": "Document", "mediaType": _image_type(item), "url": item.url}
    known = {"name": item.alt, "width": item.width, "height": item.height, "blurhash": item.blurhash}
    focus = {"focalPoint": list(item.focal_point)} if item.focal_point else {}
    return document | {key: value for key, value in known.items() if value} | focus


def describe_hashtag(ids: Ids, site: str, name: str) -> Document:
    """Describe a hashtag, whose `name` comes without `#`."""
    return {"type": "Hashtag", "name": f"#{name}", "href": ids.tag(site, name)}


def _after(moment: datetime, published: datetime) -> datetime:
    # GoToSocial drops a note that was updated before it was published; we compare what it will see: seconds.
    return max(moment, published + timedelta(seconds=1))


# ── what all documents share ─────────────────────────────────────────────────────────────────────


def timestamp(moment: datetime) -> str:
    """Write a moment the one way every server reads: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def address(
    ids: Ids, site: str, visibility: Visibility = Visibility.PUBLIC, mentioned: Sequence[str] = ()
) -> Document:
    """Return the `to` and `cc` of what a site says; `mentioned` are ids of actors.

    Everything is public; Public in `cc` instead of `to` is how Mastodon spells unlisted.
    """
    followers = ids.followers(site)
    if visibility is Visibility.UNLISTED:
        return {"to": [followers], "cc": [PUBLIC, *mentioned]}
    return {"to": [PUBLIC], "cc": [followers, *mentioned]}
