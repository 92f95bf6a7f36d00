"""`fedibridge run` as owners run it, with a real blog in front and two other servers behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_peer import GOTOSOCIAL, MASTODON, BridgeOverHttp, FakePeer
from feed_server import Blog
from http_signing import CAVAGE, RFC9421
from loopback import Network
from processes import children, command, environment, free_port, is_alive, run, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Site:
    """A café's bridge on this machine: its config, and what it takes to reach it."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.actor = f"{self.url}/ap/cafe"
        self.config = folder / "config.toml"
        self.options = network.options()
        self.blog = Blog(network)
        self.door = BridgeOverHttp(self.port)
        self.log = folder / "bridge.log"
        self.config.write_text(
            f'base_url = "{self.url}"\n[server]\nhost = "127.0.0.1"\nport = {self.port}\n'
            f'[sites.cafe]\nhandle = "@cafe@localhost:{self.port}"\nwebsite = "https://cafe.example/"\n'
            f'name = "Café"\n[[sites.cafe.sources]]\nfeed = "{self.blog.feed}"\n'
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start `fedibridge run` and wait until it answers and its worker is at work."""
        started = command(self.config, *self.options, "run")
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                started, stdout=log, stderr=log, cwd=self.config.parent, env=environment()
            )
        try:
            wait_for(self._is_ready, why=self.log.read_text())
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(15)

    def command(self, *arguments: str) -> str:
        done = run(self.config, *self.options, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, title: str) -> None:
        self.blog.post(title)
        self.command("poll")

    def _is_ready(self) -> bool:
        try:
            return self.door.get(f"{self.url}/readyz")[0] == 200
        except OSError:
            return False


def titles(peer: FakePeer) -> list[str]:
    creates = [arrived for arrived in peer.received if arrived.type == "Create"]
    return [arrived.activity["object"]["content"] for arrived in creates]


def test_a_post_travels_from_the_blog_to_two_servers_through_crash_stop_and_restart(tmp_path: Path) -> None:
    with Network(6) as network:
        site = Site(tmp_path, network)
        mastodon = FakePeer(network, "mastodon.example", site.door, utc_now, MASTODON)
        gotosocial = FakePeer(network, "gts.example", site.door, utc_now, GOTOSOCIAL)
        gotosocial.secure, gotosocial.speaks = True, {CAVAGE}
        mastodon.speaks = {RFC9421}
        peers = (mastodon, gotosocial)
        site.blog.post("Written long before")

        with site.running() as supervisor:
            _follow_and_be_accepted(site, peers)
            _publish_and_see_it_arrive(site, peers, "Fresh buns")
            _see_a_second_worker_refused(site)
            _kill_the_worker_and_see_another(supervisor.pid)
            _publish_and_see_it_arrive(site, peers, "After the crash")
            _stop_cleanly(supervisor)
        before = [peer.types for peer in peers]
        site.blog.post("While we were away")

        with site.running() as supervisor:
            _publish_and_see_it_arrive(site, peers, "After the restart")
            site.write("Just before the supervisor is killed")
            _kill_the_supervisor_and_see_all_end(supervisor)

        with site.running() as supervisor:
            _see_it_arrive(peers, "Just before the supervisor is killed")
            _stop_cleanly(supervisor)

        for peer, types in zip(peers, before, strict=True):
            assert types == ["Accept", "Create", "Create"]
            assert peer.types == [*types, "Create", "Create", "Create"], site.log.read_text()
            assert not any("Written long before" in content for content in titles(peer))
        assert gotosocial.refused == []


def _follow_and_be_accepted(site: Site, peers: tuple[FakePeer, ...]) -> None:
    for peer in peers:
        alice = peer.person()
        assert alice.send(alice.follow(site.actor), f"{site.actor}/inbox") == 202
    wait_for(lambda: all(peer.types == ["Accept"] for peer in peers), why="no Accept")
    wait_for(lambda: site.blog.requests, why="the blog was not looked at")


def _publish_and_see_it_arrive(site: Site, peers: tuple[FakePeer, ...], title: str) -> None:
    site.write(title)
    _see_it_arrive(peers, title)


def _see_it_arrive(peers: tuple[FakePeer, ...], title: str) -> None:
    wait_for(lambda: all(any(title in content for content in titles(peer)) for peer in peers), why=title)


def _see_a_second_worker_refused(site: Site) -> None:
    second = run(site.config, *site.options, "worker")
    assert second.returncode == 1
    assert "A worker is already running" in second.stderr


def _kill_the_worker_and_see_another(supervisor: int) -> None:
    first = children(supervisor)["worker"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: children(supervisor).get("worker", first) != first, why="no new worker")


def _stop_cleanly(supervisor: subprocess.Popen[bytes]) -> None:
    family = _family(supervisor)
    began = time.monotonic()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0
    assert time.monotonic() - began < 8
    assert [pid for pid in family if is_alive(pid)] == []


def _kill_the_supervisor_and_see_all_end(supervisor: subprocess.Popen[bytes]) -> None:
    family = _family(supervisor)
    supervisor.kill()
    wait_for(lambda: not any(map(is_alive, family)), why=f"of {family} some are left")


def _family(supervisor: subprocess.Popen[bytes]) -> list[int]:
    """Return web, worker, and the processes of those."""
    family = children(supervisor.pid)
    assert set(family) == {"web", "worker"}
    return [*family.values(), *(pid for child in family.values() for pid in children(child).values())]
