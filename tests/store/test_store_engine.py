import itertools
import multiprocessing
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from databases import at_once, opened
from rows import actor, add_post, add_site, arrival, new_post, post
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreError
from bridge.model import RemoteKey
from bridge.store import followers, identity, inbox, interactions, open_store, peers, posts, remote
from bridge.store.engine import sqlite_module, wal_is_safe
from bridge.store.followers import NewFollower
from bridge.store.interactions import NewInteraction
from bridge.store.peers import Peer

MINUTE = timedelta(minutes=1)


def pragma(store, name):
    with store.read() as tx:
        return tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()


# ── transactions ─────────────────────────────────────────────────────────────────────────────────


def test_what_a_block_wrote_is_committed_when_it_ends(store):
    with store.write() as tx:
        identity.set_meta(tx, "a", "1")
    with store.read() as tx:
        assert identity.get_meta(tx, "a") == "1"


def test_what_a_block_wrote_is_undone_when_it_raises(store):
    with pytest.raises(KeyError), store.write() as tx:
        identity.set_meta(tx, "a", "1")
        raise KeyError
    with store.read() as tx:
        assert identity.get_meta(tx, "a") is None
    with store.write() as tx:  # and the next one may write
        identity.set_meta(tx, "a", "2")


def test_others_see_nothing_before_the_commit(database, store):
    other = open_store(database)
    with store.write() as tx:
        identity.set_meta(tx, "a", "1")
        with other.read() as reading:
            assert identity.get_meta(reading, "a") is None
    with other.read() as reading:
        assert identity.get_meta(reading, "a") == "1"
    other.close()


def test_moments_come_back_aware_and_in_utc(store, clock):
    moment = clock.now() + timedelta(microseconds=123456)
    with store.write() as tx:
        identity.beat(tx, "worker", "", now=moment)
        found = identity.heartbeats(tx)["worker"]
    assert found == moment
    assert found.utcoffset() == timedelta(0)


# ── two at once ──────────────────────────────────────────────────────────────────────────────────


def test_public_changes_of_two_processes_are_both_counted(database, store):
    def touch():
        with opened(database) as other:
            for _ in range(20):
                with other.write() as tx:
                    identity.touch(tx)

    at_once(3, touch)
    with store.read() as tx:
        assert identity.revision(tx) == 60


SAVES = {
    "a peer": lambda tx, number, now: peers.save(tx, Peer(f"{number}.example", failures=1)),
    "an actor": lambda tx, number, now: remote.save_actor(tx, actor(str(number)), "one.example", now=now),
    "a key": lambda tx, number, now: remote.save_key(
        tx, RemoteKey(f"key {number}", "ann", "PEM"), now=now, fresh_for=MINUTE
    ),
    "a follower": lambda tx, number, now: followers.save(
        tx, NewFollower("cafe", actor(str(number)), "one.example", "accepted", None), now=now
    ),
    "an interaction": lambda tx, number, now: interactions.save(
        tx,
        NewInteraction("cafe", posts.row_of(tx, "cafe", "p1"), "like", "ann", str(number), None, public=True),
        now=now,
    ),
    "a heartbeat": lambda tx, number, now: identity.beat(tx, f"worker {number}", "", now=now),
    "a fact": lambda tx, number, now: identity.set_meta(tx, f"fact {number}", "1"),
    "an ignored type": lambda tx, number, now: inbox.count_ignored(tx, f"type {number}", now=now),
    "a private key": lambda tx, number, now: identity.add_key(tx, str(number), "rsa", "PEM", now=now),
    "a post": lambda tx, number, now: posts.add(tx, new_post(tx, post(str(number), now=now)), now=now),
}


@pytest.mark.parametrize("what", SAVES)
def test_two_processes_that_learn_the_same_at_once_do_not_collide(database, store, clock, what):
    with store.write() as tx:
        add_site(tx, now=clock.now())
        add_post(tx, now=clock.now())

    def save():
        with opened(database) as other:
            for number in range(25):
                with other.write() as tx:
                    SAVES[what](tx, number, clock.now())

    at_once(2, save)


def test_two_workers_never_claim_the_same_arrival(database, store, clock):
    with store.write() as tx:
        for number in range(100):
            inbox.store(tx, arrival(number), now=clock.now())
    claimed = []

    def work():
        with opened(database) as other:
            for _ in range(20):
                with other.write() as tx:
                    rows = inbox.claim_due(tx, 9, now=clock.now())
                assert len(rows) <= 9
                claimed.extend(row.id for row in rows)

    at_once(3, work)
    assert len(claimed) == len(set(claimed)) == 100


def test_many_threads_write_through_one_store(store):
    numbers = itertools.count()

    def write():
        for _ in range(10):
            with store.write() as tx:
                identity.set_meta(tx, f"fact {next(numbers)}", "1")

    at_once(12, write)
    with store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM meta").scalar_one() == 120


def test_a_transaction_that_reads_first_and_then_writes_is_never_told_that_the_database_is_locked(
    sqlite_template, tmp_path
):
    """Two processes, each with several threads, write and read one file as fast as they can."""
    path = tmp_path / "hammered.db"
    path.write_bytes(sqlite_template.read_bytes())
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(2) as pool:
        written = pool.starmap(hammer, [(str(path), name, 2.0) for name in ("a", "b")])
    assert min(written) > 0
    store = open_store(f"sqlite:///{path}")
    assert pragma(store, "integrity_check") == "ok"
    with store.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM seen").scalar_one() == sum(written)
        assert identity.revision(tx) == sum(written)
    store.close()


def hammer(path, name, seconds):
    """Write from four threads for so many seconds; return how many transactions were committed."""
    until, threads, written = time.monotonic() + seconds, itertools.count(), []
    now = datetime(2026, 3, 1, tzinfo=UTC)

    def write():
        thread, number = next(threads), 0
        while time.monotonic() < until:
            with store.write() as tx:
                identity.revision(tx)
                assert inbox.see(tx, f"{name} {thread} {number}", now=now)
                identity.touch(tx)
            number += 1
            with store.read() as tx:
                inbox.was_seen(tx, name)
        written.append(number)

    with opened(f"sqlite:///{path}") as store:
        at_once(4, write)
    return sum(written)


# ── SQLite as we use it ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ("3.7.0", False),
        ("3.40.1", False),
        ("3.44.5", False),
        ("3.44.6", True),
        ("3.45.0", False),
        ("3.46.1", False),
        ("3.49.2", False),
        ("3.50.6", False),
        ("3.50.7", True),
        ("3.51.0", False),
        ("3.51.2", False),
        ("3.51.3", True),
        ("3.53.4", True),
        ("4.0.0", True),
        ("3.52", True),
    ],
)
def test_wal_is_used_only_where_it_cannot_lose_rows(version, safe):
    assert wal_is_safe(version) is safe


class OldSqlite(ModuleType):
    """The SQLite binding at hand, saying that it is older than it is."""

    sqlite_version = "3.40.1"

    def __getattr__(self, name):
        return getattr(sqlite_module(), name)


@pytest.fixture
def fresh(tmp_path):
    return f"sqlite:///{tmp_path}/data/fresh.db"


def test_an_affected_sqlite_works_without_wal_and_says_so(fresh, caplog):
    store = open_store(fresh, binding=OldSqlite("old"))
    assert pragma(store, "journal_mode") == "delete"
    assert pragma(store, "synchronous") == 2
    assert "3.40.1" in caplog.text
    store.close()


def test_a_database_in_wal_mode_is_converted_when_the_sqlite_is_an_affected_one(fresh):
    path = fresh.removeprefix("sqlite:///")
    Path(path).parent.mkdir()
    writing = sqlite3.connect(path)
    writing.execute("PRAGMA journal_mode=WAL")
    writing.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    writing.commit()
    writing.close()
    store = open_store(fresh, binding=OldSqlite("old"))
    assert pragma(store, "journal_mode") == "delete"
    with store.read() as tx:
        assert tx.exec_driver_sql("SELECT answer FROM kept").scalar_one() == 42
    store.close()


def test_a_sound_sqlite_uses_wal_and_still_survives_a_power_cut(fresh):
    if not wal_is_safe(sqlite_module().sqlite_version):
        pytest.skip(f"SQLite {sqlite_module().sqlite_version} is affected: `pip install pysqlite3`")
    store = open_store(fresh)
    assert pragma(store, "journal_mode") == "wal"
    assert pragma(store, "synchronous") == 2
    assert pragma(store, "foreign_keys") == 1
    store.close()


def test_nobody_else_on_the_machine_can_read_the_database(fresh):
    store = open_store(fresh)
    with store.write() as tx:
        tx.exec_driver_sql("CREATE TABLE t (x)")
        folder = Path(fresh.removeprefix("sqlite:///")).parent
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in [folder, *folder.iterdir()]}
    store.close()
    assert modes.pop("data") == "0o700"
    assert set(modes.values()) == {"0o600"}


def test_a_database_that_others_could_read_is_closed_to_them(fresh):
    path = Path(fresh.removeprefix("sqlite:///"))
    path.parent.mkdir()
    path.touch(0o644)
    open_store(fresh).close()
    assert path.stat().st_mode & 0o777 == 0o600


# ── databases that cannot be used ────────────────────────────────────────────────────────────────


def test_a_file_that_is_no_database_is_refused_by_name(fresh):
    path = Path(fresh.removeprefix("sqlite:///"))
    path.parent.mkdir()
    path.write_text("This is a diary, not a database. " * 100)
    with pytest.raises(StoreError, match=str(path)):
        open_store(fresh)


def test_a_folder_where_the_database_should_be_is_refused_by_name(tmp_path):
    with pytest.raises(StoreError, match=str(tmp_path)):
        open_store(f"sqlite:///{tmp_path}")


def test_a_server_that_does_not_answer_is_named_without_the_password():
    url = "postgresql://cafe:hunter2@127.0.0.1:1/bridge?connect_timeout=2"
    with pytest.raises(StoreError) as refused:
        open_store(url)
    assert "cafe:***@127.0.0.1" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_rows_that_belong_to_nothing_are_refused_on_both_databases(store, clock):
    with pytest.raises(DBAPIError), store.write() as tx:
        followers.save(
            tx, NewFollower("nowhere", actor("ann"), "one.example", "accepted", None), now=clock.now()
        )
