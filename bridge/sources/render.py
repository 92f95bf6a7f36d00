"""Markdown, with what generators add to it, becomes HTML; what would take minutes is refused."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor, SimpleTagInlineProcessor
from markdown.util import AtomicString

from bridge.errors import SourceError
from bridge.sources.shortcodes import expand_shortcodes
from bridge.sources.text import one_line

MAX_COST = 20_000_000


def render(text: str, path: str) -> str:
    """Return Markdown as HTML, raw HTML included: sanitising comes later, for every source alike.

    Raises `SourceError` naming `path` for text that Python-Markdown cannot take or would take too long over.
    """
    if cost(text) > MAX_COST:
        raise SourceError(
            f"{path}: a paragraph leaves too many brackets open. Close them, or put code in fences."
        )
    extensions: list[str | Extension] = [
        *("fenced_code", "tables", "footnotes", "attr_list", "def_list", "abbr", "md_in_html", "sane_lists"),
        _Habits(),
    ]
    try:
        return markdown.markdown(expand_shortcodes(text), extensions=extensions, output_format="html")
    except Exception as error:  # RecursionError on deep nesting; the library promises nothing
        reason = one_line(str(error), 100) or type(error).__name__
        raise SourceError(
            f"{path}: the Markdown cannot be rendered ({reason}). Simplify its nesting."
        ) from error


def cost(text: str) -> int:
    """Estimate the work that open brackets cause.

    Python-Markdown 3.11 looks for the end of each `[`, `](` and `<` through the whole paragraph, and for each
    abbreviation through the whole text: minutes for 20 KB of brackets. 20 million are about a second.
    """
    total = sum(_block_cost(block) for block in _prose(text))
    return total + len(text) * (text.count("\n*[") + text.startswith("*["))


def _block_cost(block: str) -> int:
    links = block.count("](")
    unclosed = max(0, links - block.count(")")) + max(0, block.count("<") - block.count(">"))
    return len(block) * (unclosed + 5 * _bracket_depth(block))


def _bracket_depth(block: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]]", block):
        depth = depth + 1 if bracket == "[" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _prose(text: str) -> Iterator[str]:
    """Yield the paragraphs outside fenced code, which is not searched for links."""
    fence = ""
    lines: list[str] = []
    for line in text.split("\n"):
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~") and fence in ("", mark):
            fence = "" if fence else mark
        elif not fence and line.strip():
            lines.append(line)
            continue
        if not fence or lines:
            yield "\n".join(lines)
            lines = []
    yield "\n".join(lines)


class _Habits(Extension):
    """What every generator's Markdown knows and Python-Markdown does not: ~~deleted~~ and bare addresses."""

    def extendMarkdown(self, md: markdown.Markdown) -> None:
        """Register both after code, links and raw HTML, which may contain the same characters."""
        deleted = SimpleTagInlineProcessor(r"(~~)([^~\n]{1,500})~~", "del")
        address = _BareAddress(r"(?<![\w/\"'=])(https?://[^\s<>\"'`\x02\x03]{4,500})", md)
        md.inlinePatterns.register(deleted, "deleted", 65)
        md.inlinePatterns.register(address, "bare address", 60)


class _BareAddress(InlineProcessor):
    """An address in running text, without the punctuation that ends the sentence."""

    ANCESTOR_EXCLUDES = ("a",)

    def handleMatch(  # type: ignore[override]
        self, match: re.Match[str], data: str
    ) -> tuple[Element, int, int]:
        """Return the link and where it stands."""
        address = match.group(1).rstrip(".,;:!?*_~")
        if address.endswith(")") and "(" not in address:
            address = address[:-1]
        link = Element("a", href=self.unescape(address))
        link.text = AtomicString(address)
        return link, match.start(1), match.start(1) + len(address)
