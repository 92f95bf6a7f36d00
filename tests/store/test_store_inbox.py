from datetime import timedelta

import pytest
from rows import arrival
from sqlalchemy import update

from bridge.store import inbox, leases, schema
from bridge.store.inbox import SEEN_FOR, Arrival

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def test_an_arrival_is_handed_to_the_worker_as_it_came(store, clock):
    sent = arrival()
    with store.write() as tx:
        assert inbox.store(tx, sent, now=clock.now())
        (got,) = inbox.claim_due(tx, 9, now=clock.now())
    names = [name for name in Arrival.__slots__ if name != "signature_hash"]
    assert {name: getattr(got, name) for name in names} == {name: getattr(sent, name) for name in names}
    assert (got.attempts, got.received_at) == (1, clock.now())


def test_the_same_request_twice_is_kept_once(store, clock):
    with store.write() as tx:
        assert inbox.store(tx, arrival(), now=clock.now())
        assert not inbox.store(tx, arrival(), now=clock.now())
        assert inbox.waiting(tx) == 1


def test_the_same_request_is_recognised_after_it_took_effect(store, clock):
    with store.write() as tx:
        inbox.store(tx, arrival(), now=clock.now())
        (got,) = inbox.claim_due(tx, 9, now=clock.now())
        inbox.done(tx, got.id, now=clock.now())
        assert not inbox.store(tx, arrival(), now=clock.now())
        assert inbox.claim_due(tx, 9, now=clock.tick(DAY)) == []


def test_arrivals_that_wait_for_a_key_are_counted_apart(store, clock):
    with store.write() as tx:
        inbox.store(tx, arrival(1), now=clock.now())
        inbox.store(tx, arrival(2, verified=False), now=clock.now())
        inbox.store(tx, arrival(3, verified=False), now=clock.now())
        counted = inbox.waiting(tx), inbox.waiting(tx, verified=True), inbox.waiting(tx, verified=False)
    assert counted == (3, 1, 2)


@pytest.mark.parametrize("apart", [timedelta(0), SECOND], ids=["in one breath", "a second apart"])
def test_arrivals_are_claimed_in_the_order_they_came(store, clock, apart):
    sent = [arrival(number) for number in range(20)]
    with store.write() as tx:
        for one in sent:
            inbox.store(tx, one, now=clock.tick(apart))
        for one in sent[2:12]:  # PostgreSQL keeps what was written last behind all else
            tx.execute(
                update(schema.inbox).where(schema.inbox.c.activity_id == one.activity_id).values(reason="")
            )
        claimed = [[one.activity_id for one in inbox.claim_due(tx, 7, now=clock.now())] for _ in range(4)]
    assert [len(some) for some in claimed] == [7, 7, 6, 0]
    assert [one for some in claimed for one in some] == [one.activity_id for one in sent]


def test_an_arrival_is_claimed_again_when_its_worker_died(store, clock):
    with store.write() as tx:
        inbox.store(tx, arrival(), now=clock.now())
        inbox.claim_due(tx, 9, now=clock.now())
        assert inbox.claim_due(tx, 9, now=clock.now()) == []
        (again,) = inbox.claim_due(tx, 9, now=clock.tick(leases.LEASE))
        assert again.attempts == 2
        assert inbox.recover(tx, now=clock.now()) == 1
        assert len(inbox.claim_due(tx, 9, now=clock.now())) == 1


@pytest.mark.parametrize("close", ["done", "refused"])
def test_a_closed_arrival_is_not_claimed_again_and_its_body_is_not_kept(store, clock, close):
    with store.write() as tx:
        inbox.store(tx, arrival(), now=clock.now())
        (got,) = inbox.claim_due(tx, 9, now=clock.now())
        getattr(inbox, close)(tx, got.id, "because", now=clock.now())
        assert inbox.waiting(tx) == 0
        assert inbox.claim_due(tx, 9, now=clock.tick(DAY)) == []
        assert inbox.recover(tx, now=clock.now()) == 0
        kept = tx.exec_driver_sql("SELECT body, request, state, reason FROM inbox").one()
    assert (bytes(kept.body), kept.request, kept.state, kept.reason) == (b"", "{}", close, "because")


def test_an_arrival_whose_server_does_not_answer_waits(store, clock):
    with store.write() as tx:
        inbox.store(tx, arrival(), now=clock.now())
        (got,) = inbox.claim_due(tx, 9, now=clock.now())
        inbox.later(tx, got.id, "timed out", due_at=clock.now() + DAY)
        assert inbox.claim_due(tx, 9, now=clock.now() + leases.LEASE) == []
        (again,) = inbox.claim_due(tx, 9, now=clock.tick(DAY))
    assert again.body == got.body


def test_an_activity_takes_effect_once(store, clock):
    with store.write() as tx:
        assert not inbox.was_seen(tx, "https://one.example/a/1")
        assert inbox.see(tx, "https://one.example/a/1", now=clock.now())
        assert not inbox.see(tx, "https://one.example/a/1", now=clock.now())
        assert inbox.was_seen(tx, "https://one.example/a/1")
        assert inbox.see(tx, "https://one.example/a/2", now=clock.now())


def test_an_undo_is_remembered_even_if_it_comes_first_or_twice(store, clock):
    with store.write() as tx:
        assert not inbox.was_undone(tx, "https://one.example/a/1")
        for _ in range(2):
            inbox.undo(tx, "https://one.example/a/1", now=clock.now())
        assert inbox.was_undone(tx, "https://one.example/a/1")


def test_what_we_take_no_interest_in_is_counted_by_type(store, clock):
    with store.write() as tx:
        for kind in ("View", "Dislike", "View", "x" * 100, "x" * 100):
            inbox.count_ignored(tx, kind, now=clock.now())
        rows = tx.exec_driver_sql("SELECT type, count FROM ignored ORDER BY type")
        assert [tuple(row) for row in rows] == [("Dislike", 1), ("View", 2), ("x" * 60, 2)]


def test_a_stranger_cannot_fill_the_table_of_ignored_types(store, clock):
    with store.write() as tx:
        for number in range(80):
            inbox.count_ignored(tx, f"Type{number}", now=clock.now())
        assert tx.exec_driver_sql("SELECT count(*) FROM ignored").scalar_one() == 50


def test_the_newest_refusals_are_shown_with_their_reason(store, clock):
    with store.write() as tx:
        for number in range(3):
            inbox.store(tx, arrival(number), now=clock.tick(MINUTE))
        for got in inbox.claim_due(tx, 9, now=clock.now())[:2]:
            inbox.refused(tx, got.id, f"bad signature {got.id}", now=clock.now())
        shown = inbox.trouble(tx)
        assert len(inbox.trouble(tx, limit=1)) == 1
    assert [(kind, host) for _, kind, host, _ in shown] == [("Follow", "one.example")] * 2
    assert shown[0][0] > shown[1][0]
    assert shown[0][3].startswith("bad signature")


def test_what_is_closed_is_forgotten_after_a_week_and_what_waits_is_not(store, clock):
    with store.write() as tx:
        for number in range(3):
            inbox.store(tx, arrival(number), now=clock.now())
        one, two, _waiting = inbox.claim_due(tx, 9, now=clock.now())
        inbox.done(tx, one.id, now=clock.now())
        inbox.refused(tx, two.id, "no", now=clock.now())
        inbox.see(tx, "seen", now=clock.now())
        inbox.undo(tx, "undone", now=clock.now())
        inbox.purge(tx, now=clock.tick(SEEN_FOR))
        assert (inbox.was_seen(tx, "seen"), inbox.was_undone(tx, "undone")) == (True, True)
        assert len(inbox.trouble(tx)) == 1
        inbox.purge(tx, now=clock.tick(MINUTE))
        assert (inbox.was_seen(tx, "seen"), inbox.was_undone(tx, "undone")) == (False, False)
        assert inbox.trouble(tx) == []
        assert inbox.waiting(tx) == 1
