"""Which page an entry of a feed is about: the author's own, someone else's, and never a link counter's."""

import re
from collections.abc import Callable
from typing import Any

from bridge.addresses import take_apart
from bridge.markup.sanitize import absolute_url
from bridge.markup.text import strip_controls

Item = dict[str, Any]

NAMES_A_USER = "its link has a user name or password in it, which was left out."

# Feed services that put their own address before every link; most of them have long stopped forwarding.
_COUNTED = re.compile(
    r"https?://(?:feedproxy\.google\.com|feeds\d?\.feedburner\.com)/|/~r/|/~3/|/click\.phdo\?|\.feedsportal\.com/"
)
_ORIGINALS = ("feedburner_origlink", "pheedo_origlink")
# What only says that somebody came by the feed, or by which campaign.
_TRACKING = re.compile(r"(?:utm_|mtm_|mc_[ce]id=|fbclid=|gclid=|igshid=|rss=)")
_FROM_FEED = re.compile(r"[\w-]{1,20}=rss(?![a-z])", re.IGNORECASE)


def pages_of(
    item: Item, guid: str | None, base: str, is_ours: Callable[[str], bool]
) -> tuple[str | None, str | None]:
    """Return an entry's page on its own site and, of a link post, the page elsewhere that it is about.

    Link blogs give the other page as the link and their own as the guid, or (Daring Fireball) as related.
    `base` resolves what is relative; `is_ours` knows addresses of the site.
    """
    link = _link(item, guid, base)
    if link is None:
        return None, None
    named = absolute_url(guid) if guid else None
    if _COUNTED.search(link):
        return (without_tracking(named) if named and not _COUNTED.search(named) else link), None
    if is_ours(link):
        return link, None
    related = (absolute_url(_text(each, "href")) for each in item.get("links", ()) if _is_related(each))
    own = next((page for page in (named, *related) if page and is_ours(page)), None)
    return (without_tracking(own), link) if own else (link, None)


def lost_link(item: Item, guid: str | None, base: str) -> str:
    """Return what stands where the page's address should and is none; a guid need not be one."""
    written = _text(item, "link")
    is_meant = written != guid or written.startswith(("http://", "https://"))
    return written if is_meant and absolute_url(written, base) is None else ""


def _link(item: Item, guid: str | None, base: str) -> str | None:
    """Return the entry's page: its alternate link, or a guid that is the address of one.

    feedparser lets any id stand in for a missing link; a bare word or an episode's file is no page.
    """
    original = next((found for name in _ORIGINALS if (found := absolute_url(_text(item, name)))), None)
    if original:
        return without_tracking(original)
    link = _text(item, "link")
    if not link or link == guid:
        borrowed = not any(
            _text(each, "href") == link for each in item.get("links", ()) if each.get("rel") == "alternate"
        )
        if borrowed and not absolute_url(link):
            return None
        if borrowed and guid in {_text(each, "href") for each in item.get("links", ())}:
            return None
    found = absolute_url(link, base) if link else None
    return without_tracking(found) if found else None


def _is_related(link: Item) -> bool:
    return bool(link.get("rel") == "related")


def without_tracking(url: str) -> str:
    """Return the address without the parameters that tell its owner by which way people came."""
    query = take_apart(url).query
    if not query:
        return url
    kept = [pair for pair in query.split("&") if not (_TRACKING.match(pair) or _FROM_FEED.match(pair))]
    head, _, rest = url.partition("?")
    fragment = rest[len(query) :]
    return f"{head}?{'&'.join(kept)}{fragment}" if kept else head + fragment


def _text(item: Item, name: str) -> str:
    value = dict.get(item, name)
    return strip_controls(value) if isinstance(value, str) else ""
