"""What followers' servers get to read."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.activitypub import documents
from bridge.activitypub.binding import binding_error
from bridge.activitypub.documents import ActorProfile, NoteParts
from bridge.activitypub.ids import Ids
from bridge.activitypub.parse import parse_activity, parse_actor, parse_keys, parse_reply
from bridge.model import PUBLIC, Enclosure, Image

# Machines that test are often busy with something else too.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

IDS = Ids("https://cafe.example")
ME = IDS.actor("cafe")
NOON = datetime(2026, 1, 2, 12, 0, 0, 987_000, tzinfo=UTC)

PROFILE = ActorProfile(
    site="cafe",
    user="cafe",
    domain="cafe.example",
    name="Café",
    url="https://cafe.example/",
    website="https://cafe.example/",
    rsa_pem="-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
    ed25519_multibase="z6MkExample",
    icon=Image("https://cafe.example/icon.png", "A cup"),
    fields=(("Opening hours", "8–18"),),
    attribution_domains=("cafe.example",),
    published_at=NOON,
)

PARTS = NoteParts(
    site="cafe",
    id="abcdefghij234567",
    content="<p>Hello</p>",
    url="https://cafe.example/hello/",
    published_at=NOON,
    language="en",
    tags=("Cake",),
    attachments=(Image("https://cafe.example/a.webp?x=1", "A cake", width=1200, height=630),),
)
NOTE = documents.note(IDS, PARTS)
# Terms that no @context of the standard defines.
EXTENSIONS = {
    *("Hashtag", "sensitive", "conversation", "interactionPolicy", "canQuote", "canFeature", "featured"),
    *("automaticApproval", "featuredTags", "discoverable", "indexable", "attributionDomains", "alsoKnownAs"),
    *("manuallyApprovesFollowers", "value", "implements", "interactingObject", "interactionTarget"),
}
FOLLOW = {
    "@context": "https://www.w3.org/ns/activitystreams",
    "id": "https://social.example/7c1f",
    "type": "Follow",
    "actor": "https://social.example/users/ann",
    "object": ME,
    "published": "2026-01-02T12:00:00Z",
}


def everything_we_publish() -> Iterator[Mapping[str, Any]]:
    create = documents.create(IDS, "cafe", NOTE, activity_id="c")
    yield documents.actor(IDS, PROFILE)
    yield documents.instance_actor(IDS, PROFILE.rsa_pem)
    yield documents.with_context(NOTE)
    yield create
    yield documents.update(IDS, "cafe", NOTE, activity_id="u", at=NOON)
    yield documents.update_actor(IDS, "cafe", documents.actor(IDS, PROFILE), activity_id="p", at=NOON)
    yield documents.delete(IDS, "cafe", PARTS.id, activity_id="d")
    yield documents.accept(IDS, "cafe", FOLLOW, activity_id="a")
    yield documents.reject(IDS, "cafe", FOLLOW, activity_id="r")
    yield documents.tombstone(IDS, "cafe", PARTS.id, NOON)
    yield documents.outbox(IDS, "cafe", 41)
    yield documents.outbox_page(IDS, "cafe", 1, [create], 41)
    yield documents.followers_collection(IDS, "cafe", 3)
    yield documents.featured(IDS, "cafe", [NOTE["id"]])
    yield documents.featured_tags(IDS, "cafe", ["Cake"])
    yield documents.quote_authorization(IDS, "cafe", "q", quote="https://s.example/1", quoted=NOTE["id"])
    yield documents.feature_authorization(IDS, "cafe", "f", collection="https://s.example/c")
    yield documents.accept_feature(
        IDS,
        "cafe",
        "https://s.example/r",
        "https://s.example/u",
        activity_id="a",
        result="https://c.example/r",
    )


def keys_in(value: object) -> Iterator[str]:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    yield from value if isinstance(value, Mapping) else ()
    for item in items:
        yield from keys_in(item)


@pytest.mark.parametrize("document", [*everything_we_publish()], ids=lambda d: d["type"])
def test_every_document_says_what_it_is_in_terms_its_context_defines(document: Mapping[str, Any]) -> None:
    context = document["@context"] if isinstance(document["@context"], list) else [document["@context"]]
    body = {key: value for key, value in document.items() if key != "@context"}
    used = set(keys_in(body)) | set(re.findall('"type":"(Hashtag)"', documents.encode(body).decode()))
    defined = {term for part in context if isinstance(part, dict) for term in part}
    assert context[0] == "https://www.w3.org/ns/activitystreams"
    assert document["id"].startswith("https://cafe.example/ap/")
    assert "@context" not in used
    assert used & EXTENSIONS <= defined


@pytest.mark.parametrize("document", [*everything_we_publish()], ids=lambda d: d["type"])
def test_no_document_says_what_breaks_someone(document: Mapping[str, Any]) -> None:
    assert {"atomUri", "inReplyToAtomUri", "bto", "bcc"}.isdisjoint(keys_in(document))
    text = documents.encode(document).decode()
    assert '"as:Public"' not in text
    assert ":null" not in text
    for moment in re.findall(r'"(?:published|updated|deleted)":"([^"]*)"', text):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)


# ── actors ───────────────────────────────────────────────────────────────────────────────────────


def test_our_actor_can_be_read_by_our_own_reader() -> None:
    actor = documents.actor(IDS, PROFILE)
    read = parse_actor(actor, url=ME)
    assert (read.handle, read.type, read.name) == ("@cafe@cafe.example", "Service", "Café")
    assert (read.inbox, read.shared_inbox) == (f"{ME}/inbox", "https://cafe.example/ap/inbox")
    assert [key.id for key in parse_keys(actor)] == [f"{ME}#main-key", f"{ME}#ed25519-key"]


def test_an_actor_has_what_each_server_insists_on() -> None:
    actor = documents.actor(IDS, PROFILE)
    assert isinstance(actor["publicKey"], dict)  # Misskey
    assert isinstance(actor["url"], str)  # Takahē
    assert actor["summary"] == ""  # Pixelfed
    assert actor["manuallyApprovesFollowers"] is False  # Pixelfed
    assert actor["webfinger"] == "cafe@cafe.example"  # Mastodon 4.6
    assert actor["icon"] == {
        "type": "Image",
        "mediaType": "image/png",
        "url": "https://cafe.example/icon.png",
        "name": "A cup",
    }
    assert {"https://w3id.org/security/v1", "https://www.w3.org/ns/cid/v1"} <= set(actor["@context"][1:3])


def test_the_website_is_the_first_field_and_can_be_verified() -> None:
    fields = documents.actor(IDS, PROFILE)["attachment"]
    assert [field["name"] for field in fields] == ["Website", "Opening hours"]
    assert fields[0]["value"] == (
        '<a href="https://cafe.example/" rel="me nofollow noopener" translate="no">cafe.example</a>'
    )


def test_the_instance_actor_is_named_like_its_host() -> None:
    actor = documents.instance_actor(IDS, PROFILE.rsa_pem)
    assert parse_actor(actor, url=IDS.instance).handle == "@cafe.example@cafe.example"
    assert actor["type"] == "Application"
    assert [key.id for key in parse_keys(actor)] == [f"{IDS.instance}#main-key"]


# ── notes ────────────────────────────────────────────────────────────────────────────────────────


def test_a_note_is_complete_and_nothing_more() -> None:
    thread = NOTE["id"] + "/context"
    assert {
        "id": "https://cafe.example/ap/cafe/posts/abcdefghij234567",
        "type": "Note",
        "attributedTo": ME,
        "url": "https://cafe.example/hello/",
        "published": "2026-01-02T12:00:00Z",
        "to": [PUBLIC],
        "cc": [f"{ME}/followers"],
        "content": "<p>Hello</p>",
        "contentMap": {"en": "<p>Hello</p>"},
        "mediaType": "text/html",
        "sensitive": False,
        "tag": [{"type": "Hashtag", "name": "#Cake", "href": IDS.tag("cafe", "Cake")}],
        "attachment": [
            {
                "type": "Document",
                "mediaType": "image/webp",
                "url": "https://cafe.example/a.webp?x=1",
                "name": "A cake",
                "width": 1200,
                "height": 630,
            }
        ],
        "context": thread,
        "conversation": thread,
        "replies": {
            "id": NOTE["id"] + "/replies",
            "type": "Collection",
            "first": {"type": "CollectionPage", "partOf": NOTE["id"] + "/replies", "items": []},
        },
        "likes": {"id": NOTE["id"] + "/likes", "type": "Collection", "totalItems": 0},
        "shares": {"id": NOTE["id"] + "/shares", "type": "Collection", "totalItems": 0},
        "interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC]}},
    } == NOTE


def test_our_own_reader_takes_our_note_for_public() -> None:
    read = parse_reply(NOTE)
    assert (read.actor, read.is_public, read.language) == (ME, True, "en")


def test_a_warning_is_the_only_summary() -> None:
    warned = documents.note(IDS, NoteParts(**{**_fields(PARTS), "warning": "Nuts"}))
    assert (warned["summary"], warned["sensitive"]) == ("Nuts", True)
    assert {"summary", "name"}.isdisjoint(NOTE)


@pytest.mark.parametrize("shift", [timedelta(days=-1), timedelta(0), timedelta(microseconds=20_000)])
def test_an_edit_never_seems_older_than_its_post(shift: timedelta) -> None:
    edited = documents.note(IDS, NoteParts(**{**_fields(PARTS), "updated_at": NOON + shift}))
    assert edited["updated"] == "2026-01-02T12:00:01Z"


def test_every_attachment_has_a_media_type() -> None:
    files = (Image("https://cafe.example/photo"), Enclosure("https://cafe.example/e.mp3", "audio/mpeg", 5))
    note = documents.note(IDS, NoteParts(**{**_fields(PARTS), "attachments": files}))
    assert [item["mediaType"] for item in note["attachment"]] == ["image/jpeg", "audio/mpeg"]


def test_counts_and_replies_are_filled_in_when_a_note_is_served() -> None:
    served = documents.with_interactions(NOTE, likes=3, shares=2, replies=["https://s.example/1"])
    assert (served["likes"]["totalItems"], served["shares"]["totalItems"]) == (3, 2)
    assert served["replies"]["first"]["items"] == ["https://s.example/1"]
    assert NOTE["likes"]["totalItems"] == 0
    assert NOTE["replies"]["first"]["items"] == []


def test_moments_are_written_in_utc() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert documents.timestamp(datetime(2026, 1, 2, 3, 4, 5, 999_999, there)) == "2026-01-01T21:34:05Z"
    assert documents.timestamp(datetime(999, 1, 2, tzinfo=UTC)) == "0999-01-02T00:00:00Z"


def _fields(parts: NoteParts) -> dict[str, Any]:
    return {name: getattr(parts, name) for name in NoteParts.__slots__}


# ── activities ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("document", [*everything_we_publish()], ids=lambda d: d["type"])
def test_our_activities_pass_our_own_inbox(document: Mapping[str, Any]) -> None:
    if "actor" not in document:
        return
    read = parse_activity(documents.encode(document))
    assert binding_error(read, ME) is None


def test_a_create_is_addressed_like_its_note() -> None:
    create = documents.create(IDS, "cafe", NOTE, activity_id="create-1")
    assert create["id"] == "https://cafe.example/ap/cafe/activities/create-1"
    assert (create["to"], create["cc"], create["published"]) == (NOTE["to"], NOTE["cc"], NOTE["published"])
    assert create["object"] == NOTE


def test_a_create_never_looks_edited() -> None:
    edited = documents.with_context(NOTE) | {"updated": "2026-01-03T00:00:00Z"}
    create = documents.create(IDS, "cafe", edited, activity_id="c")
    assert {"updated", "@context"}.isdisjoint(create["object"])


def test_an_update_carries_the_whole_note_and_its_moment() -> None:
    edited = NOTE | {"updated": "2026-01-03T00:00:00Z"}
    update = documents.update(IDS, "cafe", edited, activity_id="u", at=NOON + timedelta(days=1))
    assert update["object"] == edited
    assert update["published"] == "2026-01-03T12:00:00Z"


def test_an_actor_update_carries_the_whole_actor() -> None:
    actor = documents.actor(IDS, PROFILE)
    update = documents.update_actor(IDS, "cafe", actor, activity_id="u", at=NOON)
    assert update["@context"] == actor["@context"]
    assert {"@context": actor["@context"], **update["object"]} == actor


def test_a_delete_leaves_a_tombstone() -> None:
    delete = documents.delete(IDS, "cafe", PARTS.id, activity_id="d")
    assert delete["object"] == {"id": NOTE["id"], "type": "Tombstone"}
    assert documents.tombstone(IDS, "cafe", PARTS.id, NOON) == {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": NOTE["id"],
        "type": "Tombstone",
        "formerType": "Note",
        "deleted": "2026-01-02T12:00:00Z",
    }


@pytest.mark.parametrize(
    "spelt",
    [
        FOLLOW,
        FOLLOW
        | {"actor": {"id": FOLLOW["actor"], "type": "Person"}, "object": [{"id": ME}], "type": ["Follow"]},
    ],
)
def test_a_follow_is_embedded_in_its_answer_as_four_strings(spelt: dict[str, Any]) -> None:
    for answer, kind in ((documents.accept, "Accept"), (documents.reject, "Reject")):
        assert answer(IDS, "cafe", spelt, activity_id="a-1") == {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://cafe.example/ap/cafe/activities/a-1",
            "type": kind,
            "actor": ME,
            "to": [FOLLOW["actor"]],
            "object": {name: FOLLOW[name] for name in ("id", "type", "actor", "object")},
        }


def test_a_follow_without_id_is_answered_without_one() -> None:
    nameless = {key: value for key, value in FOLLOW.items() if key != "id"}
    assert "id" not in documents.accept(IDS, "cafe", nameless, activity_id="a")["object"]


def test_a_quote_is_approved_with_a_stamp() -> None:
    request = {
        "id": "https://social.example/q/1",
        "type": "QuoteRequest",
        "actor": FOLLOW["actor"],
        "object": NOTE["id"],
        "instrument": {"id": "https://social.example/14", "type": "Note"},
    }
    stamp = documents.quote_authorization(
        IDS, "cafe", "q-1", quote="https://social.example/14", quoted=NOTE["id"]
    )
    accept = documents.accept(IDS, "cafe", request, activity_id="a", result=stamp["id"])
    assert accept["result"] == "https://cafe.example/ap/cafe/authorizations/q-1"
    assert accept["object"] == request | {"instrument": "https://social.example/14"}
    assert (stamp["attributedTo"], stamp["interactionTarget"]) == (ME, NOTE["id"])


# ── collections ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("total", "last"), [(0, 1), (1, 1), (20, 1), (21, 2), (41, 3)])
def test_an_outbox_has_pages_of_twenty(total: int, last: int) -> None:
    outbox = documents.outbox(IDS, "cafe", total)
    assert (outbox["totalItems"], outbox["first"]) == (total, f"{ME}/outbox/pages/1")
    assert outbox["last"] == f"{ME}/outbox/pages/{last}"
    pages = [documents.outbox_page(IDS, "cafe", number, [], total) for number in range(1, last + 1)]
    assert [page.get("next") for page in pages] == [page["id"] for page in pages[1:]] + [None]
    assert [page.get("prev") for page in pages] == [None] + [page["id"] for page in pages[:-1]]


def test_followers_are_a_number_with_an_empty_page() -> None:
    followers = documents.followers_collection(IDS, "cafe", 1200)
    assert followers["totalItems"] == 1200
    assert followers["first"] == f"{ME}/followers/pages/1"
    assert {"items", "orderedItems"}.isdisjoint(followers)


def test_featured_posts_are_strings() -> None:
    assert documents.featured(IDS, "cafe", [NOTE["id"]])["orderedItems"] == [NOTE["id"]]


# ── content ──────────────────────────────────────────────────────────────────────────────────────


def test_content_is_title_body_link_and_hashtags() -> None:
    content = documents.compose_content(
        "Cake & tea",
        "https://cafe.example/cake/?a=1&b=2",
        "<p>Yes.</p>",
        [("Cake", "https://cafe.example/t/")],
    )
    assert content == (
        '<p><a href="https://cafe.example/cake/?a=1&amp;b=2">Cake &amp; tea</a></p>'
        "<p>Yes.</p>"
        '<p><a href="https://cafe.example/cake/?a=1&amp;b=2">cafe.example/cake/?a=1&amp;b=2</a></p>'
        '<p><a href="https://cafe.example/t/" class="mention hashtag" rel="tag">#<span>Cake</span></a></p>'
    )


@pytest.mark.parametrize(
    ("title", "page", "expected"),
    [
        ("", None, "<p>x</p>"),
        ("T", None, "<p><strong>T</strong></p><p>x</p>"),
        ("", "https://a.example/", '<p>x</p><p><a href="https://a.example/">a.example</a></p>'),
    ],
)
def test_what_is_missing_leaves_no_empty_paragraph(title: str, page: str | None, expected: str) -> None:
    assert documents.compose_content(title, page, "<p>x</p>", []) == expected


def test_a_long_link_is_shown_short_and_readable() -> None:
    content = documents.compose_content("", "https://a.example/caf%C3%A9/" + "x" * 100, "", [])
    assert ">a.example/café/xxx" in content
    assert "…</a>" in content
    assert ">a.example/%E2%80%AEx</a>" in documents.compose_content(
        "", "https://a.example/%E2%80%AEx", "", []
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))


@unhurried
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_title_or_tag_smuggles_in_html(title: str, tag: str) -> None:
    parser = _Tags()
    parser.feed(
        documents.compose_content(
            title, f"https://a.example/{tag}", "", [(tag, f"https://a.example/{title}")]
        )
    )
    allowed = {("p", ()), ("strong", ()), ("a", ("href",)), ("a", ("href", "class", "rel")), ("span", ())}
    assert set(parser.tags) <= allowed


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("web", "web"),
        ("#web", "web"),
        ("Web Dev", "WebDev"),
        ("web dev", "WebDev"),
        ("open source software", "OpenSourceSoftware"),
        ("node.js", "NodeJs"),
        ("C++", "C"),
        ("don't panic", "DontPanic"),
        ("Über uns", "ÜberUns"),
        ("crème brûlée", "CrèmeBrûlée"),
        ("日本語", "日本語"),
        ("हिन्दी", "हिन्दी"),
        ("2024", None),
        ("٢٠٢٤", None),
        ("2024 recap", "2024Recap"),
        ("snake_case", "snake_case"),
        ("_private_", "private"),
        ("___", None),
        ("☕️", None),
        ("☕️ coffee", "coffee"),
        ("", None),
        (" ", None),
        ("<b>", "b"),
        ("a" * 200, "a" * 100),
    ],
)
def test_a_category_becomes_a_hashtag(label: str, name: str | None) -> None:
    assert documents.hashtag(label) == name


@unhurried
@given(st.text(max_size=30))
def test_a_hashtag_stays_the_hashtag_it_is(label: str) -> None:
    name = documents.hashtag(label)
    assert name is None or (documents.hashtag(name) == name and not re.search(r"[\s#<>&\"']", name))


def test_documents_are_written_compactly() -> None:
    assert documents.encode({"a": ["ü", 1]}) == '{"a":["ü",1]}'.encode()


def test_a_full_post_stays_within_what_takahe_takes() -> None:
    full = {
        **_fields(PARTS),
        "content": "ü" * 9_000,
        "tags": ("Cake",) * 5,
        "attachments": PARTS.attachments * 4,
    }
    note = documents.note(IDS, NoteParts(**full))
    create = documents.create(IDS, "cafe", note, activity_id="c")
    assert len(documents.encode(create)) < documents.MAX_ACTIVITY_BYTES
