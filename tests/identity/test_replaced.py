"""A database or data folder that is not the one it was: noticed, and said."""

import gc
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from lab import BAKERY, BASE_URL, Lab
from processes import environment

from bridge.cli.inspect import _gather
from bridge.errors import StoreDamaged, StoreError, StoreUnavailable
from bridge.services import Services
from bridge.store import identity, open_store, schema
from bridge.store.engine import sqlite_module
from bridge.store.migrate import UNFINISHED, _tidy


def test_a_database_that_is_replaced_while_it_is_open_is_written_no_more(
    sqlite_template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, other = tmp_path / "a.db", tmp_path / "b.db"
    shutil.copyfile(sqlite_template, path)
    shutil.copyfile(sqlite_template, other)
    store = open_store(f"sqlite:///{path}")
    with store.write() as tx:
        identity.set_meta(tx, "a", "1")
    other.replace(path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="was replaced while it was open"), store.write() as tx:
            identity.set_meta(tx, "a", "2")
    store.close()
    assert caplog.text.count("was replaced while it was open") == 1


def test_new_keys_are_said_loudly_and_only_when_they_are_new(
    make_services, caplog: pytest.LogCaptureFixture
) -> None:
    first: Services = make_services()
    assert "New keys were made for @cafe@cafe.example." in caplog.text
    first.close()
    caplog.clear()
    make_services()
    assert "New keys" not in caplog.text


def test_new_keys_of_many_sites_are_said_in_one_sentence(make_services, caplog) -> None:
    feed = '[[sites.cafe.sources]]\nfeed = "https://cafe.example/feed"\n'
    make_services(base_url=BASE_URL, handle="@cafe@localhost:8000", sources=feed + BAKERY).close()
    (said,) = [line for line in caplog.messages if "New keys" in line]
    assert said.startswith(
        "New keys were made for @cafe@localhost:8000, @bakery@localhost:8000. If any of them"
    )


def test_a_content_folder_that_is_missing_is_the_trouble_of_its_source_alone(make_services, clock) -> None:
    gone = '[[sites.cafe.sources]]\nname = "gone"\nfolder = "nowhere"\n'
    with Lab(make_services, clock, more=gone) as lab:
        lab.publish()
        assert lab.newest().note["content"].count("Fresh buns")
        source = lab.source("gone")
    assert source.failures > 0
    assert "nowhere cannot be read (No such file or directory). Check path and permissions." in source.error


def test_copies_that_were_never_finished_are_removed(tmp_path: Path) -> None:
    names = ("before-0004-x.db", "before-0004-x.db.k3j2", "before-0004-y.db.under_way", "mine.db")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    long_ago = time.time() - 2 * UNFINISHED
    for name in ("before-0004-x.db", "before-0004-x.db.k3j2", "mine.db"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    _tidy(tmp_path, now=time.time())
    assert {path.name for path in tmp_path.iterdir()} == set(names) - {"before-0004-x.db.k3j2"}


# ── logs of another file ─────────────────────────────────────────────────────────────────────────

CRASH = """
import os, sys
from bridge.store import identity, open_store, schema
from bridge.store.engine import sqlite_module
store = open_store(f"sqlite:///{sys.argv[1]}")
for number in range(int(sys.argv[2])):
    with store.write() as tx:
        identity.set_meta(tx, f"key {number}", "x" * 3000)
store.remember_file()
os._exit(0)  # the log stays where it is, as after a crash
"""


def crash(path: Path, rows: int) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(path), str(rows)], check=True, env=environment())


def move(copy: Path, path: Path) -> None:
    copy.replace(path)


def write_over(copy: Path, path: Path) -> None:
    shutil.copyfile(copy, path)


@pytest.fixture
def crashed(sqlite_template: Path, tmp_path: Path) -> Path:
    """A database with a log beside it, and an older copy of it in `older.db`."""
    path = tmp_path / "a.db"
    shutil.copyfile(sqlite_template, path)
    shutil.copyfile(sqlite_template, tmp_path / "older.db")
    crash(path, 20)
    with closing(sqlite_module().connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    crash(path, 30)
    assert path.with_name("a.db-wal").stat().st_size
    return path


def test_the_log_of_the_same_file_is_applied(crashed: Path) -> None:
    store = open_store(f"sqlite:///{crashed}")
    with store.read() as tx:
        assert identity.get_meta(tx, "key 29")
    store.close()


@pytest.mark.parametrize("replace", [move, write_over])
def test_the_log_of_another_file_is_never_applied(crashed: Path, tmp_path: Path, replace) -> None:
    replace(tmp_path / "older.db", crashed)
    before = crashed.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"remove a.db-wal and a.db-shm beside it, and start") as raised:
            open_store(f"sqlite:///{crashed}")
    assert not isinstance(raised.value, StoreUnavailable)
    assert crashed.read_bytes() == before
    for name in ("a.db-wal", "a.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    store = open_store(f"sqlite:///{crashed}")
    assert store.check() is None
    store.close()


def test_a_file_that_is_gone_leaves_its_log_to_its_owner(crashed: Path) -> None:
    crashed.unlink()
    with pytest.raises(StoreError, match="was replaced"):
        open_store(f"sqlite:///{crashed}")
    assert crashed.with_name("a.db-wal").stat().st_size


def test_a_folder_that_was_copied_whole_is_opened_with_its_log(crashed: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in tmp_path.glob("a.db*"):
        shutil.copyfile(file, elsewhere / file.name)
    store = open_store(f"sqlite:///{elsewhere / 'a.db'}")
    with store.read() as tx:
        assert identity.get_meta(tx, "key 29")
    store.close()


@pytest.mark.parametrize("replace", [move, write_over])
def test_a_replaced_database_gets_nothing_of_the_old_log_even_at_the_end(
    crashed: Path, tmp_path: Path, replace, caplog: pytest.LogCaptureFixture
) -> None:
    older = (tmp_path / "older.db").read_bytes()
    store = open_store(f"sqlite:///{crashed}")
    with store.write() as tx:
        identity.set_meta(tx, "a", "1")
    replace(tmp_path / "older.db", crashed)
    for opened in (store.write, store.read, store.read, store.write):
        with pytest.raises(StoreUnavailable, match="was replaced while it was open"), opened():
            pass
    assert "remove a.db-wal and a.db-shm" in (store.trouble() or "")
    store.close()
    del store
    gc.collect()
    assert crashed.read_bytes() == older
    assert caplog.text.count("was replaced") == 1
    assert "nothing is lost" not in caplog.text


def test_the_counter_of_a_database_grows_whatever_is_done_to_it(crashed: Path) -> None:
    store = open_store(f"sqlite:///{crashed}")
    with store.write() as tx:
        tx.exec_driver_sql("DELETE FROM meta")
    with store.maintenance() as tx:
        tx.exec_driver_sql("VACUUM")
    store.fold_log()
    assert store.trouble() is None
    store.close()


# ── damage ───────────────────────────────────────────────────────────────────────────────────────


def damage(path: Path) -> None:
    """Overwrite the first page of the table `meta` with what is none."""
    with closing(sqlite_module().connect(path)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xfe" * size)


def test_a_damaged_database_is_one_sentence_and_written_no_more(
    sqlite_template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.db"
    shutil.copyfile(sqlite_template, path)
    damage(path)
    store, other = open_store(f"sqlite:///{path}"), open_store(f"sqlite:///{path}")
    assert "restore the newest backup" in (store.check() or "")
    for _ in range(3):
        with pytest.raises(StoreDamaged, match="restore the newest backup"), store.read() as tx:
            tx.exec_driver_sql("SELECT * FROM meta").all()
        with pytest.raises(StoreDamaged), store.write():
            pass
    assert caplog.text.count("restore the newest backup") == 1
    assert other.trouble() == store.trouble(), "the other process is told"
    store.close()
    other.close()


def test_what_is_no_database_says_to_restore_a_backup(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"nothing of the kind" * 1000)
    with pytest.raises(StoreDamaged, match="restore the newest backup"):
        open_store(f"sqlite:///{tmp_path / 'a.db'}")


def test_health_and_readiness_and_status_say_that_the_database_is_damaged(make_services, clock) -> None:
    with Lab(make_services, clock) as lab:
        lab.store._watch.damaged("row 3 missing from index ix")
        for page in ("healthz", "readyz"):
            status, body = lab.bridge.get(f"{lab.services.config.base_url}/{page}")
            assert status == 503
            assert "restore the newest backup" in body["error"]
        assert "row 3 missing" in _gather(lab.services)["database"]


def test_readiness_says_that_the_database_was_replaced(make_services, clock, sqlite_template: Path) -> None:
    with Lab(make_services, clock) as lab:
        if not lab.store.is_sqlite:
            pytest.skip("a server's files are its own")
        path = lab.services.config.data / "fedibridge.db"
        copy = path.with_name("copy.db")
        shutil.copyfile(sqlite_template, copy)
        copy.replace(path)
        for page in ("healthz", "readyz"):
            status, body = lab.bridge.get(f"{lab.services.config.base_url}/{page}")
            assert status == 503
            assert "remove fedibridge.db-wal" in body["error"]


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_a_key_that_cannot_be_read_is_a_sentence_at_the_start(make_services, algorithm: str) -> None:
    first: Services = make_services()
    with first.store.write() as tx:
        pem = identity.private_keys(tx)["cafe", algorithm]
        broken = pem[:60] + "AAAA" + pem[64:]
        tx.execute(
            schema.keys.update()
            .where(schema.keys.c.owner == "cafe", schema.keys.c.algorithm == algorithm)
            .values(private_pem=broken.replace("M", "B", 3))
        )
    first.close()
    with pytest.raises(StoreError, match="private key of the site 'cafe' in the database cannot be read"):
        make_services()
