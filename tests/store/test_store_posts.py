import json
from datetime import timedelta

import pytest
from rows import add_post, new_post, post

from bridge.model import Enclosure, Entry, Image, PostState
from bridge.store import absences, looks, posts
from bridge.store.entries import from_stored, to_stored

MINUTE = timedelta(minutes=1)


def test_a_post_comes_back_as_it_was_stored(cafe, clock):
    written = post("p1", note={"content": "<p>Grüße ☕ \U0001f375</p>", "tag": []}, now=clock.now())
    with cafe.write() as tx:
        assert posts.find(tx, "cafe", "p1") is None
        pk = posts.add(tx, new_post(tx, written), now=clock.now())
        assert posts.find(tx, "cafe", "p1") == written
        assert posts.row_of(tx, "cafe", "p1") == pk
        assert posts.row_of(tx, "bakery", "p1") is None


def test_every_key_of_an_entry_leads_to_its_post(cafe, clock):
    keys = ("guid:1", "link:cafe.example/1", "title:one|2026-03-01")
    with cafe.write() as tx:
        pk = posts.add(tx, new_post(tx, post(now=clock.now()), *keys), now=clock.now())
        found = posts.known(tx, "cafe", [*keys, "guid:2"])
        assert posts.known(tx, "bakery", keys) == {}
    assert set(found) == set(keys)
    assert {known.pk for known in found.values()} == {pk}
    known = found["guid:1"]
    assert (known.id, known.state) == ("p1", PostState.PUBLISHED)
    assert known.generation == 1


def test_more_keys_than_one_query_takes_can_be_asked_for(cafe, clock):
    keys = [f"guid:{number}" for number in range(1203)]
    with cafe.write() as tx:
        posts.add(tx, new_post(tx, post(now=clock.now()), *keys), now=clock.now())
        assert len(posts.known(tx, "cafe", keys)) == len(keys)


@pytest.mark.parametrize("again", [("p1", "guid:1"), ("p2", "guid:1"), ("p1", "guid:2")])
def test_the_same_entry_twice_is_one_post(cafe, clock, again):
    post_id, key = again
    with cafe.write() as tx:
        assert posts.add(tx, new_post(tx, post("p1", now=clock.now()), "guid:1"), now=clock.now())
        second = new_post(tx, post(post_id, now=clock.now()), key)
        assert posts.add(tx, second, now=clock.now()) is None
        assert posts.count(tx) == 1


def test_two_posts_may_have_one_title_on_one_day(cafe, clock):
    title = "title:photo|2026-03-01"
    with cafe.write() as tx:
        first = posts.add(tx, new_post(tx, post("p1", now=clock.now()), "guid:1", title), now=clock.now())
        assert posts.add(tx, new_post(tx, post("p2", now=clock.now()), "guid:2", title), now=clock.now())
        assert posts.known(tx, "cafe", [title])[title].pk == first


def test_two_entries_with_no_other_name_than_their_text_are_one_post(cafe, clock):
    with cafe.write() as tx:
        assert posts.add(tx, new_post(tx, post("p1", now=clock.now()), "text:1"), now=clock.now())
        assert posts.add(tx, new_post(tx, post("p2", now=clock.now()), "text:1"), now=clock.now()) is None


def test_two_sites_may_have_the_same_entry(cafe, clock):
    with cafe.write() as tx:
        add_post(tx, "c1", site="cafe", now=clock.now())
        same = new_post(tx, post("b1", site="bakery", now=clock.now()), "guid:c1")
        assert posts.add(tx, same, now=clock.now())


def test_the_id_of_a_deleted_post_is_never_used_again(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, "p1", now=clock.now())
        posts.bury(tx, pk, now=clock.now())
        assert posts.add(tx, new_post(tx, post("p1", now=clock.now()), "guid:other"), now=clock.now()) is None
        tombstone = posts.find(tx, "cafe", "p1")
    assert (tombstone.state, tombstone.deleted_at) == (PostState.DELETED, clock.now())


def test_a_new_name_leads_to_the_post_and_takes_no_name_from_another(cafe, clock):
    with cafe.write() as tx:
        first, second = add_post(tx, "p1", now=clock.now()), add_post(tx, "p2", now=clock.now())
        posts.name(tx, "cafe", second, ["guid:p1", "link:new"])
        found = posts.known(tx, "cafe", ["guid:p1", "link:new"])
    assert {key: known.pk for key, known in found.items()} == {"guid:p1": first, "link:new": second}


def test_an_edit_changes_the_content_and_keeps_the_id(cafe, clock):
    with cafe.write() as tx:
        pk = add_post(tx, "p1", now=clock.now())
        edited_at = clock.tick(MINUTE)
        edited = post("p1", now=clock.now(), content_hash="new", note={"n": 1}, page_url="https://x.example/",
                      published_at=edited_at - MINUTE, updated_at=edited_at)  # fmt: skip
        posts.revise(tx, pk, edited, {"title": "new"}, now=edited_at)
        assert posts.find(tx, "cafe", "p1") == edited
        known = posts.known(tx, "cafe", ["guid:p1"])["guid:p1"]
    assert (known.content_hash, known.updated_at) == ("new", edited_at)


def test_a_scheduled_post_is_released_when_its_date_has_come(cafe, clock):
    planned = clock.now() + 2 * MINUTE
    with cafe.write() as tx:
        pk = add_post(tx, state=PostState.SCHEDULED, published_at=planned, now=clock.now())
        assert posts.scheduled(tx, now=clock.tick(MINUTE)) == []
        assert posts.count(tx) == 0
        (due,) = posts.scheduled(tx, now=clock.tick(MINUTE))
        out = post(due.id, now=clock.now(), note={"published": "now"})
        posts.release(tx, pk, out)
        assert posts.scheduled(tx, now=clock.now()) == []
        assert posts.newest(tx, "cafe", limit=5) == [out]


def test_scheduled_posts_come_earliest_first_and_so_many_at_a_time(cafe, clock):
    with cafe.write() as tx:
        for number in (3, 1, 2):
            due_at = clock.now() + number * MINUTE
            add_post(tx, f"p{number}", state=PostState.SCHEDULED, published_at=due_at, now=clock.now())
        assert posts.to_come(tx) == (3, clock.now() + MINUTE)
        found = posts.scheduled(tx, now=clock.tick(5 * MINUTE), limit=2)
    assert [one.id for one in found] == ["p1", "p2"]


def test_nothing_is_to_come_when_nothing_is_scheduled(cafe):
    with cafe.read() as tx:
        assert posts.to_come(tx) == (0, None)


def test_visible_posts_are_listed_newest_first_page_by_page(cafe, clock):
    hidden = {"p3": PostState.DELETED, "p4": PostState.SCHEDULED}
    with cafe.write() as tx:
        for number in range(7):
            state = hidden.get(f"p{number}", PostState.BASELINE if number < 2 else PostState.PUBLISHED)
            add_post(tx, f"p{number}", state=state, now=clock.tick(MINUTE))
        add_post(tx, "b1", site="bakery", now=clock.now())
        assert [one.id for one in posts.newest(tx, "cafe", limit=3)] == ["p6", "p5", "p2"]
        assert [one.id for one in posts.newest(tx, "cafe", limit=3, offset=3)] == ["p1", "p0"]
        assert (posts.count(tx, "cafe"), posts.count(tx, "bakery"), posts.count(tx)) == (5, 1, 6)


def test_posts_of_the_same_second_have_a_fixed_order(cafe, clock):
    with cafe.write() as tx:
        for number in range(4):
            add_post(tx, f"p{number}", now=clock.now())
        pages = [posts.newest(tx, "cafe", limit=1, offset=place)[0].id for place in range(4)]
    assert pages == ["p3", "p2", "p1", "p0"]


def test_finding_entries_again_is_recorded(cafe, clock):
    with cafe.write() as tx:
        pks = [add_post(tx, f"p{number}", now=clock.now()) for number in range(3)]
        posts.saw(tx, pks[:2], now=clock.tick(MINUTE))
        posts.saw(tx, [], now=clock.now())
        seen = tx.exec_driver_sql("SELECT id FROM posts WHERE last_seen_at > first_seen_at ORDER BY id")
        assert [row.id for row in seen] == ["p0", "p1"]


def test_a_post_is_found_by_its_id_whatever_its_site(cafe, clock):
    with cafe.write() as tx:
        add_post(tx, "b1", site="bakery", now=clock.now())
        assert posts.anywhere(tx, "b1").site == "bakery"
        assert posts.anywhere(tx, "c1") is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [("coffee", ["p2", "p1"]), ("p1", ["p1"]), ("100%", ["p3"]), ("_", []), ("tea", [])],
)
def test_posts_are_found_by_a_part_of_their_page_or_by_their_id(cafe, clock, asked, found):
    pages = {"p1": "https://x.example/coffee/1/", "p2": "https://x.example/coffee/2/",
             "p3": "https://x.example/100%25-100%/"}  # fmt: skip
    with cafe.write() as tx:
        for post_id, page_url in pages.items():
            add_post(tx, post_id, page_url=page_url, now=clock.tick(MINUTE))
        assert [one.id for one in posts.by_page(tx, asked)] == found


def test_an_entry_comes_back_as_it_was_stored():
    cover = Image("https://cafe.example/12.jpg", "A bun", "image/jpeg", 9, 6, "LKO2", (0.5, -1.0))
    episode = Enclosure("https://cafe.example/12.mp3", "audio/mpeg", 5, 60, cover)
    entry = Entry("12", "https://cafe.example/12", images=(cover,), enclosures=(episode,))
    assert from_stored(json.loads(json.dumps(to_stored(entry)))) == entry


def test_what_is_due_of_posts_is_handed_out_once_until_its_lease_ends(cafe, clock):
    with cafe.write() as tx:
        for number in range(3):
            pk = add_post(tx, f"p{number}", now=clock.now())
            absences.notice(tx, pk, now=clock.now())
            looks.plan(tx, pk, clock.now())
        for table in (absences, looks):
            until = clock.now() + MINUTE
            assert len(table.claim_due(tx, 2, until=until, now=clock.now())) == 2
            assert len(table.claim_due(tx, 9, until=until, now=clock.now())) == 1
            assert table.claim_due(tx, 9, until=until, now=clock.now()) == []
            assert len(table.claim_due(tx, 9, until=until + MINUTE, now=until)) == 3
