"""Other servers' documents become what the timeline shows: bounded, sanitised, or an error."""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.activitypub.parse import parse_actor, parse_reply
from bridge.activitypub.values import as_list, get_id, get_text, get_time, get_url
from bridge.demo.timeline import Account, Attachment, TimelinePost
from bridge.errors import BadDocument
from bridge.markup.html import clean_incoming, excerpt, plain_text

MAX_FIELDS = 4
MAX_ATTACHMENTS = 4


def read_account(document: Mapping[str, Any], *, url: str, handle: str) -> Account:
    """Read the actor that was fetched from `url`; raises `BadDocument`."""
    actor = parse_actor(document, url=url)
    return Account(
        id=actor.id,
        name=actor.name,
        handle=handle,
        url=actor.url or actor.id,
        inbox=actor.inbox,
        featured=get_id(document.get("featured")),
        icon=actor.icon,
        header=get_url(document.get("image")),
        summary=_safe_html(document.get("summary")),
        fields=tuple(_fields(document))[:MAX_FIELDS],
    )


def read_post(note: Mapping[str, Any], account: Account, *, pinned: bool = False) -> TimelinePost:
    """Read a post of this account; raises `BadDocument`, also for what someone else wrote."""
    parts = parse_reply(note)  # a reply to nothing: the shape of all posts is the same
    if parts.actor != account.id:
        raise BadDocument(f"The post {parts.id} is not by {account.id}.")
    if parts.published is None:
        raise BadDocument(f"The post {parts.id} does not say when it was published.")
    return TimelinePost(
        id=parts.id,
        account=account,
        html=clean_incoming(parts.content),
        title=_title(parts.content),
        url=parts.url or parts.id,
        published_at=parts.published,
        updated_at=get_time(note.get("updated")),
        warning=parts.warning,
        language=parts.language,
        attachments=tuple(_attachments(note))[:MAX_ATTACHMENTS],
        pinned=pinned,
    )


def _title(html: str) -> str:
    first, _, _ = plain_text(html).partition("\n")
    return excerpt(first, 60) or "a post without words"


def _fields(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in as_list(document.get("attachment")):
        if isinstance(field, dict) and field.get("type") == "PropertyValue":
            yield get_text(field.get("name"), 100), _safe_html(field.get("value"))


def _attachments(note: Mapping[str, Any]) -> Iterator[Attachment]:
    for item in as_list(note.get("attachment")):
        url = get_url(item)
        if isinstance(item, dict) and url:
            is_image = str(item.get("mediaType")).startswith("image/")
            yield Attachment(url, get_text(item.get("name"), 1500), is_image)


def _safe_html(value: object) -> str:
    return clean_incoming(value) if isinstance(value, str) else ""
