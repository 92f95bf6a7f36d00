"""What followers see is right, whatever the site does: forty histories, and a machine that makes up more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from ledger import Ledger, Site, number_of, to_host, writing

from bridge.changes.brake import MOST_NEW
from bridge.changes.change import Policy
from bridge.model import Controls, Entry, Image

Step = Callable[[Site], None]


@dataclass(frozen=True)
class History:
    """What an owner does, poll by poll, after ten entries were there at the first; and what comes of it."""

    steps: tuple[Step, ...]
    published: int = 0
    updates: int = 0
    deleted: int = 0
    held: int = 0
    folder: bool = False


def change(mangle: Callable[[Entry], Entry]) -> Step:
    return lambda site: site.change(mangle)


def nothing(site: Site) -> None:
    """A poll that finds the same again."""


def write(count: int = 1) -> Step:
    return lambda site: site.write(count)


def drop(*places: int) -> Step:
    return lambda site: setattr(site, "entries", [e for n, e in enumerate(site.entries) if n not in places])


def keep(count: int) -> Step:
    return lambda site: setattr(site, "entries", site.entries[:count])


def edit(place: int, **changes: object) -> Step:
    def step(site: Site) -> None:
        site.entries[place] = replace(site.entries[place], **changes)  # type: ignore[arg-type]

    return step


def both(*steps: Step) -> Step:
    def step(site: Site) -> None:
        for one in steps:
            one(site)

    return step


def reword(place: int, text: str) -> Step:
    def step(site: Site) -> None:
        entry = site.entries[place]
        site.entries[place] = replace(entry, html=entry.html.replace("</p>", f" {text}</p>"))

    return step


def reorder(site: Site) -> None:
    site.entries = site.entries[::-1]


def swap(site: Site) -> None:
    site.entries[0], site.entries[1] = site.entries[1], site.entries[0]


def wait(days: float) -> Step:
    return lambda site: setattr(site, "now", site.now + timedelta(days=days))


def old_one(days: int) -> Step:
    def step(site: Site) -> None:
        site.written += 1
        site.entries.append(writing(site.written, site.now - timedelta(days=days)))

    return step


def twice(site: Site) -> None:
    site.write()
    site.entries.insert(1, site.entries[0])


def twice_under_two_guids(site: Site) -> None:
    site.write()
    site.entries.insert(1, replace(site.entries[0], guid="urn:copy"))


def advert(text: str) -> Step:
    return change(lambda e: replace(e, html=e.html.split("<p>Ad")[0] + f"<p>Ad: {text}</p>"))


def remember(site: Site) -> None:
    site.kept = list(site.entries)  # type: ignore[attr-defined]


def recall(site: Site) -> None:
    site.entries = list(site.kept)  # type: ignore[attr-defined]


def counter_guid(entry: Entry) -> Entry:
    return replace(entry, guid=f"?p={number_of(entry) + 900}")


def new_slug(entry: Entry) -> Entry:
    slug = f"https://cafe.example/2026/11/{number_of(entry)}-a-new-slug/"
    return replace(entry, guid=slug, link=slug)


def mid_sentence(entry: Entry) -> Entry:
    return replace(
        entry, html=entry.html.replace("<p>", '<div class="x"><p style="y">').replace("</p>", "</p></div>")
    )


def copy_under(guid: str) -> Step:
    """The newest entry is there a second time, a poll later."""
    return lambda site: site.entries.insert(1, replace(site.entries[0], guid=guid, link=f"{guid}/copy"))


def reword_all(places: tuple[int, ...], text: str) -> Step:
    return both(*(reword(place, text) for place in places))


def numbered_by_place(site: Site) -> None:
    """A generator that calls entries by their place in the list: each new one shifts all names."""
    site.entries = [replace(entry, guid=f"item-{place}") for place, entry in enumerate(site.entries)]


def swap_guids(site: Site) -> None:
    first, second = site.entries[:2]
    site.entries[:2] = [replace(first, guid=second.guid), replace(second, guid=first.guid)]


def without_a_link(site: Site) -> None:
    """Podcasts without links are called by their file."""
    edit(0, guid=f"https://files.example/{site.entries[0].title}.mp3", link=None)(site)


def mend_title_and_file(site: Site) -> None:
    edit(0, title="Storey eleven")(site)
    without_a_link(site)


def moved_and_reworded(entry: Entry) -> Entry:
    """Into another folder, with a proper title and more text, all in one deploy."""
    link = (entry.link or "").replace("cafe.example/", "cafe.example/garden/notes/")
    title = f"The {entry.title.lower()}, told anew"
    return replace(entry, guid=link, link=link, title=title, html=entry.html + "<p>And then some.</p>")


def comma(entry: Entry) -> Entry:
    slug = f"https://cafe.example/{number_of(entry)}"
    return replace(reworded(entry), title=entry.title.replace(" ", "-"), guid=slug, link=slug)


def short(text: str) -> Step:
    """A post without a title, of a few words, as microblogs have them."""

    def step(site: Site) -> None:
        site.write()
        html = f"<p>Story number {site.written}: {text}</p>"
        edit(0, title="", html=html, link=f"https://cafe.example/{site.written}")(site)

    return step


def on_the_days_page(entry: Entry) -> Entry:
    """Weblogs have a page for each day, and its posts in it."""
    at = f"https://cafe.example/{entry.published_at:%Y/%m/%d}.html#a{number_of(entry)}"
    return replace(entry, title="", guid=at, link=at)


def write_on_the_days_page(site: Site) -> None:
    site.write()
    site.entries = [on_the_days_page(site.entries[0]), *site.entries[1:9]]


def notice(site: Site) -> None:
    """What is said every week in the same words is said every week."""
    site.write()
    words = site.entries[0].html.replace(f"{site.written}:", "0:")
    edit(0, title="Open day", html=f"{words}<!--{site.written}-->")(site)


def counters(site: Site) -> None:
    site.change(lambda e: replace(e, html=f"{e.html.split('<hr>')[0]}<hr><p>{site.now:%H%M} views · "
                                          f"{number_of(e)} days ago</p>"))  # fmt: skip


def related(site: Site) -> None:
    names = [entry.title for entry in site.entries]

    def mangle(entry: Entry) -> Entry:
        other = names[number_of(entry) * site.now.hour % len(names)]
        own = entry.html.partition("<h3>")[0]
        return replace(entry, html=f"{own}<h3>Related</h3><ul><li>{other}</li></ul>")

    site.change(mangle)


def sign_picture(site: Site) -> None:
    picture = Image(f"https://cdn.example/cup.jpg?X-Sig={site.now:%H%M}", "a cup")
    text = site.entries[0].html.partition("<img")[0] + f'<img src="{picture.url}" alt="a cup">'
    edit(0, images=(picture,), html=text)(site)


def write_unwanted(site: Site) -> None:
    site.write()
    edit(0, controls=Controls(publish=False))(site)


def write_in_the_future(site: Site) -> None:
    site.entries.insert(0, writing(99, site.now + timedelta(days=2)))


def upper_case(entry: Entry) -> Entry:
    return replace(entry, guid=None, link=(entry.link or "").replace("story", "Story"))


def redated(entry: Entry, days: float = 3) -> Entry:
    return replace(entry, published_at=entry.published_at and entry.published_at + timedelta(days=days))


HISTORIES = {
    "nothing happens": History((nothing, nothing)),
    "one new entry": History((write(),), published=1),
    "five new entries at once": History((write(5),), published=5),
    "six new entries at once": History((write(6),), held=6),
    "a new entry each poll": History((write(),) * 8, published=8),
    "a typo is mended": History((write(), reword(0, "Really.")), published=1, updates=1),
    "an old entry is edited": History((reword(5, "Really."),)),
    "every guid changes at a redeploy": History((change(counter_guid), write()), published=1),
    "guids disappear": History((change(lambda e: replace(e, guid=None)), write()), published=1),
    "http becomes https": History((change(to_host("cafe.example", "http")), change(to_host("cafe.example")))),
    "www comes and goes": History((change(to_host("www.cafe.example")), change(to_host("cafe.example")))),
    "the site moves to another domain": History((change(to_host("coffee.example")), write()), published=1),
    "the domain flips twice": History(
        (change(to_host("b.example")), change(to_host("cafe.example")), change(to_host("b.example")))
    ),
    "another generator: new guids, slugs and markup": History((change(new_slug), change(mid_sentence))),
    "new guids and slugs and domain in one deploy": History(
        (change(lambda e: to_host("new.example")(new_slug(e))), write()), published=1
    ),
    "new guids, slugs, domain and dates in one deploy": History(
        (change(lambda e: redated(to_host("new.example")(new_slug(e)), -2)), write()), published=1
    ),
    "trailing slashes go": History((change(lambda e: replace(e, link=e.link and e.link.rstrip("/"))),)),
    "tracking parameters come": History(
        (change(lambda e: replace(e, link=f"{e.link}?utm_source=rss&utm_medium=feed")),)
    ),
    "index.html appears": History((change(lambda e: replace(e, link=f"{e.link}index.html")),)),
    "addresses change case": History((change(upper_case),)),
    "the feed is turned round": History((reorder, nothing, reorder)),
    "entries swap places": History((swap, swap, swap)),
    "the feed is cut to three and grows again": History((remember, keep(3), recall, write()), published=1),
    "the month starts with an empty page": History((keep(1), write(), write()), published=2),
    "all dates become today": History((change(redated),)),
    "dates disappear": History((change(lambda e: replace(e, published_at=None)),)),
    "an entry from last year appears": History((old_one(300),), held=1),
    "an entry from last week appears": History((old_one(7),), published=1),
    "an entry stands in the feed twice": History((twice,), published=1),
    "an entry stands in the feed under two guids": History((twice_under_two_guids,), published=1),
    "an advertisement changes at every poll": History(
        (advert("tea"), advert("jam"), write(), advert("tea")), published=1
    ),
    "white space changes": History((change(lambda e: replace(e, html=e.html.replace(" ", "  \n"))),)),
    "the theme changes all markup": History((write(2), change(mid_sentence)), published=2),
    "half of all entries are rewritten at once": History(
        (write(2), change(lambda e: reworded(e) if number_of(e) % 2 else e)), published=2, held=6
    ),
    "an entry vanishes from the middle": History((drop(4), nothing)),
    "an entry vanishes and comes back": History((remember, drop(4), recall)),
    "all but two entries vanish": History((keep(2),)),
    "a picture gets a description": History(
        (write(), edit(0, images=(Image("https://cafe.example/a.jpg"),)),
         edit(0, images=(Image("https://cafe.example/a.jpg", "a cup"),))),
        published=1, updates=1,
    ),
    "a file is deleted": History((write(), drop(0)), published=1, deleted=1, folder=True),
    "a deleted file comes back": History(
        (write(), remember, drop(0), recall), published=2, deleted=1, folder=True
    ),
    "half the folder is gone": History((drop(0, 1, 2, 3, 4),), held=5, folder=True),
    "the folder is empty": History((keep(0),), folder=True),
    "a file is renamed": History(
        (write(), edit(0, guid="renamed", link="https://cafe.example/renamed/")), published=1, folder=True
    ),
    "a file says it is not for the fediverse": History(
        (write(), edit(0, controls=Controls(publish=False))), published=1, deleted=1, folder=True
    ),
    "an entry never meant for the fediverse": History(
        (write_unwanted, nothing), folder=True
    ),
    "a copy under another guid comes a poll later": History(
        (write(), copy_under("urn:copy"), write(), reword_all((1, 2), "Really."), nothing),
        published=2, updates=1,
    ),
    "an entry stands in the feed under two guids for long": History(
        (twice_under_two_guids, write(), write(), reword_all((2, 3), "Really.")), published=3, updates=1
    ),
    "guids are places in the list": History(
        (numbered_by_place, both(write(), numbered_by_place), both(write(2), numbered_by_place)), published=3
    ),
    "two entries swap their guids": History((write(2), swap_guids, swap_guids), published=2),
    "a title is mended and the file renamed with it": History(
        (both(write(), without_a_link), mend_title_and_file, write()), published=2, updates=1
    ),
    "pages move to another folder and are reworded": History((change(moved_and_reworded),)  , held=10),
    "titles lose their spaces while everything else changes": History((change(comma), write()), published=1,
                                                                     held=10),
    "short posts without titles": History(
        (short("Good morning!"), short("Good morning!"), short("Buns."), change(counter_guid), nothing),
        published=3,
    ),
    "posts of one day on one page": History((write_on_the_days_page,) * 12, published=12),
    "the same notice every week": History(
        (both(wait(7), notice), both(wait(7), notice), both(wait(7), notice), nothing), published=3
    ),
    "views and ages are counted in the text": History(
        (write(2), counters, counters, counters, both(write(), counters)), published=3
    ),
    "related posts change at every poll": History(
        (write(2), related, both(wait(0.1), related), both(wait(0.1), related)), published=2
    ),
    "a picture is signed anew at every poll": History(
        (both(write(), sign_picture), both(wait(0.1), sign_picture), both(wait(0.1), sign_picture)),
        published=1,
    ),
    "https, another domain and new slugs at once": History(
        (change(to_host("cafe.example", "http")), change(lambda e: to_host("coffee.example")(new_slug(e))),
         write()), published=1,
    ),
    "dates change at every poll": History((change(redated), change(redated), write(), change(redated)),
                                          published=1),
    "dates go back to 1970": History(
        (change(lambda e: replace(e, published_at=datetime(1970, 1, 1, tzinfo=UTC))), nothing, write()),
        published=1,
    ),
    "a file is unwanted for a while": History(
        (write(), edit(0, controls=Controls(publish=False)), nothing, edit(0, controls=Controls())),
        published=2, deleted=1, folder=True,
    ),
    "a draft is toggled twice": History(
        (write(), remember, drop(0), recall, drop(0), recall), published=3, deleted=2, folder=True
    ),
    "every file says it is not for the fediverse": History(
        (change(lambda e: replace(e, controls=Controls(publish=False))),), held=10, folder=True
    ),
    "a rewrite of everything is taken back": History(
        (write(), remember, change(lambda e: reworded(e)), recall, reword(0, "Really.")), published=1,
        updates=1, held=11,
    ),
    "a clock in the future": History((write_in_the_future, nothing)),
}  # fmt: skip


def reworded(entry: Entry) -> Entry:
    return replace(entry, html=entry.html.replace("soup", "tea"))


@pytest.mark.parametrize("name", HISTORIES)
def test_followers_see_only_the_real_news(name: str) -> None:
    history = HISTORIES[name]
    site, ledger = Site(), Ledger(Policy(is_folder=history.folder))
    site.write(10)
    ledger.poll(site.entries, site.now)
    for step in history.steps:
        step(site)
        site.now += timedelta(minutes=30)
        ledger.poll(site.entries, site.now)
    assert ledger.published.total() == history.published
    assert ledger.updates.total() == history.updates
    assert ledger.deleted.total() == history.deleted
    assert len(ledger.held) == history.held


def test_an_entry_that_vanished_from_the_middle_has_its_page_asked_and_the_older_ones_not() -> None:
    site, ledger = Site(), Ledger()
    site.write(10)
    ledger.poll(site.entries, site.now)
    gone, oldest = number_of(site.entries[4]), number_of(site.entries[9])
    site.entries = site.entries[:4] + site.entries[5:9]
    ledger.poll(site.entries, site.now)
    assert ledger.asked == {gone} and oldest not in ledger.asked


def test_everything_waits_when_the_owner_asks_for_it() -> None:
    site, ledger = Site(), Ledger(Policy(hold_all=True))
    site.write(3)
    ledger.poll(site.entries, site.now)
    site.write(2)
    ledger.poll(site.entries, site.now)
    assert not ledger.published and len(ledger.held) == 2


class FeedMachine(RuleBasedStateMachine):
    """Owners, generators, plugins and servers, in any order; polled after every deed."""

    def __init__(self) -> None:
        super().__init__()
        self.site, self.ledger = Site(), Ledger()
        self.site.write(8)
        self.most_at_once = 0
        self.hidden: list[Entry] = []
        self.look()

    def look(self) -> None:
        self.site.now += timedelta(minutes=15)
        before = self.ledger.published.total()
        found = self.ledger.poll(self.site.entries, self.site.now)
        self.most_at_once = max(self.most_at_once, self.ledger.published.total() - before)
        assert not any(gone.certain for gone in found.gone)

    @rule(count=st.integers(1, 8))
    def write_some(self, count: int) -> None:
        self.site.write(count)
        self.look()

    @rule(place=st.integers(0, 7), text=st.sampled_from(["Really.", "Sold out.", "Thank you!"]))
    def reword_one(self, place: int, text: str) -> None:
        if place < len(self.site.entries):
            reword(place, text)(self.site)
            self.look()

    @rule(salt=st.integers(1, 5))
    def redeploy_with_new_guids(self, salt: int) -> None:
        self.site.change(lambda e: replace(e, guid=f"urn:{salt}:{number_of(e)}"))
        self.look()

    @rule(
        host=st.sampled_from(["cafe.example", "www.cafe.example", "coffee.example", "b.example"]),
        scheme=st.sampled_from(["http", "https"]),
    )
    def move(self, host: str, scheme: str) -> None:
        self.site.change(to_host(host, scheme))
        self.look()

    @rule()
    def rename_all_pages(self) -> None:
        self.site.change(
            lambda e: replace(e, link=f"https://cafe.example/{len(e.link or '')}/{number_of(e)}.html")
        )
        self.look()

    @rule()
    def turn_round(self) -> None:
        reorder(self.site)
        self.look()

    @rule(count=st.integers(1, 6))
    def truncate(self, count: int) -> None:
        self.hidden += self.site.entries[count:]
        self.site.entries = self.site.entries[:count]
        self.look()

    @precondition(lambda self: self.hidden)
    @rule()
    def bring_back(self) -> None:
        self.site.entries += self.hidden
        self.hidden = []
        self.look()

    @rule(hours=st.integers(1, 200))
    def travel_in_time(self, hours: int) -> None:
        self.site.change(
            lambda e: replace(e, published_at=e.published_at and e.published_at - timedelta(hours=hours))
        )
        self.look()

    @rule()
    def change_the_theme(self) -> None:
        self.site.change(mid_sentence)
        self.look()

    @rule(text=st.sampled_from(["tea", "jam", "soap"]))
    def advertise(self, text: str) -> None:
        advert(text)(self.site)
        self.look()

    @rule()
    def rewrite_everything(self) -> None:
        self.site.change(reworded)
        self.look()

    @rule(place=st.integers(0, 5))
    def repeat_one(self, place: int) -> None:
        if place < len(self.site.entries):
            self.site.entries.insert(0, self.site.entries[place])
            self.look()
            self.site.entries.pop(0)

    @invariant()
    def nobody_sees_anything_twice(self) -> None:
        assert all(times == 1 for times in self.ledger.published.values())

    @invariant()
    def never_more_than_five_unasked(self) -> None:
        assert self.most_at_once <= MOST_NEW

    @invariant()
    def nothing_is_deleted_because_it_is_absent(self) -> None:
        assert not self.ledger.deleted


TestFeedMachine = FeedMachine.TestCase
TestFeedMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
