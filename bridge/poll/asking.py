"""Asks a feed's address, and spares the site from sending what was read before."""

from collections.abc import Mapping

from bridge.config import FeedSource
from bridge.model import Outcome, Unreachable
from bridge.net.client import Client
from bridge.poll.fingerprint import may_be_asked_conditionally, names_another_hub
from bridge.services import Services
from bridge.store.sources import Source

FEED_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/json;q=0.9, "
    "application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5"
)
FEED_LIMIT = 10 * 1024 * 1024  # bytes
FEED_SECONDS = 30.0


class Asking:
    """Asks for one worker process; `at_home` is for feeds on the owner's own network."""

    def __init__(self, services: Services, client: Client, at_home: Client | None = None) -> None:
        self._services = services
        self._client = client
        self._at_home = at_home or client

    async def ask(self, source: Source, url: str) -> Outcome:
        """Return what a feed's address answers; never a 304 that hides a hub nobody has read of."""
        outcome = await self._get(source, url, _conditions(source))
        return await self._get(source, url, {}) if _hides_a_hub(source, outcome) else outcome

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

    def _is_at_home(self, source: Source) -> bool:
        configured = self._services.source(source.site, source.name)
        return isinstance(configured, FeedSource) and configured.private_network


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
