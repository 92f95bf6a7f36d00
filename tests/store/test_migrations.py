import logging
import random
import signal
import sqlite3
import subprocess
import sys
import time

import orjson
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from databases import at_once, opened
from places import DATA, ROOT
from sqlalchemy import Boolean, MetaData

from bridge.errors import StoreError
from bridge.model import DeliveryState, PostState
from bridge.store import (
    delivery_reports,
    followers,
    identity,
    inbox,
    interactions,
    migrate,
    open_store,
    peers,
    pictures,
    posts,
    remote,
    sources,
)
from bridge.store.migrate import HEAD, differences

DUMPS = DATA / "schemas"
OLD = sorted(path.stem for path in DUMPS.glob("*.sql"))


def scripts():
    config = Config()
    config.set_main_option("script_location", str(ROOT / "bridge" / "store" / "migrations"))
    return ScriptDirectory.from_config(config)


def revision(store):
    with store.read() as tx:
        return tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/empty.db"
        return
    with request.getfixturevalue("postgres_server").empty() as url:
        yield url


@pytest.fixture
def load(tmp_path):
    """Bring an old database back to life; returns its path."""

    def load_dump(number):
        path = tmp_path / "data" / "old.db"
        path.parent.mkdir(exist_ok=True)
        with sqlite3.connect(path) as connection:
            connection.executescript((DUMPS / f"{number}.sql").read_text(encoding="utf-8"))
        connection.close()
        return path

    return load_dump


# ── from nothing ─────────────────────────────────────────────────────────────────────────────────


def test_an_empty_database_gets_exactly_the_tables_of_the_schema(empty, clock):
    store = open_store(empty)
    migrate(store, now=clock.now())
    with store.read() as tx:
        assert differences(tx) == []
    assert revision(store) == HEAD
    store.close()


def test_migrating_again_changes_nothing(empty, clock, tmp_path):
    store = open_store(empty)
    for _ in range(2):
        migrate(store, now=clock.now(), backups=tmp_path / "backups")
    assert revision(store) == HEAD
    assert not (tmp_path / "backups").exists()
    store.close()


def test_processes_that_start_together_migrate_once(empty, clock):
    def start():
        with opened(empty) as store:
            migrate(store, now=clock.now())
            assert revision(store) == HEAD

    at_once(3, start)


def test_the_programs_idea_of_the_newest_schema_is_alembics():
    assert scripts().get_current_head() == HEAD


def test_the_migrations_are_one_chain_and_go_forward_only():
    chain = [script.revision for script in scripts().walk_revisions()]
    assert chain == [f"{number:04}" for number in range(len(chain), 0, -1)]
    assert not any(hasattr(script.module, "downgrade") for script in scripts().walk_revisions())


def test_migrating_leaves_logging_as_it_was(empty, clock):
    before = logging.getLogger().level, logging.getLogger("bridge").disabled
    store = open_store(empty)
    migrate(store, now=clock.now())
    store.close()
    assert (logging.getLogger().level, logging.getLogger("bridge").disabled) == before


# ── from a newer program ─────────────────────────────────────────────────────────────────────────


def test_a_database_of_a_newer_program_is_refused_and_left_alone(store, clock):
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(StoreError, match=f"schema 9999.*knows {HEAD}"):
            migrate(store, now=clock.now())
        assert revision(store) == "9999"
    finally:
        with store.write() as tx:
            tx.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")


# ── from every older program ─────────────────────────────────────────────────────────────────────


def test_every_older_schema_is_kept_to_upgrade_from():
    """Missing one? Run tests/data/schemas/dump.py with the program as it was before the new migration."""
    older = [script.revision for script in scripts().walk_revisions() if script.revision != HEAD]
    assert set(older) <= set(OLD)


def assert_nothing_was_lost(store):
    """Everything that tests/data/schemas/dump.py wrote is still there, and means the same."""
    pending, delivered, dropped = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DROPPED
    with store.read() as tx:
        assert differences(tx) == []
        assert identity.base_url(tx) == "https://cafe.example"
        assert identity.handles(tx)["cafe"] == "@cafe@cafe.example"
        keys = identity.private_keys(tx)
        assert keys["", "rsa"] == "rsa key of the instance"
        assert keys["cafe", "ed25519"] == "ed25519 key of cafe"
        assert len(keys) == 6
        assert {f.handle for f in followers.listing(tx, "cafe", state="accepted")} >= {"@ann@one.example"}
        assert (followers.count(tx, "cafe"), len(followers.listing(tx))) == (3, 4)
        assert posts.find(tx, "cafe", "p1").note == {"content": "<p>Grüße ☕</p>"}
        assert posts.find(tx, "cafe", "p2").state is PostState.DELETED
        assert [post.id for post in posts.newest(tx, "cafe", limit=9)] == ["p3", "p1"]
        assert posts.known(tx, "cafe", ["guid:p1"])["guid:p1"].id == "p1"
        assert delivery_reports.counts(tx) == {pending: 2, delivered: 1, dropped: 1}
        assert [source.etag for source in sources.all_sources(tx)] == [None, '"1"']
        assert sources.all_sources(tx)[1].baseline_at is not None
        assert remote.key(tx, "https://one.example/users/ann#main-key").pem == "PEM"
        assert peers.failing(tx)[0].error == "timed out"
        assert interactions.totals(tx) == {"reply": 1}
        assert inbox.waiting(tx) == 1
        assert inbox.was_seen(tx, "https://one.example/users/ann/1")
        assert inbox.was_undone(tx, "https://one.example/users/ann/0")


@pytest.mark.parametrize("number", OLD)
def test_an_older_sqlite_database_is_upgraded_and_nothing_is_lost(load, clock, number):
    store = open_store(f"sqlite:///{load(number)}")
    migrate(store, now=clock.now())
    assert_nothing_was_lost(store)
    with store.write() as tx:
        assert tx.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert tx.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    store.close()


@pytest.mark.parametrize("number", OLD)
def test_an_unlisted_post_of_an_older_database_is_known_as_such(load, clock, number):
    path, public = load(number), "https://www.w3.org/ns/activitystreams#Public"
    quiet = {"to": ["f"], "cc": [public], "content": f'"to":["{public}"]'}
    notes = {"p1": quiet, "p3": {"to": [public], "cc": ["f"]}}
    with sqlite3.connect(path) as connection:
        for post_id, note in notes.items():
            values = (orjson.dumps(note).decode(), post_id)
            connection.execute("UPDATE posts SET note = ? WHERE id = ?", values)
    connection.close()
    store = open_store(f"sqlite:///{path}")
    migrate(store, now=clock.now())
    with store.read() as tx:
        assert [post.id for post in posts.featured(tx, "cafe", limit=9)] == ["p3"]
    store.close()


@pytest.mark.parametrize("number", OLD)
@pytest.mark.parametrize(("state", "kept"), [("published", 1), ("held", 0), ("ignored", 0), ("scheduled", 0)])
def test_what_was_done_with_posts_that_nobody_saw_is_forgotten(load, clock, number, state, kept):
    path = load(number)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE posts SET state = ? WHERE id = 'p1'", (state,))
    connection.close()
    store = open_store(f"sqlite:///{path}")
    migrate(store, now=clock.now())
    with store.read() as tx:
        assert interactions.totals(tx).get("reply", 0) == kept
    store.close()


@pytest.mark.parametrize("number", OLD)
def test_long_names_of_an_older_database_are_found_again(load, clock, number):
    """SQLite kept them whole in its indexes, which PostgreSQL cannot."""
    path = load(number)
    key, url = "link:https://cafe.example/" + "ö" * 3_000, "https://cafe.example/" + "p" * 3_000
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO entry_keys VALUES ('cafe', ?, 1)", (key,))
        connection.execute("UPDATE deliveries SET object_uri = ?", (url,))
        if number > "0001":
            columns = "url, state, width, looked_at"
            row = (url, "good", 7, "2026-01-01")
            connection.execute(f"INSERT INTO pictures ({columns}) VALUES (?, ?, ?, ?)", row)
    connection.close()
    store = open_store(f"sqlite:///{path}")
    migrate(store, now=clock.now())
    with store.read() as tx:
        assert posts.known(tx, "cafe", [key])[key].pk == 1
        assert len(delivery_reports.report(tx, object_uri=url)) == sum(delivery_reports.counts(tx).values())
        if number > "0001":
            assert [seen.width for seen in pictures.known(tx, [url])] == [7]
    store.close()


@pytest.mark.parametrize("number", OLD)
def test_an_older_postgresql_database_is_upgraded_and_nothing_is_lost(load, postgres_server, clock, number):
    with postgres_server.empty() as url:
        store = open_store(url)
        with store.write() as tx:
            upgrade_to(tx, number)
            copy_rows(load(number), tx)
        migrate(store, now=clock.now())
        assert_nothing_was_lost(store)
        store.close()


def upgrade_to(tx, number):
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(ROOT / "bridge" / "store" / "migrations"))
    config.attributes["connection"] = tx
    command.upgrade(config, number)


def copy_rows(path, tx):
    """Copy every row of an SQLite database into PostgreSQL's tables of the same schema."""
    tables = MetaData()
    tables.reflect(tx)
    source = sqlite3.connect(path)
    for table in tables.sorted_tables:
        if table.name == "alembic_version":
            continue
        names = [column.name for column in table.columns]
        switches = [isinstance(column.type, Boolean) for column in table.columns]
        for row in source.execute(f"SELECT {', '.join(names)} FROM {table.name}"):
            plain = [bool(value) if switch else value for value, switch in zip(row, switches, strict=True)]
            marks = ", ".join(["%s"] * len(names))
            tx.exec_driver_sql(
                f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", tuple(plain)
            )
    source.close()


def test_the_database_is_copied_before_it_is_upgraded(load, clock, tmp_path):
    before = (DUMPS / "0001.sql").read_text(encoding="utf-8")
    store = open_store(f"sqlite:///{load('0001')}")
    migrate(store, now=clock.now(), backups=tmp_path / "backups")
    store.close()
    (backup,) = (tmp_path / "backups").iterdir()
    assert backup.name == f"before-{HEAD}-20260301T120000Z.db"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert backup.parent.stat().st_mode & 0o777 == 0o700
    with sqlite3.connect(backup) as copied:
        inserts = {line for line in copied.iterdump() if line.startswith("INSERT")}
    assert inserts == {line for line in before.splitlines() if line.startswith("INSERT")}


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(load, clock):
    path = load("0001")
    with sqlite3.connect(path) as connection:  # a table of the next schema is in the way
        connection.execute("CREATE TABLE holds (x)")
        before = list(connection.iterdump())
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(Exception, match="holds"):
        migrate(store, now=clock.now())
    store.close()
    with sqlite3.connect(path) as connection:
        assert list(connection.iterdump()) == before


def test_an_upgrade_that_is_killed_at_any_moment_loses_nothing(load, clock, tmp_path):
    """Ten SIGKILLs while a child process upgrades one copy of a database after the other."""
    dump, rounds = load("0001").read_bytes(), random.Random(2026)
    killed_under_way = 0
    for number in range(10):
        folder = tmp_path / f"round {number}"
        folder.mkdir()
        paths = [folder / f"{copy}.db" for copy in range(8)]
        for path in paths:
            path.write_bytes(dump)
        kill_while_upgrading(paths, after=rounds.uniform(0, 0.15))
        for path in paths:
            if path.read_bytes() == dump and not path.with_name(f"{path.name}-wal").exists():
                continue  # the child never came to this one
            killed_under_way += 1
            store = open_store(f"sqlite:///{path}")
            migrate(store, now=clock.now(), backups=tmp_path / "backups")
            assert_nothing_was_lost(store)
            store.close()
    assert killed_under_way > 0


def kill_while_upgrading(paths, *, after):
    program = (
        "import sys; from datetime import UTC, datetime; from bridge.store import migrate, open_store\n"
        "import alembic.command, alembic.config\n"
        "print('begin', flush=True)\n"
        "for path in sys.argv[1:]:\n"
        "    store = open_store(f'sqlite:///{path}')\n"
        "    migrate(store, now=datetime.now(UTC))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, paths)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert child.stdout.readline() == "begin\n"
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
