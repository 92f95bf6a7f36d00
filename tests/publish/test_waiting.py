"""Posts that wait for their date or an embargo, and edits that wait until they have stood."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from feed_server import Item
from lab import Lab
from loopback import Reply, Request

from bridge.model import PostState
from bridge.poll.missing_pages import PageAsker
from bridge.publish.drafts import as_news


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        lab.poll()
        yield lab


@pytest.fixture
def embargoed(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, more='embargo = "2h"\n') as lab:
        lab.poll()
        yield lab


def published(lab: Lab) -> list[str]:
    lab.publish_due()
    return [post.note["content"] for post in lab.posts() if post.state is PostState.PUBLISHED]


# ── a date in the future ──────────────────────────────────────────────────────────────────────────


def schedule(lab: Lab, hours: float = 5) -> Item:
    item = lab.blog.post("Soon", date=lab.clock.now() + timedelta(hours=hours))
    lab.poll()
    assert not any("Soon" in content for content in published(lab))
    return item


def test_a_post_whose_date_is_moved_goes_out_at_its_new_date(lab: Lab) -> None:
    item = schedule(lab)
    item.date = lab.clock.now() + timedelta(hours=9)
    lab.poll()
    lab.wait(hours=6)
    assert published(lab) == []
    item.date = lab.clock.now() + timedelta(hours=1)
    lab.poll()
    lab.wait(hours=1, seconds=1)
    assert len(published(lab)) == 1


@pytest.mark.parametrize("date", [timedelta(hours=-1), None], ids=["now in the past", "gone"])
def test_a_post_whose_date_lies_ahead_no_longer_goes_out(lab: Lab, date: timedelta | None) -> None:
    item = schedule(lab)
    item.date = None if date is None else lab.clock.now() + date
    lab.poll()
    assert len(published(lab)) == 1


def test_a_post_that_is_edited_while_it_waits_goes_out_once_as_it_is_then(lab: Lab) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    item = schedule(lab)
    item.text = "Other words"
    lab.poll()
    assert published(lab) == []
    lab.wait(hours=6)
    assert ["Other words" in content for content in published(lab)] == [True]
    lab.wait(hours=1)
    lab.publish_due()
    lab.deliver()
    assert peer.types == ["Accept", "Create"]


def test_a_post_that_is_withdrawn_before_its_date_stays_back(lab: Lab) -> None:
    lab.blog.post("Here", date=lab.clock.now() - timedelta(minutes=1))
    schedule(lab)
    del lab.blog.items[0]
    lab.poll()
    lab.wait(hours=6)
    assert ["Soon" in content for content in published(lab)] == [False]


# ── an embargo ────────────────────────────────────────────────────────────────────────────────────


def test_an_edit_does_not_end_an_embargo(embargoed: Lab) -> None:
    lab = embargoed
    item = lab.blog.post("Fresh buns", date=lab.clock.now())
    lab.poll()
    lab.wait(minutes=30)
    item.text, item.date = "Other words", lab.clock.now()
    lab.poll()
    lab.wait(minutes=80)
    assert published(lab) == []
    lab.wait(minutes=11)
    assert ["Other words" in content for content in published(lab)] == [True]


def test_a_post_that_is_taken_back_during_its_embargo_never_goes_out(embargoed: Lab) -> None:
    lab = embargoed
    lab.blog.items = [Item("Slip", date=lab.clock.now()), Item("Here", date=lab.clock.now())]
    lab.poll()
    del lab.blog.items[0]
    lab.poll()
    lab.wait(hours=3)
    assert ["Slip" in content for content in published(lab)] == [False]
    lab.blog.items.insert(0, Item("Slip", date=lab.clock.now()))
    lab.poll()
    assert sum("Slip" in content for content in published(lab)) == 1


def test_a_post_that_only_left_its_feed_goes_out_after_its_embargo(embargoed: Lab) -> None:
    lab = embargoed

    async def page(request: Request) -> Reply:
        return Reply(200, b"A page")

    base = lab.network.host("pages.example", page).url
    lab.blog.items = [Item("Crowded out", date=lab.clock.now(), base=base), Item("Here")]
    lab.poll()
    del lab.blog.items[0]
    lab.blog.items.append(Item("Other", date=lab.clock.now() - timedelta(days=1)))
    lab.poll()
    lab.run(PageAsker(lab.services, lab.client).run(lab.stop))
    lab.wait(hours=3)
    assert any("Crowded out" in content for content in published(lab))


# ── edits ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_feed_that_alternates_between_two_versions_sends_one_update(lab: Lab) -> None:
    """As it does when two machines serve it, and one of them is behind."""
    peer = lab.peer()
    lab.follow(peer.person())
    lab.publish("Fresh buns", "From eight")
    lab.deliver()
    for number in range(40):
        lab.blog.items[0].text = "From nine" if number % 2 else "From eight"
        lab.wait(minutes=15)
        lab.poll()
        lab.wait(minutes=7)
        lab.publish_due()
        lab.deliver()  # each time: of Updates that wait together only the last goes out
    assert peer.types == ["Accept", "Create", "Update"]


def test_an_edit_that_is_taken_back_for_good_is_sent(lab: Lab) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    lab.publish("Fresh buns", "From eight")
    lab.deliver()
    lab.edit("From nine")
    lab.deliver()
    lab.wait(minutes=15)
    lab.edit("From eight")
    lab.deliver()
    assert peer.types == ["Accept", "Create", "Update"]
    lab.wait(hours=1)
    lab.publish_due()
    lab.deliver()
    assert peer.types == ["Accept", "Create", "Update", "Update"]
    assert "From eight" in peer.received[-1].activity["object"]["content"]


def test_an_edit_within_the_second_of_its_post_is_dated_later(lab: Lab) -> None:
    """Mastodon ignores an edit whose `updated` is no later than what it has."""
    post = lab.publish("Fresh buns", "From eight")
    lab.blog.items[0].text = "From nine"
    lab.poll()
    edited = lab.newest()
    assert edited.updated_at is not None
    assert edited.updated_at - post.published_at == timedelta(seconds=1)
    stamped = as_news(edited, now=post.published_at)
    assert stamped.updated_at == edited.updated_at + timedelta(seconds=1)
    assert stamped.note["updated"] > edited.note["updated"]


def test_two_edits_of_a_post_go_out_ten_minutes_apart(lab: Lab) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    lab.publish("Fresh buns", "From eight")
    lab.deliver()
    lab.edit("From nine")
    lab.edit("From ten")
    lab.deliver()
    assert peer.types == ["Accept", "Create", "Update"]
    lab.wait(minutes=4)
    lab.publish_due()
    lab.deliver()
    assert peer.types == ["Accept", "Create", "Update", "Update"]


def test_a_post_has_twenty_four_updates_each_dated_later_than_the_last(lab: Lab) -> None:
    peer = lab.peer()
    lab.follow(peer.person())
    lab.publish()
    lab.deliver()
    for number in range(30):
        lab.edit(f"Version {number}")
        lab.wait(minutes=10)
        lab.publish_due()
        lab.deliver()
    updated = [one.activity["object"]["updated"] for one in peer.received if one.type == "Update"]
    assert len(updated) == 24
    assert updated == sorted(set(updated))


# ── one entry in two places ───────────────────────────────────────────────────────────────────────


def test_an_entry_in_a_feed_and_a_folder_is_one_post_and_the_first_one_s_to_change(
    make_services, clock, tmp_path: Path
) -> None:
    """Feeds often hold only the first lines: the two would take turns at being the post."""
    folder = tmp_path / "posts"
    folder.mkdir()
    both = f'[[sites.cafe.sources]]\nname = "posts"\nfolder = "{folder}"\n'
    with Lab(make_services, clock, more=both) as lab:
        peer = lab.peer()
        lab.follow(peer.person())
        (folder / "old.md").write_text("---\ntitle: Old\n---\nText\n")
        lab.poll()
        whole = "The whole text. " * 20
        page = f"---\ntitle: Fresh buns\npermalink: {lab.blog.url}/fresh-buns/\n---\n"
        (folder / "buns.md").write_text(f"{page}{whole}\n")
        lab.poll()
        lab.blog.post("Fresh buns", "The whole …")
        lab.poll()
        for number in range(3):
            lab.wait(minutes=20)
            (folder / "old.md").write_text(f"---\ntitle: Old\nslug: {number}\n---\nText\n")
            lab.blog.post(f"More {number}")
            lab.poll()
            lab.wait(minutes=20)
            lab.publish_due()
        lab.deliver()
        assert peer.types == ["Accept", *["Create"] * 4]
        assert sum("The whole text." in post.note["content"] for post in lab.posts()) == 1
