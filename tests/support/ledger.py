"""A site's life and what its followers see of it: feed histories played through `changes.judge`.

A `Site` is what an owner does to a feed; a `Ledger` keeps what the store would keep. Every piece of
writing carries its own number, so that a test can tell when followers would see one twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from bridge.changes.change import Changes, Policy
from bridge.changes.judge import judge
from bridge.model import Entry, KnownPost, PostState

START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
WORDS = (
    "the roof is dry and the ovens are on again, so come in and warm your hands at a bowl of soup, "
    "bring the children and the dog, and tell us which of the cakes should stay on the board"
)


def writing(number: int, at: datetime, **changes: object) -> Entry:
    """Return piece of writing number `number` as a feed would have it."""
    slug = f"story-{number}"
    entry = Entry(
        guid=f"https://cafe.example/{slug}/",
        link=f"https://cafe.example/{slug}/",
        title=f"Story {number}",
        html=f"<p>Story number {number}: {WORDS}</p>",
        published_at=at,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def number_of(entry: Entry) -> int:
    """Return which piece of writing an entry is, however it was mangled."""
    return int(entry.html.partition("Story number ")[2].partition(":")[0])


@dataclass
class Site:
    """A feed and the things owners do to it; newest first."""

    now: datetime = START
    entries: list[Entry] = field(default_factory=list)
    written: int = 0

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            self.written += 1
            self.now += timedelta(minutes=10)
            self.entries.insert(0, writing(self.written, self.now))

    def change(self, mangle: Callable[[Entry], Entry]) -> None:
        self.entries = [mangle(entry) for entry in self.entries]


@dataclass
class Ledger:
    """What is known after some polls, and what followers were told."""

    policy: Policy = field(default_factory=Policy)
    known: dict[str, KnownPost] = field(default_factory=dict)
    posts: dict[int, KnownPost] = field(default_factory=dict)
    writings: dict[int, int] = field(default_factory=dict)  # post → which piece of writing
    published: Counter[int] = field(default_factory=Counter)
    updates: Counter[int] = field(default_factory=Counter)
    deleted: Counter[int] = field(default_factory=Counter)
    held: list[str] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)  # posts whose pages would be asked
    polls: int = 0

    def poll(self, entries: Sequence[Entry], now: datetime) -> Changes:
        """Judge a harvest and keep what the store would."""
        found = judge(
            entries,
            self.known,
            ours=list(self.posts.values()),
            policy=self.policy,
            baseline=self.polls == 0,
            now=now,
        )
        self.polls += 1
        for one in found.created:
            ref = len(self.posts) + 1
            self.writings[ref] = number_of(one.entry)
            hashes = one.content_hash, one.text_hash
            post = KnownPost(ref, one.state, *hashes, one.published_at, one.generation)
            self._keep(ref, one.keys, post, anew=True)
            if one.state is PostState.PUBLISHED:
                self.published[self.writings[ref]] += 1
            if one.held:
                self.held.append(f"new: {one.held}")
        for one in found.edited:
            post = self.posts[one.post.pk]
            if one.held:
                self.held.append(f"edit: {one.held}")
                self._keep(one.post.pk, (), replace(post, held_hash=one.content_hash))
                continue
            kept = replace(post, content_hash=one.content_hash, text_hash=one.text_hash, held_hash=None)
            self._keep(one.post.pk, one.keys, kept)
            if not one.quiet and post.state is PostState.PUBLISHED:
                self.updates[self.writings[one.post.pk]] += 1
        for ref, keys in found.same:
            self._keep(ref, keys, self.posts[ref])
        for ref in found.taken_back:
            self._keep(ref, (), replace(self.posts[ref], held_hash=None))
        for gone in found.gone:
            if gone.held:
                self.held.append(f"delete: {gone.held}")
            elif gone.certain:
                self._keep(gone.post.pk, (), replace(self.posts[gone.post.pk], state=PostState.DELETED))
                self.deleted[self.writings[gone.post.pk]] += 1
            else:
                self.asked.add(self.writings[gone.post.pk])
        return found

    def _keep(self, ref: int, keys: Iterable[str], post: KnownPost, *, anew: bool = False) -> None:
        self.posts[ref] = post
        for key, holder in list(self.known.items()):
            if holder.pk == ref:
                self.known[key] = post
        for key in keys:
            holder = self.known.get(key)
            if holder is None or (anew and holder.state is PostState.DELETED):
                self.known[key] = post


def to_host(host: str, scheme: str = "https") -> Callable[[Entry], Entry]:
    """Return what moves an entry, guid and all, to another host or scheme."""

    def move(url: str | None) -> str | None:
        return urlsplit(url)._replace(scheme=scheme, netloc=host).geturl() if url and "://" in url else url

    return lambda entry: replace(entry, guid=move(entry.guid), link=move(entry.link))
