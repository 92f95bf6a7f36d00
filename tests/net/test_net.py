"""The one door out, against a server that lies, hangs, floods and redirects astray."""

import asyncio
import gzip
import random
import ssl
import time
import tracemalloc
from datetime import UTC, datetime, timedelta

import brotli
import pytest
import trustme
import uvloop
from hostile_server import (
    HostileServer,
    drip,
    flood,
    gzip_bomb,
    hang_up,
    head,
    nested_gzip,
    raw,
    redirect,
    reply,
    reset_after,
    running,
    silence,
)

from bridge.addresses import Reach
from bridge.errors import ConfigError
from bridge.model import Answered, Unreachable
from bridge.net.answers import parse_retry_after
from bridge.net.client import Client

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MIB = 1 << 20
AGENT = "fedibridge/test (+https://bridge.example/)"


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    """Run a coroutine on the plain loop and on the worker's."""
    return request.param


def reach_of(server: HostileServer, **options) -> Reach:
    return Reach(allow=frozenset({("127.0.0.1", server.port)}), **options)


def get(url, reach, *, limit=MIB, timeout=5.0, lookup=None, **options):
    """Fetch one URL with a client of its own."""

    async def fetch():
        async with Client(AGENT, reach, lookup=lookup, now=lambda: NOW) as client:
            return await client.get(url, accept="text/plain", limit=limit, timeout=timeout, **options)

    return fetch()


def get_from(server, path, **options):
    return get(server.url(path), reach_of(server), **options)


def post_to(server, path, body=b"{}", headers=None, **options):
    async def send():
        async with Client(AGENT, reach_of(server), now=lambda: NOW) as client:
            return await client.post(server.url(path), body, headers or {}, **options)

    return send()


def answered(outcome) -> Answered:
    assert isinstance(outcome, Answered), outcome
    return outcome


def why(outcome) -> str:
    """Take the reason, which is a short printable line whatever happened."""
    assert isinstance(outcome, Unreachable), outcome
    assert outcome.why.isprintable()
    assert 0 < len(outcome.why) <= 200
    assert "Error" not in outcome.why
    return outcome.why


# ── a server that behaves ────────────────────────────────────────────────────────────────────────


def test_a_document_comes_with_its_status_headers_and_final_url(run):
    moods = {"/doc": reply("200 OK", "ETag: W/1", "Link: <a>", "Link: <b>", "X-Odd: \xff", body=b"hello")}
    with running(moods) as server:
        answer = answered(run(get_from(server, "/doc")))
        assert (answer.status, answer.body, answer.url) == (200, b"hello", server.url("/doc"))
        assert answer.headers["etag"] == "W/1"
        assert answer.headers["link"] == "<a>, <b>"
        assert answer.headers["x-odd"].encode()
        assert (answer.moved_to, answer.retry_after) == (None, None)
        (request,) = server.requests
        assert request.headers["user-agent"] == AGENT
        assert request.headers["accept"] == "text/plain"


def test_not_modified_is_an_answer_and_the_callers_headers_are_sent(run):
    with running({"/feed": raw(head("304 Not Modified", "ETag: W/1"))}) as server:
        answer = answered(run(get_from(server, "/feed", headers={"If-None-Match": "W/1"})))
        assert (answer.status, answer.body) == (304, b"")
        assert server.requests[0].headers["if-none-match"] == "W/1"


def test_a_busy_server_says_when_to_come_back(run):
    with running({"/busy": reply("503 Busy", "Retry-After: 120")}) as server:
        assert answered(run(get_from(server, "/busy"))).retry_after == timedelta(minutes=2)
        assert answered(run(post_to(server, "/busy"))).retry_after == timedelta(minutes=2)


def test_the_path_that_was_signed_is_the_path_that_is_sent(run):
    path = "//a/../%7e%7E%2f%zz/b;c?q=%20+&d=[e]"
    with running({}) as server:
        run(get_from(server, path))
        run(post_to(server, path))
        assert [request.line for request in server.requests] == [
            f"GET {path} HTTP/1.1",
            f"POST {path} HTTP/1.1",
        ]


def test_a_post_sends_the_signed_bytes_and_headers_as_they_are(run):
    body = b'{"a": "\xc3\xa9"}\n'
    signed = {"Content-Type": "application/activity+json", "Digest": "SHA-256=x", "Signature": 'keyId="k"'}
    with running({"/inbox": reply("202 Accepted", body=b"thanks")}) as server:
        answer = answered(run(post_to(server, "/inbox", body, signed)))
        assert (answer.status, answer.body) == (202, b"thanks")
        (request,) = server.requests
        assert request.body == body
        assert all(request.headers[name.lower()] == text for name, text in signed.items())
        assert request.headers["content-length"] == str(len(body))
        assert "transfer-encoding" not in request.headers


def test_several_activities_to_one_server_share_a_connection(run):
    async def send_four(server):
        async with Client(AGENT, reach_of(server)) as client:
            for _ in range(4):
                await client.post(server.url("/inbox"), b"{}", {})

    with running({"/inbox": reply("202 Accepted")}) as server:
        run(send_four(server))
        assert [request.connection for request in server.requests] == [0, 0, 0, 0]


def test_two_connections_to_one_server_are_enough(run):
    async def send_twenty(server):
        async with Client(AGENT, reach_of(server)) as client:
            await asyncio.gather(*(client.post(server.url("/inbox"), b"{}", {}) for _ in range(20)))

    with running({"/inbox": reply("202 Accepted")}) as server:
        run(send_twenty(server))
        assert len(server.requests) == 20
        assert server.connections <= 2


def test_idle_connections_are_bounded(run):
    async def send_to_many(server, reach):
        async with Client(AGENT, reach, slots=5, idle=10) as client:
            for number in range(40):
                url = server.url("/inbox", host=f"h{number}.bench.test")
                answered(await client.post(url, b"{}", {}))

    with running({"/inbox": reply("202 Accepted")}) as server:
        run(send_to_many(server, reach_of(server, hosts={"bench.test": "127.0.0.1"})))
        closing = [request for request in server.requests if request.headers.get("connection") == "close"]
        assert len(server.requests) == 40
        assert len(closing) >= 20


def test_waiting_for_a_slot_does_not_count_against_the_deadline(run):
    async def send_three(server):
        async with Client(AGENT, reach_of(server), slots=1) as client:
            fetch = [
                client.get(server.url(path), accept="*/*", limit=99, timeout=0.3)
                for path in ("/slow", "/slow", "/doc")
            ]
            return await asyncio.gather(*fetch)

    with running({"/slow": silence, "/doc": reply("200 OK")}) as server:
        outcomes = run(send_three(server))
        assert isinstance(outcomes[2], Answered)


# ── redirects ────────────────────────────────────────────────────────────────────────────────────


def hops(count: int, status: str = "302 Found"):
    chain = {f"/{n}": redirect(f"/{n - 1}", status) for n in range(1, count + 1)}
    return {"/0": reply("200 OK", body=b"end"), **chain}


def test_three_redirects_are_followed_and_a_fourth_is_not(run):
    with running(hops(4)) as server:
        answer = answered(run(get_from(server, "/3")))
        assert (answer.body, answer.url, answer.moved_to) == (b"end", server.url("/0"), None)
        assert why(run(get_from(server, "/4"))) == "redirected too often"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "308 Permanent Redirect"])
def test_permanent_redirects_all_the_way_say_where_the_document_moved(run, status):
    with running(hops(2, status)) as server:
        assert answered(run(get_from(server, "/2"))).moved_to == server.url("/0")


@pytest.mark.parametrize("status", ["302 Found", "303 See Other", "307 Temporary Redirect"])
def test_one_temporary_redirect_on_the_way_moves_nothing(run, status):
    moods = {**hops(1, "301 Moved"), "/2": redirect("/1", status)}
    with running(moods) as server:
        answer = answered(run(get_from(server, "/2")))
        assert (answer.url, answer.moved_to) == (server.url("/0"), None)


def test_a_redirect_in_a_circle_ends_at_the_first_place_seen_twice(run):
    moods = {"/self": redirect("/self"), "/a": redirect("/b"), "/b": redirect("/a#again")}
    with running(moods) as server:
        assert why(run(get_from(server, "/self"))) == "redirected in a circle"
        assert len(server.requests) == 1
        assert why(run(get_from(server, "/a"))) == "redirected in a circle"
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "location",
    [
        *("file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "data:text/plain,x"),
        *(
            "http://example.com/",
            "https://169.254.169.254/latest/",
            "http://169.254.169.254/",
            "//127.0.0.1/",
        ),
        *("https://user:pw@example.com/", "https://localhost/", "https://[::1]/", "https://2130706433/"),
        *("https://[oops/", "https://", "https://example.com:22/", "/a b", "\\\\evil.example\\"),
    ],
)
def test_a_redirect_astray_is_not_followed(location):
    with running({"/": redirect(location)}) as server:
        reason = why(uvloop.run(get_from(server, "/")))
        assert reason.startswith("redirected")
        assert "user:pw" not in reason


@pytest.mark.parametrize("answer", [head("302 Found", "Content-Length: 0"), head("302 Found", "Location: ")])
def test_a_redirect_without_a_target_is_said_to_be_one(run, answer):
    with running({"/": raw(answer)}) as server:
        assert why(run(get_from(server, "/"))) == "redirected (302) without saying where to"


@pytest.mark.parametrize("location", [b"/ok\rX-Evil: 1", b"/ok\nX-Evil: 1", b"/o\x00k", b"/ok\r\n X-Evil: 1"])
def test_a_line_break_in_a_location_smuggles_nothing(run, location):
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    with running({"/": raw(answer)}) as server:
        outcome = run(get_from(server, "/"))
        assert isinstance(outcome, Unreachable) or outcome.status == 404
        assert not any("x-evil" in request.headers for request in server.requests)


def test_a_redirect_that_keeps_sending_is_left_without_reading_its_body(run):
    with running(
        {"/": flood(head("302 Found", "Location: /ok"), bytes(65536)), "/ok": reply("200 OK")}
    ) as server:
        assert answered(run(get_from(server, "/"))).status == 200


def test_every_hop_is_signed_afresh(run):
    with running(hops(2)) as server:
        run(get_from(server, "/2", sign=lambda method, url: {"Signature": f"{method} {url}"}))
        signatures = [request.headers["signature"] for request in server.requests]
        assert signatures == [f"GET {server.url(path)}" for path in ("/2", "/1", "/0")]


def test_credentials_stay_with_the_origin_they_were_meant_for(run):
    secrets = {"authorization": "Bearer t", "Cookie": "c", "Signature": "s", "If-None-Match": "e"}
    with running({"/": reply("200 OK")}) as other:
        back = redirect(other.url("/"))
        with running({"/": redirect("/same"), "/same": back}) as server:
            reach = Reach(allow=frozenset({("127.0.0.1", server.port), ("127.0.0.1", other.port)}))
            answered(run(get(server.url("/"), reach, headers=secrets)))
            assert server.requests[1].headers["authorization"] == "Bearer t"
            (foreign,) = other.requests
            assert not {"authorization", "cookie", "signature"} & foreign.headers.keys()
            assert foreign.headers["if-none-match"] == "e"


def test_a_redirected_post_is_an_answer_and_goes_nowhere(run):
    with running({"/inbox": redirect("/elsewhere", "307 Temporary Redirect")}) as server:
        answer = answered(run(post_to(server, "/inbox")))
        assert (answer.status, answer.headers["location"]) == (307, "/elsewhere")
        assert len(server.requests) == 1


# ── addresses ────────────────────────────────────────────────────────────────────────────────────


def answering(*answers):
    """Stand in for DNS: each look-up takes the next answer, the last one for ever."""
    left = list(answers)

    async def lookup(host, port):
        return left.pop(0) if len(left) > 1 else left[0]

    return lookup


def test_a_name_for_a_private_address_is_not_connected_to(run):
    with running({}) as server:
        other_port = Reach(allow=frozenset({("127.0.0.9", server.port)}))
        url = server.url("/", host="evil.example")
        assert (
            why(run(get(url, other_port, lookup=answering(["127.0.0.1"]))))
            == "address 127.0.0.1 is not public"
        )
        assert server.connections == 0


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::1"]]
)
def test_one_private_address_among_several_refuses_the_whole_name(run, addresses):
    with running({}) as server:
        url = server.url("/", host="evil.example")
        assert "is not public" in why(run(get(url, reach_of(server), lookup=answering(addresses))))
        assert server.connections == 0


def test_a_name_that_changes_its_address_between_requests_is_caught_at_the_second(run):
    async def fetch_twice(server):
        lookup = answering(["127.0.0.1"], ["127.0.0.2"])
        async with Client(AGENT, reach_of(server), lookup=lookup) as client:
            url = server.url("/", host="rebind.example")
            return [await client.get(url, accept="*/*", limit=99, timeout=5) for _ in range(2)]

    with running({"/": reply("200 OK", "Connection: close")}) as server:
        first, second = run(fetch_twice(server))
        assert answered(first).status == 200
        assert why(second) == "address 127.0.0.2 is not public"


def test_the_dial_refuses_a_literal_that_no_look_up_saw(run):
    with running({}) as server:
        for reach, url in [
            (Reach(allow=frozenset({("::1", server.port)})), server.url("/")),
            (Reach(allow=frozenset({("127.0.0.2", server.port)})), server.url("/")),
            (reach_of(server), server.url("/", host="[::ffff:127.0.0.1]")),
        ]:
            assert "is not public" in why(run(get(url, reach)))
        assert server.connections == 0


def test_a_url_we_do_not_open_is_unreachable_and_says_why(run):
    assert "an IP address is not accepted" in why(run(get("https://127.0.0.1/", Reach())))
    assert "a URL begins with https://" in why(run(get("tag:example.com,2026:1", Reach())))


def test_a_name_that_dns_does_not_know_is_said_to_be_unknown(run):
    reach = Reach(allow=frozenset({("127.0.0.1", 9)}))
    assert why(run(get("http://no-such-host.invalid:9/", reach))).startswith("DNS: ")
    assert why(run(get("http://empty.example:9/", reach, lookup=answering([])))) == "DNS: no such name"


def test_proxies_of_the_environment_are_ignored(run, monkeypatch):
    with running({"/": reply("200 OK", body=b"direct")}) as server, running({}) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "")
        assert answered(run(get_from(server, "/"))).body == b"direct"
        assert proxy.connections == 0


# ── size and time ────────────────────────────────────────────────────────────────────────────────


PACKED_SIZES = [0, 1, 1000, 1 << 18, (1 << 18) - 1, (1 << 18) + 1, 3 << 18, 700_001]


@pytest.mark.parametrize("size", PACKED_SIZES)
@pytest.mark.parametrize("stuff", ["zeros", "noise"])
def test_a_packed_answer_is_unpacked_whole(size, stuff):
    text = bytes(size) if stuff == "zeros" else random.Random(size).randbytes(size)
    moods = {
        "/": reply("200 OK", "Content-Encoding: GZip", body=gzip.compress(text)),
        "/members": reply(
            "200 OK", "Content-Encoding: gzip", body=gzip.compress(text) + gzip.compress(b"end")
        ),
    }
    with running(moods) as server:
        assert answered(uvloop.run(get_from(server, "/"))).body == text
        assert answered(uvloop.run(get_from(server, "/members"))).body == text + b"end"
        assert server.requests[0].headers["accept-encoding"] == "gzip, br"


def test_an_encoding_that_is_no_packing_means_nothing(run):
    with running({"/": reply("200 OK", "Content-Encoding: utf-8", body=b"text")}) as server:
        assert answered(run(get_from(server, "/"))).body == b"text"


def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not(run):
    with running({"/": reply("200 OK", body=bytes(2048))}) as server:
        assert len(answered(run(get_from(server, "/", limit=2048))).body) == 2048
        assert why(run(get_from(server, "/", limit=2047))) == "body larger than 1.99902 KiB"
        assert why(run(get_from(server, "/", limit=1024))) == "body larger than 1 KiB"


BOMBS = {
    "gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip_bomb(200)),
    "endless": flood(head("200 OK"), bytes(65536)),
    "chunked": flood(head("200 OK", "Transfer-Encoding: chunked"), b"10000\r\n" + bytes(65536) + b"\r\n"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_dropped_at_the_limit_without_being_held_in_memory(run, bomb):
    with running({"/": BOMBS[bomb]}) as server:
        tracemalloc.start()
        try:
            assert why(run(get_from(server, "/", limit=8 * MIB, timeout=20))) == "body larger than 8 MiB"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 * MIB


CHUNKED = head("200 OK", "Transfer-Encoding: chunked")
FLOODS = {
    "hints": flood(b"", head("103 Early Hints") * 1000),
    "hints with links": flood(b"", head("103 Early Hints", *["Link: " + "x" * 8000] * 100)),
    "headers": flood(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 10_000),
    "a header": flood(b"HTTP/1.1 200 OK\r\nX: ", b"b" * 65536),
    "a header's name": flood(b"HTTP/1.1 200 OK\r\n", b"b" * 65536),
    "a reason": flood(b"HTTP/1.1 200 ", b"b" * 65536),
    "empty lines": flood(b"", b"\r\n" * 30_000),
    "a chunk's size": flood(CHUNKED, b"0" * 65536),
    "a chunk's extension": flood(CHUNKED + b"1;", b"a" * 65536),
    "extended chunks": flood(CHUNKED, b"1;" + b"a=b;" * 1000 + b"\r\nx\r\n"),
    "trailers": flood(CHUNKED + b"1\r\nx\r\n0\r\n", b"a: b\r\n" * 10_000),
    "a trailer": flood(CHUNKED + b"1\r\nx\r\n0\r\na: ", b"b" * 65536),
    "another protocol": flood(
        head("101 Switching Protocols", "Upgrade: x", "Connection: upgrade"), bytes(65536)
    ),
    "answers": flood(b"", head("200 OK", "Content-Length: 0") * 1000),
}


@pytest.mark.parametrize("kind", FLOODS)
@pytest.mark.parametrize("ask", [get_from, post_to])
def test_what_comes_without_end_is_not_held_in_memory(run, kind, ask):
    with running({"/": FLOODS[kind]}) as server:
        tracemalloc.start()
        try:
            started = time.monotonic()
            outcome = run(ask(server, "/", timeout=0.5))
            took = time.monotonic() - started
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    if isinstance(outcome, Unreachable):
        why(outcome)
    assert peak < 16 * MIB
    assert took < 10


def test_hints_before_an_answer_are_passed_over(run):
    with running(
        {"/": raw(head("103 Early Hints", "Link: </a.css>") * 10 + head("204 No Content"))}
    ) as server:
        assert answered(run(get_from(server, "/"))).status == 204


def test_hints_without_end_are_said_to_be_the_reason(run):
    with running({"/": FLOODS["hints"]}) as server:
        assert why(run(get_from(server, "/"))) == "one request is answered again and again"


def test_what_is_packed_twice_is_unpacked_once_or_not_at_all(run):
    twice = nested_gzip(20)
    moods = {
        "/once": reply("200 OK", "Content-Encoding: gzip", body=twice),
        "/both": reply("200 OK", "Content-Encoding: gzip, gzip", body=twice),
    }
    with running(moods) as server:
        assert answered(run(get_from(server, "/once"))).body == gzip.decompress(twice)
        assert (
            why(run(get_from(server, "/both")))
            == "the answer is packed as gzip, gzip, which was not asked for"
        )


def test_brotli_is_unpacked_and_a_bomb_of_it_is_not(run):
    text = bytes(range(256)) * 40
    moods = {
        "/text": reply("200 OK", "Content-Encoding: br", body=brotli.compress(text)),
        "/bomb": reply("200 OK", "Content-Encoding: br", body=brotli.compress(bytes(100 * MIB), quality=5)),
    }
    with running(moods) as server:
        assert answered(run(get_from(server, "/text"))).body == text
        tracemalloc.start()
        try:
            assert "larger than" in why(run(get_from(server, "/bomb")))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 * MIB


GARBLED = {
    "half a gzip": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(bytes(range(256)) * 9)[:40]),
    "no gzip": reply("200 OK", "Content-Encoding: gzip", body=b"plain text"),
    "gzip with a tail": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"x") + b"tail"),
    "a gzip of many parts": reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"") * 100_000),
    "a packing nobody asked for": reply("200 OK", "Content-Encoding: zstd", body=b"plain text"),
    "no brotli": reply("200 OK", "Content-Encoding: br", body=b"plain text"),
    "half a brotli": reply(
        "200 OK", "Content-Encoding: br", body=brotli.compress(bytes(range(256)) * 9)[:40]
    ),
    "less than promised": hang_up(head("200 OK", "Content-Length: 100") + b"short"),
    "broken chunk": hang_up(head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\nxx"),
    "unfinished chunks": hang_up(head("200 OK", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n"),
    "negative length": raw(head("200 OK", "Content-Length: -1")),
    "two lengths": raw(head("200 OK", "Content-Length: 1", "Content-Length: 2") + b"xx"),
    "no HTTP": hang_up(b"220 mail.example ESMTP\r\n"),
    "nothing": hang_up(),
    "half a status": hang_up(b"HTTP/1.1 2"),
    "a header of 1 MB": raw(head("200 OK", "X: " + "y" * 1_000_000)),
    "a status of 1 MB": raw(head("200 " + "y" * 1_000_000)),
    "10,000 headers": raw(head("200 OK", *(f"X-{n}: y" for n in range(10_000)))),
    "endless headers": flood(b"HTTP/1.1 200 OK\r\n", b"X-More: y\r\n" * 1000),
    "endless chunk extension": flood(head("200 OK", "Transfer-Encoding: chunked") + b"1;", b"x" * 65536),
    "a redirect in no known script": raw(
        head("302 Found").replace(b"\r\n\r\n", b"\r\nLocation: /\xff\r\n\r\n")
    ),
}


@pytest.mark.parametrize("kind", GARBLED)
def test_a_garbled_answer_is_unreachable_with_a_reason(kind):
    with running({"/": GARBLED[kind]}) as server:
        started = time.monotonic()
        why(uvloop.run(get_from(server, "/", timeout=1.0)))
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "mood",
    [
        silence,
        drip(b"HTTP/1.1 200 OK\r\nX: ", 0.2),
        drip(head("200 OK"), 0.2),
        drip(head("200 OK", "Content-Length: 3") + b"x", 60),
        drip(head("200 OK", "Transfer-Encoding: chunked") + b"1;", 0.2),
    ],
    ids=["nothing", "headers", "body", "lying length", "chunk extension"],
)
def test_a_drip_feed_ends_at_the_deadline(run, mood):
    with running({"/": mood}) as server:
        assert why(run(get_from(server, "/", timeout=0.5))) == "no answer in 0.5 s"


def test_the_deadline_is_for_all_redirects_together(run):
    async def slowly(writer):
        await asyncio.sleep(0.3)
        writer.write(head("302 Found", "Location: /2", "Content-Length: 0"))

    with running({"/1": slowly, "/2": silence}) as server:
        assert why(run(get_from(server, "/1", timeout=0.5))) == "no answer in 0.5 s"


# ── what a POST may meet ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "mood",
    [
        flood(head("202 Accepted"), bytes(65536)),
        hang_up(head("202 Accepted", "Content-Length: 100") + b"short"),
        reply("202 Accepted", "Content-Encoding: gzip", body=b"plain text"),
        reply("202 Accepted", "Content-Encoding: gzip", body=gzip_bomb(50)),
    ],
    ids=["endless", "cut short", "no gzip", "bomb"],
)
def test_a_body_gone_wrong_does_not_undo_the_status_of_a_post(run, mood):
    with running({"/inbox": mood}) as server:
        answer = answered(run(post_to(server, "/inbox", limit=1024)))
        assert answer.status == 202
        assert len(answer.body) <= 1024


def test_a_dripping_body_after_a_posts_status_is_soon_left_alone(run):
    with running({"/inbox": drip(head("401 Unauthorized") + b"why: ", 0.2)}) as server:
        answer = answered(run(post_to(server, "/inbox", timeout=10)))
        assert answer.status == 401
        assert answer.body.startswith(b"why: ")


def test_a_post_that_meets_a_connection_closed_meanwhile_is_sent_again(run):
    async def send_twice(server):
        async with Client(AGENT, reach_of(server)) as client:
            return [await client.post(server.url("/inbox"), b"{}", {}) for _ in range(2)]

    with running({"/inbox": reset_after(reply_bytes("202 Accepted"))}) as server:
        assert [answered(outcome).status for outcome in run(send_twice(server))] == [202, 202]
        assert [request.connection for request in server.requests] == [0, 0, 1]


def reply_bytes(status: str) -> bytes:
    return head(status, "Content-Length: 0")


def test_a_server_that_always_hangs_up_is_asked_twice_and_no_more(run):
    with running({"/inbox": hang_up()}) as server:
        assert why(run(post_to(server, "/inbox"))) == "connection closed without an answer"
        assert len(server.requests) == 2


def test_a_server_that_does_not_listen_refuses_the_connection(run):
    with running({}) as server:
        pass
    assert why(run(post_to(server, "/inbox"))) == "connection refused"


def test_a_silent_inbox_ends_at_the_deadline(run):
    with running({"/inbox": silence}) as server:
        assert why(run(post_to(server, "/inbox", timeout=0.3))) == "no answer in 0.3 s"


def test_a_post_goes_to_https_only(run):
    async def send():
        async with Client(AGENT) as client:
            return await client.post("http://example.com/inbox", b"", {})

    assert "only https is opened" in why(run(send()))


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def serving(certificate: trustme.LeafCert, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if newest:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    return context


UNKNOWN_AUTHORITY = "TLS: certificate of an unknown authority, or sent without its chain"


def get_tls(server, ca_file, host="good.bench.test"):
    reach = reach_of(server, hosts={"bench.test": "127.0.0.1"}, ca_file=ca_file)
    return get(server.url("/", scheme="https", host=host), reach)


def test_a_certificate_for_the_name_is_trusted(run, authority, ca_file):
    with running(
        {"/": reply("200 OK", body=b"safe")}, serving(authority.issue_cert("good.bench.test"))
    ) as server:
        assert answered(run(get_tls(server, ca_file))).body == b"safe"


def test_a_certificate_for_another_name_is_not(run, authority, ca_file):
    with running({}, serving(authority.issue_cert("other.bench.test"))) as server:
        assert why(run(get_tls(server, ca_file))) == "TLS: certificate is for another name"


def test_an_expired_certificate_is_not(run, authority, ca_file):
    expired = authority.issue_cert("good.bench.test", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    with running({}, serving(expired)) as server:
        assert why(run(get_tls(server, ca_file))) == "TLS: certificate expired"


def test_a_certificate_of_an_authority_nobody_knows_is_not(run, ca_file):
    with running({}, serving(trustme.CA().issue_cert("good.bench.test"))) as server:
        assert why(run(get_tls(server, ca_file))) == UNKNOWN_AUTHORITY
        assert why(run(get_tls(server, None))) == UNKNOWN_AUTHORITY
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_not_spoken(run, authority, ca_file):
    with running({}, serving(authority.issue_cert("good.bench.test"), ssl.TLSVersion.TLSv1_1)) as server:
        assert why(run(get_tls(server, ca_file)))
        assert server.requests == []


def test_a_server_that_speaks_no_tls_is_told_apart(run, ca_file):
    with running({}, greeting=b"220 mail.example ESMTP\r\n") as server:
        assert why(run(get_tls(server, ca_file))) == "TLS: wrong version number"


def test_a_redirect_from_https_to_http_is_not_followed(run, authority, ca_file):
    with running({"/plain": reply("200 OK")}) as plain:
        moods = {"/": redirect(plain.url("/plain", host="good.bench.test"))}
        with running(moods, serving(authority.issue_cert("good.bench.test"))) as server:
            allow = frozenset({("127.0.0.1", server.port), ("127.0.0.1", plain.port)})
            reach = Reach(allow=allow, hosts={"bench.test": "127.0.0.1"}, ca_file=ca_file)
            url = server.url("/", scheme="https", host="good.bench.test")
            outcome = run(get(url, reach, schemes=("https", "http")))
            assert why(outcome) == "redirected from https to http"
            assert plain.connections == 0


def test_a_file_of_authorities_that_cannot_be_read_is_named(run, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (str(tmp_path / "missing.pem"), str(empty)):
        with pytest.raises(ConfigError, match=r"\.pem"):
            run(get("https://example.com/", Reach(ca_file=path)))


# ── Retry-After ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("86400", 21600),
        ("Sun, 22 Nov 2026 12:05:00 GMT", 300),
        ("Sunday, 22-Nov-26 12:05:00 GMT", 300),
        ("Sun, 22 Nov 2026 13:05:00 +0100", 300),
        ("Sun Nov 22 12:05:00 2026", 300),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 21600),
        *(
            (text, None)
            for text in ("-1", "NaN", "1e309", "Infinity", "1.5", "99999999999", "86401", "", "soon")
        ),
        *(
            (text, None)
            for text in ("１２０", "+5", "1_0", "9" * 10_000, "Fri, 99 Dec 2026 00:00:00 GMT", "0x10")
        ),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_reason(text, seconds):
    assert parse_retry_after(text, NOW) == (None if seconds is None else timedelta(seconds=seconds))
