"""Replays real sites' feed histories, poll by poll, and counts what their followers would have seen.

The archive holds every version of each feed out of its site's history. A version is polled when it was
made; edits get the time they need to stand. Nothing is fetched: pages of vanished entries are only noted.
"""

import logging
import tarfile
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.tables import Table
from bridge import changes
from bridge.config import load_config
from bridge.drafting import commit_prepared, judge, render
from bridge.errors import SourceError
from bridge.model import PostState
from bridge.publish import send_edit
from bridge.services import Services, open_services
from bridge.sources.feed import parse_feed
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
    refused: int = 0  # versions that are no feed, or not this site's: nothing was concluded from them
    posts: int = 0
    updates: int = 0
    deletes: int = 0
    held: int = 0
    missing: int = 0  # entries whose page would be asked before anything is deleted
    duplicates: int = 0


_COLUMNS = ("site", "polls", "refused", "posts", "updates", "deletes", "held", "missing", "duplicates")
_NOTES = (
    "*Refused*: versions that are no feed, from which nothing was concluded. *Held*: changes waiting for "
    "the owner at the end. *Missing*: entries whose page would be asked before anything is deleted. "
    "*Duplicates*: visible posts that say word for word what another one says.",
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
        found.refused += not _poll(services, version)
        clock.now_is += HOUR
        found.updates += _send_edits(services)
    _count(services, found)
    services.close()
    return found


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


def _poll(services: Services, version: Path) -> bool:
    """Poll one version; `False` when it is refused as a whole."""
    now = services.now()
    with services.store.read() as tx:
        (source,) = sources.all_sources(tx)
    try:
        harvest = parse_feed(version.read_bytes(), url=source.location, now=now)
        prepared = render(services, source, judge(services, source, harvest, now=now), now=now)
    except SourceError:
        return False
    with services.store.write() as tx:
        commit_prepared(tx, services, source, prepared, now=now)
        sources.settle(tx, source.id, _settled(source, now), now=now)
    return True


def _settled(source: Source, now: datetime) -> SourceForUpdate:
    return SourceForUpdate(due_at=now, interval=source.interval, failures=0, answered=True)


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
    states = Counter(post.state for post in all_posts)
    found.posts = states[PostState.PUBLISHED]
    found.deletes = states[PostState.DELETED]
    found.missing = sum(post.missing_since is not None for post in all_posts)
    shown = [entries.from_stored(entry) for state, entry in stored if state in posts.VISIBLE]
    words = Counter(changes.text_hash(replace(entry, images=())) for entry in shown if entry.title)
    found.duplicates = sum(number - 1 for number in words.values())
