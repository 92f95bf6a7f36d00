"""The owner's own layout of posts: text with fields in braces, and nothing that could be run.

Values are put in once and never looked at again: braces in a title are a title's braces.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from bridge.compose.body import line_html
from bridge.config.values import POST_FIELDS

_FIELD = re.compile(rf"\{{({'|'.join(POST_FIELDS)})\}}")
_BLOCKS = re.compile(r"<(?:p|ul|ol|blockquote|pre)\b")


def shows_whole_text(template: str) -> bool:
    """Say whether a template leaves nothing to read on the page."""
    return template == "full" or "{content}" in template


def day(moment: datetime, timezone: str) -> str:
    """Write a date as everybody can read it."""
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d}"


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return a note's HTML; `fields` are HTML, by name.

    A paragraph whose fields are all empty goes. A text of several paragraphs stands on its own; one of a
    single paragraph may stand within a line.
    """
    written = re.split(r"\n[ \t]*\n\s*", template.replace("\r\n", "\n").strip())
    return "".join(_paragraph(one, fields) for one in written)


def _paragraph(written: str, fields: Mapping[str, str]) -> str:
    pieces = _FIELD.split(written)  # words, field, words, field, …, words
    if len(pieces) > 1 and not any(fields[name] for name in pieces[1::2]):
        return ""
    html, line = "", ""
    for place, piece in enumerate(pieces):
        value = fields[piece] if place % 2 else line_html(piece)
        if place % 2 and _BLOCKS.match(value) and not _is_one_paragraph(value):
            html, line = html + _as_paragraph(line) + value, ""
        else:
            line += value.removeprefix("<p>").removesuffix("</p>")
    return html + _as_paragraph(line)


def _is_one_paragraph(html: str) -> bool:
    return html.startswith("<p>") and len(_BLOCKS.findall(html)) == 1


def _as_paragraph(line: str) -> str:
    line = re.sub(r"^(?:\s|<br>){1,50}|(?:\s|<br>){1,50}$", "", line)
    return f"<p>{line}</p>" if line else ""
