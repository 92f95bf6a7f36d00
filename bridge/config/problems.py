"""Says what is wrong with a config in words for its owner: pydantic's errors, and contradictions."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.config.lines import Path
from bridge.config.models import (
    Config,
    DeliveryConfig,
    FeedSource,
    FolderSource,
    PollingConfig,
    ServerConfig,
    SiteConfig,
    Source,
)

_TAGS: Mapping[int | str, type[BaseModel]] = {"[feed]": FeedSource, "[folder]": FolderSource}

_HOMES: Mapping[str, type[BaseModel]] = {
    "at the top of the file, before the first [table]": Config,
    "in [server]": ServerConfig,
    "in [polling]": PollingConfig,
    "in [delivery]": DeliveryConfig,
    "in [sites.NAME]": SiteConfig,
    "in a feed's [[sites.NAME.sources]]": FeedSource,
    "in a folder's [[sites.NAME.sources]]": FolderSource,
}

_REMEDIES = {
    "base_url": 'write where the bridge answers, for example base_url = "https://cafe.example"',
    "sites": "add a table [sites.NAME] with handle, website, name and its sources",
    "sources": 'add [[sites.NAME.sources]] with feed = "https://…" or folder = "…"',
    "handle": 'write what people type to follow, for example handle = "@cafe@cafe.example"',
    "website": 'write the address of the home page, for example website = "https://cafe.example/"',
    "name": 'write the name to show, for example name = "Café Example"',
}

_PHRASES = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number without quotes",
    "bool_type": "must be true or false, without quotes",
    "model_type": "must be a table",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
    "literal_error": "must be one of {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "string_pattern_mismatch": 'must be a language code such as "en", "de" or "pt-BR"',
    "too_long": "must not have more than {max_length} entries",
    "source_kind": "{message}",
}


class Problem(NamedTuple):
    """Something wrong at a key: `path` leads to it as in `lines.find_lines`, `what` is a phrase about it."""

    path: Path
    what: str


# ── what one key says ────────────────────────────────────────────────────────────────────────────


def describe(error: ValidationError) -> list[Problem]:
    """Say each of pydantic's errors in the words of config.toml."""
    details = error.errors(include_url=False, include_input=False)
    return [_describe_one(detail) for detail in details if detail["type"] != "default_factory_not_called"]


def _describe_one(detail: ErrorDetails) -> Problem:
    # "[key]" is pydantic's mark for a bad key of a mapping; the tags say which source it took one for
    path = tuple(part for part in detail["loc"] if part != "[key]" and part not in _TAGS)
    return Problem(path, _phrase(detail, path))


def _phrase(detail: ErrorDetails, path: Path) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]), _tables_at(detail["loc"][:-1]))
    if kind == "missing":
        return f"is missing: {_REMEDIES[str(path[-1])]}"
    if kind == "value_error":
        return str(context["error"])
    return _PHRASES.get(kind, "{message}").format(message=detail["msg"], **context)


def _unknown_key(key: str, tables: list[type[BaseModel]]) -> str:
    homes = [place for place, table in _HOMES.items() if key in table.model_fields]
    if homes:
        return f"unknown key here; it belongs {homes[0]}"
    known = [name for table in tables for name in table.model_fields]
    nearest = get_close_matches(key.lower().replace("-", "_"), known, n=1)
    return (
        f"unknown key; did you mean '{nearest[0]}'?"
        if nearest
        else f"unknown key; known are {', '.join(known)}"
    )


def _tables_at(loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Find the models that describe the table at a pydantic location."""
    tables: list[type[BaseModel]] = [Config]
    parts = iter(loc)
    for part in parts:
        if part in _TAGS:
            tables = [_TAGS[str(part)]]
            continue
        annotation = tables[0].model_fields[str(part)].annotation
        tables = list(_models_in(annotation))
        if get_origin(annotation) is not None:
            next(parts, None)  # the key in a mapping, the index in a list
    return tables


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


# ── what keys say together ───────────────────────────────────────────────────────────────────────


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
                f"{site.handle} is the handle of [sites.{first[site.handle]}] already; two sites need two",
            )


def _same_sources(key: str, site: SiteConfig) -> Iterator[Problem]:
    places: set[object] = set()
    names: set[str] = set()
    for index, source in enumerate(site.sources):
        path: Path = ("sites", key, "sources", index)
        place = _place(source)
        if place in places:
            yield Problem(path, f"{place} is a source of this site already; remove one of them")
        elif source.name in names:
            yield Problem(
                path, f'another source of this site is called {source.name!r} already; add name = "…"'
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
                    f"{config.data} holds private keys and may not lie in the source {source.folder}",
                )
                return
