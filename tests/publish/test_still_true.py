"""What is given up for good and what is sent again: news that is no longer true stays where it is."""

from collections.abc import Callable, Iterator

import pytest
from fake_peer import GOTOSOCIAL, Person
from http_signing import rsa_key
from lab import BAKERY, CAFE, INBOX, Lab
from rows import OBJECT, actor, add_follower, add_post, claim, news, publish, queue

from bridge.model import Delivered, DeliveryState, Drop, DropCause, PostState
from bridge.publish.posts import delete_post
from bridge.publish.send_again import send_again
from bridge.receive import effects
from bridge.store import deliveries, delivery_reports, followers, interactions, outgoing, posts, remote
from bridge.store.interactions import NewInteraction

PENDING, DROPPED = DeliveryState.PENDING, DeliveryState.DROPPED


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def follower_on(lab: Lab, name: str = "gts.example", target: str = CAFE) -> Person:
    """Let someone follow whose server has no shared inbox, and forget the Accept."""
    person = lab.peer(name, GOTOSOCIAL).person()
    lab.follow(person, target)
    person.peer.received.clear()
    return person


def retry(lab: Lab, **chosen: object) -> int:
    with lab.store.write() as tx:
        return send_again(
            tx, lab.services, **(chosen or {"host": lab.deliveries()[-1].host}), now=lab.clock.now()
        )


def in_one_transaction(lab: Lab, act: Callable[..., None], person: Person) -> None:
    with lab.store.write() as tx:
        follower = followers.find(tx, "cafe", person.id)
        assert follower is not None
        act(tx, lab.services, follower, now=lab.clock.now())


# ── an answer reaches who asked ──────────────────────────────────────────────────────────────────


def test_a_reject_reaches_a_server_without_a_shared_inbox(make_services, clock, database) -> None:
    with Lab(make_services, clock, database=database, site="approve_followers = true") as lab:
        alice = follower_on(lab)
        in_one_transaction(lab, effects.reject, alice)
        lab.deliver()
        assert alice.peer.types == ["Reject"]
        assert alice.peer.received[0].activity["object"]["actor"] == alice.id
        assert lab.followers() == []


def test_someone_who_is_removed_hears_nothing_more_but_the_reject(lab: Lab) -> None:
    alice = follower_on(lab)
    alice.peer.go_down()
    lab.publish()
    lab.deliver()
    in_one_transaction(lab, effects.reject, alice)
    alice.peer.come_back()
    lab.wait(hours=1)
    lab.deliver()
    assert alice.peer.types == ["Reject"]


def test_a_reject_is_sent_though_who_they_are_was_forgotten(lab: Lab) -> None:
    alice = follower_on(lab)
    with lab.store.write() as tx:
        remote.forget_actor(tx, alice.id)
    in_one_transaction(lab, effects.reject, alice)
    lab.deliver()
    assert alice.peer.types == ["Reject"]


def test_the_accept_of_who_left_is_not_sent_and_those_of_others_are(lab: Lab) -> None:
    alice = lab.peer(software=GOTOSOCIAL).person()
    lab.poll()
    follow = alice.follow(CAFE)
    alice.send(follow, INBOX)
    lab.receive()
    alice.send(alice.undo(follow), INBOX)
    lab.receive()
    (left,) = lab.deliveries()
    assert (left.type, left.state, left.reason) == ("Accept", DROPPED, "they unfollowed")


@pytest.mark.parametrize("kind", ["Accept", "Reject", "Delete"])
def test_what_is_owed_to_an_inbox_is_sent_after_its_last_follower_left(cafe, clock, kind) -> None:
    with cafe.write() as tx:
        ann = add_follower(tx, "ann", shared=False, now=clock.now())
        queue(tx, ann.inbox, news(kind), now=clock.now())
        queue(tx, ann.inbox, news("Update", OBJECT + "2"), now=clock.now())
        followers.remove(tx, ann.id, reason="unfollowed", now=clock.now())
        assert [one.type for one in delivery_reports.report(tx, state=PENDING)] == [kind]


@pytest.mark.parametrize("bond", ["reply", "mention"])
def test_an_edit_is_still_owed_to_who_answered_or_is_mentioned(cafe, clock, bond) -> None:
    with cafe.write() as tx:
        tag = [{"type": "Mention", "href": actor("zoe").id}] if bond == "mention" else []
        pk = add_post(tx, now=clock.now(), note={"type": "Note", "tag": tag})
        zoe = add_follower(tx, "zoe", now=clock.now())
        remote.save_actor(tx, zoe, "one.example", now=clock.now())
        if bond == "reply":
            reply = NewInteraction("cafe", pk, "reply", zoe.id, f"{zoe.id}/1", None, public=True)
            interactions.save(tx, reply, now=clock.now())
        publish(tx, news("Update", post_pk=pk), now=clock.now())
        followers.remove(tx, zoe.id, reason="unfollowed", now=clock.now())
        assert [one.type for one in delivery_reports.report(tx, state=PENDING)] == ["Update"]


def test_a_deletion_reaches_an_inbox_that_may_have_taken_the_post_without_saying_so(cafe, clock) -> None:
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        ann = add_follower(tx, "ann", now=clock.now())
        publish(tx, news(post_pk=pk), now=clock.now())
        (row,) = claim(tx, now=clock.now())
        given_up = Drop("no answer in 15 s; given up after 13 attempts", cause=DropCause.EXHAUSTED)
        deliveries.settle(tx, [(row, given_up)], now=clock.now())
        followers.remove(tx, ann.id, reason="unfollowed", now=clock.now())
        assert publish(tx, news("Delete", post_pk=pk), now=clock.now()) == 1


# ── sending again ────────────────────────────────────────────────────────────────────────────────


def given_up(lab: Lab, person: Person) -> None:
    """Have what waits for someone given up for their server's sake."""
    person.peer.inbox_status = 400
    lab.deliver()
    person.peer.inbox_status = 202


def test_what_the_peer_did_not_take_is_sent_again(lab: Lab) -> None:
    alice = follower_on(lab)
    post = lab.publish()
    given_up(lab, alice)
    assert retry(lab, object_uri=lab.uri(post)) == 1
    lab.deliver()
    assert alice.peer.types == ["Create"]


@pytest.mark.parametrize("failed", [False, True], ids=["never sent", "refused"])
def test_a_deleted_post_does_not_come_back(lab: Lab, failed: bool) -> None:
    alice = follower_on(lab)
    post = lab.publish()
    if failed:
        given_up(lab, alice)
    with lab.store.write() as tx:
        delete_post(tx, lab.services, post, now=lab.clock.now())
    lab.deliver()
    before = list(alice.peer.types)
    assert retry(lab) == 0
    lab.deliver()
    assert alice.peer.types == before
    assert "Create" not in before


@pytest.mark.parametrize(
    "state", [s for s in PostState if s not in (PostState.PUBLISHED, PostState.BASELINE)]
)
def test_a_post_that_is_not_public_is_not_sent_again(cafe, clock, state: PostState) -> None:
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(post_pk=pk), now=clock.now())
        deliveries.settle(tx, [(row, Drop("no", 400)) for row in claim(tx, now=clock.now())], now=clock.now())
        if state in (PostState.DELETED, PostState.WITHDRAWN):
            posts.bury(tx, pk, state=state, now=clock.now())
        else:
            tx.exec_driver_sql(f"UPDATE posts SET state = '{state}'")
        assert outgoing.retry(tx, host="one.example", now=clock.now()) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [("Create", "Delete"), ("Update", "Update"), ("Update", "Delete"), ("Reject", "Accept"),
     ("Accept", "Reject"), ("Accept", "Accept"), ("Add", "Remove"), ("Remove", "Add")],
)  # fmt: skip
def test_what_something_newer_overrides_is_not_sent_again(cafe, clock, old: str, new: str) -> None:
    inbox = "https://one.example/inbox"
    with cafe.write() as tx:
        queue(tx, inbox, news(old), now=clock.now())
        deliveries.settle(tx, [(row, Drop("no", 400)) for row in claim(tx, now=clock.now())], now=clock.now())
        queue(tx, inbox, news(new, version="2"), now=clock.now())
        deliveries.settle(tx, [(row, Delivered(202)) for row in claim(tx, now=clock.now())], now=clock.now())
        assert outgoing.retry(tx, host="one.example", now=clock.now()) == 0


@pytest.mark.parametrize("cause", list(DropCause))
def test_only_what_failed_for_the_peers_sake_is_sent_again(cafe, clock, cause: DropCause) -> None:
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        rows = claim(tx, now=clock.now())
        deliveries.settle(tx, [(row, Drop("in words", cause=cause)) for row in rows], now=clock.now())
        is_theirs = cause in ("refused", "exhausted", "gone", "quarantined")
        assert outgoing.retry(tx, host="one.example", now=clock.now()) == is_theirs


def test_who_left_is_not_sent_again_what_their_server_once_refused(lab: Lab) -> None:
    alice = follower_on(lab)
    post = lab.publish()
    given_up(lab, alice)
    follow = {"id": lab.followers()[0].follow_id, "type": "Follow", "actor": alice.id, "object": CAFE}
    alice.send(alice.undo(follow), INBOX)
    lab.receive()
    assert retry(lab, object_uri=lab.uri(post)) == 0


def test_an_old_answer_does_not_come_after_a_newer_one(make_services, clock, database) -> None:
    with Lab(make_services, clock, database=database, site="approve_followers = true") as lab:
        alice = follower_on(lab)
        alice.peer.inbox_status = 400
        in_one_transaction(lab, effects.reject, alice)
        lab.deliver()
        alice.peer.inbox_status = 202
        lab.follow(alice)
        in_one_transaction(lab, effects.approve, alice)
        lab.deliver()
        assert retry(lab) == 0
        lab.deliver()
        assert alice.peer.types == ["Accept"]


def test_an_accept_that_was_refused_is_sent_again_while_they_follow(lab: Lab) -> None:
    alice = lab.peer(software=GOTOSOCIAL).person()
    alice.peer.inbox_status = 400
    lab.follow(alice)
    alice.peer.inbox_status = 202
    assert retry(lab) == 1
    lab.deliver()
    assert alice.peer.types == ["Accept"]


def test_an_edited_post_is_sent_again_as_it_is_now(lab: Lab) -> None:
    alice = follower_on(lab)
    post = lab.publish(text="Tpyo")
    given_up(lab, alice)
    lab.edit("Typo")
    lab.deliver()
    alice.peer.received.clear()
    assert retry(lab, object_uri=lab.uri(post)) == 1
    lab.deliver()
    (create,) = alice.peer.received
    assert create.type == "Create"
    assert "Typo" in create.activity["object"]["content"]


# ── one site's word is not another's ─────────────────────────────────────────────────────────────


def test_leaving_one_site_costs_nothing_of_another(make_services, clock, database) -> None:
    with Lab(make_services, clock, database=database, more=BAKERY) as lab:
        alice = follower_on(lab)
        bob = alice.peer.person("bob", rsa_key(1))
        lab.follow(bob, CAFE.replace("cafe", "bakery"))
        lab.follow(alice, CAFE.replace("cafe", "bakery"))
        in_one_transaction(lab, effects.reject, alice)
        assert lab.follower_ids("bakery") == {alice.id, bob.id}
        assert lab.follower_ids("cafe") == set()
