"""The author's HTML becomes the HTML of a note: only what Mastodon keeps, and readable without the rest.

Headings become bold paragraphs, tables rows of text, players links; pictures leave the text and become
attachments.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html import escape
from html.parser import HTMLParser
from typing import ClassVar

from bridge.markup.boilerplate import introduces_nothing, is_unread
from bridge.markup.notewriter import Close, NoteWriter
from bridge.markup.pictures import is_emoji, link_label, picture, watch_url
from bridge.markup.sanitize import NOTE_CLASSES, absolute_url, absolutise, clean_note
from bridge.markup.text import one_line, plain_text, strip_controls
from bridge.model import Image

MAX_HTML = 1_000_000
MAX_IMAGES = 50
# nh3 takes away the address of a link that its own URL parser refuses.
_LOST_LINK = re.compile(r"<a(?: (?:class|rel)=|>)")


@dataclass(frozen=True, slots=True)
class NoteHtml:
    """What an entry's HTML is on the fediverse: note HTML, its pictures in order, and its plain text.

    `has_asides`: it has captions or players, which nothing begins with.
    """

    html: str
    images: tuple[Image, ...]
    text: str
    has_asides: bool = False


def to_note_html(html: str, *, base: str | None = None, introducing: bool = False) -> NoteHtml:
    """Turn the author's HTML into note HTML, resolving what is relative against `base`.

    Doing it again changes nothing. Links that cannot be made absolute become text; what exceeds a million
    characters is dropped. `introducing`: only what tells of the rest; no captions, no players.
    """
    note, images, has_asides = _convert(strip_controls(html[:MAX_HTML]), base, introducing)
    if _LOST_LINK.search(note):
        note, _, _ = _convert(note, None, introducing)
    return NoteHtml(note, images, plain_text(note), has_asides)


def _convert(html: str, base: str | None, introducing: bool) -> tuple[str, tuple[Image, ...], bool]:
    reader = _AuthorReader(introducing)
    reader.feed(absolutise(html, base))
    reader.close()
    return clean_note(reader.finish()), tuple(reader.images.values()), reader.has_asides


_PARAGRAPHS = frozenset(
    {"p", "div", "section", "article", "aside", "header", "footer", "main", "address", "center"}
    | {"details", "dl", "table"}
)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "summary", "caption"})
_TITLES = frozenset({"admonition-title", "markdown-alert-title", "callout-title"})
_BLOCKS = {"ul": (), "ol": ("start", "reversed"), "li": ("value",), "blockquote": (), "pre": ()}
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
_PERMALINKS = frozenset(
    {"headerlink", "header-anchor", "heading-anchor", "heading-link", "anchor", "anchor-link", "permalink"}
    | {"hash-link", "zola-anchor"}
)
_BACKLINKS = frozenset({"footnote-backref", "footnote-back", "reversefootnote", "data-footnote-backref"})
_PERMALINK_SIGNS = frozenset({"#", "¶", "§", "🔗", "∞"})
_RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")

Attributes = Mapping[str, str]


class _AuthorReader(HTMLParser):
    """Reads the author's HTML, balanced by nh3, and tells the writer what each element means in a note."""

    def __init__(self, introducing: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.images: dict[str, Image] = {}
        self.has_asides = False
        self._introducing = introducing
        self._note = NoteWriter()
        self._open: list[tuple[str, Close | None]] = []  # the author's elements
        self._muted = 0
        self._heading = 0
        self._permalink = 0  # inside a link to a place on a page
        self._script = ""  # sup or sub
        self._footnote = False
        self._figures: list[int] = []
        self._caption: list[str] | None = None
        self._player: str | None = None  # the title of a video or audio whose source is still to come
        self._math: list[str] | None = None

    def finish(self) -> str:
        """Return the note."""
        while self._open:
            self._leave()
        return self._note.finish()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        close: Close | None = None
        if tag == "source" and self._player is not None:
            self._play(attributes.get("src", ""))
        elif not self._muted:
            close = self._enter(tag, attributes)
        if tag == "iframe":  # what nh3 leaves in it is not markup: as such it would close elements around it
            self.set_cdata_mode(tag)
        if tag not in _VOID:
            self._open.append((tag, close))

    def handle_endtag(self, tag: str) -> None:
        if any(open_tag == tag for open_tag, _ in self._open):
            while self._leave() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._muted:
            return
        if self._math is not None:
            self._math.append(data)
            return
        if self._heading and self._permalink and data.strip() in _PERMALINK_SIGNS:
            return
        data = self._scripted(data)
        if self._caption is not None:
            self._caption.append(data)
        self._note.text(data)

    def _leave(self) -> str:
        tag, close = self._open.pop()
        if close:
            close()
        return tag

    def _enter(self, tag: str, attributes: Attributes) -> Close | None:
        """Start an element of the author's and return what is to happen at its end."""
        is_aside = introduces_nothing(tag, attributes)
        self.has_asides |= is_aside
        if is_unread(tag, attributes) or (is_aside and self._introducing):
            return None if tag in _VOID else self._mute()
        if tag in _INLINES:
            return self._note.inline(_INLINES[tag])
        if tag in _HEADINGS or _classes(attributes) & _TITLES:
            return self._heading_starts()
        if tag in _PARAGRAPHS:
            self._note.paragraph()
            return self._note.paragraph
        if tag in _BLOCKS:
            kept = (f' {name}="{escape(attributes[name])}"' for name in _BLOCKS[tag] if name in attributes)
            return self._note.block(tag, "".join(kept))
        special = self._SPECIAL.get(tag)
        return special(self, attributes) if special else None

    def _scripted(self, text: str) -> str:
        """Return text as it looks raised or lowered, and a footnote's mark in brackets."""
        if self._footnote:
            mark = text.strip("[] \n")
            return f"[{mark}]" if mark else ""
        if not self._script:
            return text
        table = _RAISED if self._script == "sup" else _LOWERED
        return text.translate(table) if all(ord(char) in table for char in text) else text

    def _mute(self) -> Close:
        self._muted += 1
        return self._unmute

    def _unmute(self) -> None:
        self._muted -= 1

    def _say(self, text: str) -> None:
        """Write a paragraph of our own."""
        self._note.paragraph()
        self._note.text(text)
        self._note.paragraph()

    # ── links, headings, small type ──────────────────────────────────────────────────────────────

    def _link(self, attributes: Attributes) -> Close | None:
        classes = _classes(attributes)
        url = absolute_url(attributes.get("href", ""), mailto=True)
        to_a_place = url is None or "#" in url
        if to_a_place and (classes & _BACKLINKS or (self._heading and classes & _PERMALINKS)):
            return self._mute()
        if self._script == "sup" and to_a_place:
            self._footnote = True
            return self._footnote_ends
        if url is None or self._note.has_inline("a"):
            return None
        tag = ' rel="tag"' if "tag" in attributes.get("rel", "").split() else ""
        close = self._note.inline("a", f' href="{escape(url)}"{_class_attribute(classes)}{tag}')
        if not to_a_place:
            return close
        self._permalink += 1
        return _both(close, self._permalink_ends)

    def _permalink_ends(self) -> None:
        self._permalink -= 1

    def _footnote_ends(self) -> None:
        self._footnote = False

    def _heading_starts(self) -> Close:
        self._note.paragraph()
        self._heading += 1
        return _both(self._note.inline("strong"), self._heading_ends)

    def _heading_ends(self) -> None:
        self._heading -= 1
        self._note.paragraph()

    def _span(self, attributes: Attributes) -> Close | None:
        kept = _class_attribute(_classes(attributes))
        return self._note.inline("span", kept) if kept else None

    def _superscript(self, attributes: Attributes) -> Close:
        return self._script_starts("sup")

    def _subscript(self, attributes: Attributes) -> Close:
        return self._script_starts("sub")

    def _script_starts(self, script: str) -> Close:
        outer, self._script = self._script, script
        return lambda: setattr(self, "_script", outer)

    def _quotation(self, attributes: Attributes) -> Close:
        self.handle_data("“")
        return lambda: self.handle_data("”")

    def _rule(self, attributes: Attributes) -> None:
        self._say("* * *")

    def _line_break(self, attributes: Attributes) -> None:
        self._note.line_break()

    # ── definitions and tables ───────────────────────────────────────────────────────────────────

    def _term(self, attributes: Attributes) -> Close:
        self._note.paragraph()
        return _both(self._note.inline("strong"), self._note.line_break)

    def _definition(self, attributes: Attributes) -> Close:
        self._note.new_line()
        return self._note.new_line

    def _row(self, attributes: Attributes) -> None:
        self._note.row()

    def _cell(self, attributes: Attributes) -> Close:
        return self._note.cell()

    def _header_cell(self, attributes: Attributes) -> Close:
        leave = self._note.cell()
        return _both(self._note.inline("strong"), leave)

    # ── pictures, players, formulas ──────────────────────────────────────────────────────────────

    def _picture(self, attributes: Attributes) -> None:
        image = picture(attributes)
        if image is None:
            alt = one_line(attributes.get("alt", ""), 16)
            if alt and is_emoji(attributes):
                self.handle_data(alt)
        elif len(self.images) < MAX_IMAGES:
            self.images.setdefault(image.url, image)

    def _figure(self, attributes: Attributes) -> Close:
        self._note.paragraph()
        self._figures.append(len(self.images))
        return self._figure_ends

    def _figcaption(self, attributes: Attributes) -> Close:
        self._note.paragraph()
        self._caption = []
        return self._note.paragraph

    def _figure_ends(self) -> None:
        """Describe the pictures of a figure that have no text of their own with its caption."""
        since = self._figures.pop()
        caption = one_line("".join(self._caption or []), 1500)
        for url, image in list(self.images.items())[since:]:
            if not image.alt:
                self.images[url] = replace(image, alt=caption)
        self._caption = None
        self._note.paragraph()

    def _frame(self, attributes: Attributes) -> Close:
        self._link_out(attributes.get("src") or attributes.get("data-src", ""), attributes.get("title", ""))
        return self._mute()

    def _object(self, attributes: Attributes) -> Close | None:
        if "data" not in attributes:
            return None
        self._link_out(attributes["data"], attributes.get("title", ""))
        return self._mute()

    def _embed(self, attributes: Attributes) -> None:
        self._link_out(attributes.get("src", ""), attributes.get("title", ""))

    def _media(self, attributes: Attributes) -> Close:
        """Start a video or audio; its address may follow in a `<source>`."""
        self._player = attributes.get("title", "")
        self._play(attributes.get("src", ""))
        return _both(self._mute(), self._media_ends)

    def _play(self, url: str) -> None:
        if self._player is not None and absolute_url(url):
            self._link_out(url, self._player)
            self._player = None

    def _media_ends(self) -> None:
        self._player = None

    def _link_out(self, source: str, title: str) -> None:
        """Write a paragraph with a link to what a player would play."""
        url = absolute_url(source)
        if url is None or self._note.in_code():
            return
        url = watch_url(url)
        close = self._note.inline("a", f' href="{escape(url)}"')
        self._say(link_label(url, title))
        if close:
            close()

    def _formula(self, attributes: Attributes) -> Close:
        self._math = []
        return self._formula_ends

    def _annotation(self, attributes: Attributes) -> Close | None:
        if self._math is None or attributes.get("encoding") != "application/x-tex":
            return self._mute()
        self._math.clear()
        return None

    def _formula_ends(self) -> None:
        text, self._math = "".join(self._math or []), None
        self.handle_data(text)

    _SPECIAL: ClassVar[Mapping[str, Callable[["_AuthorReader", Attributes], Close | None]]] = {
        "a": _link,
        "amp-img": _picture,
        "annotation": _annotation,
        "audio": _media,
        "br": _line_break,
        "dd": _definition,
        "dt": _term,
        "embed": _embed,
        "figcaption": _figcaption,
        "figure": _figure,
        "hr": _rule,
        "iframe": _frame,
        "img": _picture,
        "math": _formula,
        "object": _object,
        "q": _quotation,
        "span": _span,
        "sub": _subscript,
        "sup": _superscript,
        "td": _cell,
        "th": _header_cell,
        "tr": _row,
        "video": _media,
    }


def _both(first: Close | None, second: Close) -> Close:
    def close() -> None:
        if first:
            first()
        second()

    return close


def _classes(attributes: Attributes) -> set[str]:
    return set(attributes.get("class", "").split())


def _class_attribute(classes: set[str]) -> str:
    kept = " ".join(sorted(classes & NOTE_CLASSES))
    return f' class="{kept}"' if kept else ""
