"""Only a page's own answer, and a site that is up, prove that a post is deleted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from feed_server import Item
from lab import Lab
from loopback import Reply, Request

from bridge.model import PostState
from bridge.poll.missing_pages import PageAsker
from bridge.store import holds


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


class Pages:
    """A host of pages; what `answers` names is answered so, everything else with 200."""

    def __init__(self, lab: Lab, name: str = "pages.example") -> None:
        self.answers: dict[str, Reply] = {}
        self.asked: list[str] = []
        self.host = lab.network.host(name, self._answer)
        self.url = self.host.url

    async def _answer(self, request: Request) -> Reply:
        self.asked.append(request.path)
        return self.answers.get(request.path, Reply(200, b"A page", {"Content-Type": "text/html"}))


@pytest.fixture
def pages(lab: Lab) -> Pages:
    """The blog's pages, on another host than its feed and than the website in the config."""
    found = Pages(lab)
    lab.poll()
    lab.blog.items = [
        Item(title, date=lab.clock.now() - timedelta(minutes=9 - number), base=found.url)
        for number, title in enumerate(["Oldest", "Gone", "Newest"])
    ]
    lab.poll()
    assert {post.state for post in lab.posts()} == {PostState.PUBLISHED}
    del lab.blog.items[1]
    lab.poll()
    return found


def ask(lab: Lab) -> None:
    lab.run(PageAsker(lab.services, lab.client).run(lab.stop))


def ask_for_days(lab: Lab, days: float = 8) -> None:
    for _ in range(int(days * 2)):
        ask(lab)
        lab.wait(hours=12, seconds=1)


def titles(lab: Lab) -> set[str]:
    return {post.page_url.rstrip("/").rpartition("/")[2] for post in lab.posts() if post.page_url}


EVERYTHING = {"oldest", "gone", "newest"}


def test_a_page_that_says_it_is_gone_deletes_its_post(lab: Lab, pages: Pages) -> None:
    pages.answers["/gone/"] = Reply(410)
    ask(lab)
    assert titles(lab) == EVERYTHING - {"gone"}


def test_a_page_that_is_not_found_three_times_over_a_day_deletes_its_post(lab: Lab, pages: Pages) -> None:
    pages.answers["/gone/"] = Reply(404)
    for _ in range(2):
        ask(lab)
        lab.wait(hours=12, seconds=1)
        assert titles(lab) == EVERYTHING
    ask(lab)
    assert titles(lab) == EVERYTHING - {"gone"}
    assert pages.asked == ["/gone/", "/"] * 3


def elsewhere(lab: Lab) -> str:
    return Pages(lab, "elsewhere.example").url


@pytest.mark.parametrize(
    "answer",
    [
        lambda lab: Reply(403),
        lambda lab: Reply(500),
        lambda lab: Reply(503, headers={"Retry-After": "60"}),
        lambda lab: Reply(301, headers={"Location": "/"}),
        lambda lab: Reply(302, headers={"Location": elsewhere(lab)}),
        lambda lab: Reply(200, b"<h1>404: not found</h1>"),
    ],
    ids=["forbidden", "broken", "busy", "to the front page", "to another site", "not found, with 200"],
)
def test_any_other_answer_of_a_page_deletes_nothing(lab: Lab, pages: Pages, answer) -> None:
    pages.answers["/gone/"] = answer(lab)
    ask_for_days(lab)
    assert titles(lab) == EVERYTHING


def test_nothing_is_deleted_while_the_page_s_own_site_does_not_answer(lab: Lab, pages: Pages) -> None:
    """The website in the config being up proves nothing about another host."""
    pages.answers = {"/gone/": Reply(404), "/": Reply(404)}
    ask_for_days(lab)
    assert titles(lab) == EVERYTHING


def test_a_front_page_that_leads_to_another_host_proves_nothing(lab: Lab, pages: Pages) -> None:
    """A domain that was left answers so: every page is not found, and the front page is somebody else's."""
    pages.answers = {"/gone/": Reply(404), "/": Reply(301, headers={"Location": elsewhere(lab)})}
    ask_for_days(lab)
    assert titles(lab) == EVERYTHING


def test_a_page_on_a_site_that_is_down_deletes_nothing(lab: Lab, pages: Pages) -> None:
    pages.host.go_down()
    ask_for_days(lab)
    assert titles(lab) == EVERYTHING


def test_the_website_in_the_config_is_the_front_page_of_its_own_host(make_services, clock) -> None:
    """So it is where several sites share a host, each in a folder of its own."""
    with Lab(make_services, clock) as lab:
        shared = Pages(lab)
        lab.change_config(website=f"{shared.url}/~cafe/")
        lab.poll()
        news = [Item("Oldest"), Item("Gone"), Item("Newest")]
        for number, item in enumerate(news):
            item.base, item.date = f"{shared.url}/~cafe", clock.now() - timedelta(minutes=9 - number)
        lab.blog.items = news
        lab.poll()
        del lab.blog.items[1]
        lab.poll()
        shared.answers = {"/~cafe/gone/": Reply(410), "/": Reply(404)}
        ask(lab)
        assert titles(lab) == EVERYTHING - {"gone"}
        assert shared.asked == ["/~cafe/gone/", "/~cafe/"]


def test_what_fell_off_the_end_of_a_feed_is_not_asked_for_however_late_it_was_published(lab: Lab) -> None:
    found, now = Pages(lab), lab.clock.now()
    lab.poll()
    lab.blog.items = [Item(f"Day {n}", date=now - timedelta(days=n), base=found.url) for n in range(1, 5)]
    lab.poll()
    lab.blog.items = [Item("Today", date=now, base=found.url), *lab.blog.items[:-1]]
    lab.poll()
    ask(lab)
    assert len(lab.posts()) == 5 and found.asked == []


def test_a_feed_that_misses_an_entry_is_not_asked_more_often_for_that(lab: Lab, pages: Pages) -> None:
    pauses = []
    for _ in range(5):
        lab.blog.items.reverse()
        lab.poll()
        pauses.append(lab.source().interval)
    assert pauses == sorted(pauses) and pauses[0] < pauses[-1]


def test_a_page_that_lingers_in_a_cache_is_asked_again(lab: Lab, pages: Pages) -> None:
    ask(lab)
    pages.answers["/gone/"] = Reply(404)
    ask_for_days(lab, 2)
    assert titles(lab) == EVERYTHING - {"gone"}


def test_a_page_that_is_there_is_asked_for_a_day_only(lab: Lab, pages: Pages) -> None:
    ask_for_days(lab)
    assert pages.asked == ["/gone/"] * 3


def test_an_entry_that_comes_back_is_not_asked_for_any_more(lab: Lab, pages: Pages) -> None:
    pages.answers["/gone/"] = Reply(404)
    ask(lab)
    lab.blog.items.insert(1, Item("Gone", date=datetime(2026, 3, 1, 11, 52, tzinfo=UTC), base=pages.url))
    lab.poll()
    ask_for_days(lab)
    assert titles(lab) == EVERYTHING
    assert pages.asked == ["/gone/", "/"]


def test_a_site_that_loses_many_pages_at_once_has_them_held(make_services, clock) -> None:
    with Lab(make_services, clock) as lab:
        found = Pages(lab)
        lab.blog.items = [
            Item(f"Story {n}", date=datetime(2026, 2, 1 + n, tzinfo=UTC), base=found.url) for n in range(9)
        ]
        lab.poll()
        lab.blog.items = [lab.blog.items[0], lab.blog.items[8], Item("A"), Item("B"), Item("C")]
        lab.poll()
        found.answers = {f"/story-{n}/": Reply(410) for n in range(9)}
        ask(lab)
        with lab.store.read() as tx:
            assert [hold.kind for hold in holds.waiting(tx)] == [holds.DELETE] * 4


def test_followers_hear_of_it(lab: Lab) -> None:
    peer, found = lab.peer(), Pages(lab)
    lab.follow(peer.person())
    lab.poll()
    lab.blog.items = [Item("Here", base=found.url), Item("Gone", base=found.url)]
    lab.blog.items[0].date = lab.clock.now() - timedelta(minutes=5)
    lab.poll()
    lab.deliver()
    del lab.blog.items[1]
    lab.poll()
    found.answers["/gone/"] = Reply(410)
    ask(lab)
    lab.deliver()
    assert peer.types == ["Accept", "Create", "Create", "Delete"]
