"""Every spelling by which a server or a person may look for us."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import __version__
from bridge.activitypub.discovery import (
    Subject,
    Usage,
    host_meta_json,
    host_meta_xml,
    instance_subject,
    match_resource,
    nodeinfo,
    nodeinfo_links,
    nodeinfo_type,
    parse_resource,
    webfinger,
)
from bridge.activitypub.ids import Ids
from bridge.errors import BadUrl
from bridge.model import Image

# Machines that test are often busy with something else too.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# The split-domain layout: the site on one host, the bridge on another.
IDS = Ids("https://ap.example.net")
BLOG = Subject(
    user="blog",
    domain="example.com",
    bridge_host="ap.example.net",
    actor_id=IDS.actor("blog"),
    profile_url=IDS.profile("blog"),
    website="https://example.com/",
    avatar=Image("https://example.com/a.png", media_type="image/png"),
)

NEWS = Subject(
    user="news",
    domain="example.com",
    bridge_host="ap.example.net",
    actor_id=IDS.actor("news"),
    profile_url=IDS.profile("news"),
    website="https://example.com/News/",
)
SERVER = instance_subject(IDS, "ap.example.net")
ALL = (BLOG, NEWS, SERVER)


@pytest.mark.parametrize(
    ("resource", "subject"),
    [
        ("acct:blog@example.com", BLOG),
        ("ACCT:Blog@Example.COM", BLOG),
        ("acct:blog@ap.example.net", BLOG),
        ("blog@example.com", BLOG),
        ("@blog@example.com", BLOG),
        ("acct:@blog@example.com", BLOG),
        ("acct%3Ablog%40example.com", BLOG),
        (" acct:blog@example.com ", BLOG),
        ("acct:blog@example.com:443", BLOG),
        ("https://example.com/", BLOG),
        ("https://example.com", BLOG),
        ("http://example.com", BLOG),
        ("https%3A%2F%2Fexample.com%2F", BLOG),
        ("https://ap.example.net/ap/blog", BLOG),
        ("https://ap.example.net/ap/blog/", BLOG),
        ("https://AP.example.net/ap/blog", BLOG),
        ("https://ap.example.net/@blog", BLOG),
        ("https://ap.example.net/@Blog/", BLOG),
        ("https://example.com/@blog", BLOG),
        ("acct:news@example.com", NEWS),
        ("https://example.com/News", NEWS),
        ("https://ap.example.net/@news", NEWS),
        ("acct:ap.example.net@ap.example.net", SERVER),
        ("https://ap.example.net/ap/instance", SERVER),
        ("https://ap.example.net/", SERVER),
        ("https://ap.example.net", SERVER),
        # and no one else
        ("acct:nobody@example.com", None),
        ("acct:blog@example.org", None),
        ("acct:blog@example.com.evil.example", None),
        ("acct:blog@example.com@evil.example", None),
        ("acct:blog@evil.example@example.com", None),
        ("acct:blog@example.com/", None),
        ("acct:blog@example.com#x", None),
        ("acct:blog@example.com:444", None),
        ("acct:blog", None),
        ("acct:@example.com", None),
        ("acct:", None),
        ("blog", None),
        ("mailto:blog@example.com", None),
        ("https://example.com/news", None),
        ("https://example.com/other", None),
        ("https://example.com/?x", None),
        ("https://example.com?x", None),
        ("https://example.com#x", None),
        ("https://example.com:444/", None),
        ("https://example.com@evil.example/", None),
        ("https://evil.example@example.com/", None),
        ("https://evil.example/ap/blog", None),
        ("https://ap.example.net/AP/blog", None),
        ("https://ap.example.net/ap/blog/inbox", None),
        ("https://ap.example.net/ap/blog/../news", None),
        ("https:///", None),
        ("https://", None),
        ("//example.com/", None),
        ("javascript:alert(1)", None),
        ("acct:blog@example.com\r\nX: y", None),
        ("https://exa\tmple.com/", None),
        ("acct:*@example.com", None),
        ("%00", None),
        ("%ff%fe", None),
    ],
)
def test_a_resource_names_one_of_us_or_no_one(resource: str, subject: Subject | None) -> None:
    assert match_resource(resource, ALL) == subject


@pytest.mark.parametrize("resource", ["", "   ", "acct:" + "a" * 512, "é" * 257])
def test_an_empty_or_endless_resource_is_an_error(resource: str) -> None:
    with pytest.raises(BadUrl, match="512"):
        parse_resource(resource)


def test_a_site_in_another_script_is_found_in_both_spellings() -> None:
    subject = Subject(
        "blog", "xn--bcher-kva.example", "b.example", "https://b.example/ap/b", "https://b.example/@b"
    )
    for resource in (
        "acct:blog@bücher.example",
        "acct:blog@xn--bcher-kva.example",
        "acct:blog@BÜCHER.example",
    ):
        assert match_resource(resource, [subject]) is subject


@unhurried
@given(st.text(max_size=80) | st.from_regex(r"(acct:|https://)[%@/:.a-z0-9\[\]]{0,40}"))
def test_any_text_is_a_resource_or_a_clear_error(text: str) -> None:
    try:
        match_resource(text, ALL)
    except BadUrl:
        assert not text.strip() or len(text.encode()) > 512


def test_the_answer_is_what_mastodon_lemmy_and_gotosocial_need() -> None:
    jrd = webfinger(BLOG, resource="acct:blog@ap.example.net", instance=IDS.instance)
    assert jrd["subject"] == "acct:blog@example.com"
    assert jrd["aliases"] == [
        "https://example.com/",
        "https://ap.example.net/@blog",
        "https://ap.example.net/ap/blog",
    ]
    assert jrd["links"] == [
        {"rel": "self", "type": "application/activity+json", "href": "https://ap.example.net/ap/blog"},
        {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": "https://example.com/"},
        {"rel": "http://webfinger.net/rel/avatar", "type": "image/png", "href": "https://example.com/a.png"},
    ]


def test_a_front_page_names_the_servers_own_actor_too() -> None:
    jrd = webfinger(BLOG, resource="https://example.com", instance=IDS.instance)
    assert [link["rel"] for link in jrd["links"]].count("self") == 1
    assert jrd["links"][-1] == {
        "rel": "https://www.w3.org/ns/activitystreams#Service",
        "type": "application/activity+json",
        "href": IDS.instance,
    }


def test_every_answer_is_found_again_under_its_own_subject_and_aliases() -> None:
    for subject in ALL:
        jrd = webfinger(subject, resource=subject.actor_id, instance=IDS.instance)
        for name in (jrd["subject"], *jrd["aliases"]):
            assert match_resource(name, ALL) == subject


def test_host_meta_points_to_webfinger_in_both_forms() -> None:
    template = "https://ap.example.net/.well-known/webfinger?resource={uri}"
    root = ElementTree.fromstring(host_meta_xml("https://ap.example.net/"))
    link = root.find("{http://docs.oasis-open.org/ns/xri/xrd-1.0}Link")
    assert link is not None
    assert link.attrib == {"rel": "lrdd", "type": "application/jrd+json", "template": template}
    assert host_meta_json("https://ap.example.net")["links"][0]["template"] == template


def test_nodeinfo_is_linked_in_both_versions_with_the_instance_actor() -> None:
    links = nodeinfo_links("https://ap.example.net")["links"]
    assert [link["href"].removeprefix("https://ap.example.net") for link in links] == [
        "/nodeinfo/2.1",
        "/nodeinfo/2.0",
        "/ap/instance",
    ]


USAGE = Usage(sites=2, active_month=1, active_halfyear=2, posts=42)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_nodeinfo_describes_the_server(version: str) -> None:
    info = nodeinfo(version, USAGE, metadata={"nodeName": "Blog"}, repository="https://git.example/")
    assert json.loads(json.dumps(info)) == info
    assert info["version"] == version
    assert info["software"].items() >= {"name": "fedibridge", "version": __version__}.items()
    assert ("repository" in info["software"]) is (version == "2.1")
    assert info["usage"]["users"] == {"total": 2, "activeMonth": 1, "activeHalfyear": 2}
    assert (info["protocols"], info["metadata"]) == (["activitypub"], {"nodeName": "Blog"})
    assert nodeinfo_type(version).endswith(f'{version}#"; charset=utf-8')


def test_another_nodeinfo_does_not_exist() -> None:
    with pytest.raises(BadUrl, match=r"no NodeInfo 1\.0"):
        nodeinfo("1.0", USAGE, metadata={})
