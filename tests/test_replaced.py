"""A database or data folder that is not the one it was: noticed, and said."""

import os
import shutil
import time
from pathlib import Path

import pytest
from lab import Lab

from bridge.errors import StoreUnavailable
from bridge.services import Services
from bridge.store import identity, open_store
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
