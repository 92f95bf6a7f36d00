"""Pins: followers' servers are told when the posts on top of a profile are other ones.

Servers look at a profile themselves, once a day or so: what a new post pushes out need not be announced at
every post. What the owner pins or unpins is news at once.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.services import Services
from bridge.store import Tx, identity, outgoing, posts
from bridge.store.outgoing import NewActivity

log = logging.getLogger(__name__)

ROTATION = timedelta(days=1)  # between two times that followers are told what new posts pushed out
CHECK_EVERY = timedelta(minutes=10)  # though nothing public changed: what had to wait is due some time

Pins = Mapping[str, bool]
"""The ids of the posts on top of a profile → whether their owner pinned them; the others are the newest."""


@dataclass(frozen=True, slots=True)
class Round:
    """What followers are told at once: posts to take off the top of a profile, and to put there."""

    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def decide(told: Pins, pins: Pins, alive: set[str], told_at: datetime, now: datetime) -> Round | None:
    """Return what to tell followers, who know of `told` since `told_at`; `None` while it has to wait.

    `alive`: which of `told` are still public. Of others the servers were told that they are deleted.
    """
    removed = tuple(one for one in told if one not in pins and one in alive)
    added = tuple(one for one in reversed(list(pins)) if one not in told)  # servers show the last one first
    is_owners = any(told[one] for one in removed) or any(pins[one] for one in added)
    if (removed or added) and not is_owners and now - told_at < ROTATION:
        return None
    return Round(removed, added)


class Pinner:
    """Tells followers about pins, for one worker process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._revision = -1
        self._check_at = datetime.min.replace(tzinfo=services.now().tzinfo)

    def run(self) -> int:
        """Tell followers of every site whose pins changed; return how many sites."""
        services, now = self._services, self._services.now()
        with services.store.read() as tx:
            revision = identity.revision(tx)
        if revision == self._revision and now < self._check_at:
            return 0
        with services.store.write() as tx:
            told = sum(
                tell(tx, services, site, now=now)
                for site in services.config.sites
                if site not in services.paused
            )
        self._revision, self._check_at = revision, now + CHECK_EVERY
        return told


def tell(tx: Tx, services: Services, site: str, *, now: datetime) -> bool:
    """Tell followers of a site which posts are on top of its profile, if that changed; say whether it had."""
    pins = posts.pins(tx, site, limit=services.site(site).pinned)
    known = identity.told_pins(tx, site)
    if known is None:  # nobody was ever told: servers fetched what there is
        identity.set_told_pins(tx, site, pins, now=now)
        return False
    told, told_at = known
    news = decide(told, pins, posts.public_ids(tx, site, told), told_at, now)
    if news is None or list(pins.items()) == list(told.items()):
        return False
    is_news = bool(news.removed or news.added)
    identity.set_told_pins(tx, site, pins, now=now if is_news else told_at)
    for kind, chosen in (("Remove", news.removed), ("Add", news.added)):
        for post_id in chosen:
            _tell_one(tx, services, kind, site, post_id, now=now)
    if is_news:
        log.info("The pinned posts of %s changed: telling its followers.", site)
    return is_news


def _tell_one(tx: Tx, services: Services, kind: str, site: str, post_id: str, *, now: datetime) -> None:
    post_uri = services.ids.post(site, post_id)
    activity_id = mint_activity_id(site, kind, post_uri, documents.timestamp(now))
    document = activities.feature(services.ids, site, kind, post_id, activity_id=activity_id)
    # About the post, so that it does not overtake the post itself; of none, so that only followers get it.
    new = NewActivity(site, document["id"], kind, post_uri, documents.encode(document))
    outgoing.supersede(tx, post_uri, outgoing.PINNING, "superseded by a later one", now=now)
    outgoing.fan_out(tx, outgoing.add_activity(tx, new, now=now), new, now=now)
