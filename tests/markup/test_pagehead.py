"""The picture that a page names for its preview card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.markup.pagehead import page_picture
from bridge.model import Image

PAGE = "https://cafe.example/blog/buns/"


def named(head: str) -> Image | None:
    return page_picture(f"<!doctype html><html><head>{head}</head><body>".encode(), PAGE)


def test_a_page_names_its_picture_with_its_size_and_what_it_shows() -> None:
    head = (
        '<meta property="og:title" content="Buns">'
        '<meta property="og:image" content="/img/buns.jpg?v=2&amp;w=1200">'
        '<meta property="og:image:width" content="1200"/><meta property="og:image:height" content="630">'
        '<meta property="og:image:alt" content="Six   buns &amp; a cat">'
    )
    assert named(head) == Image(
        "https://cafe.example/img/buns.jpg?v=2&w=1200", "Six buns & a cat", width=1200, height=630
    )


WAYS = {
    "Open Graph": '<meta property="og:image" content="https://cdn.example/a.png">',
    "a name instead of a property": '<meta name="og:image" content="https://cdn.example/a.png">',
    "capitals": '<META PROPERTY="OG:Image" CONTENT="https://cdn.example/a.png">',
    "the https one first": '<meta property="og:image" content="http://cdn.example/a.png">'
    '<meta property="og:image:secure_url" content="https://cdn.example/a.png">',
    "the first of several": '<meta property="og:image" content="https://cdn.example/a.png">'
    '<meta property="og:image" content="https://cdn.example/b.png">',
    "Twitter's": '<meta name="twitter:image" content="https://cdn.example/a.png">',
    "Open Graph before Twitter's": '<meta name="twitter:image" content="https://cdn.example/t.png">'
    '<meta property="og:image" content="https://cdn.example/a.png">',
    "what was before both": '<link rel="image_src" href="https://cdn.example/a.png">',
    "a base": '<base href="https://cdn.example/x/"><meta property="og:image" content="../a.png">',
    "an empty one first": '<meta property="og:image" content=""><meta name="twitter:image" '
    'content="https://cdn.example/a.png">',
    "one that leads nowhere first": '<meta property="og:image" content="data:image/png;base64,AA=="><meta '
    'name="twitter:image" content="https://cdn.example/a.png">',
}


@pytest.mark.parametrize("way", WAYS)
def test_a_page_may_name_it_in_many_ways(way: str) -> None:
    found = named(WAYS[way])
    assert found is not None
    assert found.url == "https://cdn.example/a.png"


@pytest.mark.parametrize(
    "head",
    ["", '<meta property="og:title" content="Buns">', '<meta property="og:image" content="javascript:x()">'],
)
def test_many_pages_name_none(head: str) -> None:
    assert named(head) is None


def test_what_it_shows_is_read_in_the_encoding_of_the_page() -> None:
    head = (
        '<meta charset="iso-8859-1"><meta property="og:image" content="/a.png">'
        '<meta property="og:image:alt" content="Brötchen">'
    )
    found = page_picture(head.encode("iso-8859-1"), PAGE)
    assert found is not None
    assert found.alt == "Brötchen"
    unknown = page_picture(head.replace("iso-8859-1", "x-made-up").encode(), PAGE)
    assert unknown is not None
    assert unknown.alt == "Brötchen"


@given(st.binary(max_size=400))
def test_no_page_is_too_broken(body: bytes) -> None:
    found = page_picture(b'<meta property="og:image" ' + body, PAGE)
    assert found is None or found.url.startswith(("http://", "https://"))
