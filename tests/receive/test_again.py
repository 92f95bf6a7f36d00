"""The same act under the same id: done, taken back, done again, late, replayed, and spelt in many ways."""

import json
from collections.abc import Iterator
from datetime import timedelta

import http_signing
import pytest
from fake_peer import PLEROMA, Document, Person
from http_signing import CAVAGE, RFC9421, rsa_key
from lab import CAFE, INBOX, SHARED_INBOX, Lab
from sqlalchemy import text

from bridge.activitypub.ids import Ids


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


Request = tuple[bytes, dict[str, str]]


def signed(lab: Lab, who: Person, said: Document, *, ago: float = 0, scheme: str = CAVAGE) -> Request:
    """Sign something now, or some seconds ago, without sending it."""
    body, when = json.dumps(said).encode(), lab.services.now() - timedelta(seconds=ago)
    return body, http_signing.sign(scheme, who.key, who.key_id, "POST", INBOX, body, when)


def send(lab: Lab, request: Request) -> None:
    assert lab.bridge.post(INBOX, *request) == 202
    lab.work()


def acts(lab: Lab, who: Person) -> dict[str, Document]:
    uri = lab.uri(lab.publish())
    return {
        "Like": who.like(uri),
        "EmojiReact": who.like(uri, type="EmojiReact", content="🥐"),
        "Announce": who.boost(uri),
        "Follow": who.follow(CAFE),
    }


def standing(lab: Lab) -> set[str]:
    kinds = {"boost": "Announce", "like": "Like"}
    did = {"EmojiReact" if one["emoji"] else kinds[one["kind"]] for one in lab.interactions()}
    return did | ({"Follow"} if lab.followers() else set())


# Steps: D(o), U(ndo), then how many seconds ago each was signed. "=": the very same request once more.
HISTORIES = [
    ("D0", True),
    ("D0 U0", False),
    ("D0 U0 D0", True),
    ("D0 U0 D0 U0", False),
    ("D0 U0 D0 U0 D0", True),
    ("D0 D0 U0", False),
    ("U0 U0 D0 U0", False),
    ("U0 D5", False),  # the original was signed before its Undo, and comes after it
    ("D0 U0 D5", False),  # one more try of the original, signed before the Undo
    ("U0 D5 D0", True),  # … and then it is done again
    ("D0 U0 =0", False),
    ("D0 U0 D0 =0", True),
    ("D0 U0 D0 U0 =0", False),
    ("D0 U0 D0 U0 =2", False),
]


@pytest.mark.parametrize(("history", "expected"), HISTORIES)
def test_what_counts_is_what_was_said_last(lab: Lab, history: str, expected: bool) -> None:
    """The table of states, for likes, emojis, boosts and follows alike."""
    alice = lab.peer().person()
    every = acts(lab, alice)
    undos = {kind: alice.undo(act) for kind, act in every.items()}  # each with one id, too, as servers do
    sent: list[list[Request]] = []
    for step in history.split():
        lab.wait(seconds=10)
        what, number = step[0], int(step[1:])
        said = every if what == "D" else undos
        new = [signed(lab, alice, one, ago=number * 3) for one in said.values()]
        sent.append(sent[number] if what == "=" else new)
        for request in sent[-1]:
            assert lab.bridge.post(INBOX, *request) == 202
        lab.work()
    assert standing(lab) == (set(every) if expected else set())


def test_the_first_after_an_undo_is_the_original_tried_again_except_a_follow(
    lab: Lab,
) -> None:
    """Servers sign anew at each try. But whoever follows and does not follow yet is let in."""
    alice = lab.peer().person()
    every = acts(lab, alice)
    for expected in (set(), {"Follow"}, set(every)):
        for act in every.values():
            send(lab, signed(lab, alice, act if expected or standing(lab) else alice.undo(act)))
        lab.wait(seconds=10)
        assert standing(lab) == expected


def test_a_signature_with_created_says_when_too(lab: Lab) -> None:
    alice = lab.peer().person()
    like = acts(lab, alice)["Like"]
    for said, ago, expected in ((like, 0, 1), (alice.undo(like), 0, 0), (like, 15, 0), (like, 0, 1)):
        lab.wait(seconds=10)
        send(lab, signed(lab, alice, said, ago=ago, scheme=RFC9421))
        assert len(lab.interactions()) == expected


def test_like_unlike_like_may_come_in_one_breath(lab: Lab) -> None:
    alice = lab.peer().person()
    like = acts(lab, alice)["Like"]
    for said in (like, alice.undo(like), like):
        lab.wait(seconds=1)
        assert alice.send(said, INBOX) == 202
        if said is like and not lab.interactions():
            lab.receive()  # the first took effect already: the door has seen its id
    lab.work()
    assert len(lab.interactions()) == 1


def test_an_undo_tried_again_takes_nothing_back_that_was_done_under_another_id(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    first, second = alice.like(uri), alice.like(uri)
    undo = alice.undo(first)
    for said in (first, undo, second, undo):
        lab.wait(seconds=5)
        alice.send(said, INBOX)
        lab.work()
    assert [one["activity_id"] for one in lab.interactions()] == [second["id"]]


def test_a_follow_that_comes_again_after_a_block_or_a_rejection_is_accepted(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = lab.follow(alice)
    block = alice.block(CAFE)
    for said in (block, follow, block, follow):  # all under their old ids
        lab.wait(seconds=5)
        alice.send(said, INBOX)
        lab.work()
        assert (lab.follower_ids() == {alice.id}) is (said is follow)


def test_a_neighbour_cannot_use_up_an_id(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    like = acts(lab, alice)["Like"]
    mallory.send(mallory.like(CAFE) | {"id": like["id"]}, INBOX)
    mallory.send(mallory.undo({"id": like["id"]}, by_id=True), INBOX)
    lab.work()
    alice.send(like, INBOX)
    lab.work()
    assert [one["actor_id"] for one in lab.interactions()] == [alice.id]


# ── one thing, however it is spelt ─────────────────────────────────────────────────────────────────


def spellings(uri: str) -> list[str]:
    """Spell an address of ours in every way that means the same."""
    scheme, _, rest = uri.partition("://")
    authority, _, path = rest.partition("/")
    last = path.rpartition("/")[2]
    encoded = [f"{last[:n]}%{ord(last[n]):02x}{last[n + 1 :]}" for n in range(min(len(last), 12))]
    encoded += ["".join(f"%{ord(c):02X}" for c in last), f"%{ord(last[0]):02X}{last[1:]}"]
    paths = [
        path,
        path + "/",
        path + "//",
        path + "?x=1",
        path + "?",
        path + "#x",
        path + "/#",
        path + "/?a#b",
    ]
    paths += [path.removesuffix(last) + spelt for spelt in encoded]
    paths += [path.replace("posts", "p%6fsts").replace("ap/", "%61p/", 1)]
    authorities = [authority, authority.upper(), authority.title()]
    return [f"{s}://{a}/{p}" for s in (scheme, scheme.upper()) for a in authorities for p in paths]


def test_one_person_counts_once_however_they_spell_a_post(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    for spelt in spellings(uri):
        for said in (alice.like(spelt), alice.boost(spelt)):
            assert alice.send(said, INBOX) == 202
    lab.work()
    assert [(one["kind"], one["object_key"]) for one in lab.interactions()] == [("like", uri), ("boost", uri)]
    shown = lab.bridge.get(uri)[1]
    assert shown["likes"]["totalItems"] == shown["shares"]["totalItems"] == 1
    undone = {"type": "Like", "actor": alice.id, "object": spellings(uri)[-1], "id": f"{alice.id}#unknown"}
    alice.send(alice.undo(undone), INBOX)
    lab.work()
    assert [one["kind"] for one in lab.interactions()] == ["boost"]


@pytest.mark.parametrize("number", range(0, 100, 13))
def test_a_reply_a_quote_and_a_follow_find_us_however_we_are_spelt(lab: Lab, number: int) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    every = spellings(uri)
    spelt = every[number % len(every)]
    alice.send(alice.create(alice.note(spelt, "Yum")), INBOX)
    alice.send(alice.quote_request(spelt, f"{alice.id}/statuses/quote"), INBOX)
    followable = spellings(CAFE)
    follow = alice.follow(followable[number % len(followable)])
    alice.send(follow, INBOX)
    lab.work()
    reply, quote = lab.interactions()
    assert (reply["kind"], reply["in_reply_to"], quote["kind"]) == ("reply", uri, "quote")
    assert lab.follower_ids() == {alice.id}
    alice.send(alice.undo(follow | {"id": f"{alice.id}#unknown", "object": followable[-1]}), INBOX)
    lab.work()
    assert lab.followers() == []


@pytest.mark.parametrize(
    "other",
    [
        "http://cafe.example/ap/cafe", "https://cafe.example:444/ap/cafe", "https://user@cafe.example/ap/cafe",
        "https://cafe.example.evil/ap/cafe", "https://cafe.example./ap/cafe", "//cafe.example/ap/cafe",
        "https://cafe.example/AP/cafe", "https://cafe.example/ap//cafe", "https://cafe.example/ap/%00",
        "https://cafe.example/ap/%ff%0a", "https://cafe.example:8o80/ap/cafe", "https://[cafe]/ap/cafe",
        "ap/cafe", "https://cafe.example/ap%2Fcafe", "", "https://",
    ],
)  # fmt: skip
def test_another_address_is_another_thing(other: str) -> None:
    assert Ids("https://cafe.example").parts(other) != ("ap", "cafe")


def test_a_name_in_an_address_that_no_database_stores_changes_nothing(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.publish()
    for odd in ("%00", "%0a", "%ff", "%ED%A0%80", "a" * 1500, "%2561bc", "..", "%2e%2e"):
        assert alice.send(alice.like(f"{CAFE}/posts/{odd}"), INBOX) == 202
    lab.work()
    assert lab.interactions() == []
    assert {state for _, state, _ in lab.arrivals()} == {"done"}


# ── likes and emojis ──────────────────────────────────────────────────────────────────────────────


def test_a_like_and_each_emoji_of_a_person_are_acts_of_their_own_and_one_person(lab: Lab) -> None:
    alice = lab.peer(software=PLEROMA).person()
    uri = lab.uri(lab.publish())
    like = alice.like(uri)
    bun, heart = (alice.like(uri, type="EmojiReact", content=emoji) for emoji in "🥐💛")
    for said in (like, bun, heart):
        alice.send(said, INBOX)
    lab.work()
    assert [one["emoji"] for one in lab.interactions()] == [None, "🥐", "💛"]
    assert lab.bridge.get(uri)[1]["likes"]["totalItems"] == 1
    alice.send(alice.undo(bun), INBOX)
    lab.work()
    assert [one["emoji"] for one in lab.interactions()] == [None, "💛"]
    alice.send(alice.undo(like | {"id": f"{alice.id}#forgotten"}), INBOX)
    lab.work()
    assert [one["emoji"] for one in lab.interactions()] == ["💛"]
    alice.send(alice.undo(heart | {"id": f"{alice.id}#forgotten-too"}), INBOX)
    lab.work()
    assert lab.interactions() == []


def test_a_person_puts_ten_emojis_to_a_post_at_most(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    for number in (*range(30), 3):
        alice.send(alice.like(uri, type="EmojiReact", content=f":bun{number}:"), SHARED_INBOX)
        lab.work()  # of strangers' arrivals the newest goes first
    assert [one["emoji"] for one in lab.interactions()] == [f":bun{number}:" for number in range(10)]


def test_likes_stored_under_other_spellings_by_an_older_version_can_be_taken_back(lab: Lab) -> None:
    alice = lab.peer().person()
    like = acts(lab, alice)["Like"]
    alice.send(like, INBOX)
    lab.work()
    with lab.store.write() as tx:
        tx.execute(text("UPDATE interactions SET object_key = 'odd', object_hash = 'odd'"))
    lab.wait(seconds=5)
    alice.send(alice.undo(like), INBOX)
    lab.work()
    assert lab.interactions() == []
