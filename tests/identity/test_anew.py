"""An identity that nobody knows is replaced, with a notice; one that somebody may know is refused."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from databases import at_once
from rows import actor, add_follower, add_post, arrival, news, queue
from sqlalchemy import func, select

from bridge.config import Config
from bridge.errors import IdentityChanged, IdentityOutdated
from bridge.identity import witness
from bridge.identity.anew import is_on_loopback
from bridge.model import PostState
from bridge.services import Services, look_into, open_services
from bridge.store import Tx, identity, inbox, remote, schema
from bridge.worker.jobs import worker_name

HOME = {"base_url": "http://localhost:8000", "handle": "@cafe@localhost:8000"}
REAL = {"base_url": "https://cafe.example", "handle": "@cafe@cafe.example"}
SPLIT = {"base_url": "https://social.cafe.example", "handle": "@cafe@cafe.example"}
HANDLE = {"base_url": "https://cafe.example", "handle": "@coffee@cafe.example"}

Make = Callable[..., Services]


@pytest.fixture
def make(make_services: Make, database: str) -> Make:
    """Start on the test's database as a config says."""
    return lambda **who: make_services(database=database, **who)


def now_of(services: Services, table) -> int:
    with services.store.read() as tx:
        return tx.scalar(select(func.count()).select_from(table))


def who_is_there(services: Services) -> tuple[str | None, dict[str, str]]:
    with services.store.read() as tx:
        return identity.base_url(tx), identity.handles(tx)


@pytest.mark.parametrize("after", [REAL, SPLIT, {**HOME, "handle": "@coffee@localhost:8000"}])
def test_an_identity_on_localhost_is_replaced_whoever_follows_there(make: Make, caplog, after) -> None:
    before = make(**HOME)
    with before.store.write() as tx:
        add_follower(tx, "ann", "localhost:8001", now=before.now())
        add_post(tx, now=before.now(), state=PostState.PUBLISHED)
        keys = dict(identity.private_keys(tx))
    caplog.set_level(logging.WARNING)
    services = make(**after)
    assert who_is_there(services) == (after["base_url"], {"cafe": after["handle"]})
    assert f"REPLACED: {HOME['handle']} at {HOME['base_url']} → {after['handle']}" in caplog.text
    assert "1 follower on this machine" in caplog.text
    for table in (schema.followers, schema.posts, schema.entry_keys, schema.deliveries, schema.activities):
        assert now_of(services, table) == 0
    assert now_of(services, schema.sources) == 1
    with services.store.read() as tx:
        assert dict(identity.private_keys(tx)) == keys
    found = witness.read(services.witnesses).values()
    assert {one.witness.base_url for one in found} == {after["base_url"]}


@pytest.mark.parametrize("after", [SPLIT, HANDLE, HOME])
def test_an_identity_that_nobody_follows_is_replaced(make: Make, caplog, after) -> None:
    make(**REAL)
    caplog.set_level(logging.WARNING)
    assert who_is_there(make(**after)) == (after["base_url"], {"cafe": after["handle"]})
    assert "REPLACED" in caplog.text
    assert "Nobody followed" in caplog.text
    caplog.clear()
    make(**after)
    assert "REPLACED" not in caplog.text


def test_a_site_that_is_called_otherwise_is_replaced_if_nobody_follows(make: Make) -> None:
    services = make(**REAL)
    config = replace(services.config, sites={"coffee": services.config.sites["cafe"]})
    started = open_services(config, now=services.now)
    assert who_is_there(started) == (REAL["base_url"], {"coffee": REAL["handle"]})
    with started.store.read() as tx:
        assert {owner for owner, _ in identity.private_keys(tx)} == {"", "coffee"}
    started.close()


def a_follower(tx: Tx, services: Services) -> None:
    add_follower(tx, "ann", now=services.now())


def a_follower_who_waits(tx: Tx, services: Services) -> None:
    add_follower(tx, "ann", now=services.now(), state="pending")


def an_arrival(tx: Tx, services: Services) -> None:
    inbox.store(tx, arrival(), now=services.now())


def a_delivery(tx: Tx, services: Services) -> None:
    queue(tx, "https://one.example/inbox", news(), now=services.now())


def a_known_actor(tx: Tx, services: Services) -> None:
    remote.save_actor(tx, actor("ann"), "one.example", now=services.now())


@pytest.mark.parametrize("after", [SPLIT, HANDLE, HOME])
@pytest.mark.parametrize("known", [a_follower, a_follower_who_waits, an_arrival, a_delivery, a_known_actor])
def test_an_identity_that_another_server_has_heard_of_stays(make: Make, known, after) -> None:
    services = make(**REAL)
    with services.store.write() as tx:
        known(tx, services)
    with pytest.raises(IdentityChanged, match="set it back to"):
        make(**after)
    assert who_is_there(services) == (REAL["base_url"], {"cafe": REAL["handle"]})
    make(**REAL)


@pytest.mark.parametrize("state", [PostState.HELD, PostState.IGNORED, PostState.WITHDRAWN])
def test_what_the_owner_kept_back_does_not_come_out_by_a_new_name(make: Make, state) -> None:
    services = make(**HOME)
    with services.store.write() as tx:
        add_post(tx, now=services.now(), state=state)
    with pytest.raises(IdentityChanged, match="1 post that you held, refused or took back"):
        make(**REAL)


def test_a_worker_that_is_at_work_is_stopped_first(make: Make, clock) -> None:
    services = make(**HOME)
    with services.store.write() as tx:
        identity.beat(tx, worker_name(services), '{"pid": 1, "standing": []}', now=clock.now())
    with pytest.raises(IdentityChanged, match="A worker is still at work"):
        make(**REAL)
    with services.store.write() as tx:
        identity.beat(
            tx, worker_name(services), '{"pid": 1, "stopped": true, "standing": []}', now=clock.now()
        )
    make(**REAL)


def test_a_worker_that_died_holds_nothing_up_for_long(make: Make, clock) -> None:
    services = make(**HOME)
    with services.store.write() as tx:
        identity.beat(tx, worker_name(services), "what nobody can read", now=clock.now())
    clock.tick(timedelta(minutes=2))
    make(**REAL)


def test_a_look_replaces_nothing_and_says_what_a_start_will_do(make: Make, make_config, database) -> None:
    services = make(**HOME)
    config = make_config(database=database, **REAL)
    with pytest.raises(IdentityOutdated, match=r"the next start .* replaces it"):
        look_into(config, now=services.now)
    assert who_is_there(services) == (HOME["base_url"], {"cafe": HOME["handle"]})


def test_processes_that_replace_it_together_agree(make: Make, make_config, database, clock, caplog) -> None:
    make(**HOME)
    config: Config = make_config(database=database, **REAL)
    caplog.set_level(logging.WARNING)
    at_once(4, lambda: open_services(config, now=clock.now).close())
    assert caplog.text.count("REPLACED") == 1
    assert who_is_there(make(**REAL)) == (REAL["base_url"], {"cafe": REAL["handle"]})


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://localhost:8000", True), ("http://LOCALHOST", True), ("https://cafe.localhost", True),
        ("http://127.0.0.1:8000", True), ("http://127.9.9.9", True), ("http://[::1]:8000", True),
        ("https://localhost.example", False), ("https://cafe.example", False), ("https://192.168.1.2", False),
        ("https://127.0.0.1.example", False), ("https://mylocalhost", False),
    ],
)  # fmt: skip
def test_what_is_on_each_machine_itself_is_known_to_nobody_else(url: str, home: bool) -> None:
    assert is_on_loopback(url) is home
