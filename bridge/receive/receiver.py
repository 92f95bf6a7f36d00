"""Receives: a stored arrival → verified → a follower, reply or reaction; an Accept to deliver."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from bridge.activitypub.binding import binding_error
from bridge.activitypub.keys import load_public_key
from bridge.activitypub.parse import Activity, parse_activity
from bridge.activitypub.signatures import SignedRequest, parse, signed_at, verify
from bridge.errors import BadActivity, BadKey, BadUrl, SignatureError, StoreUnavailable
from bridge.model import RemoteActor, RemoteKey
from bridge.people.fetch import Fetcher, FoundActor, NotNow, NotThere
from bridge.pump.engine import Stop, pump
from bridge.receive.admission import admitted, host_reached
from bridge.receive.effects import concerns_us, forget, take_effect
from bridge.receive.incoming import Incoming
from bridge.services import Services
from bridge.store import Tx, aside, inbox, remote
from bridge.store.inbox import NOT_NAMED, Received
from bridge.store.remote import CachedKey

log = logging.getLogger(__name__)

KEY_REFETCH = timedelta(minutes=10)  # a bad signature makes us look for a new key at most this often
MISSING_KEY, GONE_KEY = timedelta(minutes=10), timedelta(hours=24)
STRANGERS_KEY = timedelta(minutes=1)  # anyone may name a key before its owner exists
ACTOR_FRESH = timedelta(days=1)
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 720, 720))
RECHECK_PAUSE = timedelta(hours=1)  # between two looks at an actor that the word of strangers makes us take
ANSWERED = ("Follow", "QuoteRequest", "FeatureRequest")


@dataclass(frozen=True, slots=True)
class Ready:
    """Verified: it takes effect now."""

    received: Received
    activity: Activity
    signer: str
    actor: FoundActor | None
    known_actor: RemoteActor | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not what it claims to be."""

    received: Received
    why: str
    is_known: bool = False  # said in the log before, of the same key
    may_be_gone: bool = False  # its actor's server says that there is no such key: worth a look at the actor


@dataclass(frozen=True, slots=True)
class Later:
    """Another server did not answer; tried again. `asked`: it was asked, and that counts as an attempt."""

    received: Received
    why: str
    not_before: datetime
    asked: bool = True


@dataclass(frozen=True, slots=True)
class SignerGone:
    """The actor is gone for good: their own id answered us 410. All that is left to do is to forget them.

    A key that is gone proves nothing about anyone: whoever sends can name one.
    """

    received: Received
    actor_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """We could not handle it, whoever's fault that is; tried a few times, then set aside."""

    received: Received
    why: str


Unproven = Refused | Later | SignerGone
Verdict = Ready | Unproven | Failed


class Receiver:
    """Lets arrivals take effect, for one worker process."""

    def __init__(self, services: Services, fetcher: Fetcher) -> None:
        self._services = services
        self._fetcher = fetcher
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: dict[int, Received] = {}

    async def run(self, stop: Stop) -> int:
        """Handle every arrival that is due; return how many."""
        handled, slots = 0, inbox.SLOTS
        while some := await pump(
            self._claim, self._handle, self._settle, renew=self._renew, slots=slots, stop=stop
        ):
            handled += some  # and once more: hosts that were busy may have more
        return handled

    def _claim(self, room: int) -> list[Received]:
        held = list(self._under_way.values())
        with self._services.store.write() as tx:
            found = inbox.claim_due(tx, room, now=self._services.now(), under_way=held)
        self._under_way |= {received.id: received for received in found}
        return found

    def _renew(self, held: Sequence[Received]) -> None:
        with self._services.store.write() as tx:
            inbox.renew(tx, [received.id for received in held], now=self._services.now())

    async def _handle(self, received: Received) -> Verdict:
        try:
            return await self._verdict(received)
        except asyncio.CancelledError:
            return Later(received, "the bridge was stopped", self._services.now())
        except (BadActivity, SignatureError, BadKey, BadUrl) as error:
            return Refused(received, str(error))
        except StoreUnavailable as error:
            return Later(received, str(error), self._services.now(), asked=False)
        except Exception as error:  # one poisoned arrival never stops the others
            log.exception("Arrival %d from %s failed unexpectedly", received.id, received.host)
            return Failed(received, aside.explained(error))
        finally:
            self._under_way.pop(received.id, None)

    async def _verdict(self, received: Received) -> Verdict:
        activity = parse_activity(received.body)
        found: FoundActor | None = None
        if not received.verified:
            checked = await self._verify(received)
            if isinstance(checked, Refused | Later | SignerGone):
                return checked
            found = checked
        signer = await self._signer(received)
        wrong = binding_error(activity, signer)
        if wrong:
            return Refused(received, wrong)
        return await self._with_actor(received, activity, signer, found)

    async def _signer(self, received: Received) -> str:
        """Return whose activity it is: whoever it names, else whose key it is verified with."""
        if received.actor_id != NOT_NAMED:
            return received.actor_id
        key = await asyncio.to_thread(self._cached_key, received.key_id)
        return (key and key.actor_id) or NOT_NAMED

    async def _with_actor(
        self, received: Received, activity: Activity, signer: str, found: FoundActor | None
    ) -> Verdict:
        """Learn who the actor is, where that matters; only what is to be answered cannot do without."""
        if found is not None:
            return Ready(received, activity, signer, found)
        known, wanted = await asyncio.to_thread(self._cached_actor, activity, signer)
        if not wanted:
            return Ready(received, activity, signer, None, known)
        fetched = await self._fetcher.actor(signer)
        if isinstance(fetched, FoundActor) and fetched.actor.id == signer:
            return Ready(received, activity, signer, fetched)
        if activity.type in ANSWERED and known is None:
            if isinstance(fetched, NotNow):
                return Later(received, fetched.why, fetched.retry_at, fetched.asked)
            return Refused(received, f"The actor {signer} cannot be found.")
        return Ready(received, activity, signer, None, known)

    def _cached_actor(self, activity: Activity, signer: str) -> tuple[RemoteActor | None, bool]:
        """Return the actor as cached, and whether they should be fetched."""
        with self._services.store.read() as tx:
            cached = remote.actor(tx, signer)
            about_us = concerns_us(tx, self._services, activity)
        known = cached[0] if cached else None
        stale = cached is None or self._services.now() - cached[1] > ACTOR_FRESH
        return known, about_us and stale

    # ── whose signature is it? ──

    async def _verify(self, received: Received) -> FoundActor | Unproven | None:
        """Find the key and check the signature; the window and the digest were checked on arrival.

        The actor comes back too if they had to be fetched for it.
        """
        # One at a time per key: what comes with the same one must find what was fetched for the first.
        async with self._asking.setdefault(received.key_id, asyncio.Lock()):
            return await self._verify_alone(received)

    async def _verify_alone(self, received: Received) -> FoundActor | Unproven | None:
        cached = await asyncio.to_thread(self._cached_key, received.key_id)
        if cached is not None and cached.retry_at > self._services.now():
            if cached.pem is None:
                return self._without_key(received, NotThere(cached.error or "no key"), is_known=True)
            return self._check(received, RemoteKey(cached.id, cached.actor_id or "", cached.pem))
        fetched = await self._fetcher.key(received.key_id, first=received.is_first, new=received.is_new)
        await asyncio.to_thread(self._remember, received, fetched)
        if isinstance(fetched, NotNow):
            return Later(received, fetched.why, fetched.retry_at, fetched.asked)
        if isinstance(fetched, NotThere):
            is_known = cached is not None and cached.error == fetched.why
            return self._without_key(received, fetched, is_known=is_known)
        (key,) = fetched.keys
        return self._check(received, key) or fetched

    def _check(self, received: Received, key: RemoteKey) -> Refused | None:
        """Say what is wrong with whose signature it is; raise `SignatureError` if it is nobody's."""
        if received.actor_id not in (key.actor_id, NOT_NAMED):
            return Refused(
                received, f"It is signed by {key.actor_id} but claims to come from {received.actor_id}."
            )
        request = stored_request(received)
        verify(request, parse(request), load_public_key(key.pem), base_urls=[self._services.config.base_url])
        return None

    def _without_key(self, received: Received, missing: NotThere, *, is_known: bool) -> SignerGone | Refused:
        if missing.gone and missing.absent == received.actor_id.partition("#")[0]:
            return SignerGone(received, received.actor_id, missing.why)
        why = f"The key {received.key_id} could not be fetched: {missing.why}"
        return Refused(received, why, is_known=is_known, may_be_gone=missing.absent is not None)

    def _cached_key(self, key_id: str) -> CachedKey | None:
        with self._services.store.read() as tx:
            return remote.key(tx, key_id)

    def _remember(self, received: Received, fetched: FoundActor | NotThere | NotNow) -> None:
        now = self._services.now()
        with self._services.store.write() as tx:
            if isinstance(fetched, FoundActor):
                for key in fetched.keys:
                    remote.save_key(tx, key, now=now, fresh_for=KEY_REFETCH)
            elif isinstance(fetched, NotThere):
                self._remember_missing(tx, received, fetched, now=now)

    def _remember_missing(self, tx: Tx, received: Received, missing: NotThere, *, now: datetime) -> None:
        """Ask no more for a while; a key that we hold is only given up for good reason.

        Good reasons are a 410, and a document that we could read and that does not bear the key out.
        """
        key_id, pause = received.key_id, GONE_KEY if missing.gone else MISSING_KEY
        if missing.owner is None and not remote.knows(tx, received.actor_id):
            pause = STRANGERS_KEY
        doubtful = missing.unclear or (missing.absent is not None and not missing.gone)
        if doubtful and remote.keep_key(tx, key_id, now=now, pause=pause):
            return
        remote.save_missing_key(
            tx, key_id, missing.owner, missing.why, now=now, pause=pause, final=not missing.unclear
        )

    # ── settling ──

    def _settle(self, verdicts: Sequence[Verdict]) -> None:
        # In the order they came: a reply and its deletion may arrive in one breath.
        for verdict in sorted(verdicts, key=lambda verdict: verdict.received.id):
            try:
                with self._services.store.write() as tx:
                    self._settle_one(tx, verdict)
            except StoreUnavailable:
                raise  # all of them come again: what took effect will have none
            except Exception as error:
                log.exception("Arrival %d could not take effect", verdict.received.id)
                with self._services.store.write() as tx:
                    self._settle_one(tx, Failed(verdict.received, aside.explained(error)))

    def _settle_one(self, tx: Tx, verdict: Verdict) -> None:
        now, received = self._services.now(), verdict.received
        match verdict:
            case Ready() if not inbox.is_waiting(tx, received.id):
                return  # its actor was erased meanwhile
            case Ready(activity=activity, signer=signer):
                actor = self._save_actor(tx, verdict, now=now)
                incoming = Incoming(activity, signer, actor, received.id, now, _signed_at(received))
                did = take_effect(tx, self._services, incoming)
                log.info("%s from %s: %s", activity.type, signer, did)
                inbox.done(tx, received.id, did, now=now)
            case Refused(why=why):
                level = logging.DEBUG if verdict.is_known else logging.INFO
                log.log(level, "Refused a %s from %s: %s", received.type, received.host, why)
                if verdict.may_be_gone:
                    remote.suspect(tx, received.actor_id, pause=RECHECK_PAUSE, now=now)
                inbox.refused(tx, received.id, why, now=now)
            case SignerGone(actor_id=actor_id, why=why):
                if remote.knows(tx, actor_id):
                    log.warning("%s is gone (%s): everything of theirs is erased", actor_id, why)
                    forget(tx, actor_id, "their account is gone", now=now)
                inbox.done(tx, received.id, "its actor is gone", now=now)
            case Failed(why=why):
                if inbox.failed(tx, received.id, why, now=now):
                    log.error("Set aside a %s from %s: %s", received.type, received.host, why)
            case Later(why=why, not_before=not_before, asked=False):
                inbox.later(tx, received.id, why, due_at=not_before, counts=False)
            case Later(why=why, not_before=not_before):
                self._postpone(tx, received, why, not_before, now=now)

    def _save_actor(self, tx: Tx, ready: Ready, *, now: datetime) -> RemoteActor | None:
        if ready.actor is None:
            return ready.known_actor
        actor = ready.actor.actor
        if concerns_us(tx, self._services, ready.activity):
            usable = admitted(tx, self._services, actor, now=now)
            if isinstance(usable, RemoteActor):  # else what they do counts, and nothing is sent there
                remote.save_actor(tx, usable, host_reached(usable), now=now)
        return actor

    def _postpone(self, tx: Tx, received: Received, why: str, not_before: datetime, *, now: datetime) -> None:
        if received.attempts > len(PAUSES):
            inbox.refused(tx, received.id, f"{why}; given up after {received.attempts} attempts", now=now)
            return
        due_at = max(not_before, now + PAUSES[received.attempts - 1])
        inbox.later(tx, received.id, why, due_at=due_at)


def stored_request(received: Received) -> SignedRequest:
    """Rebuild the request an arrival came with, as far as its signature covers it."""
    stored = received.request
    return SignedRequest(stored["method"], stored["target"], stored["headers"], received.body)


def _signed_at(received: Received) -> datetime | None:
    request = stored_request(received)
    return signed_at(request, parse(request))
