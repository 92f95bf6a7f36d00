"""A bridge that has been at work for long: many deliveries, followers and posts, made in bulk.

`python -m benchmarks.seed DATABASE-URL` fills a new database, to look at by hand or with a dashboard.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Table

from bridge.model import DeliveryState, PostState
from bridge.store import Store, Tx, identity, migrate, open_store, schema, sources

SITE = "cafe"
BASE = "https://cafe.example/ap/cafe"
_CHUNK = 20_000

Row = Sequence[Any]


@dataclass(frozen=True)
class Size:
    """How much there is. Of the deliveries, `pending` wait, and `of_one_host` of those for one host."""

    posts: int = 5_000
    followers: int = 100_000
    deliveries: int = 1_000_000
    pending: int = 500_000
    of_one_host: int = 100_000
    failing: int = 2_000
    likes: int = 100_000

    def scaled(self, factor: float) -> "Size":
        """Return the same mixture with so many times as much of everything."""
        return Size(*(int(getattr(self, name) * factor) for name in self.__dataclass_fields__))


def seed(store: Store, size: Size, *, now: datetime) -> None:
    """Fill a migrated, empty database, and let it know what it holds."""
    with store.write() as tx:
        identity.add_site(tx, SITE, "@cafe@cafe.example", now=now)
        feed = [(SITE, "blog", "feed", "https://cafe.example/feed.xml")]
        sources.sync(tx, feed, interval=timedelta(minutes=15), now=now)
        source = sources.all_sources(tx)[0].id
        bulk(tx, schema.posts, _POST, _posts(size, source, now))
        bulk(tx, schema.followers, _FOLLOWER, _followers(size, now))
        bulk(tx, schema.remote_actors, _ACTOR, _actors(size, now))
        bulk(tx, schema.remote_keys, _KEY, _keys(size, now))
        bulk(tx, schema.activities, _ACTIVITY, _activities(size, now))
        bulk(tx, schema.deliveries, _DELIVERY, _deliveries(size, now))
        bulk(tx, schema.peers, _PEER, _peers(size, now))
        bulk(tx, schema.interactions, _LIKE, _likes(size, now))
    analyse(store)


def bulk(tx: Tx, table: Table, names: Sequence[str], rows: Iterable[Row]) -> None:
    """Insert many rows: with COPY on PostgreSQL, with one prepared statement on SQLite."""
    columns = ", ".join(names)
    if tx.dialect.name == "postgresql":
        driver = tx.connection.driver_connection
        assert driver is not None
        tx.exec_driver_sql("SET LOCAL statement_timeout = 0")
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        _count_on(tx, table)
        return
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(names))})"
    for some in _chunks(rows):
        tx.exec_driver_sql(statement, [tuple(_plain(value) for value in row) for row in some])


def analyse(store: Store) -> None:
    """Let PostgreSQL know what was inserted, as it would by itself after a while; SQLite goes without."""
    if not store.is_sqlite:
        with store.maintenance() as tx:
            tx.exec_driver_sql("ANALYZE")


def _count_on(tx: Tx, table: Table) -> None:
    """Let numbers that PostgreSQL gives begin after those that were inserted."""
    (key, *_) = table.primary_key.columns
    if key.autoincrement is True or str(key.type) == "BIGINT":
        last = f"SELECT max({key.name}) FROM {table.name}"
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        tx.exec_driver_sql(f"SELECT setval({sequence}, ({last})) WHERE ({last}) IS NOT NULL")


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while some := list(islice(left, _CHUNK)):
        yield some


def _plain(value: Any) -> Any:
    """Return a value as SQLite stores it: moments as SQLAlchemy writes them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────

_POST = ("pk", "site", "id", "identity", "source_id", "state", "page_url", "entry", "note", "content_hash",
         "published_at", "first_seen_at", "last_seen_at")  # fmt: skip
_FOLLOWER = ("site", "actor_id", "inbox", "shared_inbox", "host", "state", "follow_id", "followed_at")
_ACTOR = ("id", "type", "handle", "name", "inbox", "shared_inbox", "host", "fetched_at")
_KEY = ("id", "actor_id", "pem", "fetched_at", "retry_at")
_ACTIVITY = ("pk", "site", "uri", "type", "object_uri", "post_pk", "body", "created_at")
_DELIVERY = ("activity_pk", "site", "inbox", "host", "type", "object_uri", "state", "lane", "due_at",
             "attempts", "first_attempt_at", "last_attempt_at", "settled_at", "status", "reason")  # fmt: skip
_PEER = ("host", "failures", "failing_since", "last_failure_at", "error")
_LIKE = ("site", "post_pk", "kind", "actor_id", "object_key", "object_hash", "activity_id", "public",
         "received_at")  # fmt: skip

BIG = "big.example"
_TEXT = "<p>From Thursday there is plum cake again, baked with the plums from Ada's garden.</p>" * 4
PEM = "-----BEGIN PUBLIC KEY-----\n" + ("A" * 64 + "\n") * 6 + "AQAB\n-----END PUBLIC KEY-----\n"


def host(number: int) -> str:
    """Return the name of a follower's server: three in ten are on one big server."""
    return BIG if number % 10 < 3 else f"h{number:06d}.example"


def person(number: int) -> str:
    """Return a follower's id."""
    return f"https://{host(number)}/users/fan{number}"


def _posts(size: Size, source: int, now: datetime) -> Iterator[Row]:
    for number in range(1, size.posts + 1):
        at = now - timedelta(hours=size.posts - number)
        page = f"https://cafe.example/{number}/"
        yield (number, SITE, f"p{number}", f"guid:{number}", source, PostState.PUBLISHED.value, page, "{}",
               f'{{"content": "{_TEXT}"}}', f"hash {number}", at, at, at)  # fmt: skip


def _followers(size: Size, now: datetime) -> Iterator[Row]:
    for number in range(size.followers):
        who, where = person(number), host(number)
        at = now - timedelta(minutes=size.followers - number)
        yield (SITE, who, f"{who}/inbox", f"https://{where}/inbox", where, "accepted", f"{who}#follow", at)


def _actors(size: Size, now: datetime) -> Iterator[Row]:
    for number in range(size.followers):
        who, where = person(number), host(number)
        yield (who, "Person", f"@fan{number}@{where}", f"Fan {number}", f"{who}/inbox",
               f"https://{where}/inbox", where, now)  # fmt: skip


def _keys(size: Size, now: datetime) -> Iterator[Row]:
    for number in range(size.followers):
        yield f"{person(number)}#main-key", person(number), PEM, now, now


def _activities(size: Size, now: datetime) -> Iterator[Row]:
    body = (b'{"type": "Create", "content": "' + _TEXT.encode() + b'"}') * 2
    for number in range(1, size.posts + 1):
        at = now - timedelta(hours=size.posts - number)
        uri = f"{BASE}/posts/p{number}"
        yield number, SITE, f"{uri}#create", "Create", uri, number, body, at


def _deliveries(size: Size, now: datetime) -> Iterator[Row]:
    """Old ones are settled; of the newest posts' many wait, in the fast lane and in the slow one."""
    per_post = max(1, size.deliveries // size.posts)
    settled = size.deliveries - size.pending
    for number in range(size.deliveries):
        pk = 1 + number // per_post
        uri = f"{BASE}/posts/p{pk}"
        place = number % per_post
        if number >= settled:
            where, lane = _waiting(number - settled, size)
            due_at = now - timedelta(seconds=1) if lane == "fast" else now + timedelta(minutes=place)
            yield (pk, SITE, f"https://{where}/inbox/{place}", where, "Create", uri,
                   DeliveryState.PENDING.value, lane, due_at, 0, None, None, None, None, None)  # fmt: skip
        else:
            at = now - timedelta(days=50) + number * timedelta(days=50) / max(1, settled)
            yield (pk, SITE, f"https://h{place:06d}.example/inbox", f"h{place:06d}.example", "Create", uri,
                   DeliveryState.DELIVERED.value, "fast", at, 1, at, at, at, 202, None)  # fmt: skip


def _waiting(number: int, size: Size) -> tuple[str, str]:
    """Return (host, lane) of a delivery that waits: for the big host, a failing one, or one that answers."""
    if number < size.of_one_host:
        return BIG, "fast"
    if number % 2:
        return f"dead{number % max(1, size.failing):06d}.example", "slow"
    return f"h{number:06d}.example", "fast"


def _peers(size: Size, now: datetime) -> Iterator[Row]:
    for number in range(size.failing):
        yield f"dead{number:06d}.example", 3, now - timedelta(hours=1), now, "no answer in 15 s"


def _likes(size: Size, now: datetime) -> Iterator[Row]:
    for number in range(size.likes):
        pk = 1 + number % size.posts
        key = f"{BASE}/posts/p{pk}"
        who = person(number)
        yield (SITE, pk, "like", who, key, schema.digest(key), f"{who}/likes/{number}", True,
               now - timedelta(minutes=size.likes - number))  # fmt: skip


def main() -> None:
    """Fill the database of a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed", description=__doc__)
    parser.add_argument("database", help="sqlite:///path or postgresql://…, a new one")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is a million deliveries")
    given = parser.parse_args()
    store, now = open_store(given.database), datetime.now(UTC)
    migrate(store, now=now)
    seed(store, Size().scaled(given.scale), now=now)
    store.close()


if __name__ == "__main__":
    main()
