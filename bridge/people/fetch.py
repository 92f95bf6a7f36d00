"""Fetches other people's documents: signed by the instance actor, and within a budget.

GoToSocial and servers in secure mode answer no unsigned GET; what comes back speaks only for its own URL.
"""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

from bridge.activitypub.keys import load_public_key, to_spki_pem
from bridge.activitypub.parse import (
    find_self,
    is_activitypub,
    listed_key_ids,
    parse_actor,
    parse_document,
    parse_keys,
)
from bridge.activitypub.signatures import sign
from bridge.activitypub.values import get_id
from bridge.addresses import host_of, same_origin
from bridge.errors import BadDocument, BadKey, BadUrl
from bridge.model import Answered, Fault, RemoteActor, RemoteKey, Scheme, Unreachable
from bridge.net.client import PER_HOST, Client
from bridge.net.dns import Share, shared_by
from bridge.net.failures import UnusableAnswer
from bridge.people.budget import Budget
from bridge.services import Services

JRD_ACCEPT = "application/jrd+json, application/json"
ACCEPT = 'application/activity+json, application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
PLAIN_ACCEPT = "application/activity+json"
LIMIT = 1024 * 1024  # bytes
SECONDS = 10.0

CROWD, CROWDED_SECONDS = 40, 3.0  # with so many under way nobody gets longer

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NotThere:
    """There is no such document.

    `absent` is the URL at which its own server says so (404, or for ever: `gone`, 410), `None` where we only
    conclude it from an answer. `unclear`: that answer may be a passing trouble of theirs (an error page, half
    a document), or came from another server than the URL's. `owner`: the key is there, its owner says so, and
    is of no kind that we take.
    """

    why: str
    gone: bool = False
    absent: str | None = None
    unclear: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class NotNow:
    """The document could not be had, but may be later, from `retry_at` on.

    `asked`: their server was; otherwise our budget was spent, which is nobody's failure.
    """

    why: str
    retry_at: datetime
    asked: bool = True


@dataclass(frozen=True, slots=True)
class FoundActor:
    """An actor, and those keys that are proven to be theirs: that stand in the actor's own document."""

    actor: RemoteActor
    keys: tuple[RemoteKey, ...]


class Fetcher:
    """Fetches documents for one worker process; the same URL is fetched once at a time."""

    def __init__(self, services: Services, client: Client) -> None:
        self._services = services
        self._client = client
        self._budget = Budget()
        self._under_way: dict[str, asyncio.Task[Mapping[str, Any] | NotThere | NotNow]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def actor(self, url: str) -> FoundActor | NotThere | NotNow:
        """Fetch an actor by its id or another URL that leads to it."""
        found = await self.document(url)
        if isinstance(found, NotThere | NotNow):
            return found
        own_id = get_id(found) or url
        if own_id != url.partition("#")[0]:  # a stub, or found under another address: ask at its own
            found = await self.document(own_id)
            if isinstance(found, NotThere | NotNow):
                return found
        try:
            actor = parse_actor(found, url=own_id)
        except BadDocument as error:
            return NotThere(str(error))
        return FoundActor(actor, tuple(key for key in parse_keys(found) if _stands_in(actor.id, key.id)))

    async def key(
        self, key_id: str, *, first: bool = False, new: bool = False
    ) -> FoundActor | NotThere | NotNow:
        """Fetch the actor who owns a key; it is the result's only key, or it is `NotThere`."""
        found = await self._key(key_id, first=first, new=new)
        if isinstance(found, NotThere) and found.absent is None:
            with suppress(BadUrl):
                self._budget.in_vain(host_of(key_id), self._services.now())
        return found

    async def _key(self, key_id: str, *, first: bool, new: bool) -> FoundActor | NotThere | NotNow:
        """Find a key.

        A key id may lead to the actor, to a stub of it (GoToSocial), or to a document of the key alone:
        in the end it is the actor's own document that has to list the key.
        """
        found = await self.document(key_id, first=first, new=new)
        if isinstance(found, NotThere | NotNow):
            return found
        owner = next((key.actor_id for key in parse_keys(found) if key.id == key_id), None)
        if owner is None:
            return NotThere(f"The document at {key_id} does not hold that key.")
        if not same_origin(owner, key_id):
            return NotThere(f"The key {key_id} says it belongs to {owner}, on another server.")
        # Mostly the key's URL is the actor's, with a fragment: then we have the actor already.
        whole = (
            found if owner == key_id.partition("#")[0] else await self.document(owner, first=first, new=new)
        )
        if isinstance(whole, NotThere | NotNow):
            return whole
        return _owner_of(key_id, owner, whole, (*parse_keys(found), *parse_keys(whole)))

    async def handle(self, handle: str) -> FoundActor | NotThere | NotNow:
        """Find an actor by ``@user@host`` through WebFinger (RFC 7033); it has to be called that itself."""
        user, _, host = handle.removeprefix("@").partition("@")
        resource = quote(f"acct:{user}@{host}", safe="")
        scheme = self._services.config.base_url.partition(":")[0]  # http only among bridges on one machine
        url = f"{scheme}://{host}/.well-known/webfinger?resource={resource}"
        now = self._services.now()
        outcome = await self._client.get(url, accept=JRD_ACCEPT, limit=LIMIT, timeout=SECONDS)
        if isinstance(outcome, Unreachable):
            theirs = outcome.fault is not Fault.SHORTAGE
            return NotNow(f"{host}: {outcome.why}", now + _MINUTE, asked=theirs)
        if outcome.status == 429 or outcome.status >= 500:
            return NotNow(f"{host} answered {outcome.status}", now + _MINUTE)
        if outcome.status != 200:
            return NotThere(f"{host} knows no {handle} ({outcome.status})")
        try:
            actor_id = find_self(parse_document(outcome.body, url=url))
        except BadDocument as error:
            return NotThere(str(error))
        return await self.actor(actor_id) if actor_id else NotThere(f"{host} names no actor for {handle}")

    async def document(
        self, url: str, *, first: bool = False, new: bool = False
    ) -> Mapping[str, Any] | NotThere | NotNow:
        """Fetch the document a URL stands for; its `id` is where it was found."""
        url = url.partition("#")[0]
        if url not in self._under_way:
            task = asyncio.ensure_future(self._document(url, first=first, new=new))
            self._under_way[url] = task
            task.add_done_callback(lambda _: self._under_way.pop(url, None))
        return await asyncio.shield(self._under_way[url])

    async def _document(self, url: str, *, first: bool, new: bool) -> Mapping[str, Any] | NotThere | NotNow:
        try:
            host = host_of(url)
        except BadUrl as error:
            return NotThere(str(error))
        async with self._turns.setdefault(host, asyncio.Semaphore(PER_HOST)):
            now = self._services.now()
            counted = self._budget.take(host, now, first=first, new=new)
            if not counted:
                why = f"too many failed fetches from {host} lately"
                return NotNow(why, now + _MINUTE * (0.5 + random.random() / 2), asked=False)  # noqa: S311  spread
            with shared_by(Share.FIRSTS if first else Share.STRANGERS):
                found = await self._fetch_confirmed(url)
            if not isinstance(found, NotThere | NotNow):
                self._budget.give_back(host, now, counted)
            elif isinstance(found, NotNow) and not found.asked:
                self._budget.uncount(now, counted)
            return found

    async def _fetch_confirmed(self, url: str) -> Mapping[str, Any] | NotThere | NotNow:
        """Fetch, and once more at the document's own id if that is elsewhere; then they have to agree."""
        found = await self._fetch(url)
        if isinstance(found, NotThere | NotNow):
            return found
        document, final = found
        own_id = get_id(document)
        if own_id == final or (own_id and _is_part_of(document, final)):
            return document
        if own_id is None:
            return NotThere(f"The document at {url} has no id.")
        now = self._services.now()
        if not self._may_lead(url, own_id, now):
            return NotNow(f"too many fetches led to {own_id} lately", now + _MINUTE, asked=False)
        again = await self._fetch(own_id)
        if isinstance(again, NotThere | NotNow):
            return again
        if get_id(again[0]) not in (own_id, again[1]) or get_id(again[0]) != own_id:
            return NotThere(f"The document at {url} calls itself {own_id}, which is not true.")
        return again[0]

    async def _fetch(self, url: str) -> tuple[Mapping[str, Any], str] | NotThere | NotNow:
        outcome = await self._get(url, ACCEPT)
        if isinstance(outcome, Answered) and outcome.status == 200 and _is_bare(outcome):
            outcome = await self._get(url, PLAIN_ACCEPT)
        now = self._services.now()
        if isinstance(outcome, Unreachable):
            if outcome.fault in (Fault.RULE, Fault.SIZE):  # it would be the same tomorrow
                return NotThere(f"{url}: {outcome.why}", unclear=outcome.fault is Fault.SIZE)
            theirs = outcome.fault is not Fault.SHORTAGE
            return NotNow(f"{url}: {outcome.why}", now + _MINUTE, asked=theirs)
        if outcome.status in (404, 410):
            return _absent(url, outcome)
        if outcome.status != 200:
            return NotNow(f"{url} answered {outcome.status}", now + (outcome.retry_after or _MINUTE))
        if not is_activitypub(outcome.headers.get("content-type")):
            why = f"{url} is not an ActivityPub document but {outcome.headers.get('content-type')}"
            return NotThere(why, unclear=True)
        try:
            return parse_document(outcome.body, url=url), outcome.url
        except BadDocument as error:
            return NotThere(str(error), unclear=True)

    async def _get(self, url: str, accept: str) -> Answered | Unreachable:
        outcome = await self._get_signed(url, accept, Scheme.CAVAGE)
        if isinstance(outcome, Answered) and outcome.status in (400, 401):
            outcome = await self._get_signed(url, accept, Scheme.RFC9421)
        return outcome

    def _may_lead(self, url: str, target: str, now: datetime) -> bool:
        """Count what leads to another host as a fetch in vain there: strangers aim at it from their own."""
        try:
            host = host_of(target)
        except BadUrl:
            return True  # the client refuses it
        return host == host_of(url) or bool(self._budget.take(host, now, new=True))

    async def _get_signed(self, url: str, accept: str, scheme: Scheme) -> Answered | Unreachable:
        key, now = self._services.keys.instance, self._services.now()

        def signed(method: str, hop: str) -> Mapping[str, str]:
            if not self._may_lead(url, hop, now):
                raise UnusableAnswer(f"too many redirects led to {host_of(hop)} lately")
            return sign(scheme, key, method, hop, body=None, now=now, accept=accept)

        seconds = SECONDS if len(self._under_way) < CROWD else CROWDED_SECONDS
        return await self._client.get(url, accept=accept, limit=LIMIT, timeout=seconds, sign=signed)


def _is_bare(outcome: Answered) -> bool:
    """Say whether it is JSON-LD without a profile, which may be anything: Epicyon's, asked for both types."""
    media_type = outcome.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/ld+json" and not is_activitypub(outcome.headers["content-type"])


def _absent(url: str, outcome: Answered) -> NotThere:
    """Say what a 404 or 410 proves: only a URL itself, asked without a redirect."""
    why = f"{url} answered {outcome.status}"
    if outcome.hops:  # the page of a login, say: that it is missing says nothing of whoever was asked for
        return NotThere(f"{why} by way of {outcome.url}", unclear=True)
    return NotThere(why, gone=outcome.status == 410, absent=url.partition("#")[0])


def _stands_in(document_id: str, part_id: str) -> bool:
    """Say whether one address is a part of the document at the other: apart from their fragments the same."""
    return document_id.partition("#")[0] == part_id.partition("#")[0]


def _is_part_of(document: Mapping[str, Any], final: str) -> bool:
    """A key's URL on the actor's own server may answer with a stub of the actor (GoToSocial)."""
    own_id = get_id(document)
    lists_it = final in listed_key_ids(document)
    return own_id is not None and lists_it and same_origin(own_id, final)


def _owner_of(
    key_id: str, owner: str, document: Mapping[str, Any], keys: tuple[RemoteKey, ...]
) -> FoundActor | NotThere:
    if key_id not in listed_key_ids(document):
        return NotThere(f"The actor {owner} does not list the key {key_id}.")
    try:
        actor = parse_actor(document, url=owner)
    except BadDocument as error:
        return NotThere(str(error))
    # The last one wins: what the actor's own document says about a key overrides the key's document.
    theirs = {key.id: key for key in keys if key.actor_id == actor.id}
    if key_id not in theirs:
        return NotThere(f"The key {key_id} does not belong to {owner}.")
    try:
        pem = to_spki_pem(load_public_key(theirs[key_id].pem))
    except BadKey as error:
        return NotThere(f"The key {key_id} is not accepted here: {error}", owner=owner)
    # Only the key asked for: what else the document lists has not said itself that it belongs there.
    return FoundActor(actor, (replace(theirs[key_id], pem=pem),))
