"""How servers find us: WebFinger, host-meta, NodeInfo."""

from datetime import timedelta

from flask import Blueprint, Response, request

from bridge.activitypub import discovery
from bridge.activitypub.discovery import JRD_TYPE, XRD_TYPE, Subject, Usage
from bridge.config import SiteConfig
from bridge.publish.profile import site_icon
from bridge.services import Services
from bridge.store import identity, posts
from bridge.web.answers import data, error

HIT = "public, max-age=86400"
REPOSITORY = "https://github.com/fedibridge/fedibridge"


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("discovery", __name__)
    subjects = [
        *(subject_of(services, key, site) for key, site in services.config.sites.items()),
        discovery.instance_subject(services.ids, services.ids.instance_user),
    ]
    base_url = services.config.base_url

    @routes.get("/.well-known/webfinger")
    def webfinger() -> Response:
        resource = request.args.get("resource", "")
        subject = discovery.match_resource(resource, subjects)
        if subject is None:
            # Never 410, which only closed accounts answer: Mastodon would take it for deleted.
            return error(404, f"Nobody here is called {resource[:200]!r}.")
        found = discovery.webfinger(subject, resource=resource, instance=services.ids.instance)
        return data(found, JRD_TYPE, cache=HIT)

    @routes.get("/.well-known/host-meta")
    def host_meta() -> Response:
        return data(discovery.host_meta_xml(base_url), XRD_TYPE, cache=HIT)

    @routes.get("/.well-known/host-meta.json")
    def host_meta_json() -> Response:
        return data(discovery.host_meta_json(base_url), JRD_TYPE, cache=HIT)

    @routes.get("/.well-known/nodeinfo")
    def nodeinfo_links() -> Response:
        return data(discovery.nodeinfo_links(base_url), "application/json; charset=utf-8", cache=HIT)

    @routes.get("/nodeinfo/<version>")
    def nodeinfo(version: str) -> Response:
        if version not in discovery.NODEINFO_VERSIONS:
            return error(404, f"There is no NodeInfo {version[:20]} here, only 2.0 and 2.1.")
        found = discovery.nodeinfo(
            version, _usage(services), metadata=_metadata(services), repository=REPOSITORY
        )
        return data(found, discovery.nodeinfo_type(version))

    return routes


def subject_of(services: Services, key: str, site: SiteConfig) -> Subject:
    """Describe a site as WebFinger knows it."""
    return Subject(
        user=site.user,
        domain=site.domain,
        bridge_host=services.ids.host,
        actor_id=services.ids.actor(key),
        profile_url=services.ids.profile(site.user),
        website=site.website,
        avatar=site_icon(services, key),
    )


def _usage(services: Services) -> Usage:
    now = services.now()
    with services.store.read() as tx:
        sites = services.config.sites.keys() - identity.closed_sites(tx).keys()
        newest = [post for key in sites for post in posts.newest(tx, key, limit=1)]
        total = sum(posts.count(tx, key) for key in sites)
    return Usage(
        sites=len(sites),
        active_month=sum(now - post.published_at < timedelta(days=30) for post in newest),
        active_halfyear=sum(now - post.published_at < timedelta(days=180) for post in newest),
        posts=total,
    )


def _metadata(services: Services) -> dict[str, object]:
    names = ", ".join(site.name for site in services.config.sites.values())
    staff = [services.ids.actor(key) for key in services.config.sites]
    return {"nodeName": names, "nodeDescription": f"The websites of {names}.", "staffAccounts": staff}
