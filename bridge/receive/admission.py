"""Where an actor may be reached: only at addresses that we can deliver to, and that are not a stranger's.

Anyone's document can name any address as its inbox. One that we would refuse to open is no inbox, and one
on a host that has nothing to do with the actor is believed of a few until it takes something.
"""

from dataclasses import replace
from datetime import datetime

from bridge.addresses import check_url, host_of, is_at_home
from bridge.errors import BadUrl
from bridge.model import RemoteActor
from bridge.services import Services
from bridge.store import Tx, identity, inboxes
from bridge.store.inboxes import Inbox

_REVIEWED = "inboxes reviewed"


def admitted(tx: Tx, services: Services, actor: RemoteActor, *, now: datetime) -> RemoteActor | str:
    """Return an actor with the inboxes we may deliver to, or say why there are none."""
    try:
        check_url(actor.inbox, reach=services.reach)
    except BadUrl as error:
        return f"nothing can be delivered to {actor.id}: {error}"
    usable = replace(actor, shared_inbox=_usable(services, actor.shared_inbox))
    addresses = {usable.inbox, usable.shared_inbox or usable.inbox}
    foreign = {url: host_of(url) for url in addresses if not is_at_home(url, actor.id)}
    if all(inboxes.admit(tx, url, host, now=now) for url, host in sorted(foreign.items())):
        return usable
    return f"too many others name inboxes on {'and '.join(sorted(set(foreign.values())))}, as {actor.id} does"


def kept(
    tx: Tx, services: Services, found: RemoteActor, before: RemoteActor, *, now: datetime
) -> RemoteActor:
    """Return an actor as found now; with the inboxes that worked, if those named now are no use."""
    usable = admitted(tx, services, found, now=now)
    if isinstance(usable, RemoteActor):
        return usable
    return replace(found, inbox=before.inbox, shared_inbox=before.shared_inbox)


def _is_theirs(url: str, actor_id: str) -> bool:
    try:
        return is_at_home(url, actor_id)
    except BadUrl:  # a row that is damaged
        return False


def review(tx: Tx, services: Services, *, now: datetime) -> int:
    """Look once at the inboxes of everyone from before any were judged; return how many get no more posts.

    Those are the ones we refuse to open, and those elsewhere that were tried and never took anything.
    """
    if identity.get_meta(tx, _REVIEWED):
        return 0
    identity.set_meta(tx, _REVIEWED, "yes")
    silent = 0
    for actor_id, url in inboxes.named(tx):
        usable = _usable(services, url) is not None
        if usable and _is_theirs(url, actor_id):
            continue
        proven = usable and not inboxes.is_silent(tx, url)
        inboxes.save(tx, Inbox(url, _name(url), foreign=True, took_at=now if proven else None), now=now)
        silent += not proven
    return silent


def host_reached(actor: RemoteActor) -> str:
    """Name the host of the inbox that an actor's news is delivered to."""
    return host_of(actor.shared_inbox or actor.inbox)


def _usable(services: Services, shared: str | None) -> str | None:
    try:
        return shared and check_url(shared, reach=services.reach) and shared
    except BadUrl:
        return None  # the actor's own is left


def _name(url: str) -> str:
    try:
        return host_of(url)
    except BadUrl:
        return ""
