"""`fedibridge site`: the owner's word on a whole account."""

import click

from bridge.cli.output import say
from bridge.cli.settings import Settings
from bridge.counted import counted
from bridge.errors import StoreError
from bridge.publish.closing import close as close_account
from bridge.services import Services
from bridge.store import followers, identity, posts


@click.group()
def site() -> None:
    """Close an account."""


@site.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def close(settings: Settings, key: str, yes: bool) -> None:
    """Delete an account on all servers, for good.

    KEY is the site's name in config.toml. Everyone who knows the account is told, its posts are deleted, and
    neither the key nor the handle can be used again. Keep the bridge running until `fedibridge deliveries`
    shows that everyone was told.
    """
    services = settings.look()
    handle, number, written = _about(services, key)
    if not yes:
        click.confirm(
            f"Close {handle} for good? {counted(number, 'follower')} and {counted(written, 'post')} will be "
            "deleted everywhere. This cannot be undone",
            abort=True,
        )
    with services.store.write() as tx:
        told = close_account(tx, services, key, now=services.now())
    say(
        f"Closed {handle}. Telling {counted(told, 'inbox', 'inboxes')}: "
        "keep the bridge running until it is done."
    )
    say(f"Take [sites.{key}] out of config.toml.")


def _about(services: Services, key: str) -> tuple[str, int, int]:
    """Return (handle, followers, posts) of a site; raise `StoreError` if there is nothing to close."""
    with services.store.read() as tx:
        closed = identity.closed_sites(tx).get(key)
        if closed is not None:
            raise StoreError(f"{closed.handle} was closed already, {closed.closed_at:%d %b %Y}.")
        if key not in services.config.sites:
            known = ", ".join(services.config.sites) or "none"
            raise StoreError(f"There is no site {key!r}; there is: {known}.")
        return services.site(key).handle, followers.count(tx, key), posts.count(tx, key)
