"""Plain text out of HTML and HTML out of plain text, with nothing invisible or dangerous in either."""

import re
import unicodedata
from html import escape, unescape
from html.parser import HTMLParser

from bridge.sources.sanitize import outline

_CONTROLS = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF])
_SURROGATES = re.compile("[\ud800-\udfff]")
# A title that turns the text after it around (U+202E) is never meant: other people's pages show it too.
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_NOT_INK = frozenset({"Cc", "Cf", "Cn", "Zs", "Zl", "Zp", "Mn", "Me"})
# A closed list: in “if x<y then y>x” nothing is a tag.
_NAMES = (
    "a|abbr|article|b|blockquote|br|center|code|div|em|figure|font|h[1-6]|hr|i|iframe|img|li|ol|p|pre|q|s|script"
    "|section|small|span|strong|style|sub|sup|svg|table|td|tr|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_NAMES})(?=[\s/>])[^<>]*>|<!--", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BLANK_LINES = re.compile(r"\n{3,}")
_SENTENCE_END = re.compile(r"[.!?…]['\"”’»)\]]{0,3}(?=\s|$)|[。！？｡][」』）”’]{0,3}")


def strip_controls(text: str) -> str:
    """Remove NUL, control characters and lone surrogates, which databases and JSON refuse."""
    return _SURROGATES.sub("\ufffd", text.translate(_CONTROLS))


def one_line(text: str, limit: int = 500) -> str:
    """Return `text` on one line without control and bidi-override characters; empty if nothing is visible."""
    line = " ".join(strip_controls(text).translate(_BIDI).split())
    if not any(unicodedata.category(char) not in _NOT_INK for char in line):
        return ""
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def looks_like_html(text: str) -> bool:
    """Say whether `text` contains a tag of HTML or a character reference."""
    return bool(_TAG.search(text) or _REFERENCE.search(text))


def plain_text(html: str) -> str:
    """Return what a reader sees: paragraphs separated by a blank line, line breaks kept, no markup."""
    reader = _TextReader()
    reader.feed(outline(strip_controls(html)))
    reader.close()
    lines = "".join(reader.pieces).split("\n")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip(" ") for line in lines)).strip()


def paragraphs(text: str) -> str:
    """Return plain text as HTML: a paragraph per blank line, a `<br>` per line break."""
    blocks = (block.strip() for block in "\n".join(strip_controls(text).splitlines()).split("\n\n"))
    return "".join(f"<p>{_as_html(block)}</p>" for block in blocks if block)


def _as_html(text: str) -> str:
    # As nh3 spells them, so that cleaning it again changes nothing.
    return escape(text, quote=False).replace("\n", "<br>").replace("\xa0", "&nbsp;")


def html_from(text: str) -> str:
    """Return HTML for a field that may hold either: text without a single tag becomes paragraphs."""
    if _TAG.search(text):
        return strip_controls(text)
    return paragraphs(unescape(text))


def excerpt(html_or_text: str, limit: int = 400) -> str:
    """Return the beginning in at most `limit` characters of plain text on one line.

    It ends with a sentence if one ends in the last half of the limit, else with a whole word and “…”.
    """
    return shorten(plain_text(html_or_text) if looks_like_html(html_or_text) else html_or_text, limit)


def shorten(text: str, limit: int = 400) -> str:
    """Return the beginning of plain text as `excerpt` does; what looks like a tag in it is text."""
    text = " ".join(strip_controls(text).split())
    if len(text) <= limit:
        return text
    head = text[:limit]
    ends = [m.end() for m in _SENTENCE_END.finditer(text[: limit + 1]) if limit // 2 <= m.end() <= limit]
    if ends:
        return head[: ends[-1]]
    return head[: word_end(text, limit - 1)].rstrip(" ,;:–—-") + "…"


def word_end(text: str, limit: int) -> int:
    """Return where to cut `text`, longer than `limit`, so that no word (or character) is split."""
    space = text.rfind(" ", limit // 2, limit + 1)
    if space > 0:
        return space
    while limit > 1 and _joins(text[limit], text[limit - 1]):
        limit -= 1
    return limit


def _joins(char: str, before: str) -> bool:
    """Say whether `char` belongs to the character before it: an accent, a skin tone, a joined emoji."""
    return (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or char in "\u200d\ufe0f"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or before == "\u200d"
        or ("\U0001f1e6" <= char <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff")
    )


class _TextReader(HTMLParser):
    """Collects the text of an outline: `p` ends a paragraph, `br` a line, `pre` keeps its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._pre += tag == "pre"
        self._boundary(tag)

    def handle_endtag(self, tag: str) -> None:
        self._pre -= tag == "pre"
        self._boundary(tag)

    def handle_data(self, data: str) -> None:
        if self._pre:
            self.pieces.append(data)
        elif flat := collapse(data):
            at_line_start = not self.pieces or self.pieces[-1].endswith(("\n", " "))
            self.pieces.append(flat.lstrip(" ") if at_line_start else flat)

    def _boundary(self, tag: str) -> None:
        if tag in ("br", "tr", "li", "dt", "dd", "figcaption", "summary"):
            self.pieces.append("\n")
        elif tag in ("td", "th"):
            self.pieces.append(" ")
        elif tag in ("ul", "ol", "table", "dl") or tag not in ("img", "q", "a", "span"):
            self.pieces.append("\n\n")


def collapse(text: str) -> str:
    """Turn each run of HTML white space into one space; a no-break space is not white space here."""
    return re.sub(r"[ \t\n\r\f]+", " ", text)
