"""Writes the schema of today, with a little of everything in it, to ``NNNN.sql`` beside this file.

Run it once before a new migration is added: ``.venv/bin/python tests/data/schemas/dump.py``. The tests then
upgrade that database for ever after and look whether everything is still there.
"""

import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "support"))

from rows import actor, add_follower, add_post, add_site, claim, news, publish, source_of  # noqa: E402

from bridge.model import Delivered, Drop, PostState, RemoteKey  # noqa: E402
from bridge.store import (  # noqa: E402
    Tx,
    deliveries,
    identity,
    inbox,
    interactions,
    migrate,
    open_store,
    peers,
    posts,
    remote,
    sources,
)
from bridge.store.inbox import Arrival  # noqa: E402
from bridge.store.interactions import NewInteraction  # noqa: E402
from bridge.store.migrate import HEAD  # noqa: E402
from bridge.store.peers import Peer  # noqa: E402
from bridge.store.sources import SourceForUpdate  # noqa: E402

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fedibridge.db"
        store = open_store(f"sqlite:///{path}")
        migrate(store, now=NOW)
        with store.write() as tx:
            fill(tx)
        store.close()
        with sqlite3.connect(path) as connection:
            (HERE / f"{HEAD}.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


def fill(tx: Tx) -> None:
    identity.set_meta(tx, "base_url", "https://cafe.example")
    for site in ("cafe", "bakery"):
        add_site(tx, site, now=NOW)
    for owner in ("", "cafe", "bakery"):
        for algorithm in ("rsa", "ed25519"):
            identity.add_key(tx, owner, algorithm, f"{algorithm} key of {owner or 'the instance'}", now=NOW)
    later = SourceForUpdate(NOW + timedelta(hours=1), timedelta(hours=1), 0, etag='"1"', answered=True)
    sources.settle(tx, source_of(tx), later, now=NOW)
    write_posts(tx)
    meet_people(tx)
    identity.touch(tx)
    identity.beat(tx, "worker", "pid 1", now=NOW)


def write_posts(tx: Tx) -> None:
    for name in ("ann", "ben"):
        add_follower(tx, name, now=NOW)
    add_follower(tx, "dora", "two.example", shared=False, now=NOW)
    add_follower(tx, "finn", "three.example", state="pending", now=NOW)
    pk = add_post(tx, "p1", note={"content": "<p>Grüße ☕</p>"}, now=NOW)
    publish(tx, news(post_pk=pk), now=NOW)
    taken, refused = claim(tx, now=NOW)
    deliveries.settle(tx, [(taken, Delivered(202)), (refused, Drop("422: no", 422))], now=NOW)
    publish(tx, news("Update", post_pk=pk), now=NOW)
    posts.bury(tx, add_post(tx, "p2", now=NOW), now=NOW)
    add_post(tx, "p3", state=PostState.BASELINE, now=NOW)


def meet_people(tx: Tx) -> None:
    ann = actor("ann")
    remote.save_actor(tx, ann, "one.example", now=NOW)
    remote.save_key(tx, RemoteKey(f"{ann.id}#main-key", ann.id, "PEM"), now=NOW, fresh_for=timedelta(1))
    peers.save(tx, Peer("two.example", failures=2, failing_since=NOW, error="timed out"))
    pk = posts.row_of(tx, "cafe", "p1")
    assert pk is not None
    reply = NewInteraction(
        "cafe", pk, "reply", ann.id, f"{ann.id}/1", None, public=True, content="<p>Hm!</p>"
    )
    interactions.save(tx, reply, now=NOW)
    arrived = Arrival("hash", f"{ann.id}/2", "Like", ann.id, f"{ann.id}#main-key", "one.example",
                      True, {"method": "POST"}, b"{}")  # fmt: skip
    inbox.store(tx, arrived, now=NOW)
    inbox.see(tx, f"{ann.id}/1", now=NOW)
    inbox.undo(tx, f"{ann.id}/0", now=NOW)
    inbox.count_ignored(tx, "View", now=NOW)


if __name__ == "__main__":
    main()
