"""An entry's words are one value: read once, the same for everyone, and gone with the entry."""

from dataclasses import FrozenInstanceError, asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import reading
from bridge.changes.keys import strong_keys, weak_keys
from bridge.compose import mentioned_in
from bridge.markup.html import already_read, plain_text, to_note_html, words_of
from bridge.model import Entry
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.folder import Cached, Folder, forget_words, read_folder

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PLAYER = '<p>Listen.</p><figure><img src="/a.jpg"><figcaption>Ada</figcaption></figure>'
WRITINGS = [
    "",
    "<p>Plum cake &amp; <a href='/coffee'>coffee</a></p>",
    f"{PLAYER}{'<p>From Thursday there is plum cake again.</p>' * 200}",
    "<script>alert(1)</script>only text",
]


def an_entry(html: str, **said: object) -> Entry:
    return Entry(guid="1", link="https://cafe.example/1/", title="Cake", html=html, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize("html", WRITINGS)
def test_words_say_what_reading_the_entry_says(html):
    entry = an_entry(html, summary="A cake.")
    words = words_of(entry)
    assert words.text == plain_text(html or "A cake.")
    assert words.note == to_note_html(html, base=entry.link)


@pytest.mark.parametrize("html", WRITINGS)
def test_words_are_read_once(html):
    entry = an_entry(html)
    words = words_of(entry)
    assert words_of(entry) is words
    assert words.text is words.text
    assert words.note is words.note
    assert strong_keys(entry) is strong_keys(entry)
    assert weak_keys(entry) is weak_keys(entry)
    assert mentioned_in(entry) is mentioned_in(entry)


def test_nobody_changes_words():
    words = words_of(an_entry("<p>Cake</p>"))
    for name in ("html", "text", "note", "base"):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(words, name, "something else")


def test_an_entry_that_says_something_else_has_words_of_its_own():
    entry = an_entry("<p>Plum cake</p>")
    assert words_of(entry).text == "Plum cake"
    assert words_of(replace(entry, html="<p>Apple cake</p>")).text == "Apple cake"


def test_what_was_read_of_an_entry_is_no_part_of_it():
    fresh, read = an_entry("<p>Cake</p>"), an_entry("<p>Cake</p>")
    assert words_of(read).note.text == "Cake"
    assert (fresh, hash(fresh), repr(fresh), asdict(fresh)) == (read, hash(read), repr(read), asdict(read))


def test_what_was_read_before_there_was_an_entry_is_not_read_again():
    entry = already_read(an_entry("<p>Cake</p>"), "read already")
    assert words_of(entry).text == "read already"


@pytest.mark.parametrize(
    "inside",
    [
        "<description>&lt;p&gt;A &amp;amp; B&lt;/p&gt;</description>",
        "<description>Short.</description><c:encoded>&lt;p&gt;A &amp;amp; B, in full&lt;/p&gt;</c:encoded>",
        "<description>&lt;p&gt;More than the text&lt;/p&gt;</description><c:encoded>Text</c:encoded>",
        "<c:encoded>&lt;style&gt;p{}&lt;/style&gt;</c:encoded><description>Only this</description>",
    ],
)
def test_a_feed_hands_over_what_it_read_itself(inside):
    head = '<rss version="2.0" xmlns:c="http://purl.org/rss/1.0/modules/content/"><channel>'
    body = f"{head}<item><title>Cake</title><guid>1</guid>{inside}</item></channel></rss>".encode()
    (entry,) = parse_feed(body, url="https://cafe.example/feed.xml", now=NOW).entries
    assert words_of(entry).text == plain_text(entry.html or entry.summary)


def test_a_folder_that_was_polled_keeps_no_words_until_the_next_poll(tmp_path: Path):
    (tmp_path / "cake.md").write_text("---\ntitle: Cake\ndate: 2026-05-01\n---\nPlum cake.\n")
    cache: dict[str, Cached] = {}
    (entry,) = read_folder(Folder(tmp_path, "https://cafe.example/"), now=NOW, cache=cache).entries
    assert words_of(entry).text == "Plum cake."
    forget_words(cache)
    assert not entry.memo
    assert words_of(entry).text == "Plum cake."


def test_a_poll_reads_the_html_of_a_known_entry_for_its_text_alone():
    known, sent = reading.per_entry()[1:]
    assert known == (2, 1)  # made absolute; read for its text
    assert sent == (9, 8)  # its note, its text without trimmings and its beginning besides
