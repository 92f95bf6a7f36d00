"""What other servers send, and what nobody should."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import DATA, SHARED

from bridge.activitypub.binding import binding_error
from bridge.activitypub.parse import (
    Activity,
    is_activitypub,
    is_vote,
    listed_key_ids,
    parse_activity,
    parse_actor,
    parse_document,
    parse_keys,
    parse_reply,
)
from bridge.activitypub.reactions import read_emoji
from bridge.activitypub.values import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_STRING,
    get_id,
    get_ids,
    get_text,
    get_time,
    get_url,
)
from bridge.errors import BadActivity, BadDocument
from bridge.model import PUBLIC

# Machines that test are often busy with something else too.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SHAPES = DATA / "activities"
PAYLOADS = SHARED / "payloads"
US = "https://cafe.example/ap/cafe"
POST = f"{US}/posts/abcdefghij234567"
ANN = "https://social.example/users/ann"

ACTIVITIES = sorted(p.stem for p in SHAPES.glob("*.json") if not p.stem.startswith(("actor-", "key-")))


def shape(name: str) -> dict[str, Any]:
    return json.loads((SHAPES / f"{name}.json").read_text())


def activity(name: str) -> Activity:
    return parse_activity((SHAPES / f"{name}.json").read_bytes())


def follow(**changes: object) -> bytes:
    return orjson.dumps({"id": f"{ANN}#1", "type": "Follow", "actor": ANN, "object": US} | changes)


# ── activities ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ACTIVITIES)
def test_every_shape_servers_send_is_read_and_may_be_said_by_its_signer(name: str) -> None:
    read = activity(name)
    assert read.object_ids
    assert binding_error(read, read.actor or ANN) is None


@pytest.mark.parametrize("name", ACTIVITIES)
def test_no_shape_may_be_said_by_another_server(name: str) -> None:
    assert binding_error(activity(name), "https://evil.example/users/eve") is not None


def test_a_follow_names_who_and_whom() -> None:
    read = activity("mastodon-follow")
    assert (read.type, read.actor, read.object_id) == ("Follow", ANN, US)
    assert read.object is None


def test_an_undo_brings_the_follow_it_undoes() -> None:
    read = activity("mastodon-undo-follow")
    assert read.object is not None
    assert read.object["type"] == "Follow"
    assert get_id(read.object["object"]) == US


def test_an_undo_may_name_what_it_undoes_by_id_alone() -> None:
    assert activity("mastodon-undo-like-by-id").object_id == f"{ANN}#likes/9"


def test_an_embedded_or_listed_actor_counts_as_its_id() -> None:
    assert activity("kroeg-embedded-actor").actor == "https://kr.example/"
    assert activity("prismo-listed-actor").actor == "https://pr.example/@pat"


def test_a_flag_names_several_objects() -> None:
    read = activity("mastodon-flag")
    assert read.object_ids == (US, POST)
    assert read.object_id is None


def test_only_a_feature_request_may_lack_its_actor() -> None:
    assert activity("mastodon-feature-request").actor is None
    with pytest.raises(BadActivity, match="one actor"):
        parse_activity(follow(actor=None))


@pytest.mark.parametrize("actor", [[ANN, US], [], {}, "", 7, True, [None], {"id": [ANN, US]}, {"id": None}])
def test_an_activity_names_exactly_one_actor(actor: object) -> None:
    with pytest.raises(BadActivity, match="one actor"):
        parse_activity(follow(actor=actor))


@pytest.mark.parametrize(
    "given_id", [[], {}, 5, "", "https://a.example/\n", "x" * 2049, [f"{ANN}#1"], {"id": "x"}]
)
def test_an_id_is_one_usable_string(given_id: object) -> None:
    with pytest.raises(BadActivity, match="id"):
        parse_activity(follow(id=given_id))


def test_the_first_known_type_of_several_counts() -> None:
    assert parse_activity(follow(type=["litepub:Thing", "Like", "Follow"])).type == "Like"
    assert parse_activity(follow(type=["Ping", 3])).type == "Ping"


@pytest.mark.parametrize("kind", [None, "", [], [[]], {}, 3, "x" * 101])
def test_an_activity_needs_a_type(kind: object) -> None:
    with pytest.raises(BadActivity, match="type"):
        parse_activity(follow(type=kind))


@pytest.mark.parametrize("spelling", [PUBLIC, "as:Public", "Public"])
@pytest.mark.parametrize("field", ["to", "cc"])
def test_public_has_three_spellings_in_two_fields(spelling: str, field: str) -> None:
    assert parse_activity(follow(**{field: spelling})).is_public
    assert parse_activity(follow(**{field: [US, spelling]})).is_public


@pytest.mark.parametrize(
    "to", [None, US, [US], "public", "as:public", [[PUBLIC, US]], {"type": PUBLIC}, {PUBLIC: 1}]
)
def test_whatever_is_not_clearly_public_is_not(to: object) -> None:
    assert not parse_activity(follow(to=to, bto=PUBLIC, audience=PUBLIC)).is_public


def test_an_actors_own_delete_is_recognised_without_a_key() -> None:
    assert activity("mastodon-delete-actor").is_about_its_actor
    assert not activity("mastodon-delete-note").is_about_its_actor
    assert not activity("mastodon-move").is_about_its_actor


# ── hostile bytes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b" ",
            b"null",
            b"true",
            b"[]",
            b'"x"',
            b"1",
            b"{",
            b"}",
            b"{}",
            b'{"a":1,}',
            b"{'a':1}",
            b"{a:1}",
        ),
        *(
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":1e400}',
            b'{"a":01}',
            b'{"a":+1}',
            b'{"a":.5}',
            b'{"a":1.}',
        ),
        *(b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"\xed\xa0\x80":1}', b'{"a":"\\x41"}', b'{"a":"\n"}'),
        *(b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"{}{}", b"{} x", b"{}\0", b"/* */{}", b"<html></html>"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"":' * 33 + b"1" + b"}" * 33, b"\x1f\x8b\x08\x00"),
    ],
)
def test_what_is_no_activity_is_refused_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(BadActivity):
        parse_activity(body)
    with pytest.raises(BadDocument, match=r"https://x\.example/|object"):
        parse_actor(parse_document(body, url="https://x.example/"), url="https://x.example/")


def nested(depth: int) -> object:
    value: object = "leaf"
    for _ in range(depth):
        value = [value, {}]
    return value


@pytest.mark.parametrize(
    ("extra", "fits"),
    [
        ({"x": nested(MAX_DEPTH - 1)}, True),
        ({"x": nested(MAX_DEPTH)}, False),
        ({"x": [1] * (MAX_NODES - 6)}, True),
        ({"x": [1] * (MAX_NODES - 5)}, False),
        ({f"k{n}": n for n in range(MAX_NODES)}, False),
        ({"x": "a" * MAX_STRING}, True),
        ({"x": "a" * (MAX_STRING + 1)}, False),
        ({"k" * (MAX_STRING + 1): 1}, False),
        ({"x": "a\0b"}, False),
        ({"a\0b": 1}, False),
        ({"@graph": []}, False),
        ({"object": {"@included": []}}, False),
        ({"object": {"tag": [{"@reverse": {}}]}}, False),
        ({"@context": {"a": {"@reverse": "b"}}}, False),
        ({"@context": [None, 5, {"@vocab": None}]}, True),
    ],
)
def test_bounds_are_kept(extra: dict[str, object], fits: bool) -> None:
    body = follow(**extra)
    if fits:
        assert parse_activity(body).raw.keys() >= extra.keys()
    else:
        with pytest.raises(BadActivity):
            parse_activity(body)


KEYS = (
    *(
        "id",
        "type",
        "actor",
        "object",
        "target",
        "to",
        "cc",
        "published",
        "content",
        "contentMap",
        "tag",
        "url",
        "href",
    ),
    *(
        "name",
        "inReplyTo",
        "attributedTo",
        "publicKey",
        "assertionMethod",
        "owner",
        "controller",
        "publicKeyPem",
        "icon",
    ),
    *(
        "inbox",
        "endpoints",
        "sharedInbox",
        "preferredUsername",
        "summary",
        "mediaType",
        "quote",
        "_misskey_reaction",
    ),
)
WORDS = st.sampled_from(
    [
        "Create",
        "Note",
        "Like",
        "Follow",
        "Person",
        "Mention",
        ANN,
        US,
        PUBLIC,
        "2026-01-01",
        "text/html",
        ":a:",
        "x@y",
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | WORDS | st.text(max_size=12)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=9)


@unhurried
@given(OBJECTS)
def test_reading_raises_nothing_but_our_errors(document: dict[str, Any]) -> None:
    try:
        read = parse_activity(json.dumps(document).encode())
    except BadActivity:
        return
    assert isinstance(read.type, str)
    assert read.actor is None or isinstance(read.actor, str)
    binding_error(read, ANN)


@unhurried
@given(OBJECTS)
def test_reading_documents_raises_nothing_but_our_errors(document: dict[str, Any]) -> None:
    for read in (parse_reply, lambda doc: parse_actor(doc, url=ANN)):
        try:
            read(document | {"id": ANN})
        except BadDocument as reason:
            assert str(reason).endswith(".")
    is_vote(document)
    assert all(isinstance(key.pem, str) for key in parse_keys(document))
    assert all(isinstance(key_id, str) for key_id in listed_key_ids(document))


@unhurried
@given(st.binary(max_size=60))
def test_bytes_are_an_activity_or_a_bad_one(body: bytes) -> None:
    with pytest.raises(BadActivity):
        parse_activity(body)


# ── who may say what ─────────────────────────────────────────────────────────────────────────────

EVE = "https://evil.example/users/eve"
A_IDS = (f"{ANN}/1", "https://social.example/x", "https://SOCIAL.example:443/y", "HTTPS://social.example/z")
FOREIGN_IDS = (
    *(
        f"{EVE}/1",
        "https://social.example:444/x",
        "https://ann@social.example/x",
        "https://social.example@evil.example/",
    ),
    *(
        "http://social.example/x",
        "https://social.example.evil.example/",
        "https://xsocial.example/",
        "//social.example/x",
    ),
    *("tag:social.example,2026:1", "urn:uuid:1", "social.example/x", "https://", "https:///x", "/x", "#x"),
)
ids = (
    st.sampled_from(A_IDS)
    | st.sampled_from(FOREIGN_IDS)
    | st.sampled_from([None, [], [A_IDS[0], A_IDS[1]], 7])
)
OWN = (ANN, [ANN], {"id": ANN})
names = st.sampled_from(OWN) | st.sampled_from(
    [EVE, None, [], [ANN, EVE], [EVE, ANN], "https://SOCIAL.example/users/ann", ANN + "/", {}]
)


@unhurried
@given(
    kind=st.sampled_from(["Create", "Update", "Delete"]),
    actor=st.sampled_from(
        [ANN, [ANN], {"id": ANN}, EVE, None, [ANN, EVE], "https://SOCIAL.example/users/ann"]
    ),
    activity_id=ids,
    object_id=ids,
    author=names,
    embedded=st.booleans(),
)
def test_only_what_is_wholly_the_signers_own_may_be_changed(
    kind: str, actor: object, activity_id: object, object_id: object, author: object, embedded: bool
) -> None:
    obj = {"id": object_id, "type": "Note", "attributedTo": author} if embedded else object_id
    own = actor in OWN and activity_id in A_IDS and object_id in A_IDS and (not embedded or author in OWN)
    body = orjson.dumps({"type": kind, "id": activity_id, "actor": actor, "object": obj})
    try:
        allowed = binding_error(parse_activity(body), ANN) is None
    except BadActivity:
        allowed = False
    assert allowed == own


def test_an_actor_may_update_itself() -> None:
    document = {"id": ANN, "type": "Person"}
    assert binding_error(parse_activity(follow(type="Update", object=document)), ANN) is None


def test_a_created_object_has_to_name_its_author() -> None:
    unsigned = {"id": f"{ANN}/1", "type": "Note"}
    why = binding_error(parse_activity(follow(type="Create", object=unsigned)), ANN)
    assert why is not None
    assert "attributed" in why


def test_nobody_undoes_what_someone_else_did() -> None:
    undone = {"type": "Follow", "actor": EVE, "object": US}
    why = binding_error(parse_activity(follow(type="Undo", object=undone)), ANN)
    assert why == f"{ANN} may not undo what someone else did."


def test_nobody_moves_someone_else() -> None:
    assert binding_error(parse_activity(follow(type="Move", object=EVE, target=ANN)), ANN) is not None


@pytest.mark.parametrize(
    ("kind", "fine"), [("Undo", True), ("Accept", True), ("Follow", False), ("Create", False)]
)
def test_only_answers_and_undos_may_lack_an_id(kind: str, fine: bool) -> None:
    read = parse_activity(follow(type=kind, id=None, object=f"{ANN}/1"))
    assert (binding_error(read, ANN) is None) is fine


def test_a_signer_without_a_host_may_say_nothing() -> None:
    read = replace(activity("mastodon-follow"), actor="acct:ann", id="acct:ann")
    assert binding_error(read, "acct:ann") is not None


# ── actors and keys ──────────────────────────────────────────────────────────────────────────────


def test_an_actor_is_read_with_a_name_that_cannot_reorder_the_page() -> None:
    actor = parse_actor(shape("actor-mastodon"), url=ANN)
    assert (actor.handle, actor.name) == ("@ann@social.example", "Ann :cake:")
    assert actor.inbox == f"{ANN}/inbox"
    assert actor.shared_inbox == "https://social.example/inbox"
    assert actor.icon == "https://files.social.example/ann.png"
    assert actor.also_known_as == ("https://old.example/users/ann",)


def test_an_actor_without_a_name_is_called_by_its_user() -> None:
    assert parse_actor(shape("actor-misskey"), url="https://mi.example/users/9abc").name == "kei"


def test_a_threads_actor_keeps_the_slash_its_id_ends_with() -> None:
    url = "https://threads.example/ap/users/178414/"
    assert parse_actor(shape("actor-threads"), url=url).id == url


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": EVE}, "calls itself https://evil"),
        ({"id": None}, "no id"),
        ({"id": [ANN]}, "no id"),
        ({"id": {"id": ANN}}, "no id"),
        ({"id": "acct:ann@social.example"}, "no id"),
        ({"type": "Note"}, "its type is Note"),
        ({"type": None}, "its type is missing"),
        ({"inbox": None}, "no inbox"),
        ({"inbox": "file:///etc/passwd"}, "no inbox"),
        ({"inbox": "https://user:secret@social.example/inbox"}, "no inbox"),
        ({"preferredUsername": " \u202e@"}, "no preferredUsername"),
    ],
)
def test_what_is_no_actor_of_its_url_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(BadDocument, match=why):
        parse_actor(shape("actor-mastodon") | changes, url=ANN)


def test_a_webfinger_property_does_not_make_the_handle() -> None:
    claimed = shape("actor-mastodon") | {"webfinger": "boss@bank.example"}
    assert parse_actor(claimed, url=ANN).handle == "@ann@social.example"


def test_a_key_id_is_a_url_of_its_actor() -> None:
    assert parse_actor(shape("actor-mastodon"), url=f"{ANN}#main-key").id == ANN


@pytest.mark.parametrize(
    "icon",
    ["https://a.example/i.png", {"url": "https://a.example/i.png"}, [{"href": "https://a.example/i.png"}]],
)
def test_an_icon_comes_in_many_shapes(icon: object) -> None:
    assert parse_actor(shape("actor-mastodon") | {"icon": icon}, url=ANN).icon == "https://a.example/i.png"


def test_a_script_is_no_icon() -> None:
    assert parse_actor(shape("actor-mastodon") | {"icon": "javascript:alert(1)"}, url=ANN).icon is None


def test_keys_are_found_in_all_the_places_servers_put_them() -> None:
    assert [key.id for key in parse_keys(shape("actor-mastodon"))] == [f"{ANN}#main-key"]
    assert [key.id for key in parse_keys(shape("actor-gotosocial-stub"))] == [
        "https://gts.example/users/gil/main-key"
    ]
    hana = "https://hollo.example/@hana"
    assert [key.pem[:5] for key in parse_keys(shape("actor-multikey"))] == ["-----", "z6MkE"]
    assert listed_key_ids(shape("actor-multikey")) == (
        f"{hana}#rsa-key",
        f"{hana}#key-2",
        "https://hollo.example/keys/3",
    )


def test_a_key_document_says_whose_it_claims_to_be() -> None:
    (key,) = parse_keys(shape("key-document"))
    assert (key.id, key.actor_id) == ("https://hon.example/u/h/key", "https://hon.example/u/h")
    assert listed_key_ids(shape("key-document")) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": EVE},
        {"owner": None},
        {"id": "https://evil.example/key"},
        {"id": "main-key"},
        {"publicKeyPem": None},
        {"publicKeyPem": "x" * 20_000},
        {"publicKeyPem": ["a"]},
    ],
)
def test_a_key_that_is_not_plainly_the_actors_is_left_out(changes: dict[str, object]) -> None:
    document = shape("actor-mastodon")
    document["publicKey"] |= changes
    assert parse_keys(document) == ()


def test_an_actor_with_a_thousand_keys_has_eight() -> None:
    document = shape("actor-mastodon")
    document["publicKey"] = [document["publicKey"]] * 1000
    assert len(parse_keys(document)) == 8


def test_a_key_document_on_another_host_than_its_owner_is_no_key() -> None:
    assert parse_keys(shape("key-document") | {"owner": ANN}) == ()


# ── replies and likes ────────────────────────────────────────────────────────────────────────────


def test_a_reply_is_read_whole() -> None:
    reply = parse_reply(shape("mastodon-reply")["object"])
    assert (reply.actor, reply.in_reply_to, reply.content) == (ANN, POST, "<p>Lovely cake!</p>")
    assert reply.published == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert (reply.language, reply.warning, reply.is_public) == ("en", "", True)


def test_a_threads_reply_has_its_page_among_several_urls() -> None:
    reply = parse_reply(shape("threads-reply")["object"])
    assert reply.url == "https://www.threads.example/@tom/post/C8"
    assert reply.published == datetime(2026, 1, 5, 15, tzinfo=UTC)
    assert reply.is_public


def test_a_reply_to_the_author_alone_is_not_public() -> None:
    assert not parse_reply(shape("mastodon-private-reply")["object"]).is_public


def test_a_vote_is_told_from_a_reply() -> None:
    assert is_vote(shape("mastodon-vote")["object"])
    assert not is_vote(shape("mastodon-reply")["object"])


@pytest.mark.parametrize(
    ("summary", "kind", "warning"),
    [
        ("Spoilers: the cake", "Note", "Spoilers: the cake"),
        ("  two\n lines \u202e", "Question", "two lines"),
        ("x" * 5_000, "Note", "x" * 500),
        (["one"], "Note", "one"),
        ({"en": "no text"}, "Note", ""),
        (None, "Note", ""),
        ("What it is about", "Article", ""),
        ("What it is about", "Page", ""),
    ],
)
def test_a_notes_summary_is_its_warning_and_an_articles_is_none(
    summary: object, kind: str, warning: str
) -> None:
    note = shape("mastodon-reply")["object"] | {"summary": summary, "type": kind}
    assert parse_reply(note).warning == warning


def test_content_is_taken_from_its_translations_when_it_stands_nowhere_else() -> None:
    note = shape("mastodon-reply")["object"] | {"content": None, "contentMap": {"de": "<p>Hallo</p>"}}
    assert (parse_reply(note).content, parse_reply(note).language) == ("<p>Hallo</p>", "de")


@pytest.mark.parametrize(
    "changes",
    [{"id": "tag:x,2026:1"}, {"attributedTo": None}, {"attributedTo": [ANN, EVE]}, {"type": "Person"}],
)
def test_what_is_no_post_of_one_author_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadDocument):
        parse_reply(shape("mastodon-reply")["object"] | changes)


@pytest.mark.parametrize(
    ("name", "emoji"),
    [
        ("mastodon-like", None),
        ("gotosocial-like", None),
        ("misskey-reaction", ":blobcake:"),
        ("misskey-heart", "❤"),
        ("pleroma-emoji-react", "👩‍🍳"),
    ],
)
def test_a_like_brings_its_emoji(name: str, emoji: str | None) -> None:
    like = activity(name)
    assert (like.object_id, read_emoji(like.raw)) == (POST, emoji)


@pytest.mark.parametrize(
    "text", ["buy gold", "ok", "最高", "👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍👍", ":two words:", "<b>", "é", "1"]
)
def test_a_message_does_not_pass_for_an_emoji(text: str) -> None:
    assert read_emoji({"type": "Like", "content": text}) is None


@pytest.mark.parametrize(
    "emoji", ["👍", "❤️", "🏳️‍🌈", "👩🏽‍❤️‍💋‍👩🏿", "1️⃣", "ℹ️", "🇩🇪", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", ":blob@mi.example:"]
)
def test_emoji_of_all_kinds_pass(emoji: str) -> None:
    assert read_emoji({"type": "EmojiReact", "content": emoji}) == emoji


# ── single values ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.1234567+02:00", datetime(2026, 1, 5, 8, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-05T10:00:00+0000", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("Mon, 05 Jan 2026 10:00:00 GMT", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("9999-12-31T23:59:59-23:00", None),
        ("2026-13-45T99:99:99Z", None),
        ("2" * 500, None),
        (1767607200, None),
        (None, None),
    ],
)
def test_times_are_read_as_servers_write_them(text: object, moment: datetime | None) -> None:
    assert get_time(text) == moment


@unhurried
@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z]{3}, [0-9]{1,3} [A-Za-z]{3} [0-9:+ -]{0,30}"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    moment = get_time(text)
    assert moment is None or moment.tzinfo is UTC


@unhurried
@given(st.text(max_size=300), st.integers(1, 100))
def test_text_is_one_line_within_its_limit(text: str, limit: int) -> None:
    shown = get_text(text, limit)
    assert len(shown) <= limit
    assert not set(shown) & set("\0\x07\x1b\n\r\t\u202a\u202e\u2066\u2069\u0085")
    assert get_text(shown, limit) == shown


def test_ids_are_found_in_strings_objects_and_lists() -> None:
    assert get_ids([ANN, {"id": US}, None, 4, {"href": "x"}, ANN]) == (ANN, US)
    assert get_id([[{"id": ANN}]]) == ANN
    assert get_id([ANN, US]) is None


def test_an_id_longer_than_an_index_entry_is_none() -> None:
    assert get_id("https://a.example/" + "é" * 1024) is None


def test_the_page_among_several_urls_is_preferred() -> None:
    links = [
        {"href": "https://a.example/v.mp4", "mediaType": "video/mp4"},
        {"href": US, "mediaType": "text/html"},
    ]
    assert get_url(links) == US
    assert get_url(["ftp://a.example/", {"type": "Link"}, None]) is None


@pytest.mark.parametrize(
    ("content_type", "fine"),
    [
        ("application/activity+json", True),
        ("Application/Activity+JSON; charset=utf-8", True),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams"', True),
        ('application/ld+json;charset=utf-8;PROFILE="https://www.w3.org/ns/activitystreams"', True),
        ("application/ld+json; profile=https://www.w3.org/ns/activitystreams", True),
        ('application/ld+json; profile="https://example.org/x https://www.w3.org/ns/activitystreams"', True),
        ("application/ld+json", False),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams-evil"', False),
        ("application/ld+json; charset=https://www.w3.org/ns/activitystreams", False),
        ("application/json", False),
        ("text/html; application/activity+json", False),
        ("text/html, application/activity+json", False),
        ("application/activity+json, text/html", False),
        ("application/activity+jsonx", False),
        ("xapplication/activity+json", False),
        ('image/png; x="application/activity+json"', False),
        ("", False),
        (";", False),
        (None, False),
    ],
)
def test_only_activitypub_types_are_believed(content_type: str | None, fine: bool) -> None:
    assert is_activitypub(content_type) is fine


# ── recorded payloads, where they are at hand ────────────────────────────────────────────────────


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="no recorded payloads beside this repository")
def test_every_recorded_payload_is_read_or_refused() -> None:
    read, refused = 0, []
    for path in sorted(PAYLOADS.rglob("*.json")):
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, dict) or "object" not in document or "actor" not in document:
            continue
        try:
            got = parse_activity(path.read_bytes())
        except BadActivity:
            refused.append(path.name)
            continue
        read_emoji(got.raw)
        if got.object is not None and got.type in ("Create", "Update"):
            is_vote(got.object)
        read += 1
    assert read > 80
    assert refused == []


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="no recorded payloads beside this repository")
def test_every_recorded_actor_with_an_inbox_is_read() -> None:
    refused = {}
    for path in sorted(PAYLOADS.rglob("*.json")):
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, dict) or "inbox" not in document or "preferredUsername" not in document:
            continue
        try:
            parse_actor(document, url=document["id"])
        except BadDocument as reason:
            refused[path.name] = str(reason)
    assert refused == {}
