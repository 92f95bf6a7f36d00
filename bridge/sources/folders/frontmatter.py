"""The header of a Markdown file (YAML between `---`, TOML between `+++`, or JSON) and its fields, typed.

Field names come in lower case with `_` for `-`: themes spell `pubDate` and `cover-image` in every way.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

import yaml

from bridge.errors import SourceError
from bridge.markup.text import one_line, strip_controls
from bridge.moments import as_utc, midnight
from bridge.sources import jsontext
from bridge.sources.fields import parse_date
from bridge.sources.folders import fenceless

Fields = Mapping[str, Any]

MAX_BLOCK = 65536
MAX_ALIASES = 50
_FENCES = {"---": "YAML", "+++": "TOML"}
_A_FIELD = re.compile(r"^\s{0,20}[\"']?[\w-]{1,60}[\"']?\s{0,5}[:=]|^\s{0,20}[{\[]", re.MULTILINE)
_YES = frozenset({"true", "yes", "on", "1"})


def split(text: str, where: str, *, meta: bool = False, plain: bool = False) -> tuple[Fields, str, int]:
    """Return the fields, the body, and the line on which the body starts.

    A file without front matter has no fields, or those of its `headers`. `meta`: whatever looks like a field
    is one, as Python-Markdown has it; `plain`: between `---` too, where that is no more than fields. Raises
    `SourceError` naming the line when it cannot be read.
    """
    text = with_plain_ends(text)
    first = text.split("\n", 1)[0].rstrip()
    if first in _FENCES:
        return (_split_plain(text) if plain and first == "---" else None) or _split_fenced(text, first, where)
    if first.startswith("{") and not first.startswith(("{{", "{%")):
        return _split_json(text, where)
    found = fenceless.split(text) or _split_unopened(text, where)
    return found or (_small(fenceless.split_meta(text), where) if meta else None) or ({}, text, 1)


def with_plain_ends(text: str) -> str:
    """Return a text without a byte order mark, its lines ending as Unix has it."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _split_plain(text: str) -> fenceless.Split | None:
    """Split fields between `---` that YAML would read otherwise: of `title: One #2: two` it takes “One”."""
    head = re.match(r"---[ \t]*\n(.{0,65536}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", text, re.DOTALL)
    return fenceless.split_meta(text) if head and fenceless.is_plain(head[1].split("\n")) else None


def _small(found: fenceless.Split | None, where: str) -> fenceless.Split | None:
    if found and sum(map(len, found[0].values())) > MAX_BLOCK:
        raise SourceError(f"{where}:1: the header is larger than 64 KB. Put an empty line before the text.")
    return found


def _split_unopened(text: str, where: str) -> tuple[Fields, str, int] | None:
    """Split Hexo's front matter, which may have its closing line alone."""
    head, rule, body = text.partition("\n---\n")
    if not rule or len(head) > MAX_BLOCK or "\n\n" in head or not re.match(r"(?:title|date|layout):\s", head):
        return None
    return _as_mapping(_load_yaml(head, where), where), body, head.count("\n") + 3


def _split_fenced(text: str, fence: str, where: str) -> tuple[Fields, str, int]:
    lines = text.split("\n")
    ends = {fence, "..."} if fence == "---" else {fence}
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() in ends), None)
    if end is None:
        if fence == "---" and (len(lines) < 2 or ":" not in lines[1]):
            return {}, text, 1  # a rule across the page
        raise SourceError(
            f"{where}:1: the front matter has no closing line. Add a line “{fence}” after its last field."
        )
    block = "\n".join(lines[1:end])
    if fence == "---" and not lines[1].strip() and not _A_FIELD.search(block):
        return {}, text, 1  # words between two rules
    if len(block) > MAX_BLOCK:
        raise SourceError(
            f"{where}:1: the front matter is larger than 64 KB. Move the long text below the “{fence}”."
        )
    fields = (_load_yaml if fence == "---" else _load_toml)(block, where)
    return _as_mapping(fields, where), "\n".join(lines[end + 1 :]), end + 2


def _as_mapping(fields: object, where: str) -> Fields:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise SourceError(f"{where}:2: the front matter is not a list of fields. Write “name: value”.")
    return normalise(fields)


def normalise(fields: Mapping[Any, Any], depth: int = 0) -> Fields:
    """Return fields with their names in lower case and `_` for `-`, three tables deep."""
    return {
        str(name).strip().lower().replace("-", "_"): normalise(value, depth + 1)
        if isinstance(value, dict) and depth < 3
        else value
        for name, value in fields.items()
    }


def _load_yaml(block: str, where: str) -> object:
    try:
        return read_yaml(block)
    except yaml.MarkedYAMLError as error:
        if "\t" in block:  # JavaScript's and Ruby's readers take tabs, so people have them
            return _load_yaml(block.replace("\t", "  "), where)
        mark = error.problem_mark or error.context_mark
        line = mark.line + 2 if mark else 2
        raise SourceError(
            f"{where}:{line}: the front matter is not valid YAML ({error.problem}). {_YAML_HINT}"
        ) from error
    except Exception as error:  # PyYAML raises ValueError, TypeError and RecursionError on odd values
        raise SourceError(
            f"{where}:2: the front matter cannot be read ({one_line(str(error), 120)}). {_YAML_HINT}"
        ) from error


def read_yaml(block: str) -> object:
    """Return YAML as texts, lists and mappings; raises what PyYAML does, and ValueError for many aliases."""
    loader = _Loader(block)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


_YAML_HINT = "Put values that contain “:”, “#” or quotes into double quotes and indent with spaces."


def _load_toml(block: str, where: str) -> object:
    try:
        fields = tomllib.loads(block)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d{1,6})", str(error))
        line = int(found.group(1)) + 1 if found else 2
        raise SourceError(
            f"{where}:{line}: the front matter is not valid TOML ({error}). Texts need double quotes."
        ) from error
    except (RecursionError, ValueError) as error:
        raise SourceError(
            f"{where}:2: the front matter cannot be read ({error}). Write it more simply."
        ) from error
    if _is_beyond_toml(fields):
        raise SourceError(f"{where}:2: a number in the front matter is beyond 64 bits. Put it into quotes.")
    return fields


def _is_beyond_toml(value: object) -> bool:
    """Say whether there is a number that TOML does not have: Python reads it, and may fail to print it."""
    if isinstance(value, dict | list):
        return any(map(_is_beyond_toml, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and value.bit_length() > 64


def _split_json(text: str, where: str) -> tuple[Fields, str, int]:
    """Split Hugo's JSON front matter: an object whose closing brace stands alone on a line."""
    lines = text.split("\n")
    end = next((n for n, line in enumerate(lines) if line.rstrip() == "}"), None)
    if end is None:
        return {}, text, 1
    try:
        fields = jsontext.read("\n".join(lines[: end + 1]).encode("utf-8", "replace"))
    except ValueError as error:
        raise SourceError(
            f"{where}:1: the front matter is not valid JSON ({error}). Check quotes and commas."
        ) from error
    return _as_mapping(fields, where), "\n".join(lines[end + 1 :]), end + 2


class _Loader(yaml.BaseLoader):
    """YAML in which every value is the text that was written: no `yes` becomes True, no 1.10 becomes 1.1.

    It knows no tags and no merges, so that nothing is ever constructed but texts, lists and mappings.
    """

    def __init__(self, block: str) -> None:
        super().__init__(block)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, counting aliases: fifty are more than anybody writes."""
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > MAX_ALIASES:
                raise ValueError(f"more than {MAX_ALIASES} aliases")
        return super().compose_node(parent, index)


# ── fields ───────────────────────────────────────────────────────────────────────────────────────


def text(fields: Fields, *names: str) -> str:
    """Return the first of the named fields that holds a text, as plain text; empty if none does."""
    return next((found for name in names if (found := _text(fields.get(name)))), "")


def texts(fields: Fields, *names: str) -> list[str]:
    """Return the texts of all named fields: lists, or one text split at commas, else (plurals) at spaces."""
    return [found for name in names for found in _texts(fields.get(name), words=name.endswith("s"))]


def flag(fields: Fields, name: str) -> bool | None:
    """Return a field that says yes or no; `None` when it is missing."""
    value = _text(fields.get(name)).lower()
    return value in _YES if value else None


def moment(value: object, zone: tzinfo = UTC) -> datetime | None:
    """Return the UTC time that a field's value names; a date is its midnight, without an offset in `zone`."""
    if isinstance(value, datetime):
        return as_utc(value, zone)
    if isinstance(value, date):
        return midnight(value, zone)
    return parse_date(value, zone) if isinstance(value, str) else None


def table(fields: Fields, name: str) -> Fields:
    """Return a field that holds fields of its own (Zola's `extra`, Hugo's `cover`); empty if it does not."""
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    if isinstance(value, int | float | date | time):
        return str(value)
    written = strip_controls(value).strip() if isinstance(value, str) else ""
    return "" if written in ("~", "null") else written


def _texts(value: object, *, words: bool, depth: int = 0) -> Iterator[str]:
    if isinstance(value, list):
        for each in value[:200] if depth < 3 else ():
            yield from _texts(each, words=False, depth=depth + 1)
        return
    written = _text(value)
    if depth or not written:
        yield from [written] if written else []
    elif "," in written:
        yield from (part.strip() for part in written.split(",") if part.strip())
    else:
        yield from written.split() if words else [written]
