"""Polls: a source that is due → asked → read → what it changes → settled, in one transaction."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

from bridge import lint
from bridge.activitypub.websub import Advert
from bridge.addresses import host_of
from bridge.deliver.retry import OUR_PAUSE
from bridge.errors import BridgeError, ShrunkenFeed, StoreUnavailable
from bridge.look.viewer import Viewer
from bridge.model import Answered, Fault, Problem, Unreachable
from bridge.net.client import Client
from bridge.people.fetch import Fetcher
from bridge.poll import harvest
from bridge.poll.asking import Asking
from bridge.poll.fingerprint import mark_of
from bridge.poll.folder_watch import folder_configured
from bridge.poll.pace import GONE, Pace
from bridge.poll.reading import Reading, read_answer, read_files, read_push
from bridge.poll.shares import Shares
from bridge.publish.commit_harvest import commit_harvest
from bridge.publish.drafts import Plan
from bridge.pump.engine import Stop, pump
from bridge.pump.patience import Patience
from bridge.services import Services
from bridge.sources.folders.folder import Cached, fingerprint, forget_words, read_folder, scan
from bridge.store import aside, identity, sources, subscriptions
from bridge.store.sources import Source, SourceForUpdate

log = logging.getLogger(__name__)

SLOTS = 20
WAITING_TIMES = 4  # as many polls as slots, with those that only wait for a server that hangs


@dataclass(frozen=True, slots=True)
class Polled:
    """How a poll went: what to store of the source, and what to publish with it.

    `plan` is `None` where nothing was read, and so is `hubs`: those that the feed names.
    """

    source: Source
    update: SourceForUpdate
    plan: Plan | None = None
    hubs: tuple[Advert, ...] | None = None

    @property
    def is_quiet(self) -> bool:
        """Say whether there is nothing to store but how the poll went."""
        return self.plan is None and self.hubs is None


class Poller:
    """Polls for one worker process, and remembers files it read, so that only changed ones are read again."""

    def __init__(
        self,
        services: Services,
        client: Client,
        *,
        at_home: Client | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._services = services
        self._fetcher = Fetcher(services, client)
        self._viewer = Viewer(services, client)
        self._asking = Asking(services, client, at_home)
        self._pace = Pace(services, jitter)
        self._patience = Patience(WAITING_TIMES * SLOTS)
        self._shares = Shares()
        self._files: dict[int, dict[str, Cached]] = {}

    async def run(self, stop: Stop) -> int:
        """Poll every source that is due; return how many."""
        return await pump(
            self._claim,
            self._poll,
            self.settle,
            renew=self._renew,
            slots=SLOTS,
            patience=self._patience,
            stop=stop,
        )

    # ── due ──

    def _claim(self, room: int) -> list[Source]:
        with self._services.store.write() as tx:
            chosen = self._shares.choice()
            claimed = sources.claim_due(tx, room, choose=chosen, now=self._services.now())
        self._shares.begin(claimed)
        return claimed

    def _renew(self, polled: Sequence[Source]) -> None:
        self.renew([source.id for source in polled])

    def renew(self, ids: Sequence[int]) -> None:
        """Keep sources that are being read, however long that takes."""
        with self._services.store.write() as tx:
            sources.renew(tx, ids, now=self._services.now())

    async def _poll(self, source: Source) -> Polled:
        try:
            return await self._poll_one(source)
        finally:
            self._shares.end(source)

    async def _poll_one(self, source: Source) -> Polled:
        try:
            return await self._read(source)
        except (asyncio.CancelledError, StoreUnavailable):
            return Polled(source, self._pace.interrupted(source))
        except ShrunkenFeed as error:
            return Polled(source, self._pace.shrunken(source, str(error)))
        except BridgeError as error:
            return self._failed(source, str(error))
        except Exception as error:  # one poisoned source never stops the others
            log.exception("Polling %s failed unexpectedly", source.location)
            return self._failed(source, f"{source.location}: {type(error).__name__} in the bridge: {error}")

    async def _read(self, source: Source) -> Polled:
        if source.kind == "feed":
            return await self._prepared(await self._read_feed(source))
        try:
            return await self._prepared(await asyncio.to_thread(self._read_folder, source))
        finally:
            forget_words(self._files.get(source.id, {}))

    # ── asked → read ──

    async def _read_feed(self, source: Source) -> Polled:
        url = source.moved_to or source.location
        outcome = await self._asking.ask(source, url)
        if isinstance(outcome, Unreachable) and outcome.fault is Fault.SHORTAGE:
            log.warning("%s will be polled again in a minute: %s", url, outcome.why)
            return Polled(source, self._pace.interrupted(source, pause=OUR_PAUSE))
        if isinstance(outcome, Unreachable):
            return self._failed(source, f"{url}: {outcome.why}")
        if outcome.status == 304:
            return self._unchanged(source)
        if outcome.status != 200:
            return self._refused(source, url, outcome)
        return await asyncio.to_thread(self._read_answer, source, outcome)

    def _read_answer(self, source: Source, answer: Answered) -> Polled:
        mark = mark_of(answer.headers, answer.body)
        cached = {
            "etag": answer.headers.get("etag", ""),
            "last_modified": answer.headers.get("last-modified", ""),
            "moved_to": answer.moved_to,
            "body_hash": mark,
        }
        if mark == source.body_hash:
            return self._unchanged(source, **cached)
        reading = read_answer(self._services, source, answer)
        polled = self._planned(source, reading, **cached)
        return replace(polled, hubs=(reading.advert,) if reading.advert else ())

    def _read_folder(self, source: Source) -> Polled:
        folder = folder_configured(self._services, source)
        digest = fingerprint(scan(folder))
        if digest == source.body_hash:
            return self._unchanged(source)
        now, cache = self._services.now(), self._files.setdefault(source.id, {})
        found = read_folder(folder, now=now, cache=cache, before=source.body_hash)
        return self._planned(source, read_files(self._services, source, found), body_hash=digest)

    # ── read → what it changes ──

    def _planned(self, source: Source, reading: Reading, **cached: str | None) -> Polled:
        found = reading.harvest
        plan = harvest.plan(self._services, source, found, now=self._services.now())
        update = self._pace.answered(
            source, changed=plan.is_change, problems=found.problems, size=found.size, **cached
        )
        findings = None if reading.findings is None else lint.store(reading.findings)
        return Polled(source, replace(update, findings=findings), plan)

    async def _prepared(self, polled: Polled) -> Polled:
        """Draft what changes, with its pictures as servers will be able to show them."""
        plan = polled.plan
        if plan is None or not (plan.created or plan.edited or plan.held_edits):
            return polled
        drafted, problems = await harvest.prepare(
            self._services, self._viewer, self._fetcher, polled.source, plan
        )
        update = _with_faults(_with_problems(polled.update, problems), drafted.problems)
        return replace(polled, plan=drafted, update=update)

    def _unchanged(self, source: Source, **cached: str | None) -> Polled:
        return Polled(source, self._pace.answered(source, changed=False, problems=None, size=None, **cached))

    def _failed(self, source: Source, error: str) -> Polled:
        return Polled(source, self._pace.failed(source, error))

    def _refused(self, source: Source, url: str, answer: Answered) -> Polled:
        error, pause = f"{url}: {host_of(url)} answered {answer.status} instead of a feed", answer.retry_after
        if answer.status == 410:
            pause = GONE
            error = (
                f"{url}: 410, the feed is gone for good: take it out of config.toml or give its new address"
            )
        return Polled(source, self._pace.failed(source, error, pause=pause))

    # ── a push ──

    async def take_push(self, source: Source, body: bytes, content_type: str | None) -> Polled:
        """Read what a hub pushed as if it had been polled; what cannot be read makes the source due."""
        try:
            read = await asyncio.to_thread(self._read_push, source, body, content_type)
            return await self._prepared(read)
        except asyncio.CancelledError:
            log.debug("%s: interrupted; polling instead", source.location)
        except BridgeError as error:
            log.info("%s: its hub's push was unusable (%s); polling instead", source.location, error)
        except Exception:  # as for a poll
            log.exception("%s: handling its hub's push failed unexpectedly", source.location)
        return Polled(source, self._pace.interrupted(source))

    def _read_push(self, source: Source, body: bytes, content_type: str | None) -> Polled:
        now = self._services.now()
        plan = harvest.plan(self._services, source, read_push(source, body, content_type, now=now), now=now)
        update = SourceForUpdate(
            source.due_at, source.interval, source.failures, source.error, changed=plan.is_change
        )
        return Polled(source, update, plan)

    # ── settling ──

    def settle(self, polled: Sequence[Polled]) -> None:
        """Publish what was found and record how each poll went; what found nothing shares a transaction."""
        quiet = [(one.source.id, one.update) for one in polled if one.is_quiet]
        if quiet:
            self._settle_quiet(quiet)
        for one in polled:
            if one.is_quiet:
                _report(one)
                continue
            try:
                self._settle_one(one)
            except StoreUnavailable:
                continue  # polled again when its lease ends
            except Exception as error:
                log.exception("Publishing from %s failed", one.source.location)
                failed = self._failed(one.source, f"{one.source.location}: could not be published: {error}")
                self._settle_quiet([(one.source.id, failed.update)])

    def _settle_quiet(self, quiet: Sequence[tuple[int, SourceForUpdate]]) -> None:
        store, now = self._services.store, self._services.now()
        settle, key = partial(sources.settle_all, now=now), itemgetter(0)
        aside.settle_all(store, quiet, settle, due=sources.DUE, key=key, now=now)

    def _settle_one(self, polled: Polled) -> None:
        now = self._services.now()
        with self._services.store.write() as tx:
            if sources.is_taken(tx, polled.source.id):
                log.warning("%s: another worker has taken it over meanwhile", polled.source.location)
                return
            if identity.is_closed(tx, polled.source.site):
                return  # it was closed while it was polled
            failed = commit_harvest(tx, self._services, polled.source, polled.plan or Plan(), now=now)
            polled = replace(polled, update=_with_faults(polled.update, failed))
            sources.settle(tx, polled.source.id, polled.update, now=now)
            if polled.hubs is not None:
                found = next(((advert.hub, advert.topic) for advert in polled.hubs), None)
                subscriptions.advertise(tx, polled.source.id, found, now=now)
        _report(polled)


def _with_problems(update: SourceForUpdate, problems: Sequence[Problem]) -> SourceForUpdate:
    """Add what is wrong with pictures; a push leaves what the last poll found, so there it is only logged."""
    if update.problems is not None:
        return replace(update, problems=(*update.problems, *problems))
    for problem in problems:
        log.warning("%s: %s", problem.where, problem.what)
    return update


def _with_faults(update: SourceForUpdate, problems: Sequence[Problem]) -> SourceForUpdate:
    """Add what we could not handle: it is read again at the next poll, though nothing in it changes."""
    if not problems:
        return update
    return replace(_with_problems(update, problems), body_hash="", etag="", last_modified="")


def _report(polled: Polled) -> None:
    location, update = polled.source.location, polled.update
    if update.error and update.failures:
        log.warning("%s", update.error)
    for problem in update.problems or ():
        log.warning("%s: %s: %s", location, problem.where, problem.what)
    if polled.plan and polled.plan.drafts:
        log.info("%s: %d new or changed", location, len(polled.plan.drafts))
