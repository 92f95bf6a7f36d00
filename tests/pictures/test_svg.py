"""An SVG is drawn as what it shows, and nothing from this machine can be seen in it."""

import asyncio
import base64
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from drawings import opened, saved
from PIL import Image

from bridge.errors import BadPicture
from bridge.pictures import Examined, examine, examine_apart
from bridge.pictures.svg import MAX_ELEMENTS, SHAPES, clean, draw

GREEN = saved(Image.new("RGB", (40, 40), (0, 255, 0)), "PNG")
BARS = "".join(f'<rect x="{10 + 50 * bar}" y="20" width="30" height="160" fill="red"/>' for bar in range(5))
DOCTYPE = (
    '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
    '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
)


def svg(inside: str = BARS, attributes: str = 'width="300" height="200"', before: str = "") -> bytes:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{before}<svg {spaces} {attributes}>{inside}</svg>".encode()


def seen(body: bytes) -> Examined:
    return asyncio.run(examine_apart(body))


def colors(body: bytes) -> set[tuple[int, ...]]:
    """Return the colours of a picture that are not mixed at edges."""
    image = opened(body).convert("RGB")
    found = image.getcolors(image.width * image.height) or []
    return {color for count, color in found if count > 100}


# ── what is drawn ────────────────────────────────────────────────────────────────────────────────


def test_a_diagram_becomes_a_png_on_white() -> None:
    drawn = seen(svg())
    copy = opened(drawn.copy)
    assert (drawn.media_type, drawn.width, drawn.height) == ("image/png", 1200, 800)
    assert (copy.format, copy.mode, copy.size) == ("PNG", "RGB", (1200, 800))
    assert copy.getpixel((100, 400)) == (255, 0, 0)
    assert copy.getpixel((2, 2)) == (255, 255, 255)
    assert len(drawn.blurhash) == 28


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="300px" height="200px"', (1200, 800)),
        ('width="5in" height="2.5in"', (1200, 600)),
        ('viewBox="0 0 1500 1000"', (1500, 1000)),
        ('viewBox="0,0,400,800" width="100%" height="100%"', (600, 1200)),
        ('width="30000" height="10000"', (2048, 683)),
    ],
)
def test_it_is_drawn_as_large_as_it_can_well_be_seen(attributes: str, size: tuple[int, int]) -> None:
    drawn = examine(svg(attributes=attributes))
    assert (drawn.width, drawn.height) == size


def test_words_are_drawn_where_nothing_but_a_font_can_be_opened() -> None:
    words = BARS + '<text x="20" y="195" font-family="Arial" fill="blue">Mon Tue Wed</text>'
    assert (0, 0, 255) in colors(seen(svg(words)).copy)


def test_words_that_cannot_be_drawn_leave_the_picture_out_rather_than_themselves() -> None:
    for inside, font in (("<text>Понедельник</text>", "any"), ("<text>Monday</text>", None)):
        with pytest.raises(BadPicture, match="SVG with words that cannot be drawn here: export it as PNG"):
            draw(svg(BARS + inside), font)
    web_page = '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">Monday</p></foreignObject>'
    for inside in (web_page, f"<switch>{web_page}<text>Not supported by viewer</text></switch>"):
        with pytest.raises(BadPicture, match="SVG with HTML in it: export it as PNG"):
            draw(svg(BARS + inside), "any")


def test_styles_gradients_and_pictures_it_brings_along_are_drawn() -> None:
    brought = "data:image/png;base64," + base64.b64encode(GREEN).decode()
    picture = f'<image width="20" height="20" href="{brought}"/>'
    gradient = '<linearGradient id="g"><stop stop-color="blue"/></linearGradient>'
    fill = gradient + '<rect class="b" width="20" height="20" y="40"/>'
    style = "<style>@import url(https://fonts.example/css); .b { fill: url(#g) }</style>"
    assert colors(seen(svg(style + picture + fill + BARS, before=DOCTYPE)).copy) == {
        (0, 255, 0),
        (0, 0, 255),
        (255, 0, 0),
        (255, 255, 255),
    }


# ── what is not worth it ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("inside", "attributes"),
    [
        (BARS, 'width="88" height="20"'),
        (BARS, 'width="250" height="31"'),
        (BARS, 'width="24" height="24" viewBox="0 0 512 512"'),
        (BARS, 'viewBox="0 0 24 24"'),
        ('<path d="M0 0h300v200z"/>' * (SHAPES - 1), 'viewBox="0 0 512 512"'),
    ],
    ids=["badge", "wide badge", "icon", "icon without a size", "logo"],
)
def test_badges_and_icons_are_left_out_without_a_word(inside: str, attributes: str) -> None:
    with pytest.raises(BadPicture, match=r"^$"):
        seen(svg(inside, attributes))


# ── what means harm ──────────────────────────────────────────────────────────────────────────────

REACHING_OUT = [
    '<image width="300" height="200" href="{}"/>',
    '<image width="300" height="200" xlink:href="{}"/>',
    '<svg:image xmlns:svg="http://www.w3.org/2000/svg" width="300" height="200" href="{}"/>',
    '<use href="{}#a"/>',
    '<filter id="f"><feImage href="{}"/></filter><rect width="300" height="200" filter="url(#f)"/>',
    '<rect width="300" height="200" fill="url({})"/>',
    '<rect width="300" height="200" style="fill: url(\'{}\')"/>',
    "<style>rect {{ fill: url({}) }} @import '{}';</style>",
    '<pattern id="p" width="1" height="1"><image width="300" height="200" href="{}"/></pattern>'
    '<rect width="300" height="200" fill="url(#p)"/>',
    '<foreignObject><iframe src="{}"/></foreignObject>',
    '<script href="{}"/>',
    '<set attributeName="href" to="{}"/>',
]


@pytest.mark.parametrize("reach", REACHING_OUT)
def test_nothing_of_this_machine_can_be_seen_in_it(
    reach: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.png").write_bytes(GREEN)
    picture = base64.b64encode(svg('<image width="9" height="9" href="secret.png"/>')).decode()
    for address in (
        "secret.png",
        f"{tmp_path}/secret.png",
        f"file://{tmp_path}/secret.png",
        "http://127.0.0.1:9/secret.png",
        f"data:image/svg+xml;base64,{picture}",
    ):
        body = svg(BARS + reach.format(address, address), before=f'<?xml-stylesheet href="{address}"?>')
        try:
            markup = clean(body).markup()
        except BadPicture:
            continue
        assert "secret" not in markup
        assert "data:" not in markup
        assert (0, 255, 0) not in colors(seen(body).copy)


def test_even_what_slips_through_opens_no_file(tmp_path: Path) -> None:
    """The drawing library does read files when it is asked to; the process it works in cannot."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(GREEN)
    program = (
        "import sys, resvg_py; from bridge.pictures.confine import shut\n"
        "if sys.argv[2] == 'shut': shut(spare=int(sys.argv[3]))\n"
        "sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=sys.argv[1], skip_system_fonts=True))"
    )
    reaching = svg(f'<image width="300" height="200" href="{secret}"/>').decode()
    for how, spare in (("open", "0"), ("shut", "0"), ("shut", "16")):
        command = [sys.executable, "-c", program, reaching, how, spare]
        drawn = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
        assert ((0, 255, 0) in colors(drawn)) == (how == "open")


def _laughs() -> str:
    letters = "abcdefghij"
    pairs = pairwise(letters)
    grown = "".join(f'<!ENTITY {more} "' + f"&{less};" * 10 + '">' for less, more in pairs)
    return f'<!DOCTYPE svg [<!ENTITY a "ha">{grown}]>'


def _uses() -> str:
    groups = "".join(f'<g id="a{n + 1}">' + f'<use href="#a{n}"/>' * 10 + "</g>" for n in range(9))
    return f'<defs><rect id="a0" width="9" height="9"/>{groups}</defs><use href="#a9"/>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (svg("<text>&j;</text>", before=_laughs()), "entities"),
        (svg(before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), "entities"),
        (svg(before='<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://127.0.0.1/">%x;]>'), "entities"),
        (svg(BARS + _uses()), "it "),
        (svg("<g>" * 50_000 + "</g>" * 50_000), "too many parts"),
        (svg("<g/>" * (MAX_ELEMENTS + 1)), "too many parts"),
        (svg()[:-20], "damaged"),
        (b"<svg width='300' height='200'>" + BARS.encode() + b"</svg>", "damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><g></svg>", "damaged"),
    ],
    ids=["laughs", "entity", "parameter entity", "uses", "deep", "many", "half", "no namespace", "crossed"],
)
def test_what_would_take_all_there_is_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(BadPicture, match=why) as refused:
        seen(body)
    assert str(refused.value).startswith("it ")


def test_a_size_without_end_and_a_blur_without_end_come_to_one() -> None:
    assert seen(svg(attributes='width="9999999" height="9999999"')).width == 2048
    blur = '<filter id="f"><feGaussianBlur stdDeviation="99999"/></filter><g filter="url(#f)">'
    try:
        drawn = seen(svg(f"{blur}{BARS}</g>", 'width="2048" height="2048"'))
    except BadPicture as refused:
        assert "too much memory or time" in str(refused)
    else:
        assert drawn.width == 2048
