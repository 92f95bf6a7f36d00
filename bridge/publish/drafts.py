"""Drafts what changed: an entry becomes a post with its note, ready to be committed. Nothing is stored."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bridge.activitypub import documents
from bridge.activitypub.ids import mint_post_id
from bridge.changes.change import Created, Edited, Gone
from bridge.compose import Checked, People, compose_note, lacks_people, lacks_pictures
from bridge.look.shown import next_look
from bridge.markup.html import plain_text
from bridge.model import Entry, Post, PostState, Problem
from bridge.services import Services
from bridge.store import aside
from bridge.store.sources import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A change with its note rendered, ready to be committed.

    `is_short`: pictures are missing from it; `lacks_people`: someone it mentions could not be asked about.
    """

    change: Created | Edited
    post: Post
    is_short: bool = False
    lacks_people: bool = False

    def next_look(self, since: datetime, now: datetime) -> datetime | None:
        """Return when what is missing is looked for again."""
        return next_look(since, now) if self.is_short or self.lacks_people else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a harvest changes, beside the posts it changes; once it is rendered, with a draft for each.

    `renamed` are (row, what it is called now); `moot` are holds that nobody needs to decide any more, as
    (row, kind); `problems`: what could not be rendered.
    """

    created: tuple[Created, ...] = ()
    edited: tuple[Edited, ...] = ()
    held_edits: tuple[Edited, ...] = ()
    gone: tuple[Gone, ...] = ()
    seen: tuple[int, ...] = ()
    renamed: tuple[tuple[int, tuple[str, ...]], ...] = ()
    moot: tuple[tuple[int, str], ...] = ()
    drafts: tuple[Draft, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def is_change(self) -> bool:
        """Say whether the source has anything new to say."""
        return bool(self.created or self.edited or self.held_edits or self.gone)


# ── a whole harvest ───────────────────────────────────────────────────────────────────────────────


def render(
    services: Services,
    source: Source,
    plan: Plan,
    pictures: Checked | None = None,
    people: People | None = None,
    *,
    now: datetime,
) -> Plan:
    """Return a plan with its drafts; `pictures` and `people`: see `compose_note`.

    An entry that cannot be rendered costs that entry: it is named, and tried again at the next poll.
    """
    site, known = source.site, (pictures, people)
    to_render: list[tuple[Created | Edited, Callable[[], Draft]]] = [
        *((change, partial(draft_created, services, site, change, *known)) for change in plan.created),
        *((change, partial(draft_edited, services, site, change, *known, now=now)) for change in plan.edited),
    ]
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for change, draft in to_render:
        try:
            drafts.append(draft())
        except Exception as error:
            problems.append(_not_rendered(source, change.entry, error))
    return replace(plan, drafts=tuple(drafts), problems=tuple(problems))


def _not_rendered(source: Source, entry: Entry, error: Exception) -> Problem:
    log.error("%s: %s cannot be rendered", source.location, name_of(entry), exc_info=error)
    return faulty(name_of(entry), "rendered", error)


def name_of(entry: Entry) -> str:
    """Name an entry in a sentence."""
    return entry.guid or entry.link or f"“{entry.title}”"


def faulty(where: str, what: str, error: Exception) -> Problem:
    """Say that a post could not be rendered or stored, and is left out."""
    why = f"cannot be {what}, and is left out ({aside.explained(error)})"
    return Problem(where, f"{why[:280]}. Please report it")


# ── one post ──────────────────────────────────────────────────────────────────────────────────────


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
    pictures: Checked | None = None,
    people: People | None = None,
    *,
    now: datetime,
) -> Draft:
    """Render an edited entry; its post keeps its id and the moment it was published."""
    known = change.post
    unsent = known.state.is_waiting
    published_at = change.due_at or known.published_at or now
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
    return _completed(services, Draft(change, post), pictures, people)


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


_MAX_TITLE = 80  # characters that logs and lists show


def describe(post: Post) -> str:
    """Return a post's title, or else its first words, in one line, for logs and lists."""
    lines = plain_text(str(post.note.get("content", ""))).split("\n")
    words = str(post.note.get("name") or next(filter(str.strip, lines), "")) or post.page_url or post.id
    return words if len(words) <= _MAX_TITLE else f"{words[: _MAX_TITLE - 1]}…"
