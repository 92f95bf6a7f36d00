"""PostgreSQL behind a line that goes silent: nobody waits for it without end, and the inbox says 503."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from bad_line import BadLine
from databases import Postgres
from lab import CAFE, INBOX, Lab
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from bridge.errors import StoreUnavailable
from bridge.store import Store, deliveries, identity, postgres
from bridge.store.postgres import PATIENT, PING_SECONDS, PROMPT, Timeouts
from bridge.worker.jobs import Worker

QUICK = Timeouts(connect=2, statement=0.8, pool=0.5)


@pytest.fixture
def line(postgres_server: Postgres) -> Iterator[BadLine]:
    with postgres_server.migrated() as url, BadLine(url) as line:
        yield line


@pytest.fixture
def store(line: BadLine) -> Iterator[Store]:
    from sqlalchemy.engine import make_url

    opened = Store(postgres.engine(make_url(line.url), QUICK))
    yield opened
    opened.close()


def write(store: Store, value: str) -> None:
    with store.write() as tx:
        identity.set_meta(tx, "a", value)


def read(store: Store) -> str | None:
    with store.read() as tx:
        return identity.get_meta(tx, "a")


@pytest.mark.parametrize("swallow_new", [True, False], ids=["swallowed", "dropped"])
def test_a_silent_line_is_an_outage_and_then_over(
    store: Store, line: BadLine, swallow_new: bool, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, "1")
    with line.stall(swallow_new=swallow_new):
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                write(store, "2")
    assert read(store) == "1"
    write(store, "3")
    assert read(store) == "3"
    assert caplog.text.count("The database cannot be used: ") == 1


def test_a_line_that_goes_silent_within_a_transaction_ends_it(store: Store, line: BadLine) -> None:
    write(store, "1")
    with pytest.raises(StoreUnavailable, match="no answer from PostgreSQL in 1 s"), store.write() as tx:
        identity.set_meta(tx, "a", "2")
        with line.stall():
            identity.set_meta(tx, "a", "3")
    assert read(store) == "1"


def test_the_server_ends_a_statement_that_takes_too_long(store: Store) -> None:
    with pytest.raises(DBAPIError, match="statement timeout") as raised, store.read() as tx:
        tx.execute(text("SELECT pg_sleep(30)"))
    assert not isinstance(raised.value, StoreUnavailable), "the database is there: the statement is at fault"


def test_what_goes_through_whole_tables_may_take_longer(store: Store) -> None:
    with store.long_write() as tx:
        tx.execute(text("SELECT pg_sleep(1.2)"))
    with store.write() as tx:
        assert tx.scalar(text("SHOW statement_timeout")) == "800ms"
        with pytest.raises(DBAPIError, match="statement timeout"):
            tx.execute(text("SELECT pg_sleep(30)"))


def test_every_connection_is_kept_alive_and_limited(store: Store) -> None:
    with store.read() as tx:
        said = tx.connection.driver_connection.info.get_parameters()
        assert tx.scalar(text("SHOW statement_timeout")) == "800ms"
    assert said["keepalives_idle"] == "15"
    assert said["tcp_user_timeout"] == "15000"
    assert said["connect_timeout"] == "2"


def test_what_the_address_says_of_the_line_is_heeded(line: BadLine) -> None:
    from bridge.store import open_store

    opened = open_store(f"{line.url}?keepalives_idle=7&connect_timeout=9", prompt=True)
    with opened.read() as tx:
        said = tx.connection.driver_connection.info.get_parameters()
        assert tx.scalar(text("SHOW statement_timeout")) == "3s"
    assert (said["keepalives_idle"], said["connect_timeout"]) == ("7", "9")
    opened.close()


def test_while_the_line_is_silent_one_at_a_time_waits_for_it(store: Store, line: BadLine) -> None:
    write(store, "1")

    def ask(_: int) -> None:
        with pytest.raises(StoreUnavailable):
            read(store)

    with line.stall():
        ask(0)
        before = line.accepted
        with ThreadPoolExecutor(20) as threads:
            list(threads.map(ask, range(200)))
        assert line.accepted - before <= 3


def test_more_than_the_pool_holds_is_an_outage_not_a_fault(store: Store) -> None:
    begin, end = threading.Barrier(16), threading.Event()

    def hold() -> None:
        with store.read() as tx:
            identity.base_url(tx)
            begin.wait()
            end.wait()

    with ThreadPoolExecutor(15) as threads:
        held = [threads.submit(hold) for _ in range(15)]
        begin.wait()
        with pytest.raises(StoreUnavailable, match="all connections to it are in use"):
            read(store)
        end.set()
        for one in held:
            one.result()


# ── the inbox ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("swallow_new", [True, False], ids=["swallowed", "dropped"])
def test_the_inbox_answers_503_meanwhile_and_takes_it_afterwards(
    make_services, clock, line: BadLine, swallow_new: bool
) -> None:
    def make(**written):
        return make_services(database=line.url, prompt=True, **written)

    with Lab(make, clock) as lab:
        alice = lab.peer().person()
        lab.follow(alice)
        with line.stall(swallow_new=swallow_new):
            for _ in range(3):
                assert alice.send(alice.follow(CAFE), INBOX) == 503
            assert lab.bridge.get(f"{lab.services.config.base_url}/readyz")[0] == 503
        assert alice.send(alice.follow(CAFE), INBOX) == 202


def test_the_web_process_is_never_kept_waiting_for_five_seconds() -> None:
    """The longest ways to a 503: a connection that rested, a new one, one under way, and none free."""
    ways = (PING_SECONDS + PROMPT.connect, PROMPT.connect + PROMPT.answer / 2, PROMPT.answer)
    assert max(*ways, PROMPT.pool + PROMPT.connect) < 5


def test_a_statement_that_postgresql_ends_is_a_503_in_the_web_process(make_services, clock, line) -> None:
    """A table that somebody locks: the request waits as long as a statement may take, and no longer."""

    def make(**written):
        return make_services(database=line.url, prompt=True, **written)

    with Lab(make, clock) as lab:
        alice = lab.peer().person()
        lab.follow(alice)
        engine = postgres.engine(make_url(line.url), PROMPT)
        with engine.connect() as other:
            other.execute(text("LOCK TABLE seen, inbox, undone IN ACCESS EXCLUSIVE MODE"))
            assert alice.send(alice.follow(CAFE), INBOX) == 503
        engine.dispose()
        assert alice.send(alice.follow(CAFE), INBOX) == 202


# ── silent on a connection that stays open ───────────────────────────────────────────────────────


def test_a_line_that_falls_silent_in_mid_statement_lets_the_jobs_go_on(make_services, clock, line) -> None:
    """Nothing is closed and nothing refused: each job ends with an outage, and works when the line does."""

    def make(**written):
        return make_services(database=line.url, **written)

    with Lab(make, clock) as lab:
        store = Store(postgres.engine(make_url(line.url), QUICK))
        worker = Worker(replace(lab.services, store=store), lab.client, asyncio.Event())
        jobs = [
            lambda: worker._receiver.run(worker._stop),
            lambda: worker._poller.run(worker._stop),
            lambda: worker._deliverer.run(deliveries.FAST, worker._stop),
            lambda: worker._registrar.run(worker._stop),
            lambda: asyncio.to_thread(worker.beat),
        ]
        around = postgres.engine(make_url(line.url.replace(f":{line.port}/", f":{line.target[1]}/")), PATIENT)

        async def run_all() -> list[object]:
            return await asyncio.gather(*(job() for job in jobs), return_exceptions=True)

        async def fall_silent() -> list[object]:
            running = asyncio.ensure_future(run_all())
            await asyncio.sleep(0.1)  # they wait for the lock, in the middle of their statements
            with line.stall():
                return await running

        with around.connect() as other:
            tables = "inbox, sources, deliveries, remote_actors, heartbeats"
            other.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
            ended = lab.run(fall_silent())
        assert [type(one) for one in ended] == [StoreUnavailable] * len(jobs)
        around.dispose()
        for job in jobs:  # one at a time asks whether it is back
            lab.run(job())
        with store.read() as tx:
            assert identity.workers(tx)
        store.close()
