"""Long note HTML cut to a size other servers accept, at the end of a block wherever that is possible."""

from collections.abc import Callable, Sequence
from html import escape
from html.parser import HTMLParser

from bridge.markup.text import word_end

MARK = "…"
_BLOCKS = frozenset({"p", "li", "ul", "ol", "blockquote", "pre"})


def in_bytes(text: str) -> int:
    """Count bytes, as UTF-8 has them."""
    return len(text.encode())


def truncate_html(html: str, limit: int, *, unit: Callable[[str], int] = in_bytes) -> str:
    """Return clean HTML (a note's, or `clean_incoming`'s) of at most `limit` bytes, or as `unit` counts.

    “…” stands where something is missing. It is cut after a block; only when the last whole block ends in the
    first half, inside one, after a word.
    """
    if unit(html) <= limit:
        return html
    cutter = _Cutter(limit, unit)
    cutter.feed(html)
    cutter.close()
    return cutter.result()


class _Cutter(HTMLParser):
    """Copies balanced HTML until the budget is spent, remembering the last good place to stop."""

    def __init__(self, budget: int, unit: Callable[[str], int]) -> None:
        super().__init__(convert_charrefs=True)
        self._count = unit
        self._budget = budget
        self._out: list[str] = []
        self._size = 0
        self._open: list[str] = []
        self._block_cut = ""
        self._word_cut = ""
        self._full = False

    def result(self) -> str:
        """Return the best cut there is."""
        if self._count(self._block_cut) * 2 >= self._budget:
            return self._block_cut
        return self._word_cut or self._block_cut

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        written = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs)
        if tag != "br":
            self._open.append(tag)
        self._copy(f"<{tag}{written}>", opens=tag != "br")

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
            self._copy(f"</{tag}>")
            if tag in _BLOCKS and not self._full:
                self._remember_block()

    def handle_data(self, data: str) -> None:
        text = escape(data, quote=False)
        if not self._full and self._size + self._count(text) + self._closing_size() > self._budget:
            self._cut_inside(data)
        self._copy(text)

    def _copy(self, piece: str, *, opens: bool = False) -> None:
        self._size += self._count(piece)
        self._full = self._full or self._size + self._closing_size() > self._budget
        if not self._full:
            self._out.append(piece)
        elif not self._word_cut:  # a line break or a tag is what no longer fits: what stands before it does
            self._word_cut = self._cut_here(self._open[:-1] if opens else self._open)

    def _closing_size(self) -> int:
        longest = max(self._count(f"<p>{MARK}</p>"), self._count(_mark_within(self._open)))
        return sum(len(tag) + 3 for tag in self._open) + longest

    def _closing(self) -> str:
        return "".join(f"</{tag}>" for tag in reversed(self._open))

    def _cut_here(self, opened: Sequence[str]) -> str:
        """Return what was copied, and close what was opened."""
        closing = "".join(f"</{tag}>" for tag in reversed(opened))
        return "".join(self._out) + _mark_within(opened) + closing

    def _remember_block(self) -> None:
        cut = "".join(self._out) + _mark_within(self._open, block=True) + self._closing()
        if self._count(cut) <= self._budget:
            self._block_cut = cut

    def _cut_inside(self, data: str) -> None:
        """Remember a cut within a text that no longer fits whole."""
        self._full = True
        room = self._budget - self._size - self._closing_size()
        head = data[: max(0, room)]
        if self._count(head) > room:
            head = data.encode()[: max(0, room)].decode(errors="ignore")
        while head and self._count(escape(head, quote=False)) > room:
            head = head[: len(head) * 3 // 4]
        if head := data[: word_end(data, len(head))].rstrip():
            self._word_cut = "".join(self._out) + escape(head, quote=False) + MARK + self._closing()


def _mark_within(opened: Sequence[str], *, block: bool = False) -> str:
    """Return “…” as it may stand in the innermost of these tags, after a block or within a line."""
    inner = opened[-1] if opened else ""
    if inner in ("ul", "ol"):
        return f"<li>{MARK}</li>"
    stands_alone = not opened or (block and inner not in ("li", "pre"))
    return f"<p>{MARK}</p>" if stands_alone else MARK
