"""What one sender, or many that act together, cannot do: keep out whoever comes for the first time."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from fake_peer import FakePeer, Person
from http_signing import rsa_key
from lab import CAFE, INBOX, Lab
from rows import arrival
from sqlalchemy import text

from bridge.addresses import domain_of
from bridge.model import Answered
from bridge.people.budget import FAILURES_IN_ALL, FAILURES_PER_HOST, FIRSTS_IN_ALL, FIRSTS_PER_HOST, Budget
from bridge.people.fetch import CROWD, CROWDED_SECONDS, SECONDS, Fetcher
from bridge.store import Store, Tx, inbox, strangers
from bridge.store.inbox import OTHER_SLOTS, Arrival, Received
from bridge.store.strangers import MAX_OF_PARTY, PARTY_WINDOW, PER_HOST
from bridge.web.limits import Parties


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock, size=40) as lab:
        yield lab


# ── the queue of strangers ────────────────────────────────────────────────────────────────────────

serial = iter(range(10**6))


def strange(party: str, host: str = "") -> Arrival:
    number = next(serial)
    host = host or f"{party}.example"
    return Arrival(
        signature_hash=f"hash {number}",
        activity_id=f"https://{host}/{number}",
        type="Follow",
        actor_id=f"https://{host}/u",
        key_id=f"https://{host}/u#key",
        host=host,
        verified=False,
        request={},
        body=b"a word",
        party=party,
    )


def come(tx: Tx, clock, party: str, count: int = 1, host: str = "") -> list[int | None]:
    """Let requests of a party in as the web process does; return the places they got."""
    places = []
    for _ in range(count):
        place = strangers.admit(tx, party, now=clock.now())
        places.append(place)
        if place is not None and strangers.make_room(tx, place, now=clock.now()):
            if place >= strangers.MAX_OF_PARTY:
                strangers.shed(tx, party)
            inbox.store(tx, replace(strange(party, host), place=place), now=clock.now())
    return places


def claimed(tx: Tx, clock, limit: int = 9, *, first: bool, busy: list[str] | None = None) -> list[str]:
    rows = strangers.claim(tx, limit, first=first, busy=busy or (), also={}, now=clock.now())
    return [row.host.partition(".")[0] for row in sorted(rows, key=lambda row: row.id)]


def test_the_first_of_every_party_goes_first(store: Store, clock) -> None:
    with store.write() as tx:
        assert come(tx, clock, "junk", 5) == [0, 1, 2, 3, 4]
        assert come(tx, clock, "real") == [0]
        assert claimed(tx, clock, first=True) == ["junk", "real"]
        assert claimed(tx, clock, first=True) == []
        assert claimed(tx, clock, 3, first=False) == ["junk"] * 3


def test_of_those_that_are_first_the_newest_goes_first(store: Store, clock) -> None:
    with store.write() as tx:
        for party in ("a", "b", "c", "d"):
            come(tx, clock, party)
        assert claimed(tx, clock, 1, first=True) == ["d"]
        assert claimed(tx, clock, 2, first=True) == ["b", "c"]


def test_of_the_others_whoever_has_sent_least_goes_first(store: Store, clock) -> None:
    with store.write() as tx:
        come(tx, clock, "real", 2)
        come(tx, clock, "junk", 5)
        assert claimed(tx, clock, first=True) == ["real", "junk"]
        assert claimed(tx, clock, 2, first=False) == ["real", "junk"]
        assert claimed(tx, clock, first=False) == ["junk"] * 3


def test_what_is_verified_the_firsts_and_all_others_have_slots_apart(
    store: Store, clock, monkeypatch
) -> None:
    for name in ("VERIFIED_SLOTS", "FIRST_SLOTS", "OTHER_SLOTS"):
        monkeypatch.setattr(inbox, name, 2)
    with store.write() as tx:
        for party in "abcde":
            come(tx, clock, party, 2)
            inbox.store(tx, replace(strange(party), verified=True), now=clock.now())
        found = inbox.claim_due(tx, 100, now=clock.now())
        assert sorted(map(kind_of, found)) == ["first"] * 2 + ["other"] * 2 + ["verified"] * 2
        assert inbox.claim_due(tx, 100, now=clock.now(), under_way=found) == []
        for kind in ("first", "other", "verified"):
            left = [one for one in found if kind_of(one) != kind]
            (more, too) = inbox.claim_due(tx, 100, now=clock.now(), under_way=left)
            assert kind_of(more) == kind_of(too) == kind


def kind_of(received: Received) -> str:
    return "verified" if received.verified else "first" if received.is_first else "other"


def test_no_host_takes_more_than_its_share_of_a_claim(store: Store, clock) -> None:
    with store.write() as tx:
        for party in ("a", "b", "c", "d"):
            come(tx, clock, party, 5, host="hangs.example")
        come(tx, clock, "real", 2)
        assert claimed(tx, clock, 20, first=False) == ["hangs"] * PER_HOST + ["real"]
        assert claimed(tx, clock, first=False, busy=["hangs.example"]) == []


def test_a_party_that_proves_itself_is_first_again(store: Store, clock) -> None:
    with store.write() as tx:
        come(tx, clock, "real", 3)
        for received in inbox.claim_due(tx, 1, now=clock.now()):
            inbox.done(tx, received.id, now=clock.now())
        assert come(tx, clock, "real") == [2]
        clock.tick(PARTY_WINDOW + timedelta(seconds=1))
        assert come(tx, clock, "real") == [0]


def test_a_party_has_a_share_well_below_the_whole(store: Store, clock, monkeypatch) -> None:
    monkeypatch.setattr(strangers, "MAX_OF_PARTY", 3)
    with store.write() as tx:
        assert come(tx, clock, "junk", 5) == [0, 1, 2, 3, 3]
        assert come(tx, clock, "real") == [0]
        assert inbox.waiting(tx, verified=False) == 4
    assert MAX_OF_PARTY * 4 < strangers.MAX_STRANGERS


def test_where_all_places_are_taken_the_last_of_the_largest_party_goes(
    store: Store, clock, monkeypatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 6)
    with store.write() as tx:
        come(tx, clock, "early")
        come(tx, clock, "junk", 5)
        assert come(tx, clock, "junk") == [None]  # it would be the last itself
        assert come(tx, clock, "real") == [0]
        assert inbox.waiting(tx, verified=False) == 6
        assert claimed(tx, clock, first=True) == ["early", "junk", "real"]
        assert claimed(tx, clock, first=False) == ["junk"] * 3


def test_of_what_gives_way_no_word_is_kept_and_what_is_under_way_stays(
    store: Store, clock, monkeypatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 3)
    with store.write() as tx:
        come(tx, clock, "junk", 3)
        assert len(claimed(tx, clock, 1, first=False)) == 1
        assert come(tx, clock, "real") == [0]
        gone = tx.execute(text("SELECT body, request FROM inbox WHERE state = 'refused'")).all()
        assert [(bytes(row.body), row.request in ("{}", {})) for row in gone] == [(b"", True)]
        assert come(tx, clock, "late") == [None]
        assert inbox.waiting(tx, verified=False) == 3


def test_a_first_gives_way_to_no_one_who_is_not(store: Store, clock, monkeypatch) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 4)
    with store.write() as tx:
        for party in ("a", "b", "c", "d"):
            come(tx, clock, party)
        (received,) = inbox.claim_due(tx, 1, now=clock.now())
        inbox.later(tx, received.id, "no answer", due_at=clock.tick(timedelta(minutes=1)))
        assert come(tx, clock, "a") == [None]
        assert come(tx, clock, "e") == [0]  # for the one that was tried in vain
        assert come(tx, clock, "f") == [None]
        assert claimed(tx, clock, first=True) == ["a", "b", "c", "e"]


def test_followers_come_in_whatever_strangers_do(store: Store, clock, monkeypatch) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 2)
    with store.write() as tx:
        come(tx, clock, "junk", 9)
        assert inbox.store(tx, arrival(), now=clock.now())
        assert [received.verified for received in inbox.claim_due(tx, 9, now=clock.now())].count(True) == 1


# ── whose share it is ─────────────────────────────────────────────────────────────────────────────


def test_a_party_is_an_address_and_behind_a_proxy_a_domain() -> None:
    parties = Parties()

    def name(address: str | None, host: str = "a.example") -> str:
        return parties.name(ip_address(address) if address else None, host)

    assert name("8.8.8.8") == name("8.8.8.8", "b.example") != name("8.8.4.4")
    assert name("2a00:1450::1") == name("2a00:1450::2") != name("2a00:1451::1")
    assert name("10.0.0.1") == name("192.168.0.1") == name(None) == name("127.0.0.1", "x.y.a.example")
    assert name("10.0.0.1") != name("10.0.0.1", "b.example")


def test_a_party_s_name_tells_nothing_about_it() -> None:
    address = ip_address("8.8.8.8")
    names = {Parties().name(address, "a.example") for _ in range(5)}
    assert len(names) == 5
    assert not any("8.8" in name or "a.example" in name or "." in name for name in names)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("mastodon.social", "mastodon.social"),
        ("a.b.c.evil.example", "evil.example"),
        ("x.bbc.co.uk", "bbc.co.uk"),
        ("bbc.co.uk", "bbc.co.uk"),
        ("a.evil.de:8443", "evil.de"),
        ("localhost:8000", "localhost"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("[2001:db8::1]:8000", "[2001:db8::1]"),
    ],
)
def test_a_host_belongs_to_a_domain(host: str, domain: str) -> None:
    assert domain_of(host) == domain


# ── what is fetched ───────────────────────────────────────────────────────────────────────────────


def test_what_others_tried_in_vain_is_not_held_against_the_first_of_a_party(clock) -> None:
    budget, now = Budget(), clock.now()
    for number in range(FAILURES_IN_ALL):
        assert budget.take(f"h{number}.example", now)
    assert not budget.take("real.example", now)
    assert budget.take("real.example", now, first=True)
    for _ in range(FAILURES_PER_HOST):
        budget.take("busy.example", now, first=True)
    assert not budget.take("busy.example", now)
    assert budget.take("busy.example", now, first=True)


def test_no_host_is_asked_without_end_not_even_by_firsts(clock) -> None:
    budget, now = Budget(), clock.now()
    taken = [bool(budget.take("victim.example", now, first=True)) for _ in range(FIRSTS_PER_HOST + 5)]
    assert taken == [True] * FIRSTS_PER_HOST + [False] * 5


def test_firsts_and_others_have_allowances_of_their_own(clock) -> None:
    budget, now = Budget(), clock.now()
    taken = [bool(budget.take(f"h{number}.example", now, first=True)) for number in range(FIRSTS_IN_ALL + 5)]
    assert taken == [True] * FIRSTS_IN_ALL + [False] * 5
    assert budget.take("other.example", now)


class Silent:
    """A client whose servers do not answer until they are told to; notes how long each may take."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.answer = asyncio.Event()

    async def get(self, _url: str, *, timeout: float, **_: object) -> Answered:
        self.seconds.append(timeout)
        await self.answer.wait()
        return Answered(404)


def test_in_a_crowd_nobody_is_waited_for_long(lab: Lab) -> None:
    client = Silent()
    fetcher = Fetcher(lab.services, client)  # type: ignore[arg-type]

    async def ask(number: int) -> None:
        asked = [fetcher.document(f"https://h{one}.example/u", first=True) for one in range(number)]
        waiting = asyncio.gather(*asked)
        while len(client.seconds) < number:
            await asyncio.sleep(0)
        client.answer.set()
        await waiting

    lab.run(ask(CROWD - 1))
    assert set(client.seconds) == {SECONDS}
    client.seconds.clear()
    client.answer.clear()
    lab.run(ask(CROWD))
    assert CROWDED_SECONDS in client.seconds


# ── all together ──────────────────────────────────────────────────────────────────────────────────


def send_junk(lab: Lab, peers: list[FakePeer], count: int) -> None:
    """Send Follows signed with keys that are made up, on servers that take a connection and say nothing."""
    for number in range(count):
        peer = peers[number % len(peers)]
        junk = Person(peer, f"junk{number}", rsa_key())
        assert junk.send(junk.follow(CAFE), INBOX) == 202


async def receive_until(lab: Lab, done: Callable[[], bool]) -> None:
    stop = asyncio.Event()
    work = asyncio.ensure_future(lab.receiver.run(stop))
    while not done() and not work.done():
        await asyncio.sleep(0.01)
    stop.set()
    await work


@pytest.mark.parametrize("hosts", [1, 30])
def test_a_first_follow_gets_past_a_queue_of_made_up_keys_whose_hosts_hang(lab: Lab, hosts: int) -> None:
    hanging = [lab.peer(f"junk{number}.example") for number in range(hosts)]
    for peer in hanging:
        peer.hangs = True
    send_junk(lab, hanging, OTHER_SLOTS + 60)
    alice = lab.peer("real.example").person()
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.run(receive_until(lab, lambda: lab.follower_ids() == {alice.id}))
    assert lab.follower_ids() == {alice.id}
    assert [d.type for d in lab.deliveries()] == ["Accept"]
    assert all(len(peer.gets) <= PER_HOST for peer in hanging)
    states = [state for _, state, _ in lab.arrivals()]
    assert states.count("pending") >= OTHER_SLOTS  # nobody waited for the junk to end
