"""What a poll of a source yields: its entries, the hub it names, and what is wrong with it."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from bridge import lint
from bridge.activitypub.websub import Advert, find_hub
from bridge.changes.keys import strong_keys
from bridge.lint import Finding, Look
from bridge.model import Answered, Harvest
from bridge.poll.fingerprint import is_read_anew
from bridge.services import Services
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.raw import look_at
from bridge.store import posts
from bridge.store.sources import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """A harvest, and what else was learnt with it. `findings` is `None` when they could not be had."""

    harvest: Harvest
    advert: Advert | None = None
    findings: tuple[Finding, ...] | None = None


def read_answer(services: Services, source: Source, answer: Answered) -> Reading:
    """Read what a feed's address answered with; raises `NotAFeed`."""
    now = services.now()
    content_type = answer.headers.get("content-type")
    parsed = parse_feed(answer.body, url=answer.url, content_type=content_type, now=now)
    harvest = replace(parsed, anew=is_read_anew(source.body_hash))
    advert = find_hub(answer.headers, harvest, url=answer.url)
    look = Look(
        harvest=harvest,
        now=now,
        raw=look_at(answer.body),
        answer=answer,
        asked=source.location,
        moved_to=answer.moved_to or source.moved_to,
        known=_known_keys(services, source, harvest),
        has_hub=advert is not None,
    )
    return Reading(harvest, advert, _examine(source, look))


def read_push(source: Source, body: bytes, content_type: str | None, *, now: datetime) -> Harvest:
    """Read what a hub pushed, from which nothing missing is concluded; raises `NotAFeed`."""
    url = source.moved_to or source.location
    return replace(parse_feed(body, url=url, content_type=content_type, now=now), partial=True)


def read_files(services: Services, source: Source, harvest: Harvest) -> Reading:
    """Add to what a folder yielded what is wrong with it."""
    return Reading(harvest, findings=_examine(source, Look(harvest, services.now())))


def _known_keys(services: Services, source: Source, harvest: Harvest) -> frozenset[str]:
    keys = {key for entry in harvest.entries for key in strong_keys(entry)}
    with services.store.read() as tx:
        return frozenset(posts.known(tx, source.site, keys))


def _examine(source: Source, look: Look) -> tuple[Finding, ...] | None:
    try:
        return lint.examine(look)
    except Exception:  # advice must never cost a post
        log.exception("%s could not be examined", source.location)
        return None
