"""Headers in forms that `frontmatter` does not know, or where none is looked for: read, or an error.

Eleventy's ``---json``, ``---toml`` and ``---yaml``, Hexo's ``;;;``, JSON on one line and Nikola's lines
without a comment are read. Whatever else looks like a header is an error of its file: as text it would be
published. What it looks like is decided by shape: lines of ``name: value``, up to one that closes them.
"""

import json
import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from bridge.errors import SourceError
from bridge.sources.folders import drafts, fenceless, frontmatter
from bridge.sources.folders.frontmatter import MAX_BLOCK, Fields

Split = tuple[Fields, str, int]

_MOST = 80  # lines in which a header's end is looked for
_JUNK = re.compile(
    r"(?:[\s\ufeff\u200b-\u200f\u2060\u00a0\u00ad\u180e]|<!--(?!\s*\.\.\s).{0,1000}?-->)*", re.DOTALL
)
_NAMED = re.compile(r"---[ \t]*([A-Za-z][\w+-]{0,20})[ \t]*\n(.{0,65536}?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_SEMICOLONS = re.compile(r";;;(?:[ \t]*json)?[ \t]*\n(.{0,65536}?)\n;;;[ \t]*(?:\n|\Z)", re.DOTALL)
_FENCE = re.compile(
    r"\s{0,64}(?:-{2,200}|\+{3,200}|;{3,200}|={3,200}|~{3,200}|`{3,200}|\*{3,200}|_{3,200}|\.{3}"
    r"|[\u2012-\u2015]{1,3})[ \t]{0,64}(?:[A-Za-z][\w+-]{0,20})?\s{0,64}"
)
_FIELD = re.compile(
    r"[\s\u200b\ufeff]{0,64}[\"']?([A-Za-z_][\w-]{0,40})[\"']?\s{0,64}(?:=|:(?=\s|$|[\"'\[{]))\s{0,64}(.*)"
)
_BARE = re.compile(r"\.\.[ \t]+([A-Za-z][\w-]{0,40}):[ \t]*(.{0,1000})")
_OBJECT = re.compile(r"\{\s*(?:[\"'][\w @.-]{1,60}[\"']|[A-Za-z_]\w{0,40})\s*:(?!:)")
_TELLING = frozenset(
    {"title", "date", "slug", "tags", "layout", "categories", "category", "author", "fediverse"}
)
_STAYS = "The file is kept back; a post that is already public stays as it is."


def split_other(text: str, where: str) -> Split | None:
    """Return fields, body and the line on which that starts, of a header that only this module reads.

    `None`: the text begins in a form that `frontmatter` reads, or with words. Raises `SourceError` for what
    looks like a header and is none that can be read.
    """
    if "\r" in text.replace("\r\n", "\n")[:MAX_BLOCK]:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        first = frontmatter.split(text.removeprefix("\ufeff"), where)
        return first if first[0] else None
    text = frontmatter.with_plain_ends(text)
    return _read_named(text, where) or _read_object(text, where) or _read_bare(text, where)


def refuse_headers(body: str, where: str, line: int) -> None:
    """Raise `SourceError` where a body begins with what looks like a header. `line` is the body's first."""
    junk = _JUNK.match(body)
    start = junk.end() if junk else 0
    number = line + body.count("\n", 0, start)
    lines = body[start:].split("\n", _MOST + 1)[:_MOST]
    if lines and (
        _is_fenced(lines) or _is_unopened(lines) or _is_listed(lines) or _is_commented(body[start:])
    ):
        raise SourceError(
            f"{where}:{number}: this looks like a header, but is none that can be read. Write it between two "
            f"lines “---” that begin in the file's first line, or put words before it. {_STAYS}"
        )


# ── forms that are read ──────────────────────────────────────────────────────────────────────────


def _read_named(text: str, where: str) -> Split | None:
    match = _SEMICOLONS.match(text)
    if match:
        return _fields(_json(match[1], where), text, match.end(), where)
    match = _NAMED.match(text)
    if not match:
        return None
    name, block = match[1].lower(), match[2]
    if name in ("yaml", "yml"):
        fields, _, _ = frontmatter.split(f"---\n{block}\n---\n", where)
    elif name == "toml":
        fields, _, _ = frontmatter.split(f"+++\n{block}\n+++\n", where)
    elif name in ("json", "json5"):
        return _fields(_json(block, where), text, match.end(), where)
    else:
        raise SourceError(
            f"{where}:1: a header in “{name}” is not run. Write it as YAML between lines “---”. {_STAYS}"
        )
    return _fields(fields, text, match.end(), where)


def _read_object(text: str, where: str) -> Split | None:
    """Read Hugo's JSON on one line, or on lines whose last ends with its brace."""
    if not _OBJECT.match(text):
        return None
    try:
        fields, end = json.JSONDecoder(parse_constant=_refuse).raw_decode(text[:MAX_BLOCK])
    except (ValueError, RecursionError) as error:
        raise _no_json(where, error) from error
    closes = text[:end].rpartition("\n")[2] == "}" and text[end:].partition("\n")[0].strip() == ""
    if closes and text.startswith("{\n"):
        return None  # as `frontmatter` reads it
    if text[end:].partition("\n")[0].strip():
        raise SourceError(
            f"{where}:1: words follow the JSON of its header. Put an empty line between the two. {_STAYS}"
        )
    return _fields(_held(fields, where), text, end, where)


def _read_bare(text: str, where: str) -> Split | None:
    """Read Nikola's lines without the comment around them."""
    lines = text.lstrip("\n").split("\n")
    skipped = len(text) - len(text.lstrip("\n"))
    fields: dict[str, Any] = {}
    matches = list(takewhile(bool, (_BARE.fullmatch(line.strip()) for line in lines)))
    end = len(matches)
    for match in filter(None, matches):
        fields[match[1].lower().replace("-", "_")] = fenceless.comma_list(match[1].lower(), match[2].strip())
    if not fields or not any(name in _TELLING or drafts.is_word(name) for name in fields):
        return None
    return fields, "\n".join(lines[end:]), skipped + end + 1


def _fields(fields: object, text: str, end: int, where: str) -> Split:
    if not isinstance(fields, dict):
        raise SourceError(f"{where}:2: the front matter is not a list of fields. Write “name: value”.")
    return frontmatter.normalise(fields), text[end:].removeprefix("\n"), text.count("\n", 0, end) + 1


def _json(block: str, where: str) -> object:
    try:
        return _held(json.loads(block, parse_constant=_refuse), where)
    except (ValueError, RecursionError) as error:
        raise _no_json(where, error) from error


def _held(fields: object, where: str) -> object:
    """Return what JSON holds, unless it holds what no text or number can be."""
    try:
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:  # 1e999, half a surrogate pair
        raise _no_json(where, error) from error
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _no_json(where: str, error: Exception) -> SourceError:
    shown = str(error).encode("ascii", "replace").decode()[:120]
    return SourceError(
        f"{where}:1: the front matter is not valid JSON ({shown}). Check quotes, commas and numbers. {_STAYS}"
    )


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────


def _is_fenced(lines: list[str]) -> bool:
    """Say whether fields stand between two lines of signs, whichever these are."""
    if not _FENCE.fullmatch(lines[0]) and not lines[0].lstrip().startswith(("---", "+++", ";;;")):
        return False
    code = lines[0].lstrip().startswith(("```", "~~~"))
    inner = [line for line in lines[1:] if line.strip()]
    while inner and code and _FENCE.fullmatch(inner[0]):
        inner = inner[1:]
    names = _names_up_to_fence(inner)
    if code:
        return "title" in names and _says_something(names, word=True)
    return (bool(names) and (_says_something(names) or len(names) > 1)) or _is_object(inner)


def _is_object(inner: list[str]) -> bool:
    return bool(inner) and bool(_OBJECT.match(inner[0].strip()) or inner[0].strip() == "{")


def _is_unopened(lines: list[str]) -> bool:
    """Say whether fields that tell stand before a line that would close them."""
    names = _names_up_to_fence(lines)
    if not names:
        return False
    fence = next(number for number, line in enumerate(lines) if _FENCE.fullmatch(line))
    below = _names_up_to_fence(lines[fence + 1 :])
    return (len(names) > 1 and _says_something(names)) or any(map(drafts.is_word, (*names, *below)))


def _names_up_to_fence(lines: list[str]) -> list[str]:
    """Return the names of the fields before the first closing line; none where words come before it."""
    names: list[str] = []
    for line in lines:
        if names and _FENCE.fullmatch(line):
            return names
        if match := _FIELD.fullmatch(line):
            names.append(match[1].lower())
        elif (
            line.strip()
            and not line.startswith((" ", "\t", "-", "#"))
            and line.strip() not in ("{", "}", "]")
        ):
            return []
    return []


def _is_listed(lines: list[str]) -> bool:
    """Say whether lines of fields up to the first empty one have a word about publishing among them."""
    names: list[tuple[str, str]] = []
    for line in lines:
        if not line.strip():
            break
        match = _FIELD.fullmatch(line)
        if not match:
            return False
        names.append((match[1].lower(), match[2].strip()))
    return any(drafts.is_word(name) and len(value) < 40 for name, value in names)


def _is_commented(text: str) -> bool:
    """Say whether a comment with Nikola's fields comes first, in another form than Nikola's."""
    return re.match(r"<!--\s*\.\.[ \t]+[A-Za-z][\w-]{0,40}:", text) is not None


def _says_something(names: Iterable[str], *, word: bool = False) -> bool:
    return any(drafts.is_word(name) or (not word and name in _TELLING) for name in names)
