"""WebSub with a hub we did not write, over real TLS: found, asked, believed, renewed, left."""

import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from peers import CA, Peer, eventually, start_hub
from test_bridge import HOOK_SECRET, Bridge, running_bridge

from bridge.config import load_config
from bridge.store import open_store, schema, subscriptions
from bridge.store.subscriptions import ACTIVE, LEFT, Subscription

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def hub(ca: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with start_hub(ca, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def bridge(ca: CA, hub: Peer, pubby: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    feed = f'[[sites.cafe.sources]]\nname = "blog"\nfeed = "{hub.origin}/feed.xml"\n'
    with running_bridge(ca, tmp_path_factory.mktemp("bridge"), [hub, pubby], more=feed) as running:
        yield running


def subscription(bridge: Bridge) -> Subscription | None:
    """Return what the bridge itself believes."""
    config = load_config(bridge.folder / "config.toml", environ={})
    store = open_store(config.database)
    with store.read() as tx:
        known = subscriptions.listing(tx)
    store.close()
    return known[0] if known else None


def is_in(bridge: Bridge, state: str) -> bool:
    known = subscription(bridge)
    return known is not None and known.state == state


def renew_now(bridge: Bridge) -> None:
    """Have a subscription renewed that would be in eight days."""
    store = open_store(load_config(bridge.folder / "config.toml", environ={}).database)
    with store.write() as tx:
        tx.execute(schema.subscriptions.update().values(due_at=datetime.now(UTC)))
    store.close()


def look_now(bridge: Bridge) -> None:
    """Call as the site's build does."""
    headers = {"Authorization": f"Bearer {HOOK_SECRET}"}
    call = urllib.request.Request(f"{bridge.local}/ap/hooks/poll/cafe", b"", headers)
    with urllib.request.urlopen(call, timeout=5) as answer:
        assert answer.status == 202


def held(hub: Peer) -> list[dict[str, Any]]:
    """Return the subscriptions that the hub holds."""
    return hub.state()["subscriptions"]


def test_a_hub_is_found_asked_and_believed(bridge: Bridge, hub: Peer) -> None:
    eventually(lambda: is_in(bridge, ACTIVE), timeout=20)
    (known,) = eventually(lambda: held(hub))
    assert known["topic_url"] == f"{hub.origin}/feed.xml"
    assert known["callback_url"].startswith(f"{bridge.origin}/ap/about/websub/")
    assert abs(known["expiration_time"] - time.time() - timedelta(days=10).total_seconds()) < 60


def test_what_the_hub_pushes_reaches_a_follower(bridge: Bridge, hub: Peer, pubby: Peer) -> None:
    eventually(lambda: is_in(bridge, ACTIVE), timeout=20)
    pubby.do("follow", target=bridge.handle)
    eventually(lambda: pubby.state()["following"].get(bridge.actor_id) == "accepted")
    hub.do("publish", title="Pushed plum cake")
    eventually(lambda: "Pushed plum cake" in str(pubby.received("Create")), timeout=10)
    (push,) = [call for call in hub.state()["sent"] if call["method"] == "POST"]
    assert (push["status"], push["signature"].partition("=")[0]) == (202, "sha512")


def test_a_lease_is_renewed(bridge: Bridge, hub: Peer) -> None:
    eventually(lambda: is_in(bridge, ACTIVE), timeout=20)
    (before,) = held(hub)
    time.sleep(1.1)  # the hub counts in seconds
    renew_now(bridge)
    eventually(lambda: held(hub)[0]["expiration_time"] > before["expiration_time"])
    (after,) = held(hub)
    assert after["callback_url"] == before["callback_url"]


def test_a_feed_that_names_its_hub_no_more_is_unsubscribed_from_and_may_come_back(
    bridge: Bridge, hub: Peer
) -> None:
    eventually(lambda: is_in(bridge, ACTIVE), timeout=20)
    hub.do("name", hub=False)
    look_now(bridge)
    eventually(lambda: is_in(bridge, LEFT))
    eventually(lambda: not held(hub))
    hub.do("name", hub=True)
    look_now(bridge)
    eventually(lambda: is_in(bridge, ACTIVE))
    eventually(lambda: held(hub))
