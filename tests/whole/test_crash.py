"""What survives when processes die: real workers, a real web process, SIGKILL and SIGTERM under load."""

import http.client
import os
import random
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from benchmarks.crash import CONCURRENCY, describe, run_round
from benchmarks.inbox import wait_for_web
from benchmarks.machine import family
from benchmarks.processes import Process, until
from benchmarks.sink import running_sink
from benchmarks.strangers import Follow, introduce, make_keys
from benchmarks.subject import Subject, new_subject
from bridge.store import schema

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc, which only Linux has"),
]
SEED = 20_261_123


def test_workers_killed_at_fifty_random_moments_lose_nothing(tmp_path: Path) -> None:
    done = run_round(tmp_path, seed=SEED)
    print(describe(done))
    assert done.problems() == []
    assert {stop.code for stop in done.stops} == {-signal.SIGKILL}
    assert max(len(stop.under_way) for stop in done.stops) <= CONCURRENCY
    assert done.under_way > 0, "no kill came while anything was under way: the test proves nothing"


def test_workers_told_to_stop_under_load_leave_no_lease_and_send_nothing_twice(tmp_path: Path) -> None:
    done = run_round(tmp_path, seed=SEED, stops=10, deliveries=2_000, how=signal.SIGTERM)
    print(describe(done))
    assert done.problems() == []
    assert done.duplicates == 0
    for stop in done.stops:
        assert stop.code == 0
        assert stop.seconds < 8
        assert not stop.under_way


def test_what_the_inbox_accepted_survives_the_death_of_the_web_process(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with running_sink(tmp_path, tls=True) as sink, new_subject(tmp_path, sink) as subject:
        follows = introduce(subject, sink, make_keys(2), 300)
        accepted: set[str] = set()
        for lot in _cut(follows, chance, pieces=6):
            with subject.start("web") as web:
                wait_for_web(subject)
                accepted |= _send_until_it_dies(subject, web, lot)
        assert 0 < len(accepted) < len(follows), "no Follow met a death: the test proves nothing"
        assert accepted <= _stored(subject)


def _cut(follows: Sequence[Follow], chance: random.Random, *, pieces: int) -> Iterator[Sequence[Follow]]:
    cuts = [0, *sorted(chance.sample(range(1, len(follows)), pieces - 1)), len(follows)]
    yield from (follows[start:end] for start, end in pairwise(cuts))


def _send_until_it_dies(subject: Subject, web: Process, follows: Sequence[Follow]) -> set[str]:
    """Send from four connections; kill everything when half is accepted. Return the ids that were."""
    accepted: set[str] = set()
    left = iter(follows)

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            for follow in left:
                if follow.post(connection) == 202:
                    accepted.add(follow.activity_id)
        connection.close()

    with ThreadPoolExecutor() as threads:
        senders = [threads.submit(send) for _ in range(4)]
        until(lambda: len(accepted) >= len(follows) // 2, "half of them")
        for pid in list(family(web.pid)):  # the parent first: it would start another one
            os.kill(pid, signal.SIGKILL)
    for sender in senders:
        sender.result()
    return accepted


def _stored(subject: Subject) -> set[str]:
    with subject.services.store.read() as tx:
        return set(tx.scalars(select(schema.inbox.c.activity_id)))
