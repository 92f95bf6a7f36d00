"""Every index can hold what its column can, and one arrival that we cannot handle stops no other."""

import logging
import random
import string
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from fake_peer import GOTOSOCIAL, Person
from lab import CAFE, INBOX, Lab
from rows import add_post, arrival
from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, insert
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError

from bridge.model import MAX_ID_BYTES
from bridge.receive import effects
from bridge.store import identity, inbox, pictures, posts, schema
from bridge.store.outage import explain
from bridge.store.pictures import Viewed

ROOM = 2_704 - 64  # bytes of a row of a PostgreSQL index, less its header and what aligns it
OURS = 320  # bytes of a column that holds our own words or a host's name, at most
LETTERS = string.ascii_letters + string.digits + "-_.~!$&()*+,;=:@%äßé漢字🥐"


def indexed() -> Iterator[tuple[str, list[Column]]]:
    """Name every index of the schema, primary and unique keys included, with its columns."""
    for table in schema.metadata.sorted_tables:
        keys = [constraint for constraint in table.constraints if constraint.name and constraint.columns]
        for key in [*keys, *table.indexes]:
            if isinstance(key, Index) or type(key).__name__ in ("PrimaryKeyConstraint", "UniqueConstraint"):
                yield f"{table.name}.{key.name}", list(key.columns)


INDEXES = dict(sorted(indexed()))


def most_bytes(column: Column) -> float:
    while column.foreign_keys:
        (column,) = (key.column for key in column.foreign_keys)
    bound = getattr(column.type, "most", None)
    if bound is not None:
        return bound
    if isinstance(column.type, Text):
        return float("inf")  # whatever anyone writes
    return OURS if isinstance(column.type, String) else 8


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_has_room_for_all_that_its_columns_may_hold(name: str) -> None:
    columns = INDEXES[name]
    assert sum(map(most_bytes, columns)) + 8 * len(columns) <= ROOM


def garbage(rounds: random.Random, size: int) -> str:
    """Text that no compression makes shorter."""
    return "".join(rounds.choices(LETTERS, k=size))


def largest(column: Column, rounds: random.Random) -> object:
    kind = column.type
    if hasattr(kind, "most"):
        return garbage(rounds, 3 * kind.most)
    if isinstance(kind, schema.Moment):
        return None
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer):
        return rounds.randrange(2**31)
    if isinstance(getattr(kind, "impl", kind), LargeBinary):
        return b""
    if isinstance(kind, schema.Json):
        return {}
    in_an_index = any(column is one for columns in INDEXES.values() for one in columns)
    return garbage(rounds, OURS // 4 if in_an_index else 5_000)


def test_the_largest_values_fit_into_every_table(store, clock) -> None:
    """Of a copy of each table, without foreign keys: what is tried is the indexes, not the parents."""
    rounds = random.Random(2026)
    with store.write() as tx:
        for table in schema.metadata.sorted_tables:
            copy = table
            if not store.is_sqlite:
                tx.exec_driver_sql(f"CREATE TEMP TABLE probe_{table.name} (LIKE {table.name} INCLUDING ALL)")
                copy = table.to_metadata(MetaData(), name=f"probe_{table.name}")
            else:
                tx.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            _fill(tx, copy, table, rounds, clock)
        tx.rollback()


def _fill(tx, copy: Table, table: Table, rounds: random.Random, clock) -> None:
    for _ in range(3):
        row = {column.name: largest(column, rounds) for column in table.columns}
        row |= {c.name: clock.now() for c in table.columns if isinstance(c.type, schema.Moment)}
        tx.execute(insert(copy).values(**row | {"state": "pending"} if "state" in row else row))


def test_what_is_folded_is_told_apart_by_all_of_it() -> None:
    rounds = random.Random(7)
    for _ in range(50):
        long = garbage(rounds, 1_000)
        folded = schema.fold(long, 512)
        assert len(folded.encode()) <= 512
        assert folded != schema.fold(long[:-1] + "§", 512)
        assert schema.fold(folded, 512) == folded
        assert schema.fold("https://x.example/ä", 512) == "https://x.example/ä"


def test_an_entry_is_found_again_by_a_guid_of_any_length(cafe, clock) -> None:
    guids = [f"guid:{garbage(random.Random(n), 30_000)}" for n in range(3)]
    with cafe.write() as tx:
        pk = add_post(tx, "p1", now=clock.now())
        posts.name(tx, "cafe", pk, guids[:2])
        posts.name(tx, "cafe", pk, guids)  # twice is once
        found = posts.known(tx, "cafe", guids)
        assert {key: post.pk for key, post in found.items()} == dict.fromkeys(guids, pk)
        assert [post.id for post in posts.by_name(tx, guids[2])] == ["p1"]
        assert posts.known(tx, "cafe", [guids[0][:-1]]) == {}


def test_a_picture_is_known_again_by_an_address_of_any_length(store, clock) -> None:
    url = "https://cafe.example/" + garbage(random.Random(1), 9_000)
    with store.write() as tx:
        for width in (10, 20):
            pictures.save(tx, [Viewed(url, width=width)], now=clock.now())
        (seen,) = pictures.known(tx, [url])
    assert (seen.url, seen.width) == (url, 20)


# ── the longest ids, all the way ──────────────────────────────────────────────────────────────────


@pytest.fixture
def lab(make_services, clock, database: str) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def longest(prefix: str, seed: int) -> str:
    """An id of exactly as many bytes as we take."""
    letters = string.ascii_letters + string.digits
    return prefix + "".join(random.Random(seed).choices(letters, k=MAX_ID_BYTES - len(prefix)))


class LongNamed(Person):
    """Someone whose id has every byte that an id may have, their key's and inbox's too."""

    @property
    def id(self) -> str:
        return longest(f"{self.peer.url}/users/{self.user}/", 1)

    @property
    def key_id(self) -> str:
        return longest(f"{self.peer.url}/keys/{self.user}/", 2)

    @property
    def inbox(self) -> str:
        return longest(f"{self.peer.url}/inboxes/{self.user}/", 3)


def long_named(lab: Lab) -> LongNamed:
    peer = lab.peer(software=GOTOSOCIAL)
    peer.people["eve"] = LongNamed(peer, "eve", peer.person("eve").key)
    return peer.people["eve"]


def test_ids_of_every_permitted_length_take_effect_and_stop_nobody(lab: Lab) -> None:
    post = lab.uri(lab.publish())
    eve, alice = long_named(lab), lab.peer("other.example").person()
    number = iter(range(10, 99))

    def own() -> str:
        return longest(f"{eve.peer.url}/own/", next(number))

    follow, like = eve.follow(CAFE, id=own()), eve.like(post, id=own())
    note = eve.note(post, "Hello!", id=own())
    early = {"id": own(), "type": "Like", "actor": eve.id}
    said = [
        *(follow, like, eve.create(note), eve.update(note | {"content": "Hi!"}), eve.boost(post)),
        *(eve.undo(like), eve.undo(early, by_id=True), eve.delete(note), eve.quote_request(post, own())),
        *(eve.undo(follow), eve.follow(CAFE)),
    ]
    for activity in said:
        activity["id"] = own()
        assert eve.send(activity, INBOX) == 202
        lab.work()
    lab.follow(alice)
    assert {state for _, state, _ in lab.arrivals()} == {"done"}
    assert lab.follower_ids() == {eve.id, alice.id}
    assert eve.peer.types.count("Accept") == 3


def test_an_id_that_is_a_byte_too_long_is_refused_at_the_door(lab: Lab) -> None:
    eve = long_named(lab)
    assert eve.send(eve.follow(CAFE, id=longest(f"{eve.peer.url}/", 5) + "x"), INBOX) == 400
    assert lab.arrivals() == []


# ── what we cannot handle ─────────────────────────────────────────────────────────────────────────


def refuse_reactions_of(lab: Lab, actor_id: str) -> None:
    """Let the database refuse some rows, as it does those that are too long for an index."""
    with lab.store.write() as tx:
        if lab.store.is_sqlite:
            tx.exec_driver_sql(
                "CREATE TRIGGER refuse BEFORE INSERT ON interactions "
                f"WHEN NEW.actor_id = '{actor_id}' BEGIN SELECT RAISE(ABORT, 'index row too long'); END"
            )
        else:
            tx.exec_driver_sql(
                f"ALTER TABLE interactions ADD CONSTRAINT refuse CHECK (actor_id <> '{actor_id}')"
            )


@pytest.fixture
def refusing(lab: Lab) -> Iterator[Lab]:
    yield lab
    if not lab.store.is_sqlite:
        with lab.store.write() as tx:
            tx.exec_driver_sql("ALTER TABLE interactions DROP CONSTRAINT IF EXISTS refuse")


def test_an_arrival_that_cannot_take_effect_is_set_aside_and_the_rest_goes_on(
    refusing: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    lab = refusing
    post = lab.uri(lab.publish())
    eve, alice = lab.peer("evil.example").person("eve"), lab.peer().person()
    refuse_reactions_of(lab, eve.id)
    assert eve.send(eve.like(post), INBOX) == 202
    lab.follow(alice)
    assert lab.follower_ids() == {alice.id}
    assert [state for kind, state, _ in lab.arrivals() if kind == "Like"] == ["pending"]
    for _ in range(inbox.QUARANTINE_AFTER):
        lab.wait(minutes=10)
        lab.work()
    ((kind, state, reason),) = [row for row in lab.arrivals() if row[0] == "Like"]
    assert (kind, state) == ("Like", "quarantined")
    assert "Error" in reason
    with lab.store.read() as tx:
        ((_, told, host, why),) = inbox.set_aside(tx)
    assert (told, host, why) == ("Like", eve.peer.netloc, reason)
    lab.wait(days=1)
    caplog.clear()
    assert lab.receive() == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_effect_that_raises_is_set_aside_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError("poison\nand more")

    alice = lab.peer().person()
    monkeypatch.setattr(effects, "EFFECTS", {**effects.EFFECTS, "Block": fail})
    alice.send(alice.block(CAFE), INBOX)
    for _ in range(inbox.QUARANTINE_AFTER):
        lab.work()
        lab.wait(minutes=10)
    assert [(state, reason) for _, state, reason in lab.arrivals()] == [
        ("quarantined", "ZeroDivisionError: poison and more")  # in one line
    ]


def test_what_is_set_aside_is_forgotten_in_the_end(store, clock) -> None:
    with store.write() as tx:
        inbox.store(tx, arrival(), now=clock.now())
        for _ in range(inbox.QUARANTINE_AFTER):
            (got,) = inbox.claim_due(tx, 9, now=clock.tick(timedelta(hours=1)))
            inbox.failed(tx, got.id, "broken", now=clock.now())
        assert len(inbox.set_aside(tx)) == 1
        inbox.purge(tx, now=clock.tick(timedelta(days=8)))
        assert inbox.set_aside(tx) == []


def test_readiness_knows_of_arrivals_that_are_stuck(lab: Lab, clock) -> None:
    url = f"{lab.services.config.base_url}/readyz"

    def ready() -> tuple[int, str]:
        with lab.store.write() as tx:
            identity.beat(tx, "worker", "", now=clock.now())
        status, body = lab.bridge.get(url)
        return status, body.get("error", "")

    alice = lab.peer().person()
    lab.follow(alice)
    alice.send(alice.like(CAFE), INBOX)  # verified with the key we hold
    assert ready()[0] == 200
    lab.wait(minutes=6)
    status, why = ready()
    assert status == 503
    assert "2026-03-01 12:00:00 UTC" in why
    lab.work()
    assert ready()[0] == 200


# ── what is an outage ─────────────────────────────────────────────────────────────────────────────


def said(state: str | None, kind: type = OperationalError) -> Exception:
    class Said(psycopg.OperationalError):
        sqlstate = state

    Said.__module__ = "psycopg.errors"
    return kind("INSERT …", {}, Said("index row size 3400 exceeds btree version 4 maximum 2704"))


@pytest.mark.parametrize(
    "state", ["08006", "08001", "53100", "53200", "53300", "57P01", "57P02", "57P03", "58030", None]
)
def test_a_server_that_cannot_be_used_is_an_outage(state: str | None) -> None:
    assert explain(said(state)) is not None


def test_a_standby_that_only_reads_is_an_outage() -> None:
    assert explain(said("25006", ProgrammingError)) is not None


@pytest.mark.parametrize(
    "state",
    [
        "54000",
        "54001",
        "54023",
        "55000",
        "55P03",
        "40001",
        "40P01",
        "57014",
        "22021",
        "22P02",
        "XX000",
        "XX001",
    ],
)
@pytest.mark.parametrize("kind", [OperationalError, DataError, IntegrityError])
def test_a_statement_that_the_server_refuses_is_no_outage(state: str, kind: type) -> None:
    assert explain(said(state, kind)) is None
