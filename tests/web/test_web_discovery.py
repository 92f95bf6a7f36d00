"""Other servers find us: WebFinger, host-meta and NodeInfo as they are answered."""

import re
from datetime import timedelta
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from web_visitor import CAFE, SPLIT, Visitor, publish

from bridge import __version__
from bridge.web import create_wsgi

WEBFINGER = "/.well-known/webfinger"
SPELLINGS = [
    "acct:cafe@cafe.example",
    "acct:CAFE@Cafe.Example",
    "cafe@cafe.example",
    "@cafe@cafe.example",
    "acct:@cafe@cafe.example",
    "https://cafe.example/",
    "https://cafe.example",
    "https://cafe.example/ap/cafe",
    "https://cafe.example/ap/cafe/",
    "https://cafe.example/@cafe",
    "https://cafe.example/@CAFE",
]


@pytest.fixture
def web(services) -> Visitor:
    return Visitor(create_wsgi(services))


@pytest.fixture
def split(make_services) -> Visitor:
    """The bridge on a host of its own, the handle on the website's."""
    return Visitor(create_wsgi(make_services(base_url=SPLIT)))


# ── WebFinger ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "percent-encoded"])
@pytest.mark.parametrize("resource", SPELLINGS)
def test_every_spelling_of_our_name_leads_to_the_actor(web: Visitor, resource: str, encoded: bool) -> None:
    found = web.read(f"{WEBFINGER}?resource={quote(resource, safe='') if encoded else resource}")
    assert found["subject"] == "acct:cafe@cafe.example"
    assert found["links"][0] == {"rel": "self", "type": "application/activity+json", "href": CAFE}
    assert [link["rel"] for link in found["links"]].count("self") == 1


@pytest.mark.parametrize(
    "resource",
    [
        "acct:cafe@cafe.example",
        "acct:cafe@social.cafe.example",
        "https://social.cafe.example/ap/cafe",
        "https://social.cafe.example/@cafe",
        "https://cafe.example/",
    ],
)
def test_both_hosts_of_a_split_layout_confirm_the_one_handle(split: Visitor, resource: str) -> None:
    found = split.read(f"{WEBFINGER}?resource={resource}")
    assert found["subject"] == "acct:cafe@cafe.example"
    assert found["links"][0]["href"] == "https://social.cafe.example/ap/cafe"


@pytest.mark.parametrize("layout", ["web", "split"])
def test_what_an_actor_calls_itself_webfinger_confirms(layout: str, request: pytest.FixtureRequest) -> None:
    """Mastodon asks this of every actor whose document it fetches, the instance's too."""
    visitor: Visitor = request.getfixturevalue(layout)
    for path in ("/ap/cafe", "/ap/instance"):
        actor = visitor.read(path)
        host = actor["id"].split("/")[2]
        for handle in (actor["webfinger"], f"{actor['preferredUsername']}@{host}"):
            found = visitor.read(f"{WEBFINGER}?resource=acct:{handle}")
            assert found["links"][0]["href"] == actor["id"], handle
            assert found["subject"] == f"acct:{actor['webfinger']}"


@pytest.mark.parametrize("layout", ["web", "split"])
def test_the_front_page_names_the_instance_actor_too(layout: str, request: pytest.FixtureRequest) -> None:
    visitor: Visitor = request.getfixturevalue(layout)
    found = visitor.read(f"{WEBFINGER}?resource=https://cafe.example/")
    services = [link["href"] for link in found["links"] if link["rel"].endswith("#Service")]
    assert services == [visitor.read("/ap/instance")["id"]]


@pytest.mark.parametrize(
    "query", ["", "?", "?resource=", "?resource=%20", "?rel=self", f"?resource=acct:{'a' * 600}@cafe.example"]
)
def test_a_webfinger_query_for_nothing_is_a_bad_request(web: Visitor, query: str) -> None:
    assert web.get(WEBFINGER + query).status_code == 400


@pytest.mark.parametrize(
    "resource",
    [
        "acct:nobody@cafe.example",
        "acct:cafe@evil.example",
        "acct:cafe@cafe.example@evil.example",
        "https://cafe.example/ap/nobody",
        "https://evil.example/ap/cafe",
        "mailto:cafe@cafe.example",
        "javascript:alert(1)",
        "%00",
        "%ff%fe",
        "%F0%9F%98%80",
        "%0d%0aX-Evil:%20yes",
        "https://[::1",
        "acct:cafe@cafe.example:99999",
    ],
)
def test_nobody_is_a_404_which_mastodon_does_not_take_for_a_deleted_account(
    web: Visitor, resource: str
) -> None:
    answer = web.get(f"{WEBFINGER}?resource={resource}")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json and "\n" not in answer.json["error"]
    assert "X-Evil" not in answer.headers


def test_webfinger_is_a_jrd_that_every_page_may_read(web: Visitor) -> None:
    answer = web.get(f"{WEBFINGER}?resource=acct:cafe@cafe.example")
    assert answer.headers["Content-Type"] == "application/jrd+json; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    asked = web.get(f"{WEBFINGER}?resource=acct:cafe@cafe.example", method="HEAD")
    assert (asked.status_code, asked.get_data()) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(answer.get_data()))


# ── host-meta ────────────────────────────────────────────────────────────────────────────────────


def test_host_meta_in_xml_leads_mastodon_back_to_webfinger(web: Visitor) -> None:
    answer = web.get("/.well-known/host-meta", "application/xrd+xml, application/xml, text/xml")
    assert answer.headers["Content-Type"] == "application/xrd+xml; charset=utf-8"
    xrd = {"xrd": "http://docs.oasis-open.org/ns/xri/xrd-1.0"}
    link = ElementTree.fromstring(answer.get_data()).find('xrd:Link[@rel="lrdd"]', xrd)
    assert link is not None
    resource = link.attrib["template"].replace("{uri}", "acct:cafe@cafe.example")
    assert web.read(resource)["subject"] == "acct:cafe@cafe.example"


def test_host_meta_in_json_says_the_same(web: Visitor) -> None:
    answer = web.get("/.well-known/host-meta.json")
    assert answer.headers["Content-Type"] == "application/jrd+json; charset=utf-8"
    (link,) = answer.json["links"]
    assert link["rel"] == "lrdd"
    assert web.read(link["template"].replace("{uri}", "cafe@cafe.example"))["links"][0]["href"] == CAFE


# ── NodeInfo ─────────────────────────────────────────────────────────────────────────────────────


def test_nodeinfo_lists_its_versions_and_the_instance_actor(web: Visitor) -> None:
    links = {link["rel"]: link["href"] for link in web.read("/.well-known/nodeinfo")["links"]}
    schema = "http://nodeinfo.diaspora.software/ns/schema"
    assert set(links) == {
        f"{schema}/2.0", f"{schema}/2.1", "https://www.w3.org/ns/activitystreams#Application"
    }  # fmt: skip
    assert web.read(links[f"{schema}/2.1"])["version"] == "2.1"
    assert web.read(links["https://www.w3.org/ns/activitystreams#Application"])["type"] == "Application"


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_nodeinfo_is_what_its_schema_allows(services, web: Visitor, version: str) -> None:
    publish(services, "One")
    publish(services, "Two")
    answer = web.get(f"/nodeinfo/{version}", "application/json")
    schema = f"http://nodeinfo.diaspora.software/ns/schema/{version}#"
    assert answer.headers["Content-Type"] == f'application/json; profile="{schema}"; charset=utf-8'
    found = answer.json
    required = {"version", "software", "protocols", "services", "openRegistrations", "usage", "metadata"}
    assert set(found) == required  # additionalProperties: false
    assert found["version"] == version
    assert re.fullmatch("[a-z0-9-]+", found["software"]["name"])
    assert found["software"]["version"] == __version__
    assert ("repository" in found["software"]) == (version == "2.1")
    assert set(found["software"]) <= {"name", "version", "repository", "homepage"}
    assert found["protocols"] == ["activitypub"]
    assert set(found["services"]) == {"inbound", "outbound"}
    assert set(found["services"]["inbound"]) <= {"atom1.0", "rss2.0"}
    assert found["openRegistrations"] is False
    assert isinstance(found["metadata"], dict)
    users = found["usage"]["users"]
    assert users == {"total": 1, "activeMonth": 1, "activeHalfyear": 1}
    assert (found["usage"]["localPosts"], found["usage"]["localComments"]) == (2, 0)


def test_a_site_that_fell_silent_is_not_counted_as_active(services, clock, web: Visitor) -> None:
    publish(services, "One")
    clock.tick(timedelta(days=100))
    users = web.read("/nodeinfo/2.1")["usage"]["users"]
    assert users == {"total": 1, "activeMonth": 0, "activeHalfyear": 1}


@pytest.mark.parametrize("version", ["1.0", "2.2", "2.1.json", "%00"])
def test_there_is_no_other_nodeinfo(web: Visitor, version: str) -> None:
    assert web.get(f"/nodeinfo/{version}").status_code == 404
