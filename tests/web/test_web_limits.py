"""Who is asking, through which proxies, and how often they may."""

import ipaddress

import pytest

from bridge.web.limits import MAX_TRACKED, RateLimit, address_behind

PROXIES = (ipaddress.ip_network("172.16.0.0/12"), ipaddress.ip_network("fd00::/8"))
ALICE, BOB = ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("9.9.9.9")


def _seen(peer: str, forwarded: str | None, trusted=PROXIES) -> str:
    return str(address_behind(peer, forwarded or "", trusted))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("8.8.8.8", None, "8.8.8.8"),
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),  # no proxy of ours: what it says is worth nothing
        ("172.17.0.1", "9.9.9.9", "9.9.9.9"),
        ("172.17.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),  # the left one a stranger may have written
        ("172.17.0.1", "9.9.9.9, 172.18.0.1", "9.9.9.9"),
        ("172.17.0.1", "172.19.0.1, 172.18.0.1", "172.19.0.1"),
        ("172.17.0.1", None, "172.17.0.1"),
        ("172.17.0.1", "", "172.17.0.1"),
        ("172.17.0.1", "unknown", "172.17.0.1"),
        ("172.17.0.1", "9.9.9.9, garbage", "172.17.0.1"),
        ("172.17.0.1", "9.9.9.9:4711", "9.9.9.9"),
        ("172.17.0.1", "[2001:4860::1]:443", "2001:4860::1"),
        ("172.17.0.1", "[2001:4860::1]", "2001:4860::1"),
        ("fd00::1", "2001:4860::1", "2001:4860::1"),
        ("::ffff:172.17.0.1", "::ffff:9.9.9.9", "9.9.9.9"),
        ("::ffff:8.8.8.8", None, "8.8.8.8"),
        ("fe80::1%eth0", None, "fe80::1"),
        ("", "9.9.9.9", "None"),
        ("not an address", "9.9.9.9", "None"),
    ],
)
def test_only_trusted_proxies_are_believed_about_who_asks(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert _seen(peer, forwarded) == client


def test_without_trusted_proxies_no_header_counts() -> None:
    assert _seen("172.17.0.1", "9.9.9.9", trusted=()) == "172.17.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("172.18.0.1", "9.9.9.9", "9.9.9.9"),
        ("127.0.0.1", "6.6.6.6, 9.9.9.9", "9.9.9.9"),
        ("::1", "2001:4860::1", "2001:4860::1"),
        ("10.0.0.1", "9.9.9.9, 10.0.0.2", "10.0.0.2"),  # the last hop only
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),
    ],
)
def test_a_private_peer_is_a_proxy_where_none_is_named(peer: str, forwarded: str | None, client: str) -> None:
    assert _seen(peer, forwarded, trusted=None) == client


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_whoever_asks_too_often_waits_and_others_do_not() -> None:
    watch = Stopwatch()
    limit = RateLimit(10, seconds=100, clock=watch)
    assert [limit.allows(ALICE) for _ in range(12)] == [True] * 10 + [False] * 2
    assert limit.allows(BOB)
    watch.seconds += 10
    assert [limit.allows(ALICE) for _ in range(2)] == [True, False]
    watch.seconds += 10_000
    assert [limit.allows(ALICE) for _ in range(11)] == [True] * 10 + [False]


def test_asking_all_the_time_does_not_prolong_the_wait() -> None:
    watch = Stopwatch()
    limit = RateLimit(10, seconds=100, clock=watch)
    allowed = 0
    for _ in range(1000):
        watch.seconds += 1
        allowed += limit.allows(ALICE)
    assert allowed == pytest.approx(10 + 100, abs=1)


def test_a_network_of_ipv6_addresses_is_one_client_and_ipv4_addresses_are_each_their_own() -> None:
    limit = RateLimit(3, seconds=60)
    same = [ipaddress.ip_address(f"2001:4860:1:2::{number:x}") for number in range(5)]
    assert [limit.allows(address) for address in same] == [True, True, True, False, False]
    assert limit.allows(ipaddress.ip_address("2001:4860:1:3::1"))
    mapped = [address_behind(f"::ffff:8.8.8.{n}", "", ()) for n in range(5)]
    assert all(limit.allows(address) for address in mapped if address)


def test_the_addresses_remembered_are_bounded() -> None:
    limit = RateLimit(1, seconds=60)
    for number in range(MAX_TRACKED * 2 + 10):
        limit.allows(ipaddress.ip_address(2**25 + number))
    assert len(limit._left) <= MAX_TRACKED
