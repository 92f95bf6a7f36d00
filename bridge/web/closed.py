"""What an account that was closed answers, for ever: 410, so that servers take it for deleted."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Response, request

from bridge.activitypub import discovery, documents
from bridge.activitypub.discovery import Subject
from bridge.services import Services
from bridge.store import Tx, identity, outgoing, posts
from bridge.store.identity import ClosedSite
from bridge.web.answers import document, error, is_browser

_CLOSED = "This account was closed."


def refusal(services: Services) -> Callable[[], Response | None]:
    """Build what is asked before every request: an answer, if it is about an account that was closed."""

    def before_request() -> Response | None:
        named = request.view_args or {}
        if "site" not in named and request.endpoint not in _BY_NAME:
            return None
        with services.store.read() as tx:
            closed = identity.closed_sites(tx)
            if not closed:
                return None
            if request.endpoint in _BY_NAME:
                is_meant = _BY_NAME[request.endpoint](services, closed, named)
                return error(410, _CLOSED) if is_meant else None
            site = closed.get(named["site"])
            return None if site is None else _answer(tx, services, site, named)

    return before_request


def _answer(tx: Tx, services: Services, site: ClosedSite, named: Mapping[str, Any]) -> Response:
    """Show a tombstone for the actor and each of its posts, and its last word; nothing else."""
    if is_browser():
        return error(410, _CLOSED)
    if request.endpoint == "actors.actor":
        return document(
            documents.actor_tombstone(services.ids, site.key, site.type, site.closed_at), status=410
        )
    if request.endpoint == "actors.post":
        post = posts.find(tx, site.key, named["post_id"])
        if post is not None and post.state.is_tombstone and post.deleted_at is not None:
            return document(documents.tombstone(services.ids, site.key, post.id, post.deleted_at), status=410)
        return error(404, "There is no such post here.")
    if request.endpoint == "actors.activity":
        uri = services.ids.activity(site.key, named["activity_id"])
        said = orjson.loads(outgoing.activity_body(tx, uri) or b"{}")
        if said.get("type") == "Delete" and said.get("object") == services.ids.actor(site.key):
            return document(said)
    return error(410, _CLOSED)


Named = Mapping[str, Any]
Closed = Mapping[str, ClosedSite]


def _is_subject(services: Services, closed: Closed, _: Named) -> bool:
    subjects = [_subject(services, site) for site in closed.values()]
    return discovery.match_resource(request.args.get("resource", ""), subjects) is not None


def _is_profile(services: Services, closed: Closed, named: Named) -> bool:
    user = named["user"].lower()
    open_ones = {site.user for key, site in services.config.sites.items() if key not in closed}
    return user not in open_ones and any(site.user == user for site in closed.values())


_BY_NAME: Mapping[str | None, Callable[[Services, Closed, Named], bool]] = {
    "discovery.webfinger": _is_subject,
    "pages.profile": _is_profile,
}


def _subject(services: Services, site: ClosedSite) -> Subject:
    ids = services.ids
    return Subject(site.user, site.domain, ids.host, ids.actor(site.key), ids.profile(site.user))
