"""Databases for tests, migrated once: an SQLite file to copy, a PostgreSQL database that is emptied."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import psycopg

from bridge.store import Store, migrate, open_store, schema

SERVER_VARIABLE = "FEDIBRIDGE_TEST_POSTGRES"
HOW_TO_GET_IT = (
    "PostgreSQL is not installed: `apt install postgresql`, or name a server on which databases may be "
    f"created and dropped: {SERVER_VARIABLE}=postgresql://user:password@host/postgres"
)
START_SECONDS = 30


class Missing(Exception):
    """PostgreSQL cannot be had here; the message says how to get it."""


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """Open a store of its own, as another process would, and close it."""
    store = open_store(url)
    try:
        yield store
    finally:
        store.close()


def at_once(count: int, work: Callable[[], object]) -> None:
    """Run `work` in so many threads that begin together; raise what any of them raised."""
    begin = Barrier(count)

    def run() -> None:
        begin.wait()
        work()

    with ThreadPoolExecutor(count) as threads:
        for running in [threads.submit(run) for _ in range(count)]:
            running.result()


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────


def migrated_sqlite(path: Path) -> Path:
    """Make an empty, migrated SQLite database to copy from."""
    _migrate(f"sqlite:///{path}")
    return path


def copy_sqlite(template: Path, path: Path) -> str:
    """Put a copy of the template at `path`, unless a database is there; return its URL."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(template, path)
    return f"sqlite:///{path}"


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────


class Postgres:
    """A PostgreSQL server on which tests may make databases."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._shared = self._new_name()

    def prepare(self) -> None:
        """Make the migrated database that tests use one after the other."""
        self._run(f'CREATE DATABASE "{self._shared}"')
        _migrate(self._named(self._shared))

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Yield the URL of a migrated database and empty it afterwards: a new one costs half a second."""
        url = self._named(self._shared)
        yield url
        tables = [table.name for table in reversed(schema.metadata.sorted_tables)]
        with psycopg.connect(url, options="-c lock_timeout=5000") as connection:
            connection.execute(";".join(f'DELETE FROM "{name}"' for name in tables))

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the URL of a new database without any table and drop it afterwards."""
        name = self._new_name()
        self._run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            yield self._named(name)
        finally:
            self._drop(name)

    @contextmanager
    def away(self, url: str) -> Iterator[None]:
        """Let a database refuse everyone, those inside and those who come, until the block ends."""
        name = url.rpartition("/")[2]
        self._run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            self._run(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    def clean_up(self) -> None:
        """Leave the server as it was."""
        self._drop(self._shared)

    def _new_name(self) -> str:
        return f"fedibridge_{secrets.token_hex(6)}"

    def _drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)

    def _named(self, name: str) -> str:
        return self._url.rpartition("/")[0] + f"/{name}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a throw-away server, or use the one the environment names; `Missing` if there is neither."""
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        with _prepared(Postgres(named)) as server:
            yield server
        return
    programs = _programs()
    # Not pytest's folder: the server's own user must be able to enter it.
    with (
        tempfile.TemporaryDirectory(prefix="fedibridge-postgres-") as folder,
        _cluster(programs, Path(folder)) as url,
        _prepared(Postgres(url)) as server,
    ):
        yield server


@contextmanager
def _prepared(server: Postgres) -> Iterator[Postgres]:
    server.prepare()
    try:
        yield server
    finally:
        server.clean_up()


def _programs() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in candidates:
        if all((candidate / name).exists() for name in ("initdb", "postgres")):
            return candidate
    raise Missing(HOW_TO_GET_IT)


@contextmanager
def _cluster(programs: Path, folder: Path) -> Iterator[str]:
    data, port = folder / "data", _free_port()
    _give_away(folder)
    _run_as_server([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                    "--locale=C", "--no-sync"])  # fmt: skip
    unsafe = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")
    listening = ("listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}")
    options = [word for setting in (*unsafe, *listening) for word in ("-c", setting)]
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with _guarded([programs / "postgres", "-D", data, *options], folder) as guard:
        _wait_until_ready(url, guard, folder / "log")
        yield url


# It reads a pipe that nobody writes into, and that closes when this process ends, however it does.
GUARD = """
folder=$1; shift
"$@" &
cat
kill -QUIT $! && wait $!
rm -rf "$folder"
"""


@contextmanager
def _guarded(server: list[object], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the block ends or this process is killed; then its folder goes too."""
    words = ["sh", "-c", GUARD, "guard", str(folder), *_as_server(server)]
    with (folder / "log").open("wb") as log:
        # In a session of its own: what is sent to all processes of this one does not end the guard first.
        guard = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", start_new_session=True
        )
    try:
        yield guard
    finally:
        guard.communicate()


def _wait_until_ready(url: str, guard: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as refused:
            said = log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < until and guard.poll() is None, f"{refused}\n{said}"
            time.sleep(0.05)
        else:
            return


def _run_as_server(command: list[object]) -> None:
    done = subprocess.run(_as_server(command), capture_output=True, cwd="/", check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.decode(errors='replace')}"


def _as_server(command: list[object]) -> list[str]:
    """PostgreSQL refuses to run as root: root hands over to another user."""
    user = _server_user()
    prefix = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
    return [*prefix, *map(str, command)]


def _give_away(folder: Path) -> None:
    user = _server_user()
    if user:
        shutil.chown(folder, user)


def _server_user() -> str | None:
    return None if os.geteuid() else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _migrate(url: str) -> None:
    with opened(url) as store:
        migrate(store, now=datetime.now(UTC))
