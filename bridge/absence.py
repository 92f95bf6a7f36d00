"""Asks the pages of entries that vanished from their feed: only their own answer can mean deletion."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from bridge.changes import CHECK_PAUSE, MOST_GONE, PageCheck, Reason, is_deleted
from bridge.model import Answered, Outcome
from bridge.net import Client
from bridge.publish import delete_post
from bridge.pump import Stop, pump
from bridge.services import Services
from bridge.store import Tx, absences, holds
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
class Look:
    """What a look at a missing entry's page showed: statuses, 0 where nobody answered."""

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
        return await pump(self._claim, self._look, self._settle, slots=SLOTS, stop=stop)

    def _claim(self, room: int) -> list[Absence]:
        now = self._services.now()
        with self._services.store.write() as tx:
            return absences.claim_due(tx, room, until=now + LEASE, now=now)

    async def _look(self, absence: Absence) -> Look:
        page = absence.post.page_url
        status = await self._status(page) if page else 200
        # The site's front page tells a deleted post from a site that is down.
        home = (
            await self._status(self._services.site(absence.post.site).website) if status in (404, 410) else 0
        )
        return Look(absence, status, home)

    async def _status(self, url: str) -> int:
        outcome: Outcome = await self._client.get(
            url, accept=ACCEPT, limit=LIMIT, timeout=SECONDS, schemes=("https", "http")
        )
        return outcome.status if isinstance(outcome, Answered) else 0

    def _settle(self, looks: Sequence[Look]) -> None:
        with self._services.store.write() as tx:
            for look in looks:
                self._settle_one(tx, look)

    def _settle_one(self, tx: Tx, look: Look) -> None:
        now, absence = self._services.now(), look.absence
        check = PageCheck(look.status, look.home_status, absence.misses, absence.missing_since)
        if look.status == 200 or now - absence.missing_since > GIVE_UP:
            absences.look_again(tx, absence.pk, due_at=None, missed=False)
        elif not is_deleted(check, now):
            missed = look.status == 404 and look.home_status == 200
            absences.look_again(tx, absence.pk, due_at=now + CHECK_PAUSE, missed=missed)
        elif absences.deleted_lately(tx, absence.source_id, since=now - A_DAY) >= MOST_GONE:
            new = NewHold(absence.post.site, absence.source_id, absence.pk, holds.DELETE, Reason.GONE)
            holds.add(tx, new, now=now)
            absences.look_again(tx, absence.pk, due_at=None, missed=False)
        else:
            log.info("%s answers %d: deleting its post", absence.post.page_url, look.status)
            delete_post(tx, self._services, absence.post, now=now)


def _is_on_site(page: str, website: str) -> bool:
    """Say whether a page is on the website's host, or on one above or below it."""
    theirs, ours = (f".{(urlsplit(url).hostname or '').removeprefix('www.')}" for url in (page, website))
    return theirs.endswith(ours) or ours.endswith(theirs)
