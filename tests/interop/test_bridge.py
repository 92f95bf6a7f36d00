"""The bridge among servers we did not write: follow, receive, like, boost, reply, unfollow, over real TLS."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from peers import CA, Peer, eventually, free_port, start_fedify, start_tls_front, why_missing

from bridge.config import load_config
from bridge.store import interactions, open_store

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(why_missing() is not None, reason=why_missing() or ""),
]

CONFIG = """
base_url = "{origin}"
[server]
host = "127.0.0.1"
port = {port}
[polling]
folder_interval = "1s"
edit_delay = "0s"
[sites.cafe]
handle = "@cafe@{host}"
website = "{origin}/"
name = "Café Wren"
hook_secret = "{secret}"
{site}
[[sites.cafe.sources]]
folder = "content"
{more}
"""
HOOK_SECRET = "only-as-long-as-this-test-runs"


class Bridge:
    """A running bridge with a content folder, behind TLS."""

    def __init__(self, folder: Path, origin: str, port: int) -> None:
        self.folder = folder
        self.origin = origin
        self.local = f"http://127.0.0.1:{port}"
        self.actor_id = f"{origin}/ap/cafe"
        self.handle = f"@cafe@{origin.removeprefix('https://')}"

    def write(self, name: str, text: str) -> None:
        draft = self.folder / f".{name}"
        draft.write_text(text, encoding="utf-8")
        draft.rename(self.folder / "content" / name)

    def remove(self, name: str) -> None:
        (self.folder / "content" / name).unlink()

    def interactions(self) -> dict[str, int]:
        config = load_config(self.folder / "config.toml", environ={})
        store = open_store(config.database)
        with store.read() as tx:
            totals = interactions.totals(tx)
        store.close()
        return totals

    def command(self, *arguments: str) -> str:
        config = str(self.folder / "config.toml")
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "-c", config, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


@contextmanager
def running_bridge(
    ca: CA, folder: Path, peers: list[Peer], *, site: str = "", more: str = ""
) -> Iterator[Bridge]:
    front, port = free_port(), free_port()
    (folder / "content").mkdir()
    (folder / "content" / "old.md").write_text("---\ntitle: Before\ndate: 2026-01-01\n---\nOld news.\n")
    with start_tls_front(ca, front, port) as origin:
        config = CONFIG.format(
            origin=origin, port=port, host=f"localhost:{front}", secret=HOOK_SECRET, site=site, more=more
        )
        (folder / "config.toml").write_text(config)
        allowed = [option for peer in peers for option in ("--allow", f"127.0.0.1:{_port(peer)}")]
        reach = [*allowed, "--resolve", "localhost=127.0.0.1", "--ca-file", str(ca.ca_file)]
        log = (folder / "bridge.log").open("w")
        command = [sys.executable, "-m", "bridge", "-c", str(folder / "config.toml"), *reach, "run"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            bridge = Bridge(folder, origin, port)
            eventually(lambda: _number_of_posts(port), timeout=20)
            yield bridge
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=10)
            print((folder / "bridge.log").read_text())
        assert code == 0


def _number_of_posts(port: int) -> int:
    """Ask the bridge itself; nobody answers before it is up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ap/cafe/outbox", timeout=2) as answer:
            return int(json.load(answer)["totalItems"])
    except OSError:
        return 0


def _port(peer: Peer) -> str:
    return peer.origin.rsplit(":", 1)[1]


@pytest.fixture(scope="module")
def bridge(ca: CA, fedify: Peer, pubby: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with running_bridge(ca, tmp_path_factory.mktemp("bridge"), [fedify, pubby]) as running:
        yield running


@pytest.mark.parametrize("name", ["fedify", "pubby"])
def test_people_follow_talk_back_and_leave(bridge: Bridge, name: str, request: pytest.FixtureRequest) -> None:
    peer: Peer = request.getfixturevalue(name)
    before = bridge.interactions()

    peer.do("follow", target=bridge.handle)
    eventually(lambda: peer.state()["following"].get(bridge.actor_id) == "accepted")
    assert peer.actor_id.split("/")[2] in bridge.command("followers")

    bridge.write(
        f"{name}.md", f"---\ntitle: Fresh bread for {name}\ntags: [Bread, Big News]\n---\nStill *warm*.\n"
    )
    (created,) = eventually(
        lambda: [c for c in peer.received("Create") if name in str(c["json"])], timeout=20
    )
    note = created["json"]["object"]
    assert "Fresh bread" in note["content"] and "<em>warm</em>" in note["content"]
    assert [tag["name"] for tag in note["tag"]] == ["#Bread", "#BigNews"]
    post_id = note["id"]

    peer.do("like", object=post_id)
    peer.do("announce", object=post_id)
    peer.do("reply", object=post_id, content="<p>On my way! <script>alert(1)</script></p>")
    eventually(lambda: sum(bridge.interactions().values()) == sum(before.values()) + 3)

    time.sleep(1.1)  # an edit within the second of publishing would have to claim a later one
    bridge.write(f"{name}.md", f"---\ntitle: Fresh bread for {name}\n---\nSold out.\n")
    (updated,) = eventually(lambda: peer.received("Update", post_id), timeout=20)
    assert "Sold out" in updated["json"]["object"]["content"]
    assert updated["json"]["object"]["updated"] > note["published"]

    bridge.remove(f"{name}.md")
    eventually(lambda: peer.received("Delete", post_id), timeout=20)

    peer.do("unfollow", target=bridge.actor_id)
    eventually(lambda: peer.handle.strip("@") not in bridge.command("followers"))
    assert not peer.state()["errors"], peer.log


def test_a_post_with_a_future_date_arrives_at_its_time(bridge: Bridge, fedify: Peer) -> None:
    fedify.do("follow", target=bridge.handle)
    eventually(lambda: fedify.state()["following"].get(bridge.actor_id) == "accepted")
    due_at = datetime.now(UTC) + timedelta(seconds=8)
    bridge.write("later.md", f"---\ntitle: Later\ndate: {due_at.isoformat()}\n---\nPatience.\n")
    created = eventually(
        lambda: next((c for c in fedify.received("Create") if "Patience" in str(c["json"])), None), timeout=30
    )
    assert datetime.now(UTC) >= due_at
    assert datetime.fromisoformat(created["json"]["object"]["published"]) >= due_at.replace(microsecond=0)


def test_a_server_in_secure_mode_that_speaks_only_rfc_9421_is_served_too(ca: CA, tmp_path: Path) -> None:
    (tmp_path / "peer").mkdir()
    (tmp_path / "bridge").mkdir()
    with (
        start_fedify(ca, tmp_path / "peer", authorized_fetch=True, accepts="rfc9421") as peer,
        running_bridge(ca, tmp_path / "bridge", [peer]) as bridge,
    ):
        peer.do("follow", target=bridge.handle)
        eventually(lambda: peer.state()["following"].get(bridge.actor_id) == "accepted", timeout=15)
        bridge.write("new.md", "---\ntitle: New\n---\nHello.\n")
        eventually(lambda: peer.received("Create"), timeout=20)
        assert not peer.state()["errors"], peer.log


def test_a_reject_reaches_a_server_without_a_shared_inbox(ca: CA, tmp_path: Path) -> None:
    (tmp_path / "peer").mkdir()
    (tmp_path / "bridge").mkdir()
    with (
        start_fedify(ca, tmp_path / "peer", shared_inbox=False) as peer,
        running_bridge(ca, tmp_path / "bridge", [peer], site="approve_followers = true") as bridge,
    ):
        peer.do("follow", target=bridge.handle)
        eventually(lambda: "pending" in bridge.command("followers", "--pending"), timeout=15)
        bridge.command("followers", "reject", peer.actor_id)
        eventually(lambda: peer.state()["following"].get(bridge.actor_id) == "rejected", timeout=15)
        assert not peer.state()["errors"], peer.log
