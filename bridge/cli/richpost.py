"""A post's HTML as text for a terminal: bold is bold, links are underlined, lists have their marks."""

import re
from html.parser import HTMLParser

from rich.text import Text

from bridge.markup.text import collapse

_STYLES = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("del", "s"), "strike"),
    "u": "underline",
    "code": "cyan",
}
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_BLOCKS = frozenset({"p", "ul", "ol", "blockquote", "pre"})


def to_text(html: str) -> Text:
    """Return note HTML as styled text; links are clickable where the terminal can do that."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    writer.text.rstrip()
    return writer.text


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = Text()
        self._styles: list[tuple[str, str]] = []  # open inline tags and what they look like
        self._lists: list[int | None] = []  # the number of the last item; `None`: bullets
        self._quotes = 0
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in _STYLES:
            self._styles.append((tag, _STYLES[tag]))
        elif tag == "a":
            self._styles.append((tag, f"underline link {attributes.get('href', '')}"))
        elif tag == "br":
            self._new_line()
        elif tag == "li":
            self._item(attributes)
        elif tag in _BLOCKS:
            self._start_block(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if self._styles and self._styles[-1][0] == tag:
            self._styles.pop()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)

    def handle_data(self, data: str) -> None:
        style = " ".join(style for _, style in self._styles)
        lines = data.split("\n") if self._pre else [collapse(data)]
        for number, line in enumerate(lines):
            if number:
                self._new_line()
            self.text.append(line, style or None)

    def _start_block(self, tag: str, attributes: dict[str, str]) -> None:
        self._quotes += tag == "blockquote"
        self._pre += tag == "pre"
        if not (self._lists and tag in ("ul", "ol")) and not self.text.plain.endswith(("• ", ". ", "│ ")):
            self._new_line(blank=True)
        if tag in ("ul", "ol"):
            start = attributes.get("start", "1")
            number = int(start) if _NUMBER.fullmatch(start) else 1
            self._lists.append(number - 1 if tag == "ol" else None)

    def _item(self, attributes: dict[str, str]) -> None:
        if self.text.plain.strip() and not self.text.plain.endswith("\n"):
            self._new_line()
        mark = "•"
        if self._lists and self._lists[-1] is not None:
            self._lists[-1] += 1
            mark = f"{self._lists[-1]}."
        self.text.append("  " * (len(self._lists) - 1) + f"{mark} ")

    def _new_line(self, *, blank: bool = False) -> None:
        if not blank:
            self.text.append("\n")
        elif self.text.plain:
            self.text.append("\n" if self.text.plain.endswith("\n") else "\n\n")
        self.text.append("│ " * self._quotes, "dim")
