"""`fedibridge run`, `fedibridge web`, `fedibridge worker`: the processes that stay."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bridge import PRODUCT
from bridge.cli.settings import Settings
from bridge.errors import BridgeError, ConfigError, StoreDamaged, StoreUnavailable

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.config.models import ServerConfig
    from bridge.services import Services

log = logging.getLogger(__name__)

PAUSE_WITHOUT_ROOM = 2.0  # seconds


@click.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Run everything on one machine: the web process and a worker, supervised.

    A process that dies is restarted. SIGTERM or Ctrl-C stops both cleanly within eight seconds;
    if this process is killed, both stop too. The database is brought up to date first, after a backup.
    """
    from bridge.cli.supervisor import check_first, supervise

    check_first([*settings.arguments(), "prepare"])
    supervise({"web": [*settings.arguments(), "web"], "worker": [*settings.arguments(), "worker"]})


@click.command(hidden=True)
@click.pass_obj
def prepare(settings: Settings) -> None:
    """Migrate, and check identity and port, once, before two processes start.

    A process of its own, so that what it needs does not stay in the supervisor's memory for weeks.
    """
    config = settings.load_config()
    _refuse_taken_port(config.server)
    services = settings.open()
    _tell_of_closed(services, config)
    services.close()
    where = f"{config.server.host}:{config.server.port}"
    click.echo(f"fedibridge answers at {config.base_url} (listening on {where})")


@click.command()
@click.option("--workers", default=1, show_default=True, help="Processes; more than one needs PostgreSQL.")
@click.pass_obj
def web(settings: Settings, workers: int) -> None:
    """Run only the web process: it answers requests and stores what arrives."""
    from bridge.web.serve import serve, serve_with_many

    config = settings.load_config()
    server = config.server
    if workers > 1 and config.database.startswith("sqlite"):
        raise click.UsageError(
            "With SQLite one web process is as fast as it gets; --workers needs PostgreSQL."
        )
    _refuse_taken_port(server)
    if workers > 1:
        serve_with_many(server.host, server.port, partial(_open, settings), workers=workers)
    else:
        services = until_there_is_room(partial(settings.open, prompt=True))
        _tell_of_closed(services, config)
        _run(serve(server.host, server.port, services), services)


@click.command()
@click.pass_obj
def worker(settings: Settings) -> None:
    """Run only a worker: it polls, fetches and delivers.

    With SQLite there may be one; with PostgreSQL as many as you like, on as many machines.
    """
    from bridge.cli.supervisor import only_one
    from bridge.worker.jobs import work

    services = until_there_is_room(settings.open)
    _tell_of_closed(services, settings.load_config())
    with only_one(services):
        _run(work(services), services)


def until_there_is_room(open_: "Callable[[], Services]", *, pause: float = PAUSE_WITHOUT_ROOM) -> "Services":
    """Open everything; while the disk is full or the database away, wait, and say so once.

    Raises:
        StoreError: waiting does not mend it.
    """
    if (services := _unless_away(open_, log.error)) is not None:
        return services
    quiet = logging.getLogger("bridge.store.outage")
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)  # it was said
    try:
        while (services := _unless_away(open_, log.debug)) is None:
            time.sleep(pause)
    finally:
        quiet.setLevel(before)
    log.warning("The database is usable: starting.")
    return services


def _unless_away(open_: "Callable[[], Services]", tell: "Callable[..., None]") -> "Services | None":
    try:
        return open_()
    except StoreDamaged:
        raise
    except StoreUnavailable as error:
        tell("Waiting for the database before starting: %s", error)
        return None


def _tell_of_closed(services: "Services", config: "Config") -> None:
    """Warn of tables in config.toml that do nothing any more."""
    from bridge.identity.establish import closed_but_named

    with services.store.read() as tx:
        for sentence in closed_but_named(tx, config):
            log.warning("%s", sentence)


def _run(work: Coroutine[Any, Any, None], services: "Services") -> None:
    """Run until it ends, and close what it worked with."""
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    finally:
        services.close()


def _refuse_taken_port(server: "ServerConfig") -> None:
    """Ask for the port before the web server does, whose own error is pages long."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
            probe.listen()
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on port {server.port} of {server.host}: {error.strerror}. Stop what listens "
                "there, or choose another `port` or `host` under [server] in config.toml."
            ) from None


def _open(settings: Settings):  # type: ignore[no-untyped-def]  # a partial of it crosses into Granian's process
    try:
        return settings.open(prompt=True)
    except BridgeError as error:
        click.echo(f"{PRODUCT}: {error}", err=True)
        raise SystemExit(1) from None
