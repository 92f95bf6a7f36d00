"""One row that cannot be read or handled stops nothing else, and its owner is told."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from lab import BAKERY, CAFE, INBOX, Lab
from rows import add_follower, add_post, news, publish
from sqlalchemy import Column, insert, select, text

from bridge.cli.inspect import _gather
from bridge.errors import StoreUnavailable
from bridge.model import Harvest
from bridge.poll.harvest import plan
from bridge.publish.drafts import render
from bridge.pump.engine import pump
from bridge.store import Store, aside, deliveries, outgoing, posts, schema, sources
from bridge.worker.jobs import Worker

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

GARBAGE = ("garbage", b"\xff\x00", 7, "", "{")
"""What SQLite takes in any column."""

NUMBERS = itertools.count()

IDENTITY = {"meta", "sites.key", "sites.handle", "alembic_version"}
"""What says who we are: garbage there stops the start with a sentence (tests/identity/test_identity.py)."""


TABLES = [
    table.name
    for table in schema.metadata.sorted_tables
    if table.dialect_options["sqlite"]["with_rowid"]  # the others hold numbers alone, and fall due by none
]


@pytest.fixture
def lab(make_services: Callable[..., object], clock: object) -> Iterator[Lab]:
    with Lab(make_services, clock, more=BAKERY) as lab:
        yield lab


# ── garbage anywhere ─────────────────────────────────────────────────────────────────────────────


def fill(lab: Lab) -> None:
    """Put a row of the café's into every table."""
    now = lab.clock.now()
    alice = lab.peer("one.example").person()
    lab.follow(alice)
    lab.publish()
    with lab.store.write() as tx:
        pk = posts.row_of(tx, "cafe", lab.newest().id)
        add_follower(tx, "ann", "two.example", now=now)
        source = tx.scalar(select(schema.sources.c.id).where(schema.sources.c.site == "cafe"))
        mine = {"site": "cafe", "source_id": source, "post_pk": pk}
        held = {"kind": "edit", "reason": "r", "entry": {}, "content_hash": "x", "held_at": now}
        tx.execute(insert(schema.holds).values(**mine, **held))
        hub = {"hub": "https://hub.example/", "topic": "t", "token": "t", "secret": "s", "state": "asked"}
        tx.execute(insert(schema.subscriptions).values(source_id=source, due_at=now, **hub))
        push = {"content_type": "text/xml", "body": b"<rss/>", "received_at": now}
        tx.execute(insert(schema.pushes).values(source_id=source, **push))
        tx.execute(insert(schema.peers).values(host="one.example", failures=1, failing_since=now))
        tx.execute(insert(schema.pictures).values(url="https://cafe.example/a", state="good", looked_at=now))
        tx.execute(insert(schema.ignored).values(type="View", count=1, last_at=now))
        due = {"edit_due_at": now, "check_at": now, "look_at": now, "missing_since": now}
        tx.execute(schema.posts.update().values(due))
        tx.execute(schema.remote_actors.update().values(due_at=now, why_due="changed"))
    alice.send(alice.follow(CAFE), INBOX)


def columns() -> list[Column[object]]:
    return [
        column
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if not {table.name, f"{table.name}.{column.name}"} & IDENTITY
    ]


@pytest.mark.parametrize("table", [name for name in TABLES if name not in IDENTITY])
def test_garbage_in_any_column_of_a_row_lets_all_else_go_on(lab: Lab, table: str) -> None:
    """Another site's posts are read, published and delivered, and the program starts.

    What says who we are stops the start with a sentence: tests/identity/test_identity.py.
    """
    fill(lab)
    row = _a_row_of_the_cafe(lab, table)
    for column in (one for one in columns() if one.table.name == table):
        for value in GARBAGE:
            _spoil(lab, column, value, row)
            _see_that_the_rest_goes_on(lab, f"{column}={value!r}")


def _a_row_of_the_cafe(lab: Lab, table: str) -> int:
    where = "WHERE site = 'cafe'" if "site" in schema.metadata.tables[table].columns else ""
    with lab.store.read() as tx:
        return tx.scalar(text(f"SELECT min(rowid) FROM {table} {where}")) or 0


def _spoil(lab: Lab, column: Column[object], value: object, row: int) -> None:
    """Write garbage into a row of the café's; some constraint may refuse it, and then it cannot happen."""
    table = column.table.name
    with lab.store.maintenance() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        try:
            connection.exec_driver_sql(
                f'UPDATE {table} SET "{column.name}" = ? WHERE rowid = ?', (value, row)
            )
        except Exception as error:
            assert "datatype mismatch" in str(error) or "constraint" in str(error), error
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _see_that_the_rest_goes_on(lab: Lab, what: str) -> None:
    stop = asyncio.Event()
    worker = Worker(lab.services, lab.client, stop)
    worker.take_over()
    worker.beat()
    try:
        lab.run(_every_job(worker))
        worker._keep_house()
        _gather(lab.services)
        with lab.store.write() as tx:
            _deliver_the_bakerys_news(tx, lab)
    except Exception as error:
        raise AssertionError(f"{what} stops everything: {error!r}") from error


async def _every_job(worker: Worker) -> None:
    stop = worker._stop
    for run in (
        worker._receiver.run(stop),
        worker._registrar.run(stop),
        worker._poller.run(stop),
        worker._subscriber.take_pushes(stop),
        worker._subscriber.run(stop),
        worker._asker.run(stop),
        worker._looker.run(stop),
        worker._deliverer.drain(stop),
    ):
        await run
    await asyncio.to_thread(worker._folders.watch)
    await asyncio.to_thread(worker._publish_due)


def _deliver_the_bakerys_news(tx, lab: Lab) -> None:
    now = lab.clock.now()
    number = next(NUMBERS)
    new = replace(news(object_uri=f"https://bakery.example/{number}"), site="bakery")
    pk = outgoing.add_activity(tx, new, now=now)
    inbox = f"https://bakers{number}.example/inbox"
    assert outgoing.deliver_to(tx, pk, new, inbox, f"bakers{number}.example", now=now)
    claimed = deliveries.claim(tx, 50, lane=deliveries.FAST, busy=[], per_host=50, now=now)
    assert inbox in [one.inbox for one in claimed]
    assert "bakery" in [source.site for source in sources.all_sources(tx)]


def test_the_program_starts_with_garbage_in_its_sources(lab: Lab) -> None:
    fill(lab)
    with lab.store.write() as tx:
        tx.exec_driver_sql(
            "UPDATE sources SET due_at = 7, problems = '{', last_ok_at = 'x' WHERE site = 'cafe'"
        )
    lab.change_config(sources=lab.feed + BAKERY)
    with lab.store.read() as tx:
        assert [source.site for source in sources.all_sources(tx)] == ["bakery"]


# ── what is set aside ────────────────────────────────────────────────────────────────────────────


def test_a_row_that_cannot_be_read_is_put_off_ever_longer_and_said(
    cafe: Store, clock, caplog: pytest.LogCaptureFixture
) -> None:
    with cafe.write() as tx:
        tx.execute(text("UPDATE sources SET problems = '{' WHERE site = 'cafe'"))
    tries = 0
    for _ in range(60):
        with cafe.write() as tx:
            assert "cafe" not in [one.site for one in sources.claim_due(tx, 10, now=clock.now())]
            (told,) = aside.listing(tx)
            assert told.tries >= tries
            tries = told.tries
        clock.tick(MINUTE)
    assert 3 <= tries <= 4
    assert told.reason.startswith("problems cannot be read")
    assert caplog.text.count("set aside") == 1


def test_a_delivery_that_cannot_be_read_is_given_up_and_the_others_go(cafe: Store, clock) -> None:
    with cafe.write() as tx:
        for name in ("ann", "bob"):
            add_follower(tx, name, f"{name}.example", now=clock.now())
        publish(tx, news(), now=clock.now())
        first = tx.scalar(select(schema.deliveries.c.id).limit(1))
        other = insert(schema.activities).values(
            site="cafe", uri="u", type="x", object_uri="o", body=b"", created_at=clock.now()
        )
        tx.execute(other)
        if cafe.is_sqlite:
            tx.execute(text("UPDATE deliveries SET object_uri = x'ff' WHERE id = :id"), {"id": first})
    if not cafe.is_sqlite:
        return  # PostgreSQL takes nothing of the kind
    for _ in range(aside.TRIES):
        with cafe.write() as tx:
            deliveries.claim(tx, 10, lane=deliveries.FAST, busy=[], per_host=9, now=clock.now())
        clock.tick(DAY)
    with cafe.read() as tx:
        row = tx.execute(text("SELECT state, reason FROM deliveries WHERE id = :id"), {"id": first}).one()
    assert row.state == "dropped"
    assert row.reason.startswith("set aside: object_uri cannot be read")


def test_what_is_handled_well_is_no_longer_shown(cafe: Store, clock) -> None:
    with cafe.write() as tx:
        add_post(tx, now=clock.now())
        aside.put(tx, sources.DUE, 1, "it failed", now=clock.now())
    aside.settle_each(cafe, [1], lambda tx, key: None, due=sources.DUE, key=lambda key: key, now=clock.now())
    with cafe.read() as tx:
        assert aside.listing(tx) == []


def test_one_that_cannot_be_settled_is_set_aside_and_the_others_are_settled(
    cafe: Store, clock, caplog: pytest.LogCaptureFixture
) -> None:
    settled = []

    def settle(tx, key: int) -> None:
        if key == 1:
            raise RuntimeError("a fault of ours")
        settled.append(key)

    for _ in range(3):
        settled.clear()
        aside.settle_each(cafe, [2, 1, 3], settle, due=sources.DUE, key=lambda key: key, now=clock.now())
        assert settled[-2:] == [2, 3]
    with cafe.read() as tx:
        (told,) = aside.listing(tx)
    assert (told.key, told.tries, told.reason) == ("1", 3, "RuntimeError: a fault of ours")
    assert sum(record.exc_info is not None for record in caplog.records) == 1


def test_what_is_given_up_is_forgotten_in_the_end(cafe: Store, clock) -> None:
    with cafe.write() as tx:
        for _ in range(aside.TRIES):
            aside.put(tx, sources.DUE, 1, "it failed", now=clock.now())
        aside.put(tx, sources.DUE, 2, "it failed once", now=clock.now())
        aside.purge(tx, now=clock.now() + 4 * DAY)
        assert [one.key for one in aside.listing(tx)] == ["1"]
        aside.purge(tx, now=clock.now() + 31 * DAY)
        assert aside.listing(tx) == []


def test_what_cannot_be_handled_is_given_to_be_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    waiting, spoiled, settled = [[1, 2, 3]], [], []

    async def handle(item: int) -> int:
        if item == 2:
            raise RuntimeError("a fault of ours")
        return item

    def claim(_room: int) -> list[int]:
        return waiting.pop() if waiting else []

    async def run() -> int:
        return await pump(
            claim,
            handle,
            settled.extend,
            spoiled=lambda item, error: spoiled.append((item, str(error))),
            slots=3,
            stop=asyncio.Event(),
        )

    assert asyncio.run(run()) == 3
    assert (sorted(settled), spoiled) == ([1, 3], [(2, "a fault of ours")])
    assert caplog.records == []


# ── a post that cannot be rendered ───────────────────────────────────────────────────────────────


def test_an_entry_that_cannot_be_rendered_costs_that_entry_and_is_named(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab.poll()
    lab.blog.post("Buns", "Fresh.")
    lab.blog.post("Rolls", "Also fresh.")
    source = lab.source()
    now = lab.clock.now()
    from bridge.model import Entry

    entries = [
        Entry(guid=name, link=f"https://cafe.example/{name}", title=name, html="<p>x</p>", published_at=now)
        for name in ("good", "bad")
    ]
    found = plan(lab.services, source, Harvest(tuple(entries), partial=True), now=now)
    spoilt = tuple(
        replace(one, entry=replace(one.entry, tags=(None,))) if one.entry.guid == "bad" else one  # type: ignore[arg-type]
        for one in found.created
    )
    drafted = render(lab.services, source, replace(found, created=spoilt), now=now)
    assert [draft.change.entry.guid for draft in drafted.drafts] == ["good"]
    (problem,) = drafted.problems
    assert problem.where == "bad"
    assert "cannot be rendered, and is left out" in problem.what
    assert logging.ERROR in [record.levelno for record in caplog.records]


def test_a_post_that_cannot_be_stored_costs_that_post_and_is_named(
    make_services, clock, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Lab(make_services, clock, database=database) as lab:
        alice = lab.peer().person()
        lab.follow(alice)
        lab.poll()
        doomed = lab.publish("Doomed")
        for title in ("Buns", "Rolls", "Cakes"):
            lab.blog.post(title, "Fresh.")
        for _ in range(3):  # it comes again at every poll, with one traceback in all
            (read,) = lab.read_sources()
            lab.poller.settle([_spoilt(read, "Rolls")])
        with lab.store.read() as tx:
            (told,) = aside.listing(tx)
        assert (told.what, told.tries) == ("posts.identity", 3)
        assert "surrogates not allowed" in told.reason
        (problem,) = lab.source().problems
        assert problem.where in told.key
        assert "cannot be stored, and is left out" in problem.what
        assert sum(record.exc_info is not None for record in caplog.records) == 1
        lab.deliver()
        assert alice.peer.types.count("Create") == 3, "the doomed one, buns and cakes"
        (read,) = lab.read_sources()
        lab.poller.settle([read])  # mended
        lab.deliver()
        assert alice.peer.types.count("Create") == 4
        with lab.store.read() as tx:
            assert aside.listing(tx) == []
        assert lab.source().problems == ()
        assert doomed.id


def _spoilt(read, title: str):
    drafts = [
        replace(one, post=replace(one.post, page_url="\ud800")) if one.change.entry.title == title else one
        for one in read.plan.drafts
    ]
    return replace(read, plan=replace(read.plan, drafts=tuple(drafts)))


def test_an_outage_while_a_post_is_stored_is_not_the_posts_failure(cafe: Store) -> None:
    from sqlite3 import OperationalError as Full

    from sqlalchemy.exc import OperationalError

    def fill_the_disk() -> None:
        raise OperationalError("INSERT", {}, Full("database or disk is full"))

    with pytest.raises(StoreUnavailable), cafe.write() as tx:
        aside.apart(tx, fill_the_disk)
