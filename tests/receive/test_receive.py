"""What other servers send us takes effect, once, and only what its sender may say."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization as forms
from fake_peer import GOTOSOCIAL, MASTODON, MISSKEY, PLEROMA, PUBLIC, Software
from http_signing import CAVAGE, RFC9421, ed25519_key, rsa_key
from lab import BAKERY, CAFE, INBOX, SHARED_INBOX, Lab

from bridge.activitypub.keys import multibase
from bridge.model import DeliveryState
from bridge.receive import effects


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


# ── following ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("software", [MASTODON, MISSKEY, PLEROMA, GOTOSOCIAL], ids=lambda kind: kind.name)
def test_a_follow_is_answered_with_an_accept(lab: Lab, software: Software) -> None:
    alice = lab.peer(software=software).person()
    follow = alice.follow(CAFE)
    assert alice.send(follow, INBOX) == 202
    lab.work()
    (accept,) = alice.peer.received
    assert accept.activity["type"] == "Accept"
    assert accept.activity["actor"] == CAFE
    assert accept.activity["id"].startswith(f"{CAFE}/activities/")
    embedded = accept.activity["object"]
    assert {key: embedded[key] for key in ("id", "type", "actor", "object")} == {
        key: follow[key] for key in ("id", "type", "actor", "object")
    }
    assert "@context" not in embedded
    assert alice.peer.url + accept.path == alice.inbox
    assert [(f.actor_id, f.state) for f in lab.followers()] == [(alice.id, "accepted")]


def test_a_follower_and_their_accept_are_stored_together(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.send(alice.follow(CAFE), INBOX)
    lab.receive()
    assert lab.follower_ids() == {alice.id}
    assert [(d.type, d.inbox, d.state) for d in lab.deliveries()] == [
        ("Accept", alice.inbox, DeliveryState.PENDING)
    ]


@pytest.mark.parametrize("scheme", [CAVAGE, RFC9421])
def test_a_follow_signed_either_way_is_taken(lab: Lab, scheme: str) -> None:
    alice = lab.peer().person()
    assert alice.send(alice.follow(CAFE), INBOX, scheme=scheme) == 202
    lab.work()
    assert alice.peer.types == ["Accept"]


def test_a_follow_to_the_shared_inbox_reaches_the_site_it_names(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.send(alice.follow(CAFE), SHARED_INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_the_same_follow_again_is_accepted_again(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = lab.follow(alice)
    lab.wait(minutes=3)
    alice.send(follow, INBOX)
    lab.work()
    first, second = alice.peer.received
    assert first.activity["object"] == second.activity["object"]
    assert first.activity["id"] != second.activity["id"]
    assert len(lab.followers()) == 1


def test_a_new_follow_with_another_id_is_accepted_under_that_id(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    again = lab.follow(alice)
    assert alice.peer.received[-1].activity["object"]["id"] == again["id"]
    assert [f.follow_id for f in lab.followers()] == [again["id"]]


def test_the_very_same_request_twice_is_one_arrival(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = alice.follow(CAFE)
    assert [alice.send(follow, INBOX) for _ in range(5)] == [202] * 5
    lab.work()
    assert len(lab.arrivals()) == 1
    assert alice.peer.types == ["Accept"]


@pytest.mark.parametrize(
    "target", [f"{CAFE}/", "http://localhost:8000/@cafe", "https://cafe.example/", "https://cafe.example"]
)
def test_a_follow_may_name_the_profile_or_end_in_a_slash(lab: Lab, target: str) -> None:
    alice = lab.peer().person()
    follow = lab.follow(alice, target)
    assert lab.follower_ids() == {alice.id}
    assert alice.peer.received[0].activity["object"]["object"] == follow["object"]


def test_a_follow_may_embed_whom_it_follows(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.send(alice.follow(CAFE) | {"object": {"id": CAFE, "type": "Service"}}, INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_a_follow_of_an_actor_we_do_not_have_changes_nothing(lab: Lab) -> None:
    alice = lab.peer().person()
    assert alice.send(alice.follow("http://localhost:8000/ap/nobody"), INBOX) == 202
    lab.work()
    assert lab.followers() == []
    assert alice.peer.knocks == []


def test_a_stranger_may_follow_two_sites_in_one_breath(make_services, clock) -> None:
    with Lab(make_services, clock, more=BAKERY) as lab:
        alice = lab.peer().person()
        for site in ("cafe", "bakery"):
            alice.send(alice.follow(lab.ids.actor(site)), INBOX)
        lab.work()
        assert sorted(f.site for f in lab.followers(None)) == ["bakery", "cafe"]
        assert alice.peer.types == ["Accept", "Accept"]


def test_an_actor_may_follow_two_sites(make_services, clock) -> None:
    with Lab(make_services, clock, more=BAKERY) as lab:
        alice = lab.peer().person()
        bakery = lab.ids.actor("bakery")
        lab.follow(alice)
        lab.follow(alice, bakery)
        assert [accept.activity["actor"] for accept in alice.peer.received] == [CAFE, bakery]
        assert lab.follower_ids("cafe") == lab.follower_ids("bakery") == {alice.id}
        alice.send(alice.undo(alice.follow(bakery)), SHARED_INBOX)
        lab.work()
        assert lab.follower_ids("cafe") == {alice.id}
        assert lab.follower_ids("bakery") == set()


def test_who_follows_leaves_and_follows_in_one_breath_follows(lab: Lab) -> None:
    alice = lab.peer().person()
    first, second = alice.follow(CAFE), alice.follow(CAFE)
    for activity in (first, alice.undo(first), second):
        alice.send(activity, INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}
    assert alice.peer.received[-1].activity["object"]["id"] == second["id"]


def test_a_stranger_may_like_and_follow_in_one_breath(lab: Lab) -> None:
    post = lab.publish()
    alice = lab.peer().person()
    alice.send(alice.like(lab.ids.post("cafe", post.id)), INBOX)
    alice.send(alice.follow(CAFE), INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_a_follow_that_waits_is_accepted_though_the_key_came_with_something_else(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.status = 503
    alice.send(alice.follow(CAFE), INBOX)
    lab.work()
    alice.status = 200
    alice.send(alice.boost("https://other.example/post"), INBOX)
    lab.work()
    lab.wait(minutes=2)
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_the_last_answer_is_the_one_that_arrives(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.peer.go_down()
    alice.send(alice.follow(CAFE), INBOX)
    lab.receive()
    with lab.store.write() as tx:
        effects.reject(tx, lab.services, lab.followers()[0], now=lab.clock.now())
    alice.peer.come_back()
    lab.work()
    assert alice.peer.types == ["Accept", "Reject"]


def test_a_followers_shared_inbox_is_remembered(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    (follower,) = lab.followers()
    assert (follower.inbox, follower.shared_inbox) == (alice.inbox, alice.peer.shared_inbox)


def test_a_follower_whose_server_is_down_for_a_moment_is_accepted_later(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = alice.follow(CAFE)
    alice.peer.go_down()
    assert alice.send(follow, INBOX) == 202
    lab.work()
    assert lab.followers() == []
    alice.peer.come_back()
    lab.wait(minutes=2)
    lab.work()
    assert alice.peer.types == ["Accept"]
    assert lab.follower_ids() == {alice.id}


def test_a_follow_from_a_server_that_never_answers_is_given_up_with_a_reason(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.peer.go_down()
    alice.send(alice.follow(CAFE), INBOX)
    for _ in range(12):
        lab.receive()
        lab.wait(hours=13)
    ((kind, state, why),) = lab.arrivals()
    assert (kind, state) == ("Follow", "refused")
    assert "connection refused" in why
    assert "given up after" in why


# ── unfollowing, in every order ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("software", [MASTODON, MISSKEY, PLEROMA, GOTOSOCIAL], ids=lambda kind: kind.name)
@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "embedded"])
def test_an_undo_ends_a_follow(lab: Lab, software: Software, by_id: bool) -> None:
    alice = lab.peer(software=software).person()
    follow = lab.follow(alice)
    assert alice.send(alice.undo(follow, by_id=by_id), INBOX) == 202
    lab.work()
    assert lab.followers() == []


def test_an_undo_of_a_follow_whose_id_we_never_saw_ends_it(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.send(alice.undo(alice.follow(CAFE)), INBOX)
    lab.work()
    assert lab.followers() == []


def test_a_follow_that_comes_after_its_undo_has_no_effect(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = alice.follow(CAFE)
    alice.send(alice.undo(follow), INBOX)
    lab.work()
    alice.send(follow, INBOX)
    lab.work()
    assert lab.followers() == []
    assert alice.peer.knocks == []


def test_who_left_may_come_back(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.send(alice.undo(lab.follow(alice)), INBOX)
    lab.work()
    lab.follow(alice)
    assert lab.follower_ids() == {alice.id}
    assert alice.peer.types == ["Accept", "Accept"]


def test_nobody_can_undo_what_someone_else_did(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    follow = lab.follow(alice)
    forged = mallory.undo(follow)
    assert mallory.send(forged, INBOX) == 401
    mallory.send(mallory.undo(follow, by_id=True), INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_a_block_ends_the_follow(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.send(alice.block(CAFE), INBOX)
    lab.work()
    assert lab.followers() == []
    lab.publish()
    assert lab.deliver() == 0


def test_what_waits_for_someone_who_left_is_dropped_with_the_reason(lab: Lab) -> None:
    alice = lab.peer().person()
    follow = lab.follow(alice)
    lab.publish()
    alice.send(alice.undo(follow), INBOX)
    lab.receive()
    assert lab.deliver() == 0
    assert [(d.type, d.reason) for d in lab.deliveries(DeliveryState.DROPPED)] == [
        ("Create", "they unfollowed")
    ]


# ── manual approval ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def choosy(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, site="approve_followers = true") as lab:
        yield lab


def test_a_follower_who_waits_gets_nothing_until_approved(choosy: Lab) -> None:
    alice = choosy.peer().person()
    follow = choosy.follow(alice)
    assert [f.state for f in choosy.followers()] == ["pending"]
    choosy.publish()
    assert choosy.deliver() == 0
    assert alice.peer.knocks == []
    with choosy.store.write() as tx:
        effects.approve(tx, choosy.services, choosy.followers()[0], now=choosy.services.now())
    choosy.deliver()
    choosy.publish("After the approval")
    choosy.deliver()
    assert alice.peer.types == ["Accept", "Create"]
    embedded = alice.peer.received[0].activity["object"]
    assert embedded == {key: follow[key] for key in ("id", "type", "actor", "object")}


def test_a_follower_may_be_turned_away(choosy: Lab) -> None:
    alice = choosy.peer().person()
    follow = choosy.follow(alice)
    with choosy.store.write() as tx:
        effects.reject(tx, choosy.services, choosy.followers()[0], now=choosy.services.now())
    choosy.deliver()
    assert alice.peer.types == ["Reject"]
    assert alice.peer.received[0].activity["object"]["id"] == follow["id"]
    assert choosy.followers() == []


def test_someone_who_asks_twice_waits_once(choosy: Lab) -> None:
    alice = choosy.peer().person()
    choosy.follow(alice)
    choosy.follow(alice)
    assert [f.state for f in choosy.followers()] == ["pending"]


# ── accounts that change, move and end ────────────────────────────────────────────────────────────


def test_a_deleted_account_takes_everything_with_it(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    post = lab.publish()
    alice.send(alice.like(lab.uri(post)), INBOX)
    alice.send(alice.create(alice.note(lab.uri(post), "Yum")), INBOX)
    lab.receive()
    assert len(lab.interactions()) == 2
    alice.send(alice.delete(alice.id), INBOX)
    lab.receive()
    assert lab.followers() == []
    assert lab.interactions() == []


def test_the_delete_of_a_stranger_is_absorbed_without_asking_anyone(lab: Lab) -> None:
    alice = lab.peer().person()
    alice.status = 410
    assert alice.send(alice.delete(alice.id), SHARED_INBOX) == 202
    assert lab.receive() == 0
    assert alice.peer.gets == []
    assert lab.arrivals() == []


def test_a_delete_whose_key_is_gone_for_good_is_believed(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.status, alice.key = 410, rsa_key(1)  # deleted: whatever it is signed with, there is no key left
    lab.wait(hours=1)
    assert alice.send(alice.delete(alice.id), INBOX) == 202
    lab.receive()
    assert lab.followers() == []


def test_a_delete_whose_key_is_only_missing_changes_nothing(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.status, alice.key = 404, rsa_key(1)
    lab.wait(hours=1)
    assert alice.send(alice.delete(alice.id), INBOX) == 202
    lab.receive()
    assert lab.follower_ids() == {alice.id}


def test_an_update_of_an_actor_is_only_a_hint_to_look(lab: Lab) -> None:
    peer = lab.peer()
    alice = peer.person()
    lab.follow(alice)
    alice.changes = {"inbox": f"{peer.url}/new/inbox", "endpoints": {}}
    claimed = alice.document() | {"inbox": "https://victim.example/inbox"}
    alice.send(alice.update(claimed), INBOX)
    lab.work()
    (follower,) = lab.followers()
    assert (follower.inbox, follower.shared_inbox) == (f"{peer.url}/new/inbox", None)


def test_a_follower_who_moves_stays_and_the_new_account_follows_by_itself(lab: Lab) -> None:
    old, new = lab.peer().person(), lab.peer("new.example").person("alice", rsa_key(1))
    lab.follow(old)
    new.changes, old.changes = {"alsoKnownAs": [old.id]}, {"movedTo": new.id}
    old.send(old.move(new.id), INBOX)
    lab.work()
    assert lab.follower_ids() == {old.id}
    lab.publish()
    lab.deliver()
    assert (old.peer.types, new.peer.types) == (["Accept", "Create"], [])
    lab.follow(new)
    assert lab.follower_ids() == {old.id, new.id}
    old.send(old.undo(old.follow(CAFE)), INBOX)
    lab.work()
    assert lab.follower_ids() == {new.id}


def test_a_move_sends_us_to_nobody(lab: Lab) -> None:
    old, victim = lab.peer().person(), lab.peer("new.example").person("victim", rsa_key(1))
    lab.follow(old)
    old.changes = {"movedTo": victim.id}
    old.send(old.move(victim.id), INBOX)
    lab.work()
    assert lab.follower_ids() == {old.id}
    assert victim.peer.gets == []


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/users/alice", "https://10.0.0.1/alice", "http://localhost:8000/ap/cafe"]
)
def test_a_move_to_a_private_address_leads_nowhere(lab: Lab, target: str) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.changes = {"movedTo": target}
    alice.send(alice.move(target), INBOX)
    lab.work()
    assert lab.follower_ids() == {alice.id}


# ── what people do with posts ─────────────────────────────────────────────────────────────────────


def test_a_like_a_boost_and_a_reply_are_stored(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    for said in (
        alice.like(uri),
        alice.boost(uri),
        alice.create(alice.note(uri, "Lovely <script>x</script>")),
    ):
        assert alice.send(said, INBOX) == 202
        lab.receive()
    like, boost, reply = lab.interactions()
    assert [like["kind"], boost["kind"], reply["kind"]] == ["like", "boost", "reply"]
    assert all(one["actor_id"] == alice.id and one["public"] for one in (like, boost, reply))
    assert "Lovely" in reply["content"]
    assert "script" not in reply["content"]
    _, shown = lab.bridge.get(uri)
    assert shown["likes"]["totalItems"] == shown["shares"]["totalItems"] == 1


def test_the_same_like_again_counts_once(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    for _ in range(3):
        alice.send(alice.like(uri), INBOX)
    lab.receive()
    assert len(lab.interactions()) == 1


@pytest.mark.parametrize("software", [MASTODON, MISSKEY], ids=lambda kind: kind.name)
@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "embedded"])
def test_a_like_can_be_taken_back(lab: Lab, software: Software, by_id: bool) -> None:
    alice = lab.peer(software=software).person()
    like = alice.like(lab.uri(lab.publish()))
    alice.send(like, INBOX)
    lab.receive()
    assert len(lab.interactions()) == 1
    alice.send(alice.undo(like, by_id=by_id), INBOX)
    lab.receive()
    assert lab.interactions() == []


def test_a_like_that_comes_after_its_undo_does_not_count(lab: Lab) -> None:
    alice = lab.peer().person()
    like = alice.like(lab.uri(lab.publish()))
    alice.send(alice.undo(like), INBOX)
    lab.receive()
    alice.send(like, INBOX)
    lab.receive()
    assert lab.interactions() == []


def test_misskeys_reaction_keeps_its_emoji(lab: Lab) -> None:
    alice = lab.peer("misskey.example", MISSKEY).person()
    alice.send(alice.like(lab.uri(lab.publish())), INBOX)
    lab.receive()
    assert [(one["kind"], one["emoji"]) for one in lab.interactions()] == [("like", "🥐")]


@pytest.mark.parametrize(
    "to",
    [[CAFE], ["https://mastodon.example/users/alice/followers"], []],
    ids=["direct", "followers", "no one"],
)
def test_a_reply_that_is_not_public_is_never_shown(lab: Lab, to: list[str]) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    note = alice.note(uri, "For your eyes only", to=to, cc=[])
    alice.send(alice.create(note), INBOX)
    lab.receive()
    assert not any(one["public"] for one in lab.interactions())
    assert note["id"] not in str(lab.bridge.get(f"{uri}/replies"))


def test_a_private_note_in_a_public_create_stays_private(lab: Lab) -> None:
    alice = lab.peer().person()
    note = alice.note(lab.uri(lab.publish()), "For you", to=[CAFE], cc=[])
    alice.send(alice.create(note) | {"to": [PUBLIC]}, INBOX)
    lab.receive()
    assert [one["public"] for one in lab.interactions()] == [0]


def test_a_public_note_in_a_private_create_stays_private(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    note = alice.note(uri, "For you")
    alice.send(alice.create(note) | {"to": [CAFE], "cc": []}, INBOX)
    lab.receive()
    assert [one["public"] for one in lab.interactions()] == [0]
    assert note["id"] not in str(lab.bridge.get(f"{uri}/replies"))


@pytest.mark.parametrize("hidden", ["the note", "the update"])
def test_a_reply_that_ceases_to_be_public_is_no_longer_shown(lab: Lab, hidden: str) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    note = alice.note(uri, "For all")
    alice.send(alice.create(note), INBOX)
    lab.receive()
    assert note["id"] in str(lab.bridge.get(f"{uri}/replies"))
    private: dict[str, list[str]] = {"to": [CAFE], "cc": []}
    update = alice.update(note | private if hidden == "the note" else note)
    alice.send(update | private if hidden == "the update" else update | {"to": [PUBLIC]}, INBOX)
    lab.receive()
    assert [one["public"] for one in lab.interactions()] == [0]
    assert note["id"] not in str(lab.bridge.get(f"{uri}/replies"))


def test_a_boost_that_is_not_public_is_not_counted(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    alice.send(alice.boost(uri, to=[f"{alice.id}/followers"], cc=[]), INBOX)
    lab.receive()
    assert lab.bridge.get(uri)[1]["shares"]["totalItems"] == 0


def test_a_reply_to_a_reply_belongs_to_the_thread(lab: Lab) -> None:
    peer = lab.peer()
    alice, bob = peer.person("alice"), peer.person("bob", rsa_key(1))
    uri = lab.uri(lab.publish())
    first = alice.note(uri, "First")
    second = bob.note(first["id"], "Second")
    alice.send(alice.create(first), INBOX)
    lab.receive()
    bob.send(bob.create(second), SHARED_INBOX)
    lab.receive()
    assert [one["object_key"] for one in lab.interactions()] == [first["id"], second["id"]]
    assert lab.bridge.get(f"{uri}/replies")[1]["items"] == [first["id"], second["id"]]


def test_a_post_that_is_no_reply_to_us_is_not_kept(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.publish()
    for parent in (None, "https://elsewhere.example/posts/1", f"{CAFE}/posts/unknown"):
        assert alice.send(alice.create(alice.note(parent, "Hello")), SHARED_INBOX) == 202
    lab.receive()
    assert lab.interactions() == []


def test_a_vote_is_no_reply(lab: Lab) -> None:
    alice = lab.peer().person()
    vote = alice.note(lab.uri(lab.publish()), "", name="Buns", content=None)
    alice.send(alice.create(vote), INBOX)
    lab.receive()
    assert lab.interactions() == []


def test_an_author_may_edit_and_delete_their_reply(lab: Lab) -> None:
    alice = lab.peer().person()
    note = alice.note(lab.uri(lab.publish()), "Goood")
    alice.send(alice.create(note), INBOX)
    lab.receive()
    note["content"] = "<p>Good</p>"
    alice.send(alice.update(note), INBOX)
    lab.receive()
    assert [one["content"] for one in lab.interactions()] == ["<p>Good</p>"]
    alice.send(alice.delete(note), INBOX)
    lab.receive()
    assert lab.interactions() == []


@pytest.mark.parametrize("after", ["Sourdough, at length", "", None])
def test_a_replys_warning_is_kept_changed_and_erased_with_it(lab: Lab, after: str | None) -> None:
    alice = lab.peer().person()
    note = alice.note(lab.uri(lab.publish()), "It sinks") | {
        "summary": "How the cake ends",
        "sensitive": True,
    }
    alice.send(alice.create(note), INBOX)
    lab.receive()
    assert [one["warning"] for one in lab.interactions()] == ["How the cake ends"]
    alice.send(alice.update(note | {"summary": after}), INBOX)
    lab.receive()
    assert [one["warning"] for one in lab.interactions()] == [after or None]
    alice.send(alice.delete(alice.id), INBOX)
    lab.receive()
    assert lab.interactions() == []


def test_a_reply_that_comes_after_its_deletion_is_not_stored(lab: Lab) -> None:
    alice = lab.peer().person()
    note = alice.note(lab.uri(lab.publish()), "Oops")
    alice.send(alice.delete(note), INBOX)
    lab.receive()
    alice.send(alice.create(note), INBOX)
    lab.receive()
    assert lab.interactions() == []


def test_what_comes_in_one_breath_takes_effect_in_order(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    alice.send(alice.like(uri), INBOX)
    lab.receive()
    notes = [alice.note(uri, f"Number {number}") for number in range(12)]
    for note in notes:
        alice.send(alice.create(note), INBOX)
    lab.receive()
    assert [one["object_key"] for one in lab.interactions()[1:]] == [note["id"] for note in notes]


def test_nobody_else_may_edit_or_delete_a_reply(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    note = alice.note(lab.uri(lab.publish()), "Good")
    alice.send(alice.create(note), INBOX)
    lab.receive()
    forged = note | {"content": "<p>Bad</p>"}
    assert mallory.send(mallory.update(forged), INBOX) == 401
    mallory.send(mallory.update(forged | {"attributedTo": mallory.id}), INBOX)
    mallory.send(mallory.delete(note), INBOX)
    mallory.send(mallory.undo({"id": f"{note['id']}/activity"}, by_id=True), INBOX)
    lab.receive()
    assert [(one["actor_id"], one["content"]) for one in lab.interactions()] == [(alice.id, "<p>Good</p>")]


# ── whose signature is it? ────────────────────────────────────────────────────────────────────────


def test_an_activity_signed_by_someone_else_is_refused(lab: Lab) -> None:
    peer = lab.peer()
    alice, mallory = peer.person("alice"), peer.person("mallory", rsa_key(1))
    uri = lab.uri(lab.publish())
    said = [alice.follow(CAFE), alice.like(uri), alice.boost(uri), alice.create(alice.note(uri, "x"))]
    said += [
        alice.block(CAFE),
        alice.undo(alice.follow(CAFE)),
        alice.move("https://x.example/"),
    ]
    for activity in said:
        alice.send(activity, INBOX, key=mallory.key, key_id=mallory.key_id)
    lab.work()
    assert lab.followers() == []
    assert lab.interactions() == []
    assert {state for _, state, _ in lab.arrivals()} == {"refused"}
    assert len(lab.arrivals()) == len(said)
    assert peer.knocks == []


def test_an_activity_signed_with_a_key_of_another_server_is_refused_at_the_door(lab: Lab) -> None:
    alice, mallory = lab.peer().person("alice"), lab.peer("evil.example").person("mallory", rsa_key(1))
    activity = alice.follow(CAFE)
    assert alice.send(activity, INBOX, key=mallory.key, key_id=mallory.key_id) == 401
    assert lab.receive() == 0
    assert alice.peer.gets == mallory.peer.gets == []


def test_a_wrong_signature_by_a_known_key_is_refused(lab: Lab) -> None:
    alice = lab.peer().person()
    assert alice.send(alice.follow(CAFE), INBOX, key=rsa_key(1)) == 202
    lab.work()
    assert [state for _, state, _ in lab.arrivals()] == ["refused"]
    assert lab.followers() == []


def test_an_ed25519_key_in_assertion_methods_is_understood(lab: Lab) -> None:

    alice = lab.peer().person(key=ed25519_key())
    key_id = f"{alice.id}#ed25519-key"
    pem = ed25519_key().private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    multikey = {"id": key_id, "type": "Multikey", "controller": alice.id}
    multikey["publicKeyMultibase"] = multibase(pem.decode())
    alice.changes = {"assertionMethod": [multikey], "publicKey": None}
    assert alice.send(alice.follow(CAFE), INBOX, scheme=RFC9421, key_id=key_id) == 202
    lab.work()
    assert lab.follower_ids() == {alice.id}


def test_one_poisoned_arrival_does_not_stop_the_others(lab: Lab) -> None:
    peer = lab.peer()
    people = [peer.person(f"p{number}") for number in range(6)]
    peer.documents["/users/p2"] = {"id": f"{peer.url}/users/p2", "type": "Person", "inbox": ["\ud800"]}
    for person in people:
        person.send(person.follow(CAFE), INBOX)
    lab.work()
    assert lab.follower_ids() == {person.id for person in people if person.user != "p2"}


def test_what_has_no_effect_leaves_no_trace(lab: Lab) -> None:
    alice = lab.peer().person()
    for kind in ("View", "Add", "Dislike", "Listen"):
        strange = alice.follow(CAFE) | {"type": kind}
        assert alice.send(strange, SHARED_INBOX) == 202
    assert lab.receive() == 0
    assert lab.arrivals() == []
    assert alice.peer.gets == []
