"""Finds out which entry is which post, whatever became of guids and addresses; pure.

Strong names (guid, address) are believed first, weak ones (path, title and day, text) only for a post that
no entry claims by a strong one: so a redesign, a move or a new generator is recognised, and two like-named
posts stay two.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from bridge.changes.keys import strong_keys, volatile_lines, weak_keys
from bridge.model import Entry, KnownPost

_WEAK = ("path:", "title:", "text:", "slug:", "words:")  # the most trustworthy first
_CONTENT = ("title:", "text:", "words:")  # what speaks for a post beside its guid and address
_SAME_DAY = timedelta(days=1)


@dataclass
class Match:
    """Which entry is which post; entries are meant by their places."""

    entries: Sequence[Entry]
    known: Mapping[str, KnownPost]
    shared: set[str]  # addresses of several entries, which name none of them
    posts: dict[int, KnownPost] = field(default_factory=dict)
    twins: dict[int, int] = field(default_factory=dict)  # a copy → the entry it is a copy of
    taken: dict[int, int] = field(default_factory=dict)  # a post's row → its entry
    _copies: dict[int, list[int]] = field(default_factory=dict)
    _strong: list[tuple[str, ...]] = field(init=False)
    _weak: list[tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._strong = [strong_keys(entry) for entry in self.entries]
        self._weak = [weak_keys(entry) for entry in self.entries]  # which reads every text: once

    @cached_property
    def noise(self) -> frozenset[str]:
        """Return the lines of all these entries that nobody wrote."""
        return volatile_lines(self.entries)

    def names(self, place: int) -> tuple[str, ...]:
        """Return what this entry, and nothing else, is called; its copies' guids and addresses included."""
        copies = (key for copy in self._copies.get(place, ()) for key in self.strong(copy))
        keys = (*self._strong[place], *self._weak[place], *copies)
        return tuple(dict.fromkeys(key for key in keys if self._may_name(key, place)))

    def strong(self, place: int) -> list[str]:
        """Return the guid and address of an entry, as far as they name it and no other."""
        return [key for key in self._strong[place] if key not in self.shared]

    def weak(self, place: int, *kinds: str) -> list[str]:
        """Return what else an entry may be recognised by."""
        return [key for key in self._weak[place] if key.startswith(kinds)]

    def _may_name(self, key: str, place: int) -> bool:
        holder, own = self.known.get(key), self.posts.get(place)
        if key in self.shared:
            return False
        return holder is None or holder.state.may_return or (own and own.pk) == holder.pk

    def claim(self, place: int, post: KnownPost | None) -> bool:
        """Let an entry have a post that no other has."""
        if post is None or post.pk in self.taken:
            return False
        self.posts[place] = post
        self.taken[post.pk] = place
        return True

    def set_aside(self, place: int, first: int) -> None:
        """Note that an entry is a copy of another one."""
        self.twins[place] = first
        self._copies.setdefault(first, []).append(place)

    def unmatched(self) -> Iterator[int]:
        """Yield the entries that are neither a post's nor a copy."""
        for place in range(len(self.entries)):
            if place not in self.posts and place not in self.twins:
                yield place


def match_entries(entries: Sequence[Entry], known: Mapping[str, KnownPost]) -> Match:
    """Find each entry's post among those its keys lead to."""
    match = Match(entries, known, _shared_keys(entries))
    _set_copies_aside(match)
    # Names that agree with one another or with the words come first: generators that number guids by
    # place give every entry its neighbour's at each new post.
    for least in (2, 1):
        for place in list(match.unmatched()):
            for post, agreeing in _candidates(match, place):
                if agreeing >= least and match.claim(place, post):
                    break
    _set_likenesses_aside(match)
    for kind in _WEAK:
        for place in list(match.unmatched()):
            any(match.claim(place, known.get(key)) for key in match.weak(place, kind))
    return match


def _shared_keys(entries: Sequence[Entry]) -> set[str]:
    """Return addresses that several entries with guids of their own share: they name none of them."""
    holders = Counter(key for entry in entries if entry.guid for key in set(strong_keys(entry)[1:]))
    return {key for key, number in holders.items() if number > 1}


def _set_copies_aside(match: Match) -> None:
    """Find entries that have another's guid or address."""
    owners: dict[str, int] = {}
    for place, entry in enumerate(match.entries):
        keys = match.strong(place) or strong_keys(entry)[:1]
        first = next((owners[key] for key in keys if key in owners), None)
        if first is not None:
            match.set_aside(place, first)
        for key in keys:
            owners.setdefault(key, place if first is None else first)


def _candidates(match: Match, place: int) -> list[tuple[KnownPost, int]]:
    """Return the posts that guid and address lead to, and how many names speak for each; the most first."""
    known, strong = match.known, match.strong(place)
    votes = Counter(known[key].pk for key in (*strong, *match.weak(place, *_CONTENT)) if key in known)
    found = {known[key].pk: known[key] for key in strong if key in known}
    return sorted(((post, votes[pk]) for pk, post in found.items()), key=lambda pair: pair[1], reverse=True)


def _set_likenesses_aside(match: Match) -> None:
    """Find entries that only say again what another one says: word for word, on the same day.

    So does one whose guid or address leads to a post that has its entry, under the very same title.
    """
    speakers: dict[str, list[int]] = defaultdict(list)
    for place in match.posts:
        _listen(speakers, match, place)
    for place in list(match.unmatched()):
        said = (one for key in match.weak(place, "text:") for one in speakers[key])
        entry = match.entries[place]
        alike = (one for one in (*said, *_namesakes(match, place)) if _same_day(match.entries[one], entry))
        first = next(alike, None)
        if first is None:
            _listen(speakers, match, place)
        else:
            match.set_aside(place, first)


def _listen(speakers: dict[str, list[int]], match: Match, place: int) -> None:
    for key in match.weak(place, "text:"):
        speakers[key].append(place)


def _namesakes(match: Match, place: int) -> list[int]:
    title = match.entries[place].title
    holders = [match.taken[post.pk] for post, _ in _candidates(match, place)]
    return [holder for holder in holders if title and match.entries[holder].title == title]


def _same_day(one: Entry, other: Entry) -> bool:
    if one.published_at is None or other.published_at is None:
        return True
    return abs(one.published_at - other.published_at) < _SAME_DAY
