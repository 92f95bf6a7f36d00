"""A verified activity on its way to take effect, and what of ours it names."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from bridge.activitypub.parse import Activity
from bridge.model import RemoteActor
from bridge.services import Services


@dataclass(frozen=True, slots=True)
class Incoming:
    """A verified activity on its way to take effect. `actor` is who sent it, when we could learn it."""

    activity: Activity
    signer: str
    actor: RemoteActor | None
    serial: int  # of its arrival: tells apart what may rightly be answered twice
    now: datetime


def site_of(services: Services, uri: str | None) -> str | None:
    """Return the site an actor's URL belongs to, tolerating a trailing slash and the profile's address."""
    if uri is None:
        return None
    plain = uri.rstrip("/")
    for key, site in services.config.sites.items():
        ours = (services.ids.actor(key), services.ids.profile(site.user), site.website.rstrip("/"))
        if plain in ours:
            return key
    return None


def post_of(services: Services, uri: str | None) -> tuple[str, str] | None:
    """Return (site, post id) that a URL of ours stands for."""
    prefix = f"{services.ids.base_url}/ap/"
    if uri is None or not uri.startswith(prefix):
        return None
    match uri.removeprefix(prefix).split("/"):
        case [site, "posts", post_id] if site in services.config.sites:
            return site, unquote(post_id)
    return None


def undo_key(signer: str, activity_id: str) -> str:
    """Return what an Undo is remembered by."""
    # With the signer: nobody can undo in advance what someone else will do.
    return f"{signer} {activity_id}"
