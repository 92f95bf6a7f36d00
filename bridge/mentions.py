"""Finds the people that a site's posts mention, so that a name in the text becomes a real mention.

Only where the owner asked for it (`mentions = true`): whoever is mentioned is told.
"""

import asyncio
from collections.abc import Iterable, Mapping

from bridge.addresses import host_of
from bridge.compose import Mentioned, find_mentions
from bridge.fetch import Fetcher, FoundActor
from bridge.model import Entry, RemoteActor
from bridge.services import Services
from bridge.store import remote

MOST = 10  # people looked for in one poll

People = Mapping[str, Mentioned]
"""Handle → who that is."""


async def find_people(services: Services, fetcher: Fetcher, site: str, entries: Iterable[Entry]) -> People:
    """Return those whom entries mention and who can be found; nobody where it was not asked for."""
    if not services.site(site).mentions:
        return {}
    handles = dict.fromkeys(handle for entry in entries for handle in find_mentions(_text(entry)))
    sought = list(handles)[:MOST]
    found = await asyncio.gather(*(_find(services, fetcher, handle) for handle in sought))
    known = zip(sought, found, strict=True)
    return {handle: Mentioned(actor.id, actor.url or actor.id) for handle, actor in known if actor}


async def _find(services: Services, fetcher: Fetcher, handle: str) -> RemoteActor | None:
    found = await fetcher.handle(handle)
    if not isinstance(found, FoundActor):
        return None  # a name in a text need not be anyone's
    await asyncio.to_thread(_remember, services, found.actor)
    return found.actor


def _remember(services: Services, actor: RemoteActor) -> None:
    host = host_of(actor.shared_inbox or actor.inbox)
    with services.store.write() as tx:
        remote.save_actor(tx, actor, host, now=services.now())


def _text(entry: Entry) -> str:
    return entry.controls.text or entry.html or entry.summary
