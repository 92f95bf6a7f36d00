"""Subscriptions: hubs are asked and leases renewed, and what hubs push is published as if it had been polled.

Polling goes on all the same: a hub that forgets us costs minutes, not posts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.activitypub.websub import ASK_AGAIN_AFTER_NO, FORM, SUBSCRIBE, UNSUBSCRIBE, request_form, resolve
from bridge.addresses import take_apart
from bridge.model import Answered, Outcome, Unreachable
from bridge.net.client import Client
from bridge.poll.poller import Polled, Poller
from bridge.pump.engine import Stop, pump
from bridge.services import Services
from bridge.store import aside, subscriptions
from bridge.store.subscriptions import Push, Subscription

log = logging.getLogger(__name__)

SLOTS = 5
PUSH_SLOTS = 4

UNVERIFIED = timedelta(hours=6)  # until a hub is asked again that said yes and never called
DOWN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What becomes of a subscription whose hub was asked."""

    subscription: Subscription
    state: str
    due_at: datetime
    error: str | None = None


class Subscriber:
    """Speaks with hubs for one worker process; `poller` reads what they push."""

    def __init__(self, services: Services, client: Client, poller: Poller) -> None:
        self._services = services
        self._client = client
        self._poller = poller

    async def run(self, stop: Stop) -> int:
        """Ask every hub that is due; return how many."""
        return await pump(
            self._claim,
            self._ask,
            self._settle,
            renew=self._renew,
            spoiled=self._set_aside,
            slots=SLOTS,
            stop=stop,
        )

    async def take_pushes(self, stop: Stop) -> int:
        """Publish what hubs pushed; return how many pushes there were."""
        return await pump(
            self._take, self._read, self._poller.settle, renew=self._renew_read, slots=PUSH_SLOTS, stop=stop
        )

    # ── asking ──

    def _claim(self, room: int) -> list[Subscription]:
        with self._services.store.write() as tx:
            return subscriptions.claim_due(tx, room, now=self._services.now())

    def _renew(self, asked: Sequence[Subscription]) -> None:
        with self._services.store.write() as tx:
            subscriptions.renew(tx, [one.source_id for one in asked], now=self._services.now())

    async def _ask(self, subscription: Subscription) -> Asked:
        now = self._services.now()
        leaving = subscription.state == subscriptions.LEAVING
        lease = subscription.lease_until
        if leaving and (lease is None or lease <= now):
            return Asked(subscription, subscriptions.LEFT, now)  # it has forgotten us by itself
        callback = self._services.ids.websub(subscription.token)
        if not self._can_be_called(callback, subscription.hub):
            return Asked(subscription, subscription.state, now + ASK_AGAIN_AFTER_NO)
        mode = UNSUBSCRIBE if leaving else SUBSCRIBE
        outcome = await self._post(
            subscription.hub, request_form(mode, subscription.topic, callback, subscription.secret)
        )
        return decide(subscription, outcome, now=self._services.now())

    async def _post(self, hub: str, form: bytes) -> Outcome:
        headers = {"Content-Type": FORM}
        outcome = await self._client.post(hub, form, headers)
        if isinstance(outcome, Answered) and outcome.status in (307, 308):  # to a hub that is in charge
            target = resolve(hub, outcome.headers.get("location", ""))
            return await self._client.post(target, form, headers) if target else outcome
        return outcome

    def _can_be_called(self, callback: str, hub: str) -> bool:
        """Say whether a hub could reach us: nobody can call localhost but a hub on this machine (tests)."""
        port = take_apart(hub).port
        return callback.startswith("https:") or (port is not None and self._services.reach.opens_port(port))

    def _settle(self, asked: Sequence[Asked]) -> None:
        aside.settle_each(
            self._services.store,
            asked,
            lambda tx, one: subscriptions.settle(tx, one.subscription, one.state, one.due_at, one.error),
            due=subscriptions.DUE,
            key=lambda one: one.subscription.source_id,
            now=self._services.now(),
        )
        for one in asked:
            if one.error:
                log.warning("%s: %s", one.subscription.topic, one.error)

    def _set_aside(self, subscription: Subscription, error: BaseException) -> None:
        now = self._services.now()
        aside.failed(self._services.store, subscriptions.DUE, subscription.source_id, error, now=now)

    # ── pushes ──

    def _take(self, room: int) -> list[Push]:
        with self._services.store.read() as tx:
            if not subscriptions.waiting_pushes(tx):
                return []
        with self._services.store.write() as tx:
            return subscriptions.take_pushes(tx, room, now=self._services.now())

    def _renew_read(self, pushes: Sequence[Push]) -> None:
        self._poller.renew([push.source.id for push in pushes])

    async def _read(self, push: Push) -> Polled:
        return await self._poller.take_push(push.source, push.body, push.content_type)


def decide(subscription: Subscription, outcome: Outcome, *, now: datetime) -> Asked:
    """Say what a hub's answer means for a subscription.

    A yes is worth nothing until the hub has called back. A no is asked about again after a day; a lease
    that still runs goes on meanwhile.
    """
    host = take_apart(subscription.hub).host
    if isinstance(outcome, Unreachable):
        error = f"the hub {host} cannot be reached: {outcome.why}; the feed is polled as usual"
        return Asked(subscription, subscription.state, now + DOWN, error)
    if 200 <= outcome.status < 300:
        return Asked(subscription, subscription.state, now + UNVERIFIED)
    if outcome.status >= 500 or outcome.status in (408, 429):
        error = f"the hub {host} answered {outcome.status}; the feed is polled as usual"
        return Asked(subscription, subscription.state, now + max(DOWN, outcome.retry_after or DOWN), error)
    error = f"the hub {host} refused ({outcome.status}); the feed is polled as usual"
    return Asked(subscription, _after_a_no(subscription, now), now + ASK_AGAIN_AFTER_NO, error)


def _after_a_no(subscription: Subscription, now: datetime) -> str:
    if subscription.state == subscriptions.LEAVING:
        return subscriptions.LEFT
    runs = subscription.lease_until is not None and subscription.lease_until > now
    return subscriptions.ACTIVE if runs else subscriptions.DENIED
