"""Looks again at actors who changed, moved or seem to be gone, and keeps or forgets them."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from bridge.errors import BridgeError
from bridge.people.fetch import Fetcher, FoundActor, NotNow, NotThere
from bridge.pump.engine import Stop, pump
from bridge.receive.admission import host_reached, kept
from bridge.receive.effects import forget
from bridge.receive.receiver import KEY_REFETCH
from bridge.services import Services
from bridge.store import Tx, aside, followers, remote
from bridge.store.remote import Errand

log = logging.getLogger(__name__)

ERRAND_SLOTS = 20  # with `inbox.OTHER_SLOTS` no more than `budget.FAILURES_IN_ALL`, which counts them
MISSES_UNTIL_GONE, MISS_PAUSE = 3, timedelta(hours=24)

Answer = tuple[Errand, FoundActor | NotThere | NotNow]


class Registrar:
    """Looks again at actors who changed, moved or seem gone, for one worker process."""

    def __init__(self, services: Services, fetcher: Fetcher) -> None:
        self._services = services
        self._fetcher = fetcher

    async def run(self, stop: Stop) -> int:
        """Handle every errand that is due; return how many."""
        work = (self._claim, self._fetch, self._settle)
        return await pump(*work, renew=self._renew, spoiled=self._set_aside, slots=ERRAND_SLOTS, stop=stop)

    def _claim(self, room: int) -> list[Errand]:
        with self._services.store.write() as tx:
            return remote.claim_errands(tx, room, now=self._services.now())

    def _renew(self, errands: Sequence[Errand]) -> None:
        with self._services.store.write() as tx:
            remote.renew_errands(tx, [one.actor.id for one in errands], now=self._services.now())

    async def _fetch(self, errand: Errand) -> Answer:
        """Fetch the actor at their own id."""
        try:
            return errand, await self._fetcher.actor(errand.actor.id)
        except (asyncio.CancelledError, BridgeError) as error:
            return errand, NotNow(str(error), self._services.now() + timedelta(minutes=1))

    def _settle(self, answers: Sequence[Answer]) -> None:
        store, now = self._services.store, self._services.now()
        aside.settle_each(
            store,
            answers,
            partial(self._settle_one, now=now),
            due=remote.DUE,
            key=lambda answer: answer[0].actor.id,
            now=now,
        )

    def _set_aside(self, errand: Errand, why: BaseException) -> None:
        aside.failed(self._services.store, remote.DUE, errand.actor.id, why, now=self._services.now())

    def _settle_one(self, tx: Tx, answer: Answer, *, now: datetime) -> None:
        errand, found = answer
        actor_id = errand.actor.id
        if isinstance(found, NotNow):
            remote.postpone(tx, actor_id, due_at=max(found.retry_at, now + timedelta(hours=1)), missed=False)
        elif isinstance(found, FoundActor) and found.actor.id == actor_id:
            self._save(tx, errand, found, now=now)
        elif isinstance(found, NotThere) and found.absent == actor_id.partition("#")[0]:
            self._missing(tx, errand, found, now=now)
        else:  # something else stands there, or another server answered: that says nothing about them
            remote.postpone(tx, actor_id, due_at=now + MISS_PAUSE, missed=False)

    def _save(self, tx: Tx, errand: Errand, found: FoundActor, *, now: datetime) -> None:
        actor = kept(tx, self._services, found.actor, errand.actor, now=now)
        remote.save_actor(tx, actor, host_reached(actor), now=now)
        followers.relocate(tx, actor, host_reached(actor))
        for key in found.keys:
            remote.renew_key(tx, key, now=now, fresh_for=KEY_REFETCH)

    def _missing(self, tx: Tx, errand: Errand, missing: NotThere, *, now: datetime) -> None:
        """410 is the end; 404 only three times over two days: servers have bad days."""
        if missing.gone or errand.misses + 1 >= MISSES_UNTIL_GONE:
            log.warning("%s is gone (%s): everything of theirs is erased", errand.actor.handle, missing.why)
            forget(tx, errand.actor.id, "their account is gone", now=now)
        else:
            remote.postpone(tx, errand.actor.id, due_at=now + MISS_PAUSE, missed=True)
