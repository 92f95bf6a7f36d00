"""Writes docs/configuration.md from the models of `bridge.config`, so that the reference cannot go stale."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from datetime import timedelta
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

from bridge.config.load import ENVIRONMENT
from bridge.config.models import (
    Config,
    DeliveryConfig,
    FeedSource,
    FolderSource,
    PollingConfig,
    ServerConfig,
    SiteConfig,
)
from bridge.config.read import Key, keys_of
from bridge.config.values import Between, Kind

_HEAD = """\
# Configuration

<!-- Written by `make docs`. Change the docstrings in bridge/config/models.py instead of this file. -->

Everything is in one file, `config.toml`, in [TOML](https://toml.io/). The one that comes with the bridge is
a working example to copy. Paths are relative to the file's own folder. Durations are written `"90s"`,
`"15m"`, `"12h"` or `"2d"`. A key the bridge does not know is refused, with the line it is on and the key you
may have meant: a typing mistake never passes as a setting.

A secret need not stand in the file. Set the environment variable named with it, or the same name with `_FILE`
behind it to name a file that holds the secret (as Docker's secrets do). The environment wins over the file,
and an empty variable counts as not set.
"""

_SECTIONS: tuple[tuple[str, type], ...] = (
    ("At the top of the file", Config),
    ("`[server]`", ServerConfig),
    ("`[polling]`", PollingConfig),
    ("`[delivery]`", DeliveryConfig),
    ("`[sites.KEY]`", SiteConfig),
    ("`[[sites.KEY.sources]]` with a feed", FeedSource),
    ("`[[sites.KEY.sources]]` with a folder", FolderSource),
)

_INTRODUCTIONS: dict[type, str] = {
    Config: "These come first, before any `[table]`: whatever follows a `[table]` belongs to it.",
    SiteConfig: "One table per actor. `KEY` is 1 to 30 of a–z, 0–9 and `_`; it stands in the actor's URLs "
    "and never changes, while name and looks may. `about`, `inbox` and `instance` are taken.",
}


def render() -> str:
    """Render the reference of every key of config.toml as Markdown."""
    return "\n".join([_HEAD, *(_render_section(title, table) for title, table in _SECTIONS)])


def _render_section(title: str, table: type) -> str:
    introduction = _INTRODUCTIONS.get(table) or (table.__doc__ or "").strip()
    keys = [_render_key(table, name, words) for name, words in descriptions_of(table)]
    return "\n".join([f"## {title}", "", introduction, "", *keys])


def descriptions_of(table: type) -> Iterator[tuple[str, str]]:
    """Yield each key of a table that has a docstring below it, with its words."""
    (model,) = ast.parse(inspect.getsource(table)).body
    assert isinstance(model, ast.ClassDef)
    for key, below in pairwise(model.body):
        match key, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                if name in keys_of(table):
                    yield name, " ".join(words.split())


def _render_key(table: type, name: str, words: str) -> str:
    key = keys_of(table)[name]
    facts = [_type_in_words(key.annotation), _default_in_words(key)]
    if name in ENVIRONMENT:
        facts.append(f"environment: `{ENVIRONMENT[name]}` or `{ENVIRONMENT[name]}_FILE`")
    return f"### `{name}`\n\n*{' · '.join(facts)}*\n\n{words}\n"


def _type_in_words(annotation: Any) -> str:
    limits = [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Between)]
    bounds = [f" from {_limit(limit.lowest)} to {_limit(limit.highest)}" for limit in limits]
    return "".join([_words(annotation), *bounds])


def _limit(limit: int | timedelta) -> str:
    return _duration(limit) if isinstance(limit, timedelta) else str(limit)


def _words(annotation: Any) -> str:
    plain = {bool: "`true` or `false`", int: "whole number", str: "text"}
    kinds = [mark.words for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Kind)]
    arguments = get_args(annotation)
    if kinds or annotation in plain:
        return kinds[0] if kinds else plain[annotation]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in arguments)
    if get_origin(annotation) is Mapping:
        return f"table of {_words(arguments[1])}"
    if not arguments:
        return "tables"
    return f"list of {_words(arguments[0])}" if get_origin(annotation) is tuple else _words(arguments[0])


def _default_in_words(key: Key) -> str:
    if key.is_required:
        return "required"
    return "optional" if key.default in (None, "", (), MISSING) else f"default `{_as_toml(key.default)}`"


def _as_toml(value: Any) -> str:
    return json.dumps(_duration(value) if isinstance(value, timedelta) else value, default=str)


def _duration(duration: timedelta) -> str:
    """Write a duration in the largest unit that divides it: ``15m``, ``12h``."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
