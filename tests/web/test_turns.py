"""Waiting for a thread: whoever sends most waits for itself, and whoever is new goes first."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bridge.web import turns
from bridge.web.turns import LATELY, Crowded, Turns


class Hall:
    """One thread, held by the first who came; who comes later is noted when it is their turn."""

    def __init__(self) -> None:
        self.time = 0.0
        self.turns = Turns(1, clock=lambda: self.time)
        self.served: list[str] = []
        self.refused: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, *parties: str) -> None:
        for party in parties:
            self.tasks.append(asyncio.create_task(self._wait(party)))
            await asyncio.sleep(0)

    async def _wait(self, party: str) -> None:
        try:
            await self.turns.come(party)
        except Crowded:
            self.refused.append(party)
        else:
            self.served.append(party)

    async def serve(self, count: int) -> list[str]:
        """End so many turns, one after the other; return whose began."""
        before = len(self.served)
        for _ in range(count):
            self.turns.end()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return self.served[before:]


def run(test: Callable[[Hall], Awaitable[None]]) -> None:
    async def within() -> None:
        hall = Hall()
        await hall.come("busy")
        assert hall.served == ["busy"]
        await test(hall)
        for task in hall.tasks:
            task.cancel()
        await asyncio.gather(*hall.tasks, return_exceptions=True)

    asyncio.run(within())


def test_a_first_request_does_not_wait_behind_a_flood() -> None:
    async def test(hall: Hall) -> None:
        await hall.come(*["flood"] * 50)
        await hall.serve(1)
        await hall.come("real")
        assert await hall.serve(2) in (["real", "flood"], ["flood", "real"])

    run(test)


def test_two_hundred_parties_of_a_flood_wait_for_a_new_one() -> None:
    async def test(hall: Hall) -> None:
        names = [f"junk{number}" for number in range(200)]
        await hall.come(*names)
        await hall.serve(200)
        await hall.come(*names, *names)
        await hall.come("real")
        assert "real" in await hall.serve(2)

    run(test)


def test_parties_take_turns_and_each_is_served_in_the_order_it_came() -> None:
    async def test(hall: Hall) -> None:
        await hall.come("a", "b")
        await hall.serve(2)
        await hall.come("a", "a", "a", "b", "b")
        assert await hall.serve(5) == ["a", "b", "a", "b", "a"]

    run(test)


def test_whoever_was_here_lately_is_not_starved_by_ever_new_names() -> None:
    async def test(hall: Hall) -> None:
        await hall.come("known")
        await hall.serve(1)
        await hall.come(*(f"made-up-{number}" for number in range(40)), "known", "known")
        assert (await hall.serve(4)).count("known") == 2

    run(test)


def test_of_those_that_are_new_the_newest_goes_first() -> None:
    async def test(hall: Hall) -> None:
        await hall.come("a", "b", "c")
        assert await hall.serve(3) == ["c", "b", "a"]

    run(test)


def test_after_a_while_a_party_is_new_again() -> None:
    async def test(hall: Hall) -> None:
        await hall.come("old")
        await hall.serve(1)
        hall.time += LATELY + 1
        await hall.come("new", "old")
        assert await hall.serve(2) == ["old", "new"]

    run(test)


def test_a_party_has_a_share_of_the_room_to_wait_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING_OF_ONE", 3)

    async def test(hall: Hall) -> None:
        await hall.come(*["flood"] * 5, "real")
        assert hall.refused == ["flood"] * 2
        assert len(hall.turns) == 4

    run(test)


def test_where_all_room_is_taken_the_largest_party_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 6)

    async def test(hall: Hall) -> None:
        await hall.come("early", *["flood"] * 5, "real", "other")
        await asyncio.sleep(0)
        assert hall.refused == ["flood"] * 2
        assert sorted(await hall.serve(6)) == ["early", "flood", "flood", "flood", "other", "real"]
        assert len(hall.turns) == 0

    run(test)


def test_whoever_gives_up_takes_no_turn() -> None:
    async def test(hall: Hall) -> None:
        await hall.come("a", "b", "c")
        hall.tasks[2].cancel()
        await asyncio.sleep(0)
        assert await hall.serve(2) == ["c", "a"]
        await hall.serve(1)  # the thread is free now
        await hall.come("d")
        assert hall.served[-1] == "d"

    run(test)
