"""The author's HTML becomes the HTML of a note: only what Mastodon keeps, and readable without the rest.

Headings become bold paragraphs, tables rows of text, players links; pictures leave the text and become
attachments (PROTOCOL §3.4).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from html.parser import HTMLParser

from bridge.model import Image
from bridge.sources.pictures import is_emoji, link_label, picture, watch_url
from bridge.sources.sanitize import NOTE_CLASSES, absolute_url, absolutise, clean_note
from bridge.sources.text import collapse, one_line, plain_text, strip_controls

MAX_HTML = 1_000_000
MAX_IMAGES = 50
MAX_BLOCKS = 12
MAX_INLINES = 30


@dataclass(frozen=True, slots=True)
class NoteHtml:
    """What an entry's HTML is on the fediverse: note HTML, its pictures in order, and its plain text."""

    html: str
    images: tuple[Image, ...]
    text: str


def to_note_html(html: str, *, base: str | None = None) -> NoteHtml:
    """Turn the author's HTML into note HTML, resolving what is relative against `base`.

    Doing it again changes nothing. Links that cannot be made absolute become text; what exceeds a million
    characters is dropped.
    """
    writer = _NoteWriter()
    writer.feed(absolutise(strip_controls(html[:MAX_HTML]), base))
    writer.close()
    note = clean_note(writer.finish())
    return NoteHtml(note, tuple(writer.images.values()), plain_text(note))


_PARAGRAPHS = frozenset(
    {"p", "div", "section", "article", "aside", "header", "footer", "main", "nav", "address", "center"}
    | {"details", "dl"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "summary", "caption"})
_INLINES = {
    **{tag: tag for tag in ("del", "s", "code", "b", "strong", "u", "i", "em", "ruby", "rt", "rp")},
    "strike": "s",
    "ins": "u",
    "tt": "code",
    "kbd": "code",
    "samp": "code",
}
_VOID = frozenset({"br", "hr", "img", "source", "embed"})
# Permalinks beside headings and the arrows that lead back from a footnote: meaningless away from the page.
_BACKLINKS = frozenset(
    {"headerlink", "header-anchor", "heading-anchor", "heading-link", "anchor", "anchor-link", "permalink"}
    | {"hash-link", "zola-anchor"}
    | {"footnote-backref", "footnote-back", "reversefootnote", "data-footnote-backref"}
)
_LINE_NUMBERS = frozenset({"lnt", "lineno", "linenos", "linenodiv", "gutter", "line-numbers-rows"})
_ANCHOR_SIGNS = frozenset({"#", "¶", "§", "🔗", "∞"})
_RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")

_Close = Callable[[], None]


@dataclass(slots=True)
class _Frame:
    """An element of the note that is written only when text needs it, so that none is ever empty."""

    tag: str
    attributes: str = ""
    written: bool = False
    implied: bool = False  # a list item we opened for text that stood in a list without one


class _NoteWriter(HTMLParser):
    """Reads balanced HTML (nh3's output) as a stream and writes note HTML.

    Three layers are open at a time: blocks (lists, quotes, code), at most one paragraph, and inline
    formatting, which is closed and opened again around every block so that nothing is wrongly nested.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.images: dict[str, Image] = {}
        self._out: list[str] = []
        self._sources: list[tuple[str, _Close | None]] = []  # the author's open elements
        self._blocks: list[_Frame] = []
        self._paragraph = False
        self._inlines: list[_Frame] = []
        self._line_empty = True
        self._breaks = (
            0  # line breaks, a space, a cell border or code's blank lines: due before the next text
        )
        self._space = False
        self._border = False
        self._code_space = ""
        self._muted = 0
        self._cells = 0
        self._cell_fresh = False
        self._row_empty = True
        self._heading = 0
        self._anchor = 0  # inside a link to a place on a page
        self._script = ""  # sup or sub
        self._footnote = False
        self._figures: list[int] = []
        self._caption: list[str] | None = None
        self._player: str | None = None  # the title of a video or audio whose source is still to come
        self._math: list[str] | None = None

    def finish(self) -> str:
        """Close what is open and return the note."""
        while self._sources:
            self._leave()
        self._end_paragraph()
        return "".join(self._out)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        close: _Close | None = None
        if tag == "source" and self._player is not None:
            self._play(attributes.get("src", ""))
        elif not self._muted:
            close = self._open(tag, attributes)
        if tag not in _VOID:
            self._sources.append((tag, close))

    def handle_endtag(self, tag: str) -> None:
        if any(open_tag == tag for open_tag, _ in self._sources):
            while self._leave() != tag:
                pass

    def _leave(self) -> str:
        tag, close = self._sources.pop()
        if close:
            close()
        return tag

    def handle_data(self, data: str) -> None:
        if self._muted or not data:
            return
        if self._math is not None:
            self._math.append(data)
        elif self._in_code():
            self._write_code(data)
        else:
            self._write_flow(data)

    def _open(self, tag: str, attributes: dict[str, str]) -> _Close | None:
        """Start an element of the author's and return what is to happen at its end."""
        classes = set(attributes.get("class", "").split())
        if tag in _VOID:
            self._open_void(tag, attributes)
            return None
        if attributes.get("aria-hidden") == "true" or "hidden" in attributes or classes & _LINE_NUMBERS:
            return self._mute()
        if tag in _INLINES:
            return self._open_inline(_INLINES[tag])
        if tag in _PARAGRAPHS:
            self._break()
            return self._break
        if tag in _HEADINGS:
            return self._open_heading()
        if tag in ("ul", "ol", "blockquote", "pre", "li"):
            return self._open_block(tag, attributes)
        special = getattr(self, f"_open_{tag}", None)
        return special(attributes, classes) if special else None

    def _open_void(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "br":
            self._line_break()
        elif tag == "img":
            self._take_picture(attributes)
        elif tag == "embed":
            self._link_out(attributes.get("src", ""), attributes.get("title", ""))
        elif tag == "hr":
            self._break()
            self._write("* * *")
            self._break()

    # ── elements that need more than a table ─────────────────────────────────────────────────────

    def _open_a(self, attributes: dict[str, str], classes: set[str]) -> _Close | None:
        url = absolute_url(attributes.get("href", ""), mailto=True)
        to_a_place = url is None or "#" in url
        if classes & _BACKLINKS and to_a_place and (self._heading or self._footnote_class(classes)):
            return self._mute()
        if self._script == "sup" and to_a_place:
            self._footnote = True
            return self._end_footnote
        if url is None or any(frame.tag == "a" for frame in self._inlines):
            return None
        self._anchor += to_a_place
        link = f' href="{escape(url)}"' + _class_attribute(classes)
        if "tag" in attributes.get("rel", "").split():
            link += ' rel="tag"'
        close = self._open_inline("a", link)
        return self._then(close, self._end_anchor) if to_a_place else close

    @staticmethod
    def _footnote_class(classes: set[str]) -> bool:
        return any("foot" in name for name in classes)

    def _end_anchor(self) -> None:
        self._anchor -= 1

    def _end_footnote(self) -> None:
        self._footnote = False

    def _open_span(self, attributes: dict[str, str], classes: set[str]) -> _Close | None:
        kept = _class_attribute(classes)
        return self._open_inline("span", kept) if kept else None

    def _open_sup(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        return self._open_script("sup")

    def _open_sub(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        return self._open_script("sub")

    def _open_script(self, script: str) -> _Close:
        outer, self._script = self._script, script
        return lambda: setattr(self, "_script", outer)

    def _open_q(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._write_flow("“")
        return lambda: self._write_flow("”")

    def _open_dt(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._break()
        return self._then(self._open_inline("strong"), self._line_break)

    def _open_dd(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        if not self._breaks:
            self._line_break()
        return self._line_break_once

    def _line_break_once(self) -> None:
        self._breaks = 0 if self._line_empty else 1

    def _open_table(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._break()
        return self._break

    def _open_tr(self, attributes: dict[str, str], classes: set[str]) -> None:
        self._row_empty = True

    def _open_th(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        leave = self._open_td(attributes, classes)
        return self._then(self._open_inline("strong"), leave)

    def _open_td(self, attributes: dict[str, str], classes: set[str]) -> _Close:
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

    def _open_figure(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._break()
        self._figures.append(len(self.images))
        return self._end_figure

    def _open_figcaption(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._break()
        self._caption = []
        return self._break

    def _end_figure(self) -> None:
        """Describe the pictures of a figure that have no text of their own with its caption."""
        since = self._figures.pop()
        caption = one_line("".join(self._caption or []), 1500)
        for url, image in list(self.images.items())[since:]:
            if not image.alt:
                self.images[url] = replace(image, alt=caption)
        self._caption = None
        self._break()

    def _open_iframe(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._link_out(attributes.get("src") or attributes.get("data-src", ""), attributes.get("title", ""))
        return self._mute()

    def _open_object(self, attributes: dict[str, str], classes: set[str]) -> _Close | None:
        return (
            self._open_iframe({**attributes, "src": attributes["data"]}, classes)
            if "data" in attributes
            else None
        )

    def _open_video(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._player = attributes.get("title", "")
        if "src" in attributes:
            self._play(attributes["src"])
        return self._then(self._mute(), self._stop_player)

    _open_audio = _open_video

    def _play(self, url: str) -> None:
        if absolute_url(url):
            self._link_out(url, self._player or "")
            self._player = None

    def _stop_player(self) -> None:
        self._player = None

    def _open_math(self, attributes: dict[str, str], classes: set[str]) -> _Close:
        self._math = []
        return self._end_math

    def _open_annotation(self, attributes: dict[str, str], classes: set[str]) -> _Close | None:
        if self._math is None or attributes.get("encoding") != "application/x-tex":
            return self._mute()
        self._math.clear()
        return None

    def _end_math(self) -> None:
        text, self._math = "".join(self._math or []), None
        self._write_flow(text)

    def _open_heading(self) -> _Close:
        self._break()
        self._heading += 1
        return self._then(self._open_inline("strong"), self._end_heading)

    def _end_heading(self) -> None:
        self._heading -= 1
        self._break()

    @staticmethod
    def _then(first: _Close | None, second: _Close) -> _Close:
        def both() -> None:
            if first:
                first()
            second()

        return both

    # ── pictures and players ─────────────────────────────────────────────────────────────────────

    def _take_picture(self, attributes: dict[str, str]) -> None:
        image = picture(attributes)
        if image is None:
            alt = one_line(attributes.get("alt", ""), 16)
            if alt and is_emoji(attributes):
                self.handle_data(alt)
        elif len(self.images) < MAX_IMAGES:
            self.images.setdefault(image.url, image)

    def _link_out(self, source: str, title: str) -> None:
        """Write a paragraph with a link to what a player would play."""
        url = absolute_url(source)
        if url is None or self._in_code():
            return
        url = watch_url(url)
        self._break()
        close = self._open_inline("a", f' href="{escape(url)}"')
        self._write(link_label(url, title))
        if close:
            close()
        self._break()

    def _mute(self) -> _Close:
        self._muted += 1
        return self._unmute

    def _unmute(self) -> None:
        self._muted -= 1

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def _write_flow(self, data: str) -> None:
        text = self._scripted(collapse(data))
        if self._heading and self._anchor and text.strip() in _ANCHOR_SIGNS:
            return
        if self._caption is not None:
            self._caption.append(text)
        words = text.strip(" ")
        if words:
            self._space = self._space or text.startswith(" ")
            self._write(words)
        self._space = (self._space and not words) or text.endswith(" ")

    def _scripted(self, text: str) -> str:
        if self._footnote:
            mark = text.strip("[] ")
            return f"[{mark}]" if mark else ""
        if not self._script:
            return text
        table = _RAISED if self._script == "sup" else _LOWERED
        return text.translate(table) if all(ord(char) in table for char in text) else text

    def _write(self, text: str) -> None:
        """Write one run of text, and before it whatever has to be open around it."""
        if self._blocks and self._blocks[-1].tag in ("ul", "ol"):
            self._blocks.append(_Frame("li", implied=True))
        self._write_gap()
        self._write_open(self._inlines)
        self._out.append(escape(text, quote=False))
        self._line_empty = self._cell_fresh = self._row_empty = False

    def _write_gap(self) -> None:
        if self._breaks > 1 and not self._in_item():
            self._end_paragraph()
        breaks, space, border = self._breaks, self._space, self._border
        self._breaks, self._space, self._border = 0, False, False
        self._write_open(self._blocks)
        if not self._paragraph and not self._in_item():
            self._out.append("<p>")
            self._paragraph = True
        if self._line_empty:
            return
        if breaks:
            self._out.append("<br>" * min(breaks, 2))
        elif border or space:
            self._out.append(" | " if border else " ")

    def _write_code(self, data: str) -> None:
        if self._line_empty:
            data = data.lstrip("\r\n")
        body = data.rstrip()
        if not body:
            self._code_space += "" if self._line_empty else data
            return
        self._write_open(self._blocks)
        self._out.append(self._code_space)
        self._write_open(self._inlines)
        self._out.append(escape(body, quote=False))
        self._code_space, self._line_empty = data[len(body) :], False

    def _write_open(self, frames: list[_Frame]) -> None:
        for frame in frames:
            if not frame.written:
                self._out.append(f"<{frame.tag}{frame.attributes}>")
                frame.written = True

    # ── blocks, paragraphs, lines ────────────────────────────────────────────────────────────────

    def _in_item(self) -> bool:
        return bool(self._blocks) and self._blocks[-1].tag == "li"

    def _in_code(self) -> bool:
        return bool(self._blocks) and self._blocks[-1].tag == "pre"

    def _line_break(self) -> None:
        if self._in_code():
            self._code_space += "" if self._line_empty else "\n"
        elif not self._line_empty and not self._cell_fresh:
            self._breaks += 1

    def _break(self) -> None:
        """End a paragraph of the author's: a line in code, list items and cells, a paragraph elsewhere."""
        if self._in_code():
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

    def _open_block(self, tag: str, attributes: dict[str, str]) -> _Close:
        inside = self._blocks[-1] if self._blocks else _Frame("")
        if inside.implied and tag == "li":
            self._close_block(inside)
            inside = self._blocks[-1]
        in_list = inside.tag in ("ul", "ol")
        if inside.tag == "pre" or len(self._blocks) >= MAX_BLOCKS or (tag == "li" and not in_list):
            self._break()
            return self._break
        self._end_paragraph()
        if in_list and tag != "li":
            self._blocks.append(_Frame("li", implied=True))
        frame = _Frame(tag, _list_attributes(tag, attributes))
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

    def _open_inline(self, tag: str, attributes: str = "") -> _Close | None:
        if len(self._inlines) >= MAX_INLINES or (tag != "span" and any(f.tag == tag for f in self._inlines)):
            return None
        frame = _Frame(tag, attributes)
        self._inlines.append(frame)
        return lambda: self._close_inline(frame)

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


def _class_attribute(classes: set[str]) -> str:
    kept = " ".join(sorted(classes & NOTE_CLASSES))
    return f' class="{kept}"' if kept else ""


def _list_attributes(tag: str, attributes: dict[str, str]) -> str:
    names = {"ol": ("start", "reversed"), "li": ("value",)}.get(tag, ())
    return "".join(f' {name}="{escape(attributes[name])}"' for name in names if name in attributes)
