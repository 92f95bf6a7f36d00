from datetime import timedelta

import pytest
from databases import at_once, opened
from rows import (
    OBJECT,
    actor,
    add_follower,
    add_post,
    claim,
    news,
    publish,
    queue,
)

from bridge.model import Delivered, DeliveryState, Drop, Retry
from bridge.store import (
    deliveries,
    delivery_reports,
    followers,
    interactions,
    leases,
    outgoing,
    peers,
    remote,
)
from bridge.store.interactions import NewInteraction
from bridge.store.peers import Peer

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def inboxes(rows):
    return sorted(row.inbox for row in rows)


def states(tx, object_uri=None):
    """What the owner sees: (type, inbox, state), in the order it was queued."""
    return [
        (r.type, r.inbox, str(r.state)) for r in reversed(delivery_reports.report(tx, object_uri=object_uri))
    ]


def settle(tx, rows, decision, *, now):
    deliveries.settle(tx, [(row, decision) for row in rows], now=now)


# ── fan-out ──────────────────────────────────────────────────────────────────────────────────────


def test_followers_behind_one_shared_inbox_get_one_delivery(cafe, clock):
    with cafe.write() as tx:
        for name in ("ann", "ben", "cat"):
            add_follower(tx, name, now=clock.now())
        add_follower(tx, "dora", "two.example", shared=False, now=clock.now())
        assert publish(tx, news(), now=clock.now()) == 2
        assert inboxes(delivery_reports.report(tx)) == [
            "https://one.example/inbox",
            "https://two.example/users/dora/inbox",
        ]


def test_followers_who_wait_for_approval_get_nothing(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", state=followers.PENDING, now=clock.now())
        assert publish(tx, news(), now=clock.now()) == 0


def test_followers_of_another_site_get_nothing(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", site="bakery", now=clock.now())
        assert publish(tx, news(), now=clock.now()) == 0


def test_an_activity_fanned_out_twice_is_delivered_once(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        pk = outgoing.add_activity(tx, news(), now=clock.now())
        assert outgoing.fan_out(tx, pk, news(), now=clock.now()) == 1
        assert outgoing.fan_out(tx, pk, news(), now=clock.now()) == 0
        assert outgoing.deliver_to(tx, pk, news(), "https://one.example/inbox", "one.example",
                                     now=clock.now()) == 0  # fmt: skip


def test_inboxes_that_are_left_out_get_nothing(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        add_follower(tx, "ben", "two.example", now=clock.now())
        assert publish(tx, news(), now=clock.now(), leave_out=["https://one.example/inbox"]) == 1
        assert inboxes(delivery_reports.report(tx)) == ["https://two.example/inbox"]


def replied(tx, pk, name, host, *, clock):
    who = actor(name, host)
    remote.save_actor(tx, who, host, now=clock.now())
    reply = NewInteraction("cafe", pk, "reply", who.id, f"{who.id}/1", None, public=True)
    interactions.save(tx, reply, now=clock.now())


@pytest.mark.parametrize(("kind", "expected"), [("Create", 1), ("Update", 2), ("Delete", 2)])
def test_edits_and_deletions_also_reach_people_who_replied_without_following(cafe, clock, kind, expected):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        add_follower(tx, "ann", now=clock.now())
        replied(tx, pk, "zoe", "far.example", clock=clock)
        assert publish(tx, news(kind, post_pk=pk), now=clock.now()) == expected
        assert ("https://far.example/inbox" in inboxes(delivery_reports.report(tx))) == (expected == 2)


@pytest.mark.parametrize(("kind", "expected"), [("Update", []), ("Delete", ["https://one.example/inbox"])])
def test_a_deletion_reaches_every_inbox_that_took_the_post_even_if_its_follower_left(
    cafe, clock, kind, expected
):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        ann = add_follower(tx, "ann", now=clock.now())
        publish(tx, news(post_pk=pk), now=clock.now())
        settle(tx, claim(tx, now=clock.now()), Delivered(202), now=clock.now())
        followers.remove(tx, ann.id, reason="unfollowed", now=clock.now())
        publish(tx, news(kind, post_pk=pk), now=clock.now())
        assert inboxes(claim(tx, now=clock.now())) == expected


def test_a_profile_update_goes_to_followers_only(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        add_follower(tx, "ann", now=clock.now())
        replied(tx, pk, "zoe", "far.example", clock=clock)
        profile = news("Update", "https://cafe.example/ap/cafe")
        assert publish(tx, profile, now=clock.now()) == 1


def test_news_for_a_failing_host_starts_in_the_slow_lane_after_its_breaker(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        add_follower(tx, "ben", "two.example", now=clock.now())
        peers.save(tx, Peer("one.example", failures=5, open_until=clock.now() + HOUR))
        peers.save(tx, Peer("two.example", failures=1))
        publish(tx, news(), now=clock.now())
        assert claim(tx, now=clock.now()) == []
        assert inboxes(claim(tx, lane="slow", now=clock.now())) == ["https://two.example/inbox"]
        later = clock.tick(HOUR)
        assert inboxes(claim(tx, lane="slow", now=later, busy=["two.example"])) == [
            "https://one.example/inbox"
        ]


def test_an_activity_is_known_by_its_id_and_its_newest_bytes_are_served(cafe, clock):
    with cafe.write() as tx:
        new = news()
        assert outgoing.activity_body(tx, new.uri) is None
        outgoing.add_activity(tx, new, now=clock.now())
        newer = news(version="")
        object.__setattr__(newer, "body", b"newer")
        outgoing.add_activity(tx, newer, now=clock.now())
        assert outgoing.activity_body(tx, new.uri) == b"newer"


# ── claiming ─────────────────────────────────────────────────────────────────────────────────────


def test_a_claimed_delivery_comes_with_everything_that_sending_needs(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        (row,) = claim(tx, now=clock.now())
    assert (row.site, row.inbox, row.host) == ("cafe", "https://one.example/inbox", "one.example")
    assert (row.type, row.object_uri, row.body) == ("Create", OBJECT, b"Create")
    assert (row.attempts, row.losses, row.first_attempt_at) == (1, 0, clock.now())


def test_a_claimed_delivery_is_not_claimed_again_before_its_lease_ends(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        assert len(claim(tx, now=clock.now())) == 1
        assert claim(tx, now=clock.tick(leases.LEASE - timedelta(seconds=1))) == []
        (again,) = claim(tx, now=clock.tick(timedelta(seconds=1)))
    assert (again.attempts, again.losses) == (2, 1)
    assert again.first_attempt_at == clock.now() - leases.LEASE


def test_a_settled_retry_counts_as_no_loss(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        due_at = clock.now() + HOUR
        settle(tx, claim(tx, now=clock.now()), Retry(due_at, "503: not now", 503), now=clock.now())
        assert claim(tx, lane="slow", now=due_at - MINUTE) == []
        (again,) = claim(tx, lane="slow", now=due_at)
    assert (again.attempts, again.losses) == (2, 0)


def test_what_is_due_first_is_claimed_first(cafe, clock):
    with cafe.write() as tx:
        for number in (3, 1, 2):
            queued_at = clock.now() + number * MINUTE
            queue(tx, f"https://{number}.example/inbox", now=queued_at)
        now = clock.tick(HOUR)
        assert [row.host for row in claim(tx, 1, now=now)] == ["1.example"]
        assert [row.host for row in claim(tx, 1, now=now)] == ["2.example"]
        assert [row.host for row in claim(tx, 1, now=now)] == ["3.example"]


def test_the_news_of_an_object_reaches_an_inbox_in_order(cafe, clock):
    inbox = "https://one.example/inbox"
    with cafe.write() as tx:
        for kind in ("Create", "Update", "Delete"):
            queue(tx, inbox, news(kind), now=clock.now())
        for expected in ("Create", "Update", "Delete"):
            (row,) = claim(tx, now=clock.now())
            assert row.type == expected
            assert claim(tx, now=clock.now()) == []
            settle(tx, [row], Delivered(202), now=clock.now())


def test_the_order_holds_while_a_create_waits_for_its_retry(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://one.example/inbox", news("Delete"), now=clock.now())
        rows = claim(tx, now=clock.now())
        settle(tx, rows, Retry(clock.now() + HOUR, "timed out"), now=clock.now())
        assert claim(tx, now=clock.now()) == []
        (create,) = claim(tx, lane="slow", now=clock.tick(HOUR))
        settle(tx, [create], Drop("no"), now=clock.now())
        assert [row.type for row in claim(tx, now=clock.now())] == ["Delete"]


def test_other_objects_and_other_inboxes_do_not_wait_for_one_another(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", news(object_uri=OBJECT), now=clock.now())
        queue(tx, "https://one.example/inbox", news("Update", OBJECT + "2"), now=clock.now())
        queue(tx, "https://two.example/inbox", news("Update", OBJECT), now=clock.now())
        assert len(claim(tx, now=clock.now())) == 3


def test_a_post_waits_for_the_first_try_of_an_accept_to_the_same_host(cafe, clock):
    follow = "https://one.example/follows/1"
    with cafe.write() as tx:
        queue(tx, "https://one.example/users/ann/inbox", news("Accept", follow), now=clock.now())
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        first = claim(tx, now=clock.now())
        assert sorted(row.type for row in first) == ["Accept", "Create"]
        assert {row.host for row in first if row.type == "Create"} == {"two.example"}
        assert claim(tx, now=clock.now()) == []  # the Accept is under way
        accepts = [row for row in first if row.type == "Accept"]
        settle(tx, accepts, Retry(clock.now() + HOUR, "503: not now"), now=clock.now())
        assert [row.host for row in claim(tx, now=clock.now())] == ["one.example"]  # it was tried


def test_accepts_to_one_host_do_not_wait_for_one_another(cafe, clock):
    with cafe.write() as tx:
        for number in (1, 2):
            inbox = f"https://one.example/users/{number}/inbox"
            queue(tx, inbox, news("Accept", f"https://one.example/follows/{number}"), now=clock.now())
        assert len(claim(tx, now=clock.now())) == 2


def test_a_claim_takes_no_more_of_one_host_than_allowed(cafe, clock):
    with cafe.write() as tx:
        for number in range(5):
            queue(tx, f"https://one.example/users/{number}/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        claimed = claim(tx, per_host=2, now=clock.now())
    assert sorted(row.host for row in claimed) == ["one.example", "one.example", "two.example"]


def test_busy_hosts_are_left_alone(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        assert [r.host for r in claim(tx, busy=["one.example"], now=clock.now())] == ["two.example"]


def test_a_host_with_hundreds_of_inboxes_does_not_hide_the_others(cafe, clock):
    with cafe.write() as tx:
        for number in range(50):
            queue(tx, f"https://one.example/users/{number}/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        hosts = [row.host for row in claim(tx, 5, per_host=2, now=clock.now())]
        hosts += [row.host for row in claim(tx, 5, per_host=2, busy=hosts, now=clock.now())]
    assert sorted(hosts) == ["one.example", "one.example", "two.example"]


def test_each_lane_claims_its_own(cafe, clock):
    with cafe.write() as tx:
        peers.save(tx, Peer("two.example", failures=1))
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        assert [row.host for row in claim(tx, lane="fast", now=clock.now())] == ["one.example"]
        assert [row.host for row in claim(tx, lane="slow", now=clock.now())] == ["two.example"]
        assert claim(tx, lane="suspect", now=clock.now()) == []


def test_what_was_claimed_but_not_begun_is_given_back_at_once_and_not_counted(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        (row,) = claim(tx, now=clock.now())
        deliveries.release(tx, [row.id], now=clock.now())
        (again,) = claim(tx, now=clock.now())
    assert (again.attempts, again.losses) == (1, 0)


def test_claimers_at_the_same_time_never_get_the_same_delivery(database, cafe, clock):
    with cafe.write() as tx:
        for number in range(200):
            queue(tx, f"https://{number}.example/inbox", now=clock.now())
    claimed = []

    def take():
        with opened(database) as other:
            while True:
                with other.write() as tx:
                    rows = claim(tx, 7, now=clock.now())
                assert len(rows) <= 7
                if not rows:
                    return
                claimed.extend(row.id for row in rows)

    at_once(4, take)
    with cafe.write() as tx:  # rows that others had locked while a claimer looked are still there
        claimed.extend(row.id for row in claim(tx, 200, now=clock.now()))
    assert len(claimed) == len(set(claimed)) == 200


# ── workers that die ─────────────────────────────────────────────────────────────────────────────


def die_with(tx, clock, *, times, lane="fast"):
    for _ in range(times):
        claim(tx, lane=lane, now=clock.now())
        clock.tick(leases.LEASE)


def test_what_a_dead_worker_held_is_due_at_once_after_recovery(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        claim(tx, now=clock.now())
        assert claim(tx, now=clock.now()) == []
        assert deliveries.recover(tx, now=clock.now()) == 1
        (row,) = claim(tx, now=clock.now())
    assert row.losses == 1


def test_recovery_leaves_what_is_not_under_way_alone(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        later = Retry(clock.now() + HOUR, "503: not now")
        settle(tx, claim(tx, now=clock.now()), later, now=clock.now())
        assert deliveries.recover(tx, now=clock.now()) == 0
        assert delivery_reports.next_due(tx) == clock.now() + HOUR


@pytest.mark.parametrize("recovering", [True, False], ids=["restarted", "lease ran out"])
def test_a_delivery_that_three_workers_died_with_runs_alone(cafe, clock, recovering):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        die_with(tx, clock, times=3)
        if recovering:
            deliveries.recover(tx, now=clock.now())
        assert claim(tx, now=clock.now()) == []
        (suspect,) = claim(tx, lane="suspect", now=clock.now())
    assert suspect.losses == deliveries.SUSPECT_AFTER


def test_a_suspect_that_fails_politely_stays_in_its_lane(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        die_with(tx, clock, times=3)
        claim(tx, now=clock.now())
        suspects = claim(tx, lane="suspect", now=clock.now())
        settle(tx, suspects, Retry(clock.now(), "503: not now"), now=clock.now())
        assert claim(tx, lane="slow", now=clock.now()) == []
        assert len(claim(tx, lane="suspect", now=clock.now())) == 1


def test_a_delivery_that_kills_every_worker_is_quarantined_with_a_reason(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        die_with(tx, clock, times=3)
        claim(tx, now=clock.now())  # is moved to the suspect lane
        die_with(tx, clock, times=2, lane="suspect")
        assert claim(tx, lane="suspect", now=clock.now()) == []
        (report,) = delivery_reports.report(tx)
    assert report.state is DeliveryState.DROPPED
    assert "quarantined" in report.reason
    assert report.settled_at == clock.now()


def test_a_quarantined_delivery_can_be_sent_again(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        die_with(tx, clock, times=3)
        claim(tx, now=clock.now())
        die_with(tx, clock, times=3, lane="suspect")
        assert outgoing.retry(tx, host="one.example", now=clock.now()) == 1
        (row,) = claim(tx, now=clock.now())
    assert (row.attempts, row.losses) == (1, 0)


# ── settling ─────────────────────────────────────────────────────────────────────────────────────


def test_every_decision_is_recorded_with_its_status_and_reason(cafe, clock):
    with cafe.write() as tx:
        for host in ("a", "b", "c", "d"):
            queue(tx, f"https://{host}.example/inbox", now=clock.now())
        a, b, c, d = sorted(claim(tx, now=clock.now()), key=lambda row: row.host)
        decided = [
            (a, Delivered(202)),
            (b, Delivered(200)),
            (c, Retry(clock.now() + HOUR, "503: not now", 503)),
            (d, Drop("422: no", 422)),
        ]
        deliveries.settle(tx, decided, now=clock.tick(MINUTE))
        seen = {
            r.host[0]: (str(r.state), r.status, r.reason, r.settled_at) for r in delivery_reports.report(tx)
        }
        assert delivery_reports.next_due(tx) == clock.now() - MINUTE + HOUR
    assert seen == {
        "a": ("delivered", 202, None, clock.now()),
        "b": ("delivered", 200, None, clock.now()),
        "c": ("pending", 503, "503: not now", None),
        "d": ("dropped", 422, "422: no", clock.now()),
    }


def test_settling_nothing_changes_nothing(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        deliveries.settle(tx, [], now=clock.now())
        assert len(claim(tx, now=clock.now())) == 1


def test_what_waits_for_a_host_is_held_while_its_breaker_is_open(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        deliveries.hold_host(tx, "one.example", clock.now() + HOUR)
        assert [row.host for row in claim(tx, now=clock.now())] == ["two.example"]
        assert claim(tx, lane="slow", now=clock.now()) == []
        assert [row.host for row in claim(tx, lane="slow", now=clock.now() + HOUR)] == ["one.example"]


def test_holding_a_host_brings_nothing_forward(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        tomorrow = Retry(clock.now() + 24 * HOUR, "timed out")
        settle(tx, claim(tx, now=clock.now()), tomorrow, now=clock.now())
        deliveries.hold_host(tx, "one.example", clock.now() + HOUR)
        assert delivery_reports.next_due(tx) == clock.now() + 24 * HOUR


def test_a_host_that_answers_again_is_sent_at_once_what_waited(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        deliveries.hold_host(tx, "one.example", clock.now() + HOUR)
        deliveries.hold_host(tx, "two.example", clock.now() + HOUR)
        deliveries.flush_host(tx, "one.example", now=clock.now())
        assert [row.host for row in claim(tx, now=clock.now())] == ["one.example"]
        assert claim(tx, lane="slow", now=clock.now()) == []


# ── edits and deletions meet what is still queued ────────────────────────────────────────────────


def test_an_edit_before_the_first_try_changes_the_create_and_needs_no_update(cafe, clock):
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(), now=clock.now())
        assert outgoing.merge_into_create(tx, news(version="2"), now=clock.now()) == 1
        assert publish(tx, news("Update"), now=clock.now()) == 0
        (row,) = claim(tx, now=clock.now())
    assert (row.type, row.body) == ("Create", b"Create2")


@pytest.mark.parametrize("fate", ["under way", "failed", "interrupted", "sent again by the owner"])
def test_an_edit_after_the_first_try_leaves_the_create_as_it_was_and_sends_an_update(cafe, clock, fate):
    """Whatever became of a try, the server may have taken it."""
    with cafe.write() as tx:
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(), now=clock.now())
        rows = claim(tx, now=clock.now())
        if fate == "failed":
            settle(tx, rows, Retry(clock.now(), "timed out"), now=clock.now())
        elif fate == "interrupted":
            deliveries.release(tx, [row.id for row in rows], now=clock.now())
        elif fate == "sent again by the owner":
            settle(tx, rows, Drop("timed out; given up"), now=clock.now())
            outgoing.retry(tx, object_uri=OBJECT, now=clock.now())
        assert outgoing.unsent_inboxes(tx, OBJECT) == []
        assert outgoing.merge_into_create(tx, news(version="2"), now=clock.now()) == 0
        assert publish(tx, news("Update"), now=clock.now()) == 1
        later = clock.tick(leases.LEASE)
        bodies = [row.body for row in claim(tx, now=later) + claim(tx, lane="slow", now=later)]
    assert bodies == [b"Create"]


def test_nothing_is_stored_when_there_is_no_create_to_change(cafe, clock):
    with cafe.write() as tx:
        assert outgoing.merge_into_create(tx, news(version="2"), now=clock.now()) == 0
        assert outgoing.activity_body(tx, news(version="2").uri) is None


def test_a_later_edit_supersedes_an_earlier_one(cafe, clock):
    inbox = "https://one.example/inbox"
    with cafe.write() as tx:
        queue(tx, inbox, news("Update", version="1"), now=clock.now())
        queue(tx, inbox, news("Update", OBJECT + "2"), now=clock.now())
        assert outgoing.supersede(tx, OBJECT, ["Update"], "superseded by a later edit", now=clock.now()) == 1
        queue(tx, inbox, news("Update", version="2"), now=clock.now())
        assert {row.body for row in claim(tx, now=clock.now())} == {b"Update", b"Update2"}
        dropped = delivery_reports.report(tx, state=DeliveryState.DROPPED)
    assert [row.reason for row in dropped] == ["superseded by a later edit"]


def test_what_another_site_says_about_the_same_is_not_superseded(cafe, clock):
    accept = news("Accept", "https://one.example/users/ann")
    with cafe.write() as tx:
        queue(tx, "https://one.example/users/ann/inbox", accept, now=clock.now())
        uri, kinds = accept.object_uri, ["Accept", "Reject"]
        assert outgoing.supersede(tx, uri, kinds, "answered again", site="bakery", now=clock.now()) == 0
        assert outgoing.supersede(tx, uri, kinds, "answered again", site="cafe", now=clock.now()) == 1


def test_what_is_under_way_or_done_is_not_superseded(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        one, _two = claim(tx, now=clock.now())
        settle(tx, [one], Delivered(202), now=clock.now())
        assert outgoing.supersede(tx, OBJECT, ["Create"], "gone", now=clock.now()) == 0


def test_a_post_deleted_before_it_was_ever_sent_is_never_heard_of(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        add_follower(tx, "ann", now=clock.now())
        publish(tx, news(post_pk=pk), now=clock.now())
        unsent = outgoing.unsent_inboxes(tx, OBJECT)
        assert unsent == ["https://one.example/inbox"]
        outgoing.supersede(tx, OBJECT, ["Create", "Update"], "deleted", now=clock.now())
        assert publish(tx, news("Delete", post_pk=pk), now=clock.now(), leave_out=unsent) == 0
        assert claim(tx, now=clock.now()) == []


def test_deleting_reaches_who_was_tried_and_spares_who_was_not(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for host in ("one.example", "two.example", "three.example"):
            add_follower(tx, "ann", host, now=clock.now())
        publish(tx, news(post_pk=pk), now=clock.now())
        took, failed = claim(tx, 2, now=clock.now())
        settle(tx, [took], Delivered(202), now=clock.now())
        settle(tx, [failed], Retry(clock.now() + HOUR, "timed out"), now=clock.now())
        unsent = outgoing.unsent_inboxes(tx, OBJECT)
        outgoing.supersede(tx, OBJECT, ["Create", "Update"], "deleted", now=clock.now())
        assert publish(tx, news("Delete", post_pk=pk), now=clock.now(), leave_out=unsent) == 2
        told = claim(tx, now=clock.now())
    assert {row.type for row in told} == {"Delete"}
    assert inboxes(told) == sorted([took.inbox, failed.inbox])


def test_news_for_an_inbox_is_given_up_when_its_last_follower_leaves(cafe, clock):
    with cafe.write() as tx:
        ann, ben = (add_follower(tx, name, now=clock.now()) for name in ("ann", "ben"))
        publish(tx, news(), now=clock.now())
        followers.remove(tx, ann.id, reason="unfollowed", now=clock.now())
        assert delivery_reports.counts(tx) == {DeliveryState.PENDING: 1}
        followers.remove(tx, ben.id, reason="unfollowed", now=clock.now())
        (report,) = delivery_reports.report(tx)
    assert (report.state, report.reason) == (DeliveryState.DROPPED, "unfollowed")


def test_dropping_an_inbox_spares_other_sites_and_what_is_under_way(cafe, clock):
    inbox = "https://one.example/inbox"
    with cafe.write() as tx:
        queue(tx, inbox, now=clock.now())
        assert deliveries.drop_inbox(tx, "bakery", inbox, "left", now=clock.now()) == 0
        claim(tx, now=clock.now())
        assert deliveries.drop_inbox(tx, "cafe", inbox, "left", now=clock.now()) == 0


# ── for the owner ────────────────────────────────────────────────────────────────────────────────


def test_an_empty_queue_is_reported_as_empty(cafe):
    with cafe.read() as tx:
        assert delivery_reports.counts(tx) == {}
        assert delivery_reports.next_due(tx) is None
        assert delivery_reports.report(tx) == []
        assert delivery_reports.summary(tx) == []


def test_the_report_is_filtered_by_object_host_and_state_newest_first(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", news(object_uri=OBJECT + "2"), now=clock.now())
        queue(tx, "https://two.example/inbox", news("Update"), now=clock.now())
        kinds = [(row.host, row.type) for row in delivery_reports.report(tx)]
        assert kinds == [("two.example", "Update"), ("two.example", "Create"), ("one.example", "Create")]
        assert [row.host for row in delivery_reports.report(tx, object_uri=OBJECT + "2")] == ["two.example"]
        assert [row.type for row in delivery_reports.report(tx, host="one.example")] == ["Create"]
        assert delivery_reports.report(tx, state=DeliveryState.DROPPED) == []
        assert len(delivery_reports.report(tx, limit=1)) == 1


def test_the_summary_counts_the_deliveries_of_each_activity(cafe, clock):
    with cafe.write() as tx:
        for host in ("one.example", "two.example"):
            add_follower(tx, "ann", host, now=clock.now())
        publish(tx, news(), now=clock.now())
        first, _second = claim(tx, now=clock.now())
        settle(tx, [first], Delivered(202), now=clock.now())
        publish(tx, news("Update"), now=clock.tick(MINUTE))
        summary = delivery_reports.summary(tx)
        assert len(delivery_reports.summary(tx, limit=1)) == 1
        assert delivery_reports.counts(tx) == {DeliveryState.PENDING: 3, DeliveryState.DELIVERED: 1}
    pending, delivered = DeliveryState.PENDING, DeliveryState.DELIVERED
    assert summary == [
        ("cafe", "Update", OBJECT, clock.now(), {pending: 2}),
        ("cafe", "Create", OBJECT, clock.now() - MINUTE, {pending: 1, delivered: 1}),
    ]


def test_the_owner_can_send_again_what_was_given_up_but_not_what_arrived(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", now=clock.now())
        one, two = sorted(claim(tx, now=clock.now()), key=lambda row: row.host)
        settle(tx, [one], Drop("404"), now=clock.now())
        settle(tx, [two], Delivered(202), now=clock.now())
        assert outgoing.retry(tx, ids=[one.id, two.id], now=clock.now()) == 1
        (again,) = claim(tx, now=clock.now())
    assert (again.id, again.attempts) == (one.id, 1)


def test_sending_again_can_be_narrowed_to_a_post_or_a_host(cafe, clock):
    with cafe.write() as tx:
        queue(tx, "https://one.example/inbox", now=clock.now())
        queue(tx, "https://two.example/inbox", news(object_uri=OBJECT + "2"), now=clock.now())
        settle(tx, claim(tx, now=clock.now()), Retry(clock.now() + HOUR, "busy"), now=clock.now())
        assert outgoing.retry(tx, host="one.example", now=clock.now()) == 1
        assert [row.host for row in claim(tx, now=clock.now())] == ["one.example"]
        assert outgoing.retry(tx, object_uri=OBJECT + "2", now=clock.now()) == 1
        assert [row.host for row in claim(tx, now=clock.now())] == ["two.example"]
        assert outgoing.retry(tx, now=clock.now()) == 0  # both are under way


def test_settled_deliveries_are_forgotten_in_time_and_the_activity_stays(cafe, clock):
    with cafe.write() as tx:
        for host in ("one.example", "two.example", "three.example"):
            queue(tx, f"https://{host}/inbox", now=clock.now())
        one, two, _waiting = claim(tx, now=clock.now())
        settle(tx, [one], Delivered(202), now=clock.now())
        settle(tx, [two], Drop("no"), now=clock.tick(HOUR))
        assert deliveries.purge(tx, before=clock.now()) == 1
        assert deliveries.purge(tx, before=clock.now() + HOUR) == 1
        assert delivery_reports.counts(tx) == {DeliveryState.PENDING: 1}
        assert outgoing.activity_body(tx, news().uri) is not None
