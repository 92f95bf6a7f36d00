"""Second looks: what was missing from a post when it went out is added once it can be had.

Pictures that could not be seen, people whose servers could not be asked: a folder is often read before its
site is built, and servers have bad minutes. For a day somebody looks again, and followers are told as of any
edit.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.changes.change import Edited
from bridge.compose import People, mentioned
from bridge.look.shown import shows_others
from bridge.look.viewer import Viewer
from bridge.model import Post, PostState
from bridge.net.client import Client
from bridge.people.fetch import Fetcher
from bridge.people.mentions import find_people
from bridge.publish.drafts import Draft, as_news, describe, draft_edited
from bridge.publish.edits import plan_update
from bridge.pump.engine import Stop, pump
from bridge.services import Services
from bridge.store import Tx, aside, edits, identity, looks, posts
from bridge.store.looks import DueLook

log = logging.getLogger(__name__)

SLOTS = 2
LEASE = timedelta(minutes=2)  # a look takes twenty seconds at most


@dataclass(frozen=True, slots=True)
class Looked:
    """A post as it looks after a second look, and when the next one is: `None` when there is none."""

    due: DueLook
    draft: Draft
    look_at: datetime | None


class SecondLooker:
    """Looks again for one worker process."""

    def __init__(self, services: Services, client: Client, fetcher: Fetcher | None = None) -> None:
        self._services = services
        self._fetcher = fetcher or Fetcher(services, client)
        self._viewer = Viewer(services, client)

    async def run(self, stop: Stop) -> int:
        """Look at the pictures of every post that is due; return how many posts."""
        return await pump(
            self._claim, self._look, self._settle, spoiled=self._set_aside, slots=SLOTS, stop=stop
        )

    def _claim(self, room: int) -> list[DueLook]:
        now = self._services.now()
        with self._services.store.read() as tx:
            if not looks.any_due(tx, now=now):
                return []
        with self._services.store.write() as tx:
            return looks.claim_due(tx, room, until=now + LEASE, now=now)

    async def _look(self, due: DueLook) -> Looked:
        site, now = due.post.site, self._services.now()
        views = await self._viewer.look(site, [due.entry])
        people = await self._people(due)
        known = due.known
        same = Edited(known, due.entry, (), known.content_hash, known.text_hash, quiet=True)
        draft = draft_edited(self._services, site, same, views.pictures, people, now=now)
        return Looked(due, draft, draft.next_look(due.since, now))

    async def _people(self, due: DueLook) -> People:
        """Find whom a post mentions; nobody is told of an old post that never mentioned anyone."""
        if due.post.state is PostState.BASELINE and not mentioned(due.post.note):
            return People()
        return await find_people(self._services, self._fetcher, due.post.site, [due.entry])

    async def look_now(self, post: Post) -> None:
        """Look at one post's pictures now, because it is about to be sent."""
        with self._services.store.write() as tx:
            pk = posts.row_of(tx, post.site, post.id)
            assert pk is not None
            due = looks.now_at(tx, pk, until=self._services.now() + LEASE)
        self._settle([await self._look(due)])

    def _settle(self, looked: Sequence[Looked]) -> None:
        aside.settle_each(
            self._services.store,
            looked,
            self._settle_one,
            due=looks.DUE,
            key=lambda one: one.due.known.pk,
            now=self._services.now(),
        )

    def _set_aside(self, due: DueLook, error: BaseException) -> None:
        aside.failed(self._services.store, looks.DUE, due.known.pk, error, now=self._services.now())

    def _settle_one(self, tx: Tx, looked: Looked) -> None:
        before, now = looked.due.post, self._services.now()
        current = posts.find(tx, before.site, before.id)
        if current is None or (current.content_hash, current.state) != (before.content_hash, before.state):
            return  # it was edited or deleted meanwhile, and whoever did that looked for themselves
        looks.plan(tx, looked.due.known.pk, looked.look_at)
        lost = mentioned(before.note) - mentioned(looked.draft.post.note)
        if lost and looked.draft.lacks_people:
            return  # their server was there before: what is known already is not taken out
        _show(tx, self._services, looked.due, looked.draft.post, now=now)


def _show(tx: Tx, services: Services, due: DueLook, post: Post, *, now: datetime) -> None:
    """Serve a post with what was found, and tell its followers if they will see a difference."""
    greets = mentioned(post.note) - mentioned(due.post.note)
    if not greets and post.note.get("attachment") == due.post.note.get("attachment"):
        return
    is_news = bool(greets) or shows_others(due.post.note, post.note)
    if is_news:
        post = as_news(post, now=now)
        edits.forget_sent(tx, due.known.pk)
    looks.redraw(tx, due.known.pk, post)
    identity.touch(tx)
    if is_news:
        plan_update(tx, services, post, due.known.pk, now=now)
        log.info("“%s” gets pictures or mentions that could not be fetched before", describe(post))
