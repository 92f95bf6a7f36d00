"""Delivers what was published: claim → sign and POST → settle."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.activitypub.documents import CONTENT_TYPE
from bridge.activitypub.signatures import sign
from bridge.deliver.breaker import Attempt, accepted, learn_all, scheme_remembered
from bridge.deliver.retry import decide
from bridge.errors import BridgeError, StoreUnavailable
from bridge.model import Answered, Decision, Delivered, Delivery, Drop, Fault, Outcome, Scheme, Unreachable
from bridge.net.client import Client
from bridge.pump.engine import GRACE, TICK, Stop, pump
from bridge.pump.open_files import files, fitting, most_under_way
from bridge.pump.patience import Patience
from bridge.services import Services
from bridge.store import Tx, aside, deliveries, followers, peers, remote
from bridge.store.peers import Peer

log = logging.getLogger(__name__)

ACCEPT = "application/activity+json, application/ld+json"
SLOW_SHARE = 4  # one slot in this many is for hosts that lately did not answer

# Threads answers 404 to signatures it does not like.
_HIDES_REFUSALS = ("threads.net", "threads.com")


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery and what we know about its peer."""

    delivery: Delivery
    peer: Peer | None


class Deliverer:
    """Delivers for one worker process, in lanes that do not wait for one another."""

    def __init__(
        self,
        services: Services,
        client: Client,
        *,
        jitter: Callable[[], float] = random.random,
        grace: float = GRACE,
    ) -> None:
        self._services = services
        self._client = client
        self._jitter = jitter
        self._grace = grace
        self._patience = Patience(most_under_way(self._slots(deliveries.FAST), files()))
        self._turn = False  # one more suspect may be claimed
        self._alone = False  # a suspect is under way, or waits for the others to end
        # Deliveries under way, by lane and host; changed in the loop only.
        self._busy: dict[str, Counter[str]] = {lane: Counter() for lane in deliveries.LANES}

    async def drain(self, stop: Stop) -> int:
        """Deliver everything that is due now; return how many were tried."""
        tried = 0
        # What has been settled may let more go: what waited behind it, or for its server to answer.
        while more := await self._drain_once(stop):
            tried += more
        return tried

    async def _drain_once(self, stop: Stop) -> int:
        others = [lane for lane in deliveries.LANES if lane != deliveries.SUSPECT]
        alone = await self.run(deliveries.SUSPECT, stop)
        return alone + sum(await asyncio.gather(*(self.run(lane, stop) for lane in others)))

    async def run(self, lane: str, stop: Stop) -> int:
        """Deliver what is due in one lane until nothing is left; return how many were tried."""
        if not await asyncio.to_thread(self._is_anything_due, lane):
            return 0  # most looks end here, several a second: they should not cost a write lock
        if lane == deliveries.SUSPECT:
            return await self._run_alone(stop)
        return await self._run(lane, stop)

    async def _run_alone(self, stop: Stop) -> int:
        """Deliver one suspect with nothing else under way: if a worker dies then, it is of that."""
        self._alone = self._turn = True
        try:
            while any(self._busy.values()) and not stop.is_set():  # noqa: ASYNC110 -- rare, and seconds
                await asyncio.sleep(TICK)
            return await self._run(deliveries.SUSPECT, stop)
        finally:
            self._alone = False

    async def _run(self, lane: str, stop: Stop) -> int:
        return await pump(
            lambda room: self._claim(lane, room),
            lambda job: self._attempt(job, lane),
            self._settle,
            renew=self._renew,
            slots=self._slots(lane),
            patience=self._patience if lane == deliveries.FAST else None,
            stop=stop,
            grace=self._grace,
        )

    def _is_anything_due(self, lane: str) -> bool:
        with self._services.store.read() as tx:
            return deliveries.is_anything_due(tx, lane, now=self._services.now())

    def _slots(self, lane: str) -> int:
        slots = fitting(self._services.config.delivery.concurrency, files())
        slow = max(1, slots // SLOW_SHARE)
        return {deliveries.FAST: max(1, slots - slow), deliveries.SLOW: slow, deliveries.SUSPECT: 1}[lane]

    def _claim(self, lane: str, room: int) -> list[Job]:
        if lane == deliveries.SUSPECT:
            if not self._turn:
                return []  # the others come first
            self._turn = False
        elif self._alone:
            return []
        busy = list(self._busy[lane])
        # An address that hangs keeps one of the connections its host has from us, never all of them.
        per_host = self._services.config.delivery.per_host if lane == deliveries.FAST else 1
        now = self._services.now()
        with self._services.store.write() as tx:
            claimed = deliveries.claim(tx, room, lane=lane, busy=busy, per_host=per_host, now=now)
            known = peers.known(tx, {delivery.host for delivery in claimed}) if claimed else {}
        return [Job(delivery, known.get(delivery.host)) for delivery in claimed]

    def _renew(self, jobs: Sequence[Job]) -> None:
        with self._services.store.write() as tx:
            deliveries.renew(tx, [job.delivery.id for job in jobs], now=self._services.now())

    async def _attempt(self, job: Job, lane: str = deliveries.FAST) -> Attempt:
        busy, host = self._busy[lane], job.delivery.host
        busy[host] += 1
        try:
            outcome, scheme = await self._knock(job)
        except (asyncio.CancelledError, StoreUnavailable):  # not the fault of who was to get it
            return Attempt(job.delivery, None)
        except BridgeError as error:  # a key or URL of ours or theirs that cannot be used
            outcome, scheme = Unreachable(str(error), Fault.OURS), None
        except Exception as error:  # one poisoned delivery never stops the others
            log.exception("Delivering %s to %s failed unexpectedly", job.delivery.type, job.delivery.inbox)
            outcome, scheme = Unreachable(f"an error of our own: {error!r}"[:200], Fault.OURS), None
        finally:
            busy[host] -= 1
            if not busy[host]:
                del busy[host]  # or a worker would remember, and look through, every host there is
        return Attempt(job.delivery, outcome, scheme)

    async def _knock(self, job: Job) -> tuple[Outcome, Scheme | None]:
        """Try the scheme this peer accepted last, then the other one where the answer may mean the scheme.

        Draft-cavage comes first with strangers: many speak nothing else, and snac answers 202 to RFC 9421
        and throws the activity away.
        """
        first = scheme_remembered(job.peer, self._services.now()) or Scheme.CAVAGE
        outcome = await self._post(job.delivery, first)
        if accepted(outcome) or not _may_mean_scheme(outcome, job.delivery.host):
            return outcome, first if accepted(outcome) else None
        second = Scheme.RFC9421 if first is Scheme.CAVAGE else Scheme.CAVAGE
        again = await self._post(job.delivery, second)
        return (again, second) if accepted(again) else (outcome, None)

    async def _post(self, delivery: Delivery, scheme: Scheme) -> Outcome:
        headers = sign(
            scheme,
            self._services.keys.of_site(delivery.site),
            "POST",
            delivery.inbox,
            body=delivery.body,
            now=self._services.now(),
            content_type=CONTENT_TYPE,
            accept=ACCEPT,
        )
        return await self._client.post(delivery.inbox, delivery.body, headers)

    def _settle(self, attempts: Sequence[Attempt]) -> None:
        now = self._services.now()
        aside.settle_all(
            self._services.store,
            attempts,
            lambda tx, some: self._settle_some(tx, some, now),
            due=deliveries.DUE,
            key=lambda one: one.delivery.id,
            now=now,
        )

    def _settle_some(self, tx: Tx, attempts: Sequence[Attempt], now: datetime) -> None:
        decided = [(one, self._decide(one, now)) for one in attempts if one.outcome is not None]
        interrupted = [one.delivery.id for one in attempts if one.outcome is None]
        if interrupted:
            deliveries.release(tx, interrupted, now=now)
        deliveries.settle(tx, [(one.delivery, decision) for one, decision in decided], now=now)
        learn_all(tx, [one for one, _ in decided], now=now)
        for one, decision in decided:
            _report(one.delivery, decision)
            if isinstance(decision, Drop) and decision.gone:
                _have_people_looked_up(tx, one.delivery.inbox, now=now)

    def _decide(self, attempt: Attempt, now: datetime) -> Decision:
        delivery, outcome = attempt.delivery, attempt.outcome
        assert outcome is not None
        return decide(outcome, attempts=delivery.attempts, now=now, jitter=self._jitter())


def _may_mean_scheme(outcome: Outcome, host: str) -> bool:
    if not isinstance(outcome, Answered):
        return False
    return outcome.status in (400, 401) or (outcome.status in (403, 404) and host.endswith(_HIDES_REFUSALS))


def _have_people_looked_up(tx: Tx, inbox: str, *, now: datetime) -> None:
    """An inbox that is gone may be a server's mistake: only the actor's own 410 or 404s end a follow."""
    for actor_id in followers.actors_behind(tx, inbox):
        remote.owe(tx, actor_id, "gone", due_at=now)


def _report(delivery: Delivery, decision: Decision) -> None:
    match decision:
        case Delivered():
            log.debug("Delivered %s to %s", delivery.type, delivery.inbox)
        case Drop(reason):
            log.warning("Gave up delivering %s to %s: %s", delivery.type, delivery.inbox, reason)
        case _:
            log.info(
                "%s to %s failed (%s); again at %s",
                delivery.type,
                delivery.inbox,
                decision.reason,
                f"{decision.due_at:%d %b %H:%M:%S} UTC",
            )
