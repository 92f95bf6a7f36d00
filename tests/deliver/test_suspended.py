"""A worker process that is suspended while it delivers, and woken when another has taken over."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from databases import Postgres
from lab import Lab
from processes import command, environment, wait_for

from bridge.model import DeliveryState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="stops processes by signals"),
]


@contextmanager
def worker(folder: Path, lab: Lab) -> Iterator[subprocess.Popen[bytes]]:
    started = command(folder / "config.toml", *lab.network.options(), "worker")
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(started, stdout=log, stderr=log, cwd=folder, env=environment())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def test_a_worker_that_is_woken_settles_nothing_that_another_has_taken(
    make_services, clock, postgres_server: Postgres, tmp_path: Path
) -> None:
    clock._now = datetime.now(UTC) - timedelta(minutes=1)
    with postgres_server.migrated() as url, Lab(make_services, clock, database=url) as lab:
        alice = lab.peer().person()
        lab.follow(alice)
        lab.publish()
        clock._now = datetime.now(UTC)
        peer = alice.peer
        before, peer.hangs = len(peer.knocks), True
        with worker(tmp_path, lab) as first:
            wait_for(lambda: len(peer.knocks) > before, why="the first worker sends nothing")
            os.kill(first.pid, signal.SIGSTOP)
            peer.hangs = False
            with worker(tmp_path, lab) as second:
                wait_for(lambda: not lab.deliveries(DeliveryState.PENDING), seconds=40, why="not taken over")
                told = _settled(lab)
                os.kill(first.pid, signal.SIGCONT)
                os.kill(first.pid, signal.SIGTERM)  # it gives back, or settles, what it believes to have
                first.wait(20)
                assert second.poll() is None
                assert _settled(lab) == told
        assert peer.types.count("Create") == 1
        assert lab.deliveries(DeliveryState.PENDING) == []


def _settled(lab: Lab) -> list[tuple[object, ...]]:
    with lab.store.read() as tx:
        rows = tx.exec_driver_sql(
            "SELECT id, state, attempts, status, leased, settled_at, reason FROM deliveries ORDER BY id"
        )
        return [tuple(row) for row in rows]
