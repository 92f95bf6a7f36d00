"""Finds the people that a site's posts mention, so that a name in the text becomes a real mention.

Only where the owner asked for it (`mentions = true`): whoever is mentioned is told.
"""

import asyncio
from collections.abc import Iterable

from bridge.addresses import host_of
from bridge.compose import Mentioned, People, mentioned_in
from bridge.model import Entry, RemoteActor
from bridge.people.fetch import Fetcher, FoundActor, NotNow, NotThere
from bridge.services import Services
from bridge.store import remote

MOST = 10  # people looked for at once


async def find_people(services: Services, fetcher: Fetcher, site: str, entries: Iterable[Entry]) -> People:
    """Return those whom entries mention and who can be found; nobody where it was not asked for.

    A name in a text need not be anyone's; whoever cannot be asked about now is `away`.
    """
    if not services.site(site).mentions:
        return People()
    handles = list(dict.fromkeys(handle for entry in entries for handle in mentioned_in(entry)))
    sought, later = handles[:MOST], handles[MOST:]
    answers = await asyncio.gather(*(_find(services, fetcher, handle) for handle in sought))
    found = dict(zip(sought, answers, strict=True))
    return People(
        {name: _mentioned(one.actor) for name, one in found.items() if isinstance(one, FoundActor)},
        frozenset((*later, *(name for name, one in found.items() if isinstance(one, NotNow)))),
    )


def _mentioned(actor: RemoteActor) -> Mentioned:
    return Mentioned(actor.id, actor.url or actor.id)


async def _find(services: Services, fetcher: Fetcher, handle: str) -> FoundActor | NotThere | NotNow:
    found = await fetcher.handle(handle)
    if isinstance(found, FoundActor):
        await asyncio.to_thread(_remember, services, found.actor)
    return found


def _remember(services: Services, actor: RemoteActor) -> None:
    host = host_of(actor.shared_inbox or actor.inbox)
    with services.store.write() as tx:
        remote.save_actor(tx, actor, host, now=services.now())
