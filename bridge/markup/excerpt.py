"""The beginning of note HTML: its paragraphs, lists and code kept, ended where a sentence or a line does."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

from bridge.markup.text import sentence_ends, text_as_html, word_end

MARK = "…"
_LINES = frozenset({"p", "li", "ul", "ol", "blockquote", "pre"})
_DROPPED = frozenset({"a", "span"})  # a beginning leads to its page, and nowhere else
_LONGEST_HEADING = 200


def begin_html(html: str, limit: int) -> str:
    """Return the beginning of note HTML (`to_note_html`'s) in at most `limit` characters of text.

    It ends with a sentence if one ends in the last half of the limit, else with a line, else after a word;
    “…” tells the last two. Links become their text, and no heading is left without what it stands above.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    end, mark = _end(reader, limit)
    return "".join(_written(reader.pieces, end, mark))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A tag, or a run of text, and where it stands in the text as a whole."""

    start: int
    text: str = ""
    tag: str = ""  # with its slash or its attributes


class _Reader(HTMLParser):
    """Takes balanced note HTML apart; `text` is what people read, a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[_Piece] = []
        self.text = ""
        self.headings: list[tuple[int, int]] = []
        self.code: list[tuple[int, int]] = []
        self._line = 0  # where the last block began
        self._bold = (-1, -1)  # where the bold text that began it began and ended

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            return
        if (tag in _LINES or tag == "br") and self.text and not self.text.endswith("\n"):
            self.text += "\n"
        if tag in _LINES:
            self._line, self._bold = len(self.text), (-1, -1)
        if tag == "strong" and self._line == len(self.text):
            self._bold = (self._line, -1)
        kept = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs)
        self.pieces.append(_Piece(len(self.text), tag=tag + kept))

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            return
        place = len(self.text)
        if tag == "pre":
            self.code.append((self._line, place))
        if tag == "strong" and self._bold[1] < 0:
            self._bold = (self._bold[0], place)
        if tag == "p" and self._bold == (self._line, place) and place - self._line <= _LONGEST_HEADING:
            self.headings.append((self._line, place))
        self.pieces.append(_Piece(place, tag="/" + tag))

    def handle_data(self, data: str) -> None:
        self.pieces.append(_Piece(len(self.text), text=data))
        self.text += data


def _end(reader: _Reader, limit: int) -> tuple[int, str]:
    """Return where to end the text, and what is to be added there."""
    text = reader.text
    if len(text) <= limit:
        return len(text), ""
    silent = [*reader.headings, *reader.code]
    sentences = (end for end in sentence_ends(text[: limit + 1]) if not _within(silent, end))
    if found := [end for end in sentences if limit // 2 <= end <= limit]:
        return found[-1], ""
    lines = (end for end in range(limit // 2, limit) if text[end] == "\n" and not _leads_on(reader, end))
    if found := list(lines):
        return found[-1], MARK
    end = word_end(text, limit - 1)
    before = next((start for start, stop in reader.headings if 0 < start < end <= stop), end)
    return len(text[:before].rstrip(" \n,;:–—-")), MARK


def _within(stretches: list[tuple[int, int]], place: int) -> bool:
    return any(start < place <= stop for start, stop in stretches)


def _leads_on(reader: _Reader, end: int) -> bool:
    """Say whether a line announces the next one: a heading, or words that end in a colon or a comma."""
    line = reader.text[:end].rstrip()
    return line.endswith((":", "：", ",", "、", "，")) or _within(reader.headings, end)


def _written(pieces: list[_Piece], end: int, mark: str) -> Iterator[str]:
    """Yield the HTML up to `end`; a tag is written only when text follows in it."""
    waiting: list[str] = []
    opened: list[str] = []
    for piece in pieces:
        if piece.text and piece.start < end:
            yield from (f"<{tag}>" for tag in waiting)
            opened += [tag for tag in waiting if tag != "br"]
            waiting.clear()
            yield text_as_html(piece.text[: end - piece.start])
        elif piece.tag.startswith("/"):
            if piece.start <= end and not _forget(waiting) and piece.start < end:
                opened.pop()
                yield f"<{piece.tag}>"
        elif piece.tag and piece.start < end:
            waiting.append(piece.tag)
    yield mark
    yield from (f"</{tag.partition(' ')[0]}>" for tag in reversed(opened))


def _forget(waiting: list[str]) -> bool:
    """Drop line breaks at the end of an element, and the element itself if it has no text."""
    while waiting and waiting[-1] == "br":
        waiting.pop()
    if not waiting:
        return False
    waiting.pop()
    return True
