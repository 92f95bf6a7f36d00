"""Pages for people: who is here, what was published, what happens to your data (Threads asks for both)."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response, make_response, render_template
from markupsafe import Markup

from bridge.config import SiteConfig
from bridge.markup.html import to_note_html
from bridge.model import Entry, Post
from bridge.publish.profile import site_icon
from bridge.services import Services
from bridge.store import followers, identity, posts
from bridge.web.answers import error, is_server, redirect

SHOWN = 20
SEARCHED = 500  # newest posts looked through for a hashtag


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("pages", __name__)
    views: dict[str, Callable[..., Response]] = {
        "/": front,
        "/@<user>": profile,
        "/ap/<site>/feed": feed,
        "/ap/<site>/tagged/<tag>": tagged,
        "/r/<post_id>": page,
        "/ap/about/privacy": privacy,
    }
    for rule, view in views.items():
        routes.add_url_rule(rule, view.__name__, partial(view, services))
    return routes


def front(services: Services) -> Response:
    with services.store.read() as tx:
        closed = identity.closed_sites(tx)
    shown = {key: site for key, site in services.config.sites.items() if key not in closed}
    sites = [(key, site, site_icon(services, key)) for key, site in shown.items()]
    return _page("front.html", sites=sites, ids=services.ids, privacy=services.ids.privacy)


def profile(services: Services, user: str) -> Response:
    for key, site in services.config.sites.items():
        if site.user == user.lower():
            page = site.website if _has_website(services, site) else services.ids.feed_page(key)
            return redirect(services.ids.actor(key) if is_server() else page)
    return error(404, f"Nobody here is called {user[:40]!r}.")


def feed(services: Services, site: str) -> Response:
    if site not in services.config.sites:
        return error(404, f"There is no site {site[:40]!r} here.")
    with services.store.read() as tx:
        shown = posts.newest(tx, site, limit=SHOWN)
        number = followers.count(tx, site)
    return _feed(services, site, shown, followers=number)


def tagged(services: Services, site: str, tag: str) -> Response:
    if site not in services.config.sites:
        return error(404, f"There is no site {site[:40]!r} here.")
    with services.store.read() as tx:
        newest = posts.newest(tx, site, limit=SEARCHED)
    wanted = f"#{tag}".casefold()
    shown = [post for post in newest if wanted in _tags(post)][:SHOWN]
    return _feed(services, site, shown, tag=tag)


def page(services: Services, post_id: str) -> Response:
    """Send people to the post on the owner's site; where there is none, show it."""
    with services.store.read() as tx:
        found = posts.anywhere(tx, post_id)
        entry = posts.entry_of(tx, found) if found else None
    if found is None or not _may_be_known(found):
        return error(404, "There is no such post here.")
    if is_server():  # someone pasted this address into a search: the post is what they want
        return redirect(services.ids.post(found.site, found.id))
    if found.state.is_tombstone:
        return error(410, "This post was deleted.")
    if found.site not in services.config.sites:
        return error(404, "There is no such post here.")
    if found.page_url:
        return redirect(found.page_url)
    # The note may only introduce the text; this page is the only place to read on.
    whole = _whole_text(entry) if entry else ""
    alternate = services.ids.post(found.site, found.id)
    return _feed(services, found.site, [found], alternate=alternate, whole=whole)


def privacy(services: Services) -> Response:
    return _page("privacy.html", sites=list(services.config.sites.values()), contact=services.config.contact)


def _may_be_known(post: Post) -> bool:
    return post.state.is_public or post.state.is_tombstone


def _has_website(services: Services, site: SiteConfig) -> bool:
    return site.website.rstrip("/") != services.config.base_url


def _feed(
    services: Services,
    key: str,
    shown: list[Post],
    *,
    tag: str | None = None,
    followers: int | None = None,
    alternate: str | None = None,
    whole: Markup | str = "",
) -> Response:
    """Show posts of a site; `alternate` is the ActivityPub document that says the same.

    `whole` is the text of a single post in full, where its note only introduces it.
    """
    site = services.site(key)
    listed = [
        {
            "content": Markup(post.note["content"]),  # noqa: S704  sanitised by nh3 when it was stored
            "whole": whole if len(whole) > len(post.note["content"]) else "",
            "published_at": post.published_at,
            "url": post.note["url"],
            "language": next(iter(post.note.get("contentMap", ())), site.language),
            "images": [a for a in post.note.get("attachment", ()) if a["mediaType"].startswith("image/")],
        }
        for post in shown
    ]
    return _page(
        "feed.html",
        site=site,
        icon=site_icon(services, key),
        posts=listed,
        tag=tag,
        followers=followers,
        alternate=alternate or services.ids.actor(key),
        privacy=services.ids.privacy,
    )


def _whole_text(entry: Entry) -> Markup:
    heading = Markup("<h2>{}</h2>").format(entry.title) if entry.title else Markup()
    return heading + Markup(to_note_html(entry.html).html)  # noqa: S704  made of nh3's output


def _page(template: str, **values: object) -> Response:
    response = make_response(render_template(template, **values))
    response.headers["Cache-Control"] = "public, max-age=60"
    response.headers["Vary"] = "Accept"
    return response


def _tags(post: Post) -> set[str]:
    return {tag["name"].casefold() for tag in post.note.get("tag", ())}
