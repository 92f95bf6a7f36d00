"""The inboxes: bounds, cheap answers, verification where we hold the key, and storing.

The cheapest question comes first. What is stored is committed before it is acknowledged; a 401 makes senders
retry for days, so it is only for signatures that are really bad.
"""

import hashlib
import logging
import math
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import MethodNotAllowed

from bridge.activitypub.binding import binding_error
from bridge.activitypub.keys import load_public_key
from bridge.activitypub.parse import Activity, parse_activity
from bridge.activitypub.signatures import Claim, SignedRequest, check, parse, signed_at, verify
from bridge.addresses import check_url, host_of, same_origin
from bridge.errors import BadKey, BadUrl, SignatureError
from bridge.model import RemoteKey
from bridge.receive.effects import COUNTS_AGAIN, EFFECTS
from bridge.receive.incoming import seen_keys
from bridge.services import Services
from bridge.store import Tx, caps, inbox, remote, strangers
from bridge.store.inbox import NOT_NAMED, Arrival
from bridge.web.answers import error
from bridge.web.door import MAX_BODY as MAX_BODY
from bridge.web.door import WAS_ASKED, Door

log = logging.getLogger(__name__)

MAX_UNVERIFIED_BODY = 256 * 1024  # of strangers, which is kept until their key is fetched
POSTS_PER_5_MINUTES = 3_000  # from one address: a Move brings thousands of Follows at once


def blueprint(services: Services) -> Blueprint:
    """Build the routes of the shared inbox and of each actor's own."""
    routes = Blueprint("inbox", __name__)
    door = door_of(services)

    @routes.post("/ap/inbox")
    @routes.post("/ap/instance/inbox")
    def shared_inbox() -> Response:
        return _receive(services, door)

    @routes.post("/ap/<site>/inbox")
    def own_inbox(site: str) -> Response:
        if site not in services.config.sites:
            return error(404, f"There is no site {site[:40]!r} here.")
        return _receive(services, door)

    @routes.get("/ap/inbox")
    def unreadable() -> Response:
        """Answer here, or the inbox would be looked for among the sites."""
        raise MethodNotAllowed(["POST"])

    return routes


def door_of(services: Services) -> Door:
    """Make what asks the cheap questions; one for a process, before a thread is taken (`web/gate`)."""
    return Door(services.config, posts_per_5_minutes=POSTS_PER_5_MINUTES)


def _receive(services: Services, door: Door) -> Response:
    header = request.headers.get
    address = door.address(request.environ.get("REMOTE_ADDR", ""), header)
    no = None if WAS_ASKED in request.environ else door.refusal(address, header)
    if no is not None:
        return error(no.status, no.message, retry_after=no.retry_after)
    body = read_body(MAX_BODY)
    if body is None:
        return error(413, f"An activity may have {MAX_BODY} bytes at most.")
    signed = _signed_request(body)
    claim = parse(signed)
    check(signed, claim, base_urls=[services.config.base_url], now=services.now())
    _refuse_unopened(services, claim.key_id)
    return _take_in(services, signed, claim, parse_activity(body), door.party_of(address, claim.key_id))


def _take_in(
    services: Services, signed: SignedRequest, claim: Claim, activity: Activity, party: str
) -> Response:
    if activity.type not in EFFECTS:
        return _accepted()  # counted nowhere: anyone can send anything here
    if activity.actor is not None and not same_origin(activity.actor, claim.key_id):
        raise SignatureError(f"The key {claim.key_id} is not on the server of the activity's actor.")
    with services.store.read() as tx:
        if _needs_nothing(tx, activity):
            return _accepted()
        cached = remote.key(tx, claim.key_id)
    # A FeatureRequest names no actor (FEP-7aa9): it comes from whoever the key belongs to.
    actor = activity.actor or (cached.actor_id if cached else None)
    wrong = binding_error(activity, actor or claim.key_id)
    if wrong:
        raise SignatureError(wrong)
    flaw = _flaw(services, signed, claim, actor, cached)
    arrival = _arrival(signed, claim, activity, actor or NOT_NAMED, verified=flaw is None)
    if flaw is None:
        return _store_known(services, arrival)
    if cached is None or cached.retry_at <= services.now():
        return _store_strange(services, arrival, party)  # the worker looks for the key, or for a newer one
    if _is_final(cached, actor, signed_at(signed, claim)):
        raise SignatureError(flaw)
    wait = math.ceil((cached.retry_at - services.now()).total_seconds())
    return error(503, f"{flaw} Please retry: we will look for a newer key.", retry_after=wait)


def _refuse_unopened(services: Services, key_id: str) -> None:
    """Refuse a key that nobody will ever fetch: one at an address that we do not open, or at our own."""
    try:
        url = check_url(key_id, reach=services.reach)
    except BadUrl as why:
        raise SignatureError(f"The key cannot be fetched: {why}") from None
    if host_of(url) == host_of(services.config.base_url):
        raise SignatureError(f"The key {key_id} is on this server, whose accounts send it nothing.")


def _needs_nothing(tx: Tx, activity: Activity) -> bool:
    """Absorb what would change nothing, before any key is looked for.

    Servers tell everyone they ever heard of that an account was deleted; its key is gone by then, and
    refusing would make them try again for days.
    """
    of_strangers = activity.is_about_its_actor or activity.type == "Remove"
    if of_strangers and activity.actor and not remote.knows(tx, activity.actor):
        return True
    if activity.id is None or activity.actor is None or activity.type in COUNTS_AGAIN:
        return False
    came_before = inbox.was_seen(tx, *seen_keys(activity.actor, activity.id))
    # Likes and the like may come again under the same id once their Undo, which waits, took effect.
    return came_before and not inbox.awaits(tx, activity.actor, "Undo")


def _is_final(cached: remote.CachedKey, actor: str | None, signed: datetime | None) -> bool:
    """Say whether another look would find no other key; `cached` was looked for lately.

    Whatever was looked for before a request was signed may be another key by then: anyone can make us look
    with garbage, and what comes next must not suffer for it.
    """
    if (cached.pem is None) == (cached.actor_id == actor):  # another's key, or of a kind we do not take
        return True
    return cached.final and signed is not None and signed <= cached.fetched_at


def _flaw(
    services: Services,
    signed: SignedRequest,
    claim: Claim,
    actor: str | None,
    cached: remote.CachedKey | None,
) -> str | None:
    """Say why the key we hold does not prove it; `None` when it does.

    Raises `SignatureError` for one of a kind that we do not take, which was looked for lately.
    """
    if cached is None:
        return "Its key is not known here."
    if cached.pem is None:
        return f"The key {claim.key_id} could not be fetched: {cached.error}"
    try:
        _verify_with(services, signed, claim, actor, RemoteKey(cached.id, cached.actor_id or "", cached.pem))
    except BadKey as flaw:
        if cached.retry_at > services.now():
            raise SignatureError(str(flaw)) from None
        return str(flaw)
    except SignatureError as flaw:
        return str(flaw)
    return None


def _verify_with(
    services: Services, signed: SignedRequest, claim: Claim, actor: str | None, key: RemoteKey
) -> None:
    if key.actor_id != actor:
        raise SignatureError(f"The key {key.id} belongs to {key.actor_id}, not to {actor}.")
    verify(signed, claim, load_public_key(key.pem), base_urls=[services.config.base_url])


def _arrival(
    signed: SignedRequest, claim: Claim, activity: Activity, actor: str, *, verified: bool
) -> Arrival:
    return Arrival(
        signature_hash=hashlib.sha256(claim.signature).hexdigest(),
        activity_id=activity.id,
        type=activity.type,
        actor_id=actor,
        key_id=claim.key_id,
        host=host_of(claim.key_id),
        verified=verified,
        request={"method": signed.method, "target": signed.target, "headers": _needed(signed, claim)},
        body=signed.body,
    )


def _store_known(services: Services, arrival: Arrival) -> Response:
    with services.store.write() as tx:
        if inbox.waiting(tx, verified=True) >= caps.MAX_WAITING:
            return error(503, "Too many activities wait here; please retry.", retry_after=300)
        inbox.store(tx, arrival, now=services.now())
    return _accepted()


def _store_strange(services: Services, arrival: Arrival, party: str) -> Response:
    """Keep what a stranger sent, at its place; whoever is refused is refused before anything is written."""
    if len(arrival.body) > MAX_UNVERIFIED_BODY:
        return error(413, f"From strangers an activity may have {MAX_UNVERIFIED_BODY} bytes at most.")
    now = services.now()
    with services.store.read() as tx:
        place = strangers.admit(tx, party, now=now)
    if place is None:
        return _no_room()
    with services.store.write() as tx:
        if not strangers.make_room(tx, place, now=now):
            return _no_room()
        if place >= strangers.MAX_OF_PARTY:
            strangers.shed(tx, party)
        inbox.store(tx, replace(arrival, party=party, place=place), now=now)
    return _accepted()


def _no_room() -> Response:
    return error(503, "Too many requests from strangers wait here; please retry.", retry_after=60)


def read_body(limit: int) -> bytes | None:
    """Read a request's body, chunked or not; `None` when it has more than `limit` bytes."""
    body = request.stream.read(limit + 1)
    return None if len(body) > limit else body


def _signed_request(body: bytes) -> SignedRequest:
    """Rebuild the request line from what WSGI leaves of it.

    Granian hands over a decoded path and a raw query. Our inboxes have nothing to decode in their paths,
    so a path that was sent encoded cannot match the signature, and is refused: that is the safe side.
    """
    environ: dict[str, Any] = request.environ
    query = environ.get("QUERY_STRING", "")
    target = environ["PATH_INFO"] + (f"?{query}" if query else "")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return SignedRequest(request.method, target, headers, body)


def _needed(signed: SignedRequest, claim: Claim) -> dict[str, str]:
    """Return the headers the signature is verified with later; who asked (X-Forwarded-For) is not kept."""
    needed = {"host", "signature", "signature-input", *claim.covered}
    return {name: value for name, value in signed.headers.items() if name in needed}


def _accepted() -> Response:
    return Response(status=202)
