"""Publishes: a judged change → post, activity and fan-out, in one transaction."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id, mint_post_id
from bridge.addresses import host_of
from bridge.changes.judge import Created, Edited, Reason, publishing_moment, update_due_at
from bridge.compose import Checked, People, compose_note, lacks_people, lacks_pictures, mentioned
from bridge.look.shown import next_look, shows_others
from bridge.markup.html import plain_text
from bridge.model import DropCause, Entry, Post, PostState
from bridge.publish.profile import actor_document, profile_hash
from bridge.services import Services
from bridge.store import Tx, edits, entries, holds, identity, looks, outgoing, posts, remote
from bridge.store.edits import DueEdit
from bridge.store.holds import NewHold
from bridge.store.outgoing import NewActivity
from bridge.store.posts import KnownPost, NewPost

log = logging.getLogger(__name__)

MOST_PICTURE_UPDATES = 3  # of one post, over a picture alone


@dataclass(frozen=True, slots=True)
class Draft:
    """A change with its note rendered, ready to be committed.

    `is_short`: pictures are missing from it; `lacks_people`: someone it mentions could not be asked about.
    """

    change: Created | Edited
    post: Post
    known: KnownPost | None = None
    is_short: bool = False
    lacks_people: bool = False

    def next_look(self, since: datetime, now: datetime) -> datetime | None:
        """Return when what is missing is looked for again."""
        return next_look(since, now) if self.is_short or self.lacks_people else None


# ── rendering: no database ────────────────────────────────────────────────────────────────────────


def draft_created(
    services: Services,
    site: str,
    change: Created,
    pictures: Checked | None = None,
    people: People | None = None,
) -> Draft:
    """Render an entry nobody has seen before, or the next generation of one that was deleted."""
    published_at = change.published_at
    # What was there before us is public at once: its address hides nothing.
    id_secret, was_there = services.id_secret, change.state is PostState.BASELINE
    secret = id_secret.for_shown(site, published_at) if was_there else id_secret.value
    post_id = mint_post_id(site, change.keys[0], change.generation, secret=secret)
    post = Post(
        site=site,
        id=post_id,
        state=change.state,
        page_url=change.entry.link,
        note=compose_note(
            services,
            site,
            post_id,
            change.entry,
            published_at=published_at,
            pictures=pictures,
            mentions=people.known if people else None,
        ),
        content_hash=change.content_hash,
        published_at=published_at,
    )
    return _completed(services, Draft(change, post), pictures, people)


def draft_edited(
    services: Services,
    site: str,
    change: Edited,
    known: KnownPost,
    pictures: Checked | None = None,
    people: People | None = None,
    *,
    now: datetime,
) -> Draft:
    """Render an edited entry; its post keeps its id and the moment it was published."""
    unsent = known.state.is_waiting
    published_at = change.due_at or known.published_at
    is_news = not unsent and not change.quiet
    updated_at = _later(known.updated_at or published_at, now) if is_news else known.updated_at
    post = Post(
        site=site,
        id=known.id,
        state=known.state,
        page_url=change.entry.link,
        note=compose_note(
            services,
            site,
            known.id,
            change.entry,
            published_at=published_at,
            updated_at=updated_at,
            pictures=pictures,
            mentions=people.known if people else None,
        ),
        content_hash=change.content_hash,
        published_at=published_at,
        updated_at=updated_at,
    )
    return _completed(services, Draft(change, post, known), pictures, people)


def _completed(services: Services, draft: Draft, pictures: Checked | None, people: People | None) -> Draft:
    where = (services, draft.post.site, draft.change.entry)
    is_told = draft.post.state is not PostState.BASELINE  # of what is old nobody is to be told
    lacks = is_told and lacks_people(*where, people)
    return replace(draft, is_short=lacks_pictures(*where, pictures or {}), lacks_people=lacks)


def as_news(post: Post, *, now: datetime) -> Post:
    """Stamp a post as edited now."""
    updated_at = _later(post.updated_at or post.published_at, now)
    return replace(
        post, updated_at=updated_at, note={**post.note, "updated": documents.timestamp(updated_at)}
    )


def _later(before: datetime, now: datetime) -> datetime:
    """Return an edit's `updated`: later than before, in whole seconds, as Mastodon ignores any other edit."""
    return max(now, before + timedelta(seconds=1))


def describe(post: Post) -> str:
    """Return a post's text in one line, for logs and lists."""
    return plain_text(str(post.note.get("content", ""))).replace("\n", " ")[:80]


# ── committing: one transaction ───────────────────────────────────────────────────────────────────


def commit(
    tx: Tx,
    services: Services,
    draft: Draft,
    source_id: int,
    *,
    pictures_are_news: bool = False,
    now: datetime,
) -> int:
    """Store a draft with its activity and deliveries; return how many deliveries it made.

    `pictures_are_news`: followers are told of an edit that only exchanges a picture.
    """
    if isinstance(draft.change, Created):
        return _commit_created(tx, services, draft, draft.change, source_id, now=now)
    _commit_edited(tx, services, draft, draft.change, pictures_are_news=pictures_are_news, now=now)
    return 0


def _commit_created(
    tx: Tx, services: Services, draft: Draft, change: Created, source_id: int, *, now: datetime
) -> int:
    post = draft.post
    new = NewPost(
        post=post,
        generation=change.generation,
        identity=change.keys[0],
        keys=change.keys,
        source_id=source_id,
        entry=entries.to_stored(change.entry),
        text_hash=change.text_hash,
        pinned=change.entry.controls.pinned,
    )
    pk = posts.add(tx, new, now=now)
    if pk is None:
        return 0  # another source of the site brought the same entry first
    looks.plan(tx, pk, draft.next_look(now, now))
    if post.state is PostState.HELD:
        reason = change.held or Reason.ASKED
        holds.add(tx, NewHold(post.site, source_id, pk, holds.NEW, reason), now=now)
        return 0
    identity.touch(tx)
    if post.state is PostState.SCHEDULED:
        log.info("Scheduled for %s: %s", f"{post.published_at:%d %b %Y %H:%M} UTC", describe(post))
        return 0
    return _announce(tx, services, post, pk, now=now)


def _announce(tx: Tx, services: Services, post: Post, pk: int, *, now: datetime) -> int:
    """Store a post's Create, and send it unless the post was there before us."""
    new = create_of(services, post, pk)
    activity_pk = outgoing.add_activity(tx, new, now=now)
    if post.state is not PostState.PUBLISHED:
        return 0
    edits.was_sent(tx, pk)
    sent = outgoing.fan_out(tx, activity_pk, new, now=now)
    sent += _tell_mentioned(tx, activity_pk, new, post, now=now)
    log.info("Published “%s” on its way to %s", describe(post), _inboxes(sent))
    return sent


def _commit_edited(
    tx: Tx, services: Services, draft: Draft, change: Edited, *, pictures_are_news: bool, now: datetime
) -> None:
    """Serve the new content at once; followers are told when it has stood for a while."""
    known, post = draft.known, draft.post
    assert known is not None
    shows_news = change.quiet and pictures_are_news and _shows_news(tx, draft, known)
    if shows_news:
        post = as_news(post, now=now)
    pinned = change.entry.controls.pinned
    stored = entries.to_stored(change.entry)
    if change.anew:
        edits.reads_now(tx, known.pk, change.text_hash)
    posts.revise(tx, known.pk, post, stored, text_hash=change.text_hash, pinned=pinned, now=now)
    posts.name(tx, post.site, known.pk, change.keys)
    looks.plan(tx, known.pk, draft.next_look(now, now))
    holds.drop(tx, known.pk, holds.EDIT, now=now)
    identity.touch(tx)
    if shows_news:
        edits.forget_sent(tx, known.pk)
    if shows_news or not change.quiet:
        plan_update(tx, services, post, known.pk, now=now)
    elif _is_told_about(tx, services, post):
        outgoing.merge_into_create(tx, create_of(services, post, known.pk), now=now)


def _shows_news(tx: Tx, draft: Draft, known: KnownPost) -> bool:
    """Say whether a picture was exchanged, and not by a site that does so at every turn."""
    before = posts.find(tx, draft.post.site, draft.post.id)
    if before is None or draft.is_short or not shows_others(before.note, draft.post.note):
        return False
    sent, _ = edits.history(tx, known.pk)
    return sent < MOST_PICTURE_UPDATES


def plan_update(tx: Tx, services: Services, post: Post, pk: int, *, now: datetime) -> None:
    """Have followers told of a post as it is now: by its Create if that waits, else once it has stood."""
    if not _is_told_about(tx, services, post):
        return
    returns = edits.said_before(tx, pk, post.note)
    outgoing.merge_into_create(tx, create_of(services, post, pk), now=now)
    sent, sent_at = edits.history(tx, pk)
    stands = services.config.polling.edit_delay
    edits.plan(tx, pk, update_due_at(now, sent_at, sent, stands=stands, returns=returns))


def _is_told_about(tx: Tx, services: Services, post: Post) -> bool:
    """Say whether followers' servers have a post: it was sent, or it is pinned and they fetched it."""
    if post.state is not PostState.BASELINE:
        return post.state is PostState.PUBLISHED
    pinned = posts.featured(tx, post.site, limit=services.site(post.site).pinned)
    return any(one.id == post.id for one in pinned)


def send_edit(tx: Tx, services: Services, due: DueEdit, *, now: datetime) -> int:
    """Tell followers about an edit that has stood, unless it was taken back meanwhile."""
    if not due.is_news or not _is_told_about(tx, services, due.post):
        edits.plan(tx, due.pk, None)
        return 0
    new = _update(services, due.post, due.pk, now=now)
    outgoing.supersede(tx, new.object_uri, ["Update"], "superseded by a later edit", now=now)
    activity_pk = outgoing.add_activity(tx, new, now=now)
    number = outgoing.fan_out(tx, activity_pk, new, now=now)
    number += _tell_mentioned(tx, activity_pk, new, due.post, now=now)
    edits.sent(tx, due.pk, now=now)
    log.info("Edited “%s”: an Update on its way to %s", describe(due.post), _inboxes(number))
    return number


def publish_now(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Send a post whose date has come, or that the owner wants sent; return how many deliveries it made."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    dated = Entry(guid=None, link=None, published_at=post.published_at)
    published_at = publishing_moment(dated, now)
    note = {**post.note, "published": documents.timestamp(published_at)}
    due = replace(post, state=PostState.PUBLISHED, published_at=published_at, note=note)
    posts.release(tx, pk, due)
    looks.plan(tx, pk, next_look(now, now))
    holds.drop(tx, pk, holds.NEW, now=now)
    identity.touch(tx)
    return _announce(tx, services, due, pk, now=now)


def show(tx: Tx, services: Services, post: Post, *, now: datetime) -> None:
    """Show a post that was held among what was there before us, under its own date; nobody is sent it."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    published_at = posts.entry_of(tx, post).published_at or post.published_at
    note = {**post.note, "published": documents.timestamp(published_at)}
    shown = replace(post, state=PostState.BASELINE, published_at=published_at, note=note)
    posts.release(tx, pk, shown)
    identity.touch(tx)
    _announce(tx, services, shown, pk, now=now)


def resend(tx: Tx, services: Services, post: Post, *, now: datetime) -> int:
    """Send a published post again to everyone who follows now; servers that have it know it by its id."""
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    return _announce(tx, services, post, pk, now=now)


def delete_post(
    tx: Tx, services: Services, post: Post, *, state: PostState = PostState.DELETED, now: datetime
) -> int:
    """Make a post a tombstone and tell everyone who may have it; return how many deliveries that made.

    `state` is `WITHDRAWN` when it is the owner's wish, whatever the source says.
    """
    pk = posts.row_of(tx, post.site, post.id)
    assert pk is not None
    was_told_about = _is_told_about(tx, services, post)
    posts.bury(tx, pk, state=state, now=now)
    for kind in (holds.NEW, holds.EDIT, holds.DELETE):
        holds.drop(tx, pk, kind, now=now)
    identity.touch(tx)
    if not was_told_about:
        return 0
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Delete", object_uri)
    document = activities.delete(services.ids, post.site, post.id, activity_id=activity_id)
    new = _activity(post.site, document, object_uri, pk)
    unsent = outgoing.unsent_inboxes(tx, object_uri)
    told, why = ("Create", "Update", *outgoing.PINNING), "deleted before it was delivered"
    outgoing.supersede(tx, object_uri, told, why, cause=DropCause.DELETED, now=now)
    return outgoing.fan_out(tx, outgoing.add_activity(tx, new, now=now), new, now=now, leave_out=unsent)


def announce_profile(tx: Tx, services: Services, site: str, *, now: datetime) -> bool:
    """Tell followers when the actor changed since they were last told; say whether it had."""
    told, _, _ = identity.profile(tx, site)
    current = profile_hash(services, site)
    if told == current:
        return False
    identity.set_profile(tx, site, current, now=now)
    if told is None:
        return False
    actor_uri = services.ids.actor(site)
    activity_id = mint_activity_id(site, "Update", actor_uri, documents.timestamp(now))
    actor = actor_document(tx, services, site)
    document = activities.update_actor(services.ids, site, actor, activity_id=activity_id, at=now)
    new = _activity(site, document, actor_uri, None)
    outgoing.supersede(tx, actor_uri, ["Update"], "superseded by a later profile", now=now)
    outgoing.fan_out(tx, outgoing.add_activity(tx, new, now=now), new, now=now)
    return True


def _tell_mentioned(tx: Tx, activity_pk: int, new: NewActivity, post: Post, *, now: datetime) -> int:
    """Queue a post's news for everyone it mentions, followers or not; return how many deliveries it made."""
    whom = sorted(mentioned(post.note))
    actors = [cached[0] for actor_id in whom if (cached := remote.actor(tx, actor_id))]
    inboxes = {actor.shared_inbox or actor.inbox for actor in actors}
    return sum(outgoing.deliver_to(tx, activity_pk, new, inbox, host_of(inbox), now=now) for inbox in inboxes)


def _inboxes(number: int) -> str:
    return f"{number} inbox" if number == 1 else f"{number} inboxes"


def create_of(services: Services, post: Post, pk: int) -> NewActivity:
    """Return a post's Create as it would be sent now."""
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Create", object_uri)
    document = activities.create(services.ids, post.site, post.note, activity_id=activity_id)
    return _activity(post.site, document, object_uri, pk)


def _update(services: Services, post: Post, pk: int, *, now: datetime) -> NewActivity:
    object_uri = services.ids.post(post.site, post.id)
    activity_id = mint_activity_id(post.site, "Update", object_uri, f"{post.updated_at} {post.content_hash}")
    document = activities.update(services.ids, post.site, post.note, activity_id=activity_id, at=now)
    return _activity(post.site, document, object_uri, pk)


def _activity(site: str, document: Mapping[str, Any], object_uri: str, post_pk: int | None) -> NewActivity:
    return NewActivity(
        site=site,
        uri=document["id"],
        type=document["type"],
        object_uri=object_uri,
        body=documents.encode(document),
        post_pk=post_pk,
    )
