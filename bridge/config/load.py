"""Reads config.toml and its secrets into a `Config`, or says everything that is wrong with them."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.config.lines import find_lines, line_of
from bridge.config.models import Config, fill_in
from bridge.config.problems import find_contradictions
from bridge.config.read import Problem, read_config
from bridge.errors import ConfigError

ENVIRONMENT = {
    "database": "FEDIBRIDGE_DATABASE"
}  # a key at the top of the file → the variable that overrides it


def load_config(path: Path, *, environ: Mapping[str, str]) -> Config:
    """Load a config file; relative paths in it are relative to its folder.

    Secrets may come from `environ` instead: from ``FEDIBRIDGE_DATABASE``, or from the file that
    ``FEDIBRIDGE_DATABASE_FILE`` names; they win over the file. Raises `ConfigError` with one line per
    problem, each naming the file and its line.
    """
    text = _read(path)
    raw, lines = _parse(text, path)
    secrets = _read_secrets(environ)
    config, problems = read_config({**raw, **secrets}, path.absolute().parent)
    if config is not None:
        problems = find_contradictions(config)
    if config is None or problems:
        problems.sort(key=lambda problem: line_of(problem.path, lines))
        raise ConfigError("\n".join(_write(problem, path, lines, secrets) for problem in problems)) from None
    fill_in(config, file=path.absolute())
    return config


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # Windows editors put a byte order mark in front
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} line {line}: is not UTF-8; save the file with that encoding") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{path} cannot be read: {reason}. Start from the example config.toml that comes with the bridge."
        ) from None


def _parse(text: str, path: Path) -> tuple[dict[str, Any], Mapping[tuple[str | int, ...], int]]:
    try:
        return tomllib.loads(text), find_lines(text)
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply to be a config file") from None
    except ValueError as error:  # tomllib's own error, or Python's for a number with thousands of digits
        raise ConfigError(_syntax_error(str(error), text, path)) from None


def _syntax_error(message: str, text: str, path: Path) -> str:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if not place:
        return f"{path}: is not valid TOML: {message}"
    line = place[1] or len(text.splitlines()) or 1
    said = message[: place.start()]
    hint = '. Put text in straight quotes: "…"' if said == "Invalid value" else ""
    return f"{path} line {line}: is not valid TOML: {said}{hint}"


def _write(
    problem: Problem, path: Path, lines: Mapping[tuple[str | int, ...], int], secrets: Mapping[str, str]
) -> str:
    name = ".".join(part for part in problem.path if isinstance(part, str))
    if name in secrets:
        return f"environment variable {ENVIRONMENT[name]}: {problem.what}"
    return f"{path} line {line_of(problem.path, lines)}: {name}: {problem.what}"


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


def _read_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    found = {key: _read_secret(variable, environ) for key, variable in ENVIRONMENT.items()}
    return {key: value for key, value in found.items() if value}


def _read_secret(variable: str, environ: Mapping[str, str]) -> str:
    """Read a secret; an empty variable counts as not set, which is how Compose passes what it has not got."""
    value, file = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
    if value and file:
        raise ConfigError(
            f"environment variables {variable} and {variable}_FILE are both set; unset one of them"
        )
    return _read_secret_file(variable, Path(file)) if file else value


def _read_secret_file(variable: str, file: Path) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"environment variable {variable}_FILE: {file} cannot be read: {reason}") from None
    if not secret:
        raise ConfigError(f"environment variable {variable}_FILE: {file} is empty")
    return secret
