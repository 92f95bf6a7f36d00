"""What a site shows of itself: its config, its keys and its history as an actor document."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bridge.activitypub import activities, documents
from bridge.activitypub.content import link_html
from bridge.activitypub.documents import ActorProfile
from bridge.activitypub.ids import mint_activity_id
from bridge.addresses import same_host, take_apart
from bridge.config import SiteConfig
from bridge.markup import weblinks
from bridge.model import Image
from bridge.picturetypes import type_at, type_of
from bridge.publish.news import activity
from bridge.services import Services
from bridge.store import Tx, identity, outgoing


def actor_document(tx: Tx, services: Services, site: str) -> dict[str, Any]:
    """Describe a site's actor as the fediverse should see it now."""
    _, created_at, updated_at = identity.profile(tx, site)
    return _document(services, site, published_at=created_at, updated_at=updated_at)


def announce_profile(tx: Tx, services: Services, site: str, *, now: datetime) -> bool:
    """Tell followers when the actor changed since they were last told; say whether it had."""
    told, _, _ = identity.profile(tx, site)
    current = profile_hash(services, site)
    if told == current:
        return False
    identity.set_profile(tx, site, current, now=now)
    if told is None:
        return False
    actor_uri = services.ids.actor(site)
    activity_id = mint_activity_id(site, "Update", actor_uri, documents.timestamp(now))
    actor = actor_document(tx, services, site)
    document = activities.update_actor(services.ids, site, actor, activity_id=activity_id, at=now)
    new = activity(site, document, actor_uri, None)
    outgoing.supersede(tx, actor_uri, ["Update"], "superseded by a later profile", now=now)
    outgoing.fan_out(tx, outgoing.add_activity(tx, new, now=now), new, now=now)
    return True


def profile_hash(services: Services, site: str) -> str:
    """Fingerprint what people see of an actor, so that a changed config is announced, once."""
    document = _document(services, site)
    seen = {name: value for name, value in document.items() if name != "generator"}
    return hashlib.sha256(orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)).hexdigest()


def profile_url(services: Services, site: SiteConfig) -> str:
    """Return where a profile leads people: the website itself where Mastodon lets it.

    Mastodon ignores an actor's `url` on another host than its id; our page there redirects.
    """
    is_ours = same_host(site.website, services.config.base_url)
    return site.website if is_ours else services.ids.profile(site.user)


def site_icon(services: Services, key: str) -> Image | None:
    """Return a profile's picture at the URL where servers find it."""
    site = services.site(key)
    return _picture_of(services, key, site.icon, "icon", site.icon_alt)


def picture_name(path: Path, role: str, body: bytes) -> str:
    """Name an icon or header file so that a new picture has a new URL (servers cache them for ever)."""
    return f"{role}-{hashlib.sha256(body).hexdigest()[:12]}{path.suffix.lower()}"


def _document(services: Services, key: str, **moments: Any) -> dict[str, Any]:
    site = services.site(key)
    rsa_pem, multibase = services.keys.public(key)
    profile = ActorProfile(
        site=key,
        user=site.user,
        domain=site.domain,
        name=site.name,
        url=profile_url(services, site),
        website=site.website,
        rsa_pem=rsa_pem,
        ed25519_multibase=multibase,
        summary_html=_paragraphs(site.summary),
        type=site.type,
        icon=site_icon(services, key),
        header=_picture_of(services, key, site.header, "header", ""),
        fields=_fields(site.fields),
        discoverable=site.discoverable,
        indexable=site.indexable,
        approve_followers=site.approve_followers,
        attribution_domains=_attribution_domains(site),
        **moments,
    )
    return documents.actor(services.ids, profile)


def _picture_of(
    services: Services, key: str, picture: str | Path | None, role: str, alt: str
) -> Image | None:
    if picture is None:
        return None
    if isinstance(picture, str):
        return Image(picture, alt, type_at(picture))
    try:
        url = services.ids.picture(key, picture_name(picture, role, picture.read_bytes()))
    except OSError:  # it was there when the config was read; a profile without it is better than none
        return None
    return Image(url, alt, type_of(picture.suffix))


def _attribution_domains(site: SiteConfig) -> tuple[str, ...]:
    host = take_apart(site.website).host
    return (host,) if host else ()


def _fields(fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, linked_field(value)) for name, value in fields.items())


def _paragraphs(text: str) -> str:
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return "".join(f"<p>{linked_field(block).replace(chr(10), '<br>')}</p>" for block in blocks if block)


def linked_field(text: str) -> str:
    """Return plain text as HTML, its web addresses as links that verify themselves (rel=me)."""
    return weblinks.linked(text, link_html)
