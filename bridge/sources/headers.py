"""Fields without fences: Pelican's `Title: …` lines, Nikola's comment, a list below the first heading."""

import re
from collections.abc import Mapping

_FIELD = re.compile(r"([A-Za-z][\w-]{0,40}):[ \t]+(\S.{0,1000})")
_IN_COMMENT = re.compile(r"\.\.[ \t]+([A-Za-z][\w-]{0,40}):[ \t]*(.{0,1000})")
_LISTED = re.compile(r"[-*][ \t]+([A-Za-z][\w-]{0,40}):[ \t]+(\S.{0,1000})")
_TELLING = frozenset({"title", "date", "slug", "tags", "status"})
_MOST = 40

Split = tuple[Mapping[str, str], str, int]


def split(text: str) -> Split | None:
    """Return fields, body and the line on which the body starts; `None` for a text that has none of this."""
    lines = text.split("\n")
    if lines[0].strip() == "<!--":
        return _split(lines, 1, _IN_COMMENT, after="-->")
    if lines[0].startswith("# "):
        start = 2 if len(lines) > 2 and not lines[1].strip() else 1
        found = _split(lines, start, _LISTED, after="---")
        return (found[0], f"{lines[0]}\n\n{found[1]}", found[2]) if found else None
    return _split(lines, 0, _FIELD)


def _split(lines: list[str], start: int, form: "re.Pattern[str]", *, after: str = "") -> Split | None:
    """Read lines of one form from `start`; they have to name what only a post's header would."""
    fields: dict[str, str] = {}
    end = start
    while end < min(len(lines), start + _MOST) and (match := form.fullmatch(lines[end].rstrip())):
        fields[match[1].lower().replace("-", "_")] = match[2].strip().strip('"')
        end += 1
    closed = end >= len(lines) or not lines[end].strip() or lines[end].strip() == after
    if not closed or len(fields) < (1 if form is _LISTED else 2) or not fields.keys() & _TELLING:
        return None
    while end < len(lines) and lines[end].strip() in ("", after):
        end += 1
    return fields, "\n".join(lines[end:]), end + 1
