"""Markdown as Python-Markdown reads it, for the sites that are made with it: Pelican's, MkDocs', Nikola's.

Nearly every step of the library takes time in the square of its text. It is watched while it works, and
stopped when it has had its share of the processor; what runs in one piece is weighed before.
"""

import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

MAX_SECONDS = 2.5  # of the processor's time
MAX_WEIGHT = 100_000_000  # signs times characters that one regular expression may run over

# Never by a name that a configuration gives. Ours to do: meta, abbr (no server shows what stands behind one),
# and toc, whose ids are not kept.
_EXTRA = ("attr_list", "def_list", "fenced_code", "footnotes", "md_in_html", "tables")
_OWN = (
    *_EXTRA,
    "admonition",
    "codehilite",
    "legacy_attrs",
    "legacy_em",
    "nl2br",
    "sane_lists",
    "smarty",
    "wikilinks",
)
_STANDS_FOR = {"extra": _EXTRA, "details": ("admonition",), "superfences": ("fenced_code",)}
_OPTIONS = {"codehilite": {"use_pygments": False, "guess_lang": False}}

_FENCE = re.compile(r"( {0,64})(`{3,}|~{3,})(.*)")
_CONTENTS = re.compile(r"\s{0,3}\[TOC\]\s{0,3}")
_ABBREVIATION = re.compile(r"\*\[[^\[\]]{1,100}\] ?:.*")
_HIGHLIGHTED = re.compile(r"\s{0,4}hl_lines=.*")
_DETAILS = re.compile(r"( {0,40})\?\?\?\+?(?= )")
_TASK = re.compile(r"( {0,40}(?:[*+-]|\d{1,9}\.) {1,4})\[([ xX])\] (?=\S)")
_RULED = re.compile(r'(<div class="footnote">\s{0,2})<hr ?/?>')  # no rule of the author's
_GAPS = re.compile(r"[ \t]{2,}")
_SIGNS = "*_`[<&:"
_EVERY = 128  # calls between two looks at the clock


class TooCostlyError(ValueError):
    """A text takes more time than any post is worth."""


class _OutOfTime(BaseException):
    """Ends the library's work from within, past whatever catches an `Exception` there."""


def render_python(text: str, extensions: Iterable[str], *, seconds: float = MAX_SECONDS) -> str:
    """Return Markdown as HTML, raw HTML included; it may take `seconds` of the processor's time.

    Raises `TooCostlyError`, and whatever the library does.
    """
    names = frozenset(extensions)
    prepared = "\n".join(_prepared(text.split("\n"), names))
    _weigh_lines(prepared.split("\n"))
    wanted = {own for name in names for own in _STANDS_FOR.get(name, (name,)) if own in _OWN}
    modules: list[str | Extension] = [f"markdown.extensions.{name}" for name in sorted(wanted)]
    options = {f"markdown.extensions.{name}": given for name, given in _OPTIONS.items() if name in wanted}
    parser = Markdown(extensions=[*modules, _Bounded()], extension_configs=options, output_format="html")
    return _RULED.sub(r"\1", _within_time(parser, prepared, seconds))


def _within_time(parser: Markdown, text: str, seconds: float) -> str:
    """Convert, looking at the clock at every so many calls: what the library loops over are calls."""
    ends, calls = time.thread_time() + seconds, 0

    def look(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal calls
        calls += 1
        if calls % _EVERY == 0 and time.thread_time() > ends:
            raise _OutOfTime

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        return parser.convert(text)
    except _OutOfTime:
        raise TooCostlyError("it takes too long to read") from None
    finally:
        sys.setprofile(before)


# ── what is ours to do ───────────────────────────────────────────────────────────────────────────


def _prepared(lines: Iterable[str], names: frozenset[str]) -> Iterator[str]:
    """Yield lines without what we read for the library; an indented fence (superfences) as indented code."""
    fence = indent = ""
    for line in lines:
        mark = _FENCE.fullmatch(line)
        if fence:
            ends = mark is not None and mark[2] == fence and not mark[3].strip()
            yield (
                "" if indent and (ends or not line.strip()) else line if ends or not indent else f"    {line}"
            )
            fence = "" if ends else fence
        elif mark and "`" not in mark[3] and (not mark[1] or "superfences" in names):
            fence, indent = mark[2], mark[1]
            yield "" if indent else _HIGHLIGHTED.sub("", line)
        else:
            yield from _line(line, names)


def _line(line: str, names: frozenset[str]) -> Iterator[str]:
    if _CONTENTS.fullmatch(line) or (names & {"abbr", "extra"} and _ABBREVIATION.fullmatch(line)):
        return
    if "details" in names:
        line = _DETAILS.sub(r"\1!!!", line)
    yield _TASK.sub(_checkbox, line) if "tasklist" in names else line


def _checkbox(task: "re.Match[str]") -> str:
    return f"{task[1]}{'☐' if task[2] == ' ' else '☑'} "


# ── what runs in one piece ───────────────────────────────────────────────────────────────────────


def _weigh_lines(lines: Sequence[str]) -> None:
    """Refuse fences that are looked for to the end in vain, and rows of a table with far too much code."""
    closing: dict[str, int] = {}
    place = end = sum(map(len, lines)) + len(lines)
    weight = 0
    for line in reversed(lines):
        place -= len(line) + 1
        mark = _FENCE.match(line)
        if mark and not mark[1]:
            weight += closing.get(mark[2], end) - place
            closing |= {mark[2]: place} if not mark[3].strip() else {}
        if weight > MAX_WEIGHT or line.count("|") * line.count("`") > MAX_WEIGHT // 100:
            raise TooCostlyError("it has far too many fences, or code in a table, for its length")


class _Bounded(Extension):
    """Weighs texts between the reading of blocks and that of what stands in them."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Register."""
        md.treeprocessors.register(_Weighing(md), "bounded", 30)  # inline has 20


class _Weighing(Treeprocessor):
    def run(self, root: Element) -> None:
        """Refuse what regular expressions would look through over and over, or repeat at length."""
        longest = max((len(url) + len(title or "") for url, title in self.md.references.values()), default=0)
        brackets = 0
        for text in (text for one in root.iter() for text in (one.text, one.tail)):
            if not text or isinstance(text, AtomicString):
                continue
            brackets += text.count("[")
            if _weight(text) > MAX_WEIGHT or brackets * longest > MAX_WEIGHT:
                raise TooCostlyError("a paragraph is far too long for its signs")


def _weight(text: str) -> int:
    gap = max((len(run) for run in _GAPS.findall(text)), default=1) if "{" in text else 1
    return len(text) * (sum(map(text.count, _SIGNS)) + gap * text.count("{"))
