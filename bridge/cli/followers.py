"""`fedibridge followers`: who follows, and who may."""

import dataclasses
from collections.abc import Callable
from typing import NoReturn

import click

from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.settings import Settings, check_site
from bridge.errors import StoreError
from bridge.model import Follower
from bridge.receive import effects
from bridge.services import Services
from bridge.store import followers as stored


@click.group(invoke_without_command=True)
@click.option("--site", help="Only of this site.")
@click.option("--pending", is_flag=True, help="Only those who wait for your approval.")
@click.option("--limit", default=100, show_default=True, help="At most this many; --json shows all.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def followers(ctx: click.Context, site: str | None, pending: bool, limit: int, as_json: bool) -> None:
    """List followers, newest first.

    Where `approve_followers` is on, `fedibridge followers approve @user@host` lets someone in.
    """
    if ctx.invoked_subcommand:
        return
    services = ctx.obj.look()
    with services.store.read() as tx:
        state = stored.PENDING if pending else None
        found = stored.listing(tx, site, state=state, limit=None if as_json else limit)
        more = stored.number(tx, site, state=state) - len(found)
    if as_json:
        print_json([dataclasses.asdict(follower) for follower in found])
        return
    now = services.now()
    rows = [(f.site, f.handle, f.state, ago(f.followed_at, now)) for f in found]
    print_table(("site", "follower", "state", "since"), rows, empty="Nobody follows yet.")
    if more:
        say(f"And {more:,} more: --limit {len(found) + more} shows all.")


@followers.command()
@click.argument("who", nargs=-1, required=True)
@click.option("--site", help="Only of this site.")
@click.pass_obj
def approve(settings: Settings, who: tuple[str, ...], site: str | None) -> None:
    """Let waiting followers in; WHO is a handle or an actor's URL."""
    services = settings.look()
    for name in who:
        _answer(services, _waiting(services, name, site), effects.approve, "follows now")


@followers.command()
@click.argument("who", nargs=-1, required=True)
@click.option("--site", help="Only of this site.")
@click.option("--remove", is_flag=True, help="Also remove people who already follow.")
@click.pass_obj
def reject(settings: Settings, who: tuple[str, ...], site: str | None, remove: bool) -> None:
    """Turn waiting followers away, and tell their servers; WHO is a handle or an actor's URL.

    Followers who were let in stay, unless you use --remove.
    """
    services = settings.look()
    for name in who:
        choose = _of_one_site if remove else _waiting
        _answer(services, choose(services, name, site), effects.reject, "was turned away")


def _answer(services: Services, chosen: list[Follower], act: Callable[..., None], did: str) -> None:
    for follower in chosen:
        with services.store.write() as tx:
            act(tx, services, follower, now=services.now())
        say(f"{follower.handle} {did} ({follower.site}).")


def _waiting(services: Services, name: str, site: str | None) -> list[Follower]:
    """Return where someone waits for the owner's word."""
    found = _find(services, name, site)
    waiting = [follower for follower in found if follower.state == stored.PENDING]
    if found and not waiting:
        raise StoreError(
            f"{name} is not waiting: they already follow {_sites(found)}. "
            "`fedibridge followers reject --remove` removes a follower."
        )
    return waiting or _nobody(name, "waiting follower")


def _of_one_site(services: Services, name: str, site: str | None) -> list[Follower]:
    """Return a follower, waiting or not: nobody is removed from a site that the owner did not think of."""
    found = _find(services, name, site) or _nobody(name, "follower")
    if len(found) > 1:
        raise StoreError(f"{name} follows {_sites(found)}: choose one with --site.")
    return found


def _find(services: Services, name: str, site: str | None) -> list[Follower]:
    check_site(services, site)
    wanted = name.lstrip("@").casefold()
    with services.store.read() as tx:
        known = stored.listing(tx, site)
    return [f for f in known if wanted in (f.handle.lstrip("@").casefold(), f.actor_id.casefold())]


def _sites(found: list[Follower]) -> str:
    return " and ".join(sorted(follower.site for follower in found))


def _nobody(name: str, kind: str) -> NoReturn:
    raise StoreError(f"There is no {kind} called {name}; `fedibridge followers` lists them.")
