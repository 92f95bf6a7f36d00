"""Followers, remote actors and what they did with our posts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from rows import actor, add_follower, add_post, news, publish

from bridge.model import DeliveryState, RemoteKey
from bridge.store import delivery_reports, followers, interactions, leases, remote
from bridge.store.followers import NewFollower
from bridge.store.interactions import NewInteraction

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def follow(tx, who, *, clock, state="accepted", site="cafe", follow_id="https://one.example/f/1"):
    return followers.save(tx, NewFollower(site, who, "one.example", state, follow_id), now=clock.now())


# ── followers ────────────────────────────────────────────────────────────────────────────────────


def test_a_follower_comes_back_with_where_to_reach_them(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        assert followers.find(tx, "cafe", ann.id) is None
        assert follow(tx, ann, clock=clock) == "accepted"
        found = followers.find(tx, "cafe", ann.id)
    assert (found.inbox, found.shared_inbox) == (ann.inbox, ann.shared_inbox)
    assert (found.state, found.followed_at) == ("accepted", clock.now())
    assert found.follow_id == "https://one.example/f/1"
    assert found.handle == ann.id  # until we have seen the actor


def test_a_follower_is_shown_by_their_handle_once_we_have_seen_them(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        follow(tx, ann, clock=clock)
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        assert followers.find(tx, "cafe", ann.id).handle == "@ann@one.example"


def test_following_again_keeps_one_row_the_first_date_and_the_newest_follow(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        follow(tx, ann, clock=clock)
        first = clock.now()
        clock.tick(HOUR)
        moved = replace(ann, inbox="https://one.example/new")
        follow(tx, moved, follow_id="https://one.example/f/2", clock=clock)
        (found,) = followers.listing(tx)
    assert (found.followed_at, found.follow_id) == (first, "https://one.example/f/2")
    assert found.inbox == "https://one.example/new"


@pytest.mark.parametrize(
    ("before", "asked", "after"),
    [
        ("accepted", "pending", "accepted"),
        ("pending", "pending", "pending"),
        ("pending", "accepted", "accepted"),
    ],
)
def test_who_was_accepted_once_stays_accepted(cafe, clock, before, asked, after):
    with cafe.write() as tx:
        follow(tx, actor("ann"), state=before, clock=clock)
        assert follow(tx, actor("ann"), state=asked, clock=clock) == after


def test_a_pending_follower_counts_when_the_owner_says_yes(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        follow(tx, ann, state="pending", clock=clock)
        assert followers.count(tx, "cafe") == 0
        followers.accept(tx, "cafe", ann.id)
        assert followers.count(tx, "cafe") == 1
        assert followers.count(tx, "bakery") == 0


def test_followers_are_listed_newest_first_by_site_and_state(cafe, clock):
    with cafe.write() as tx:
        follow(tx, actor("ann"), clock=clock)
        clock.tick(MINUTE)
        follow(tx, actor("ben"), state="pending", clock=clock)
        follow(tx, actor("cat"), site="bakery", clock=clock)
        names = {
            "all": followers.listing(tx),
            "cafe": followers.listing(tx, "cafe"),
            "pending": followers.listing(tx, "cafe", state="pending"),
        }
    shown = {key: [one.actor_id.rpartition("/")[2] for one in found] for key, found in names.items()}
    assert shown == {"all": ["cat", "ben", "ann"], "cafe": ["ben", "ann"], "pending": ["ben"]}


def test_a_follower_leaves_one_site_or_all(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        for site in ("cafe", "bakery"):
            follow(tx, ann, site=site, clock=clock)
        assert followers.remove(tx, ann.id, site="cafe", reason="unfollowed", now=clock.now()) == 1
        assert [one.site for one in followers.listing(tx)] == ["bakery"]
        assert followers.remove(tx, ann.id, reason="gone", now=clock.now()) == 1
        assert followers.remove(tx, ann.id, reason="gone", now=clock.now()) == 0
        assert followers.listing(tx) == []


def test_a_leaving_follower_takes_only_their_own_deliveries_along(cafe, clock):
    with cafe.write() as tx:
        ann = add_follower(tx, "ann", shared=False, now=clock.now())
        add_follower(tx, "ben", shared=False, now=clock.now())
        publish(tx, news(), now=clock.now())
        followers.remove(tx, ann.id, reason="unfollowed", now=clock.now())
        (left,) = delivery_reports.report(tx, state=DeliveryState.DROPPED)
    assert left.inbox == ann.inbox


def test_a_follower_whose_server_moved_their_inbox_is_reached_there(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        for site in ("cafe", "bakery"):
            follow(tx, ann, site=site, clock=clock)
        moved = replace(ann, inbox="https://new.example/ann", shared_inbox=None)
        followers.relocate(tx, moved, "new.example")
        publish(tx, news(), now=clock.now())
        (row,) = delivery_reports.report(tx)
        assert (row.inbox, row.host) == ("https://new.example/ann", "new.example")
        assert followers.find(tx, "bakery", ann.id).inbox == "https://new.example/ann"


def test_the_people_behind_an_inbox_are_found_by_shared_and_by_own_inbox(cafe, clock):
    with cafe.write() as tx:
        ann = add_follower(tx, "ann", now=clock.now())
        ben = add_follower(tx, "ben", now=clock.now())
        dora = add_follower(tx, "dora", shared=False, now=clock.now())
        add_follower(tx, "ann", site="bakery", now=clock.now())
        assert sorted(followers.actors_behind(tx, "https://one.example/inbox")) == [ann.id, ben.id]
        assert followers.actors_behind(tx, dora.inbox) == [dora.id]
        assert followers.actors_behind(tx, ann.inbox) == [ann.id]
        assert followers.actors_behind(tx, "https://two.example/inbox") == []
        assert len(followers.actors_behind(tx, "https://one.example/inbox", limit=1)) == 1


# ── remote actors ────────────────────────────────────────────────────────────────────────────────


def test_an_actor_comes_back_as_last_seen(cafe, clock):
    seen = {"name": "Ann", "icon": "https://one.example/a.png", "also_known_as": ("https://old.example/ann",)}
    ann = replace(actor("ann"), **seen)
    with cafe.write() as tx:
        assert remote.actor(tx, ann.id) is None
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        assert remote.actor(tx, ann.id) == (ann, clock.now())
        renamed = replace(ann, name="Anna", also_known_as=())
        remote.save_actor(tx, renamed, "one.example", now=clock.tick(HOUR))
        assert remote.actor(tx, ann.id) == (renamed, clock.now())


def test_a_look_that_is_owed_is_leased_until_it_is_settled(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        remote.owe(tx, ann.id, "gone", due_at=clock.now() + MINUTE)
        assert remote.claim_errands(tx, 9, now=clock.now()) == []
        (errand,) = remote.claim_errands(tx, 9, now=clock.tick(MINUTE))
        assert (errand.actor, errand.why, errand.misses) == (ann, "gone", 0)
        assert remote.claim_errands(tx, 9, now=clock.now()) == []
        assert len(remote.claim_errands(tx, 9, now=clock.tick(leases.LEASE))) == 1
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        assert remote.claim_errands(tx, 9, now=clock.tick(DAY)) == []


def test_looking_in_vain_is_counted_when_the_server_says_there_is_nobody(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        remote.owe(tx, ann.id, "gone", due_at=clock.now())
        for missed in (True, False, True):
            remote.claim_errands(tx, 9, now=clock.now())
            remote.postpone(tx, ann.id, due_at=clock.now(), missed=missed)
        (errand,) = remote.claim_errands(tx, 9, now=clock.now())
        assert errand.misses == 2
        remote.save_actor(tx, ann, "one.example", now=clock.now())  # there they are
        assert remote.claim_errands(tx, 9, now=clock.tick(DAY)) == []


def test_nothing_is_owed_to_an_actor_we_do_not_know(cafe, clock):
    with cafe.write() as tx:
        remote.owe(tx, "https://one.example/users/nobody", "changed", due_at=clock.now())
        assert remote.claim_errands(tx, 9, now=clock.now()) == []


def test_a_key_is_cached_and_replaced_by_a_newer_one(cafe, clock):
    ann = actor("ann")
    first = RemoteKey(f"{ann.id}#main-key", ann.id, "PEM 1")
    with cafe.write() as tx:
        assert remote.key(tx, first.id) is None
        remote.save_key(tx, first, now=clock.now(), fresh_for=10 * MINUTE)
        remote.save_key(tx, replace(first, pem="PEM 2"), now=clock.tick(HOUR), fresh_for=10 * MINUTE)
        cached = remote.key(tx, first.id)
    assert (cached.actor_id, cached.pem, cached.error) == (ann.id, "PEM 2", None)
    assert (cached.fetched_at, cached.retry_at) == (clock.now(), clock.now() + 10 * MINUTE)


def test_a_missing_key_is_remembered_with_the_reason_until_it_is_found(cafe, clock):
    key_id = "https://one.example/users/ann#main-key"
    with cafe.write() as tx:
        remote.save_missing_key(tx, key_id, None, "410 Gone", now=clock.now(), pause=DAY)
        missing = remote.key(tx, key_id)
        assert (missing.pem, missing.error, missing.retry_at) == (None, "410 Gone", clock.now() + DAY)
        found = RemoteKey(key_id, "https://one.example/users/ann", "PEM")
        remote.save_key(tx, found, now=clock.now(), fresh_for=MINUTE)
        assert (remote.key(tx, key_id).pem, remote.key(tx, key_id).error) == ("PEM", None)


def test_erasing_an_actor_erases_their_keys(cafe, clock):
    ann = actor("ann")
    with cafe.write() as tx:
        assert not remote.knows(tx, ann.id)
        remote.save_actor(tx, ann, "one.example", now=clock.now())
        remote.save_key(tx, RemoteKey("k", ann.id, "PEM"), now=clock.now(), fresh_for=MINUTE)
        assert remote.knows(tx, ann.id)
        remote.forget_actor(tx, ann.id)
        assert remote.actor(tx, ann.id) is None
        assert remote.key(tx, "k") is None
        assert not remote.knows(tx, ann.id)


@pytest.mark.parametrize("how", ["key", "follower", "interaction"])
def test_we_know_an_actor_by_anything_that_is_stored_of_them(cafe, clock, how):
    ann = actor("ann")
    with cafe.write() as tx:
        if how == "key":
            remote.save_key(tx, RemoteKey("k", ann.id, "PEM"), now=clock.now(), fresh_for=MINUTE)
        elif how == "follower":
            follow(tx, ann, clock=clock)
        else:
            did(tx, "like", ann, add_post(tx, now=clock.now()), clock=clock)
        assert remote.knows(tx, ann.id)


def sweep(tx, before, limit=2):
    for purge in (remote.purge_actors, remote.purge_keys):
        after = ""
        while after is not None:
            after = purge(tx, before=before, after=after, limit=limit)


def test_strangers_are_forgotten_in_time_and_people_who_matter_are_not(cafe, clock):
    people = {name: actor(name) for name in ("follower", "replier", "liker", "stranger", "owed", "recent")}
    with cafe.write() as tx:
        for name, who in people.items():
            seen_at = clock.now() + (DAY if name == "recent" else timedelta())
            remote.save_actor(tx, who, "one.example", now=seen_at)
            remote.save_key(tx, RemoteKey(name, who.id, "PEM"), now=seen_at, fresh_for=MINUTE)
        remote.save_missing_key(tx, "nobody", None, "404", now=clock.now(), pause=MINUTE)
        follow(tx, people["follower"], clock=clock)
        did(tx, "reply", people["replier"], add_post(tx, now=clock.now()), clock=clock)
        did(tx, "like", people["liker"], add_post(tx, "p2", now=clock.now()), clock=clock)
        remote.owe(tx, people["owed"].id, "changed", due_at=clock.now())
        sweep(tx, clock.tick(HOUR))
        kept = {name for name, who in people.items() if remote.actor(tx, who.id)}
        keys = {name for name in [*people, "nobody"] if remote.key(tx, name)}
    assert kept == keys == {"follower", "replier", "owed", "recent"}


# ── interactions ─────────────────────────────────────────────────────────────────────────────────


def did(tx, kind, who, pk, *, clock, thing="https://cafe.example/ap/cafe/posts/p1", public=True, **more):
    new = NewInteraction("cafe", pk, kind, who.id, thing, more.pop("activity_id", None), public, **more)
    interactions.save(tx, new, now=clock.now())


def test_doing_the_same_twice_counts_once(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for emoji in (None, "☕"):
            did(tx, "like", actor("ann"), pk, emoji=emoji, clock=clock)
        did(tx, "boost", actor("ann"), pk, clock=clock)
        did(tx, "like", actor("ben"), pk, clock=clock)
        assert interactions.counts(tx, pk) == {"like": 2, "boost": 1}
        assert interactions.totals(tx) == {"like": 2, "boost": 1}


def test_only_public_interactions_are_counted_for_a_post(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        did(tx, "reply", actor("ann"), pk, thing="https://one.example/1", public=False, clock=clock)
        assert interactions.counts(tx, pk) == {}
        assert interactions.reply_ids(tx, pk) == []
        assert interactions.totals(tx) == {"reply": 1}


def test_several_posts_are_counted_at_once(cafe, clock):
    with cafe.write() as tx:
        first, second = add_post(tx, "p1", now=clock.now()), add_post(tx, "p2", now=clock.now())
        did(tx, "like", actor("ann"), first, thing="1", clock=clock)
        did(tx, "like", actor("ann"), second, thing="2", clock=clock)
        did(tx, "boost", actor("ann"), second, thing="2", clock=clock)
        found = interactions.counts_by_id(tx, "cafe", ["p1", "p2", "p3"])
        assert interactions.counts_by_id(tx, "bakery", ["p1"]) == {}
        assert interactions.counts_by_id(tx, "cafe", []) == {}
    assert found == {"p1": {"like": 1}, "p2": {"like": 1, "boost": 1}}


def test_replies_are_listed_oldest_first(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for number in (2, 1, 3):
            did(tx, "reply", actor("ann"), pk, thing=f"https://one.example/{number}", clock=clock)
            clock.tick(MINUTE)
        assert [one[-1] for one in interactions.reply_ids(tx, pk)] == ["2", "1", "3"]
        assert len(interactions.reply_ids(tx, pk, limit=2)) == 2


def test_an_edited_reply_keeps_its_place(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        did(tx, "reply", actor("ann"), pk, thing="https://one.example/1", content="a", clock=clock)
        clock.tick(MINUTE)
        did(tx, "reply", actor("ben"), pk, thing="https://one.example/2", clock=clock)
        clock.tick(MINUTE)
        did(tx, "reply", actor("ann"), pk, thing="https://one.example/1", content="b", clock=clock)
        assert [one[-1] for one in interactions.reply_ids(tx, pk)] == ["1", "2"]


def test_only_its_author_can_edit_or_delete_a_reply(cafe, clock):
    ann, eve, thing = actor("ann"), actor("eve"), "https://one.example/1"
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        did(tx, "reply", ann, pk, thing=thing, content="mine", clock=clock)
        assert interactions.revise_reply(tx, eve.id, thing, content="hers", warning=None, public=True) == 0
        assert interactions.remove_reply(tx, eve.id, thing) == 0
        assert (
            interactions.revise_reply(tx, ann.id, thing, content="mine!", warning="Cake", public=False) == 1
        )
        assert interactions.counts(tx, pk) == {}
        assert interactions.remove_reply(tx, ann.id, thing) == 1
        assert interactions.totals(tx) == {}


def test_an_interaction_is_taken_back_by_what_it_was_or_by_the_activitys_id(cafe, clock):
    ann, eve = actor("ann"), actor("eve")
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        did(tx, "like", ann, pk, thing="p1", activity_id="https://one.example/like", clock=clock)
        did(tx, "boost", ann, pk, thing="p1", activity_id="https://one.example/boost", clock=clock)
        assert interactions.remove(tx, "like", eve.id, "p1") == 0
        assert interactions.remove(tx, "like", ann.id, "p1") == 1
        assert interactions.remove_activity(tx, eve.id, "https://one.example/boost") == 0
        assert interactions.remove_activity(tx, ann.id, "https://one.example/boost") == 1
        assert interactions.totals(tx) == {}


def test_erasing_an_actor_erases_everything_they_did(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for kind in ("like", "boost"):
            did(tx, kind, actor("ann"), pk, clock=clock)
        did(tx, "like", actor("ben"), pk, clock=clock)
        assert interactions.forget_actor(tx, actor("ann").id) == 2
        assert interactions.totals(tx) == {"like": 1}


def test_a_reply_leads_to_the_post_its_thread_belongs_to(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        did(tx, "reply", actor("ann"), pk, thing="https://one.example/1", clock=clock)
        assert interactions.post_of_reply(tx, "https://one.example/1") == ("cafe", pk)
        assert interactions.post_of_reply(tx, "https://one.example/2") is None
