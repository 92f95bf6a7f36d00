"""Publishes what waited for its time: posts whose date has come, edits that have stood long enough."""

from datetime import datetime

from bridge.errors import StoreUnavailable
from bridge.model import Post, PostState
from bridge.publish.edits import send_edit
from bridge.publish.posts import publish_now
from bridge.services import Services
from bridge.store import aside, edits, posts


def publish_due(services: Services) -> int:
    """Publish what is due, each in its own right; return how many that was."""
    now = services.now()
    with services.store.read() as tx:
        due_posts, any_edits = posts.scheduled(tx, now=now, but=services.paused), edits.any_due(tx, now=now)
    for post in due_posts:
        _publish(services, post, now=now)
    return len(due_posts) + (_send_edits(services, now=now) if any_edits else 0)


def _publish(services: Services, post: Post, *, now: datetime) -> None:
    """Publish a post whose date has come; one that cannot be costs nobody else's."""
    try:
        with services.store.write() as tx:
            current = posts.find(tx, post.site, post.id)
            if current is not None and current.state is PostState.SCHEDULED:
                publish_now(tx, services, current, now=now)
    except StoreUnavailable:
        raise
    except Exception as error:
        with services.store.read() as tx:
            pk = posts.row_of(tx, post.site, post.id)
        aside.failed(services.store, posts.DUE, pk, error, now=now, put_off=False)


def _send_edits(services: Services, *, now: datetime) -> int:
    with services.store.write() as tx:
        due = edits.due(tx, now=now)
    aside.settle_each(
        services.store,
        due,
        lambda tx, edit: send_edit(tx, services, edit, now=now),
        due=edits.DUE,
        key=lambda edit: edit.pk,
        now=now,
    )
    return len(due)
