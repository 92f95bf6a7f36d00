"""The documents of our actors: actor, outbox, collections, posts, activities and tombstones."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from flask import Blueprint, Response, request

from bridge.activitypub import activities, documents
from bridge.activitypub.documents import OUTBOX_PAGE_SIZE
from bridge.activitypub.ids import mint_activity_id
from bridge.activitypub.values import get_id
from bridge.model import PUBLIC, Post
from bridge.publish.profile import actor_document, profile_url
from bridge.receive.incoming import post_of
from bridge.services import Services
from bridge.store import Tx, followers, interactions, outgoing, posts
from bridge.store.identity import INSTANCE
from bridge.store.interactions import BOOST, LIKE
from bridge.web.answers import document, error, is_browser, redirect

TAGGED_POSTS = 200  # the newest ones, whose hashtags a profile shows
SHOWN_TAGS = 20
_PAGE_NUMBER = re.compile("[0-9]{1,9}")


def blueprint(services: Services) -> Blueprint:
    """Build the routes below /ap/ that answer with ActivityPub."""
    routes = Blueprint("actors", __name__)
    routes.before_request(partial(only_known_sites, services))
    views: dict[str, Callable[..., Response]] = {
        "/ap/instance": instance,
        "/ap/instance/<collection>": instance_collection,
        "/ap/<site>": actor,
        "/ap/<site>/outbox": outbox,
        "/ap/<site>/outbox/pages/<page>": outbox_page,
        "/ap/<site>/followers": followers_total,
        "/ap/<site>/followers/pages/1": followers_page,
        "/ap/<site>/following": following,
        "/ap/<site>/featured": featured,
        "/ap/<site>/tags": tags,
        "/ap/<site>/posts/<post_id>": post,
        "/ap/<site>/posts/<post_id>/<collection>": post_collection,
        "/ap/<site>/authorizations/<stamp>": authorization,
        "/ap/<site>/activities/<activity_id>": activity,
    }
    for rule, view in views.items():
        routes.add_url_rule(rule, view.__name__, partial(view, services))
    return routes


def only_known_sites(services: Services) -> Response | None:
    site = (request.view_args or {}).get("site")
    if site is not None and site not in services.config.sites:
        return error(404, f"There is no site {site[:40]!r} here.")
    return None


def actor(services: Services, site: str) -> Response:
    if is_browser():
        return redirect(profile_url(services, services.site(site)))
    with services.store.read() as tx:
        return document(actor_document(tx, services, site))


def outbox(services: Services, site: str) -> Response:
    with services.store.read() as tx:
        return document(documents.outbox(services.ids, site, posts.count(tx, site)))


def outbox_page(services: Services, site: str, page: str) -> Response:
    number = int(page) if _PAGE_NUMBER.fullmatch(page) else 0
    offset = (number - 1) * OUTBOX_PAGE_SIZE
    with services.store.read() as tx:
        total = posts.count(tx, site)
        if number < 1 or offset >= max(total, 1):
            return error(404, f"The outbox has no page {page[:20]}.")
        shown = posts.newest(tx, site, limit=OUTBOX_PAGE_SIZE, offset=offset)
        return document(_outbox_page(tx, services, site, number, total, shown))


def followers_total(services: Services, site: str) -> Response:
    with services.store.read() as tx:
        return document(documents.followers_collection(services.ids, site, followers.count(tx, site)))


def followers_page(services: Services, site: str) -> Response:
    collection = services.ids.followers(site)
    page = services.ids.collection_page(collection, 1)
    return document(documents.ordered_collection_page(page, collection, []))


def following(services: Services, site: str) -> Response:
    return document(documents.ordered_collection(services.ids.following(site), 0))


def featured(services: Services, site: str) -> Response:
    with services.store.read() as tx:
        pinned = posts.featured(tx, site, limit=services.site(site).pinned)
    addresses = [services.ids.post(site, post.id) for post in pinned]
    return document(documents.featured(services.ids, site, addresses))


def tags(services: Services, site: str) -> Response:
    with services.store.read() as tx:
        newest = posts.newest(tx, site, limit=TAGGED_POSTS)
    return document(documents.featured_tags(services.ids, site, _tag_names(newest)))


def post(services: Services, site: str, post_id: str) -> Response:
    with services.store.read() as tx:
        found = posts.find(tx, site, post_id)
        if found is None or not found.state.is_public:
            return _unseen(services, found)
        if is_browser():
            return redirect(found.page_url or services.ids.page(found.id))
        return document(documents.with_context(_current(tx, found)))


def post_collection(services: Services, site: str, post_id: str, collection: str) -> Response:
    with services.store.read() as tx:
        found = posts.find(tx, site, post_id)
        if found is None or not found.state.is_public:
            return _unseen(services, found)
        return _collection(tx, services, found, collection)


def authorization(services: Services, site: str, stamp: str) -> Response:
    """Show our word that a quote (FEP-044f) or a listing (FEP-7aa9) is welcome."""
    with services.store.read() as tx:
        found = interactions.stamped(tx, site, stamp)
    if found is None:
        return error(404, "There is no such authorization here.")
    theirs, post_id = found
    if post_id is None:
        return document(activities.feature_authorization(services.ids, site, stamp, collection=theirs))
    quoted = services.ids.post(site, post_id)
    return document(activities.quote_authorization(services.ids, site, stamp, quote=theirs, quoted=quoted))


def activity(services: Services, site: str, activity_id: str) -> Response:
    with services.store.read() as tx:
        body = outgoing.activity_body(tx, services.ids.activity(site, activity_id))
        said = orjson.loads(body) if body else {}
        # An Accept names a follower, and is between them and us.
        if PUBLIC not in (*said.get("to", ()), *said.get("cc", ())):
            return error(404, "There is no such activity here.")
        where = post_of(services, get_id(said["object"]))
        if where is None or said["type"] == "Delete":
            return document(said)
        found = posts.find(tx, *where)
        if found is None or not found.state.is_public:
            return _unseen(services, found)
        return document(_as_it_is_now(services, said, found, activity_id))


def instance(services: Services) -> Response:
    """Answer everyone, unsigned: a server that wants signed GETs fetches our key while we fetch its."""
    if is_browser():
        return redirect(f"{services.config.base_url}/")
    rsa_pem, multibase = services.keys.public(INSTANCE)
    return document(documents.instance_actor(services.ids, rsa_pem, ed25519_multibase=multibase))


def instance_collection(services: Services, collection: str) -> Response:
    if collection not in ("outbox", "followers", "following"):
        return error(404, "There is no such collection here.")
    return document(documents.ordered_collection(f"{services.ids.instance}/{collection}", 0))


def _unseen(services: Services, found: Post | None) -> Response:
    """Answer for a post that is not there: never, not yet, or no longer."""
    if found is None or found.deleted_at is None or not found.state.is_tombstone:
        return error(404, "There is no such post here.")
    if is_browser():
        return error(410, "This post was deleted.")
    gone = documents.tombstone(services.ids, found.site, found.id, found.deleted_at)
    return document(gone, status=410)


def _as_it_is_now(
    services: Services, said: Mapping[str, Any], post: Post, activity_id: str
) -> Mapping[str, Any]:
    """Return an activity about a post with the post as it is now: what an edit took out stays out."""
    if said["type"] == "Create":
        return activities.create(services.ids, post.site, post.note, activity_id=activity_id)
    if said["type"] == "Update":
        return {**said, "object": {key: value for key, value in post.note.items() if key != "@context"}}
    return said


def _current(tx: Tx, post: Post) -> Mapping[str, Any]:
    """Return a post's note with today's counts and replies."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    counts = interactions.counts(tx, pk)
    replies = interactions.reply_ids(tx, pk)
    return documents.with_interactions(
        post.note, likes=counts.get(LIKE, 0), shares=counts.get(BOOST, 0), replies=replies
    )


def _collection(tx: Tx, services: Services, post: Post, collection: str) -> Response:
    ids = services.ids
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    counts = interactions.counts(tx, pk)
    match collection:
        case "likes":
            return document(documents.collection(ids.likes(post.site, post.id), counts.get(LIKE, 0)))
        case "shares":
            return document(documents.collection(ids.shares(post.site, post.id), counts.get(BOOST, 0)))
        case "replies" | "context":
            url = getattr(ids, collection)(post.site, post.id)
            replies = interactions.reply_ids(tx, pk)
            # A thread (FEP-f228) begins with the post itself.
            items = [ids.post(post.site, post.id), *replies] if collection == "context" else replies
            return document(documents.collection(url, len(items), items))
    return error(404, "A post has replies, likes, shares and context, nothing else.")


def _outbox_page(
    tx: Tx, services: Services, site: str, number: int, total: int, shown: list[Post]
) -> Mapping[str, Any]:
    counts = interactions.counts_by_id(tx, site, [post.id for post in shown])
    creates = []
    for post in shown:
        had = counts.get(post.id, {})
        note = documents.with_interactions(post.note, likes=had.get(LIKE, 0), shares=had.get(BOOST, 0))
        activity_id = mint_activity_id(site, "Create", services.ids.post(site, post.id))
        creates.append(activities.create(services.ids, site, note, activity_id=activity_id))
    return documents.outbox_page(services.ids, site, number, creates, total)


def _tag_names(newest: list[Post]) -> list[str]:
    names = [tag["name"].removeprefix("#") for post in newest for tag in post.note.get("tag", ())]
    return list(dict.fromkeys(names))[:SHOWN_TAGS]
