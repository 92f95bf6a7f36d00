"""`fedibridge poll` and `fedibridge deliver`: one round, then return."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import click

from bridge.addresses import Reach
from bridge.cli.output import console, say
from bridge.cli.settings import Settings, check_site
from bridge.counted import counted
from bridge.deliver.deliverer import Deliverer
from bridge.model import DeliveryState
from bridge.net.client import Client
from bridge.poll.poller import Poller
from bridge.services import Services
from bridge.store import delivery_reports, sources
from bridge.store.sources import Source
from bridge.worker.jobs import stop_on_signals

_T = TypeVar("_T")


@click.command()
@click.argument("site", required=False)
@click.pass_obj
def poll(settings: Settings, site: str | None) -> None:
    """Poll all sources now, or those of one SITE, publish what is new, and exit.

    What is new is queued for delivery: a running worker sends it at once, `fedibridge deliver` otherwise.
    """
    services = settings.open()
    before = _sources_of(services, site)
    begun = services.now()

    async def once(client: Client, stop: asyncio.Event) -> int:
        async with Client(services.user_agent, Reach(private=True), now=services.now) as at_home:
            return await Poller(services, client, at_home=at_home).run(stop)

    with services.store.write() as tx:
        sources.make_due(tx, [source.id for source in before], now=begun)
    with console().status("Polling …"):
        run_once(services, once)
    wanted = {source.id: source for source in before}
    after = [source for source in _sources_of(services, site) if source.id in wanted]
    missed = [source for source in after if not _was_read(wanted[source.id], source, since=begun)]
    read = len(after) - len(missed)
    say(f"Polled {counted(read, 'source')}.")
    _report_sources(after)
    _report_missed(missed)


@click.command()
@click.pass_obj
def deliver(settings: Settings) -> None:
    """Deliver everything that is due now, and exit.

    Deliveries that fail stay queued with the time of their next attempt: see `fedibridge deliveries`.
    """
    services = settings.open()

    async def once(client: Client, stop: asyncio.Event) -> int:
        return await Deliverer(services, client).drain(stop)

    with console().status("Delivering …"):
        tried = run_once(services, once)
    with services.store.read() as tx:
        counts = delivery_reports.counts(tx)
    waiting = counts.get(DeliveryState.PENDING, 0)
    say(f"Tried {counted(tried, 'delivery', 'deliveries')}; waiting for another attempt: {waiting:,}.")


def run_once(services: Services, once: Callable[[Client, asyncio.Event], Awaitable[_T]]) -> _T:
    """Do something that needs the network, until it is done or Ctrl-C."""

    async def go() -> _T:
        stop = stop_on_signals()
        async with Client(services.user_agent, services.reach, now=services.now) as client:
            return await once(client, stop)

    return asyncio.run(go())


def _sources_of(services: Services, site: str | None) -> list[Source]:
    check_site(services, site)
    with services.store.read() as tx:
        return [source for source in sources.all_sources(tx) if site in (None, source.site)]


def _was_read(before: Source, after: Source, *, since: datetime) -> bool:
    """Say whether a look came to something since then, be it a failure: one that was interrupted did not."""
    answered = after.last_ok_at is not None and after.last_ok_at >= since
    return answered or after.failures != before.failures


def _report_sources(polled: Iterable[Source]) -> None:
    for source in polled:
        if source.error:
            say(f"{source.site}/{source.name}: {source.error}", style="red")
        for problem in source.problems:
            say(f"{source.site}/{source.name}: {problem.where}: {problem.what}", style="yellow")


def _report_missed(missed: Sequence[Source]) -> None:
    """Name what was not looked at, and why; what nobody else is reading makes the command fail."""
    for source in missed:
        why = "another process is polling it" if source.leased else "it stays due"
        say(f"{source.site}/{source.name}: not polled: {why}.", style="yellow")
    if not all(source.leased for source in missed):
        raise SystemExit(1)
