"""Every document we publish, as plain dicts: what is made in the modules it gathers, and how it is written.

Shapes follow what the servers of the fediverse accept, which is less than the specification allows;
a field that is missing is missing on purpose.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bridge.activitypub.activities import (
    accept,
    accept_feature,
    create,
    delete,
    feature_authorization,
    quote_authorization,
    reject,
    update,
    update_actor,
)
from bridge.activitypub.collection import (
    OUTBOX_PAGE_SIZE,
    collection,
    featured,
    featured_tags,
    followers_collection,
    ordered_collection,
    ordered_collection_page,
    outbox,
    outbox_page,
)
from bridge.activitypub.content import compose_content, hashtag, link_html
from bridge.activitypub.objects import (
    ActorProfile,
    ArticleParts,
    NoteParts,
    actor,
    actor_tombstone,
    instance_actor,
    note,
    timestamp,
    tombstone,
    with_context,
    with_interactions,
)

__all__ = [
    "CONTENT_TYPE",
    "MAX_ACTIVITY_BYTES",
    "OUTBOX_PAGE_SIZE",
    "ActorProfile",
    "ArticleParts",
    "NoteParts",
    "accept",
    "accept_feature",
    "actor",
    "actor_tombstone",
    "collection",
    "compose_content",
    "create",
    "delete",
    "encode",
    "feature_authorization",
    "featured",
    "featured_tags",
    "followers_collection",
    "hashtag",
    "instance_actor",
    "link_html",
    "note",
    "ordered_collection",
    "ordered_collection_page",
    "outbox",
    "outbox_page",
    "quote_authorization",
    "reject",
    "timestamp",
    "tombstone",
    "update",
    "update_actor",
    "with_context",
    "with_interactions",
]

# Takahē refuses bodies over 50 KB, Misskey over 64 KB; all others take far more.
MAX_ACTIVITY_BYTES = 50_000
CONTENT_TYPE = "application/activity+json; charset=utf-8"  # as application/json most servers refuse it


def encode(document: Mapping[str, Any]) -> bytes:
    """Write a document as the compact JSON that is stored, signed and sent; see `MAX_ACTIVITY_BYTES`."""
    return orjson.dumps(document)
