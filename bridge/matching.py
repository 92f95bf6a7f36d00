"""Finds out which entry is which post, whatever became of guids and addresses; pure.

Strong names (guid, address) are believed first, weak ones (path, title and day, text) only for a post that
no entry claims by a strong one: so a redesign, a move or a new generator is recognised, and two like-named
posts stay two.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.entrykeys import strong_keys, weak_keys
from bridge.model import Entry, PostState

_WEAK = ("path:", "title:", "text:", "slug:", "words:")  # the most trustworthy first
_CONTENT = ("title:", "text:", "words:")  # what speaks for a post beside its guid and address
_SAME_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Known:
    """A post as far as judging goes; `ref` is the caller's own handle for it.

    `here`: the source that was polled has the word on it. `held_hash`: of an edit that waits for the owner.
    `written_at`: the date its entry had when it was last read, needed of posts that are scheduled.
    """

    ref: int
    state: PostState
    content_hash: str
    text_hash: str = ""
    published_at: datetime | None = None
    generation: int = 1
    here: bool = True
    held_hash: str | None = None
    written_at: datetime | None = None


@dataclass
class Match:
    """Which entry is which post; entries are meant by their places."""

    entries: Sequence[Entry]
    known: Mapping[str, Known]
    shared: set[str]  # addresses of several entries, which name none of them
    posts: dict[int, Known] = field(default_factory=dict)
    twins: dict[int, int] = field(default_factory=dict)  # a copy → the entry it is a copy of
    taken: dict[int, int] = field(default_factory=dict)  # a post's ref → its entry

    def names(self, place: int) -> tuple[str, ...]:
        """Return what this entry, and nothing else, is called; its copies' guids and addresses included."""
        copies = [copy for copy, of in self.twins.items() if of == place]
        keys = (*all_keys(self.entries[place]), *(key for copy in copies for key in self._strong(copy)))
        return tuple(dict.fromkeys(key for key in keys if self._may_name(key, place)))

    def _strong(self, place: int) -> list[str]:
        return [key for key in strong_keys(self.entries[place]) if key not in self.shared]

    def _may_name(self, key: str, place: int) -> bool:
        holder, own = self.known.get(key), self.posts.get(place)
        if key in self.shared:
            return False
        return holder is None or holder.state is PostState.DELETED or (own and own.ref) == holder.ref

    def claim(self, place: int, post: Known | None) -> bool:
        """Let an entry have a post that no other has."""
        if post is None or post.ref in self.taken:
            return False
        self.posts[place] = post
        self.taken[post.ref] = place
        return True

    def unmatched(self) -> Iterator[int]:
        """Yield the entries that are neither a post's nor a copy."""
        for place in range(len(self.entries)):
            if place not in self.posts and place not in self.twins:
                yield place


def match_entries(entries: Sequence[Entry], known: Mapping[str, Known]) -> Match:
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
    weak = {place: weak_keys(entries[place]) for place in match.unmatched()}
    for kind in _WEAK:
        for place in list(match.unmatched()):
            any(match.claim(place, known.get(key)) for key in weak[place] if key.startswith(kind))
    return match


def all_keys(entry: Entry) -> tuple[str, ...]:
    """Return every name an entry may be found under again; the first is what a post's id is minted from."""
    return tuple(dict.fromkeys((*strong_keys(entry), *weak_keys(entry))))


def _shared_keys(entries: Sequence[Entry]) -> set[str]:
    """Return addresses that several entries with guids of their own share: they name none of them."""
    holders = Counter(key for entry in entries if entry.guid for key in set(strong_keys(entry)[1:]))
    return {key for key, number in holders.items() if number > 1}


def _set_copies_aside(match: Match) -> None:
    """Find entries that have another's guid or address."""
    owners: dict[str, int] = {}
    for place, entry in enumerate(match.entries):
        keys = [key for key in strong_keys(entry) if key not in match.shared] or strong_keys(entry)[:1]
        first = next((owners[key] for key in keys if key in owners), None)
        if first is not None:
            match.twins[place] = first
        for key in keys:
            owners.setdefault(key, place if first is None else first)


def _candidates(match: Match, place: int) -> list[tuple[Known, int]]:
    """Return the posts that guid and address lead to, and how many names speak for each; the most first."""
    entry, known = match.entries[place], match.known
    strong = [key for key in strong_keys(entry) if key not in match.shared]
    content = [key for key in weak_keys(entry) if key.startswith(_CONTENT)]
    votes = Counter(known[key].ref for key in {*strong, *content} if key in known)
    found = {known[key].ref: known[key] for key in strong if key in known}
    return sorted(((post, votes[ref]) for ref, post in found.items()), key=lambda pair: pair[1], reverse=True)


def _set_likenesses_aside(match: Match) -> None:
    """Find entries that only say again what another one says: word for word, on the same day.

    So does one whose guid or address leads to a post that has its entry, under the very same title.
    """
    speakers: dict[str, list[int]] = defaultdict(list)
    for place in match.posts:
        _listen(speakers, match.entries[place], place)
    for place in list(match.unmatched()):
        entry = match.entries[place]
        alike = [*(one for key in _texts(entry) for one in speakers[key]), *_namesakes(match, place)]
        first = next((one for one in alike if _same_day(match.entries[one], entry)), None)
        if first is None:
            _listen(speakers, entry, place)
        else:
            match.twins[place] = first


def _listen(speakers: dict[str, list[int]], entry: Entry, place: int) -> None:
    for key in _texts(entry):
        speakers[key].append(place)


def _texts(entry: Entry) -> list[str]:
    return [key for key in weak_keys(entry) if key.startswith("text:")]


def _namesakes(match: Match, place: int) -> list[int]:
    title = match.entries[place].title
    holders = [match.taken[post.ref] for post, _ in _candidates(match, place)]
    return [holder for holder in holders if title and match.entries[holder].title == title]


def _same_day(one: Entry, other: Entry) -> bool:
    if one.published_at is None or other.published_at is None:
        return True
    return abs(one.published_at - other.published_at) < _SAME_DAY
