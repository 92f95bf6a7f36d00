"""A run of the tests that is killed leaves no PostgreSQL server behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from databases import SERVER_VARIABLE
from places import ROOT

A_RUN = """
import sys
from databases import Missing, postgres
try:
    with postgres() as server, server.migrated() as url:
        print(url, flush=True)
        sys.stdin.read()
except Missing as missing:
    print(missing)
"""


@contextmanager
def a_run(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start a process that uses a throw-away server; yield it and the server's URL."""
    environ = {name: value for name, value in os.environ.items() if name != SERVER_VARIABLE}
    environ |= {"PYTHONPATH": f"{ROOT / 'tests/support'}:{ROOT}", "TMPDIR": str(home)}
    words = [sys.executable, "-c", A_RUN]
    with subprocess.Popen(
        words, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        said = process.stdout.readline().strip()
        if not said.startswith("postgresql:"):
            process.kill()
            pytest.skip(said)
        yield process, said


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError as refused:
        return not re.search("refused", str(refused))
    return True


@pytest.mark.parametrize(
    "end",
    [
        lambda process: process.send_signal(signal.SIGKILL),
        lambda process: process.send_signal(signal.SIGTERM),
        lambda process: process.send_signal(signal.SIGINT),
        lambda process: process.stdin.close(),
    ],
    ids=["killed", "stopped", "interrupted", "ended"],
)
def test_a_server_ends_with_the_run_that_started_it(
    end: Callable[["subprocess.Popen[str]"], None], open_folder: Path
) -> None:
    with a_run(open_folder) as (process, url):
        assert answers(url)
        end(process)
        process.wait(20)
    until = time.monotonic() + 20
    while answers(url) or list(open_folder.iterdir()):
        assert time.monotonic() < until, "the server outlived the run, or its folder did"
        time.sleep(0.05)


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the server's own user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="fedibridge-run-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
