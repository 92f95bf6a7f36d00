"""The follower's way out: one guarded client on a loop of its own, for threads that wait."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from bridge import PRODUCT, __version__
from bridge.activitypub.parse import is_activitypub, parse_document
from bridge.activitypub.values import Document
from bridge.addresses import Reach
from bridge.errors import BadDocument
from bridge.model import Answered, Outcome, Unreachable
from bridge.net.client import Client

ACTIVITY_JSON = "application/activity+json"
LIMIT = 1024 * 1024  # bytes
SECONDS = 10.0

T = TypeVar("T")


class Wire:
    """Asks and tells other servers; every method blocks the thread that calls it."""

    def __init__(self, reach: Reach) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="wire", daemon=True).start()
        self._client = self._wait_for(_open(reach))

    def get(self, url: str, *, accept: str) -> Outcome:
        """Ask for what is at a URL."""
        return self._wait_for(self._client.get(url, accept=accept, limit=LIMIT, timeout=SECONDS))

    def document(self, url: str) -> Document:
        """Return the ActivityPub document at a URL; raises `BadDocument`, whatever goes wrong."""
        outcome = self.get(url, accept=ACTIVITY_JSON)
        if not isinstance(outcome, Answered) or outcome.status != 200:
            raise BadDocument(f"{url} could not be fetched: {explain(outcome)}.")
        if not is_activitypub(outcome.headers.get("content-type")):
            raise BadDocument(f"{url} is not an ActivityPub document.")
        return parse_document(outcome.body, url=outcome.url)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """POST signed bytes as they are."""
        return self._wait_for(self._client.post(url, body, headers, timeout=SECONDS))

    def close(self) -> None:
        """Close every connection and end the loop."""
        self._wait_for(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def explain(outcome: Outcome) -> str:
    """Say in a phrase what came of a request."""
    return outcome.why if isinstance(outcome, Unreachable) else f"the answer was {outcome.status}"


async def _open(reach: Reach) -> Client:
    return Client(f"{PRODUCT}-demo/{__version__}", reach, slots=10, idle=10)
