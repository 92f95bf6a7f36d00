"""Replays real sites' feed histories, poll by poll, and counts what their followers would have seen.

The archive holds every version of each feed out of its site's history. A version is polled when it was
made; edits get the time they need to stand. Nothing is fetched: pages of vanished entries are only noted.
"""

import logging
import tarfile
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.tables import Table
from bridge.changes.keys import text_hash, weak_keys
from bridge.config import load_config
from bridge.errors import ShrunkenFeed, SourceError
from bridge.model import PostState
from bridge.poll.harvest import plan
from bridge.publish.commit_harvest import commit_harvest
from bridge.publish.drafts import render
from bridge.publish.edits import send_edit
from bridge.publish.posts import publish_now
from bridge.services import Services, open_services
from bridge.sources.feeds.feed import parse_feed
from bridge.store import edits, entries, holds, posts, sources
from bridge.store.sources import Source, SourceForUpdate

ARCHIVE = ROOT.parent / "shared" / "feeds" / "history.tar.xz"
CONFIG = """
base_url = "https://cafe.example"
[sites.cafe]
handle = "@cafe@cafe.example"
website = "https://cafe.example/"
name = "Café"
[[sites.cafe.sources]]
name = "blog"
feed = "https://cafe.example/feed.xml"
"""
HOUR = timedelta(hours=1)
QUICK = ("kvrocks-blog", "polymc-atom", "xadillax", "obundeturval")  # seconds each


@dataclass
class Replay:
    """What came of one site's history."""

    name: str
    polls: int = 0
    shrunken: int = 0  # versions that were believed an hour later only
    refused: int = 0  # versions that are no feed, or not this site's: nothing was concluded from them
    posts: int = 0
    updates: int = 0
    deletes: int = 0
    held: int = 0
    missing: int = 0  # entries whose page would be asked before anything is deleted
    duplicates: int = 0


_COLUMNS = (
    "site", "polls", "shrunken", "refused", "posts", "updates", "deletes", "held", "missing", "duplicates"
)  # fmt: skip
_NOTES = (
    "*Shrunken*: versions with less than half of the entries before, believed an hour later. "
    "*Refused*: versions that are no feed, from which nothing was concluded. *Held*: changes waiting for "
    "the owner at the end. *Missing*: entries whose page would be asked before anything is deleted. "
    "*Duplicates*: visible posts that say word for word what another one says, or one of the same day under "
    "another title.",
)


def measure(*, quick: bool = False) -> list[Table]:
    """Replay all histories; nothing when the archive is not at hand."""
    if not ARCHIVE.exists():
        return []
    logging.getLogger("bridge").setLevel(logging.ERROR)  # holds are counted here, not told one by one
    replays = replay_all(ARCHIVE, only=QUICK if quick else None)
    rows = [(one.name, *(str(getattr(one, column)) for column in _COLUMNS[1:])) for one in replays]
    goal = "no duplicates and no wrong deletes"
    return [Table("Real feed histories, replayed poll by poll", _COLUMNS, rows, goal, _NOTES)]


def replay_all(archive: Path, *, only: Collection[str] | None = None) -> Iterator[Replay]:
    """Unpack the archive into a folder that goes away again, and replay each site's history."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        for site in sorted(path for path in Path(folder).iterdir() if path.is_dir()):
            if only is not None and site.name not in only:
                continue
            with tempfile.TemporaryDirectory() as data:
                yield replay_history(site, Path(data))


def replay_history(site: Path, data: Path) -> Replay:
    """Replay the versions in one folder, named ``001-2014-09-17.xml`` and so on."""
    clock = _Clock()
    services = _open(data, clock)
    found = Replay(site.name)
    for version in sorted(path for path in site.iterdir() if path.suffix in (".xml", ".json")):
        clock.move_to(version.stem)
        found.polls += 1
        read = _poll(services, version)
        clock.now_is += HOUR
        if read is Read.SHRUNKEN:  # it is asked again, and is what it is by then
            found.shrunken += 1
            read = _poll(services, version)
            clock.now_is += HOUR
        found.refused += read is Read.REFUSED
        found.updates += _send_edits(services)
    _publish_due(services)
    _count(services, found)
    services.close()
    return found


class Read(Enum):
    """What became of a version."""

    TAKEN, SHRUNKEN, REFUSED = range(3)


class _Clock:
    """The moment a version was polled; it never goes back."""

    def __init__(self) -> None:
        self.now_is = datetime(2000, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now_is

    def move_to(self, stem: str) -> None:
        day = datetime.fromisoformat(stem.partition("-")[2][:10]).replace(tzinfo=UTC, hour=12)
        self.now_is = max(day, self.now_is + HOUR)


def _open(data: Path, clock: _Clock) -> Services:
    (data / "config.toml").write_text(CONFIG)
    return open_services(load_config(data / "config.toml", environ={}), now=clock)


def _poll(services: Services, version: Path) -> Read:
    """Poll one version, after what is scheduled by then went out."""
    now = services.now()
    _publish_due(services)
    with services.store.read() as tx:
        (source,) = sources.all_sources(tx)
    try:
        harvest = parse_feed(version.read_bytes(), url=source.location, now=now)
        drafted = render(services, source, plan(services, source, harvest, now=now), now=now)
    except ShrunkenFeed:
        with services.store.write() as tx:
            sources.settle(tx, source.id, replace(_settled(source, now), shrunk_at=now), now=now)
        return Read.SHRUNKEN
    except SourceError:
        return Read.REFUSED
    with services.store.write() as tx:
        commit_harvest(tx, services, source, drafted, now=now)
        good = replace(_settled(source, now), size=harvest.size, answered=True)
        sources.settle(tx, source.id, good, now=now)
    return Read.TAKEN


def _settled(source: Source, now: datetime) -> SourceForUpdate:
    return SourceForUpdate(due_at=now, interval=source.interval, failures=0)


def _publish_due(services: Services) -> None:
    """Send what is scheduled, each post when its time comes."""
    now = services.now()
    with services.store.write() as tx:
        for post in posts.scheduled(tx, now=now, limit=10_000):
            publish_now(tx, services, post, now=post.published_at)


def _send_edits(services: Services) -> int:
    now, sent = services.now(), 0
    with services.store.write() as tx:
        for due in edits.due(tx, now=now, limit=10_000):
            sent += due.is_news
            send_edit(tx, services, due, now=now)
    return sent


def _count(services: Services, found: Replay) -> None:
    with services.store.read() as tx:
        (source,) = sources.all_sources(tx)
        all_posts = posts.of_source(tx, source.id)
        stored = posts.stored_entries(tx, source.id)
        found.held = holds.count(tx)
    states = Counter(state for state, _ in stored)
    found.posts = states[PostState.PUBLISHED]
    found.deletes = states[PostState.DELETED]
    found.missing = sum(post.missing_since is not None for post in all_posts)
    shown = [entries.from_stored(entry) for state, entry in stored if state.is_public]
    texts = [text_hash(replace(entry, images=())) for entry in shown if entry.title]
    words = [key for entry in shown for key in weak_keys(entry) if key.startswith("words:")]
    found.duplicates = max(_repeats(texts), _repeats(words))


def _repeats(texts: Sequence[str]) -> int:
    return len(texts) - len(set(texts))
