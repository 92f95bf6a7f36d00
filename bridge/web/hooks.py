"""The doors for news: hubs that push, builds that say “look now”. Both only queue; nothing is fetched.

GET, POST /ap/about/websub/{token}    a hub, about one subscription
POST      /ap/hooks/poll/{site}       a build (`/hooks/poll/{site}` is the same, where a proxy passes it)
"""

import logging
from datetime import datetime, timedelta

from flask import Blueprint, Response, request

from bridge.activitypub.websub import (
    ASK_AGAIN_AFTER_NO,
    DENIED,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Question,
    is_signed,
    parse_question,
    renew_at,
)
from bridge.services import Services
from bridge.store import sources, subscriptions
from bridge.store.engine import Tx
from bridge.store.subscriptions import Subscription
from bridge.web import build_calls
from bridge.web.answers import error
from bridge.web.inbox import read_body
from bridge.web.limits import RateLimit

log = logging.getLogger(__name__)

MAX_PUSH = 10 * 1024 * 1024  # bytes: as much as a polled feed may have
MAX_CALL = 1024 * 1024
CALLS_PER_MINUTE = 6  # of one site
BETWEEN_PINGS = timedelta(seconds=3)  # the least between two polls that a hub has us make of one source

_NEVER = {"Cache-Control": "no-store"}
_UNKNOWN = "There is no such subscription here."


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("hooks", __name__)
    limit = RateLimit(CALLS_PER_MINUTE, seconds=60)

    @routes.get("/ap/about/websub/<token>")
    def question(token: str) -> Response:
        return _answer(services, token, parse_question(request.args))

    @routes.post("/ap/about/websub/<token>")
    def push(token: str) -> Response:
        return _take_push(services, token)

    @routes.post("/ap/hooks/poll/<site>")
    @routes.post("/hooks/poll/<site>")
    def poll_now(site: str) -> Response:
        return _poll_now(services, limit, site)

    return routes


def expects(services: Services, path: str) -> bool:
    """Say whether a hub, a build or a server has a reason to send a body to this path."""
    match path.strip("/").split("/"):
        case ["ap", "about", "websub", token]:
            with services.store.read() as tx:
                known = subscriptions.by_token(tx, token)
            return known is not None and known.state == subscriptions.ACTIVE
        case ["ap", "hooks", "poll", site] | ["hooks", "poll", site]:
            return site in services.config.sites and services.config.sites[site].hook_secret is not None
        case ["ap", site, "inbox"]:
            return site == "instance" or site in services.config.sites
    return path == "/ap/inbox"


# ── hubs ─────────────────────────────────────────────────────────────────────────────────────────


def _answer(services: Services, token: str, asked: Question) -> Response:
    """Echo the challenge of what we asked for, and of nothing else."""
    now = services.now()
    with services.store.write() as tx:
        known = subscriptions.by_token(tx, token)
        if known is None or asked.topic != known.topic:
            return error(404, _UNKNOWN)
        if asked.mode == DENIED:
            _be_denied(tx, known, asked.reason, now)
            return Response(status=200, headers=_NEVER)
        if asked.mode != _wanted(known) or not asked.challenge:
            return error(404, _UNKNOWN)
        if asked.mode == UNSUBSCRIBE:
            subscriptions.leave(tx, known.source_id)
        else:
            until, renewal = now + asked.lease, renew_at(asked.lease, now)
            subscriptions.confirm(tx, known.source_id, lease_until=until, renew_at=renewal)
    # Section 7.2: a type no browser renders, or the challenge would be a script on our own host.
    return Response(asked.challenge, 200, _NEVER, content_type="application/octet-stream")


def _be_denied(tx: Tx, known: Subscription, given: str, now: datetime) -> None:
    """Take a no, which may come at any time; whoever is leaving anyway has left by it."""
    if known.state in (subscriptions.LEAVING, subscriptions.LEFT):
        subscriptions.leave(tx, known.source_id)
        return
    reason = f"the hub denied the subscription{f': {given}' if given else ''}"
    subscriptions.deny(tx, known.source_id, reason, ask_again_at=now + ASK_AGAIN_AFTER_NO)


def _wanted(known: Subscription) -> str:
    """Say which question we expect: none in a state in which we asked nothing."""
    if known.state in (subscriptions.ASKED, subscriptions.ACTIVE):
        return SUBSCRIBE
    return UNSUBSCRIBE if known.state == subscriptions.LEAVING else ""


def _take_push(services: Services, token: str) -> Response:
    with services.store.read() as tx:
        known = subscriptions.by_token(tx, token)
        if known is None or known.state != subscriptions.ACTIVE:
            # A 410 tells a hub to stop (section 7): ours of once, and nobody who made a token up.
            return error(410 if subscriptions.was_left(tx, token) else 404, _UNKNOWN)
    body = None if (request.content_length or 0) > MAX_PUSH else read_body(MAX_PUSH)
    if body is None:
        return error(413, f"A push may have {MAX_PUSH} bytes at most.")
    if not is_signed(request.headers.get("X-Hub-Signature", ""), known.secret, body):
        log.warning("A push for %s is not signed by its hub; ignored.", known.topic)
        return _accepted()  # section 6.2: whoever guesses is to learn nothing
    with services.store.write() as tx:
        kept = bool(body.strip()) and subscriptions.keep_push(
            tx, known.source_id, request.content_type, body, now=services.now()
        )
        if not kept:  # a mere ping, or more than we want to keep
            sources.make_due_apart(tx, known.source_id, BETWEEN_PINGS, now=services.now())
    return _accepted()


# ── builds ───────────────────────────────────────────────────────────────────────────────────────


def _poll_now(services: Services, limit: RateLimit, site: str) -> Response:
    configured = services.config.sites.get(site)
    if configured is None or configured.hook_secret is None:
        return error(404, "There is nothing to call here: there is no such site, or it has no hook_secret.")
    body = None if (request.content_length or 0) > MAX_CALL else read_body(MAX_CALL)
    if body is None:
        return error(413, f"A call may have {MAX_CALL} bytes at most.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    build_calls.check(headers, body, configured.hook_secret, now=services.now())
    if not limit.allows(site):  # after the proof: strangers must not use up the owner's calls
        return error(429, "Called too often; new posts will be found anyway.", retry_after=10)
    with services.store.write() as tx:
        ids = [source.id for source in sources.all_sources(tx) if source.site == site]
        sources.make_due(tx, ids, now=services.now())
    log.info("%s: the site's build called; polling.", site)
    return _accepted()


def _accepted() -> Response:
    return Response(status=202, headers=_NEVER)
