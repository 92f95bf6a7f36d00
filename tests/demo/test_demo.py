"""`fedibridge demo` from start to Ctrl-C: real processes, real ports, and a timeline that fills itself."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from places import ROOT
from processes import wait_for

from bridge.activitypub.documents import encode
from bridge.activitypub.keys import SigningKey, generate_rsa, public_pem
from bridge.activitypub.signatures import SignedRequest, sign
from bridge.cli.demo import Showing, Story
from bridge.cli.settings import Settings
from bridge.demo.folder import empty, only_demo, require_free
from bridge.demo.follower import Follower
from bridge.demo.inbox import Inbox
from bridge.demo.me import Me
from bridge.demo.processes import Processes
from bridge.demo.reading import read_post
from bridge.demo.timeline import Account, Timeline
from bridge.errors import BadDocument, DemoError, SignatureError
from bridge.model import PUBLIC, Answered, Scheme

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = 20.0
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_ports(number: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return tuple(one.getsockname()[1] for one in sockets)


class Demo:
    """A `fedibridge demo` under way in a folder of its own."""

    def __init__(self, folder: Path, ports: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.port, self.follower_port = ports or free_ports(2)
        self.timeline = f"http://localhost:{self.follower_port}"
        options = ["--port", str(self.port), "--follower-port", str(self.follower_port)]
        self.output = folder / "story.txt"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "demo", *options],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def story(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, seen: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not seen():
            assert self.process.poll() is None, f"the demo ended:\n{self.story}"
            assert time.monotonic() < deadline, f"no {what} in {SECONDS} s:\n{self.story}"
            time.sleep(0.05)

    def wait_for_line(self, pattern: str) -> None:
        self.wait_for(lambda: re.search(pattern, self.story), pattern)

    def posts(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = get_json(f"{self.timeline}/timeline.json")["posts"]
        return shown

    def react(self, **asked: str) -> None:
        sent = urllib.request.Request(
            f"{self.timeline}/react", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(sent, timeout=10) as answer:
            assert answer.status == 204

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)

    def is_anything_left(self) -> bool:
        """Say whether a process is still there that was started with one of our ports."""
        ports = (str(self.port).encode(), str(self.follower_port).encode())
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if any(port in arguments for port in ports):
                return True
        return False


def get_json(url: str) -> Any:
    asked = urllib.request.Request(url, headers={"Accept": "application/activity+json"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def cafe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("café")
    shutil.copy(ROOT / "config.toml", folder)
    shutil.copytree(ROOT / "content", folder / "content")
    return folder


@pytest.fixture(scope="module")
def demo(cafe: Path) -> Iterator[Demo]:
    showing = Demo(cafe)
    try:
        showing.wait_for_line("Ctrl-C stops the demo")
        yield showing
    finally:
        if showing.process.poll() is None:
            showing.stop()


# ── the whole of it ──────────────────────────────────────────────────────────────────────────────


def test_the_story_is_told_in_numbered_steps(demo: Demo) -> None:
    steps = re.findall(r"^ *(\d) ✓ (.+)$", demo.story, re.MULTILINE)
    assert [int(number) for number, _ in steps] == [1, 2, 3, 4, 5, 6]
    told = " | ".join(text for _, text in steps)
    for part in ("7 posts read", f"@cafe@localhost:{demo.port}", "WebFinger", "Accept received", "5 pinned"):
        assert part in told
    assert steps[-1][1].endswith(demo.timeline)
    assert "\x1b" not in demo.story, "colours are for terminals"


def test_the_timeline_shows_the_pinned_posts_with_their_pictures(demo: Demo) -> None:
    html = "".join(post["html"] for post in demo.posts())
    assert html.count("Pinned") == 5
    assert "The yellow umbrella" in html
    assert re.search(r'<img src="http://localhost:\d+/ap/cafe/media/[^"]+\.png" alt="A rainy window', html)


def test_a_new_file_arrives_and_its_edit_too(demo: Demo) -> None:
    file = demo.folder / "content" / "terrace.md"
    file.write_text("The terrace is open from *Saturday*.\n", encoding="utf-8")
    demo.wait_for_line(r"\d\d:\d\d:\d\d  arrived: “Terrace”")
    newest = demo.posts()[0]
    assert "The terrace is open from <em>Saturday</em>." in newest["html"]
    assert "Pinned" not in newest["html"]

    file.write_text("The terrace is open from *Sunday*.\n", encoding="utf-8")
    demo.wait_for_line("edited: “Terrace”")
    edited = demo.posts()[0]
    assert edited["id"] == newest["id"]
    assert edited["version"] > newest["version"]
    assert "<em>Sunday</em>" in edited["html"]


def test_a_like_reaches_the_bridge_and_is_taken_back(demo: Demo) -> None:
    post = demo.posts()[-1]["id"]

    def likes() -> int:
        return int(get_json(post)["likes"]["totalItems"])

    demo.react(post=post, do="like")
    demo.wait_for(lambda: likes() == 1, "like")
    demo.react(post=post, do="like")
    demo.wait_for(lambda: likes() == 0, "end of the like")
    assert re.search("you liked “.+”", demo.story)
    assert re.search("you no longer like “.+”", demo.story)


def test_a_file_that_cannot_be_read_is_named_in_the_story(demo: Demo) -> None:
    broken = demo.folder / "content" / "broken.md"
    broken.write_text("---\ntitle: [never closed\n---\nText\n", encoding="utf-8")
    demo.wait_for_line(r"problem: .*broken\.md")
    broken.unlink()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_renders_a_post_with_its_picture(demo: Demo, tmp_path: Path) -> None:
    quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", *quiet.split(), "--disable-component-update"]
    page = subprocess.run(
        [*command, f"--user-data-dir={tmp_path}", "--dump-dom", demo.timeline],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "It hangs behind the till." in page
    assert re.search(r'<img src="[^"]+umbrella\.png" alt="A rainy window', page)
    assert re.search(r"<time [^>]*title=", page), "the script ran"


def test_a_second_demo_names_the_busy_port_and_the_option(demo: Demo) -> None:
    with pytest.raises(DemoError, match=rf"Port {demo.port} is in use.*--port \d+"):
        require_free({"--port": demo.port})


def test_ctrl_c_ends_everything_and_the_next_demo_goes_on(demo: Demo, cafe: Path) -> None:
    assert demo.stop() == 0
    assert demo.story.endswith("Stopped. Everything it made is in .demo/.\n")
    assert "Traceback" not in demo.story
    assert not demo.is_anything_left()
    for log in (cafe / ".demo").glob("*.log"):
        assert "Traceback" not in log.read_text(encoding="utf-8"), log

    again = Demo(cafe, ports=(demo.port, demo.follower_port))
    try:
        again.wait_for_line("Ctrl-C stops the demo")
        assert "Accept received" in again.story
        assert "Terrace" in "".join(post["html"] for post in again.posts()), "the database was kept"
    finally:
        assert again.stop() == 0
    assert not again.is_anything_left()


def test_a_demo_that_is_killed_takes_everything_with_it(cafe: Path) -> None:
    demo = Demo(cafe)
    demo.wait_for_line("Ctrl-C stops the demo")
    demo.process.kill()
    demo.process.wait()
    wait_for(lambda: not demo.is_anything_left(), seconds=SECONDS)


def test_a_database_of_another_port_is_left_behind(cafe: Path) -> None:
    config = (
        shutil.copytree(cafe, cafe.parent / "moved", ignore=shutil.ignore_patterns(".demo")) / "config.toml"
    )
    folder = config.parent / ".demo"
    for port in (9000, 9001):
        with only_demo(folder), Processes(folder) as processes:
            showing = Showing(Settings(config, local=port), processes, Story())
            showing.close()
    assert json.loads((folder / "identity.json").read_text())["base_url"] == "http://localhost:9001"


def test_a_config_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    assert demo.process.wait(SECONDS) == 1
    assert "config.toml" in demo.story
    assert "Traceback" not in demo.story


# ── the demo's own folder and ports ──────────────────────────────────────────────────────────────


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        only_demo(tmp_path / ".demo"),
        pytest.raises(DemoError, match="already"),
        only_demo(tmp_path / ".demo"),
    ):
        pass


def test_emptying_keeps_nothing_but_the_lock(tmp_path: Path) -> None:
    with only_demo(tmp_path):
        (tmp_path / "backups").mkdir()
        (tmp_path / "backups" / "old.db").touch()
        (tmp_path / "fedibridge.db").touch()
        empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.lock"]


def test_both_ports_cannot_be_the_same() -> None:
    with pytest.raises(DemoError, match="different"):
        require_free({"--port": 8000, "--follower-port": 8000})


# ── what the follower believes ───────────────────────────────────────────────────────────────────

CAFE = "https://cafe.example/ap/cafe"
ME = "http://localhost:8001"


class OneActor:
    """A wire on which there is one actor and its key."""

    def __init__(self, key: SigningKey, pem: str) -> None:
        listed = {"id": key.id, "owner": CAFE, "publicKeyPem": public_pem(pem)}
        self.actor = {"id": CAFE, "type": "Service", "publicKey": listed}
        self.posted: list[dict[str, Any]] = []

    def document(self, url: str) -> dict[str, Any]:
        assert url.startswith(CAFE)
        return self.actor

    def post(self, url: str, body: bytes, headers: Any) -> Answered:
        self.posted.append(json.loads(body))
        return Answered(202)


class Peer:
    """A follower that follows the café, and the café's key."""

    def __init__(self, pem: str) -> None:
        self.key = SigningKey.from_pem(f"{CAFE}#main-key", pem)
        self.told: list[str] = []
        me, self.timeline, wire = Me(ME, pem), Timeline(), OneActor(self.key, pem)

        def tell(what: str, **_: object) -> None:
            self.told.append(what)

        follower = Follower(me, wire, self.timeline, tell, lambda: NOW)
        self.inbox = Inbox(me, wire, self.timeline, follower, tell, lambda: NOW)
        self.timeline.add_account(account())

    def send(self, activity: dict[str, Any], *, key: SigningKey | None = None) -> None:
        body = encode(activity)
        headers = sign(Scheme.CAVAGE, key or self.key, "POST", f"{ME}/you/inbox", body=body, now=NOW)
        lower = {name.lower(): value for name, value in headers.items()}
        self.inbox.receive(SignedRequest("POST", "/you/inbox", lower, body))


@pytest.fixture(scope="module")
def pem() -> str:
    return generate_rsa()


def account() -> Account:
    return Account(CAFE, "Café", "@cafe@cafe.example", CAFE, f"{CAFE}/inbox", None)


def note(**changed: object) -> dict[str, Any]:
    post = {"id": f"{CAFE}/posts/1", "type": "Note", "attributedTo": CAFE, "to": [PUBLIC]}
    return {**post, "content": "<p>Hello</p>", "published": "2026-03-01T11:00:00Z", **changed}


def create(**changed: object) -> dict[str, Any]:
    activity = {"id": f"{CAFE}/activities/1", "type": "Create", "actor": CAFE, "object": note()}
    return {**activity, **changed}


def test_a_forged_signature_is_refused(pem: str) -> None:
    peer = Peer(pem)
    forged = SigningKey.from_pem(peer.key.id, generate_rsa())
    with pytest.raises(SignatureError):
        peer.send(create(), key=forged)


def test_nobody_speaks_for_someone_else(pem: str) -> None:
    with pytest.raises(SignatureError):
        Peer(pem).send(create(actor="https://cafe.example/ap/other"))


def test_a_post_of_someone_who_did_not_accept_is_not_shown(pem: str) -> None:
    peer = Peer(pem)
    peer.send(create())
    assert peer.timeline.shown()[1] == []
    assert peer.told == []


def test_what_is_shown_is_sanitised() -> None:
    evil = '<p onclick="x()">Hi<script>alert(1)</script> <a href="javascript:x()">you</a></p>'
    shown = read_post(note(content=evil), account()).html
    assert "script" not in shown
    assert "onclick" not in shown
    assert "Hi" in shown


def test_a_post_by_somebody_else_is_not_the_accounts() -> None:
    with pytest.raises(BadDocument, match="not by"):
        read_post(note(attributedTo="https://cafe.example/ap/other"), account())


def test_what_arrived_stands_above_what_is_pinned_and_an_edit_keeps_its_place() -> None:
    timeline = Timeline()
    for name, pinned in (("old", True), ("first", False), ("second", False)):
        timeline.add(read_post(note(id=f"{CAFE}/posts/{name}"), account(), pinned=pinned))
    revision, _ = timeline.shown()
    timeline.change(f"{CAFE}/posts/first", lambda post: post)
    changed, posts = timeline.shown()
    assert [post.id.rsplit("/")[-1] for post in posts] == ["second", "first", "old"]
    assert changed > revision


def test_only_the_author_can_take_a_post_away() -> None:
    timeline = Timeline()
    timeline.add(read_post(note(), account()))
    assert timeline.remove(f"{CAFE}/posts/1", author="https://cafe.example/ap/other") is None
    assert timeline.remove(f"{CAFE}/posts/1", author=CAFE) is not None
