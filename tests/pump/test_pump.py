import asyncio
import threading
import time

import pytest

from bridge.errors import StoreUnavailable
from bridge.pump.engine import pump


class Queue:
    """Items to pump, and everything the pump did with them."""

    def __init__(self, *items):
        self.waiting = list(items)
        self.claims = []  # how many were asked for
        self.settled = []  # one list per batch
        self.started = []
        self.renewed = []  # one list per renewal
        self.under_way = self.most_under_way = 0
        self.stop = threading.Event()

    def claim(self, room):
        self.claims.append(room)
        taken, self.waiting = self.waiting[:room], self.waiting[room:]
        return taken

    def settle(self, results):
        self.settled.append(list(results))

    async def handle(self, item):
        self.started.append(item)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self.work(item)
        except asyncio.CancelledError:
            return f"{item} interrupted"
        finally:
            self.under_way -= 1

    async def work(self, item):
        await asyncio.sleep(0)
        return item

    @property
    def done(self):
        return sorted(result for batch in self.settled for result in batch)

    def renew(self, items):
        self.renewed.append(sorted(items))

    def run(self, *, slots=10, grace=0.1, renewal=60):
        return asyncio.run(
            pump(
                self.claim,
                self.handle,
                self.settle,
                renew=self.renew,
                renewal=renewal,
                slots=slots,
                stop=self.stop,
                grace=grace,
            )
        )


def test_nothing_due_is_nothing_done():
    queue = Queue()
    assert queue.run() == 0
    assert (queue.claims, queue.settled) == ([10], [])


def test_everything_that_is_due_is_handled_and_settled_once():
    queue = Queue(*range(95))
    assert queue.run(slots=10) == 95
    assert queue.done == list(range(95))


def test_never_more_is_under_way_than_there_are_slots():
    queue = Queue(*range(50))
    queue.run(slots=7)
    assert queue.most_under_way == 7
    assert max(queue.claims) <= 7


def test_what_finishes_together_is_settled_together():
    queue = Queue(*range(40))
    queue.run(slots=20)
    assert [len(batch) for batch in queue.settled] == [20, 20]


def test_something_that_hangs_delays_nothing_else():
    class Hanging(Queue):
        async def work(self, item):
            if item == "hangs":
                while len(self.done) < 30:  # until all the others have been settled
                    await asyncio.sleep(0.01)
            return str(item)

    queue = Hanging("hangs", *range(30))
    assert queue.run(slots=4) == 31
    assert queue.settled[-1] == ["hangs"]


def test_what_becomes_due_while_something_hangs_is_picked_up():
    class Growing(Queue):
        async def work(self, item):
            if item == "hangs":
                self.waiting.append("late")
                while "late" not in self.done:
                    await asyncio.sleep(0.01)
            return item

    queue = Growing("hangs")
    assert queue.run() == 2


def test_what_waits_for_what_is_under_way_is_claimed_when_that_is_done():
    """Of one host's only so many may be under way: a claim that finds none then is not the end."""

    class OneAtATime(Queue):
        def claim(self, room):
            return super().claim(1) if not self.under_way else []

        async def work(self, item):
            await asyncio.sleep(0.12)  # longer than a tick, so that something is claimed meanwhile
            return item

    queue = OneAtATime("a", "b", "c")
    assert queue.run() == 3
    assert queue.done == ["a", "b", "c"]


def test_the_database_is_not_asked_all_the_time_while_something_hangs():
    class Hanging(Queue):
        async def work(self, item):
            await asyncio.sleep(0.6)
            return item

    queue = Hanging("hangs")
    queue.run()
    assert len(queue.claims) <= 4


def test_the_database_is_used_outside_the_event_loop():
    threads = set()

    class Watching(Queue):
        def claim(self, room):
            threads.add(threading.current_thread())
            return super().claim(room)

        def settle(self, results):
            threads.add(threading.current_thread())
            super().settle(results)

    Watching(1).run()
    assert threading.main_thread() not in threads


# ── leases ───────────────────────────────────────────────────────────────────────────────────────


class Lasting(Queue):
    """Items that take until they were renewed so often; what is negative raises, 0 is done at once."""

    async def work(self, item):
        if item < 0:
            raise OSError("poison")
        while sum(item in items for items in self.renewed) < item:
            await asyncio.sleep(0.01)
        return item


def test_the_leases_of_what_is_under_way_are_renewed_together_until_it_is_done():
    queue = Lasting(0, 3, 2)
    assert queue.run(renewal=0.2) == 3
    assert queue.renewed[:2] == [[2, 3], [2, 3]]
    assert 2 not in queue.renewed[-1]


def test_what_raised_is_left_to_its_lease():
    queue = Lasting(-1, 3)
    queue.run(renewal=0.05)
    assert queue.renewed
    assert all(items == [3] for items in queue.renewed)


def test_a_lease_is_renewed_while_its_result_waits_for_the_database():
    class Away(Queue):
        def settle(self, results):
            if len(self.renewed) < 2:
                raise StoreUnavailable("away")
            super().settle(results)

    queue = Away(7)
    asyncio.run(pump(queue.claim, queue.handle, queue.settle, renew=queue.renew, renewal=0.01, slots=1,
                     stop=queue.stop, pause=0.02))  # fmt: skip
    assert queue.settled == [[7]]
    assert queue.renewed[:2] == [[7], [7]]


def test_what_is_short_is_never_renewed():
    queue = Queue(*range(50))
    queue.run(slots=7)
    assert queue.renewed == []


def test_after_a_suspension_leases_are_renewed_before_anything_is_claimed():
    class Suspended(Lasting):
        def claim(self, room):
            if self.claims:
                assert any(2 in items for items in self.renewed), (
                    "it would be claimed here again, although it is under way"
                )
            return super().claim(room)

        async def work(self, item):
            if item == 1:
                time.sleep(0.2)  # as if the whole process had been stopped
            return await super().work(item)

    queue = Suspended(2, 1)
    queue.run(slots=3, renewal=0.15)
    assert queue.done == [1, 2]


def test_a_renewal_that_fails_is_logged_and_stops_nothing(caplog):
    class Failing(Lasting):
        def renew(self, items):
            super().renew(items)
            raise OSError("no such table")

    queue = Failing(2, 0)
    assert queue.run(renewal=0.05) == 2
    assert "no such table" in caplog.text


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_claimed_after_a_stop():
    queue = Queue(1, 2, 3)
    queue.stop.set()
    assert queue.run() == 0
    assert (queue.claims, queue.started) == ([], [])


def test_what_is_under_way_at_a_stop_may_finish_within_its_grace():
    class Stopping(Queue):
        async def work(self, item):
            self.stop.set()
            await asyncio.sleep(0.1)
            return item

    queue = Stopping(1, 2, 3, 4)
    assert queue.run(slots=2, grace=5) == 2
    assert queue.done == [1, 2]
    assert queue.waiting == [3, 4]


def test_what_is_still_under_way_after_the_grace_is_interrupted_and_settled():
    class Hanging(Queue):
        async def work(self, item):
            self.stop.set()
            await asyncio.Event().wait()

    queue, before = Hanging("a", "b", "c"), time.monotonic()
    assert queue.run(slots=2, grace=0.1) == 2
    assert queue.done == ["a interrupted", "b interrupted"]
    assert queue.waiting == ["c"]
    assert time.monotonic() - before < 3


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_a_handler_that_raises_is_logged_and_costs_the_others_nothing(caplog):
    class Poisonous(Queue):
        async def work(self, item):
            if item == 3:
                raise KeyError("poison")
            return item

    queue = Poisonous(*range(8))
    assert queue.run(slots=4) == 8
    assert queue.done == [0, 1, 2, 4, 5, 6, 7]
    assert "poison" in caplog.text


def test_a_handler_that_lets_itself_be_cancelled_is_logged(caplog):
    async def handle(_item):
        raise asyncio.CancelledError

    queue = Queue(1)
    queue.handle = handle
    assert queue.run() == 1
    assert "CancelledError" in caplog.text
    assert queue.settled == []


@pytest.mark.parametrize("broken", ["claim", "settle"])
def test_a_database_that_fails_is_reported_when_nothing_is_under_way_any_more(broken):
    class Failing(Queue):
        def claim(self, room):
            if broken == "claim" and self.claims:
                raise OSError("disk full")
            return super().claim(room)

        def settle(self, results):
            if broken == "settle":
                raise OSError("disk full")
            super().settle(results)

        async def work(self, item):
            await asyncio.sleep(item / 5)
            return item

    queue = Failing(0, 1)
    with pytest.raises(OSError, match="disk full"):
        queue.run(slots=3)
    assert sorted(queue.started) == [0, 1]
    assert queue.under_way == 0
