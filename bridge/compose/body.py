"""The words of a post: the whole text, or a beginning that ends where a sentence does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape

from bridge.activitypub.content import page_link
from bridge.addresses import take_apart
from bridge.compose.kinds import Kind
from bridge.compose.trimmings import text_without_trimmings, without_trimmings
from bridge.markup import weblinks
from bridge.markup.cutoff import has_mark, without_mark
from bridge.markup.html import (
    NoteHtml,
    begin_html,
    paragraphs,
    plain_text,
    shorten,
    strip_controls,
    words_of,
)
from bridge.model import Enclosure, Entry

SHORT = 500  # characters of text that go out whole; anything longer is introduced and linked
BEGINNING = 400
LEAST = 200  # however long title, link and hashtags are
MAX_FILES = 4
_STRETCH = 4  # words in a row that are hardly there by chance
_MOST = 0.7  # of a summary's words
_FAR = 10  # times its length: how far into a text a summary is looked for
_SIGNS = {"audio": "🎧", "video": "🎬"}


@dataclass(frozen=True, slots=True)
class Body:
    """A post's words as note HTML: all of them and their beginning.

    `introduction` is its author's own summary as one line of plain text; empty where that says nothing that
    the words or the title do not say.
    """

    whole: str
    excerpt: str
    introduction: str


def body_of(entry: Entry, kind: Kind, title: str, found: NoteHtml, *, room: int = SHORT) -> Body:
    """Return the words of an entry; `found` is its HTML as note HTML, `title` what stands above them.

    What goes out whole anyway is its own excerpt: short texts, and statuses, which have no title to click.
    `room` is how many characters an excerpt may have at most.
    """
    if entry.controls.text:
        own = text_html(entry.controls.text)
        return Body(own, own, "")
    summary, room = text_without_trimmings(entry.summary, title), max(LEAST, min(room, SHORT))
    if not found.text:
        return Body(paragraphs(summary), _beginning(summary, room), "")
    whole = _trimmed(found.html, entry, title)
    text = found.text if whole == found.html else plain_text(whole)
    is_introduced = _is_introduction(summary, text)
    is_new = is_introduced and not _is_copy(summary, title, text)
    introduction = shorten(summary, SHORT) if is_new else ""
    if kind is Kind.STATUS or len(text) <= SHORT:
        return Body(whole, whole, introduction)
    if is_introduced:
        return Body(whole, _beginning(summary, room), introduction)
    return Body(whole, begin_html(_introducing(entry, title) or whole, min(BEGINNING, room)), introduction)


def _beginning(text: str, room: int) -> str:
    """Return plain text as HTML, with its lines if it is whole."""
    return paragraphs(text if len(text) <= room else shorten(text, room))


def _trimmed(html: str, entry: Entry, title: str) -> str:
    return without_trimmings(_without_title(html, title), entry.link, title)


def _introducing(entry: Entry, title: str) -> str:
    """Return the words of an entry without captions and players, which tell nothing to begin with."""
    return _trimmed(words_of(entry).beginning(SHORT + LEAST).html, entry, title)


def _is_introduction(summary: str, text: str) -> bool:
    """Say whether a summary is the author's own, and no beginning cut off by a machine, nor everything."""
    if not summary or len(summary) > SHORT:
        return False
    return not (has_mark(summary) and len(text) > len(summary))


def _is_copy(summary: str, title: str, text: str) -> bool:
    """Say whether a summary is a piece of the text or the title, whatever its punctuation and its end."""
    said, whole = _words(without_mark(summary)), _words(f"{title} {text}")
    return not said or said in whole or _runs_along(said.split(), whole.split())


def _runs_along(said: Sequence[str], whole: Sequence[str]) -> bool:
    """Say whether most of a summary is the text's own, in its order: something left out, or added at its end.

    Only stretches of a few words count: single ones are in any text.
    """
    if len(said) < _STRETCH:
        return False
    matcher = SequenceMatcher(None, said, whole[: _FAR * len(said)], autojunk=False)
    kept = sum(block.size for block in matcher.get_matching_blocks() if block.size >= _STRETCH)
    return kept >= _MOST * len(said)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _without_title(html: str, title: str) -> str:
    """Drop a heading that only says the title again."""
    return html.removeprefix(f"<p><strong>{escape(title, quote=False)}</strong></p>") if title else html


def text_html(text: str) -> str:
    """Return the owner's own plain text as HTML, its web addresses linked."""
    blocks = re.split(r"\n[ \t]*\n\s*", strip_controls(text).replace("\r\n", "\n").strip())
    return "".join(f"<p>{line_html(block.strip())}</p>" for block in blocks if block.strip())


def line_html(text: str) -> str:
    """Return plain text as inline HTML, its web addresses linked."""
    return weblinks.linked(text, page_link).replace("\n", "<br>")


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def files_html(entry: Entry) -> str:
    """Return a paragraph that links the files of an entry, with length and size where they are known."""
    lines = [_file_html(file) for file in entry.enclosures[:MAX_FILES]]
    return f"<p>{'<br>'.join(lines)}</p>" if lines else ""


def _file_html(file: Enclosure) -> str:
    sign = _SIGNS.get(file.media_type.partition("/")[0], "📎")
    known = [_playing_time(file.seconds), _size(file.length)]
    facts = " · ".join(fact for fact in known if fact)
    name = take_apart(file.url).path.rpartition("/")[2]
    label = facts if sign != "📎" and facts else " · ".join(part for part in (name, facts) if part)
    return f'{sign} <a href="{escape(file.url)}">{escape(label or file.url, quote=False)}</a>'


def _playing_time(seconds: int | None) -> str:
    """Return a length in units that need no translation."""
    if not seconds:
        return ""
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _size(length: int | None) -> str:
    if not length or length < 1000:  # feeds write 0 or 1 where they do not know
        return ""
    return f"{length / 1_000_000:.0f} MB" if length >= 1_000_000 else f"{length // 1000} kB"
