"""What every part of the program is handed: config, store, keys, ids and the clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from bridge import PRODUCT, __version__
from bridge.activitypub.ids import Ids
from bridge.addresses import PUBLIC_INTERNET, Reach
from bridge.config import Config, FeedSource, FolderSource, SiteConfig
from bridge.errors import ConfigError
from bridge.identity.establish import GENERATORS, Generators, Standing, establish, recall
from bridge.identity.keyring import Keyring
from bridge.identity.witness import paths_of
from bridge.store import Store, identity, migrate, open_store, require_current, sources
from bridge.store.identity import IdSecret


@dataclass(frozen=True)
class Services:
    """Everything there is one of in a process. `reach` says which private addresses may be contacted."""

    config: Config
    store: Store
    ids: Ids
    keys: Keyring
    id_secret: IdSecret
    reach: Reach
    now: Callable[[], datetime]
    paused: frozenset[str] = frozenset()  # sites that config.toml does not name any more
    witnesses: tuple[Path, ...] = ()  # files that remember whose database this is

    @property
    def user_agent(self) -> str:
        """How we introduce ourselves to other servers."""
        return f"{PRODUCT}/{__version__} (+{self.config.base_url}/)"

    def site(self, key: str) -> SiteConfig:
        """Return a site's config."""
        return self.config.sites[key]

    def source(self, site: str, name: str) -> FeedSource | FolderSource:
        """Return a source's config; raise `ConfigError` for one that config.toml no longer names."""
        try:
            return self._sources[site, name]
        except KeyError:
            raise ConfigError(f"sites.{site} has no source called {name!r} any more.") from None

    @cached_property
    def _sources(self) -> Mapping[tuple[str, str], FeedSource | FolderSource]:
        sites = self.config.sites.items()
        return {(key, source.name): source for key, site in sites for source in site.sources}

    def close(self) -> None:
        """Give the database connections back."""
        self.store.close()


def utc_now() -> datetime:
    """Return the current moment, aware."""
    return datetime.now(UTC)


def open_services(
    config: Config,
    *,
    reach: Reach = PUBLIC_INTERNET,
    now: Callable[[], datetime] = utc_now,
    generators: Generators = GENERATORS,
    prompt: bool = False,
) -> Services:
    """Open the database, bring it up to date, and make sure that we still are who we were.

    `prompt`: see `open_store`.

    Raises:
        StoreError: the database cannot be used.
        IdentityChanged: the config contradicts what followers' servers know.
    """
    store = open_store(config.database, prompt=prompt)
    witnesses = paths_of(config)
    try:
        migrate(store, now=now(), backups=config.data / "backups")
        standing = establish(store, config, now=now(), generators=generators)
        config = replace(config, sites=standing.sites)
        with store.write() as tx:
            sources.sync(tx, _wanted_sources(config), interval=config.polling.min_interval, now=now())
        services = _assemble(config, store, standing, witnesses, reach=reach, now=now)
        services.keys.refuse_unreadable()
        return services
    except BaseException:
        store.close()
        raise


def look_into(
    config: Config, *, reach: Reach = PUBLIC_INTERNET, now: Callable[[], datetime] = utc_now
) -> Services:
    """Open what a bridge that ran here has made: nothing is created, upgraded or given an identity.

    Raises:
        StoreMissing: nothing ever ran here.
        StoreError: the database cannot be used, or has to be upgraded first.
        IdentityChanged: the config contradicts what followers' servers know.
    """
    store = open_store(config.database, create=False)
    witnesses = paths_of(config)
    try:
        require_current(store)
        standing = recall(store, config, now=now())
        config = replace(config, sites=standing.sites)
        return _assemble(config, store, standing, witnesses, reach=reach, now=now)
    except BaseException:
        store.close()
        raise


def _assemble(
    config: Config,
    store: Store,
    standing: Standing,
    witnesses: tuple[Path, ...],
    *,
    reach: Reach,
    now: Callable[[], datetime],
) -> Services:
    with store.read() as tx:
        pems, id_secret = identity.private_keys(tx), identity.id_secret(tx)
    ids = Ids(config.base_url)
    return Services(config, store, ids, Keyring(ids, pems), id_secret, reach, now, standing.paused, witnesses)


def _wanted_sources(config: Config) -> list[tuple[str, str, str, str]]:
    return [
        (key, source.name, "feed", source.feed)
        if isinstance(source, FeedSource)
        else (key, source.name, "folder", str(source.folder))
        for key, site in config.sites.items()
        for source in site.sources
    ]
