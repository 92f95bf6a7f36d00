"""HTML for notes, for excerpts, and from other people."""

import importlib
import pkgutil
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import DATA

import bridge.markup
import bridge.sources
from bridge.markup import sanitize
from bridge.markup.html import (
    absolute_url,
    absolutise,
    clean_incoming,
    excerpt,
    html_from,
    one_line,
    paragraphs,
    plain_text,
    strip_controls,
    to_note_html,
    truncate_html,
)

BASE = "https://s.test/post/"
GOLDEN = sorted(p for p in (DATA / "html").glob("*.html") if ".note" not in p.suffixes)
ALLOWED = {
    **{tag: frozenset() for tag in sanitize.NOTE_TAGS},
    "a": {"href", "class", "rel"},
    "span": {"class"},
    "ol": {"start", "reversed"},
    "li": {"value"},
}
INCOMING = {
    **{tag: frozenset() for tag in sanitize.INCOMING_TAGS},
    "a": {"href", "class", "rel", "translate"},
}
INCOMING["span"] = {"class", "translate"}


class Judge(HTMLParser):
    """Reads HTML with another parser than the one that wrote it, and notes what is not allowed."""

    def __init__(self, allowed: dict[str, object], href: str) -> None:
        super().__init__()
        self.allowed = allowed
        self.href = re.compile(href)
        self.bad: list[str] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.allowed:
            self.bad.append(tag)
        for name, value in attrs:
            if name not in self.allowed.get(tag, ()) or (name == "href" and not self.href.match(value or "")):  # type: ignore[operator,attr-defined]
                self.bad.append(f"{tag}[{name}={value}]")
        if tag == "p" and self.stack and self.stack[-1] not in ("blockquote",):
            self.bad.append(f"p in {self.stack[-1]}")
        if tag != "br":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.bad.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.bad.append(f"<!--{data}")


def faults(
    html: str, allowed: dict[str, object] = ALLOWED, href: str = r"https?://[^/]|mailto:."
) -> list[str]:  # type: ignore[assignment]
    judge = Judge(allowed, href)
    judge.feed(html)
    judge.close()
    return judge.bad + [f"open {tag}" for tag in judge.stack]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_an_authors_html_becomes_this_note(path: Path) -> None:
    note = to_note_html(path.read_text(), base=BASE)
    pictures = "".join(f"<!-- picture {i.url} | {i.alt} | {i.width}x{i.height} -->\n" for i in note.images)
    assert f"{note.html}\n{pictures}" == path.with_suffix(".note.html").read_text()
    assert faults(note.html) == []
    assert to_note_html(note.html).html == note.html


VECTORS = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)><svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href=' &#14; javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='//user@[evil'>x</a>",
    "<a href='https:\\\\evil.test'>x</a>",
    "<a href=vbscript:x>x</a><a href='feed:javascript:alert(1)'>y</a>",
    "<a href='https://x.test/\" onclick=alert(1) \"'>x</a>",
    "<p style='background:url(javascript:alert(1))' onclick=alert(1) id=x name=y>x</p>",
    "<iframe srcdoc='<script>alert(1)</script>' src='javascript:alert(1)'></iframe>",
    "<iframe src='https://x.test/'><script>alert(1)</script></iframe><b>after</b>",
    "<object data='javascript:alert(1)'></object><embed src='javascript:alert(1)'>",
    "<form action='javascript:alert(1)'><input type=submit><button formaction=x>y</button></form>",
    "<base href='https://evil.test/'><a href='x'>x</a>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'><link rel=stylesheet href=x>",
    "<template><script>alert(1)</script></template><textarea><script>alert(1)</script></textarea>",
    "<title><img src=x onerror=alert(1)></title><xmp><script>alert(1)</script></xmp>",
    "<!--><img src=x onerror=alert(1)>--><![CDATA[<script>alert(1)</script>]]>",
    "<p>\x00<\x00script>alert(1)</script>",
    "<video><source onerror=alert(1) src=javascript:alert(1)></video><audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<a class='mention x' href='https://x.test/' target=_blank rel='opener tag'>@y</a>",
    "<span class='invisible fixed' style='position:fixed'>x</span>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
]


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_active_gets_into_a_note_or_onto_the_owners_page(vector: str) -> None:
    for wrapped in (vector, f"<p>{vector}</p>", f"<table><tr><td>{vector}", f"<pre><code>{vector}"):
        note = to_note_html(wrapped, base=BASE)
        assert faults(note.html) == []
        assert to_note_html(note.html).html == note.html
        assert all(image.url.startswith("https://s.test/") for image in note.images)
        incoming = clean_incoming(wrapped)
        assert [f for f in faults(incoming, INCOMING, r"https?://[^/]") if not f.startswith("p in")] == []
        assert clean_incoming(incoming) == incoming


PIECES = """
<p> </p> <div> </div> <b> </b> <ul> </ul> <li> <ol> <table> <tr> <td> </td> </table> <pre> </pre> <code>
</code> <dl> <dt> <dd> </dl> <blockquote> </blockquote> <a~href=/x> </a> <h1> </h1> <br> <hr> <img~src=a.png>
<q> <sup> </sup> <figure> <figcaption> </figure> <video> <source~src=v.mp4> </video> <iframe~src=//x.test>
</iframe> <math> </math> <script> </script> <span~class=invisible> </span> <ruby> <rt> </ruby> <a~href=//<>
a & < > " ' ~ é &nbsp; &amp; &lt;b&gt;
"""
pieces = st.sampled_from([*PIECES.split(), "\n"])
markup = st.lists(pieces, max_size=25).map(lambda found: "".join(found).replace("~", " "))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=100), markup))
@example("00<<<UL>&<UL>000")  # cut where only an item of a list may stand
def test_any_text_becomes_a_clean_note_and_stays_it(html: str) -> None:
    note = to_note_html(html, base=BASE)
    assert faults(note.html) == []
    assert to_note_html(note.html).html == note.html
    assert "<p></p>" not in note.html
    cut = truncate_html(note.html, 60)
    assert len(cut.encode()) <= 60
    assert faults(cut) == []


@pytest.mark.parametrize(
    "tag", ["div", "blockquote", "ul", "li", "table", "b", "a href=/", "span", "svg", "math", "figure"]
)
def test_deep_nesting_takes_no_time(tag: str) -> None:
    started = time.process_time()
    note = to_note_html(f"<{tag}>" * 50_000 + "end", base=BASE)
    clean_incoming(f"<{tag}>" * 50_000 + "end")
    assert time.process_time() - started < 2
    assert faults(note.html) == []


PUMPS = (
    *(
        "<",
        "<a",
        "<a ",
        "</",
        "&",
        "&#",
        "&a",
        ".",
        '."',
        " ",
        "\n",
        "a",
        "0",
        "-",
        "#",
        "# ",
        "_",
        ":",
        "。",
        "https://",
    ),
    *(
        "[",
        "[[",
        "{{",
        "{{<",
        "{% ",
        "`",
        "```\n",
        "'",
        '"',
        "a=",
        "1.",
        "<!--",
        "<!-- ",
        "(",
        "*[",
        "2024-1-1-",
    ),
)


def test_every_expression_on_remote_text_is_linear() -> None:
    homes = (bridge.markup, bridge.sources)
    names = [m.name for home in homes for m in pkgutil.walk_packages(home.__path__, f"{home.__name__}.")]
    modules = [importlib.import_module(name) for name in names]
    found = [(m, n, v) for m in modules for n, v in vars(m).items() if isinstance(v, re.Pattern)]
    assert len(found) > 25
    for module, name, pattern in found:
        for pump in PUMPS:
            pumped = pump * (10_000 // len(pump))
            text = pumped.encode() if isinstance(pattern.pattern, bytes) else pumped
            # Twice if need be: the first time may be the garbage collector's.
            assert any(_seconds(pattern, text) < 0.2 for _ in range(2)), (module.__name__, name, pump)


def _seconds(pattern: re.Pattern[Any], text: Any) -> float:
    started = time.thread_time()
    list(pattern.finditer(text))
    return time.thread_time() - started


@pytest.mark.parametrize(
    ("url", "base", "expected"),
    [
        ("/a", BASE, "https://s.test/a"),
        ("b?c=1&d#e", BASE, "https://s.test/post/b?c=1&d#e"),
        (" HTTPS://X.test/ ", None, "https://X.test/"),
        ("https://x.test/a b", None, "https://x.test/a%20b"),
        ("htt\nps://x.test/", None, "https://x.test/"),
        ("/a", None, None),
        ("https://", None, None),
        ("https:x", None, None),
        ("http://[::1", None, None),
        ("http://" + "a" * 3000, None, None),
        ("", BASE, None),
        ("mailto:a@b.test", None, None),
        ("javascript:alert(1)", BASE, None),
    ],
)
def test_an_address_is_absolute_http_or_none(url: str, base: str | None, expected: str | None) -> None:
    assert absolute_url(url, base) == expected


def test_absolutise_resolves_every_kind_of_address() -> None:
    html = (
        '<a href="x">1</a><img src="../i.png" srcset="s.png 1x, l.png 2x"><video src="v.mp4" poster="p.jpg">'
    )
    resolved = absolutise(html, BASE)
    for url in ("post/x", "i.png", "post/l.png", "post/v.mp4", "post/p.jpg"):
        assert f'"https://s.test/{url}"' in resolved


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        ('<img src="a.jpg">', "a.jpg"),
        ('<img src="data:image/gif;base64,R0lGODlhAQ" data-src="a.jpg">', "a.jpg"),
        ('<img src="blank.gif" data-lazy-src="a.jpg">', "a.jpg"),
        ('<img src="data:image/gif;base64,R0" data-srcset="s.jpg 300w, a.jpg 900w">', "a.jpg"),
        ('<img src="data:image/gif;base64,R0" srcset="s.jpg 300w,\n a.jpg 900w,\n m.jpg 600w">', "a.jpg"),
        ('<img srcset="s.jpg 1x,a.jpg 2x">', "a.jpg"),
        ('<img srcset="s.jpg, a.jpg 2x">', "a.jpg"),
        ('<img srcset="w_300,h_200/a.jpg 300w, w_900,h_600/a.jpg 900w">', "w_900,h_600/a.jpg"),
        ('<img srcset=" , a.jpg">', "a.jpg"),
        ('<picture><source srcset="a.avif" type="image/avif"><img src="a.jpg"></picture>', "a.jpg"),
        ('<amp-img src="a.jpg" width="640" height="480" layout="responsive"></amp-img>', "a.jpg"),
        ('<a href="/"><img src="a.jpg" class="wp-image-7"></a>', "a.jpg"),
        ('<img src="week.svg" width="640">', "week.svg"),
        ('<img src="build.svg" height="20">', None),
        ('<img src="face.jpg" class="avatar avatar-50 photo">', None),
        ('<img src="data:image/png;base64,iVBO">', None),
        ('<img srcset=",">', None),
    ],
)
def test_a_picture_is_found_wherever_a_page_keeps_its_address(picture: str, found: str | None) -> None:
    images = to_note_html(f"<p>Look:</p>{picture}", base=f"{BASE}").images
    assert [image.url for image in images] == ([urljoin(BASE, found)] if found else [])


def test_links_that_cannot_be_absolute_become_text() -> None:
    assert to_note_html("<p>a <a href='x.html'>b</a></p>").html == "<p>a b</p>"


def test_plain_text_keeps_paragraphs_and_lines_only() -> None:
    html = "<h1>T</h1><p>a <b>b</b><br>c &amp; d</p><ul><li>x<li>y</ul><script>z</script><pre>1\n2</pre>"
    assert plain_text(html) == "T\n\na b\nc & d\n\nx\ny\n\n1\n2"


def test_text_from_either_kind_of_field_becomes_html() -> None:
    assert html_from("a < b &amp; c\n\nd") == "<p>a &lt; b &amp; c</p><p>d</p>"
    assert html_from("<p>a</p>") == "<p>a</p>"
    assert paragraphs("<b>\nx") == "<p>&lt;b&gt;<br>x</p>"


def test_invisible_and_dangerous_characters_are_stripped() -> None:
    assert strip_controls("a\x00\x1b\x85\ud800b\tc\n") == "a\ufffdb\tc\n"
    assert one_line("  a\u202e \n b ") == "a b"
    assert one_line("\u200b\ufeff ") == ""
    assert one_line("x" * 600) == "x" * 499 + "…"


@pytest.mark.parametrize(
    ("written", "limit", "expected"),
    [
        ("Short.", 40, "Short."),
        ("<p>One two.</p><p>Three four five six.</p>", 20, "One two. Three four…"),
        ("First sentence here. Second one is longer.", 25, "First sentence here."),
        ("A. word word word word word word", 20, "A. word word word…"),
        ("He paid 3.50 for unbelievably-good-bread today", 20, "He paid 3.50 for…"),
        ("春眠不覚暁。処処聞啼鳥。夜来風雨声", 14, "春眠不覚暁。処処聞啼鳥。"),
        ("春眠不覚暁処処聞啼鳥夜来風雨声", 8, "春眠不覚暁処処…"),
        ("if x<y then y>x", 100, "if x<y then y>x"),
        ("AT&amp;T", 100, "AT&T"),
        ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 9, "👩‍👩‍👧‍👦…"),
        ("", 10, ""),
    ],
)
def test_an_excerpt_ends_where_a_reader_would_stop(written: str, limit: int, expected: str) -> None:
    assert excerpt(written, limit) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab .!。春\n", max_size=80), st.integers(5, 30))
def test_an_excerpt_never_splits_a_word_that_fits(written: str, limit: int) -> None:
    found = excerpt(written, limit)
    flat = " ".join(written.split())
    assert len(found) <= limit
    assert flat.startswith(found.removesuffix("…"))
    rest = flat[len(found.removesuffix("…")) :]
    words = flat.split(" ")
    if found.endswith("…") and max(map(len, words)) < limit // 2:
        assert not rest or rest[0] == " " or not rest[0].isalnum() or not found[-2:-1].isalnum()


def test_a_long_note_is_cut_after_a_block_with_a_mark() -> None:
    html = "".join(f"<p>Paragraph {n} with <b>some</b> text.</p>" for n in range(100))
    cut = truncate_html(html, 1000)
    assert 900 < len(cut.encode()) <= 1000
    assert cut.endswith("text.</p><p>…</p>")
    assert faults(cut) == []


def test_one_huge_paragraph_is_cut_after_a_word() -> None:
    cut = truncate_html("<blockquote><p>" + "wörter &amp; mehr " * 1000 + "</p></blockquote>", 500)
    assert 300 < len(cut.encode()) <= 500
    assert re.search(r"(wörter|&amp;|mehr)…</p></blockquote>$", cut)


def test_a_list_is_cut_between_its_items() -> None:
    cut = truncate_html("<ul>" + "<li>item</li>" * 100 + "</ul>", 200)
    assert cut.endswith("<li>item</li><li>…</li></ul>")


def test_a_note_that_fits_is_not_touched() -> None:
    assert truncate_html("<p>a</p>", 8) == "<p>a</p>"


def test_other_peoples_links_say_that_they_are_other_peoples() -> None:
    cleaned = clean_incoming(
        '<p><a href="https://x.test/" class="u-url mention evil" onclick="x">@<span>y</span></a></p>'
    )
    assert cleaned == (
        '<p><a href="https://x.test/" class="u-url mention" rel="nofollow noopener noreferrer ugc">'
        "@<span>y</span></a></p>"
    )


def test_relative_and_mail_links_of_others_lose_their_address() -> None:
    for href in ("/x", "mailto:a@b.test", "//x.test", "ftp://x.test"):
        assert "href" not in clean_incoming(f'<a href="{href}">x</a>')


@pytest.mark.parametrize(
    "inner", ["a<br>", "<b>a</b><br>", "<i>a</i>", '<a href="https://x.example/">a</a> ']
)
@pytest.mark.parametrize("outer", ["<p>{}</p>", "<ul><li>{}</li></ul>", "<blockquote><p>{}</p></blockquote>"])
def test_wherever_a_text_is_cut_most_of_it_is_left_marked_and_well_formed(outer: str, inner: str) -> None:
    for budget in range(400, 440):
        html = truncate_html(outer.format(inner * 500), budget)
        assert "…" in html
        assert budget // 3 < len(html.encode()) <= budget
        assert sanitize.clean_note(html) == html
