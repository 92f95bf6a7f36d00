"""What a post shows of its pictures, after what was seen of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.activitypub.ids import Ids
from bridge.compose import MAX_IMAGES, PAGE, Checked, wanted_pictures
from bridge.model import Entry, Image, Problem
from bridge.services import Services
from bridge.store import Tx, pictures
from bridge.store.pictures import Viewed

MAX_PROBLEMS = 20
GOOD_FOR = timedelta(days=30)
BAD_FOR = timedelta(minutes=2)  # an owner who mends a picture and edits the post wants it seen
LOOKED_AFTER = timedelta(days=1)  # how long a post may wait for pictures that could not be seen
_REASON = "A server that cannot show a picture may drop the whole post."


@dataclass(frozen=True, slots=True)
class Pictured:
    """An entry and the pictures its post may show, best first. `is_sent`: servers are told of it now."""

    entry: Entry
    images: tuple[Image, ...]
    is_sent: bool = True


@dataclass(frozen=True, slots=True)
class Views:
    """What to show instead of each picture, `None` for nothing; and what the owner should hear about it."""

    pictures: Checked = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def recall_views(tx: Tx, services: Services, site: str, entry: Entry) -> Checked:
    """Return what is known of an entry's pictures, for those who cannot look; others stay as they are."""
    post = Pictured(entry, wanted_pictures(services, site, entry), is_sent=False)
    seen = {one.url: one for one in pictures.known(tx, {image.url for image in post.images})}
    return show([post], seen, services.ids).pictures


def is_fresh(seen: Viewed, now: datetime) -> bool:
    """Say whether a picture need not be looked at again."""
    lasts = GOOD_FOR if seen.error is None else BAD_FOR
    return seen.looked_at is not None and now - seen.looked_at < lasts


def missing(images: Sequence[Image], seen: Mapping[str, Viewed]) -> list[Image]:
    """Return the pictures of one post that are still to be looked at: the first, as many as it lacks."""
    good = sum(image.url in seen and seen[image.url].error is None for image in images)
    unseen = [image for image in images if image.url not in seen]
    return unseen[: max(MAX_IMAGES - good, 0)]


def show(posts: Sequence[Pictured], seen: Mapping[str, Viewed], ids: Ids) -> Views:
    """Decide what posts show, and tell what they do not; what is not sent keeps what nobody looked at."""
    shown: dict[str, Image | None] = {}
    for post in reversed(posts):  # what comes first has the last word
        late = {image.url for image in missing(post.images, seen)}
        for image in post.images:
            if post.is_sent or image.url not in late:
                shown[image.url] = _as_seen(image, seen.get(image.url), ids)
    return Views(shown, _problems(posts, seen))


def _as_seen(image: Image, seen: Viewed | None, ids: Ids) -> Image | None:
    if seen is None or seen.error is not None:
        return None
    return replace(
        image,
        url=ids.copy(seen.file) if seen.file else seen.address or image.url,
        alt=image.alt or seen.alt or "",
        media_type=seen.media_type,
        width=seen.width,
        height=seen.height,
        blurhash=seen.blurhash or "",
    )


def _problems(posts: Sequence[Pictured], seen: Mapping[str, Viewed]) -> tuple[Problem, ...]:
    found: dict[str, Problem] = {}
    for post in posts:
        for image, why in _left_out(post, seen):
            where = post.entry.link or post.entry.title or post.entry.guid or "an entry"
            what = "its page names" if image.media_type == PAGE else image.url
            found.setdefault(image.url, Problem(where, f"the picture {what} was left out: {why}. {_REASON}"))
    return tuple(found.values())[:MAX_PROBLEMS]


def _left_out(post: Pictured, seen: Mapping[str, Viewed]) -> Iterator[tuple[Image, str]]:
    """Yield (picture, why); not of counting pixels, which have no why, nor of those that are one too many."""
    for image in post.images:
        if image.url in seen and (why := seen[image.url].error):
            yield image, why
    if post.is_sent:
        for image in missing(post.images, seen):
            yield image, "there was no time to look at it"


# ── a second look ────────────────────────────────────────────────────────────────────────────────


def next_look(since: datetime, now: datetime) -> datetime | None:
    """Return when pictures that could not be seen are looked at again: when twice as much time has passed.

    `since` is when the post went out. After a day there are no more looks.
    """
    age = now - since
    return now + max(age, BAD_FOR) if age < LOOKED_AFTER else None


def shows_others(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Say whether one note shows other pictures than another, wherever they may be served from now.

    Only what was looked at can be told apart from what merely moved.
    """
    one, other = ([item.get("blurhash") for item in note.get("attachment", ())] for note in (before, after))
    return one != other and None not in (*one, *other)
