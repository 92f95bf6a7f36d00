"""Finds what is wrong in a config between values that are right one by one."""

from collections.abc import Iterator

from bridge.config.lines import Path
from bridge.config.models import Config, FeedSource, FolderSource, SiteConfig, Source
from bridge.config.read import Problem


def find_contradictions(config: Config) -> list[Problem]:
    """Find what is wrong between values that are right one by one."""
    found = [*_same_handles(config), *_private_data_in_a_source(config)]
    for key, site in config.sites.items():
        found += _same_sources(key, site)
    if config.polling.min_interval > config.polling.max_interval:
        found.append(Problem(("polling", "min_interval"), "must not be longer than max_interval"))
    return found


def _same_handles(config: Config) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for key, site in config.sites.items():
        if first.setdefault(site.handle, key) != key:
            yield Problem(
                ("sites", key, "handle"),
                f"[sites.{first[site.handle]}] already has the handle {site.handle}; each site needs its own",
            )


def _same_sources(key: str, site: SiteConfig) -> Iterator[Problem]:
    places: set[object] = set()
    names: set[str] = set()
    for index, source in enumerate(site.sources):
        path: Path = ("sites", key, "sources", index)
        place = _place(source)
        if place in places:
            yield Problem(path, f"{place} is already a source of this site; remove one of them")
        elif source.name in names:
            yield Problem(
                path, f'another source of this site is already called {source.name!r}; add name = "…"'
            )
        places.add(place)
        names.add(source.name)


def _place(source: Source) -> object:
    return source.feed if isinstance(source, FeedSource) else source.folder


def _private_data_in_a_source(config: Config) -> Iterator[Problem]:
    for site in config.sites.values():
        for source in site.sources:
            if isinstance(source, FolderSource) and config.data.is_relative_to(source.folder):
                yield Problem(
                    ("data",),
                    f"{config.data} holds private keys and must not lie in the source {source.folder}",
                )
                return
