"""Web addresses in plain text end where their author meant them to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.compose.body import line_html
from bridge.markup.weblinks import linked
from bridge.publish.profile import linked_field

SHOWN = "<{}>".format


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("See https://cafe.example/menu.", "See <https://cafe.example/menu>."),
        ("(https://cafe.example/)", "(<https://cafe.example/>)"),
        ("https://cafe.example/Bun_(cake)", "<https://cafe.example/Bun_(cake)>"),
        ("(see https://cafe.example/Bun_(cake))", "(see <https://cafe.example/Bun_(cake)>)"),
        ("(see https://cafe.example/Bun_(cake)).", "(see <https://cafe.example/Bun_(cake)>)."),
        ("[https://cafe.example/a[1]]", "[<https://cafe.example/a[1]>]"),
        ("https://cafe.example/a)b(c", "<https://cafe.example/a)b(c>"),
        ("“https://cafe.example/x”", "“<https://cafe.example/x>”"),
        ("«https://cafe.example/x»!", "«<https://cafe.example/x>»!"),
        ("https://cafe.example/x…", "<https://cafe.example/x>…"),
        ("見る：https://cafe.example/パン。次へ", "見る：<https://cafe.example/パン>。次へ"),
        ("（https://cafe.example/a）", "（<https://cafe.example/a>）"),
        ("HTTPS://CAFE.example/A", "<HTTPS://CAFE.example/A>"),
        ("https://bücher.example:8443/x?a=1&b=2#c", "<https://bücher.example:8443/x?a=1&b=2#c>"),
        ("a < b https://cafe.example/x>y", "a &lt; b <https://cafe.example/x>&gt;y"),
        ("https://", "https://"),
        ("https://.", "https://."),
        ("https://cafe.example:8o80/p", "https://cafe.example:8o80/p"),
        ("https://a.example/1 https://b.example/2", "<https://a.example/1> <https://b.example/2>"),
    ],
)
def test_an_address_ends_where_the_text_goes_on(text, html):
    assert linked(text, SHOWN) == html


WORDS = st.text(alphabet="ab ().,[]{}!?…«»<>&'\"。", max_size=12)
TAILS = st.text(alphabet="ab/()-=%.", max_size=12)


def is_balanced(text):
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


@given(WORDS, TAILS.filter(is_balanced), st.sampled_from(("", ".", ",", ")", ").", "]", "”", "…", " next")))
def test_brackets_that_belong_to_an_address_stay_in_it(before, tail, after):
    address = f"https://cafe.example/x{tail}x"
    found = []
    linked(f"{before} {address}{after}", lambda url: found.append(url) or url)
    assert found == [address]


@given(st.text(alphabet="htps:/.ab()[] <>&\"'é。1", max_size=60))
def test_nothing_of_the_text_is_lost(text):
    from html import unescape

    assert unescape(linked(text, lambda url: url.replace("&", "&amp;"))) == unescape(
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    )


def test_profiles_and_posts_link_the_same_addresses():
    text = "Our bun (https://cafe.example/Bun_(cake)), fresh."
    for html in (line_html(text), linked_field(text)):
        assert 'href="https://cafe.example/Bun_(cake)"' in html
        assert html.endswith("</a>), fresh.")
