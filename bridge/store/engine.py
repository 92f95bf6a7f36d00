"""Opens the database, SQLite or PostgreSQL, so that a commit means the same on both."""

import ctypes
import errno
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreDamaged, StoreError, StoreMissing, StoreUnavailable
from bridge.store import belonging
from bridge.store.outage import Watch, damaged, explain, is_damage

log = logging.getLogger(__name__)

Tx = Connection
"""An open transaction. Outside this package it is only ever handed back to functions of this package."""

_HOLDER = "bridge_holder"

BUSY_TIMEOUT = 10.0  # seconds a writer waits for another process's short transaction


class Store:
    """The database. `write()` and `read()` are the only ways in.

    On SQLite one thread of a process writes at a time (`BEGIN IMMEDIATE` under a lock): waiting for a
    lock in Python is fair and cheap, waiting inside SQLite is neither.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{_HOLDER: 1 + secrets.randbelow(2**31 - 1)})
        self._writer = threading.Lock() if engine.dialect.name == "sqlite" else None
        self._watch = Watch()
        self._file = File(Path(engine.url.database or "")) if self._writer else None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is one machine's embedded database."""
        return self._writer is not None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Open a transaction that commits when the block ends and rolls back when it raises.

        Raises `StoreUnavailable`, as `read` does, when the database is away or has no room.
        """
        if self._writer is None:
            with self._watch.over(writing=True), self._engine.begin() as tx:
                yield tx
            return
        with (
            self._watch.over(writing=True, unless=self._why_not()),
            self._writer,
            self._engine.connect().execution_options(bridge_write=True) as tx,
            tx.begin(),
        ):
            yield tx

    def _why_not(self) -> str | None:
        return self._file.replaced() if self._file else None

    def trouble(self) -> str | None:
        """Say what is wrong with the database that passes by no waiting: it was replaced, or is damaged."""
        told = self._file.told() if self._file else None
        return self._why_not() or self._watch.damage or told

    def remember_file(self) -> None:
        """Write down, beside an embedded database, which file is open and whether it is damaged."""
        if self._file and not self._file.replaced():
            self._file.remember(self._watch.damage or self._file.told())

    def check(self) -> str | None:
        """Look whether an embedded database is damaged, in all its pages; return what is wrong.

        It takes seconds for each gigabyte. What was found damaged once is looked at more closely.
        """
        if self._file is None or self._why_not():
            return self.trouble()
        how = "integrity_check" if self._file.told() else "quick_check"
        with suppress(StoreDamaged):
            with self.read() as tx:
                found = tx.exec_driver_sql(f"PRAGMA {how}(1)").scalar_one()
            if found != "ok":
                self._watch.damaged(str(found))
        self._file.remember(self._watch.damage)
        return self._watch.damage

    @contextmanager
    def long_write(self) -> Iterator[Tx]:
        """Open a transaction as `write` does that may take minutes, for what goes through whole tables."""
        with self.write() as tx:
            if not self.is_sqlite:
                from bridge.store.postgres import without_limit

                without_limit(tx)
            yield tx

    @contextmanager
    def rebuild(self) -> Iterator[Tx]:
        """Open a writing transaction in which tables may be made anew.

        SQLite changes a table by copying and dropping it, which foreign keys would forbid: here they are
        not looked at until the end.
        """
        if self._writer is None:
            with self.long_write() as tx:
                yield tx
            return
        options = {"bridge_write": True, "bridge_rebuild": True}
        with self._writer, self._engine.connect().execution_options(**options) as tx:
            try:
                with tx.begin():
                    yield tx
                    _refuse_orphans(tx)
            finally:
                tx.invalidate()  # no connection without foreign keys goes back into the pool

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Open a transaction that only reads."""
        with self._watch.over(writing=False, unless=self._why_not()), self._engine.connect() as tx:
            yield tx

    @contextmanager
    def maintenance(self) -> Iterator[Tx]:
        """Open a connection outside any transaction, for what SQLite refuses inside one (VACUUM)."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT", bridge_plain=True) as tx:
            yield tx

    def fold_log(self) -> None:
        """Write SQLite's log into the database and empty it: it still holds what was erased since."""
        if self._writer is not None:
            with self._writer, self.maintenance() as tx:
                tx.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give every connection back."""
        if self._why_not():
            # SQLite's last connection writes its log into the file when it is closed, whosever that is now:
            # so none is closed, and the end of the process is their end.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._engine))
            return
        self._engine.dispose()
        if self._file:
            self._file.close()


class File:
    """An embedded database's file, as long as it is open.

    One descriptor is kept until all connections are closed: POSIX drops a process's locks on a file when
    *any* of its descriptors is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._which = belonging.which(path)
        self._descriptor = os.open(path, os.O_RDONLY) if self._which else -1
        self._counter = belonging.counter(self._descriptor) if self._which else 0
        self._replaced: str | None = None

    def replaced(self) -> str | None:
        """Say that the file we have open is no longer the database, or that another was copied over it."""
        if self._replaced is None and self._descriptor >= 0 and self._is_another():
            self._replaced = (
                f"The database {self._path} was replaced while it was open; nothing is read or written any "
                f"more. {belonging.advice(self._path)}"
            )
        return self._replaced

    def _is_another(self) -> bool:
        if belonging.which(self._path) not in (self._which, None):
            return True
        count = belonging.counter(self._descriptor)
        is_older, self._counter = count < self._counter, max(count, self._counter)
        return is_older

    def told(self) -> str | None:
        """Return what a process of ours has found damaged in this very file."""
        before = belonging.recall(self._path)
        return before.damage if before.file == self._which else None

    def remember(self, damage: str | None) -> None:
        """Write down that this file is open, and whether it is damaged."""
        belonging.remember(self._path, self._counter, damage=damage)

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def tx_holder(tx: Tx) -> int:
    """Return the number that stands for this process in the rows it has leased; no two have the same."""
    number: int = tx.get_execution_options()[_HOLDER]
    return number


def open_store(
    url: str, *, binding: ModuleType | None = None, prompt: bool = False, create: bool = True
) -> Store:
    """Open the database at `url` (``sqlite:///path`` or ``postgresql://…``).

    `binding` is the SQLite module to use instead of the newest one at hand; `prompt`: who asks has to answer
    within seconds, and cannot wait long for a PostgreSQL that does not. Without `create` a file that is not
    there is an error: who only looks leaves nothing behind.

    Raises:
        StoreDamaged, StoreUnavailable: it cannot be used, or not now.
        StoreError: it cannot be reached or created; the message names it without its password.
    """
    parsed = make_url(url)
    shown = parsed.render_as_string(hide_password=True)
    if not create and parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        raise StoreMissing(f"There is no database at {parsed.database} yet: `fedibridge run` makes it.")
    try:
        engine = (
            _sqlite(Path(parsed.database or ""), binding or sqlite_module())
            if parsed.get_backend_name() == "sqlite"
            else _postgresql(url, prompt=prompt)
        )
        with engine.connect() as tx:
            if engine.dialect.name == "sqlite":
                tx.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # only now is there a log
    except (DBAPIError, OSError) as error:
        raise _cannot_open(shown, error) from error
    store = Store(engine)
    if create:
        store.remember_file()
    return store


def _cannot_open(shown: str, error: DBAPIError | OSError) -> StoreError:
    cause = str(getattr(error, "orig", None) or error).strip()
    if isinstance(error, DBAPIError) and is_damage(error):
        return StoreDamaged(f"{shown}: {damaged(cause)}")
    is_away = isinstance(error, DBAPIError) and explain(error) is not None
    kind = StoreUnavailable if is_away or getattr(error, "errno", 0) == errno.ENOSPC else StoreError
    return kind(f"{shown}: cannot open the database: {cause}")


def _postgresql(url: str, *, prompt: bool = False) -> Engine:
    from bridge.store import postgres  # its driver costs memory that an installation on SQLite has no use for

    return postgres.engine(make_url(url), postgres.PROMPT if prompt else postgres.PATIENT)


def _sqlite(path: Path, module: ModuleType) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    belonging.refuse_foreign_log(path)
    _keep_private(path)
    journal = "WAL" if wal_is_safe(module.sqlite_version) else "DELETE"
    if journal == "DELETE":
        log.warning(
            "SQLite %s may lose committed rows in WAL mode (fixed in 3.51.3): using journal_mode=DELETE, "
            "which is safe and a little slower.",
            module.sqlite_version,
        )
    engine = create_engine(
        f"sqlite:///{path}", module=module, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False}
    )
    event.listen(engine, "connect", _on_connect(journal))
    event.listen(engine, "begin", _on_begin)
    return engine


def _keep_private(path: Path) -> None:
    """The database holds the private keys: nobody else on the machine may read it."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)


def sqlite_module() -> ModuleType:
    """Return the newest SQLite binding at hand: pysqlite3 where it has a wheel, else Python's own."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        return sqlite3
    assert isinstance(dbapi2, ModuleType)
    return dbapi2


def wal_is_safe(version: str) -> bool:
    """Say whether this SQLite has the fix for the WAL-reset bug: 3.51.3, or a back-port to 3.50 or 3.44."""
    numbers = tuple(int(part) for part in version.split("."))
    return numbers >= (3, 51, 3) or (3, 50, 7) <= numbers < (3, 51) or (3, 44, 6) <= numbers < (3, 45)


def _on_connect(journal: str):  # type: ignore[no-untyped-def]  # SQLAlchemy's listeners are untyped
    def configure(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        _set_journal(cursor, journal)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten, not only unlinked
        cursor.close()

    return configure


def _set_journal(cursor, journal: str) -> None:  # type: ignore[no-untyped-def]
    """Set the journal mode; of processes that open a new database together, all but one are told to wait.

    SQLite does not wait by itself here: the busy timeout does not cover a change of the journal.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            cursor.execute(f"PRAGMA journal_mode={journal}")
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _on_begin(tx: Connection) -> None:
    # A deferred BEGIN that writes later gets SQLITE_BUSY at once, with any timeout (python/cpython#124510).
    options = tx.get_execution_options()
    if options.get("bridge_plain"):
        return
    if options.get("bridge_rebuild"):
        tx.exec_driver_sql("PRAGMA foreign_keys=OFF")  # has no effect after BEGIN
    immediate = options.get("bridge_write")
    tx.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _refuse_orphans(tx: Connection) -> None:
    orphans = tx.exec_driver_sql("PRAGMA foreign_key_check").all()
    if orphans:
        raise StoreError(
            f"Upgrading would leave rows that belong to nothing: {orphans[:5]}. Please report it."
        )
