"""Looks at the pictures of posts before they are sent: fetched once, measured, copied where need be.

Misskey drops a whole post over a picture that it cannot fetch, and nobody shows some formats: what other
servers could not show is left out, or served as a copy of our own.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote

from bridge.addresses import host_of
from bridge.compose import PAGE, wanted_pictures
from bridge.errors import BadPicture
from bridge.look.own_files import copies_folder, read_picture
from bridge.look.shown import GOOD_FOR, Pictured, Views, is_fresh, missing, show
from bridge.markup.pagehead import page_picture
from bridge.model import Entry, Image, Unreachable
from bridge.net.client import Client
from bridge.pictures import (
    MAX_BYTES,
    MAX_COPIES,
    Examined,
    drop_oldest,
    examine_apart,
    find_copy,
    keep_copy,
)
from bridge.services import Services
from bridge.store import pictures
from bridge.store.pictures import Viewed

log = logging.getLogger(__name__)

BUDGET = 20.0  # seconds for all pictures of one poll
SECONDS = 10.0  # for one of them to be fetched
AT_ONCE = 5  # pictures of one poll
AT_ONCE_IN_ALL = 16  # of the worker; each may be in memory whole
PROCESSES = 2
ROUNDS = 3  # of choosing others for those that are no good
MAX_LOCAL = 32 * 1024 * 1024  # bytes of a file in the owner's folder
# What everybody shows first: some servers answer with whatever the reader likes best.
ACCEPT = "image/jpeg, image/png, image/gif, image/webp;q=0.8, */*;q=0.5"
ACCEPT_PAGE = "text/html, application/xhtml+xml;q=0.9, */*;q=0.1"
SMALLEST = 200  # pixels of the longer side of a picture that a page names; less is an icon


class Viewer:
    """Looks at pictures for one worker process; `budget` is in seconds."""

    def __init__(self, services: Services, client: Client, *, budget: float = BUDGET) -> None:
        self._services = services
        self._client = client
        self._budget = budget
        self._folder = copies_folder(services.config)
        self._slots = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self._processes = asyncio.Semaphore(PROCESSES)

    async def look(self, site: str, sent: Sequence[Entry], served: Sequence[Entry] = ()) -> Views:
        """Look at the pictures that the posts of these entries would show, first come first.

        What cannot be looked at in time is left out of what is `sent`, and stays as it is in what is only
        `served`.
        """
        posts, found = await asyncio.to_thread(self._recall, site, sent, served)
        if not posts:
            return Views()
        fresh: dict[str, Viewed] = {}
        is_urgent = any(post.is_sent for post in posts)
        try:
            async with asyncio.timeout(self._budget if is_urgent else self._budget / 4):
                await self._look_until_enough(site, posts, found, fresh)
        except TimeoutError:
            log.info("%s: there was no time to look at all pictures", site)
        if fresh:
            await asyncio.to_thread(self._remember, fresh)
        return show(posts, found | fresh, self._services.ids)

    def _recall(
        self, site: str, sent: Sequence[Entry], served: Sequence[Entry]
    ) -> tuple[list[Pictured], dict[str, Viewed]]:
        marked = [*((entry, True) for entry in sent), *((entry, False) for entry in served)]
        wanted = (Pictured(entry, wanted_pictures(self._services, site, entry), now) for entry, now in marked)
        posts = [post for post in wanted if post.images]
        urls = {image.url for post in posts for image in post.images if not self._is_own(site, image.url)}
        if not urls:
            return posts, {}
        with self._services.store.read() as tx:
            known = pictures.known(tx, urls)
        now = self._services.now()
        return posts, {seen.url: seen for seen in known if is_fresh(seen, now) and self._has_copy(seen)}

    def _has_copy(self, seen: Viewed) -> bool:
        return seen.file is None or find_copy(self._folder, seen.file) is not None

    def _remember(self, fresh: Mapping[str, Viewed]) -> None:
        with self._services.store.write() as tx:
            pictures.save(tx, fresh.values(), now=self._services.now())

    def _is_own(self, site: str, url: str) -> bool:
        """Say whether it lies in a folder of the owner's, where it may change and a look costs nobody."""
        return url.startswith(self._services.ids.media(site, ""))

    # ── looking ──

    async def _look_until_enough(
        self, site: str, posts: Sequence[Pictured], found: Mapping[str, Viewed], fresh: dict[str, Viewed]
    ) -> None:
        """Add to `fresh` until every post has as many pictures as it shows, or no more to try."""
        turns = asyncio.Semaphore(AT_ONCE)
        for _ in range(ROUNDS):
            seen = {**found, **fresh}
            due = {image.url: image for post in posts for image in missing(post.images, seen)}
            if not due:
                return
            await asyncio.gather(*(self._look_at(site, image, turns, fresh) for image in due.values()))

    async def _look_at(
        self, site: str, image: Image, turns: asyncio.Semaphore, fresh: dict[str, Viewed]
    ) -> None:
        url = image.url
        async with turns, self._slots:
            try:
                is_page = image.media_type == PAGE
                fresh[url] = await (self._view_named(site, url) if is_page else self._view(site, url))
            except BadPicture as error:
                fresh[url] = Viewed(url, error=str(error))
            except Exception:  # a full disk, no process to be had: says nothing about the picture
                log.exception("%s could not be examined", url)

    async def _view_named(self, site: str, page: str) -> Viewed:
        """Look at the picture that a page names for its preview card."""
        body = await self._fetch(page, ACCEPT_PAGE)
        named = await asyncio.to_thread(page_picture, body, page)
        if named is None:
            raise BadPicture("")  # the owner knows, or does not care
        seen = await self._view(site, named.url)
        if max(seen.width or 0, seen.height or 0) < SMALLEST:
            raise BadPicture("")
        return replace(seen, url=page, address=named.url, alt=named.alt)

    async def _view(self, site: str, url: str) -> Viewed:
        is_own = self._is_own(site, url)
        body = await (asyncio.to_thread(self._read, site, url) if is_own else self._fetch(url))
        async with self._processes:
            examined = await examine_apart(body, at_home=is_own)
        file = await asyncio.to_thread(self._keep, examined) if examined.copy else None
        kind, width, height = examined.media_type, examined.width, examined.height
        return Viewed(url, kind, width, height, examined.blurhash, file)

    async def _fetch(self, url: str, accept: str = ACCEPT) -> bytes:
        outcome = await self._client.get(
            url, accept=accept, limit=MAX_BYTES, timeout=SECONDS, schemes=("https", "http")
        )
        if isinstance(outcome, Unreachable):
            raise BadPicture(f"it cannot be fetched ({outcome.why})")
        if outcome.status != 200:
            raise BadPicture(f"it cannot be fetched ({host_of(url)} answers {outcome.status})")
        return outcome.body

    def _read(self, site: str, url: str) -> bytes:
        path = unquote(url.removeprefix(self._services.ids.media(site, "")))
        source, _, name = path.partition("/")
        body = read_picture(self._services, site, source, name, limit=MAX_LOCAL)
        if body is None:
            raise BadPicture(f"it is missing, hidden, or larger than {MAX_LOCAL >> 20} MiB")
        return body

    def _keep(self, examined: Examined) -> str:
        return keep_copy(self._folder, examined.copy, examined.media_type)


def tidy_pictures(services: Services, *, now: datetime, most: int = MAX_COPIES) -> int:
    """Forget what was seen long ago, and drop old copies that no post shows if they are too many."""
    with services.store.write() as tx:
        pictures.purge(tx, before=now - GOOD_FOR)
    return drop_oldest(copies_folder(services.config), lambda: _copies_in_use(services), most=most)


def _copies_in_use(services: Services) -> set[str]:
    with services.store.read() as tx:
        return pictures.copies_in_use(tx, services.ids.copy(""))
