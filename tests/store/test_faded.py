"""Reactions that are long ago are counted and no longer kept; what is purged goes in small steps."""

import threading
from datetime import timedelta

import pytest
from databases import opened
from rows import actor, add_post, add_site, arrival, claim, news, queue
from sqlalchemy import func, select

from bridge.model import Delivered, RemoteKey
from bridge.store import deliveries, faded, inbox, interactions, remote, schema
from bridge.store.interactions import BOOST, LIKE, LISTING, QUOTE, REPLY, NewInteraction
from bridge.worker.housekeeping import KEEP_DELIVERIES, KEEP_REACTIONS, KEEP_STRANGERS, keep_house

ANN, BEN = actor("ann").id, actor("ben").id
POST = "https://cafe.example/ap/cafe/posts/p1"
OLD = timedelta(days=91)


@pytest.fixture
def post(cafe, clock):
    """The row of a post that Ann liked and boosted and Ben liked, all long ago."""
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        react(tx, pk, LIKE, ANN, now=clock.now())
        react(tx, pk, BOOST, ANN, now=clock.now())
        react(tx, pk, LIKE, BEN, now=clock.now())
    clock.tick(OLD)
    fade(cafe, clock)
    return pk


def react(tx, pk, kind, who, *, now, thing=POST, public=True):
    new = NewInteraction("cafe", pk, kind, who, thing, f"{who}/{kind}/1", public)
    interactions.save(tx, new, now=now)


def fade(store, clock, limit=2):
    after = 0
    while after is not None:
        with store.write() as tx:
            before = clock.now() - KEEP_REACTIONS
            found = interactions.find_old(tx, after=after, before=before, limit=limit)
            interactions.fade(tx, found.ids)
        after = found.last


def size(tx, table):
    return tx.scalar(select(func.count()).select_from(table))


def test_old_reactions_count_as_before_and_are_no_longer_kept(cafe, post):
    with cafe.write() as tx:
        assert interactions.counts(tx, post) == {LIKE: 2, BOOST: 1}
        assert interactions.counts_by_id(tx, "cafe", ["p1"]) == {"p1": {LIKE: 2, BOOST: 1}}
        assert interactions.totals(tx) == {LIKE: 2, BOOST: 1}
        assert size(tx, schema.interactions) == 0


def test_old_and_new_reactions_count_together(cafe, post, clock):
    with cafe.write() as tx:
        react(tx, post, LIKE, actor("cat").id, now=clock.now())
        assert interactions.counts(tx, post) == {LIKE: 3, BOOST: 1}
        assert interactions.counts_by_id(tx, "cafe", ["p1"]) == {"p1": {LIKE: 3, BOOST: 1}}
        assert interactions.totals(tx) == {LIKE: 3, BOOST: 1}


def test_no_id_of_a_person_is_left(cafe, post):
    with cafe.write() as tx:
        rows = [*tx.execute(select(schema.faded_reactions)), *tx.execute(select(schema.reaction_counts))]
    assert rows
    assert not any("one.example" in str(row) for row in rows)


@pytest.mark.parametrize("by_id", [True, False])
def test_a_late_undo_counts_one_down_once(cafe, post, by_id):
    def undo(tx):
        if by_id:
            return interactions.remove_activity(tx, ANN, f"{ANN}/{LIKE}/1")
        return interactions.remove(tx, LIKE, ANN, POST)

    with cafe.write() as tx:
        assert undo(tx) == 1
        assert interactions.counts(tx, post) == {LIKE: 1, BOOST: 1}, "the boost stays"
        assert undo(tx) == 0
        assert interactions.counts(tx, post) == {LIKE: 1, BOOST: 1}


@pytest.mark.parametrize(
    ("kind", "who", "thing"),
    [
        (LIKE, actor("zoe").id, POST),  # never liked anything
        (BOOST, BEN, POST),  # liked it and never boosted it
        ("emoji", ANN, POST),
        (LIKE, ANN, f"{POST}2"),
        (LIKE, ANN.upper(), POST),
    ],
)
def test_whoever_never_did_it_counts_nothing_down(cafe, post, kind, who, thing):
    with cafe.write() as tx:
        assert interactions.remove(tx, kind, who, thing) == 0
        assert interactions.remove_activity(tx, who, f"{ANN}/{LIKE}/2") == 0
        assert interactions.remove_activity(tx, BEN, f"{ANN}/{LIKE}/1") == 0
        assert interactions.counts(tx, post) == {LIKE: 2, BOOST: 1}


def test_liking_again_counts_once_and_fades_again(cafe, post, clock):
    for _ in range(2):
        with cafe.write() as tx:
            react(tx, post, LIKE, ANN, now=clock.now())
            assert interactions.counts(tx, post) == {LIKE: 2, BOOST: 1}
        clock.tick(OLD)
        fade(cafe, clock)
        with cafe.write() as tx:
            assert interactions.counts(tx, post) == {LIKE: 2, BOOST: 1}
            assert size(tx, schema.interactions) == 0
    with cafe.write() as tx:
        assert interactions.remove(tx, LIKE, ANN, POST) == 1
        assert interactions.remove(tx, LIKE, ANN, POST) == 0
        assert interactions.counts(tx, post) == {LIKE: 1, BOOST: 1}


def test_who_is_erased_takes_their_old_reactions_along(cafe, post):
    with cafe.write() as tx:
        assert remote.knows(tx, ANN)
        assert interactions.forget_actor(tx, ANN) == 2
        assert interactions.counts(tx, post) == {LIKE: 1}
        assert not remote.knows(tx, ANN)
        assert remote.knows(tx, BEN)
        assert size(tx, schema.faded_reactions) == 1


def test_what_people_said_and_what_is_young_stays(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for number, kind in enumerate((REPLY, QUOTE, LISTING)):
            react(tx, pk, kind, ANN, now=clock.now(), thing=f"{POST}{number}")
        react(tx, pk, LIKE, ANN, now=clock.now() + timedelta(days=2))
    clock.tick(OLD)
    fade(cafe, clock)
    with cafe.write() as tx:
        assert size(tx, schema.interactions) == 4
        assert size(tx, schema.faded_reactions) == 0


def test_what_was_not_public_leaves_nothing(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        react(tx, pk, BOOST, ANN, now=clock.now(), public=False)
    clock.tick(OLD)
    fade(cafe, clock)
    with cafe.write() as tx:
        assert size(tx, schema.interactions) == size(tx, schema.faded_reactions) == 0
        assert interactions.counts(tx, pk) == {}


def test_kinds_are_counted_apart_whatever_they_are(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        for kind in (LIKE, "emoji", "something new"):
            react(tx, pk, kind, ANN, now=clock.now())
    clock.tick(OLD)
    fade(cafe, clock)
    with cafe.write() as tx:
        assert interactions.remove(tx, LIKE, ANN, POST) == 1
        assert interactions.counts(tx, pk) == {"emoji": 1, "something new": 1}


def test_a_person_counts_once_for_a_post_whatever_of_their_likes_has_faded(cafe, clock):
    """A like and two emojis are three acts of one person."""
    cup, heart = f"{POST} ☕", f"{POST} ♥"

    def likes(expected):
        with cafe.read() as tx:
            assert interactions.counts(tx, pk).get(LIKE, 0) == expected
            assert interactions.counts_by_id(tx, "cafe", ["p1"]).get("p1", {}).get(LIKE, 0) == expected

    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        react(tx, pk, LIKE, ANN, now=clock.now())
        react(tx, pk, LIKE, ANN, now=clock.now(), thing=cup)
        react(tx, pk, LIKE, ANN, now=clock.now() + timedelta(days=1), thing=heart)
    likes(1)
    clock.tick(OLD - timedelta(days=1))
    fade(cafe, clock)
    likes(1)  # the heart is young still
    clock.tick(OLD)
    fade(cafe, clock)
    likes(1)
    with cafe.write() as tx:
        react(tx, pk, LIKE, ANN, now=clock.now(), thing=cup)
    likes(1)
    with cafe.write() as tx:
        react(tx, pk, LIKE, BEN, now=clock.now())
        assert interactions.remove(tx, LIKE, ANN, cup) == 1
    likes(2)
    with cafe.write() as tx:
        assert interactions.remove(tx, LIKE, ANN, heart) == 1
    likes(2)
    with cafe.write() as tx:
        assert interactions.remove(tx, LIKE, ANN, POST) == 1
        assert interactions.remove(tx, LIKE, ANN, cup) == 0
    likes(1)


def test_two_workers_that_fade_the_same_count_it_once(cafe, database, clock):
    with cafe.write() as tx:
        pk = add_post(tx, now=clock.now())
        react(tx, pk, LIKE, ANN, now=clock.now())
    clock.tick(OLD)
    with cafe.read() as tx:
        found = faded.find_old(tx, (), after=0, before=clock.now(), limit=9)
    with opened(database) as another, another.write() as tx:
        assert interactions.fade(tx, found.ids) == 1
    with cafe.write() as tx:
        assert interactions.fade(tx, found.ids) == 0
        assert interactions.counts(tx, pk) == {LIKE: 1}


# ── in small steps ───────────────────────────────────────────────────────────────────────────────


def fill(services, number):
    """A bit of everything that is purged, all of it long settled and of no use to anyone."""
    now = services.now()
    with services.store.write() as tx:
        pk = add_post(tx, now=now)
        for one in range(number):
            who = actor(f"a{one}", f"h{one}.example")
            remote.save_actor(tx, who, f"h{one}.example", now=now)
            key = RemoteKey(f"{who.id}#key", who.id, "PEM")
            remote.save_key(tx, key, now=now, fresh_for=timedelta(minutes=1))
            react(tx, pk, LIKE, who.id, now=now)
            inbox.see(tx, f"seen {one}", now=now)
            inbox.undo(tx, f"undone {one}", now=now)
            inbox.store(tx, arrival(one), now=now)
            queue(tx, f"https://h{one}.example/inbox", news("Accept", f"https://x/{one}"), now=now)
        for received in inbox.claim_due(tx, number, now=now):
            inbox.done(tx, received.id, now=now)
        sent = claim(tx, number, now=now)
        deliveries.settle(tx, [(one, Delivered(202)) for one in sent], now=now)


TABLES = (
    *(schema.inbox, schema.seen, schema.undone, schema.deliveries, schema.activities),
    *(schema.interactions, schema.remote_actors, schema.remote_keys),
)


def sizes(services):
    with services.store.read() as tx:
        return [size(tx, table) for table in TABLES]


@pytest.fixture
def bridge(database, make_services):
    """A bridge on either kind of database."""
    services = make_services(database=database)
    with services.store.write() as tx:
        add_site(tx, "bakery", now=services.now())
    return services


def test_everything_that_nobody_needs_goes_in_many_small_transactions(bridge, clock):
    fill(bridge, 25)
    before = sizes(bridge)
    assert keep_house(bridge, threading.Event(), step=10, breath=0) > 0
    assert sizes(bridge) == before == [25] * len(TABLES)
    clock.tick(max(KEEP_DELIVERIES, KEEP_REACTIONS, KEEP_STRANGERS) + timedelta(days=1))
    steps = keep_house(bridge, threading.Event(), step=10, breath=0)
    assert steps >= 3 * 6
    assert sizes(bridge) == [0] * len(TABLES)


def test_housekeeping_stops_between_two_steps(bridge, clock):
    fill(bridge, 25)
    clock.tick(KEEP_REACTIONS + timedelta(days=1))
    stop = threading.Event()
    stop.set()
    assert keep_house(bridge, stop, step=10, breath=0) == 1
    assert sum(sizes(bridge)) >= 25 * len(TABLES) - 3 * 10
    assert keep_house(bridge, threading.Event(), step=10, breath=0) > 1
    assert sizes(bridge) == [0] * len(TABLES)
