"""The judge, rule by rule; whole histories of feeds are in test_histories.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.changes.change import Policy, Reason
from bridge.changes.judge import judge
from bridge.changes.keys import all_keys, canonical_link, content_hash, text_hash
from bridge.changes.timing import FRESH, MOST_UPDATES, publishing_moment, update_due_at
from bridge.model import Controls, Entry, Image, KnownPost, PostState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def entry(number=1, **changed):
    plain = Entry(
        guid=f"guid-{number}",
        link=f"https://cafe.example/{number}/",
        title=f"Cake number {number}",
        html=f"<p>Cake {number} is ready.</p>",
        published_at=NOW - MINUTE,
    )
    return replace(plain, **changed)


def known(*entries, state=PostState.PUBLISHED, **changed):
    """The posts of these entries, by every key that leads to them; refs count from 1."""
    found = {}
    for ref, one in enumerate(entries, start=1):
        post = KnownPost(ref, state, content_hash(one), text_hash(one), one.published_at)
        found |= dict.fromkeys(all_keys(one), replace(post, **changed))
    return found


def look(*entries, posts=None, baseline=False):
    return judge(entries, posts or {}, baseline=baseline, now=NOW)


def titles(changes):
    return [one.entry.title for one in changes.created]


# ── new entries ──────────────────────────────────────────────────────────────────────────────────


def test_a_new_entry_is_published():
    (created,) = look(entry()).created
    assert (created.state, created.held) == (PostState.PUBLISHED, None)
    assert created.entry == entry()
    assert created.content_hash == content_hash(entry())


def test_what_was_there_before_us_is_served_but_never_delivered():
    changes = look(*(entry(number, published_at=NOW - number * DAY) for number in range(40)), baseline=True)
    assert {one.state for one in changes.created} == {PostState.BASELINE}
    assert {one.held for one in changes.created} == {None}
    assert len(changes.created) == 40


def test_a_post_that_was_there_before_us_keeps_its_own_date():
    (created,) = look(entry(published_at=NOW - 400 * DAY), baseline=True).created
    assert created.published_at == NOW - 400 * DAY


@pytest.mark.parametrize("baseline", [True, False])
def test_an_entry_dated_in_the_future_waits_for_its_date(baseline):
    (created,) = look(entry(published_at=NOW + DAY), baseline=baseline).created
    assert (created.state, created.published_at) == (PostState.SCHEDULED, NOW + DAY)


def test_an_entry_without_a_date_is_published_now():
    (created,) = look(entry(published_at=None)).created
    assert (created.state, created.published_at) == (PostState.PUBLISHED, NOW)


def test_new_entries_go_out_in_the_order_they_were_written():
    shuffled = [entry(n, published_at=NOW - n * MINUTE) for n in (2, 4, 1, 3)]
    assert titles(look(*shuffled)) == [f"Cake number {n}" for n in (4, 3, 2, 1)]


def test_entries_of_one_moment_go_out_last_in_the_feed_first():
    same = [entry(number, published_at=None) for number in (3, 2, 1)]
    assert titles(look(*same)) == ["Cake number 1", "Cake number 2", "Cake number 3"]


def test_a_flood_and_a_find_from_long_ago_wait_for_the_owner():
    flood = look(*(entry(number) for number in range(6)))
    assert {(one.state, one.held) for one in flood.created} == {(PostState.HELD, Reason.MANY)}
    (old,) = look(entry(published_at=NOW - 15 * DAY)).created
    assert (old.state, old.held) == (PostState.HELD, Reason.OLD)


# ── the same entry twice ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "copy",
    [
        {},
        {"title": "Another title"},
        {"link": "https://cafe.example/elsewhere/"},
    ],
    ids=["word for word", "under another title", "at another address"],
)
def test_an_entry_twice_in_one_feed_is_one_post(copy):
    assert len(look(entry(), replace(entry(), **copy)).created) == 1


def test_the_same_words_under_two_guids_are_one_post():
    text = f"<p>{'The same long words about the same cake. ' * 3}</p>"
    twice = [entry(1, html=text, title="Cake"), entry(2, html=text, title="Cake")]
    assert len(look(*twice).created) == 1


def test_two_short_posts_with_one_title_on_one_day_stay_two():
    twins = [entry(1, title="Photo", html="<p>Cake</p>"), entry(2, title="Photo", html="<p>Tea</p>")]
    assert len(look(*twins).created) == 2


def test_an_address_that_several_entries_share_names_none_of_them():
    """Podcasts do that: every episode links to the home page."""
    home = {"link": "https://cafe.example/"}
    changes = look(entry(1, **home), entry(2, **home))
    assert [one.keys[0] for one in changes.created] == ["guid:guid-2", "guid:guid-1"]
    assert not any(key.startswith("link:") for one in changes.created for key in one.keys)
    again = look(entry(1, **home), entry(2, **home), posts=known(entry(1, **home)))
    assert not any(key.startswith("link:") for _, keys in again.same for key in keys)


def test_two_entries_without_any_name_are_told_apart_by_their_text():
    nameless = Entry(guid=None, link=None, html="<p>Cake</p>")
    assert len(look(nameless, replace(nameless, html="<p>Tea</p>")).created) == 2
    assert len(look(nameless, nameless).created) == 1


# ── entries we know ──────────────────────────────────────────────────────────────────────────────


def test_an_entry_that_came_again_is_no_news():
    changes = look(entry(1), entry(2), posts=known(entry(1), entry(2)))
    assert (changes.created, changes.edited) == ((), ())
    assert [ref for ref, _ in changes.same] == [1, 2]


def test_an_entry_that_says_something_else_is_edited():
    written = entry(html="<p>Cake is out.</p>")
    changes = look(written, posts=known(entry()))
    (edited,) = changes.edited
    assert (edited.post.pk, edited.entry, edited.quiet, edited.held) == (1, written, False, None)
    assert edited.content_hash == content_hash(written)
    assert (changes.created, changes.same) == ((), ())


def test_a_change_of_markup_alone_is_stored_quietly():
    (edited,) = look(entry(html="<div>Cake 1 is ready.</div>"), posts=known(entry())).edited
    assert edited.quiet


@pytest.mark.parametrize(("before", "after"), [("", "flour"), ("flour", "flour and eggs"), ("flour", "")])
def test_another_warning_is_an_edit(before, after):
    """Without one, what it hid would stay hidden, or shown, on all other servers."""
    old, new = (entry(controls=Controls(warning=warning)) for warning in (before, after))
    (edited,) = look(new, posts=known(old)).edited
    assert not edited.quiet


def test_another_date_is_no_edit():
    changes = look(entry(published_at=NOW - 2 * MINUTE), posts=known(entry()))
    assert (changes.created, changes.edited) == ((), ())


@pytest.mark.parametrize(
    "changed",
    [
        {"guid": "new generator 1"},
        {"guid": None},
        {"link": "https://new.example/2026/cake"},
        {"guid": "new", "link": "https://new.example/1"},
        {"guid": "new", "link": "http://www.cafe.example/1/index.html?utm_source=x"},
        {"guid": "new", "link": "https://cafe.example/moved"},
    ],
    ids=["guid", "no guid", "link", "guid and host", "guid and spelling", "guid and path"],
)
def test_a_post_is_recognised_under_another_name(changed):
    changes = look(entry(**changed), posts=known(entry()))
    assert changes.created == ()


def test_the_guid_is_believed_before_the_link():
    """Two entries that swapped their addresses are still the posts their guids say."""
    swapped = [entry(1, link=entry(2).link), entry(2, link=entry(1).link)]
    changes = look(*swapped, posts=known(entry(1), entry(2)))
    assert {one.entry.guid: one.post.pk for one in changes.edited} == {"guid-1": 1, "guid-2": 2}


def test_a_link_is_believed_before_a_title():
    renamed = entry(1, guid="new", title=entry(2).title)
    (edited,) = look(renamed, posts=known(entry(1), entry(2))).edited
    assert edited.post.pk == 1


def test_a_deleted_entry_that_comes_back_is_the_next_generation():
    (created,) = look(entry(), posts=known(entry(), state=PostState.DELETED)).created
    assert created.generation == 2
    (again,) = look(entry(), posts=known(entry(), state=PostState.DELETED, generation=2)).created
    assert again.generation == 3


@pytest.mark.parametrize("state", [PostState.WITHDRAWN, PostState.IGNORED])
def test_what_the_owner_said_no_to_does_not_come_up_again(state):
    changes = look(entry(html="<p>New!</p>"), posts=known(entry(), state=state))
    assert (changes.created, changes.edited) == ((), ())


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def test_the_most_trustworthy_name_comes_first():
    kinds = [key.partition(":")[0] for key in all_keys(entry(html=f"<p>{'cake ' * 30}</p>"))]
    assert kinds == ["guid", "link", "path", "title", "text", "words"]


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({}, "guid:guid-1"),
        ({"guid": None}, "link:cafe.example/1"),
        ({"guid": " guid-1\n"}, "guid:guid-1"),
        ({"guid": "https://www.cafe.example/1/"}, "guid:cafe.example/1"),
        ({"guid": None, "link": None}, "title:cake number 1|2026-03-01"),
    ],
)
def test_an_entry_is_identified_by_the_best_name_it_has(changed, first):
    assert all_keys(entry(**changed))[0] == first


def test_an_entry_without_any_name_is_identified_by_its_text():
    (only,) = all_keys(Entry(guid=None, link=None, html="<p>Cake</p>"))
    assert only.startswith("text:")


@pytest.mark.parametrize(
    ("link", "canonical"),
    [
        ("https://cafe.example/cake", "cafe.example/cake"),
        ("http://cafe.example/cake", "cafe.example/cake"),
        ("https://www.cafe.example/cake/", "cafe.example/cake"),
        ("https://CAFE.example/cake/index.html", "cafe.example/cake"),
        ("https://cafe.example:443/cake", "cafe.example/cake"),
        ("https://cafe.example:8443/cake", "cafe.example:8443/cake"),
        ("https://cafe.example/cake?utm_source=rss&utm_medium=feed", "cafe.example/cake"),
        ("https://cafe.example/cake?fbclid=1&id=7&gclid=2", "cafe.example/cake?id=7"),
        ("https://cafe.example/?p=7", "cafe.example?p=7"),
        ("https://cafe.example/?p=8", "cafe.example?p=8"),
        ("https://cafe.example/?b=2&a=1", "cafe.example?a=1&b=2"),
        ("https://cafe.example/cake#comments", "cafe.example/cake"),
        ("https://cafe.example/cake#more-17", "cafe.example/cake"),
        ("https://cafe.example/cake#atom-everything", "cafe.example/cake"),
        ("https://cafe.example/2026/03/01.html#a7", "cafe.example/2026/03/01.html#a7"),
        ("https://cafe.example/#/cake", "cafe.example#/cake"),
        ("https://cafe.example/Cake", "cafe.example/Cake"),
        ("https://cafe.example/caf%C3%A9", "cafe.example/café"),
        ("https://cafe.example/", "cafe.example"),
        ("https://cafe.example", "cafe.example"),
        ("https://cafe.example/index.htmlx", "cafe.example/index.htmlx"),
    ],
)
def test_spellings_of_one_page_are_one_page(link, canonical):
    assert canonical_link(link) == canonical


@given(st.text(max_size=60))
def test_whatever_stands_behind_the_host_has_one_spelling(path):
    link = canonical_link(f"https://cafe.example/{path}")
    assert link == canonical_link(f"http://www.cafe.example/{path}")


# ── what counts as a difference ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "changed",
    [
        {"html": "<p>Cake 1\n\n   is ready.</p>"},
        {"html": " <p>Cake\u00a01 is ready.</p>\n"},
        {"title": "Cake  number\t1 "},
        {"published_at": NOW},
        {"updated_at": NOW},
        {"guid": "another"},
        {"language": "de"},
        {"summary": "only read when there is no text"},
    ],
    ids=str,
)
def test_white_space_dates_and_names_are_no_difference(changed):
    assert content_hash(entry(**changed)) == content_hash(entry())


@pytest.mark.parametrize(
    "changed",
    [
        {"html": "<p>Cake 2 is ready.</p>"},
        {"title": "Cake"},
        {"link": "https://cafe.example/other"},
        {"tags": ("cake",)},
        {"images": (Image("https://cafe.example/cake.jpg"),)},
        {"images": (Image("https://cafe.example/cake.jpg", alt="A cake"),)},
    ],
    ids=str,
)
def test_what_followers_see_is_a_difference(changed):
    assert content_hash(entry(**changed)) != content_hash(entry())


def test_two_spellings_of_one_letter_are_no_difference():
    assert content_hash(entry(title="Café")) == content_hash(entry(title="Cafe\u0301"))


# ── the date of a post ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written_at", "expected"),
    [
        (None, NOW),
        (NOW, NOW),
        (NOW - MINUTE, NOW - MINUTE),
        (NOW - FRESH, NOW - FRESH),
        (NOW - FRESH - MINUTE, NOW),
        (NOW - 10 * DAY, NOW),
        (NOW + MINUTE, NOW),
    ],
)
def test_a_post_is_dated_when_it_goes_out_unless_it_was_written_just_now(written_at, expected):
    assert publishing_moment(entry(published_at=written_at), NOW) == expected


# ── when an edit goes out ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sent_before", "returns", "due"),
    [
        (None, False, 5 * MINUTE),
        (2 * MINUTE, False, 8 * MINUTE),
        (9 * MINUTE, False, 5 * MINUTE),
        (None, True, HOUR),
        (DAY, True, HOUR),
    ],
    ids=["the first", "soon after another", "later", "what it was before", "long after"],
)
def test_an_edit_goes_out_once_it_has_stood_and_apart_from_the_one_before(sent_before, returns, due):
    sent_at = sent_before and NOW - sent_before
    assert update_due_at(NOW, sent_at, 3, returns=returns) == NOW + due


def test_a_post_has_twenty_four_updates_at_most():
    assert update_due_at(NOW, NOW - DAY, MOST_UPDATES - 1) is not None
    assert update_due_at(NOW, NOW - DAY, MOST_UPDATES) is None


# ── what is gone from a folder ────────────────────────────────────────────────────────────────────


def gone_from_folder(*states):
    """Judge a folder of which one file is left, and the others are gone."""
    entries = [entry(number) for number in range(len(states) + 1)]
    ours = [
        KnownPost(number, state, content_hash(one), text_hash(one), one.published_at)
        for number, (one, state) in enumerate(zip(entries, [PostState.PUBLISHED, *states], strict=True))
    ]
    found = dict.fromkeys(all_keys(entries[0]), ours[0])
    changes = judge(entries[:1], found, baseline=False, now=NOW, ours=ours, policy=Policy(is_folder=True))
    return {one.post.pk: one.held for one in changes.gone}


def test_more_that_people_saw_than_anyone_deletes_waits_for_the_owner():
    assert set(gone_from_folder(*[PostState.PUBLISHED] * 3).values()) == {None}
    assert set(gone_from_folder(*[PostState.PUBLISHED] * 4).values()) == {Reason.GONE}


@pytest.mark.parametrize("unseen", [PostState.HELD, PostState.SCHEDULED])
def test_what_nobody_saw_may_go_in_any_number_and_holds_nothing_back(unseen):
    assert set(gone_from_folder(*[unseen] * 9).values()) == {None}
    assert set(gone_from_folder(PostState.PUBLISHED, *[unseen] * 9).values()) == {None}
    held = gone_from_folder(*[PostState.PUBLISHED] * 4, *[unseen] * 2)
    assert [held[ref] for ref in (1, 2, 3, 4)] == [Reason.GONE] * 4
    assert [held[ref] for ref in (5, 6)] == [None, None]
