"""People whom a post mentions are found, linked and told, where the owner asked for it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fake_peer import Person
from lab import Lab
from loopback import Reply

from bridge.publish.late_pictures import SecondLooker


@pytest.mark.parametrize("asked", [True, False])
def test_whoever_a_post_mentions_is_told_only_if_the_owner_asked_for_it(
    make_services, clock, asked: bool
) -> None:
    site = "mentions = true\n" if asked else ""
    with Lab(make_services, clock, site=site) as lab:
        lab.poll()
        alice = lab.peer().person()
        handle = f"@{alice.user}@{alice.peer.netloc}"
        lab.publish("Thanks", f"Thanks to {handle} and @nobody@{alice.peer.netloc} for the cups.")
        lab.deliver()
        note = lab.newest().note
        mentions = [tag for tag in note["tag"] if tag["type"] == "Mention"]
        assert [tag["href"] for tag in mentions] == ([alice.id] if asked else [])
        assert (alice.id in note["cc"]) is asked
        assert alice.peer.types == (["Create"] if asked else [])


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, site="mentions = true\n", database=database) as lab:
        yield lab


def handle_of(person: Person) -> str:
    return f"@{person.user}@{person.peer.netloc}"


def look_again(lab: Lab) -> None:
    """Let time pass until a second look, and until what it found has stood."""
    lab.wait(minutes=3)
    lab.run(SecondLooker(lab.services, lab.client).run(lab.stop))
    lab.wait(minutes=15)
    lab.publish_due()
    lab.work()


def greeted(lab: Lab) -> set[str]:
    return {tag["href"] for tag in lab.newest().note["tag"] if tag["type"] == "Mention"}


@pytest.mark.parametrize("away", ["down", "busy"])
def test_whose_server_was_away_is_mentioned_by_an_update_once_it_is_back(lab: Lab, away: str) -> None:
    lab.poll()
    fan, alice = lab.peer("fans.example").person(), lab.peer().person()
    lab.follow(fan)
    if away == "down":
        alice.peer.go_down()
    else:
        alice.peer.redirects["/.well-known/webfinger"] = f"{lab.blog.url}/busy"
        lab.blog.pages["/busy"] = Reply(503)
    lab.publish("Thanks", f"Thanks to {handle_of(alice)} for the cups.")
    lab.work()
    assert greeted(lab) == set()
    look_again(lab)
    assert greeted(lab) == set()
    alice.peer.come_back()
    alice.peer.redirects.clear()
    look_again(lab)
    assert greeted(lab) == {alice.id}
    assert alice.id in lab.newest().note["cc"]
    assert fan.peer.types[-2:] == ["Create", "Update"]
    assert alice.peer.types == ["Update"]
    before = len(fan.peer.types)
    look_again(lab)
    assert len(fan.peer.types) == before


def test_whoever_was_found_stays_mentioned_while_their_server_is_away(lab: Lab) -> None:
    lab.poll()
    alice, bob = lab.peer("one.example").person(), lab.peer("two.example").person("bob")
    bob.peer.go_down()
    lab.publish("Thanks", f"Thanks to {handle_of(alice)} and {handle_of(bob)}.")
    lab.work()
    alice.peer.go_down()
    bob.peer.come_back()
    look_again(lab)
    assert greeted(lab) == {alice.id}
    alice.peer.come_back()
    look_again(lab)
    assert greeted(lab) == {alice.id, bob.id}


def test_nobody_is_told_of_an_old_post_that_names_them(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.blog.post("Old", f"Thanks to {handle_of(alice)}.", lab.clock.now() - timedelta(days=400))
    lab.poll()
    look_again(lab)
    assert greeted(lab) == set()
    assert alice.peer.types == []
