"""Puts a post together: words, link, hashtags, pictures and files, as the object that servers are sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.activitypub import content, documents
from bridge.activitypub.documents import MAX_ACTIVITY_BYTES, ArticleParts, NoteParts
from bridge.addresses import same_host
from bridge.compose import template
from bridge.compose.body import SHORT, Body, body_of, files_html
from bridge.compose.kinds import Kind, kind_of, playable, title_of
from bridge.compose.mentions import Mentioned, People, link_mentions, mentioned_in
from bridge.compose.pictures import (
    MAX_IMAGES,
    PAGE,
    Checked,
    carries_pictures,
    choose_pictures,
    cover_of,
    with_cover,
)
from bridge.compose.tags import hashtags_of
from bridge.config import SiteConfig
from bridge.markup.html import NoteHtml, plain_text, truncate_html, words_of
from bridge.model import Enclosure, Entry, Image
from bridge.services import Services

MAX_NOTE_BYTES = MAX_ACTIVITY_BYTES - 3_000  # the activity around it needs the rest
_ROOM = 21_000  # bytes of words to begin with: they stand in a note twice
_LEAST_ROOM = 500
LINK_LENGTH = 23  # what a link counts on Mastodon, however long it is


def compose_note(
    services: Services,
    site: str,
    post_id: str,
    entry: Entry,
    *,
    published_at: datetime,
    updated_at: datetime | None = None,
    pictures: Checked | None = None,
    mentions: Mapping[str, Mentioned] | None = None,
) -> Mapping[str, Any]:
    """Render an entry as the object that is stored, served and sent, small enough for every server.

    `pictures`: what is known of pictures by URL; `None` for one that cannot be fetched, which is left out:
    Misskey drops a whole post over it. `mentions`: who the handles of `find_mentions` are; those that are
    missing stay text.
    """
    post = _Post.of(services, site, post_id, entry, published_at, pictures)
    room = _ROOM
    while True:
        parts = _parts(services, post, room, mentions or {}, published_at, updated_at)
        note = documents.note(services.ids, parts)
        if room <= _LEAST_ROOM or len(documents.encode(note)) <= MAX_NOTE_BYTES:
            return note
        room = room * 3 // 4


@dataclass(frozen=True, slots=True)
class _Post:
    """What there is to say about an entry, found out once."""

    site: str
    id: str
    config: SiteConfig
    entry: Entry
    kind: Kind
    title: str
    body: Body
    page_url: str
    url: str
    date: str
    tags: tuple[str, ...]
    attachments: tuple[Image | Enclosure, ...]
    is_article: bool

    @classmethod
    def of(
        cls,
        services: Services,
        site: str,
        post_id: str,
        entry: Entry,
        published_at: datetime,
        checked: Checked | None,
    ) -> "_Post":
        """Find out."""
        config = services.site(site)
        found = words_of(entry).note
        kind, title = kind_of(entry, found), title_of(entry, found.text)
        is_article = _is_article(entry, config, title)
        tags = hashtags_of(entry, config)
        return cls(
            site=site,
            id=post_id,
            config=config,
            entry=entry,
            kind=kind,
            title=title,
            body=body_of(entry, kind, title, found, room=SHORT - _around(title, tags, entry)),
            page_url=entry.link or services.ids.page(post_id),
            url=_post_url(services, config, post_id, entry),
            date=template.day(published_at, config.timezone),
            tags=tags,
            attachments=_attachments(entry, kind, config, found, checked, article=is_article),
            is_article=is_article,
        )


def _around(title: str, tags: tuple[str, ...], entry: Entry) -> int:
    """Return how many characters stand around an excerpt, as Mastodon counts them."""
    return (
        len(title) + LINK_LENGTH + sum(len(tag) + 2 for tag in tags) + len(plain_text(files_html(entry))) + 6
    )


def _is_article(entry: Entry, config: SiteConfig, title: str) -> bool:
    """Decide between Article and Note; a warning needs a Note, as Mastodon shows an Article's openly."""
    wanted = entry.controls.article
    if wanted is None:
        wanted = config.type_of_posts == "article"
    return wanted and bool(title) and not entry.controls.warning


def wanted_pictures(services: Services, site: str, entry: Entry) -> tuple[Image, ...]:
    """Return the pictures that an entry's post may show, best first; it shows `MAX_IMAGES` of them."""
    config = services.site(site)
    found = words_of(entry).note
    article = _is_article(entry, config, title_of(entry, found.text))
    return _pictures(entry, kind_of(entry, found), config, found, None, article=article)


def lacks_pictures(services: Services, site: str, entry: Entry, checked: Checked) -> bool:
    """Say whether an entry's post shows fewer pictures than it would if all of them could be seen."""
    if None not in checked.values():
        return False
    wanted = wanted_pictures(services, site, entry)
    seen = sum(checked.get(image.url, image) is not None for image in wanted)
    return seen < min(len(wanted), MAX_IMAGES)


def lacks_people(services: Services, site: str, entry: Entry, people: People | None) -> bool:
    """Say whether an entry's post may mention more people once their servers are asked (again).

    `people`: `None` when nobody was asked about anyone.
    """
    if not services.site(site).mentions:
        return False
    names = set(mentioned_in(entry))
    return bool(names if people is None else names & people.away)


def _attachments(
    entry: Entry, kind: Kind, config: SiteConfig, found: NoteHtml, checked: Checked | None, *, article: bool
) -> tuple[Image | Enclosure, ...]:
    """Return what is shown below the words: a player, pictures, or nothing, which leaves room for a card."""
    if player := playable(entry):
        covers = cover_of(player, entry, config)
        return (with_cover(player, covers, checked),)  # alone: Mastodon shows no player among pictures
    pictures = _pictures(entry, kind, config, found, checked, article=article)
    return tuple(image for image in pictures if image.media_type != PAGE)[:MAX_IMAGES]


def _pictures(
    entry: Entry, kind: Kind, config: SiteConfig, found: NoteHtml, checked: Checked | None, *, article: bool
) -> tuple[Image, ...]:
    if player := playable(entry):
        return cover_of(player, entry, config)
    if not carries_pictures(entry, kind, config, article=article):
        return ()
    return choose_pictures(entry, found.images, checked, page_image=config.page_image)


def _parts(
    services: Services,
    post: _Post,
    room: int,
    people: Mapping[str, Mentioned],
    published_at: datetime,
    updated_at: datetime | None,
) -> NoteParts:
    note_html = _content(services, post, room)
    words = _article_html(services, post, room) if post.is_article else note_html
    mentioned: tuple[str, ...] = ()
    if people and post.config.mentions:
        words, mentioned = link_mentions(words, people)
    return NoteParts(
        site=post.site,
        id=post.id,
        content=words,
        url=post.url,
        published_at=published_at,
        updated_at=updated_at,
        language=_language(post.entry, post.config),
        tags=post.tags,
        attachments=post.attachments,
        warning=post.entry.controls.warning,
        visibility=post.entry.controls.visibility,
        mentions=tuple((handle, people[handle].actor_id) for handle in mentioned),
        article=ArticleParts(post.title, post.body.introduction, note_html) if post.is_article else None,
    )


# ── the words ────────────────────────────────────────────────────────────────────────────────────


def _language(entry: Entry, config: SiteConfig) -> str | None:
    """Return the language to claim: none where the entry says one that we do not understand."""
    return config.language if entry.language is None else entry.language or None


def _content(services: Services, post: _Post, room: int) -> str:
    """Lay a post out as the site's template says."""
    files = files_html(post.entry)
    whole, beginning = (truncate_html(html, room) + files for html in (post.body.whole, post.body.excerpt))
    tags = _linked_tags(services, post)
    about = post.entry.about
    title = post.title or about or ""
    link = "" if post.kind is Kind.STATUS and post.entry.link is None else post.page_url
    if "{" not in post.config.template:
        body = {"full": whole, "excerpt": beginning, "title": files}[_layout(post)]
        return content.compose_content(title, link or None, body, tags, about=about)
    fields = {
        "title": content.title_link(title, about or post.page_url),
        "excerpt": beginning,
        "content": whole,
        "link": content.page_link(link, starred=bool(about)),
        "tags": content.tag_links(tags),
        "date": post.date,
    }
    filled = template.fill(post.config.template, fields)
    is_cut = "{content}" in post.config.template and whole != post.body.whole + files
    if is_cut and "{link}" not in post.config.template:  # what is missing has to be somewhere
        filled += f"<p>{content.page_link(post.page_url)}</p>"
    return filled


def _layout(post: _Post) -> str:
    """Return the layout's name; a title alone is no post where there is none, or other words are given."""
    if post.config.template == "title" and (not post.title or post.entry.controls.text):
        return "excerpt"
    return post.config.template


def _article_html(services: Services, post: _Post, room: int) -> str:
    """Write an Article's words, from its title to the link to its page.

    Both stand in other fields too, which Hollo and GoToSocial do not show; and where the text is cut, the
    rest has to be somewhere.
    """
    body = truncate_html(post.body.whole, room) + files_html(post.entry)
    about = post.entry.about
    tags = _linked_tags(services, post)
    return content.compose_content(post.title, post.page_url, body, tags, about=about, link_last=True)


def _linked_tags(services: Services, post: _Post) -> list[tuple[str, str]]:
    return [(tag, services.ids.tag(post.site, tag)) for tag in post.tags]


def _post_url(services: Services, config: SiteConfig, post_id: str, entry: Entry) -> str:
    if entry.link is None or config.urls == "bridge":
        return services.ids.page(post_id)
    if config.urls == "page" or same_host(entry.link, services.config.base_url):
        return entry.link
    return services.ids.page(post_id)
