"""Brings a database to this program's schema: forward only, after a backup, never past a newer one."""

import logging
import re
import time
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import Connection, inspect, select, text

from bridge.errors import StoreError, StoreMissing
from bridge.store import schema
from bridge.store.engine import Store

log = logging.getLogger(__name__)

UNFINISHED = 3600.0  # seconds after which a copy that is not finished never will be

HEAD = "0004"
"""The schema this program works with. Kept here so that a database that is up to date never loads Alembic."""


def migrate(store: Store, *, now: datetime, backups: Path | None = None) -> None:
    """Bring the database to `HEAD`; do nothing when it is there.

    An SQLite database that holds anything is first copied into `backups` (`VACUUM INTO`).

    Raises:
        StoreError: the database was written by a newer version of this program.
    """
    current = _revision(store)
    if current == HEAD:
        return
    _refuse_newer(current)
    if current is not None and store.is_sqlite and backups is not None:
        _back_up(store, backups / f"before-{HEAD}-{now:%Y%m%dT%H%M%SZ}.db")
    _upgrade(store)


def require_current(store: Store) -> None:
    """Raise `StoreError` unless the database is at `HEAD`: who only looks does not upgrade it."""
    current = _revision(store)
    if current is None:
        raise StoreMissing("The database is empty: `fedibridge run` fills it at its first start.")
    _refuse_newer(current)
    if current != HEAD:
        raise StoreError(
            f"The database has schema {current}, which this version of fedibridge upgrades to {HEAD} when it "
            "starts (`fedibridge run`), after a backup. Start it, then look again."
        )


def _refuse_newer(current: str | None) -> None:
    if current is not None and current > HEAD:
        raise StoreError(
            f"The database has schema {current}, this version of fedibridge knows {HEAD}. "
            "Run the newer version you ran before, or restore the backup made when it upgraded."
        )


def _revision(store: Store) -> str | None:
    with store.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return None
        revision = tx.scalar(text("SELECT version_num FROM alembic_version"))
    if not isinstance(revision, str) or not re.fullmatch("[0-9]{4}", revision):
        raise StoreError(
            f"The database says that its schema is {revision!r:.100}, which does not exist: its table "
            "alembic_version is damaged. Restore a backup (docs/operations.md says how)."
        )
    return revision


def _back_up(store: Store, target: Path) -> None:
    if target.exists():
        return  # another process of ours starts in the same second
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tidy(target.parent, now=time.time())
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", delete=False) as draft:
        pass  # empty, which VACUUM INTO accepts, and private from its first byte
    with store.maintenance() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (draft.name,))
    Path(draft.name).replace(target)
    log.info("Copied the database to %s before upgrading it.", target)


def _tidy(backups: Path, *, now: float) -> None:
    """Remove copies that were never finished: whoever made them was killed. One under way is younger."""
    for draft in backups.glob("before-*.db.*"):
        if now - draft.stat().st_mtime > UNFINISHED:
            draft.unlink(missing_ok=True)
            log.warning("Removed %s, a copy of the database that was never finished.", draft)


def _upgrade(store: Store) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with store.rebuild() as tx:
        if not store.is_sqlite:  # several machines may start at once: the first one upgrades
            tx.execute(select(text("pg_advisory_xact_lock(470115)")))
        config.attributes["connection"] = tx
        command.upgrade(config, "head")


def differences(tx: Connection) -> list[object]:
    """Compare the migrated database with `schema.py`; an empty list means they agree (a test asks)."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    found: list[object] = compare_metadata(MigrationContext.configure(tx), schema.metadata)
    return found
