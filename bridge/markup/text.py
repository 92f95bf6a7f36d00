"""Plain text out of HTML and HTML out of plain text, with nothing invisible or dangerous in either."""

import re
import unicodedata
from collections.abc import Iterator
from html import escape, unescape
from html.parser import HTMLParser

from bridge.markup.sanitize import outline

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
# Nobody writes these when they talk about HTML: a link with its address, a picture, a pair of paragraph tags.
_MARKUP = re.compile(
    r"<(?:a\s[^<>]{0,200}href=|img\s[^<>]{0,500}src=|(?:div|p|span)\s+(?:class|style|id)=|br\s?/>)"
    r"|\A\s{0,99}<(p|div|ul|ol|h[1-6]|blockquote|figure)>.*</\1>",
    re.IGNORECASE | re.DOTALL,
)
_BLOCK = re.compile(r"<(?:p|div|ul|ol|h[1-6]|blockquote|figure|br)[\s/>]", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BLANK_LINES = re.compile(r"\n{3,}")
_SENTENCE_END = re.compile(r"[.!?…؟۔।]['\"”’»)\]]{0,3}(?=\s|$)|[。！？｡][」』）”’]{0,3}")
# What a full stop belongs to without ending anything: “Dr.”, “z. B.”, “J. S. Bach”, “am 3. Mai”.
_ABBREVIATED = re.compile(
    r"(?:\b(?:[^\W\d_]|\d{1,2}|Mr|Mrs|Ms|Dr|Drs|Prof|St|Sr|Jr|Sra|Srta|Mme|Mlle|Mgr|Ing|Hr|Fr|Bros|Gen|Col|Capt|Lt"
    r"|Sen|Rep|Gov|Rev|Hon|No|Nr|Nos|vs|cf|ca|approx|bzw|evtl|ggf|inkl|Abb|Abs|Art|Fig|Vol|tel|Tel|str|čl|např|tzv"
    r"|mj|al|Ph)|\b\w\.\w)\.$"
)


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
    if not html:
        return ""
    reader = _TextReader()
    reader.feed(outline(strip_controls(html)))
    reader.close()
    lines = "".join(reader.pieces).split("\n")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip(" ") for line in lines)).strip()


def paragraphs(text: str) -> str:
    """Return plain text as HTML: a paragraph per blank line, a `<br>` per line break."""
    blocks = (block.strip() for block in "\n".join(strip_controls(text).splitlines()).split("\n\n"))
    lines = (text_as_html(block).replace("\n", "<br>") for block in blocks if block)
    return "".join(f"<p>{html}</p>" for html in lines)


def text_as_html(text: str) -> str:
    """Return plain text as HTML, spelled as nh3 does, so that cleaning it again changes nothing."""
    return escape(text, quote=False).replace("\xa0", "&nbsp;")


def html_from(text: str) -> str:
    """Return HTML for a field that may hold either: text without a single tag becomes paragraphs.

    HTML that was escaped once too often is HTML; a text that only names a tag (“use &lt;p&gt;”) is none.
    """
    text = text.replace("<![CDATA[", "").replace("]]>", "")  # of a section that was itself escaped
    if _TAG.search(text):
        return strip_controls(text)
    text = unescape(text)
    if not _MARKUP.search(text):
        return paragraphs(text)
    blocks = strip_controls(text).strip().splitlines()
    return "\n".join(blocks) if _BLOCK.search(text) else "<br>".join(blocks)


def is_all_markup(text: str) -> bool:
    """Say whether what calls itself plain text is HTML from its first character to its last."""
    return text.rstrip().endswith(">") and _BLOCK.match(text.lstrip()) is not None


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
    ends = [end for end in sentence_ends(text[: limit + 1]) if limit // 2 <= end <= limit]
    if ends:
        return head[: ends[-1]]
    return head[: word_end(text, limit - 1)].rstrip(" ,;:–—-") + "…"


def sentence_ends(text: str) -> Iterator[int]:
    """Yield where the sentences of a plain text end; the last character of `text` is only looked ahead at."""
    for match in _SENTENCE_END.finditer(text):
        after = text[match.end() : match.end() + 20].lstrip()
        if after[:1].islower() or _ABBREVIATED.search(text[max(0, match.end() - 12) : match.end()]):
            continue
        yield match.end()


def word_end(text: str, limit: int) -> int:
    """Return where to cut `text`, longer than `limit`, so that no word (or character) is split."""
    space = text.rfind(" ", limit // 2, limit + 1)
    if space > 0:
        return space
    while limit > 1 and _is_inside(text, limit):
        limit -= 1
    return limit


def _is_inside(text: str, place: int) -> bool:
    """Say whether a place is within what people take for one character: a letter and its accent, an emoji."""
    char = text[place]
    if _is_flag(char):
        letters = 0
        while letters < place and _is_flag(text[place - letters - 1]):
            letters += 1
        return letters % 2 == 1
    return (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or char in "\u200d\ufe0f"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or text[place - 1] == "\u200d"
    )


def _is_flag(char: str) -> bool:
    """Say whether a character is one of the letters of which two are a flag."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


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
        if tag == "br":
            self.pieces.append("\n")
        elif tag in ("tr", "li", "dt", "dd", "figcaption", "summary"):
            if not self.pieces or not self.pieces[-1].endswith("\n"):  # it ends where the next begins
                self.pieces.append("\n")
        elif tag in ("td", "th"):
            self.pieces.append(" ")
        elif tag in ("ul", "ol", "table", "dl") or tag not in ("img", "q", "a", "span"):
            self.pieces.append("\n\n")


def collapse(text: str) -> str:
    """Turn each run of HTML white space into one space; a no-break space is not white space here."""
    return re.sub(r"[ \t\n\r\f]+", " ", text)
