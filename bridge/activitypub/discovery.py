"""How servers find us: WebFinger, host-meta and NodeInfo as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import unquote

from bridge import PRODUCT, __version__
from bridge.activitypub.ids import Ids
from bridge.addresses import host_of, take_apart
from bridge.errors import BadUrl
from bridge.model import Image

Document = dict[str, Any]

MAX_RESOURCE_BYTES = 512
NODEINFO_VERSIONS = ("2.1", "2.0")
JRD_TYPE = "application/jrd+json; charset=utf-8"  # GoToSocial and Akkoma refuse other types
XRD_TYPE = "application/xrd+xml; charset=utf-8"

_AS2_TYPE = "application/activity+json"
_NODEINFO_SCHEMA = "http://nodeinfo.diaspora.software/ns/schema/"


@dataclass(frozen=True, slots=True)
class Subject:
    """An actor of ours as WebFinger knows it.

    `user` and `domain` are its handle; `bridge_host` is where its documents live and answers for it too.
    `website` and `profile_url` are pages that stand for it.
    """

    user: str
    domain: str
    bridge_host: str
    actor_id: str
    profile_url: str
    website: str | None = None
    avatar: Image | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """What a WebFinger query asks for: `user` at `host`, or the page or document at `host` + `path`.

    `user`, `host` are lower case; exactly one of `user` and `path` is set, a root `path` is "".
    """

    host: str
    user: str | None = None
    path: str | None = None


def instance_subject(ids: Ids, user: str) -> Subject:
    """Describe the instance actor, which stands for the bridge's own front page."""
    front_page = ids.base_url + "/"
    return Subject(user, ids.host, ids.host, ids.instance, profile_url=front_page, website=front_page)


def parse_resource(text: str) -> Resource | None:
    """Read a WebFinger `resource` in any spelling servers and people use; `None` when it can name no one.

    Raises `BadUrl`, the caller's 400, when it is empty or over `MAX_RESOURCE_BYTES`.
    """
    if not text.strip() or len(text.encode(errors="replace")) > MAX_RESOURCE_BYTES:
        raise BadUrl(f"A WebFinger query needs a resource of 1 to {MAX_RESOURCE_BYTES} bytes.")
    plain = unquote(text.strip())  # some clients encode twice
    if plain.lower().startswith(("https://", "http://")):
        return _parse_url(plain)
    if plain.lower().startswith("acct:"):
        plain = plain[5:]
    user, at, host = plain.removeprefix("@").partition("@")
    named = _host(f"https://{host}/") if at and user else None
    return Resource(named, user=user.lower()) if named and not set(host) & set("/?#") else None


def match_resource(resource: str, subjects: Sequence[Subject]) -> Subject | None:
    """Find the first subject that a WebFinger `resource` names; raises `BadUrl` like `parse_resource`."""
    wanted = parse_resource(resource)
    return next((subject for subject in subjects if wanted in _names(subject)), None) if wanted else None


def webfinger(subject: Subject, *, resource: str, instance: str) -> Document:
    """Answer a WebFinger query for a subject; asked for a front page, name the server's own actor too.

    `instance` is the id of the instance actor (FEP-d556). The `self` link stands first: GoToSocial takes the
    first link there is.
    """
    pages = [subject.website] if subject.website else []
    links = [
        {"rel": "self", "type": _AS2_TYPE, "href": subject.actor_id},
        {
            "rel": "http://webfinger.net/rel/profile-page",
            "type": "text/html",
            "href": subject.website or subject.profile_url,
        },
    ]
    if subject.avatar:
        links.append(_avatar_link(subject.avatar))
    if _is_front_page(resource):
        rel = "https://www.w3.org/ns/activitystreams#Service"
        links.append({"rel": rel, "type": _AS2_TYPE, "href": instance})
    return {
        "subject": f"acct:{subject.user}@{subject.domain}",
        "aliases": list(dict.fromkeys((*pages, subject.profile_url, subject.actor_id))),
        "links": links,
    }


def host_meta_xml(base_url: str) -> str:
    """Point from host-meta to WebFinger, in XML; Mastodon asks here when WebFinger itself answers 404."""
    template = escape(_webfinger_template(base_url))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        # Mastodon's XPath needs the namespace.
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
        f'  <Link rel="lrdd" type="application/jrd+json" template="{template}"/>\n'
        "</XRD>\n"
    )


def host_meta_json(base_url: str) -> Document:
    """Point from host-meta to WebFinger, in JSON."""
    template = _webfinger_template(base_url)
    return {"links": [{"rel": "lrdd", "type": "application/jrd+json", "template": template}]}


def nodeinfo_links(base_url: str) -> Document:
    """List the NodeInfo documents there are, and the instance actor (FEP-2677)."""
    ids = Ids(base_url)
    links = [
        {"rel": _NODEINFO_SCHEMA + version, "href": f"{ids.base_url}/nodeinfo/{version}"}
        for version in NODEINFO_VERSIONS
    ]
    return {
        "links": [*links, {"rel": "https://www.w3.org/ns/activitystreams#Application", "href": ids.instance}]
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The numbers NodeInfo shows: sites are its users, replies others wrote are no comments of ours."""

    sites: int
    active_month: int
    active_halfyear: int
    posts: int


def nodeinfo(
    version: str, usage: Usage, *, metadata: Mapping[str, Any], repository: str = "", homepage: str = ""
) -> Document:
    """Describe this server in NodeInfo 2.0 or 2.1; raises `BadUrl` for another version, the caller's 404."""
    if version not in NODEINFO_VERSIONS:
        raise BadUrl(f"There is no NodeInfo {version} here, only {' and '.join(NODEINFO_VERSIONS)}.")
    origin = {"repository": repository, "homepage": homepage} if version == "2.1" else {}
    return {
        "version": version,
        "software": {"name": PRODUCT, "version": __version__} | {k: url for k, url in origin.items() if url},
        "protocols": ["activitypub"],
        "services": {"inbound": ["atom1.0", "rss2.0"], "outbound": []},
        "openRegistrations": False,
        "usage": {
            "users": {
                "total": usage.sites,
                "activeMonth": usage.active_month,
                "activeHalfyear": usage.active_halfyear,
            },
            "localPosts": usage.posts,
            "localComments": 0,
        },
        "metadata": dict(metadata),
    }


def nodeinfo_type(version: str) -> str:
    """Return the Content-Type of a NodeInfo document."""
    return f'application/json; profile="{_NODEINFO_SCHEMA}{version}#"; charset=utf-8'


def _names(subject: Subject) -> set[Resource | None]:
    user, hosts = (
        subject.user.lower(),
        {_host(f"https://{h}/") for h in (subject.domain, subject.bridge_host)},
    )
    handles = {Resource(host, user=user) for host in hosts if host}
    profiles = {Resource(host, path=f"/@{user}") for host in hosts if host}
    urls = (subject.actor_id, subject.profile_url, subject.website)
    return handles | profiles | {_parse_url(url) for url in urls if url}


def _parse_url(url: str) -> Resource | None:
    host = _host(url)
    if host is None:
        return None
    path = url[len("://") + url.index("://") + len(take_apart(url).netloc) :]
    # Only the names of people ignore case; paths of the owner's site may not.
    path = path.lower() if path.startswith("/@") else path
    return Resource(host, path=unquote(path).rstrip("/"))


def _host(url: str) -> str | None:
    try:
        return host_of(url)
    except BadUrl:
        return None


def _is_front_page(resource: str) -> bool:
    asked = parse_resource(resource)
    return asked is not None and asked.path == ""


def _avatar_link(avatar: Image) -> dict[str, str]:
    kind = {"type": avatar.media_type} if avatar.media_type else {}
    return {"rel": "http://webfinger.net/rel/avatar", **kind, "href": avatar.url}


def _webfinger_template(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/.well-known/webfinger?resource={{uri}}"
