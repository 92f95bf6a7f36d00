"""JSON Feed: every field, and every field of the wrong type."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA

from bridge.errors import NotAFeed
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.jsonfeed import load, parse_json_feed
from bridge.sources.feeds.raw import look_at

NOW = datetime(2026, 11, 1, tzinfo=UTC)
URL = "https://pond.test/feed.json"
FEED = DATA / "feeds" / "feed.json"


def feed(**item: Any) -> dict[str, Any]:
    return {"version": "https://jsonfeed.org/version/1", "items": [item]}


def test_an_item_yields_every_field() -> None:
    harvest = parse_json_feed(load(FEED.read_bytes(), url=URL), url=URL, now=NOW)
    seven = harvest.entries[0]
    assert (harvest.title, harvest.language) == ("Pond", "en")
    assert (seven.guid, seven.link, seven.title) == ("7", "https://pond.test/7", "Seven <not a tag>")
    assert 'href="https://pond.test/x"' in seven.html
    assert (seven.summary, seven.tags, seven.language) == ("S", ("a",), "pt-BR")
    assert seven.published_at == datetime(2026, 5, 1, 8, tzinfo=UTC)
    assert seven.updated_at == datetime(2026, 5, 2, 10, tzinfo=UTC)
    assert [(i.url, i.alt) for i in seven.images] == [
        ("https://pond.test/7.jpg", ""),
        ("https://pond.test/8.png", "Eight"),
    ]
    assert [(e.url, e.media_type, e.length) for e in seven.enclosures] == [
        ("https://pond.test/7.mp3", "audio/mpeg", 99)
    ]


def test_plain_text_content_becomes_paragraphs_and_the_feeds_language_counts() -> None:
    two = parse_json_feed(load(FEED.read_bytes(), url=URL), url=URL, now=NOW).entries[1]
    assert two.html == "<p>one &lt; two</p><p>three</p>"
    assert (two.link, two.language) == ("https://elsewhere.test/", "en")


@pytest.mark.parametrize("name", ["content_html", "content_text"])
def test_text_that_was_decoded_wrongly_is_mended(name: str) -> None:
    item = {"id": "1", "title": "Ãœber Wasser", "summary": "å¤œ", "tags": ["KÃ¤lte"], name: "wir spÃ¼ren sie"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "F", "items": [item]}
    (entry,) = parse_json_feed(feed, url=URL, now=NOW).entries
    assert (entry.title, entry.summary, entry.tags) == ("Über Wasser", "夜", ("Kälte",))
    assert "wir spüren sie" in entry.html


def test_wrong_types_cost_the_field_and_are_named() -> None:
    harvest = parse_json_feed(load(FEED.read_bytes(), url=URL), url=URL, now=NOW)
    odd = harvest.entries[2]
    assert (odd.guid, odd.link, odd.title, odd.published_at) == (None, None, "", None)
    assert "still here" in odd.html
    problems = {problem.where: problem.what for problem in harvest.problems}
    assert problems.keys() == {"entry 3", "entry 4", "entry 5"}
    assert "a text" in problems["entry 4"]
    said = " ".join(problem.what for problem in harvest.problems)
    assert "id is a list" in said
    assert "title is an object" in said
    assert "“yesterday” is not a date" in said


def test_items_that_are_no_list_are_refused() -> None:
    with pytest.raises(NotAFeed, match="without a list of items"):
        parse_json_feed({"version": "https://jsonfeed.org/version/1.1", "items": {}}, url=URL, now=NOW)


def test_a_script_in_the_content_is_gone() -> None:
    harvest = parse_json_feed(
        feed(id="1", content_html="<p>a<script>alert(1)</script></p>"), url=URL, now=NOW
    )
    assert harvest.entries[0].html == "<p>a</p>"


def test_only_the_first_five_thousand_items_are_read() -> None:
    data = {
        "version": "https://jsonfeed.org/version/1",
        "items": [{"id": str(n), "title": "x"} for n in range(5001)],
    }
    harvest = parse_json_feed(data, url=URL, now=NOW)
    assert len(harvest.entries) == 5000
    assert "5001 entries" in harvest.problems[0].what


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = (
    "id",
    "url",
    "title",
    "content_html",
    "content_text",
    "summary",
    "image",
    "date_published",
    "tags",
    "attachments",
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(names), anything))
def test_any_item_is_an_entry_or_a_problem(item: dict[str, Any]) -> None:
    harvest = parse_json_feed(load(orjson.dumps(feed(**item)), url=URL), url=URL, now=NOW)
    assert harvest.entries or harvest.problems


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000, "NaN", "-Infinity"])
@pytest.mark.parametrize("field", ["id", "size", "date_published", "title"])
def test_a_number_that_no_program_holds_costs_its_field(number: str, field: str) -> None:
    body = (
        '{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": ['
        f'{{"{field}": {number}, "url": "https://cafe.example/1", "content_text": "Buns"}}]}}'
    ).encode()
    harvest = parse_feed(body, url="https://cafe.example/feed.json", now=datetime(2026, 5, 2, tzinfo=UTC))
    assert [entry.link for entry in harvest.entries] == ["https://cafe.example/1"]
    assert not look_at(body).error


def test_what_is_broken_beside_a_huge_number_is_what_is_named() -> None:
    body = b'{"version": "https://jsonfeed.org/version/1.1", "a": 1e400, "items": [}'
    with pytest.raises(NotAFeed, match="char 70"):
        parse_feed(body, url="https://cafe.example/feed.json", now=datetime(2026, 5, 2, tzinfo=UTC))
