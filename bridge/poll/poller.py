"""Polls: due sources → entries → what changed → publish."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from operator import itemgetter
from typing import Any

from bridge import lint
from bridge.activitypub.websub import Advert
from bridge.addresses import host_of
from bridge.changes.judge import SHRUNK_STANDS
from bridge.config import FeedSource, FolderSource
from bridge.deliver.retry import OUR_PAUSE
from bridge.errors import BridgeError, ShrunkenFeed, StoreUnavailable
from bridge.look.own_files import folder_of
from bridge.look.viewer import Viewer
from bridge.model import Answered, Fault, Outcome, Problem, Unreachable
from bridge.net.client import Client
from bridge.people.fetch import Fetcher
from bridge.people.mentions import find_people
from bridge.poll.fingerprint import mark_of, may_be_asked_conditionally, names_another_hub
from bridge.poll.harvest import NOTHING, Prepared, commit_prepared, entries_to_look_at, judge, render
from bridge.poll.reading import Reading, read_answer, read_files
from bridge.poll.shares import Shares
from bridge.publish.due import publish_due
from bridge.pump.engine import Stop, pump
from bridge.pump.patience import Patience
from bridge.services import Services
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.folder import Folder, fingerprint, forget_words, read_folder, scan
from bridge.store import aside, identity, sources, subscriptions
from bridge.store.sources import Source, SourceForUpdate

log = logging.getLogger(__name__)

FEED_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/json;q=0.9, "
    "application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5"
)
FEED_LIMIT = 10 * 1024 * 1024  # bytes
FEED_SECONDS = 30.0
SLOTS = 20
WAITING_TIMES = 4  # as many polls as slots, with those that only wait for a server that hangs
FOLDER_SAFETY_NET = timedelta(minutes=10)  # folders are watched; this is for what a watch cannot see
GONE = timedelta(days=1)  # how often a feed that answers 410 is asked


@dataclass(frozen=True, slots=True)
class Polled:
    """How a poll went: what to store of the source, and what to publish with it."""

    source: Source
    update: SourceForUpdate
    prepared: Prepared = NOTHING
    hubs: tuple[Advert, ...] | None = None  # that the feed names; `None`: it was not read

    @property
    def is_quiet(self) -> bool:
        """Say whether there is nothing to store but how the poll went."""
        return self.prepared is NOTHING and self.hubs is None


_UNREADABLE = ""
"""Stands for the fingerprint of a folder that cannot be read."""


class Poller:
    """Polls for one worker process; `folders` remembers parsed files, so that only changed ones are read."""

    def __init__(
        self,
        services: Services,
        client: Client,
        *,
        at_home: Client | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._services = services
        self._client = client
        self._fetcher = Fetcher(services, client)
        self._at_home = at_home or client  # for feeds on the owner's own network
        self._viewer = Viewer(services, client)
        self._jitter = jitter
        self._patience = Patience(WAITING_TIMES * SLOTS)
        self._shares = Shares()
        self._files: dict[int, dict[str, Any]] = {}
        self._looks: dict[int, str] = {}  # what each folder was like at the last look
        self._restless: set[int] = set()  # folders that had changed since the look before
        self._offered: dict[int, str] = {}  # and when it was last made due

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

    def watch(self) -> int:
        """Make folders due whose files changed since they were last read; return how many.

        One that changes is made due by the first look that finds it as the look before did.
        """
        with self._services.store.read() as tx:
            folders = [source for source in sources.all_sources(tx) if source.kind == "folder"]
        changed = [source.id for source in folders if self._has_changed(source)]
        if changed:
            with self._services.store.write() as tx:
                sources.make_due(tx, changed, now=self._services.now())
        return len(changed)

    @property
    def is_restless(self) -> bool:
        """Say whether another look, soon, would tell whether what changes stands still now."""
        return bool(self._restless)

    def publish_due(self) -> int:
        """Publish posts whose date has come and edits that have stood long enough; return how many."""
        return publish_due(self._services)

    def _has_changed(self, source: Source) -> bool:
        """Say whether files changed and have stood still for one look: what is half written is not read."""
        self._restless.discard(source.id)
        try:
            current = fingerprint(scan(self._folder(source)))
        except BridgeError:
            # The poll itself says what is wrong; one that vanished is due at once, and only once.
            is_news, self._looks[source.id] = self._looks.get(source.id) != _UNREADABLE, _UNREADABLE
            return is_news and not source.error
        before, self._looks[source.id] = self._looks.get(source.id), current
        if current == source.body_hash:
            return source.error is not None and before == _UNREADABLE  # it is back: said at once
        if current != before:
            self._restless.add(source.id)
            return False
        is_offered, self._offered[source.id] = self._offered.get(source.id) == current, current
        return not is_offered

    # ── one poll ──

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
            if source.kind == "folder":
                try:
                    return await self._rendered(await asyncio.to_thread(self._poll_folder, source))
                finally:
                    forget_words(self._files.get(source.id, {}))
            return await self._rendered(await self._poll_feed(source))
        except (asyncio.CancelledError, StoreUnavailable):
            return Polled(source, self._interrupted(source))
        except ShrunkenFeed as error:
            return self._shrunken(source, str(error))
        except BridgeError as error:
            return self._failed(source, str(error))
        except Exception as error:  # one poisoned source never stops the others
            log.exception("Polling %s failed unexpectedly", source.location)
            return self._failed(source, f"{source.location}: {type(error).__name__} in the bridge: {error}")

    def _poll_folder(self, source: Source) -> Polled:
        folder = self._folder(source)
        digest = fingerprint(scan(folder))
        if digest == source.body_hash:
            return self._unchanged(source)
        now, cache = self._services.now(), self._files.setdefault(source.id, {})
        harvest = read_folder(folder, now=now, cache=cache, before=source.body_hash)
        return self._harvested(source, read_files(self._services, source, harvest), body_hash=digest)

    async def _poll_feed(self, source: Source) -> Polled:
        url = source.moved_to or source.location
        outcome = await self._get(source, url, _conditions(source))
        if _hides_a_hub(source, outcome):
            outcome = await self._get(source, url, {})
        if isinstance(outcome, Unreachable) and outcome.fault is Fault.SHORTAGE:
            log.warning("%s is read in a minute: %s", url, outcome.why)
            return Polled(source, replace(self._interrupted(source), due_at=self._services.now() + OUR_PAUSE))
        if isinstance(outcome, Unreachable):
            return self._failed(source, f"{url}: {outcome.why}")
        if outcome.status == 304:
            return self._unchanged(source)
        if outcome.status != 200:
            return self._refused(source, url, outcome)
        return await asyncio.to_thread(self._read_feed, source, outcome)

    async def _get(self, source: Source, url: str, conditions: Mapping[str, str]) -> Outcome:
        client = self._at_home if self._is_at_home(source) else self._client
        return await client.get(
            url,
            accept=FEED_ACCEPT,
            limit=FEED_LIMIT,
            timeout=FEED_SECONDS,
            headers=conditions,
            schemes=("https", "http"),
        )

    def _read_feed(self, source: Source, answer: Answered) -> Polled:
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
        polled = self._harvested(source, reading, **cached)
        return replace(polled, hubs=(reading.advert,) if reading.advert else ())

    def _harvested(self, source: Source, reading: Reading, **cached: str | None) -> Polled:
        judged = judge(self._services, source, reading.harvest, now=self._services.now())
        harvest = reading.harvest
        update = self._answered(
            source, changed=judged.is_change, problems=harvest.problems, size=harvest.size, **cached
        )
        findings = None if reading.findings is None else lint.store(reading.findings)
        return Polled(source, replace(update, findings=findings), Prepared(judged))

    async def _rendered(self, polled: Polled) -> Polled:
        """Render what was judged, with its pictures as servers will be able to show them."""
        source, judged = polled.source, polled.prepared.judged
        if not (judged.created or judged.edited or judged.held_edits):
            return polled
        sent, served = entries_to_look_at(judged, pinned=self._services.site(source.site).pinned)
        views = await self._viewer.look(source.site, sent, served)
        people = await find_people(self._services, self._fetcher, source.site, sent)
        prepared = await asyncio.to_thread(
            render, self._services, source, judged, views.pictures, people, now=self._services.now()
        )
        update = _with_faults(_with_problems(polled.update, views.problems), prepared.problems)
        return replace(polled, prepared=prepared, update=update)

    # ── a push ──

    async def take_push(self, source: Source, body: bytes, content_type: str | None) -> Polled:
        """Read what a hub pushed as if it had been polled; what cannot be read makes the source due."""
        try:
            read = await asyncio.to_thread(self._read_push, source, body, content_type)
            return await self._rendered(read)
        except asyncio.CancelledError:
            log.debug("%s: interrupted; it is polled instead", source.location)
        except BridgeError as error:
            log.info("%s: what its hub pushed is no use (%s); it is polled instead", source.location, error)
        except Exception:  # as for a poll
            log.exception("%s: what its hub pushed failed unexpectedly", source.location)
        return Polled(source, self._interrupted(source))

    def _read_push(self, source: Source, body: bytes, content_type: str | None) -> Polled:
        now = self._services.now()
        harvest = parse_feed(body, url=source.moved_to or source.location, content_type=content_type, now=now)
        judged = judge(self._services, source, replace(harvest, partial=True), now=now)
        update = SourceForUpdate(
            source.due_at, source.interval, source.failures, source.error, changed=judged.is_change
        )
        return Polled(source, update, Prepared(judged))

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
            failed = commit_prepared(tx, self._services, polled.source, polled.prepared, now=now)
            polled = replace(polled, update=_with_faults(polled.update, failed))
            sources.settle(tx, polled.source.id, polled.update, now=now)
            if polled.hubs is not None:
                found = next(((advert.hub, advert.topic) for advert in polled.hubs), None)
                subscriptions.advertise(tx, polled.source.id, found, now=now)
        _report(polled)

    # ── what becomes of the source ──

    def _answered(
        self,
        source: Source,
        *,
        changed: bool,
        problems: Sequence[Any] | None = None,
        size: int | None = None,
        **cached: str | None,
    ) -> SourceForUpdate:
        interval = self._pace(source, changed=changed)
        pause = FOLDER_SAFETY_NET if source.kind == "folder" else interval
        return SourceForUpdate(
            due_at=self._services.now() + pause * (1 + 0.1 * self._jitter()),
            interval=interval,
            failures=0,
            problems=None if problems is None else tuple(problems),
            size=size,
            shrunk_at=None,
            answered=True,
            changed=changed,
            **cached,
        )

    def _pace(self, source: Source, *, changed: bool) -> timedelta:
        """Ask twice as often after a change, a quarter less often after none, within the config's bounds."""
        polling = self._services.config.polling
        interval = source.interval / 2 if changed else source.interval * 1.25
        return min(max(interval, polling.min_interval), polling.max_interval)

    def _unchanged(self, source: Source, **cached: str | None) -> Polled:
        return Polled(source, self._answered(source, changed=False, size=None, **cached))

    def _failed(self, source: Source, error: str, *, pause: timedelta | None = None) -> Polled:
        polling = self._services.config.polling
        failures = source.failures + 1
        backoff = min(polling.min_interval * 2 ** min(failures - 1, 8), polling.max_interval)
        if source.kind == "folder":
            backoff = min(backoff, FOLDER_SAFETY_NET)
        due_at = self._services.now() + max(backoff * (1 + 0.2 * self._jitter()), pause or timedelta())
        return Polled(source, SourceForUpdate(due_at, source.interval, failures, error=error))

    def _shrunken(self, source: Source, error: str) -> Polled:
        """Look again soon: a feed that was cut off is whole again in minutes, one that stays so is news."""
        now = self._services.now()
        due_at = now + min(self._services.config.polling.min_interval, SHRUNK_STANDS)
        shrunk_at = source.shrunk_at or now
        failed = SourceForUpdate(
            due_at, source.interval, source.failures + 1, error=error, shrunk_at=shrunk_at
        )
        return Polled(source, failed)

    def _refused(self, source: Source, url: str, answer: Answered) -> Polled:
        if answer.status == 410:
            error = (
                f"{url}: 410, the feed is gone for good: take it out of config.toml or give its new address"
            )
            return self._failed(source, error, pause=GONE)
        error = f"{url}: {host_of(url)} answered {answer.status} instead of a feed"
        return self._failed(source, error, pause=answer.retry_after)

    def _interrupted(self, source: Source) -> SourceForUpdate:
        return SourceForUpdate(self._services.now(), source.interval, source.failures, error=source.error)

    def _is_at_home(self, source: Source) -> bool:
        configured = self._services.source(source.site, source.name)
        return isinstance(configured, FeedSource) and configured.private_network

    def _folder(self, source: Source) -> Folder:
        configured = self._services.source(source.site, source.name)
        assert isinstance(configured, FolderSource)
        return folder_of(self._services, source.site, configured)


def _conditions(source: Source) -> dict[str, str]:
    """Return the headers that spare the site from sending what was read before."""
    if not may_be_asked_conditionally(source.body_hash):
        return {}
    conditions = {"If-None-Match": source.etag, "If-Modified-Since": source.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _hides_a_hub(source: Source, outcome: Outcome) -> bool:
    """Say whether “not modified” came with a hub that we have not read of."""
    if isinstance(outcome, Unreachable) or outcome.status != 304:
        return False
    return names_another_hub(outcome.headers, source.body_hash)


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
    if polled.prepared.drafts:
        log.info("%s: %d new or changed", location, len(polled.prepared.drafts))
