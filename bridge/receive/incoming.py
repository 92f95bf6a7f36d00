"""A verified activity on its way to take effect, and what of ours it names."""

from dataclasses import dataclass
from datetime import datetime

from bridge.activitypub.ids import Ids
from bridge.activitypub.parse import Activity
from bridge.model import RemoteActor
from bridge.services import Services


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified activity on its way to take effect. `actor` is who sent it, when we could learn it.

    `signed_at` is when its sender signed it; `came_before`: the same id took effect already.
    """

    activity: Activity
    signer: str
    actor: RemoteActor | None
    serial: int  # of its arrival: tells apart what may rightly be answered twice
    now: datetime
    signed_at: datetime | None = None
    came_before: bool = False

    @property
    def said_at(self) -> datetime:
        """The sender's word for when it was said; ours where there is none."""
        return self.signed_at or self.now


def site_of(services: Services, uri: str | None) -> str | None:
    """Return the site that a URL stands for: its actor's, its profile's, or its website's."""
    if uri is None:
        return None
    parts = services.ids.parts(uri)
    for key, site in services.config.sites.items():
        if parts in (("ap", key), (f"@{site.user}",)) or Ids(site.website).parts(uri) == ():
            return key
    return None


def post_of(services: Services, uri: str | None) -> tuple[str, str] | None:
    """Return (site, post id) that a URL of ours stands for."""
    match services.ids.parts(uri) if uri else None:
        case ("ap", site, "posts", post_id) if site in services.config.sites:
            return site, post_id
    return None


def in_one_spelling(services: Services, uri: str | None) -> str | None:
    """Return the id of what a URL of ours stands for; another server's URL as it is."""
    where = post_of(services, uri)
    if where is not None:
        return services.ids.post(*where)
    site = site_of(services, uri)
    return services.ids.actor(site) if site else uri


def act_key(signer: str, activity_id: str) -> str:
    """Return what an act is remembered by: that it took effect, and that it was taken back."""
    # With the signer: nobody can do or undo in advance what someone else will do.
    return f"{signer} {activity_id}"


def seen_keys(signer: str, activity_id: str) -> tuple[str, str]:
    """Return what an act may have been seen under: before version 0.2 its id alone, whoever sent it."""
    return act_key(signer, activity_id), activity_id
