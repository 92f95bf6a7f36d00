"""Composes a post out of an entry: what followers read, and how it looks to them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from bridge.activitypub import content, documents
from bridge.activitypub.documents import MAX_ACTIVITY_BYTES, NoteParts
from bridge.config import SiteConfig
from bridge.model import Enclosure, Entry, Image
from bridge.services import Services
from bridge.sources.html import excerpt, html_from, paragraphs, to_note_html, truncate_html

SHORT = 500  # characters of text that go out whole; anything longer is introduced and linked
MAX_IMAGES = 4  # Mastodon shows four
MAX_HASHTAGS = 5
_ROOM_FOR_THE_REST = 12_000  # bytes of an activity that are not its content (which stands in it twice)


def compose_note(
    services: Services,
    site: str,
    post_id: str,
    entry: Entry,
    *,
    published_at: datetime,
    updated_at: datetime | None = None,
) -> Mapping[str, Any]:
    """Render an entry as the Note that is stored, served and sent."""
    config = services.site(site)
    page_url = entry.link or services.ids.page(post_id)
    body, images = _body(entry)
    tags = _hashtags(entry)
    linked_tags = [(tag, services.ids.tag(site, tag)) for tag in tags]
    room = (MAX_ACTIVITY_BYTES - _ROOM_FOR_THE_REST) // 2
    text = content.compose_content(entry.title, page_url, truncate_html(body, room), linked_tags)
    parts = NoteParts(
        site=site,
        id=post_id,
        content=text,
        url=_post_url(services, config, post_id, entry),
        published_at=published_at,
        updated_at=updated_at,
        language=entry.language or config.language,
        tags=tags,
        attachments=_attachments(entry, images),
    )
    return documents.note(services.ids, parts)


def _body(entry: Entry) -> tuple[str, tuple[Image, ...]]:
    """Return the HTML between title and link, and the images that stood in it."""
    found = to_note_html(entry.html, base=entry.link)
    if not found.text and entry.summary:
        return html_from(entry.summary), found.images
    if len(found.text) <= SHORT or not entry.title:
        return found.html, found.images
    return paragraphs(entry.summary or excerpt(found.text)), found.images


def _attachments(entry: Entry, in_text: tuple[Image, ...]) -> tuple[Image | Enclosure, ...]:
    """Return the pictures, the entry's own before those in its text, each once, then other files."""
    pictures: dict[str, Image] = {}
    for image in (*entry.images, *in_text):
        known = pictures.get(image.url)
        pictures[image.url] = replace(known, alt=known.alt or image.alt) if known else image
    attached: list[Image | Enclosure] = list(pictures.values())
    return tuple([*attached, *entry.enclosures][:MAX_IMAGES])


def _hashtags(entry: Entry) -> tuple[str, ...]:
    names = (content.hashtag(label) for label in entry.tags)
    distinct = {name.casefold(): name for name in names if name}
    return tuple(distinct.values())[:MAX_HASHTAGS]


def _post_url(services: Services, config: SiteConfig, post_id: str, entry: Entry) -> str:
    if entry.link is None or config.urls == "bridge":
        return services.ids.page(post_id)
    if config.urls == "page" or urlsplit(entry.link).netloc == urlsplit(services.config.base_url).netloc:
        return entry.link
    return services.ids.page(post_id)
