"""What every command is told before it starts: which config, and what it may reach."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bridge.addresses import Reach
    from bridge.config import Config
    from bridge.services import Services

DEMO_FOLDER = ".demo"


@dataclass(frozen=True)
class Settings:
    """The options before the command. Child processes get the very same ones (`arguments`).

    `local` is the port to run a config on instead of its own base URL, for the demo; `allow` and
    `resolve` open up private addresses for tests and the demo, by command line only.
    """

    config: Path = Path("config.toml")
    local: int | None = None
    allow: tuple[str, ...] = ()
    resolve: tuple[str, ...] = field(default=())
    ca_file: str | None = None
    verbose: bool = False

    def load_config(self) -> "Config":
        """Read config.toml; raise `ConfigError`."""
        from bridge.config import load_config, local

        config = load_config(self.config, environ=os.environ)
        if self.local is None:
            return config
        return local(config, self.local, self.config.resolve().parent / DEMO_FOLDER)

    def reach(self) -> "Reach":
        """Say which private addresses may be contacted."""
        from bridge.addresses import Reach, parse_pair

        hosts = dict(pair.split("=", 1) for pair in self.resolve)
        return Reach(frozenset(parse_pair(pair) for pair in self.allow), hosts, self.ca_file)

    def open(self, *, prompt: bool = False) -> "Services":
        """Open everything a command works with; `prompt`: for one that has to answer within seconds."""
        from bridge.services import open_services

        return open_services(self.load_config(), reach=self.reach(), prompt=prompt)

    def look(self) -> "Services":
        """Open what a bridge that ran here has made; a command that only looks makes and changes nothing."""
        from bridge.services import look_into

        return look_into(self.load_config(), reach=self.reach())

    def look_or_try(self, scratch: Path) -> "Services":
        """Open what a bridge that ran here has made; where none did, an empty one in `scratch`.

        So too where what ran has an identity that the next start replaces."""
        from dataclasses import replace

        from bridge.config.places import sqlite_in
        from bridge.errors import IdentityOutdated, StoreMissing
        from bridge.services import open_services

        try:
            return self.look()
        except (StoreMissing, IdentityOutdated):
            # A config that is replaced comes from no file: no guard is written beside config.toml.
            config = replace(self.load_config(), data=scratch, database=sqlite_in(scratch), identity=None)
            logging.disable(logging.WARNING)  # the keys it makes are thrown away with it
            try:
                return open_services(config, reach=self.reach())
            finally:
                logging.disable(logging.NOTSET)

    def arguments(self) -> list[str]:
        """Return the options that make a child process start with these settings."""
        options: list[tuple[str, object]] = [("--config", self.config), ("--ca-file", self.ca_file)]
        options += [("--local", self.local)]
        options += [("--allow", pair) for pair in self.allow]
        options += [("--resolve", pair) for pair in self.resolve]
        given = [part for name, value in options if value is not None for part in (name, str(value))]
        return [*given, "--verbose"] if self.verbose else given


def check_site(services: "Services", site: str | None) -> None:
    """Raise a usage error for a site that is not in the config; `None` means all of them."""
    if site is not None and site not in services.config.sites:
        known = ", ".join(services.config.sites)
        raise click.UsageError(f"There is no site {site!r} in the config; there is: {known}.")
