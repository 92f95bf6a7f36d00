"""Reads what TOML held into the dataclasses of `models`, by their annotations, and finds every mistake."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from bridge.config.lines import Path as KeyPath
from bridge.config.models import (
    Config,
    DeliveryConfig,
    FeedSource,
    FolderSource,
    PollingConfig,
    ServerConfig,
    SiteConfig,
)
from bridge.config.values import Between, Check, Length, Locate, Parse
from bridge.counted import counted

_HOMES: Mapping[str, type] = {
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

_TYPES = {
    str: "must be text in quotes",
    int: "must be a whole number without quotes",
    bool: "must be true or false, without quotes",
}
"""What TOML has itself, and what to say when it is something else."""

_UNREADABLE = object()


class Problem(NamedTuple):
    """Something wrong at a key: `path` leads to it as in `lines.find_lines`, `what` is a phrase about it."""

    path: KeyPath
    what: str


class Key(NamedTuple):
    """A key of a table: what its value must be, and its default if it has one that can be shown."""

    annotation: Any
    default: Any
    is_required: bool


@cache
def keys_of(table: type) -> Mapping[str, Key]:
    """Return the keys of a table, in the order of its model."""
    hints = get_type_hints(table, include_extras=True)
    return {
        key.name: Key(hints[key.name], key.default, key.default is key.default_factory is MISSING)
        for key in fields(table)
        if key.init
    }


def read_config(raw: Any, folder: Path) -> tuple[Config | None, list[Problem]]:
    """Read a whole config, with paths relative to `folder`: the config, or `None` and what is wrong."""
    reading = _Reading(folder, [])
    config = reading.table(Config, raw, ())
    return (None if reading.problems else config), reading.problems


@dataclass(frozen=True)
class _Reading:
    """One config being read. Each method returns a value, or `_UNREADABLE` after it has said why."""

    folder: Path
    problems: list[Problem]

    def table(self, model: Any, raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, dict):
            return self._refuse(path, "must be a table")
        keys = keys_of(model)
        found = {name: self._key(key, raw.get(name, MISSING), (*path, name)) for name, key in keys.items()}
        unknown = [key for key in raw if key not in keys]
        for key in unknown:
            self._refuse((*path, key), _unknown_key(key, model))
        if unknown or _UNREADABLE in found.values():
            return _UNREADABLE
        return model(**{name: value for name, value in found.items() if value is not MISSING})

    def _key(self, key: Key, raw: Any, path: KeyPath) -> Any:
        """Read what stands at a key; `MISSING` when it is left to the model's default."""
        if raw is MISSING and isinstance(key.default, Path):
            raw = key.default  # relative to the config's folder, as if it were written
        found = raw if raw is MISSING else self.value(key.annotation, raw, path)
        if key.is_required and found in (MISSING, (), {}):
            return self._refuse(path, f"is missing: {_REMEDIES[str(path[-1])]}")
        return found

    def value(self, annotation: Any, raw: Any, path: KeyPath) -> Any:
        """Read any value: its type first, then what `Annotated` says of it, in that order."""
        kind, marks = _take_apart(annotation)
        if not any(isinstance(mark, Parse | Locate) for mark in marks):
            raw = self._typed(kind, raw, path)
        for mark in marks:
            if raw is _UNREADABLE:
                break
            try:
                raw = _apply(mark, raw, self.folder)
            except ValueError as error:
                return self._refuse(path, str(error))
        return raw

    def _typed(self, kind: Any, raw: Any, path: KeyPath) -> Any:
        if kind in _TYPES:
            return raw if type(raw) is kind else self._refuse(path, _TYPES[kind])
        if is_dataclass(kind):
            return self.table(kind, raw, path)
        if get_origin(kind) is Literal:
            choices = get_args(kind)
            return raw if raw in choices else self._refuse(path, f"must be one of {_choices(choices)}")
        if get_origin(kind) is UnionType:
            return self._source(get_args(kind), raw, path)
        return (self._list if get_origin(kind) is tuple else self._mapping)(get_args(kind), raw, path)

    def _source(self, models: tuple[Any, ...], raw: Any, path: KeyPath) -> Any:
        """Read a table that is of the one model whose first key it has."""
        fitting = [model for model in models if isinstance(raw, dict) and next(iter(keys_of(model))) in raw]
        if len(fitting) != 1:
            what = 'needs either feed = "https://…" or folder = "…", exactly one of them'
            return self._refuse(path, what)
        return self.table(fitting[0], raw, path)

    def _list(self, arguments: tuple[Any, ...], raw: Any, path: KeyPath) -> Any:
        if isinstance(raw, dict):
            return self._refuse(path, "is a list of tables and needs [[two brackets]]")
        if not isinstance(raw, list):
            return self._refuse(path, "must be a list")
        found = tuple(self.value(arguments[0], item, (*path, number)) for number, item in enumerate(raw))
        return _UNREADABLE if _UNREADABLE in found else found

    def _mapping(self, arguments: tuple[Any, ...], raw: Any, path: KeyPath) -> Any:
        if not isinstance(raw, dict):
            return self._refuse(path, "must be a table")
        read = [
            (self.value(arguments[0], key, (*path, key)), self.value(arguments[1], value, (*path, key)))
            for key, value in raw.items()
        ]
        return _UNREADABLE if any(_UNREADABLE in pair for pair in read) else MappingProxyType(dict(read))

    def _refuse(self, path: KeyPath, what: str) -> Any:
        self.problems.append(Problem(path, what))
        return _UNREADABLE


# ── annotations ──────────────────────────────────────────────────────────────────────────────────


def _take_apart(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the bare type and its marks; what may be left out (``… | None``) is read as what it is."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0], annotation.__metadata__
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    if type(None) in get_args(annotation):
        return _take_apart(kinds[0])
    return annotation, ()


def _apply(mark: Any, value: Any, folder: Path) -> Any:
    if isinstance(mark, Parse | Check):
        return mark.read(value)
    if isinstance(mark, Locate):
        return mark.read(value, folder)
    if isinstance(mark, Between):
        _check_limits(value, mark.lowest, mark.highest)
    if isinstance(mark, Length):
        _check_length(value, mark)
    return value


def _check_limits(value: Any, lowest: Any, highest: Any) -> None:
    if value < lowest:
        raise ValueError(f"must be at least {_in_words(lowest)}")
    if value > highest:
        raise ValueError(f"must be at most {_in_words(highest)}")


def _check_length(value: str | Mapping[str, Any], length: Length) -> None:
    if len(value) < length.least:
        raise ValueError("must not be empty")
    if len(value) > length.most:
        most = f"be longer than {length.most} characters"
        raise ValueError(
            f"must not {most if isinstance(value, str) else f'have more than {length.most} entries'}"
        )


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _unknown_key(key: str, model: type) -> str:
    homes = [place for place, table in _HOMES.items() if key in keys_of(table)]
    if homes:
        return f"unknown key here; it belongs {homes[0]}"
    known = list(keys_of(model))
    nearest = get_close_matches(key.lower().replace("-", "_"), known, n=1)
    if nearest:
        return f"unknown key; did you mean '{nearest[0]}'?"
    return f"unknown key; known keys: {', '.join(known)}"


def _choices(choices: tuple[str, ...]) -> str:
    *most, last = (repr(choice) for choice in choices)
    return f"{', '.join(most)} or {last}"


def _in_words(limit: int | timedelta) -> str:
    """Write a limit: ``5 minutes``, ``1 hour``, ``20``."""
    if isinstance(limit, int):
        return str(limit)
    seconds = int(limit.total_seconds())
    sizes = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next(one for one in sizes if seconds % one[0] == 0)
    return counted(seconds // size, unit)
