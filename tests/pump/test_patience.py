"""What hangs gives its slot up, so that it holds up nobody who answers."""

import asyncio
import threading

import pytest

from bridge.pump.engine import pump
from bridge.pump.open_files import SPARE_FILES, WAITING_TIMES, most_under_way
from bridge.pump.patience import FIRST, LONGEST, SHORTEST, TIMES, Patience


def taught(*seconds: float) -> float:
    patience = Patience(most=100)
    for one in seconds:
        patience.learn(one)
    return patience.seconds


@pytest.mark.parametrize(
    ("lately", "expected"),
    [
        ((), FIRST),
        ((0.1,) * 5, FIRST),  # too few to know
        ((0.001,) * 20, SHORTEST),
        ((0.2,) * 20, 0.2 * TIMES),
        ((0.2,) * 51 + (15.0,) * 49, 0.2 * TIMES),  # those that hung say nothing about the others
        ((15.0,) * 20, LONGEST),
        ((15.0,) * 500 + (0.2,) * 100, 0.2 * TIMES),  # what was long ago is forgotten
    ],
)
def test_an_attempt_keeps_its_slot_a_few_times_as_long_as_others_took(lately, expected):
    assert taught(*lately) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("slots", "files", "expected"),
    [(225, 1 << 20, 225 * WAITING_TIMES), (225, 1024, 1024 - SPARE_FILES), (225, 256, 225), (1, 1024, 4)],
)
def test_no_more_wait_than_the_process_may_have_sockets(slots, files, expected):
    assert most_under_way(slots, files) == expected


class Restless(Patience):
    """One that has no patience at all, so that no test has to wait."""

    seconds = 0.0


class Servers:
    """Deliveries to servers that answer at once, and to some that hang until all others were served."""

    def __init__(self, answering: int, hanging: int) -> None:
        # Those that hang are first in line: the worst order there is.
        self.queue = ["hangs"] * hanging + ["answers"] * answering
        self.left = answering
        self.under_way = self.most = 0
        self.everyone_else_is_served = asyncio.Event()
        self.settled: list[str] = []

    def claim(self, room):
        taken, self.queue = self.queue[:room], self.queue[room:]
        return taken

    async def handle(self, item):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if item == "hangs":
            await self.everyone_else_is_served.wait()
        else:
            self.left -= 1
            if not self.left:
                self.everyone_else_is_served.set()
        self.under_way -= 1
        return item

    async def run(self, *, slots, patience):
        stop = threading.Event()
        return await pump(
            self.claim, self.handle, self.settled.extend, slots=slots, stop=stop, patience=patience
        )


def test_servers_that_hang_hold_up_nobody_who_answers():
    async def run() -> Servers:
        servers = Servers(answering=30, hanging=12)
        await servers.run(slots=5, patience=Restless(most=20))
        return servers

    served = asyncio.run(run())  # would never end: those that hang wait for the others
    assert served.settled.count("answers") == 30
    assert served.settled.count("hangs") == 12
    assert served.most <= 20


def test_never_more_is_under_way_than_patience_allows():
    async def run() -> int:
        servers = Servers(answering=1, hanging=50)
        asyncio.get_running_loop().call_later(0.5, servers.everyone_else_is_served.set)
        await servers.run(slots=5, patience=Restless(most=12))
        return servers.most

    assert asyncio.run(run()) == 12


def test_without_patience_a_slot_is_kept_to_the_end():
    async def run() -> int:
        servers = Servers(answering=1, hanging=8)
        asyncio.get_running_loop().call_later(0.3, servers.everyone_else_is_served.set)
        await servers.run(slots=5, patience=None)
        return servers.most

    assert asyncio.run(run()) == 5
