"""Asks the pages of entries that vanished from their feed: only their own answer can mean deletion."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.addresses import join, same_site
from bridge.changes.brake import MOST_GONE
from bridge.changes.change import Reason
from bridge.changes.missing import CHECK_PAUSE, GONE_SPAN, PageCheck, is_deleted
from bridge.model import Answered, Outcome
from bridge.net.client import Client
from bridge.publish.drafts import describe
from bridge.publish.posts import delete_post
from bridge.pump.engine import Stop, pump
from bridge.services import Services
from bridge.store import Tx, absences, aside, holds
from bridge.store.absences import Absence
from bridge.store.holds import NewHold

log = logging.getLogger(__name__)

SLOTS = 5
LEASE = timedelta(minutes=5)
LIMIT = 512 * 1024  # bytes; a longer page is there, whatever it says
SECONDS = 15.0
GIVE_UP = timedelta(days=7)  # a page that is neither there nor surely gone is not asked for ever
A_DAY = timedelta(days=1)
ACCEPT = "text/html, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """What a missing entry's page, and its site's front page, answer: statuses, 0 where nobody does."""

    absence: Absence
    status: int
    home_status: int


class PageAsker:
    """Asks pages for one worker process."""

    def __init__(self, services: Services, client: Client) -> None:
        self._services = services
        self._client = client

    async def run(self, stop: Stop) -> int:
        """Ask every page that is due; return how many."""
        return await pump(
            self._claim, self._ask, self._settle, spoiled=self._set_aside, slots=SLOTS, stop=stop
        )

    def _claim(self, room: int) -> list[Absence]:
        now = self._services.now()
        with self._services.store.write() as tx:
            return absences.claim_due(tx, room, until=now + LEASE, now=now)

    async def _ask(self, absence: Absence) -> PageAnswer:
        page = absence.post.page_url
        if not page:
            return PageAnswer(absence, 200, 0)
        status = await self._status(page)
        if status not in (404, 410):
            return PageAnswer(absence, status, 0)
        # The front page tells a deleted post from a site that is down.
        return PageAnswer(absence, status, await self._status(self._home_of(page, absence.post.site)))

    def _home_of(self, page: str, site: str) -> str:
        """Return the front page of the site a page is on, which need not be the website in the config."""
        website = self._services.site(site).website
        return website if same_site(page, website) else join(page, "/") or website

    async def _status(self, url: str) -> int:
        """Return what an address answers with; 0 when nobody does, or another host than the one asked."""
        outcome: Outcome = await self._client.get(
            url, accept=ACCEPT, limit=LIMIT, timeout=SECONDS, schemes=("https", "http")
        )
        if not isinstance(outcome, Answered) or not same_site(url, outcome.url):
            return 0
        return outcome.status

    def _settle(self, answers: Sequence[PageAnswer]) -> None:
        aside.settle_each(
            self._services.store,
            answers,
            self._settle_one,
            due=absences.DUE,
            key=lambda answer: answer.absence.pk,
            now=self._services.now(),
        )

    def _set_aside(self, absence: Absence, error: BaseException) -> None:
        aside.failed(self._services.store, absences.DUE, absence.pk, error, now=self._services.now())

    def _settle_one(self, tx: Tx, answer: PageAnswer) -> None:
        now, absence = self._services.now(), answer.absence
        if absence.post.site in self._services.paused:  # a website may be gone together with its table
            absences.ask_again(tx, absence.pk, due_at=now + A_DAY, missed=False)
            return
        check = PageCheck(answer.status, answer.home_status, absence.misses, absence.missing_since)
        if not is_deleted(check, now):
            missed = answer.status == 404 and answer.home_status == 200
            absences.ask_again(tx, absence.pk, due_at=self._next_time(answer, now), missed=missed)
        elif self._is_seen(absence) and self._are_many(tx, absence, now):
            new = NewHold(absence.post.site, absence.source_id, absence.pk, holds.DELETE, Reason.GONE)
            holds.add(tx, new, now=now)
            absences.ask_again(tx, absence.pk, due_at=None, missed=False)
        else:
            title = describe(absence.post)
            log.info("%s answers %d: deleting “%s”", absence.post.page_url, answer.status, title)
            delete_post(tx, self._services, absence.post, now=now)

    def _next_time(self, answer: PageAnswer, now: datetime) -> datetime | None:
        """Return when to ask again; `None`: never, for the page is there, or cannot be had."""
        waited = now - answer.absence.missing_since
        if answer.status == 200:
            # It may come out of a cache for a while. A post nobody was sent is not kept waiting for that.
            again = self._is_seen(answer.absence) and answer.absence.post.page_url and waited < GONE_SPAN
            return now + CHECK_PAUSE if again else None
        if waited > GIVE_UP:
            return None if self._is_seen(answer.absence) else now + GIVE_UP
        return now + CHECK_PAUSE

    def _is_seen(self, absence: Absence) -> bool:
        return absence.post.state.is_public

    def _are_many(self, tx: Tx, absence: Absence, now: datetime) -> bool:
        return absences.deleted_lately(tx, absence.source_id, since=now - A_DAY) >= MOST_GONE
