"""`bridge poll` and `bridge deliver`: one round, then return."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from bridge.addresses import Reach
from bridge.cli.output import console, say
from bridge.cli.settings import Settings, check_site
from bridge.deliver import Deliverer
from bridge.model import DeliveryState
from bridge.net import Client
from bridge.poll import Poller
from bridge.services import Services
from bridge.store import deliveries, sources
from bridge.worker import stop_on_signals

_T = TypeVar("_T")


@click.command()
@click.argument("site", required=False)
@click.pass_obj
def poll(settings: Settings, site: str | None) -> None:
    """Look at all sources now, or at those of one SITE, publish what is new, and return.

    What is new is queued for delivery: a running worker sends it at once, `bridge deliver` otherwise.
    """
    services = settings.open()
    wanted = _sources_of(services, site)

    async def once(client: Client, stop: asyncio.Event) -> int:
        async with Client(services.user_agent, Reach(private=True), now=services.now) as at_home:
            return await Poller(services, client, at_home=at_home).run(stop)

    with services.store.write() as tx:
        sources.make_due(tx, wanted, now=services.now())
    with console().status("Looking at the sources …"):
        polled = run_once(services, once)
    say(f"Looked at {polled} sources.")
    _report_sources(services, wanted)


@click.command()
@click.pass_obj
def deliver(settings: Settings) -> None:
    """Deliver everything that is due now, and return.

    Deliveries that fail stay queued with the time of their next attempt: see `bridge deliveries`.
    """
    services = settings.open()

    async def once(client: Client, stop: asyncio.Event) -> int:
        return await Deliverer(services, client).drain(stop)

    with console().status("Delivering …"):
        tried = run_once(services, once)
    with services.store.read() as tx:
        counts = deliveries.counts(tx)
    waiting = counts.get(DeliveryState.PENDING, 0)
    say(f"Tried {tried} deliveries; {waiting} wait for another attempt.")


def run_once(services: Services, once: Callable[[Client, asyncio.Event], Awaitable[_T]]) -> _T:
    """Do something that needs the network, until it is done or Ctrl-C."""

    async def go() -> _T:
        stop = stop_on_signals()
        async with Client(services.user_agent, services.reach, now=services.now) as client:
            return await once(client, stop)

    return asyncio.run(go())


def _sources_of(services: Services, site: str | None) -> list[int]:
    check_site(services, site)
    with services.store.read() as tx:
        return [source.id for source in sources.all_sources(tx) if site in (None, source.site)]


def _report_sources(services: Services, wanted: list[int]) -> None:
    with services.store.read() as tx:
        polled = [source for source in sources.all_sources(tx) if source.id in wanted]
    for source in polled:
        if source.error:
            say(f"{source.site}/{source.name}: {source.error}", style="red")
        for problem in source.problems:
            say(f"{source.site}/{source.name}: {problem.where}: {problem.what}", style="yellow")
