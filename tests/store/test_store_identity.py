"""Who we are, what we know of other servers, and which of our processes are alive."""

from dataclasses import replace
from datetime import timedelta

from bridge.model import Scheme
from bridge.store import identity, peers
from bridge.store.peers import Peer

HOUR = timedelta(hours=1)


def test_an_empty_database_belongs_to_nobody(store):
    with store.read() as tx:
        assert identity.base_url(tx) is None
        assert identity.handles(tx) == {}
        assert identity.private_keys(tx) == {}
        assert identity.revision(tx) == 0
        assert identity.heartbeats(tx) == {}


def test_facts_about_the_installation_are_kept_and_replaced(store):
    with store.write() as tx:
        for url in ("https://one.example", "https://two.example"):
            identity.set_meta(tx, "base_url", url)
        assert identity.base_url(tx) == "https://two.example"
        assert identity.get_meta(tx, "anything else") is None


def test_the_revision_grows_with_every_public_change(store):
    with store.write() as tx:
        seen = [identity.revision(tx)]
        for _ in range(11):
            identity.touch(tx)
            seen.append(identity.revision(tx))
    assert seen == list(range(12))


def test_a_site_keeps_its_first_handle(store, clock):
    with store.write() as tx:
        identity.add_site(tx, "cafe", "@cafe@cafe.example", now=clock.now())
        identity.add_site(tx, "cafe", "@other@cafe.example", now=clock.now())
        assert identity.handles(tx) == {"cafe": "@cafe@cafe.example"}


def test_a_key_is_stored_once_and_never_replaced(store, clock):
    with store.write() as tx:
        for pem in ("first", "second"):
            identity.add_key(tx, "cafe", "rsa", pem, now=clock.now())
        identity.add_key(tx, identity.INSTANCE, "rsa", "ours", now=clock.now())
        assert identity.private_keys(tx) == {("cafe", "rsa"): "first", ("", "rsa"): "ours"}


def test_a_changed_profile_is_dated_and_is_a_public_change(store, clock):
    with store.write() as tx:
        identity.add_site(tx, "cafe", "@cafe@cafe.example", now=clock.now())
        assert identity.profile(tx, "cafe") == (None, clock.now(), clock.now())
        created, before = clock.now(), identity.revision(tx)
        identity.set_profile(tx, "cafe", "hash", now=clock.tick(HOUR))
        assert identity.profile(tx, "cafe") == ("hash", created, clock.now())
        assert identity.revision(tx) > before


def test_the_last_sign_of_life_of_each_process_is_known(store, clock):
    with store.write() as tx:
        identity.beat(tx, "worker", "pid 1", now=clock.now())
        identity.beat(tx, "web", "", now=clock.now())
        identity.beat(tx, "worker", "pid 2", now=clock.tick(HOUR))
        assert identity.heartbeats(tx) == {"worker": clock.now(), "web": clock.now() - HOUR}


# ── peers ────────────────────────────────────────────────────────────────────────────────────────


def test_a_peer_comes_back_as_it_was_learned(store, clock):
    now = clock.now()
    learned = Peer(
        host="one.example",
        scheme=Scheme.RFC9421,
        scheme_at=now,
        failures=7,
        open_until=now + HOUR,
        failing_since=now,
        last_success_at=now,
        last_failure_at=now,
        error="timed out",
    )
    with store.write() as tx:
        peers.save(tx, Peer("one.example"))
        peers.save(tx, learned)
        peers.save(tx, Peer("two.example", failures=1))
        assert peers.known(tx, ["one.example", "three.example"]) == {"one.example": learned}
        assert peers.known(tx, []) == {}


def test_a_peer_that_recovered_forgets_its_troubles(store, clock):
    now = clock.now()
    failing = Peer("one.example", failures=7, open_until=now, failing_since=now, error="no")
    with store.write() as tx:
        peers.save(tx, failing)
        mended = replace(failing, failures=0, open_until=None, failing_since=None, error=None)
        peers.save(tx, mended)
        assert peers.known(tx, ["one.example"]) == {"one.example": mended}
        assert peers.failing(tx) == []


def test_failing_peers_are_listed_longest_first(store, clock):
    with store.write() as tx:
        for number, host in enumerate(("late.example", "early.example")):
            since = clock.now() - number * HOUR
            peers.save(tx, Peer(host, failures=1, failing_since=since))
        peers.save(tx, Peer("fine.example"))
        assert [peer.host for peer in peers.failing(tx)] == ["early.example", "late.example"]
