"""The door to everything about markup: what other modules need to know about HTML is a function here."""

from bridge.markup.excerpt import begin_html
from bridge.markup.note import NoteHtml, to_note_html
from bridge.markup.sanitize import absolute_url, absolutise, clean_incoming
from bridge.markup.text import (
    excerpt,
    html_from,
    is_all_markup,
    looks_like_html,
    one_line,
    paragraphs,
    plain_text,
    shorten,
    strip_controls,
)
from bridge.markup.truncate import truncate_html
from bridge.markup.words import Words, already_read, kept, words_of

__all__ = [
    "NoteHtml",
    "Words",
    "absolute_url",
    "absolutise",
    "already_read",
    "begin_html",
    "clean_incoming",
    "excerpt",
    "html_from",
    "is_all_markup",
    "kept",
    "looks_like_html",
    "one_line",
    "paragraphs",
    "plain_text",
    "shorten",
    "strip_controls",
    "to_note_html",
    "truncate_html",
    "words_of",
]
