"""Looking up names: those that hang hold up nobody but their like, and no thread is waited for."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bridge.addresses import Reach
from bridge.net.client import Client
from bridge.net.dns import PER_DOMAIN, Lookups, Share, _share, shared_by
from bridge.people.fetch import Fetcher, NotNow


class Resolver:
    """Answers every name at once, except that those with `hang` in them wait until they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: Counter[str] = Counter()

    def __call__(self, host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked[host] += 1
        if "hang" in host:
            self.let_go.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.let_go.set()


def run(resolver: Resolver, test: Callable[[Lookups], Awaitable[None]]) -> None:
    async def within() -> None:
        lookups = Lookups(resolver)
        try:
            await test(lookups)
        finally:
            resolver.let_go.set()
            lookups.close()

    asyncio.run(within())


def begin(lookups: Lookups, share: Share, *hosts: str) -> list[asyncio.Task[list[str]]]:
    with shared_by(share):  # tasks inherit it, as those do that aiohttp starts
        return [asyncio.create_task(lookups.addresses(host, 443)) for host in hosts]


async def give_up(tasks: list[asyncio.Task[list[str]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def asked(resolver: Resolver, count: int) -> None:
    """Wait until the resolver was asked about so many names that hang."""
    while sum(number for host, number in resolver.asked.items() if "hang" in host) < count:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("junk", [Share.FIRSTS, Share.STRANGERS])
def test_names_that_hang_leave_all_other_shares_their_threads(resolver: Resolver, junk: Share) -> None:
    async def test(lookups: Lookups) -> None:
        names = [f"hang{number}.example" for number in range(2 * junk.value)]
        hanging = begin(lookups, junk, *names)
        await asked(resolver, junk.value)
        for share in set(Share) - {junk}:
            (found,) = begin(lookups, share, "well.example")
            assert await asyncio.wait_for(found, 30) == ["192.0.2.1"]
        assert sum(resolver.asked.values()) == junk.value + 2
        await give_up(hanging)

    run(resolver, test)


def test_one_domain_of_a_stranger_does_not_hold_its_whole_share(resolver: Resolver) -> None:
    async def test(lookups: Lookups) -> None:
        names = [f"hang{number}.evil.example" for number in range(Share.STRANGERS.value)]
        hanging = begin(lookups, Share.STRANGERS, *names)
        await asked(resolver, PER_DOMAIN)
        (found,) = begin(lookups, Share.STRANGERS, "well.example")
        assert await asyncio.wait_for(found, 30) == ["192.0.2.1"]
        assert sum(resolver.asked.values()) == PER_DOMAIN + 1
        await give_up(hanging)

    run(resolver, test)


def test_who_gives_up_does_not_free_a_thread_that_still_waits(resolver: Resolver) -> None:
    async def test(lookups: Lookups) -> None:
        waiting = begin(lookups, Share.FIRSTS, *(f"hang{n}.evil.example" for n in range(PER_DOMAIN)))
        await asked(resolver, PER_DOMAIN)
        await give_up(waiting)
        (more,) = begin(lookups, Share.FIRSTS, "more.evil.example")
        await asyncio.sleep(0)
        assert "more.evil.example" not in resolver.asked
        resolver.let_go.set()
        assert await asyncio.wait_for(more, 30) == ["192.0.2.1"]

    run(resolver, test)


def test_our_own_look_ups_of_one_domain_are_not_counted(resolver: Resolver) -> None:
    async def test(lookups: Lookups) -> None:
        hanging = begin(lookups, Share.OURS, *(f"hang{n}.blogs.example" for n in range(PER_DOMAIN + 1)))
        await asked(resolver, PER_DOMAIN + 1)
        await give_up(hanging)

    run(resolver, test)


@pytest.mark.parametrize(("first", "share"), [(True, Share.FIRSTS), (False, Share.STRANGERS)])
def test_what_strangers_have_us_fetch_is_looked_up_in_their_share(
    make_services, first: bool, share: Share
) -> None:
    shares = []

    async def lookup(host: str, port: int) -> list[str]:
        shares.append(_share.get())
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    async def test() -> None:
        async with Client("test", Reach(private=True), lookup=lookup) as client:
            fetcher = Fetcher(make_services(), client)
            found = await fetcher.key("https://made-up.example/u#key", first=first)
            assert isinstance(found, NotNow)
            await client.post("https://made-up.example/inbox", b"{}", {})

    asyncio.run(test())
    assert shares == [share, Share.OURS]
