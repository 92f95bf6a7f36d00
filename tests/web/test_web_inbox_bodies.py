"""Whatever the bytes in an inbox: an answer below 500, and nothing in the log that nobody expected."""

import json
import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_visitor import CAFE, INBOX, Stranger, Visitor, waiting

from bridge.activitypub.parse import ACTIVITY_TYPES
from bridge.activitypub.values import MAX_DEPTH, MAX_NODES, MAX_STRING
from bridge.web import create_wsgi

ALICE = Stranger()
EXPECTED = {202, 400, 401, 413, 415, 429}


@pytest.fixture
def web(services) -> Visitor:
    ALICE.is_known(services)
    return Visitor(create_wsgi(services))


@pytest.fixture
def send(services, web: Visitor) -> Callable[[bytes], int]:
    """Send bytes that Alice signed, whose key is known."""
    return lambda body: web.post(INBOX, *ALICE.sign(body, services.now())).status_code


def _follow(**more: object) -> bytes:
    return json.dumps({**ALICE.says("Follow", CAFE), **more}).encode()


def _with(raw: bytes) -> bytes:
    """A Follow with one more member, spelled as it is given."""
    return _follow()[:-1] + b', "x": ' + raw + b"}"


BROKEN = {
    "nothing": b"",
    "white space": b" \n\t ",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "string": b'"Follow"',
    "empty list": b"[]",
    "list of one": b"[" + _follow() + b"]",
    "empty object": b"{}",
    "NaN": _with(b"NaN"),
    "Infinity": _with(b"Infinity"),
    "minus Infinity": _with(b"-Infinity"),
    "hexadecimal": _with(b"0x1F"),
    "leading zero": _with(b"012"),
    "leading plus": _with(b"+1"),
    "no fraction": _with(b"1."),
    "no exponent": _with(b"1e"),
    "bare minus": _with(b"-"),
    "number like a word": _with(b"1abc"),
    "two values": _follow() + _follow(),
    "trailing comma": _follow()[:-1] + b",}",
    "trailing comma in a list": _with(b"[1,]"),
    "missing value": _with(b""),
    "missing comma": _with(b"1 2"),
    "single quotes": b"{'type': 'Follow'}",
    "unquoted key": b'{type: "Follow"}',
    "number as key": b'{1: "Follow"}',
    "comment": _follow() + b"// comment",
    "block comment": b"/* */" + _follow(),
    "unclosed object": _follow()[:-1],
    "unclosed list": _with(b"["),
    "unclosed string": _with(b'"abc'),
    "wrong bracket": _with(b"[1}"),
    "unknown escape": _with(rb'"\x00"'),
    "short escape": _with(rb'"\u00"'),
    "lone surrogate": _with(rb'"\ud800"'),
    "surrogates the wrong way round": _with(rb'"\udc00\ud800"'),
    "surrogate in a key": _follow()[:-1] + rb', "\ud800": 1}',
    "surrogate in UTF-8": _with(b'"\xed\xa0\x80"'),
    "Latin-1": _with(b'"\xe9"'),
    "overlong UTF-8": _with(b'"\xc0\xaf"'),
    "truncated UTF-8": _with(b'"\xe2\x82"'),
    "raw control character": _with(b'"\x01"'),
    "raw line break": _with(b'"a\nb"'),
    "raw NUL": _with(b'"\x00"'),
    "escaped NUL": _with(rb'"\u0000"'),
    "NUL in a key": _follow()[:-1] + rb', "\u0000": 1}',
    "NUL after the end": _follow() + b"\x00",
    "UTF-16": _follow().decode().encode("utf-16"),
    "UTF-32": _follow().decode().encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + _follow(),
    "deep lists": _with(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2)),
    "abysmal lists": _with(b"[" * 100_000 + b"]" * 100_000),
    "abysmal unclosed lists": b"[" * 100_000,
    "abysmal objects": _with(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "too many parts": _with(json.dumps(list(range(MAX_NODES + 1))).encode()),
    "endless string": _with(b'"' + b"a" * (MAX_STRING + 1) + b'"'),
    "endless key": _follow()[:-1] + b', "' + b"a" * (MAX_STRING + 1) + b'": 1}',
    "form": b"type=Follow&actor=alice",
    "XML": b"<?xml version='1.0'?><Follow/>",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "@graph": _follow(**{"@graph": []}),
    "@included": _follow(**{"@included": []}),
    "@reverse": _follow(object={"id": CAFE, "@reverse": {}}),
    "no type": _follow(type=None),
    "type as number": _follow(type=7),
    "type as object": _follow(type={"id": "Follow"}),
    "empty type": _follow(type=""),
    "no actor": _follow(actor=None),
    "two actors": _follow(actor=[ALICE.id, CAFE]),
    "id as list": _follow(id=[f"{ALICE.id}#1"]),
    "id as object": _follow(id={"id": f"{ALICE.id}#1"}),
    "id with a line break": _follow(id=f"{ALICE.id}#\n1"),
    "endless id": _follow(id=ALICE.id + "#" + "a" * 10_000),
}

ODD = {
    "empty object id": _follow(object=""),
    "object missing": _follow(object=None),
    "object as number": _follow(object=7),
    "object as list": _follow(object=[CAFE, CAFE]),
    "object in lists": _follow(object=[[[[CAFE]]]]),
    "object without id": _follow(object={"type": "Person"}),
    "duplicate keys": b'{"type": "Like", ' + _follow()[1:],
    "huge number": _with(b"1" * 300 + b".5"),
    "huge exponent": _with(b"-0e-1"),
    "white space everywhere": b" \r\n" + _follow().replace(b", ", b" ,\n\t") + b" \n",
    "escaped slashes": _follow().replace(b"/", rb"\/"),
    "emoji": _follow(summary="\U0001f9c1" * 100),
    "non-characters": _follow(summary="\ufffe\uffff"),
    "right to left": _follow(summary="\u202e\u2066"),
    "types in a list": _follow(type=["Follow"]),
    "unknown beside known type": _follow(type=["Nod", "Follow"]),
    "context of nonsense": _follow(**{"@context": [None, 7, {"a": {"b": []}}]}),
    "published at no time": _follow(published="yesterday"),
    "published as number": _follow(published=7),
    "addressed to nonsense": _follow(to=[7, None, {"id": 7}, [[]]], cc="x"),
    "published in the year 99999": _follow(published="99999-01-01T00:00:00Z"),
    "with a Linked Data signature": _follow(signature={"type": "RsaSignature2017", "signatureValue": "x"}),
}


def test_what_is_no_activity_is_a_bad_request(services, send) -> None:
    statuses = {name: send(body) for name, body in BROKEN.items()}
    assert {name: status for name, status in statuses.items() if status != 400} == {}
    assert waiting(services) == 0


def test_what_is_odd_but_readable_is_taken(services, send) -> None:
    statuses = {name: send(body) for name, body in ODD.items()}
    assert {name: status for name, status in statuses.items() if status != 202} == {}


@pytest.mark.parametrize("name", ["huge exponent 1e400", "number too large"])
def test_numbers_no_computer_can_hold_are_no_crash(send, name: str) -> None:
    assert send(_with(b"1e400" if "1e400" in name else b"9" * 5000)) in (202, 400)


def test_every_refusal_says_why_in_json(services, web: Visitor) -> None:
    for name, body in BROKEN.items():
        answer = web.post(INBOX, *ALICE.sign(body, services.now()))
        assert answer.mimetype == "application/json", name
        assert 0 < len(answer.json["error"]) <= 500
        assert answer.json["error"].isprintable(), name


# ── structured garbage ───────────────────────────────────────────────────────────────────────────

_names = st.sampled_from(
    [
        *(
            "id",
            "type",
            "actor",
            "object",
            "target",
            "to",
            "cc",
            "attributedTo",
            "inReplyTo",
            "content",
            "tag",
        ),
        *("contentMap", "name", "published", "updated", "href", "url", "instrument", "@context", "signature"),
        *("publicKey", "_misskey_reaction", "quoteUrl", "summary", "x"),
    ]
)
_strings = st.text(max_size=20) | st.sampled_from(
    [
        *(
            ALICE.id,
            ALICE.key_id,
            f"{ALICE.id}/1",
            CAFE,
            f"{CAFE}/posts/1",
            INBOX,
            "https://evil.example/users/x",
        ),
        *("https://www.w3.org/ns/activitystreams#Public", "as:Public", "2026-03-01T12:00:00Z", "a" * 3000),
        *("", " ", "https://", "https://[", "x:y", "//x", "javascript:alert(1)", "\u202e"),
        *("https://one.example/\n", "https://ü.example/"),
    ]
)
_types = st.sampled_from([*ACTIVITY_TYPES, "Note", "Person", "Tombstone", "Nod"])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _strings | _types
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_names | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
_activities = st.fixed_dictionaries(
    {"type": _types | _values, "actor": st.just(ALICE.id) | _values, "object": _values},
    optional={
        "id": st.just(f"{ALICE.id}/1") | _values,
        "target": _values,
        "to": _values,
        "published": _values,
    },
)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(said=_activities | _values)
def test_no_garbage_makes_the_inbox_stumble(services, send, caplog, said: object) -> None:
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        status = send(json.dumps(said).encode("utf-8", "surrogatepass"))
    assert status in EXPECTED
    assert caplog.records == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_no_bytes_make_the_inbox_stumble(send, caplog, body: bytes) -> None:
    with caplog.at_level(logging.ERROR):
        assert send(body) in EXPECTED
    assert caplog.records == []


_header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
_signatures = _header_text | st.builds(
    'keyId="{}",algorithm="{}",headers="{}",signature="{}"'.format,
    _strings.filter(lambda text: text.isascii() and text.isprintable()),
    st.sampled_from(["rsa-sha256", "hs2019", "hmac", ""]),
    st.sampled_from(["(request-target) host date digest", "date", "", "(created)", "x" * 500]),
    st.sampled_from(["YQ==", "", "=", "%%%"]),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.fixed_dictionaries(
        {"Signature": _signatures},
        optional={
            "Signature-Input": _header_text | st.just('sig1=("@method");created=1e9;keyid="x"'),
            "Date": _header_text,
            "Digest": _header_text,
            "Content-Digest": _header_text,
            "Content-Type": _header_text,
            "X-Forwarded-For": _header_text,
            "Host": _header_text,
            "Accept": _header_text,
        },
    )
)
def test_no_headers_make_the_inbox_stumble(web: Visitor, caplog, headers: dict[str, str]) -> None:
    with caplog.at_level(logging.ERROR):
        assert web.post(INBOX, _follow(), headers).status_code in EXPECTED
    assert caplog.records == []
