"""A lively year: how large the database is at its end, when house is kept as it is at work."""

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import seed
from benchmarks.postgres import POSTGRES, new_database
from benchmarks.seed import PEM, bulk
from benchmarks.subject import SITE, new_subject
from benchmarks.tables import Table
from bridge.services import Services
from bridge.store import schema
from bridge.worker.housekeeping import keep_house

GOAL = "at most 200 MB after 730,000 likes"
_POSTS, _FANS = 500, 3_000


def measure(*, quick: bool) -> list[Table]:
    """Live through a year, on SQLite and, where there is one, on PostgreSQL."""
    days, likes = (120, 50) if quick else (365, 2_000)
    rows = [_row("SQLite", None, days, likes)]
    if server := os.environ.get(POSTGRES):
        with new_database(server) as url:
            rows.append(_row("PostgreSQL", url, days, likes))
    note = (
        f"{days} days of {likes:,} likes by as many people, whose keys are kept as they are at work; "
        f"{_POSTS} posts, {_FANS:,} followers. House is kept every day."
    )
    return [Table("A lively year", ("", "MB", "mean step of the slowest day, ms"), rows, GOAL, (note,))]


def _row(engine: str, database: str | None, days: int, likes: int) -> tuple[str, str, str]:
    with tempfile.TemporaryDirectory() as folder, new_subject(Path(folder), database=database) as subject:
        size, longest = live(subject.services, subject.source_id, days, likes)
    return engine, f"{size / 1e6:,.0f}", f"{longest * 1000:,.0f}"


def live(services: Services, source: int, days: int, likes: int) -> tuple[int, float]:
    """Let days pass with their likes; return (bytes, seconds of a step on the slowest day)."""
    begun, longest = services.now(), 0.0
    size = seed.Size(posts=_POSTS, followers=_FANS)
    with services.store.write() as tx:
        bulk(tx, schema.posts, seed._POST, seed._posts(size, source, begun))
        bulk(tx, schema.followers, seed._FOLLOWER, seed._followers(size, begun))
    for day in range(days):
        now = begun + timedelta(days=day)
        with services.store.write() as tx:
            bulk(tx, schema.interactions, seed._LIKE, _likes(day, likes, now))
            bulk(tx, schema.remote_keys, seed._KEY, _keys(day, likes, now))
        later = replace(services, now=lambda now=now: now)  # type: ignore[misc]
        started = time.perf_counter()
        steps = keep_house(later, threading.Event(), breath=0)
        longest = max(longest, (time.perf_counter() - started) / steps)
    return _bytes(services), longest


def _likes(day: int, likes: int, now: datetime) -> Iterator[seed.Row]:
    for number in range(day * likes, (day + 1) * likes):
        pk = 1 + number % _POSTS
        key = f"https://cafe.example/ap/{SITE}/posts/p{pk}"
        who = _person(number)
        yield SITE, pk, "like", who, key, schema.digest(key), f"{who}#likes/{number}", True, now


def _keys(day: int, likes: int, now: datetime) -> Iterator[seed.Row]:
    for number in range(day * likes, (day + 1) * likes):
        yield f"{_person(number)}#main-key", _person(number), PEM, now, now


def _person(number: int) -> str:
    return f"https://h{number % 5_000:06d}.example/users/someone{number}"


def _bytes(services: Services) -> int:
    with services.store.read() as tx:
        if services.store.is_sqlite:
            pages: int = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
            return pages * int(tx.exec_driver_sql("PRAGMA page_size").scalar_one())
        return int(tx.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
