"""Lines that only some dialects of Markdown know (Docusaurus, MkDocs, kramdown, MDX) become plain, or go.

Code is left alone.
"""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"\A {0,3}(`{3,}|~{3,})")
_CONTENTS = re.compile(
    r"\A\s{0,12}(?:\[\[_?toc_?\]\]|\[toc\]|\$\{toc\}|<!--\s?toc\s?-->|\{:\s?toc[^{}]{0,200}\})\s{0,12}",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\A {0,3}(?:[*+-]|1\.) {1,4}\S.{0,60}"
)  # the item kramdown replaces by the contents
_ATTRIBUTES = re.compile(r"\A\s{0,12}\{:[^{}]{0,300}\}\s{0,12}")
_HEADING_ATTRIBUTES = re.compile(r"(?<=\S)\s{0,4}\{[#.:][^{}]{0,200}\}\s{0,4}\Z")
_CONTAINER = re.compile(
    r"\A\s{0,12}:{3,9} {0,4}(?:\{?\.?[A-Za-z][\w-]{0,30}\}?)? {0,4}"
    r"(?:\[([^\[\]]{1,200})\]|([^\s\[].{0,200}))? {0,4}"
)
_ADMONITION = re.compile(
    r'\A(?:!!!|\?\?\?\+?) {1,4}[\w-]{1,30}(?: {1,4}[\w-]{1,30})?(?: {1,4}"([^"]{0,200})")? {0,4}'
)
_CALLOUT = re.compile(r"\A((?: {0,3}>){1,9}) ?\[!([A-Za-z]{1,30})\][+-]?[ \t]{0,4}(.{0,200})")
_TASK = re.compile(r"\A((?:\s|> ?){0,24}(?:[*+-]|\d{1,9}[.)]) {1,4})\[([ xX])\] {1,4}(?=\S)")
_ABBREVIATION = re.compile(r"\A\*\[[^\[\]]{1,100}\]:.*")
_IMPORT = re.compile(
    r"\A(?:import {1,4}(?:['\"]|[\w*{].{0,300}\sfrom {1,4}['\"])"
    r"|export {1,4}(?:const|default|let|function)\b)"
)
_IMPORT_OPENS = re.compile(r"\Aimport {1,4}(?:\w{1,60} ?, ?)?\{[^}]{0,300}\Z")
# To CommonMark “![](bun 1.png)” is no picture, because of the space; to whoever wrote it, it is.
_SPACED_PICTURE = re.compile(
    r"(!\[[^\[\]]{0,500}\])\(([^()<>\"\s][^()<>\"\n]{0,300}\.(?:jpe?g|png|gif|webp|avif|heic|heif|svg))\)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"\{/\*.{0,2000}?\*/\}", re.DOTALL)


def in_one_dialect(markdown: str) -> str:
    """Return Markdown that every parser reads alike."""
    if "{/*" in markdown:
        markdown = _COMMENT.sub("", markdown)
    return "\n".join(_translated(markdown.split("\n")))


def _translated(lines: list[str]) -> Iterator[str]:
    fence, importing, indented = "", False, False
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and not indented:
            fence = _fence_after(fence, mark[1], line)
        if fence or mark:
            yield line
        elif importing:
            importing = "from" not in line
        elif _IMPORT_OPENS.match(line):
            importing = True
        else:
            indented = _ADMONITION.fullmatch(line) is not None or (indented and line[:4].strip() == "")
            yield from _line(line, lines[number + 1 : number + 2], indented=indented)


def _fence_after(fence: str, mark: str, line: str) -> str:
    if not fence:
        return mark
    return "" if mark.startswith(fence) and not line.strip().strip(mark[0]) else fence


def _line(line: str, following: list[str], *, indented: bool) -> Iterator[str]:
    """Yield what a line outside of code is to every parser; `indented`: it belongs to an admonition."""
    if admonition := _ADMONITION.fullmatch(line):
        yield from _title(admonition[1])
    elif indented:
        yield line.removeprefix("    ")
    elif callout := _CALLOUT.fullmatch(line):
        yield from (f"{callout[1]} **{callout[3].strip() or callout[2].capitalize()}**", callout[1])
    elif container := _CONTAINER.fullmatch(line):
        yield from _title(container[1] or container[2])
    elif _PLACEHOLDER.fullmatch(line) and following and _CONTENTS.fullmatch(following[0]):
        return
    elif not any(
        one.fullmatch(line) for one in (_CONTENTS, _ATTRIBUTES, _ABBREVIATION)
    ) and not _IMPORT.match(line):
        line = _SPACED_PICTURE.sub(r"\1(<\2>)", line)
        yield _HEADING_ATTRIBUTES.sub("", line) if line.startswith("#") else _TASK.sub(_checkbox, line)


def _checkbox(task: "re.Match[str]") -> str:
    return f"{task[1]}{'☐' if task[2] == ' ' else '☑'} "


def _title(words: str | None) -> Iterator[str]:
    """Yield a box's title as a paragraph; a box without one is the paragraphs in it."""
    title = (words or "").strip()
    yield from ("", f"**{title}**", "") if title else ("",)
