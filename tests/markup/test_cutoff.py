"""Where a machine cut a text off is told in one way by everyone who asks."""

import pytest

from bridge.markup.cutoff import has_mark, is_teaser, plainly_marked, without_invitation, without_mark

CUT = ("Buns are …", "Buns are…", "Buns are ...", "Buns are [...]", "Buns are […]", "Buns are (...)")
WHOLE = (
    *("Buns are here.", "Buns, buns and more", "Mehr", "“Read!”", "We read more books", "a >> b"),
    *("Il a dit : « oui »", "«Два варианта»."),
)


@pytest.mark.parametrize("text", CUT)
def test_dots_in_every_form_are_a_mark(text):
    assert has_mark(text)
    assert is_teaser(text)
    assert without_mark(text) == "Buns are"
    assert without_invitation(text + " read more") == "Buns are…"


@pytest.mark.parametrize("text", WHOLE)
def test_an_end_of_the_authors_own_is_none(text):
    assert not has_mark(text)
    assert not is_teaser(text)
    assert without_mark(text) == without_invitation(text) == text


@pytest.mark.parametrize(
    "end",
    [
        "Read more",
        "Continue reading “Buns”",
        "weiterlesen →",
        "Lire la suite »",
        "Leer más",
        "Leia mais",
        "続きを読む",
    ],
)
def test_an_invitation_is_known_in_many_languages(end):
    assert is_teaser(f"The oven was on all night. {end}")


@pytest.mark.parametrize("mark", ["[…]", "[...]", "(…)", "(...)", " …", " ...", "&nbsp;[…]"])
def test_in_html_every_mark_becomes_one(mark):
    assert plainly_marked(f"<p>Buns are {mark}</p>") == "<p>Buns are…</p>"
    assert plainly_marked(f"<p>Buns {mark} are</p>") == f"<p>Buns {mark} are</p>"
