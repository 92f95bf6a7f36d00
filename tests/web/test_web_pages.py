"""Pages for people: what they show, and that nothing in them is taken for markup but what we cleaned."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from web_visitor import AS2, BROWSER, Visitor, publish

from bridge.model import Image
from bridge.web import create_wsgi

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}{% raw %}",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "&lt;script&gt;",
]
PLACES = ["/", "/ap/cafe/feed", "/ap/cafe/tagged/bun", "/ap/about/privacy"]


@pytest.fixture
def web(services) -> Visitor:
    return Visitor(create_wsgi(services))


def _page(web: Visitor, path: str) -> BeautifulSoup:
    answer = web.get(path, BROWSER)
    assert answer.status_code == 200, path
    return BeautifulSoup(answer.get_data(), "html.parser")


def _is_harmless(page: BeautifulSoup) -> bool:
    handlers = [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
    addresses = [tag.get("href") or tag.get("src") or "" for tag in page.find_all(["a", "img", "link"])]
    odd = [address for address in addresses if not re.match("(https?://|mailto:|/)", address)]
    return not (page.find_all(["script", "iframe", "object", "style", "form"]) or handlers or odd)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_post_is_shown_as_text(services, web: Visitor, hostile: str) -> None:
    picture = Image("https://cafe.example/bun.png", alt=hostile)
    post = publish(services, hostile, html=f"<p>{hostile}</p>", tags=("bun",), images=(picture,))
    for path in (*PLACES, f"/ap/cafe/tagged/{hostile}"):
        answer = web.get(path, BROWSER)
        assert answer.status_code in (200, 404)
        page = BeautifulSoup(answer.get_data(), "html.parser")
        assert _is_harmless(page), path
        assert "49" not in page.get_text() or hostile != HOSTILE[3]
    assert "alert(1)" in _page(web, "/ap/cafe/feed").get_text() or "alert" not in hostile
    assert web.get(f"/r/{post.id}", BROWSER).status_code == 302


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "\u202e" not in text])
def test_a_hostile_name_is_shown_as_text(make_services, hostile: str) -> None:
    quoted = hostile.replace("\\", "\\\\").replace('"', '\\"')
    services = make_services(
        site=f'summary = "{quoted}"\nicon = "https://cafe.example/i.png"\nicon_alt = "{quoted}"\n'
    )
    object.__setattr__(services.site("cafe"), "name", hostile)
    web = Visitor(create_wsgi(services))
    for path in PLACES:
        page = _page(web, path)
        assert _is_harmless(page), path
    assert _page(web, "/ap/cafe/feed").h1.get_text(strip=True) == hostile.strip()
    summary = web.read("/ap/cafe")["summary"]
    assert _is_harmless(BeautifulSoup(summary, "html.parser"))


@pytest.mark.parametrize("path", [f"/ap/{HOSTILE[0]}", f"/@{HOSTILE[1]}", "/ap/cafe/posts/%3Cscript%3E"])
def test_an_error_page_shows_what_was_asked_for_as_text(web: Visitor, path: str) -> None:
    answer = web.get(path, BROWSER)
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert _is_harmless(BeautifulSoup(answer.get_data(), "html.parser"))
    assert web.get(path, AS2).mimetype == "application/json"


def test_the_front_page_tells_what_to_search_for(web: Visitor) -> None:
    page = _page(web, "/")
    assert "@cafe@cafe.example" in page.get_text()
    assert page.find("a", href="https://cafe.example/ap/cafe/feed")


def test_a_feed_shows_the_newest_posts_first_and_how_many_follow(services, clock, web: Visitor) -> None:
    for title in ("Old", "New"):
        clock.tick(timedelta(hours=1))
        publish(services, title)
    page = _page(web, "/ap/cafe/feed")
    articles = page.find_all("article")
    assert ["New" in article.get_text() for article in articles] == [True, False]
    assert "0 followers" in page.get_text()
    link = page.find("link", rel="alternate")
    assert (link["type"], link["href"]) == (AS2, "https://cafe.example/ap/cafe")


def test_a_post_says_in_which_language_it_is(services, web: Visitor) -> None:
    publish(services, "Deutscher Tisch", language="de")
    page = _page(web, "/ap/cafe/feed")
    assert page.find("article")["lang"] == "de"
    assert page.html["lang"] == "en"


def test_a_post_without_a_page_has_one_here_that_names_its_object(services, web: Visitor) -> None:
    post = publish(services, "Buns", link=None)
    page = _page(web, f"/r/{post.id}")
    assert "Fresh." in page.find("article").get_text()
    assert page.find("link", rel="alternate")["href"] == post.note["id"]


def test_a_hashtags_page_lists_its_posts_whatever_the_case(services, clock, web: Visitor) -> None:
    publish(services, "Straße", tags=("Straßenfest",))
    publish(services, "Other", tags=("tea",))
    for spelled in ("Straßenfest", "strassenfest", "STRASSENFEST"):
        (article,) = _page(web, f"/ap/cafe/tagged/{spelled}").find_all("article")
        assert "Straße" in article.get_text()
    assert not _page(web, "/ap/cafe/tagged/nothing").find_all("article")


def test_a_profile_leads_to_the_website(web: Visitor) -> None:
    assert web.get("/@cafe", BROWSER).headers["Location"] == "https://cafe.example/ap/cafe/feed"
    assert web.get("/@CAFE", AS2).headers["Location"] == "https://cafe.example/ap/cafe"


def test_the_privacy_page_says_whom_to_ask(make_services) -> None:
    services = make_services(top='contact = "hello@cafe.example"')
    page = _page(Visitor(create_wsgi(services)), "/ap/about/privacy")
    assert page.find("a", href="mailto:hello@cafe.example")
