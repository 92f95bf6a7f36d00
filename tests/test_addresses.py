"""The rules for addresses and URLs, against tables of hostile spellings and an independent oracle."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.addresses import (
    MAX_URL,
    Reach,
    check_url,
    host_of,
    is_public,
    origin,
    parse_pair,
    same_host,
    same_origin,
    same_site,
)
from bridge.errors import BadUrl
from bridge.markup.sanitize import absolute_url

LOCAL = Reach(allow=frozenset({("127.0.0.1", 8001), ("::1", 8002)}))


# ── addresses ────────────────────────────────────────────────────────────────────────────────────

REFUSED_ADDRESSES = """
    127.0.0.1 0.0.0.0 0.255.255.255 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.255.255.254
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
    192.168.1.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 ::8.8.8.8
    64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1
    2001:20::1 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1 3fff::1
    3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd12:3456:789a::1 fe80::1 fe80::1%eth0 2606:4700::1%eth0
    fec0::1 ff02::1 1fff::1
    localhost 127.1 2130706433 0x7f000001 017700000001 1.2.3 1.2.3.4.5 example.com 01.2.3.4 8.8.8.8/32
"""

PUBLIC_ADDRESSES = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255
    128.0.0.1 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.0 192.167.255.255
    192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8
    2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2620:4f:7fff::1 2a00:1450:4001::1
    3ffe::1 2000::1
"""


@pytest.mark.parametrize("address", [*REFUSED_ADDRESSES.split(), "", " 8.8.8.8", "8.8.8.8\n", "８.８.８.８"])
def test_an_address_off_the_public_internet_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES.split())
def test_an_address_on_the_public_internet_is_let_through(address):
    assert is_public(address)
    assert is_public(ip_address(address))


def prefix(number: int, bits: int, width: int) -> int:
    return number >> (width - bits)


V4_HOLES = [
    *((0x00, 8), (0x0A, 8), (0x7F, 8), (0x191, 10), (0xA9FE, 16), (0xAC1, 12), (0xC00000, 24)),
    *((0xC00002, 24), (0xC01FC4, 24), (0xC034C1, 24), (0xC05863, 24), (0xC0A8, 16), (0xC0AF30, 24)),
    *((0x6309, 15), (0xC63364, 24), (0xCB0071, 24), (0xE, 4), (0xF, 4)),
]
V6_HOLES = [(0x100080, 23), (0x20010DB8, 32), (0x2002, 16), (0x2620004F8000, 48), (0x3FFF0, 20)]


def public_by_arithmetic(number: int, width: int) -> bool:
    """Say the same as is_public from integers alone: bits shifted and compared."""
    if width == 128 and number >> 32 == 0xFFFF:
        number, width = number & 0xFFFFFFFF, 32
    holes = V4_HOLES if width == 32 else V6_HOLES
    if width == 128 and number >> 125 != 0b001:
        return False
    return all(prefix(number, bits, width) != start for start, bits in holes)


def test_ten_thousand_addresses_are_judged_as_by_arithmetic():
    rng = random.Random(4)  # near the edges of every hole, where a list goes wrong, and anywhere
    numbers = [(rng.getrandbits(32), 32) for _ in range(5_000)]
    numbers += [(rng.getrandbits(125) | 1 << 125, 128) for _ in range(3_000)]
    numbers += [(0xFFFF << 32 | rng.getrandbits(32), 128) for _ in range(1_000)]
    numbers += [(rng.getrandbits(128), 128) for _ in range(1_000)]
    for width, holes in ((32, V4_HOLES), (128, V6_HOLES)):
        for start, bits in holes:
            first, size = start << (width - bits), 1 << (width - bits)
            numbers += [((first + off) % (1 << width), width) for off in (-1, 0, 1, size - 1, size)]
    for number, width in numbers:
        address = IPv4Address(number) if width == 32 else IPv6Address(number)
        assert is_public(address) == public_by_arithmetic(number, width), address
        assert is_public(str(address)) == is_public(address)


# ── the reach of tests and the demo ──────────────────────────────────────────────────────────────


def test_without_being_opened_only_the_public_internet_is_permitted():
    assert Reach().permits("8.8.8.8", 443)
    assert not Reach().permits("127.0.0.1", 8001)


def test_a_pair_opens_its_port_and_no_other():
    assert LOCAL.permits("127.0.0.1", 8001)
    assert not LOCAL.permits("127.0.0.1", 8002)
    assert not LOCAL.permits("127.0.0.2", 8001)


def test_a_host_answers_for_every_name_below_it():
    reach = Reach(hosts={"bench.test": "127.0.0.1", "b.bench.test": "127.0.0.2"})
    assert reach.address_of("bench.test") == "127.0.0.1"
    assert reach.address_of("x.a.bench.test") == "127.0.0.1"
    assert reach.address_of("b.bench.test") == "127.0.0.2"
    assert reach.address_of("notbench.test") is None
    assert reach.address_of("bench.test.example") is None


def test_pairs_are_read_as_written_on_a_command_line():
    assert parse_pair("127.0.0.1:8001") == ("127.0.0.1", 8001)
    assert parse_pair("[::1]:8001") == ("::1", 8001)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", "localhost:80", "127.0.0.1:", "127.0.0.1:0", "1.2.3.4:70000"]
)
def test_a_pair_that_cannot_be_read_is_refused_with_an_example(text):
    with pytest.raises(BadUrl, match=r"127\.0\.0\.1:8001"):
        parse_pair(text)


# ── URLs ─────────────────────────────────────────────────────────────────────────────────────────

REFUSED_URLS = [
    *("https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://017700000001/"),
    *("https://127.1/", "https://0/", "https://127.0.0.1/", "https://0177.0.0.1/", "https://1.1.1.1/"),
    *("https://127.0.0.1./", "https://127.0.0.0x1/", "https://a.example.0x/", "https://a.b.1/"),
    *("https://[::1]/", "https://[::ffff:7f00:1]/", "https://[::]/", "https://[fe80::1%25eth0]/"),
    *("https://[2606:4700::1]/", "https://[::1/", "https://::1/", "https://[v1.x]/", "https://[]/"),
    *("https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://ⓛocalhost/"),
    *("https://localhost/", "https://LOCALHOST/", "https://a.localhost/", "https://localhost./"),
    *("https://example.com./", "https://example.com../", "https://.example.com/", "https://a..example/"),
    *("https://user@example.com/", "https://user:pw@example.com/", "https://example.com@127.0.0.1/"),
    *("https://@example.com/", "https://example.com%40evil.example/", "https://%65xample.com/"),
    *(
        "https://example.com:80/",
        "https://example.com:8443/",
        "https://example.com:0/",
        "http://example.com/",
    ),
    *("https://example.com:99999/", "https://example.com:x/", "https://example.com:４４３/"),
    *("https:///path", "https://", "https:example.com", "https:/example.com", "//example.com/", "/path", ""),
    *("ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", "gopher://example.com/", "data:,x"),
    *("https://example.com\\@evil.example/", "https:\\\\example.com\\", "https://example.com/a\\b"),
    *("https://example.com/a b", " https://example.com/", "https://example.com/\n", "https://exa\tmple.com/"),
    *("https://example.com/\r\nHost: evil", "https://example.com/\x00", "https://example.com/\x7f"),
    *("https://example.com/\u2028", "https://example.com/\x85", "https://example.com/\u00a0"),
    *("https://-a.example/", "https://a-.example/", "https://a_b.example/", "https://a!b.example/"),
    *("https://exam\u200dple.com/", "https://xn--\u00fc.example/", "https://\ud800.example/"),
    *(f"https://{'a' * 64}.example/", f"https://{'a.' * 130}example/", "https://a.example/\ud800"),
    *("https://a.example/" + "x" * MAX_URL, "https://a.example/" + "ü" * 400, "https://💩/"),
]


@pytest.mark.parametrize("url", REFUSED_URLS, ids=lambda url: ascii(url)[:60])
def test_a_hostile_spelling_is_refused(url):
    with pytest.raises(BadUrl):
        check_url(url)


def test_the_table_of_hostile_spellings_has_sixty_different_ones():
    assert len(set(REFUSED_URLS)) >= 60


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com/Path", "https://example.com/Path"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:/", "https://example.com/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://example.com/?", "https://example.com/?"),
        ("https://example.com/actor#main-key", "https://example.com/actor"),
        ("https://example.com/%7e%7E/%2F/%zz", "https://example.com/%7e%7E/%2F/%zz"),
        ("https://example.com//a/../b/./c", "https://example.com//a/../b/./c"),
        ("https://example.com/é?ü=ö", "https://example.com/%C3%A9?%C3%BC=%C3%B6"),
        ('https://example.com/<a>|{b}^`"', "https://example.com/%3Ca%3E%7C%7Bb%7D%5E%60%22"),
        (
            "https://example.com/@me?resource=acct:a@b.c&d=[e]",
            "https://example.com/@me?resource=acct:a@b.c&d=[e]",
        ),
        ("https://Bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://ＥＸＡＭＰＬＥ。com/", "https://example.com/"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://r3---sn.example/", "https://r3---sn.example/"),
        ("https://xn--i-7iq.ws/", "https://xn--i-7iq.ws/"),
        ("https://127.0.0.1.example.com/", "https://127.0.0.1.example.com/"),
    ],
)
def test_a_good_url_comes_out_in_its_one_spelling(url, canonical):
    assert check_url(url) == canonical


def test_http_is_opened_only_where_the_caller_says_so():
    assert check_url("http://example.com/feed", schemes=("https", "http")) == "http://example.com/feed"
    assert check_url("http://example.com:80/", schemes=("https", "http")) == "http://example.com/"
    for url in ("http://example.com:443/", "http://example.com:8080/", "http://localhost/"):
        with pytest.raises(BadUrl):
            check_url(url, schemes=("https", "http"))


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/"),
        ("http://localhost:8001/x", "http://localhost:8001/x"),
        ("https://LOCALHOST:08001/x", "https://localhost:8001/x"),
        ("http://[0:0::1]:8002/", "http://[::1]:8002/"),
        ("https://a.bench.test:8001/inbox", "https://a.bench.test:8001/inbox"),
    ],
)
def test_an_opened_port_may_be_reached_by_any_name(url, canonical):
    assert check_url(url, reach=LOCAL) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8003/",
        "http://localhost/",
        "http://127.1:8001/",
        "ftp://127.0.0.1:8001/",
        "http://a@localhost:8001/",
    ],
)
def test_an_opened_port_opens_nothing_else(url):
    with pytest.raises(BadUrl):
        check_url(url, reach=LOCAL)


def test_a_refusal_names_the_url_shortened_on_one_line_and_without_its_secrets():
    with pytest.raises(BadUrl) as refusal:
        check_url("https://me:hunter2@example.com/" + "x" * 500 + "\n?token=s3cret#frag")
    message = str(refusal.value)
    assert "example.com/xxx" in message
    assert len(message) < 300
    assert "hunter2" not in message
    assert "s3cret" not in message
    assert message.isprintable()


def either_raises_or_is_stable(url: str, reach: Reach) -> None:
    schemes = ("https", "http")
    try:
        once = check_url(url, reach=reach, schemes=schemes)
    except BadUrl:
        return
    assert check_url(once, reach=reach, schemes=schemes) == once
    assert once.isascii()
    assert len(once) <= MAX_URL
    assert origin(once) == origin(url)
    assert host_of(once) == host_of(url)


HOSTS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4).map(".".join)
TARGETS = st.text(max_size=20).map("/{}".format)


@given(st.text(max_size=60))
def test_any_text_is_refused_or_has_one_spelling(text):
    either_raises_or_is_stable(text, Reach())


@given(
    HOSTS, TARGETS, st.sampled_from(["", ":443", ":80", ":8001"]), st.sampled_from(["https", "http", "HTTP"])
)
@example("a\u00adb.example", "/", "", "https")
@example("İ.example", "/", "", "https")
@example("ⅷ.example", "/", "", "https")
@example("①.①", "/", ":8001", "http")
def test_any_host_and_path_is_refused_or_has_one_spelling(host, target, port, scheme):
    either_raises_or_is_stable(f"{scheme}://{host}{port}{target}", LOCAL)


# ── origins ──────────────────────────────────────────────────────────────────────────────────────


def test_an_origin_is_scheme_host_and_port():
    assert origin("https://Example.com/a?b#c") == "https://example.com:443"
    assert origin("http://localhost:8001/") == "http://localhost:8001"


@pytest.mark.parametrize(
    "url", ["", "tag:example.com,2026:1", "urn:uuid:1", "https://", "https:///x", "/x", "//e.com/"]
)
def test_a_url_without_a_host_shares_its_origin_with_nothing(url):
    assert origin(url) is None
    assert not same_origin(url, url)
    assert not same_origin(url, "https://example.com/")


def test_origins_are_the_same_in_any_spelling_and_different_by_host_port_or_scheme():
    assert same_origin("https://EXAMPLE.com/a", "https://example.com:443/b")
    assert same_origin("https://bücher.example/", "https://xn--bcher-kva.example/")
    for other in ("http://example.com/", "https://example.com:444/", "https://sub.example.com/"):
        assert not same_origin("https://example.com/", other)
    assert not same_origin("https://example.com/", "https://example.com@evil.example/")


def test_a_peer_is_named_by_its_host_and_an_unusual_port():
    assert host_of("https://Example.com:443/inbox") == "example.com"
    assert host_of("https://example.com:8443/inbox") == "example.com:8443"
    assert host_of("http://[::1]:8001/") == "[::1]:8001"
    with pytest.raises(BadUrl):
        host_of("tag:example.com,2026:1")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://user:secret@cafe.example:8443/p?q#f", "https://cafe.example:8443/p?q#f"),
        ("https://a@b@cafe.example/p", "https://cafe.example/p"),
        ("https://cafe.example./p", "https://cafe.example./p"),
        ("https://cafe.example/@user", "https://cafe.example/@user"),
        *((odd, None) for odd in ("https://.example/x", "https://ex..example/x", "https://cafe.example:0/x")),
        *((odd, None) for odd in ("https://cafe.example\\@evil.example/", "https://cafe.example\\x")),
    ],
)
def test_what_is_published_has_a_host_and_no_password(written: str, shown: str | None) -> None:
    assert absolute_url(written) == shown


# ── one site, one host, one origin ───────────────────────────────────────────────────────────────

CAFE = "https://cafe.example/a"


@pytest.mark.parametrize(
    ("other", "origin", "host", "site"),
    [
        ("https://cafe.example", True, True, True),
        ("https://CAFE.example/b?c#d", True, True, True),
        ("https://cafe.example:443/b", True, True, True),
        ("https://cafe.example./b", False, True, True),
        ("https://cafe.example:8443/b", False, True, True),
        ("http://cafe.example/b", False, True, True),
        ("https://www.cafe.example/b", False, False, True),
        ("http://WWW.cafe.example:80/b", False, False, True),
        ("https://blog.cafe.example/b", False, False, False),
        ("https://cafe.example.evil/b", False, False, False),
        ("https://evilcafe.example/b", False, False, False),
        ("/b", False, False, False),
        ("https:///b", False, False, False),
        ("https://cafe.example:8o80/b", False, False, False),
        ("mailto:ann@cafe.example", False, False, False),
    ],
)
def test_each_relation_has_its_reach(other, origin, host, site):
    assert (same_origin(CAFE, other), same_host(CAFE, other), same_site(CAFE, other)) == (origin, host, site)


@pytest.mark.parametrize("relation", [same_origin, same_host, same_site])
def test_an_international_name_is_one_in_both_spellings(relation):
    assert relation("https://bücher.example/a", "https://xn--bcher-kva.example/b")
    assert relation("https://BÜCHER.example/a", "https://bücher.example/b")
    assert not relation("https://bücher.example/", "https://bucher.example/")


URLS = st.sampled_from(
    [
        f"{scheme}://{host}{port}/{path}"
        for scheme in ("http", "https")
        for host in (
            "cafe.example",
            "www.cafe.example",
            "Cafe.Example",
            "bücher.example",
            "[::1]",
            "",
        )
        for port in ("", ":443", ":80", ":8443", ":x")
        for path in ("", "a")
    ]
)


@given(URLS, URLS)
def test_the_stricter_relation_implies_the_looser(one, other):
    assert not same_origin(one, other) or same_host(one, other)
    assert not same_host(one, other) or same_site(one, other)
    for relation in (same_origin, same_host, same_site):
        assert relation(one, other) == relation(other, one)
