"""Sends again what did not arrive and is still true, at the owner's word: a post as it is now."""

from collections.abc import Collection
from datetime import datetime

from bridge.publish.news import create_of
from bridge.receive.incoming import post_of
from bridge.services import Services
from bridge.store import Tx, outgoing, posts


def send_again(
    tx: Tx,
    services: Services,
    *,
    ids: Collection[int] = (),
    object_uri: str | None = None,
    host: str | None = None,
    now: datetime,
) -> int:
    """Make due what is chosen by id, post or host, if it is still true; return how many deliveries are."""
    number = outgoing.retry(tx, ids=ids, object_uri=object_uri, host=host, now=now)
    for uri in outgoing.creates_to_begin(tx, now=now):
        where = post_of(services, uri)
        post = posts.find(tx, *where) if where else None
        pk = posts.row_of(tx, *where) if where else None
        if post is not None and pk is not None:
            outgoing.renew_creates(tx, create_of(services, post, pk), now=now)
    return number
