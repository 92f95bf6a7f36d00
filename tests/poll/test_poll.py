"""Sources are asked politely and often enough, and what goes wrong with one is said and changes nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feed_server import Item
from lab import CAFE, Lab
from loopback import Reply, Request
from sqlalchemy import update

from bridge.model import PostState
from bridge.poll.shares import MOST_FAILING_OF_A_HOST, MOST_OF_A_HOST, Shares
from bridge.store import holds, schema, sources

QUARTER, HALF_DAY = timedelta(minutes=15), timedelta(hours=12)


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


def pause(lab: Lab, name: str = "blog") -> timedelta:
    """Return how long a source is left alone from now."""
    return lab.source(name).due_at - lab.clock.now()


# ── the first look ────────────────────────────────────────────────────────────────────────────────


def test_what_was_there_before_us_is_shown_but_not_delivered(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.blog.items = [
        Item(f"Old {number}", date=datetime(2026, 2, 20 - number, tzinfo=UTC)) for number in range(8)
    ]
    lab.poll()
    assert lab.deliver() == 0
    assert {post.state for post in lab.posts()} == {PostState.BASELINE}
    assert lab.bridge.get(f"{CAFE}/outbox")[1]["totalItems"] == 8
    featured = lab.bridge.get(f"{CAFE}/featured")[1]["orderedItems"]
    assert featured == [lab.uri(post) for post in lab.posts()[:5]]
    assert "Old 0" in lab.posts()[0].note["content"]


def test_a_first_look_that_fails_is_no_first_look(lab: Lab) -> None:
    lab.blog.post("Old", date=datetime(2026, 2, 1, tzinfo=UTC))
    lab.blog.status = 500
    lab.poll()
    lab.blog.status = 200
    lab.poll()
    assert [post.state for post in lab.posts()] == [PostState.BASELINE]


def test_a_source_that_points_elsewhere_is_not_new(make_services, clock) -> None:
    with Lab(make_services, clock) as lab:
        lab.blog.post("Old")
        lab.poll()
        lab.change_config(sources=lab.feed.replace("/feed.xml", "/feed.xml?format=rss"))
        assert pause(lab) == timedelta()
        lab.blog.post("New")
        lab.poll_due()
        assert [post.state for post in lab.posts()] == [PostState.PUBLISHED, PostState.BASELINE]


# ── asking politely ───────────────────────────────────────────────────────────────────────────────


def test_a_feed_is_asked_whether_it_changed(lab: Lab) -> None:
    lab.blog.headers["Last-Modified"] = "Sun, 01 Mar 2026 11:00:00 GMT"
    lab.blog.post("Hello")
    lab.poll()
    lab.poll()
    first, second = lab.blog.requests
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"].startswith('"')
    assert second.headers["if-modified-since"] == "Sun, 01 Mar 2026 11:00:00 GMT"
    assert second.headers["user-agent"].startswith("fedibridge/")
    source = lab.source()
    assert (source.error, source.failures, source.last_ok_at) == (None, 0, lab.clock.now())


def test_the_same_body_again_is_no_change(lab: Lab) -> None:
    lab.blog.conditional = False
    lab.blog.post("Hello")
    lab.poll()
    before = pause(lab)
    lab.wait(hours=1)
    lab.poll()
    assert pause(lab) > before
    assert lab.source().error is None


def test_the_pace_follows_how_often_a_feed_changes(lab: Lab) -> None:
    lab.poll()
    for _ in range(30):
        lab.clock.tick(pause(lab))
        lab.poll_due()
    assert lab.source().interval == HALF_DAY
    assert HALF_DAY <= pause(lab) <= 1.1 * HALF_DAY
    for number in range(8):
        lab.clock.tick(pause(lab))
        lab.blog.post(f"News {number}")
        lab.poll_due()
    assert lab.source().interval == QUARTER


def test_a_source_is_not_asked_before_it_is_due(lab: Lab) -> None:
    lab.poll()
    lab.wait(minutes=14)
    assert lab.poll_due() == 0
    lab.wait(minutes=8)
    assert lab.poll_due() == 1
    assert len(lab.blog.requests) == 2


def test_a_feed_that_moved_for_good_is_asked_at_its_new_address(lab: Lab) -> None:
    asked = []

    async def redirect(request: Request) -> Reply:
        asked.append(request)
        return Reply(301, headers={"Location": lab.blog.feed})

    old = lab.network.host("old.example", redirect)
    lab.change_config(sources=lab.feed.replace(lab.blog.feed, f"{old.url}/feed"))
    lab.poll()
    assert (lab.source().moved_to, lab.source().error) == (lab.blog.feed, None)
    lab.poll()
    assert len(asked) == 1
    assert len(lab.blog.requests) == 2


# ── trouble ───────────────────────────────────────────────────────────────────────────────────────


def _down(lab: Lab) -> None:
    lab.blog.go_down()


def _failing(lab: Lab) -> None:
    lab.blog.status = 500


def _html(lab: Lab) -> None:
    lab.blog.raw, lab.blog.content_type = (
        b"<!doctype html><html><body><p>Please log in</body></html>",
        "text/html",
    )


def _empty(lab: Lab) -> None:
    lab.blog.raw = b""


def _truncated(lab: Lab) -> None:
    lab.blog.raw = b'<?xml version="1.0"?><rss version="2.0"><channel><title>A blog</title><item><ti'


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (_down, "connection refused"),
        (_failing, "answered 500 instead of a feed"),
        (_html, "not a feed"),
        (_empty, "empty"),
        (_truncated, ""),
    ],
)
def test_trouble_with_a_feed_is_said_and_changes_nothing(
    lab: Lab, trouble: Callable[[Lab], None], said: str
) -> None:
    lab.publish("Hello")
    before = lab.posts()
    trouble(lab)
    lab.poll()
    source = lab.source()
    assert source.failures == 1
    assert source.error is not None
    assert said in source.error
    assert "blog.example" in source.error
    assert lab.posts() == before


def _twelve_entries(lab: Lab) -> list[Item]:
    days = range(12)
    lab.blog.items = [Item(f"Story {day}", date=datetime(2026, 2, 20 - day, tzinfo=UTC)) for day in days]
    lab.poll()
    return list(lab.blog.items)


def test_a_feed_that_was_cut_off_is_said_and_changes_nothing(lab: Lab) -> None:
    whole = _twelve_entries(lab)
    lab.blog.items = [Item("Oops", date=datetime(2026, 3, 1, 11, tzinfo=UTC)), *whole[:2]]
    lab.poll()
    source = lab.source()
    assert "the feed has 3 entries; at the last good poll it had 12" in (source.error or "")
    assert (source.failures, pause(lab)) == (1, QUARTER)
    assert {post.state for post in lab.posts()} == {PostState.BASELINE}
    lab.blog.items = whole
    lab.wait(minutes=15)
    lab.poll_due()
    assert (lab.source().error, lab.source().failures, lab.source().shrunk_at) == (None, 0, None)


def test_a_feed_that_stays_short_for_an_hour_is_read_as_it_is(lab: Lab) -> None:
    """A conditional request must not turn it into “unchanged” meanwhile."""
    whole = _twelve_entries(lab)
    lab.blog.items = [Item("A new month", date=datetime(2026, 3, 1, 11, 55, tzinfo=UTC)), *whole[:1]]
    for _ in range(4):
        lab.poll()
        assert lab.source().error
        lab.wait(minutes=15)
    lab.poll()
    assert lab.source().error is None
    assert [post.state for post in lab.posts()][:2] == [PostState.PUBLISHED, PostState.BASELINE]
    assert lab.source().size == 2


def test_a_feed_that_fails_before_it_is_cut_off_has_its_hour_all_the_same(lab: Lab) -> None:
    whole = _twelve_entries(lab)
    lab.blog.status = 503
    lab.poll()
    lab.wait(hours=5)
    lab.blog.status, lab.blog.items = 200, whole[:2]
    lab.poll()
    assert "has 2 entries" in (lab.source().error or "")


def test_a_feed_whose_entries_fall_off_its_end_is_not_cut_off(lab: Lab) -> None:
    whole = _twelve_entries(lab)
    for left in (9, 6, 4):
        lab.blog.items = whole[:left]
        lab.poll()
        assert lab.source().error is None


def _strange(lab: Lab) -> None:
    lab.blog.raw = (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>Domains</title><item><title>Buy now</title>'
        b"<link>https://parking.example/1</link></item></channel></rss>"
    )


@pytest.mark.parametrize("trouble", [_html, _empty, _truncated, _strange])
def test_an_answer_that_was_refused_is_refused_again_and_never_unchanged(
    lab: Lab, trouble: Callable[[Lab], None]
) -> None:
    lab.publish("Hello")
    kept = lab.source().etag, lab.source().body_hash
    trouble(lab)
    for times in (1, 2, 3):
        lab.poll()
        assert (lab.source().failures, lab.source().error is None) == (times, False)
        assert (lab.source().etag, lab.source().body_hash) == kept
    lab.blog.raw, lab.blog.content_type = None, "application/rss+xml"
    lab.blog.post("News")
    lab.poll()
    assert lab.source().error is None
    assert "News" in lab.newest().note["content"]


def test_a_feed_in_trouble_is_asked_ever_less_often(lab: Lab) -> None:
    lab.blog.status = 500
    pauses = []
    for _ in range(10):
        lab.poll()
        pauses.append(pause(lab))
    assert pauses == sorted(pauses)
    assert QUARTER < pauses[0] < 2 * QUARTER
    assert HALF_DAY < pauses[-1] <= 1.2 * HALF_DAY
    lab.blog.status = 200
    lab.poll()
    assert (lab.source().failures, lab.source().error) == (0, None)
    assert pause(lab) < HALF_DAY


@pytest.mark.parametrize("retry_after", ["10800", "Sun, 01 Mar 2026 15:00:00 GMT"], ids=["seconds", "date"])
def test_a_feed_may_say_when_to_come_back(lab: Lab, retry_after: str) -> None:
    lab.blog.status, lab.blog.headers["Retry-After"] = 429, retry_after
    lab.poll()
    assert pause(lab) == timedelta(hours=3)


def test_a_feed_that_is_gone_is_asked_once_a_day_and_named(lab: Lab) -> None:
    lab.blog.status = 410
    lab.poll()
    assert pause(lab) >= timedelta(days=1)
    assert "gone for good" in (lab.source().error or "")


def test_one_bad_source_does_not_keep_the_others_from_being_read(make_services, clock) -> None:
    dead = '[[sites.cafe.sources]]\nname = "dead"\nfeed = "http://127.0.0.1:9/feed.xml"\n'
    with Lab(make_services, clock, more=dead) as lab:
        lab.publish("Hello")
        assert lab.source("dead").error
        assert len(lab.posts()) == 1


def test_feeds_that_answer_are_read_before_those_that_failed_and_have_a_slot_of_their_own() -> None:
    shares = Shares()
    may_be_read = shares.choice()
    failing = [may_be_read("https://blog.example/x", 1) for _ in range(MOST_OF_A_HOST + 1)]
    assert failing.count(True) == MOST_FAILING_OF_A_HOST < MOST_OF_A_HOST
    assert may_be_read("https://blog.example/x", 0)
    assert not may_be_read("https://blog.example/x", 0)


def test_of_feeds_that_are_equally_due_those_that_failed_are_read_last(make_services, clock) -> None:
    names = [f"feed{number}" for number in range(MOST_OF_A_HOST + 1)]
    with Lab(make_services, clock) as lab:
        lab.blog.pages |= {f"/{name}": Reply(500) for name in names[:-1]}
        feeds = (f'[[sites.cafe.sources]]\nfeed = "{lab.blog.url}/{name}"\n' for name in names)
        lab.change_config(sources="\n".join(feeds))
        lab.poll()
        with lab.store.write() as tx:
            sources.make_due(tx, now=clock.now())
            (first,) = sources.claim_due(tx, 1, now=clock.now())
    assert first.location.endswith(names[-1])


def test_a_feed_in_another_encoding_is_read(lab: Lab) -> None:
    rss = '<?xml version="1.0" encoding="iso-8859-1"?><rss version="2.0"><channel><title>x</title><item>'
    rss += "<title>Brötchen für alle</title><link>http://blog.example/b</link></item></channel></rss>"
    lab.blog.raw = rss.encode("latin-1")
    lab.poll()
    assert "Brötchen für alle" in lab.newest().note["content"]


def test_relative_links_lead_to_the_blog(lab: Lab) -> None:
    lab.publish("Hello", 'See <a href="/menu">the menu</a>')
    assert f'href="{lab.blog.url}/menu"' in lab.newest().note["content"]


def test_entries_that_cannot_be_read_are_named_and_the_rest_published(lab: Lab) -> None:
    lab.poll()
    lab.blog.raw = (
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>'
        b"<item><description></description></item>"
        b"<item><title>Fine</title><link>http://blog.example/fine</link></item></channel></rss>"
    )
    lab.poll()
    assert ["Fine" in post.note["content"] for post in lab.posts()] == [True]


# ── folders ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "posts"
    path.mkdir()
    write(path, "old", "Written long ago", date="2026-01-01")
    return path


def write(folder: Path, name: str, text: str, **front: str) -> None:
    matter = "".join(f"{key}: {value}\n" for key, value in {"title": name, **front}.items())
    (folder / f"{name}.md").write_text(f"---\n{matter}---\n{text}\n", encoding="utf-8")


@pytest.fixture
def folder_lab(make_services, clock, folder: Path) -> Iterator[Lab]:
    source = f'[[sites.cafe.sources]]\nname = "posts"\nfolder = "{folder}"\n'
    with Lab(make_services, clock, sources=source) as lab:
        lab.poll()
        lab.folders.watch()
        yield lab


def notice(lab: Lab) -> None:
    """Let the watch see what changed, and the poll read it."""
    lab.wait(seconds=3)
    assert lab.folders.watch() == 0  # it may be half written: it has to stand still for one look
    assert lab.folders.is_restless
    assert lab.folders.watch() == 1
    assert not lab.folders.is_restless
    assert lab.poll_due() == 1


def test_a_new_file_is_noticed_and_published(folder_lab: Lab, folder: Path) -> None:
    assert [post.state for post in folder_lab.posts()] == [PostState.BASELINE]
    assert folder_lab.folders.watch() == 0
    write(folder, "new", "Fresh buns")
    notice(folder_lab)
    assert folder_lab.newest().state is PostState.PUBLISHED
    assert "Fresh buns" in folder_lab.newest().note["content"]


def test_a_folder_that_vanishes_is_said_at_once_and_no_more_when_it_is_back(
    folder_lab: Lab, folder: Path
) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    assert [folder_lab.folders.watch() for _ in range(3)] == [1, 0, 0]
    folder_lab.poll_due()
    assert "cannot be read" in (folder_lab.source("posts").error or "")
    assert folder_lab.folders.watch() == 0
    away.rename(folder)
    assert folder_lab.folders.watch() == 1
    folder_lab.poll_due()
    assert folder_lab.source("posts").error is None


def test_a_draft_is_published_when_it_is_one_no_longer(folder_lab: Lab, folder: Path) -> None:
    write(folder, "idea", "Buns?", draft="true")
    notice(folder_lab)
    assert len(folder_lab.posts()) == 1
    write(folder, "idea", "Buns!", draft="false")
    notice(folder_lab)
    assert "Buns!" in folder_lab.newest().note["content"]
    assert folder_lab.newest().state is PostState.PUBLISHED


def test_a_file_that_cannot_be_read_is_named_and_the_rest_published(folder_lab: Lab, folder: Path) -> None:
    (folder / "broken.md").write_text("---\ntitle: [unclosed\n---\nText\n", encoding="utf-8")
    write(folder, "fine", "All is well")
    notice(folder_lab)
    assert "All is well" in folder_lab.newest().note["content"]
    source = folder_lab.source("posts")
    assert source.error is None
    assert ["broken.md" in problem.where for problem in source.problems] == [True]


def test_a_folder_that_disappears_is_an_error_and_deletes_nothing(folder_lab: Lab, folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder_lab.poll()
    assert str(folder) in (folder_lab.source("posts").error or "")
    assert len(folder_lab.posts()) == 1


# ── read in another way ──────────────────────────────────────────────────────────────────────────

LISTED = "What is in it:\n- {}\n- salt\n"  # a list to CommonMark, a paragraph to Python-Markdown


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of twelve posts that read otherwise in another dialect."""
    path = tmp_path / "site" / "content"
    path.mkdir(parents=True)
    for number in range(12):
        write(path, f"old{number}", LISTED.format(f"flour {number}"), date=f"2026-02-{number + 1:02}")
    return path


@pytest.fixture
def followed(make_services, clock, site: Path, database: str) -> Iterator[Lab]:
    """A bridge with a follower, to whom all twelve posts are known."""
    source = f'[[sites.cafe.sources]]\nname = "posts"\nfolder = "{site}"\n'
    with Lab(make_services, clock, sources=source, database=database) as lab:
        lab.poll()
        lab.follow(lab.peer().person())
        yield lab


def has_lists(lab: Lab) -> set[bool]:
    return {"<li>" in post.note["content"] for post in lab.posts()}


def wait_for_edits(lab: Lab) -> int:
    """Let every edit stand for as long as it has to; return how many deliveries came of it."""
    lab.wait(minutes=20)
    lab.publish_due()
    return lab.deliver()


def test_a_generators_configuration_that_appears_is_no_edit_of_its_posts(followed: Lab, site: Path) -> None:
    assert has_lists(followed) == {True}
    (site.parent / "pelicanconf.py").write_text("PATH = 'content'\n")
    followed.poll()
    assert has_lists(followed) == {False}
    assert wait_for_edits(followed) == 0
    with followed.services.store.read() as tx:
        assert holds.held_edits(tx, "cafe") == {}


def test_an_upgrade_that_reads_files_otherwise_is_no_edit_of_its_posts(followed: Lab, site: Path) -> None:
    (site.parent / "pelicanconf.py").write_text("PATH = 'content'\n")
    with followed.services.store.write() as tx:  # as versions before this one remembered a folder
        tx.execute(update(schema.sources).values(body_hash="0" * 64))
    followed.poll()
    assert has_lists(followed) == {False}
    assert wait_for_edits(followed) == 0


def test_what_is_new_goes_out_though_all_is_read_otherwise(followed: Lab, site: Path) -> None:
    (site.parent / "pelicanconf.py").write_text("PATH = 'content'\n")
    write(site, "new", "Fresh buns", date="2026-03-01")
    followed.poll()
    assert followed.newest().state is PostState.PUBLISHED
    assert followed.deliver() == 1


def test_an_edit_after_all_was_read_otherwise_is_sent_and_one_taken_back_is_not(
    followed: Lab, site: Path
) -> None:
    write(site, "new", LISTED.format("rye"), date="2026-03-01")
    followed.poll()
    assert followed.deliver() == 1
    (site.parent / "pelicanconf.py").write_text("PATH = 'content'\n")
    followed.poll()
    for text in ("spelt", "rye"):  # taken back within minutes
        write(site, "new", LISTED.format(text), date="2026-03-01")
        followed.poll()
    assert wait_for_edits(followed) == 0
    write(site, "new", LISTED.format("wheat"), date="2026-03-01")
    followed.poll()
    assert wait_for_edits(followed) == 1
