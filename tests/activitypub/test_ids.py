"""Ids stay what they are, for ever."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.activitypub.ids import Ids, mint_activity_id, mint_post_id
from bridge.addresses import check_url

# Machines that test are often busy with something else too.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

IDS = Ids("https://cafe.example")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (IDS.actor("cafe"), "/ap/cafe"),
        (IDS.inbox("cafe"), "/ap/cafe/inbox"),
        (IDS.outbox("cafe"), "/ap/cafe/outbox"),
        (IDS.followers("cafe"), "/ap/cafe/followers"),
        (IDS.following("cafe"), "/ap/cafe/following"),
        (IDS.featured("cafe"), "/ap/cafe/featured"),
        (IDS.tags("cafe"), "/ap/cafe/tags"),
        (IDS.collection_page(IDS.outbox("cafe"), 2), "/ap/cafe/outbox/pages/2"),
        (IDS.post("cafe", "abc"), "/ap/cafe/posts/abc"),
        (IDS.replies("cafe", "abc"), "/ap/cafe/posts/abc/replies"),
        (IDS.likes("cafe", "abc"), "/ap/cafe/posts/abc/likes"),
        (IDS.shares("cafe", "abc"), "/ap/cafe/posts/abc/shares"),
        (IDS.context("cafe", "abc"), "/ap/cafe/posts/abc/context"),
        (IDS.activity("cafe", "create-abc"), "/ap/cafe/activities/create-abc"),
        (IDS.authorization("cafe", "q-abc"), "/ap/cafe/authorizations/q-abc"),
        (IDS.shared_inbox, "/ap/inbox"),
        (IDS.instance, "/ap/instance"),
        (IDS.rsa_key(IDS.actor("cafe")), "/ap/cafe#main-key"),
        (IDS.ed25519_key(IDS.actor("cafe")), "/ap/cafe#ed25519-key"),
        (IDS.page("abc"), "/r/abc"),
        (IDS.profile("cafe"), "/@cafe"),
        (IDS.feed_page("cafe"), "/ap/cafe/feed"),
        (IDS.tag("cafe", "Crème_brûlée"), "/ap/cafe/tagged/Cr%C3%A8me_br%C3%BBl%C3%A9e"),
        (IDS.media("cafe", "a/b c.png"), "/ap/cafe/media/a/b%20c.png"),
        (IDS.picture("cafe", "icon-1.png"), "/ap/cafe/pictures/icon-1.png"),
        (IDS.privacy, "/ap/about/privacy"),
    ],
)
def test_every_url_has_its_place(url: str, path: str) -> None:
    assert url == "https://cafe.example" + path


def test_a_base_url_may_end_with_a_slash() -> None:
    assert Ids("https://cafe.example/") == IDS


def test_the_host_keeps_an_unusual_port() -> None:
    assert Ids("http://127.0.0.1:8080").host == "127.0.0.1:8080"


def test_a_post_id_never_changes() -> None:
    # Written down, because followers' servers hold it: whoever changes this breaks every thread there is.
    assert mint_post_id("cafe", "https://cafe.example/2026/hello/") == "loxujdqycich3kxk"
    assert (
        mint_activity_id("cafe", "Create", "https://cafe.example/x", "1")
        == "create-fzkrwdpccs7r4mlhcjiztjpof5"
    )


def test_a_post_that_comes_back_gets_the_next_generation() -> None:
    first = mint_post_id("cafe", "guid-1")
    assert [mint_post_id("cafe", "guid-1", n) for n in (1, 2, 3)] == [first, f"{first}-2", f"{first}-3"]


def test_without_the_secret_a_post_id_cannot_be_computed() -> None:
    ids = {mint_post_id("cafe", "guid-1", secret=secret) for secret in (b"", b"one", b"other")}
    assert len(ids) == 3
    # Written down for the same reason.
    assert mint_post_id("cafe", "guid-1", 2, secret=b"one") == "l3ws2e44lbgdvtml-2"
    assert mint_post_id("cafe", "guid-1", secret=b"one") == "l3ws2e44lbgdvtml-2".removesuffix("-2")


def test_what_is_said_again_at_another_moment_is_another_activity() -> None:
    said = ("cafe", "Update", "https://cafe.example/x")
    assert mint_activity_id(*said, "1") == mint_activity_id(*said, "1")
    assert len({mint_activity_id(*said, version) for version in ("", "1", "2")}) == 3


@unhurried
@given(st.text(st.characters(), max_size=40), st.text(max_size=40))
def test_any_identity_makes_a_path_part(site: str, identity: str) -> None:
    assert re.fullmatch("[a-z2-7]{16}", mint_post_id(site, identity))
    assert re.fullmatch("create-[a-z2-7]{26}", mint_activity_id(site, "Create", identity))


@unhurried
@given(
    st.lists(st.text(max_size=6), min_size=3, max_size=3),
    st.lists(st.text(max_size=6), min_size=3, max_size=3),
)
def test_parts_do_not_run_together(one: list[str], other: list[str]) -> None:
    same = mint_activity_id(one[0], "Like", *one[1:]) == mint_activity_id(other[0], "Like", *other[1:])
    assert same == (one == other)


def test_a_file_name_in_no_encoding_has_an_id_too() -> None:
    assert mint_post_id("cafe", "posts/\udcff.md") != mint_post_id("cafe", "posts/?.md")


@unhurried
@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=30))
def test_tag_and_media_urls_can_be_opened(name: str) -> None:
    for url in (IDS.tag("cafe", name), IDS.media("cafe", name)):
        assert check_url(url) == url
