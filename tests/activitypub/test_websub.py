import hashlib
import hmac
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from bridge.activitypub.websub import (
    Advert,
    find_hub,
    is_signed,
    parse_links,
    parse_question,
    renew_at,
    request_form,
)
from bridge.model import Harvest
from bridge.sources.feeds.feed import parse_feed

FEED = "https://cafe.example/feed.xml"
HUB = "https://hub.example/"
EMPTY = Harvest(())


def found(link: str = "", harvest: Harvest = EMPTY) -> Advert | None:
    return find_hub({"link": link} if link else {}, harvest, url=FEED)


# ── finding the hub ──


def test_a_hub_in_the_headers_is_found_with_the_topic_beside_it():
    assert found(f'<{HUB}>; rel="hub", <https://cafe.example/self>; rel="self"') == Advert(
        HUB, "https://cafe.example/self"
    )


@pytest.mark.parametrize(
    "link",
    [
        f"<{HUB}>;rel=hub",
        f'<{HUB}>; title="a, b; rel=x"; REL="alternate Hub"',
        f'<https://x.example/a,b>; rel="next", <{HUB}>; rel="hub"',
    ],
)
def test_link_headers_are_read_in_every_spelling_the_rfc_allows(link):
    assert found(link) == Advert(HUB, FEED)


@pytest.mark.parametrize(
    "link", ["", "<>", f"{HUB}; rel=hub", f"<{HUB}>", f'<{HUB}>; rel="', '<"<<"; rel=hub']
)
def test_a_broken_link_header_names_no_hub(link):
    assert found(link) is None


@pytest.mark.parametrize(
    "hub",
    ["http://[", "https://hub.example:99999999/", "javascript:alert(1)", "mailto:hub@x.example", ""],
)
def test_what_is_no_web_address_is_no_hub(hub):
    assert found(f"<{hub}>; rel=hub") is None
    assert found(harvest=Harvest((), hub=hub)) is None
    assert found(f"<{hub}>; rel=hub, <{HUB}>; rel=hub, <{hub}>; rel=self") == Advert(HUB, FEED)


def test_a_huge_link_header_is_read_in_no_time():
    assert len(list(parse_links('<a>; rel="' * 200_000))) < 1_000


def test_headers_win_over_the_feed():
    feed = Harvest((), hub="https://other.example/", topic="https://cafe.example/other")
    assert found(f"<{HUB}>; rel=hub", feed) == Advert(HUB, "https://cafe.example/other")


def test_relative_addresses_in_headers_are_the_feeds():
    assert found("</hub>; rel=hub, <feed.json>; rel=self") == Advert(
        "https://cafe.example/hub", "https://cafe.example/feed.json"
    )


def test_a_hub_named_with_http_is_asked_with_https():
    assert found(harvest=Harvest((), hub="http://pubsubhubbub.appspot.com/")) == Advert(
        "https://pubsubhubbub.appspot.com/", FEED
    )


ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>
<link rel="hub" href="{HUB}"/><link rel="self" href="https://cafe.example/atom"/>
<entry><id>1</id><title>a</title><link href="https://cafe.example/1"/></entry></feed>"""
RSS = f"""<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>x</title>
<atom:link rel="hub" href="{HUB}"/><atom:link rel="self" href="https://cafe.example/atom"/>
<item><title>a</title><link>https://cafe.example/1</link></item></channel></rss>"""
JSON = f"""{{"version": "https://jsonfeed.org/version/1.1", "title": "x", "feed_url": "https://cafe.example/atom",
"hubs": [{{"type": "rssCloud", "url": "https://no.example/"}}, {{"type": "WebSub", "url": "{HUB}"}}],
"items": [{{"id": "1", "title": "a"}}]}}"""


@pytest.mark.parametrize("body", [ATOM, RSS, JSON], ids=["Atom", "RSS", "JSON Feed"])
def test_a_feed_names_its_hub_and_itself(body, clock):
    harvest = parse_feed(body.encode(), url=FEED, now=clock.now())
    assert found(harvest=harvest) == Advert(HUB, "https://cafe.example/atom")


def test_a_feed_without_a_hub_names_none(clock):
    body = RSS.replace('rel="hub"', 'rel="next"').encode()
    assert found(harvest=parse_feed(body, url=FEED, now=clock.now())) is None


# ── asking and believing ──


def test_a_subscription_is_asked_for_with_a_secret_and_ten_days():
    form = parse_qs(request_form("subscribe", FEED, "https://cafe.example/cb", "s3cret").decode())
    assert form == {
        "hub.mode": ["subscribe"],
        "hub.topic": [FEED],
        "hub.callback": ["https://cafe.example/cb"],
        "hub.secret": ["s3cret"],
        "hub.lease_seconds": ["864000"],
        "hub.verify": ["async"],
    }


def test_leaving_a_hub_tells_it_no_secret():
    assert b"secret" not in request_form("unsubscribe", FEED, "https://cafe.example/cb", "s3cret")


@pytest.mark.parametrize(
    ("given", "lease"),
    [
        ("86400", timedelta(days=1)),
        ("", timedelta(days=10)),
        ("-5", timedelta(days=10)),
        ("1e309", timedelta(days=10)),
        ("99999999999", timedelta(days=90)),
        ("9" * 500, timedelta(days=10)),
        ("٣", timedelta(days=10)),
    ],
)
def test_a_hubs_lease_is_read_within_reason(given, lease):
    assert parse_question({"hub.lease_seconds": given}).lease == lease


def test_a_lease_is_renewed_at_four_fifths_but_never_every_second(clock):
    assert renew_at(timedelta(days=10), clock.now()) == clock.now() + timedelta(days=8)
    assert renew_at(timedelta(seconds=1), clock.now()) == clock.now() + timedelta(minutes=10)


def test_a_lease_of_years_is_renewed_as_soon_as_the_one_we_asked_for(clock):
    assert renew_at(timedelta(days=90), clock.now()) == clock.now() + timedelta(days=8)


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha384", "sha512"])
def test_every_algorithm_of_the_recommendation_is_understood(name):
    signature = hmac.new(b"s3cret", b"body", getattr(hashlib, name)).hexdigest()
    assert is_signed(f"{name}={signature}", "s3cret", b"body")
    assert is_signed(f"{name.upper()}={signature.upper()}", "s3cret", b"body")
    assert not is_signed(f"{name}={signature}", "s3cret", b"body2")
    assert not is_signed(f"{name}={signature}", "other", b"body")


@pytest.mark.parametrize("header", ["", "sha256", "sha256=", "md5=00", "=", "sha1=ü", "sha256=\x00"])
def test_a_missing_or_senseless_signature_proves_nothing(header):
    assert not is_signed(header, "s3cret", b"body")
