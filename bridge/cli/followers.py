"""`bridge followers`: who follows, and who may."""

import dataclasses
from collections.abc import Callable

import click

from bridge import effects
from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.settings import Settings
from bridge.errors import StoreError
from bridge.model import Follower
from bridge.services import Services
from bridge.store import followers as stored


@click.group(invoke_without_command=True)
@click.option("--site", help="Only of this site.")
@click.option("--pending", is_flag=True, help="Only those who wait for your word.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def followers(ctx: click.Context, site: str | None, pending: bool, as_json: bool) -> None:
    """List followers, newest first.

    Where `approve_followers` is on, `bridge followers approve @user@host` lets someone in.
    """
    if ctx.invoked_subcommand:
        return
    services = ctx.obj.open()
    with services.store.read() as tx:
        found = stored.listing(tx, site, state=stored.PENDING if pending else None)
    if as_json:
        print_json([dataclasses.asdict(follower) for follower in found])
        return
    now = services.now()
    rows = [(f.site, f.handle, f.state, ago(f.followed_at, now)) for f in found]
    print_table(("site", "follower", "state", "since"), rows, empty="Nobody follows yet.")


@followers.command()
@click.argument("who", nargs=-1, required=True)
@click.pass_obj
def approve(settings: Settings, who: tuple[str, ...]) -> None:
    """Let waiting followers in; WHO is a handle or an actor's URL."""
    _answer(settings, who, effects.approve, "follows now", waiting_only=True)


@followers.command()
@click.argument("who", nargs=-1, required=True)
@click.pass_obj
def reject(settings: Settings, who: tuple[str, ...]) -> None:
    """Turn followers away, waiting or accepted; WHO is a handle or an actor's URL."""
    _answer(settings, who, effects.reject, "was turned away", waiting_only=False)


def _answer(
    settings: Settings, who: tuple[str, ...], act: Callable[..., None], did: str, *, waiting_only: bool
) -> None:
    services = settings.open()
    for name in who:
        for follower in _named(services, name, waiting_only=waiting_only):
            with services.store.write() as tx:
                act(tx, services, follower, now=services.now())
            say(f"{follower.handle} {did} ({follower.site}).")


def _named(services: Services, name: str, *, waiting_only: bool) -> list[Follower]:
    wanted = name.lstrip("@").casefold()
    with services.store.read() as tx:
        known = stored.listing(tx, state=stored.PENDING if waiting_only else None)
    found = [f for f in known if wanted in (f.handle.lstrip("@").casefold(), f.actor_id.casefold())]
    if not found:
        kind = "waiting follower" if waiting_only else "follower"
        raise StoreError(f"There is no {kind} called {name}; `bridge followers` lists them.")
    return found
