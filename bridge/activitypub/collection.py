"""The collections we serve: pages of an outbox, and the numbers of what is not listed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.activitypub.contexts import AS2, HASHTAG_CONTEXT, NOTE_CONTEXT
from bridge.activitypub.ids import Ids
from bridge.activitypub.objects import describe_hashtag
from bridge.activitypub.values import Document

OUTBOX_PAGE_SIZE = 20


def ordered_collection(
    url: str, total: int, *, first: str | None = None, last: str | None = None
) -> Document:
    """Describe a collection by its size and where its pages begin and end."""
    document: Document = {"@context": AS2, "id": url, "type": "OrderedCollection", "totalItems": total}
    return document | {key: page for key, page in (("first", first), ("last", last)) if page}


def ordered_collection_page(
    url: str, part_of: str, items: Sequence[Any], *, following: str | None = None, previous: str | None = None
) -> Document:
    """Describe one page of an ordered collection."""
    document: Document = {"@context": AS2, "id": url, "type": "OrderedCollectionPage", "partOf": part_of}
    links = {key: page for key, page in (("next", following), ("prev", previous)) if page}
    return document | links | {"orderedItems": list(items)}


def collection(url: str, total: int, items: Sequence[Any] | None = None) -> Document:
    """Describe an unordered collection; `items` may be left out where only the number is public."""
    document: Document = {"@context": HASHTAG_CONTEXT, "id": url, "type": "Collection", "totalItems": total}
    return document if items is None else document | {"items": list(items)}


def outbox(ids: Ids, site: str, total: int) -> Document:
    """Describe the outbox, which holds the Create activities of all posts, newest first."""
    me = ids.outbox(site)
    pages = max(1, -(-total // OUTBOX_PAGE_SIZE))
    return ordered_collection(
        me, total, first=ids.collection_page(me, 1), last=ids.collection_page(me, pages)
    )


def outbox_page(
    ids: Ids, site: str, number: int, creates: Iterable[Mapping[str, Any]], total: int
) -> Document:
    """Describe page `number` (from 1) of the outbox with its up to `OUTBOX_PAGE_SIZE` activities."""
    me = ids.outbox(site)
    document = ordered_collection_page(
        ids.collection_page(me, number),
        me,
        [_without_context(create) for create in creates],
        following=ids.collection_page(me, number + 1) if number * OUTBOX_PAGE_SIZE < total else None,
        previous=ids.collection_page(me, number - 1) if number > 1 else None,
    )
    return document | {"@context": NOTE_CONTEXT}


def followers_collection(ids: Ids, site: str, total: int) -> Document:
    """Describe the followers by number only, as Mastodon does to strangers: who they are is their own affair.

    It has a `first` page, an empty one: without it Mastodon and Akkoma mark the count as hidden.
    """
    me = ids.followers(site)
    return ordered_collection(me, total, first=ids.collection_page(me, 1))


def featured(ids: Ids, site: str, post_urls: Sequence[str]) -> Document:
    """Describe the pinned posts by their ids; objects of a type other than Note Mastodon would skip."""
    document = ordered_collection(ids.featured(site), len(post_urls))
    return document | {"orderedItems": list(post_urls)}


def featured_tags(ids: Ids, site: str, names: Sequence[str]) -> Document:
    """Describe the hashtags a profile shows; `names` without `#`."""
    return collection(ids.tags(site), len(names), [describe_hashtag(ids, site, name) for name in names])


def _without_context(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if key != "@context"}
