"""Writes note HTML from a stream of blocks, formatting and text, never empty and never wrongly nested."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from bridge.markup.text import collapse

MAX_BLOCKS = 12
MAX_INLINES = 30
_SPACES = " \xa0"
_LISTS = frozenset({"ul", "ol"})

Close = Callable[[], None]


@dataclass(slots=True)
class _Frame:
    """An element of the note that is written only when text needs it, so that none is ever empty."""

    tag: str
    attributes: str = ""
    written: bool = False
    implied: bool = False  # a list item we opened for text that stood in a list without one


class NoteWriter:
    """Three layers are open at a time: blocks (lists, quotes, code), one paragraph at most, formatting.

    The inline layer is closed and opened again around every block. Opening returns what closes again; `None`
    where nothing was opened.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._blocks: list[_Frame] = []
        self._paragraph = False
        self._inlines: list[_Frame] = []
        self._line_empty = True
        # Due before the next text: line breaks, a space, a cell's border, or the blank lines of code.
        self._breaks = 0
        self._space = False
        self._border = False
        self._code_space = ""
        self._cells = 0
        self._cell_fresh = False
        self._row_empty = True

    def finish(self) -> str:
        """Return the note, with everything closed."""
        self._end_paragraph()
        while self._blocks:
            self._close_block(self._blocks[-1])
        return "".join(self._out)

    # ── text ─────────────────────────────────────────────────────────────────────────────────────

    def text(self, data: str) -> None:
        """Write text: as it stands in code, with its white space collapsed elsewhere."""
        if self.in_code():
            self._write_code(data)
            return
        flat = collapse(data)
        words = flat.strip(_SPACES)
        if words:
            self._space = self._space or flat[0] in _SPACES
            self._write(words)
        self._space = (self._space and not words) or (bool(flat) and flat[-1] in _SPACES)

    def _write(self, text: str) -> None:
        """Write one run of text, and before it whatever has to be open around it."""
        if self._blocks and self._blocks[-1].tag in _LISTS:
            self._blocks.append(_Frame("li", implied=True))
        self._write_gap()
        self._write_starts(self._inlines)
        self._out.append(escape(text, quote=False))
        self._line_empty = self._cell_fresh = self._row_empty = False

    def _write_gap(self) -> None:
        if self._breaks > 1 and not self._in_item():
            self._end_paragraph()
        breaks, space, border = self._breaks, self._space, self._border
        self._breaks, self._space, self._border = 0, False, False
        self._write_starts(self._blocks)
        if not self._paragraph and not self._in_item():
            self._open_paragraph()
        if self._line_empty:
            return
        if breaks:
            self._out.append("<br>" * min(breaks, 2))
        elif border or space:
            self._out.append(" | " if border else " ")

    def _open_paragraph(self) -> None:
        """Begin a paragraph; in a quote it is an empty line, as Misskey loses only paragraphs there."""
        if self._in_quote() and self._out[-1] == "</p>":
            self._out[-1] = "<br><br>"
        else:
            self._out.append("<p>")
        self._paragraph = True

    def _write_code(self, data: str) -> None:
        if self._line_empty:
            data = data.lstrip("\r\n")
        body = data.rstrip()
        if not body:
            self._code_space += "" if self._line_empty else data
            return
        self._write_starts(self._blocks)
        self._out.append(self._code_space)
        self._write_starts(self._inlines)
        self._out.append(escape(body, quote=False))
        self._code_space, self._line_empty = data[len(body) :], False

    def _write_starts(self, frames: list[_Frame]) -> None:
        for frame in frames:
            if not frame.written:
                self._out.append(f"<{frame.tag}{frame.attributes}>")
                frame.written = True

    # ── lines and paragraphs ─────────────────────────────────────────────────────────────────────

    def in_code(self) -> bool:
        """Say whether text is code now."""
        return bool(self._blocks) and self._blocks[-1].tag == "pre"

    def _in_item(self) -> bool:
        return bool(self._blocks) and self._blocks[-1].tag == "li"

    def _in_quote(self) -> bool:
        return bool(self._blocks) and self._blocks[-1].tag == "blockquote"

    def line_break(self) -> None:
        """Break the line; two breaks end a paragraph."""
        if self.in_code():
            self._code_space += "" if self._line_empty else "\n"
        elif not self._line_empty and not self._cell_fresh:
            self._breaks += 1

    def new_line(self) -> None:
        """Go on on a new line of the same paragraph."""
        if not self._breaks:
            self.line_break()

    def paragraph(self) -> None:
        """End a paragraph of the author's: a line in code and list items, a paragraph elsewhere."""
        if self.in_code():
            if not self._line_empty and not self._code_space.endswith("\n"):
                self._code_space += "\n"
        elif self._in_item():
            self._breaks = max(self._breaks, 0 if self._line_empty else 1)
        elif not self._cells:
            self._end_paragraph()
        elif not self._cell_fresh:
            self._breaks = 0 if self._line_empty else 2

    def _end_paragraph(self) -> None:
        self._close_inlines(0)
        if self._paragraph:
            self._out.append("</p>")
        self._paragraph = False
        self._line_empty = True
        self._breaks, self._space, self._border, self._code_space = 0, False, False, ""

    # ── tables: a line per row ───────────────────────────────────────────────────────────────────

    def row(self) -> None:
        """Begin a table's row."""
        self._row_empty = True

    def cell(self) -> Close:
        """Begin a table's cell, after a border if the row has text already."""
        if not self._line_empty:
            self._border = not self._row_empty
            self._breaks = 1 if self._row_empty else 0
        self._space = False
        self._cell_fresh = True
        self._cells += 1
        return self._end_cell

    def _end_cell(self) -> None:
        self._cells -= 1
        self._cell_fresh = False

    # ── blocks and inline formatting ─────────────────────────────────────────────────────────────

    def block(self, tag: str, attributes: str = "") -> Close:
        """Open a list, an item, a quote or code; too deep, in code or outside a list it is a paragraph."""
        inside = self._blocks[-1] if self._blocks else _Frame("")
        if inside.implied and tag == "li":
            self._close_block(inside)
            inside = self._blocks[-1]
        in_list = inside.tag in _LISTS
        if inside.tag == "pre" or len(self._blocks) >= MAX_BLOCKS or (tag == "li" and not in_list):
            self.paragraph()
            return self.paragraph
        self._end_paragraph()
        if in_list and tag != "li":
            self._blocks.append(_Frame("li", implied=True))
        frame = _Frame(tag, attributes)
        self._blocks.append(frame)
        return lambda: self._close_block(frame)

    def _close_block(self, frame: _Frame) -> None:
        self._end_paragraph()
        while self._blocks:
            top = self._blocks.pop()
            if top.written:
                self._out.append(f"</{top.tag}>")
            if top is frame:
                return

    def inline(self, tag: str, attributes: str = "") -> Close | None:
        """Open inline formatting, unless the same is open already."""
        if len(self._inlines) >= MAX_INLINES or (tag != "span" and self.has_inline(tag)):
            return None
        frame = _Frame(tag, attributes)
        self._inlines.append(frame)
        return lambda: self._close_inline(frame)

    def has_inline(self, tag: str) -> bool:
        """Say whether text is in an element `tag` now."""
        return any(frame.tag == tag for frame in self._inlines)

    def _close_inline(self, frame: _Frame) -> None:
        position = next(i for i, open_frame in enumerate(self._inlines) if open_frame is frame)
        self._close_inlines(position)
        del self._inlines[position]

    def _close_inlines(self, position: int) -> None:
        """Write the end of the inline elements from `position` on; they open again with the next text."""
        for frame in reversed(self._inlines[position:]):
            if frame.written:
                self._out.append(f"</{frame.tag}>")
                frame.written = False
