"""Polling: what it costs to find out that nothing is new, beside a bare GET of the same feeds."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult

from benchmarks.feedhost import KINDS, running_feeds
from benchmarks.sink import DOMAIN
from benchmarks.tables import Table, spread
from bridge.cli.settings import Settings
from bridge.net.client import PER_HOST, Client
from bridge.net.failures import CONNECT_SECONDS
from bridge.poll.poller import SLOTS, Poller
from bridge.services import Services
from bridge.store import sources

SITES = 10  # each has keys of its own; what counts is the number of sources
GOAL = "an unchanged poll under 1.5 ms of processor time (10,000 sources every 15 minutes are 11 a second)"
_NAMES = {"304": "304 Not Modified", "same": "200 with the same bytes"}


@dataclass
class Costs:
    """Milliseconds of processor time per poll, round by round."""

    bridge: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def measure(*, quick: bool) -> list[Table]:
    """Measure the bridge's poller and a bare loop in turns."""
    count, rounds = (100, 1) if quick else (2_000, 5)
    costs = {kind: Costs() for kind in KINDS}
    with tempfile.TemporaryDirectory() as name, running_feeds(Path(name)) as port:
        for kind in KINDS:
            folder = Path(name) / kind
            folder.mkdir()
            with _bridge(folder, port, kind, count) as services:
                _measure_kind(services, count, rounds, costs[kind])
    return [_table(count, costs)]


def _measure_kind(services: Services, count: int, rounds: int, costs: Costs) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_poll(services, count))  # the first poll, which reads everything
        with services.store.read() as tx:
            urls = [source.location for source in sources.all_sources(tx)]
        for _ in range(rounds):
            cpu, wall = runner.run(_poll(services, count))
            costs.bridge.append(cpu)
            costs.wall.append(wall)
            costs.bare.append(runner.run(_get_all(urls)))


async def _poll(services: Services, count: int) -> tuple[float, float]:
    """Poll every source; return milliseconds of processor and of wall time per poll."""
    with services.store.write() as tx:
        sources.make_due(tx, now=services.now())
    async with Client(services.user_agent, services.reach) as client:
        poller = Poller(services, client)
        cpu, wall = time.process_time(), time.perf_counter()
        polled = await poller.run(asyncio.Event())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if polled != count:
        raise RuntimeError(f"{polled} sources were polled instead of {count}")
    return cpu * 1000 / count, wall * 1000 / count


# ── the anchor ───────────────────────────────────────────────────────────────────────────────────


class _Loopback(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Hold nothing to close."""


async def _get_all(urls: list[str]) -> float:
    """GET every feed with nothing but aiohttp; return milliseconds of processor time per GET."""
    waiting = iter(urls)
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=CONNECT_SECONDS)
    connector = aiohttp.TCPConnector(
        resolver=_Loopback(), use_dns_cache=False, limit=0, limit_per_host=PER_HOST
    )
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        started = time.process_time()
        await asyncio.gather(*(_get_some(session, waiting) for _ in range(SLOTS)))
        spent = time.process_time() - started
    return spent * 1000 / len(urls)


async def _get_some(session: aiohttp.ClientSession, waiting: Iterator[str]) -> None:
    for url in waiting:
        async with session.get(url, headers={"If-None-Match": '"unchanged"'}) as response:
            await response.read()


# ── the bridge ───────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _bridge(folder: Path, port: int, kind: str, count: int) -> Iterator[Services]:
    """Open a bridge with `count` feeds, each on a host of its own."""
    lines = ['base_url = "https://cafe.example"']
    for site in range(SITES):
        about = f'handle = "@s{site}@cafe.example"\nwebsite = "https://cafe.example/"\nname = "Café"'
        lines.append(f"[sites.s{site}]\n{about}")
        for number in range(site, count, SITES):
            feed = f"http://h{number:06d}.{DOMAIN}:{port}/{kind}.xml"
            lines.append(f'[[sites.s{site}.sources]]\nname = "{number}"\nfeed = "{feed}"')
    config = folder / "config.toml"
    config.write_text("\n".join(lines))
    services = Settings(config=config, allow=(f"127.0.0.1:{port}",), resolve=(f"{DOMAIN}=127.0.0.1",)).open()
    try:
        yield services
    finally:
        services.close()


# ── what was found ───────────────────────────────────────────────────────────────────────────────


def _table(count: int, costs: dict[str, Costs]) -> Table:
    rows = [
        (
            _NAMES[kind],
            spread(found.bridge, "{:.2f}"),
            spread(found.bare, "{:.2f}"),
            f"{median(found.bridge) / median(found.bare):.2f}",
            f"{1000 / median(found.wall):,.0f}",
        )
        for kind, found in costs.items()
    ]
    return Table(
        f"Polling {count:,} feeds that did not change",
        ("", "ms of processor per poll", "anchor: a bare GET", "ratio", "polls per second"),
        rows,
        GOAL,
        (
            "From the claim in SQLite to the commit of what was found, every thread of the process counted. "
            f"Every feed is on a host of its own, over HTTP without TLS; {SLOTS} at a time.",
        ),
    )
