"""What the worker asks several times a second finds its rows in an index, however many there are."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from rows import add_follower, claim, news, publish
from sqlalchemy import event

from bridge.store import Store, Tx, deliveries, inbox, remote, sources

LARGE = ("deliveries", "followers", "interactions", "remote_actors", "remote_keys", "inbox", "seen", "undone")
OLD = timedelta(days=60)

QUESTIONS: dict[str, Callable[..., object]] = {
    "is anything due": lambda tx, now: deliveries.is_anything_due(tx, "fast", now=now),
    "claim": lambda tx, now: claim(tx, now=now, busy=["busy.example"]),
    "renew": lambda tx, now: deliveries.renew(tx, [1, 2], now=now),
    "hold a host": lambda tx, now: deliveries.hold_host(tx, "one.example", now),
    "claim arrivals": lambda tx, now: inbox.claim_due(tx, 9, now=now),
    "purge arrivals": lambda tx, now: inbox.purge(tx, now=now),
    "claim looks": lambda tx, now: remote.claim_errands(tx, 9, now=now),
    "claim sources": lambda tx, now: sources.claim_due(tx, 9, now=now),
    "purge actors": lambda tx, now: remote.purge_actors(tx, before=now, after="", limit=9),
    "purge keys": lambda tx, now: remote.purge_keys(tx, before=now, after="", limit=9),
}


def explained(store: Store, ask: Callable[[Tx], object]) -> list[str]:
    """The plans of every statement that `ask` runs, line by line."""
    found: list[str] = []

    def explain(connection, cursor, statement, parameters, _context, many):
        if many or statement.lstrip().upper().startswith(("EXPLAIN", "SET")):
            return
        kind = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
        rows = connection.exec_driver_sql(kind + statement, parameters).all()
        found.extend(str(row[-1]) for row in rows)

    with store.write() as tx:
        if not store.is_sqlite:
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")  # with few rows it would always be chosen
        event.listen(tx, "before_cursor_execute", explain)
        ask(tx)
        event.remove(tx, "before_cursor_execute", explain)
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_large_table_is_read_from_end_to_end(cafe, clock, question):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(), now=clock.now())
    plan = explained(cafe, lambda tx: QUESTIONS[question](tx, clock.now()))
    assert plan
    for line in plan:
        for table in LARGE:
            assert f"Seq Scan on {table}" not in line, line
            whole = line.startswith(f"SCAN {table}") and "INDEX" not in line
            assert not whole, line


def test_a_claim_looks_for_accepts_in_their_own_index(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(), now=clock.now())
    plan = explained(cafe, lambda tx: claim(tx, now=clock.now()))
    assert any("ix_deliveries_accepts" in line for line in plan), plan
