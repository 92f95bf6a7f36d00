"""A database that goes away or has no room: said once, answered with 503, and over by itself."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from databases import Postgres, opened
from fake_peer import Person
from lab import CAFE, INBOX, Lab
from processes import free_port
from sqlalchemy.exc import OperationalError

from bridge.cli.run import until_there_is_room
from bridge.errors import StoreDamaged, StoreUnavailable
from bridge.pump.engine import pump
from bridge.services import Services
from bridge.store import Store, identity
from bridge.store.engine import _postgresql
from bridge.store.outage import CALM_WHEN_FULL, Watch
from bridge.worker.jobs import Worker


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def sentences(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "bridge.store.outage"]


def fill(lab: Lab) -> None:
    """Let the database have no page more than it has: the same as a full disk."""
    with lab.store.read() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def make_room(lab: Lab) -> None:
    with lab.store.read() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count = 1000000")


def large_follow(person: Person) -> dict[str, object]:
    return person.follow(CAFE) | {"summary": "x" * 50_000}


@pytest.fixture
def full(lab: Lab) -> Lab:
    fill(lab)
    return lab


def test_what_a_full_disk_does_not_take_is_never_acknowledged(full: Lab) -> None:
    alice = full.peer().person()
    follow = large_follow(alice)
    assert [alice.send(follow, INBOX) for _ in range(3)] == [503] * 3
    assert full.arrivals() == []
    make_room(full)
    assert alice.send(follow, INBOX) == 202
    full.work()
    assert full.follower_ids() == {alice.id}


def test_a_full_disk_is_one_sentence(full: Lab, caplog: pytest.LogCaptureFixture) -> None:
    alice = full.peer().person()
    for _ in range(3):
        alice.send(large_follow(alice), INBOX)
    (said,) = sentences(caplog)
    assert said == (
        "The database cannot be used: database or disk is full. Make room on its disk; nothing is lost."
    )
    assert not any(record.exc_info for record in caplog.records)


def test_a_server_that_is_away_is_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(_postgresql(f"postgresql://bridge:secret@127.0.0.1:{free_port()}/bridge"))
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="Connection refused"), store.read():
            pass
        with pytest.raises(StoreUnavailable), store.write():
            pass
    (said,) = sentences(caplog)
    assert "nothing is lost" in said
    assert "secret" not in said


def test_a_database_that_comes_back_is_used_again_by_who_had_it_open(
    postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_server.migrated() as url, opened(url) as store:
        with store.write() as tx:
            identity.set_meta(tx, "a", "1")
        with postgres_server.away(url):
            for _ in range(3):
                with pytest.raises(StoreUnavailable), store.write() as tx:
                    identity.set_meta(tx, "a", "2")
        with store.read() as tx:
            assert identity.get_meta(tx, "a") == "1"
    assert len(sentences(caplog)) == 1, "its end is said when it has been over for a while"


def test_a_database_that_goes_in_the_middle_of_a_transaction_takes_nothing_of_it(
    postgres_server: Postgres,
) -> None:
    with postgres_server.migrated() as url, opened(url) as store:
        with pytest.raises(StoreUnavailable), store.write() as tx:
            identity.set_meta(tx, "a", "1")
            with postgres_server.away(url):
                pass
        with store.read() as tx:
            assert identity.get_meta(tx, "a") is None


def failing(watch: Watch, why: str) -> None:
    with pytest.raises(StoreUnavailable), watch.over(writing=True):
        raise OperationalError("INSERT", {}, Exception(why))


def test_the_end_of_an_outage_is_said_once_and_only_when_it_has_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    moments = [0.0]
    watch = Watch(clock=lambda: moments[0])
    caplog.set_level(logging.WARNING)
    failing(watch, "database or disk is full")
    with watch.over(writing=False):
        pass  # reading needs no room
    moments[0] = 30.0
    with watch.over(writing=True):
        pass  # a small change found some
    failing(watch, "database or disk is full")
    moments[0] += CALM_WHEN_FULL
    for _ in range(2):
        with watch.over(writing=True):
            pass
    assert sentences(caplog)[1:] == ["The database can be used again, after 90 s."]


def test_a_mistake_of_ours_is_no_outage(store) -> None:
    with pytest.raises(Exception, match="nonsense") as raised, store.read() as tx:
        tx.exec_driver_sql("SELECT nonsense")
    assert not isinstance(raised.value, StoreUnavailable)


def test_what_was_done_while_the_database_was_away_is_written_down_when_it_is_back() -> None:
    due, settled, tries = [[1, 2], [3]], [], iter([True, True, False, False])

    def settle(results) -> None:
        if next(tries):
            raise StoreUnavailable("away")
        settled.extend(results)

    async def handle(item: int) -> int:
        return item

    written_down: list[int] = []  # when more was claimed

    def claim(_: int) -> list[int]:
        written_down.append(len(settled))
        return due.pop(0) if due else []

    stop = asyncio.Event()
    assert asyncio.run(pump(claim, handle, settle, slots=5, stop=stop, pause=0)) == 3
    assert sorted(settled) == [1, 2, 3]
    assert written_down == [0, 2, 3]


def test_a_claim_that_fails_does_not_lose_what_is_under_way() -> None:
    settled: list[int] = []
    claims = iter([[1], StoreUnavailable("away")])
    until_claimed = asyncio.Event()

    def claim(_: int) -> list[int]:
        answer = next(claims, [])
        if isinstance(answer, StoreUnavailable):
            loop.call_soon_threadsafe(until_claimed.set)
            raise answer
        return answer

    async def handle(item: int) -> int:
        await until_claimed.wait()
        return item

    async def run() -> int:
        nonlocal loop
        loop = asyncio.get_running_loop()
        return await pump(claim, handle, settled.extend, slots=5, stop=asyncio.Event(), pause=0)

    loop: asyncio.AbstractEventLoop
    assert asyncio.run(run()) == 1
    assert settled == [1]


def test_while_the_database_is_away_no_job_begins_and_none_complains(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(lab.services, lab.client, asyncio.Event())
    began: list[str] = []

    async def fail() -> None:
        began.append("first")
        raise StoreUnavailable("away")

    async def work() -> None:
        began.append("second")

    lab.run(worker._run("deliver", fail))
    lab.run(worker._run("poll", work))
    assert began == ["first"]
    assert caplog.records == []


def test_readiness_says_that_the_database_is_away(full: Lab) -> None:
    with full.store.read() as tx:
        identity.base_url(tx)
    full.services.store._engine.dispose()
    path = full.services.config.data / "fedibridge.db"
    path.rename(path.with_suffix(".gone"))
    path.mkdir()
    status, body = full.bridge.get(f"{full.services.config.base_url}/readyz")
    assert status == 503
    assert "database" in body["error"]


def test_whoever_starts_while_the_disk_is_full_waits_and_says_so_once(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([StoreUnavailable("full")] * 3 + [lab.services])

    def open_() -> Services:
        answer = next(answers)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    assert until_there_is_room(open_, pause=0) is lab.services
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and "bridge.cli" in r.name]
    assert said == [
        "Waiting for the database before starting: full",
        "The database is usable: starting.",
    ]


def test_nobody_waits_for_a_damaged_database(lab: Lab) -> None:
    def open_() -> Services:
        raise StoreDamaged("damaged")

    with pytest.raises(StoreDamaged):
        until_there_is_room(open_, pause=0)
