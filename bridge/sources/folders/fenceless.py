"""Fields without fences: Pelican's `Title: …` lines, Nikola's comment, a list below the first heading.

Lines of `Title: …` are read as Python-Markdown's `meta` extension does: a value may be empty, and goes on in
lines that are indented by four spaces.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

_FIELD = re.compile(r" {0,3}([A-Za-z0-9_-]{1,200}):\s*(.*)")
_MORE = re.compile(r"(?: {4}|\t)\s*(.*)")
_ENDS = re.compile(r"(?:-{3}|\.{3})(?:\s.*)?")
_IN_COMMENT = re.compile(r"\.\.[ \t]+([A-Za-z][\w-]{0,40}):[ \t]*(.{0,1000})")
_LISTED = re.compile(r"[-*][ \t]+([A-Za-z][\w-]{0,40}):[ \t]+(\S.{0,1000})")
_TELLING = frozenset({"title", "date", "slug", "tags", "status"})
_MOST = 40
_LISTS = frozenset({"tags", "keywords"})
# Of which Pelican takes the first; others become one text.
_ONCE = frozenset({"title", "date", "modified", "status", "category", "slug", "save_as", "url", "lang"})

Field = str | list[str]
Split = tuple[Mapping[str, Field], str, int]
Form = Literal["fields", "comment", "list"]


def form_of(text: str) -> Form | None:
    """Say in which form a text's header is, if it has one."""
    if split(text) is None:
        return None
    if text.lstrip().startswith("<!--"):
        return "comment"
    return "list" if text.startswith("# ") else "fields"


def split(text: str) -> Split | None:
    """Return fields, body and the line on which the body starts; `None` for a text that has none of this."""
    lines = text.split("\n")
    if text.lstrip().startswith("<!--"):
        start = next(number for number, line in enumerate(lines) if line.strip())
        return _split(lines, start + 1, _IN_COMMENT, after="-->") if lines[start].strip() == "<!--" else None
    if lines[0].startswith("# "):
        start = 2 if len(lines) > 2 and not lines[1].strip() else 1
        found = _split(lines, start, _LISTED, after="---")
        return (found[0], f"{lines[0]}\n\n{found[1]}", found[2]) if found else None
    return _split_fields(lines)


def split_meta(text: str) -> Split | None:
    """Split what stands first as the `meta` extension does: any word with a colon, between `---` or not."""
    lines = text.split("\n")
    fields, end = _fields(lines, 1 if _ENDS.fullmatch(lines[0]) else 0)
    if not fields:
        return None
    end += end < len(lines) and (not lines[end].strip() or _ENDS.fullmatch(lines[end]) is not None)
    return _read(fields), "\n".join(lines[end:]), end + 1


def is_plain(block: Iterable[str]) -> bool:
    """Say whether lines between `---` are no more than `name: value`, which Pelican takes word for word."""
    lines = [line for line in block if line.strip()]
    matches = [_FIELD.fullmatch(line) for line in lines]
    return bool(matches) and all(match and match[2][:1] not in "[{\"'|>&*!" and match[2] for match in matches)


def _split_fields(lines: list[str]) -> Split | None:
    """Split fields that name what only a post's header would, and end with an empty line."""
    fields, end = _fields(lines[: _MOST + 1], 0)
    is_closed = end >= len(lines) or not lines[end].strip()
    enough = len(fields) > 1 or bool(fields.get("title", [""])[0])
    if not is_closed or not enough or not fields.keys() & _TELLING or not any(map(any, fields.values())):
        return None
    while end < len(lines) and not lines[end].strip():
        end += 1
    return _read(fields), "\n".join(lines[end:]), end + 1


def _fields(lines: list[str], start: int) -> tuple[dict[str, list[str]], int]:
    """Return the values by name, in lower case, and the number of the first line that is no field's."""
    fields: dict[str, list[str]] = {}
    name, end = "", start
    for end in range(start, len(lines)):
        line = lines[end]
        if not line.strip() or _ENDS.fullmatch(line):
            return fields, end
        if field := _FIELD.fullmatch(line):
            name = field[1].lower().replace("-", "_")
            fields.setdefault(name, []).append(field[2].strip())
        elif name and (more := _MORE.fullmatch(line)):
            fields[name].append(more[1].strip())
        else:
            return fields, end
    return fields, len(lines)


def _read(fields: Mapping[str, list[str]]) -> dict[str, Field]:
    return {name: _value(name, values) for name, values in fields.items()}


def _value(name: str, values: list[str]) -> Field:
    """Return a field as Pelican takes it: lists are split at semicolons or commas, never at spaces."""
    if name in _LISTS:
        written = ", ".join(value for value in values if value)
        return [one for part in written.split(";" if ";" in written else ",") if (one := part.strip())]
    if name == "category":
        return [values[0]] if values[0] else ""
    return values[0] if name in _ONCE else "\n".join(values).strip()


def comma_list(name: str, value: str) -> Field:
    """Return a field's value, with what is a list as one."""
    return _value(name, [value])


def _split(lines: list[str], start: int, form: "re.Pattern[str]", *, after: str) -> Split | None:
    """Read lines of one form from `start`; they have to name what only a post's header would."""
    fields: dict[str, Field] = {}
    end = start
    while end < min(len(lines), start + _MOST) and (match := form.fullmatch(lines[end].strip())):
        name, value = match[1].lower().replace("-", "_"), match[2].strip().strip('"')
        fields[name] = _value(name, [value]) if form is _IN_COMMENT else value
        end += 1
    closed = end >= len(lines) or not lines[end].strip() or lines[end].strip() == after
    if not closed or len(fields) < (1 if form is _LISTED else 2) or not fields.keys() & _TELLING:
        return None
    while end < len(lines) and lines[end].strip() in ("", after):
        end += 1
    return fields, "\n".join(lines[end:]), end + 1
