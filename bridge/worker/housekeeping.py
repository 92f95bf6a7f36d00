"""What nobody needs any more goes, in small steps: no transaction holds up what arrives and what is sent."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from bridge.look.viewer import tidy_pictures
from bridge.pump.engine import Stop
from bridge.services import Services
from bridge.store import Store, Tx, aside, deliveries, inbox, inboxes, interactions, remote

KEEP_DELIVERIES = timedelta(days=60)
KEEP_STRANGERS = timedelta(days=30)
KEEP_REACTIONS = timedelta(days=90)
STEP = 500  # rows that one transaction looks at or deletes
BREATH = 0.01  # seconds between two steps, for whoever waits to write


def keep_house(services: Services, stop: Stop, *, step: int = STEP, breath: float = BREATH) -> int:
    """Do every chore to its end, or until the stop; return how many transactions that took."""
    store, now, taken = services.store, services.now(), 0
    for _ in _steps(store, now, step):
        taken += 1
        if stop.is_set():
            return taken
        time.sleep(breath)
    with store.write() as tx:
        aside.purge(tx, now=now)
    store.fold_log()
    tidy_pictures(services, now=now)
    return taken


def _steps(store: Store, now: datetime, size: int) -> Iterator[None]:
    yield from _repeat(store, partial(inbox.purge, now=now, limit=size), size)
    for forget in (deliveries.purge, deliveries.purge_answers):
        yield from _repeat(store, partial(forget, before=now - KEEP_DELIVERIES, limit=size), size)
    yield from _fade(store, now - KEEP_REACTIONS, size)
    for sweep in (remote.purge_actors, remote.purge_keys, inboxes.purge):
        yield from _sweep(store, partial(sweep, before=now - KEEP_STRANGERS, limit=size))


def _repeat(store: Store, purge: Callable[[Tx], int], size: int) -> Iterator[None]:
    """Purge, each time in a transaction of its own, until there is less than a full step."""
    gone = size
    while gone >= size:
        with store.write() as tx:
            gone = purge(tx)
        yield


def _sweep(store: Store, step: Callable[..., str | None]) -> Iterator[None]:
    """Go through a table from its first key to its last, a few rows in each transaction."""
    after: str | None = ""
    while after is not None:
        with store.write() as tx:
            after = step(tx, after=after)
        yield


def _fade(store: Store, before: datetime, size: int) -> Iterator[None]:
    """Look through interactions, and write only where something is old."""
    after: int | None = 0
    while after is not None:
        with store.read() as tx:
            found = interactions.find_old(tx, after=after, before=before, limit=size)
        if found.ids:
            with store.write() as tx:
                interactions.fade(tx, found.ids)
            yield
        after = found.last
