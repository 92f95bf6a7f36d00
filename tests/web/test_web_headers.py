"""What every answer carries, whatever the route: found by asking the application for its routes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from web_visitor import AS2, BROWSER, Visitor, publish
from werkzeug.routing import Rule

from bridge.look.own_files import copies_folder
from bridge.pictures import keep_copy
from bridge.store import identity
from bridge.web import create_app, create_wsgi

DOCUMENTS = f"{AS2}; charset=utf-8"
JRD = "application/jrd+json; charset=utf-8"
HTML = "text/html; charset=utf-8"
NODEINFO = 'application/json; profile="http://nodeinfo.diaspora.software/ns/schema/2.1#"; charset=utf-8'

CONTENT_TYPES = {
    "/.well-known/webfinger": JRD,
    "/.well-known/host-meta": "application/xrd+xml; charset=utf-8",
    "/.well-known/host-meta.json": JRD,
    "/.well-known/nodeinfo": "application/json; charset=utf-8",
    "/nodeinfo/<version>": NODEINFO,
    "/ap/<site>": DOCUMENTS,
    "/ap/<site>/outbox": DOCUMENTS,
    "/ap/<site>/outbox/pages/<page>": DOCUMENTS,
    "/ap/<site>/followers": DOCUMENTS,
    "/ap/<site>/followers/pages/1": DOCUMENTS,
    "/ap/<site>/following": DOCUMENTS,
    "/ap/<site>/featured": DOCUMENTS,
    "/ap/<site>/tags": DOCUMENTS,
    "/ap/<site>/posts/<post_id>": DOCUMENTS,
    "/ap/<site>/posts/<post_id>/<collection>": DOCUMENTS,
    "/ap/<site>/activities/<activity_id>": DOCUMENTS,
    "/ap/instance": DOCUMENTS,
    "/ap/instance/<collection>": DOCUMENTS,
    "/": HTML,
    "/ap/<site>/feed": HTML,
    "/ap/<site>/tagged/<tag>": HTML,
    "/ap/about/privacy": HTML,
    "/ap/about/static/<path:filename>": "text/css; charset=utf-8",
    "/ap/<site>/pictures/<name>": "image/png",
    "/ap/<site>/media/<source>/<path:path>": "image/png",
    "/ap/about/pictures/<name>": "image/jpeg",
    "/healthz": "application/json",
    "/readyz": "application/json",
}
REDIRECTS = {"/@<user>", "/r/<post_id>"}
NOT_READ = {"/ap/inbox", "/ap/about/websub/<token>", "/ap/<site>/authorizations/<stamp>"}


@pytest.fixture
def cafe(make_services, tmp_path):
    """A café with a post, an icon and a folder whose pictures the bridge serves."""
    (tmp_path / "content").mkdir()
    for name in ("icon.png", "content/bun.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    folder = '[[sites.cafe.sources]]\nname = "words"\nfolder = "content"\n'
    return make_services(site='icon = "icon.png"\n', sources=folder)


@pytest.fixture
def web(cafe) -> Visitor:
    return Visitor(create_wsgi(cafe))


@pytest.fixture
def url_of(cafe, web: Visitor) -> Callable[[str], str]:
    """Fill in a rule so that it leads to something."""
    post = publish(cafe, "Buns", tags=("bun",))
    actor = web.read("/ap/cafe")
    copy = keep_copy(copies_folder(cafe.config), b"\xff\xd8\xff", "image/jpeg")
    create = web.read("/ap/cafe/outbox/pages/1")["orderedItems"][0]["id"]
    values = {
        "<site>": "cafe", "<user>": "cafe", "<version>": "2.1", "<page>": "1", "<tag>": "bun",
        "<post_id>": post.id, "<collection>": "likes", "<activity_id>": create.rpartition("/")[2],
        "<name>": actor["icon"]["url"].rpartition("/")[2], "<source>": "words", "<path:path>": "bun.png",
        "<path:filename>": "pages.css", "<stamp>": "unknown", "<token>": "unknown",
    }  # fmt: skip

    def fill(rule: str) -> str:
        rule = rule.replace("/ap/instance/<collection>", "/ap/instance/outbox")
        rule = rule.replace("/ap/about/pictures/<name>", f"/ap/about/pictures/{copy}")
        for name, value in values.items():
            rule = rule.replace(name, value)
        assert "<" not in rule, f"tell this test how to fill in {rule}"
        return rule + ("?resource=acct:cafe@cafe.example" if rule.endswith("webfinger") else "")

    return fill


def _rules(app: Flask, method: str) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ())]


def test_every_route_is_known_to_these_tests(cafe) -> None:
    found = {rule.rule for rule in _rules(create_app(cafe), "GET")}
    assert found <= CONTENT_TYPES.keys() | REDIRECTS | NOT_READ


def test_every_content_type_is_the_one_servers_insist_on(cafe, web: Visitor, url_of) -> None:
    for rule in _rules(create_app(cafe), "GET"):
        if rule.rule in CONTENT_TYPES:
            answer = web.get(url_of(rule.rule))
            assert answer.status_code == (503 if rule.rule == "/readyz" else 200), rule
            assert answer.headers["Content-Type"] == CONTENT_TYPES[rule.rule], rule


@pytest.mark.parametrize("accept", [AS2, BROWSER], ids=["server", "browser"])
def test_no_answer_can_be_sniffed_framed_or_run_as_a_script(cafe, web: Visitor, url_of, accept: str) -> None:
    for rule in _rules(create_app(cafe), "GET"):
        for url in (url_of(rule.rule), url_of(rule.rule).partition("?")[0] + "x"):
            for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                answer = web.get(url, accept, method=method)
                assert answer.headers["X-Content-Type-Options"] == "nosniff", (method, url)
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'"), (method, url)
                assert "script-src" not in policy
                assert "unsafe-inline" not in policy
                assert answer.status_code < 500 or rule.rule == "/readyz", (method, url)
                assert "Set-Cookie" not in answer.headers


NOWHERE = ("/ap/nobody", "/ap/cafe/posts/none", "/.well-known/webfinger", "/nodeinfo/9", "/r/none")
WHOLE_PROFILE = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


@pytest.mark.parametrize("accept", [AS2, WHOLE_PROFILE, BROWSER])
def test_a_script_of_any_page_reads_every_answer_and_every_refusal(
    cafe, web: Visitor, url_of, accept: str
) -> None:
    for url in (*(url_of(rule.rule) for rule in create_app(cafe).url_map.iter_rules()), *NOWHERE):
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            answer = web.get(url, accept, method=method, Origin="https://page.example")
            assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"], (method, url)
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_browser_that_asks_before_it_fetches_is_let_through(cafe, web: Visitor, url_of) -> None:
    """A preflight has to be a success, or the script is not even told of a 404 (Fetch Standard)."""
    asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "accept"}
    for url in (*(url_of(rule.rule) for rule in create_app(cafe).url_map.iter_rules()), *NOWHERE):
        answer = web.get(url, "*/*", method="OPTIONS", Origin="https://page.example", **asked)
        assert answer.status_code == 204, url
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
        assert answer.headers["Access-Control-Allow-Headers"] == "Accept"


def test_documents_and_discovery_may_be_kept_a_while(cafe, web: Visitor, url_of) -> None:
    for rule, kind in CONTENT_TYPES.items():
        if kind in (HTML, "application/json", "text/css; charset=utf-8"):
            continue
        answer = web.get(url_of(rule))
        assert answer.headers["Cache-Control"].startswith("public, max-age="), rule
        if kind == DOCUMENTS:
            assert "Accept" in answer.headers["Vary"], rule
            assert answer.headers["Cache-Control"] == "public, max-age=180"


def test_whatever_differs_for_browsers_says_so_to_caches(cafe, web: Visitor, url_of) -> None:
    for rule in _rules(create_app(cafe), "GET"):
        url = url_of(rule.rule)
        for_server, for_browser = web.get(url, AS2), web.get(url, BROWSER)
        if (for_server.status, for_server.get_data()) != (for_browser.status, for_browser.get_data()):
            assert "Accept" in for_server.headers["Vary"], rule
            assert "Accept" in for_browser.headers["Vary"], rule


def test_a_head_request_gets_the_headers_of_the_get(cafe, web: Visitor, url_of) -> None:
    for rule in _rules(create_app(cafe), "GET"):
        url = url_of(rule.rule)
        whole, head = web.get(url), web.get(url, method="HEAD")
        assert (head.status, head.get_data()) == (whole.status, b""), rule
        assert head.headers.get("Content-Type") == whole.headers.get("Content-Type")
        if whole.status_code == 200:
            assert head.headers["Content-Length"] == str(len(whole.get_data())), rule


def test_what_did_not_change_is_a_304_without_a_body(cafe, web: Visitor, url_of) -> None:
    for rule, kind in CONTENT_TYPES.items():
        if rule == "/" or kind == "application/json":
            continue
        url = url_of(rule)
        whole = web.get(url)
        etag = whole.headers["ETag"]
        for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            again = web.get(url, If_None_Match=known)
            assert (again.status_code, again.get_data()) == (304, b""), (rule, known)
            assert again.headers["ETag"] == etag
            assert again.headers["Cache-Control"] == whole.headers["Cache-Control"]
        assert web.get(url, If_None_Match='"other"').status_code == 200
        assert web.get(url, method="HEAD", If_None_Match=etag).status_code == 304


def test_a_changed_document_has_another_etag(cafe) -> None:
    etags = set()
    for title in ("One", "Two"):
        publish(cafe, title)
        etags.add(Visitor(create_wsgi(cafe)).get("/ap/cafe/outbox").headers["ETag"])
    assert len(etags) == 2


def test_a_wrong_method_is_told_the_right_ones(web: Visitor) -> None:
    for url in ("/ap/inbox", "/ap/cafe/inbox"):
        answer = web.get(url)
        assert answer.status_code == 405
        assert "POST" in answer.headers["Allow"]
    answer = web.get("/ap/cafe", method="PUT")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:99999"},
        {"Host": "a b<c>"},
        {"Host": ""},
        {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "gopher"},
        {"X_Forwarded_Prefix": "/evil", "X_Forwarded_Path": "/evil", "X_Original_URL": "/evil"},
        {"Forwarded": "host=evil.example"},
    ],
    ids=str,
)
def test_no_header_makes_us_name_another_host(cafe, headers: dict[str, str]) -> None:
    """What a stranger's request claims must not end up in a document that others are shown."""
    plain, forged = Visitor(create_wsgi(cafe)), Visitor(create_wsgi(cafe))
    for url in ("/ap/cafe", "/.well-known/webfinger?resource=acct:cafe@cafe.example", "/", "/ap/cafe/feed"):
        answer = forged.get(url, **headers)
        if answer.status_code == 200:
            assert answer.get_data() == plain.get(url).get_data()
        assert answer.status_code in (200, 400)
        assert "evil" not in answer.get_data(as_text=True)


# ── health ───────────────────────────────────────────────────────────────────────────────────────


def test_we_are_alive_without_a_worker_but_not_ready(cafe, clock, web: Visitor) -> None:
    assert web.get("/healthz").status_code == 200
    assert web.get("/readyz").status_code == 503
    with cafe.store.write() as tx:
        identity.beat(tx, "worker", "", now=clock.now())
    assert web.get("/readyz").json == {"status": "ready"}
    clock.tick(timedelta(minutes=2))
    silent = web.get("/readyz")
    assert silent.status_code == 503
    assert "2026-03-01 12:00:00 UTC" in silent.json["error"]
    assert web.get("/healthz").headers["Cache-Control"] == "no-store"
