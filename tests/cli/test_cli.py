"""What owners type and read back: commands as real processes on a real database."""

import json
import logging
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import CliRunner
from fake_peer import Person
from http_signing import rsa_key
from lab import BAKERY, CAFE, INBOX, Lab
from processes import command, environment, free_port, run, run_in_terminal

from bridge.cli import followers, inspect
from bridge.cli.main import COMMANDS, cli
from bridge.errors import StoreError
from bridge.poll.shares import MOST_OF_A_HOST

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    clock.tick(datetime.now(UTC) - clock.now())  # the commands go by the real time
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def bridge(lab: Lab, tmp_path: Path):
    """Run a command on the lab's config and database, as a process of its own."""

    def run_it(*arguments: str, **env: str) -> CompletedProcess[str]:
        return run(tmp_path / "config.toml", *lab.network.options(), *arguments, env=env)

    return run_it


def ask_in(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a command within this process, which is faster, and return what it says."""
    handlers = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    done = CliRunner().invoke(cli, ["--config", str(folder / "config.toml"), *arguments])
    for handler, formatter in handlers:
        handler.setFormatter(formatter)
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


@pytest.fixture
def ask(lab: Lab, tmp_path: Path) -> Callable[..., str]:
    return partial(ask_in, tmp_path)


def follower(lab: Lab, name: str = "mastodon.example") -> Person:
    person = lab.peer(name).person()
    lab.follow(person)
    return person


# ── help ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_help_is_a_manual_of_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    for title, section in COMMANDS.items():
        assert title in shown.output
        for name, (_, text) in section.items():
            assert f"  {name}" in shown.output
            assert text.split()[0] in shown.output
    assert "config.toml" in shown.output
    assert "--allow" not in shown.output


@pytest.mark.parametrize("name", [name for section in COMMANDS.values() for name in section])
def test_every_command_explains_itself(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage:")
    assert len(shown.output.splitlines()) > 4


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("delivery", "deliver"), ("folowers", "followers")]
)
def test_a_misspelt_command_is_answered_with_the_right_one(typed: str, meant: str) -> None:
    shown = CliRunner().invoke(cli, [typed])
    assert shown.exit_code == 2
    assert f"Did you mean “{meant}" in shown.output


# ── errors ────────────────────────────────────────────────────────────────────────────────────────


def test_a_config_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere.toml", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"fedibridge: {tmp_path}/nowhere.toml cannot be read")
    assert "Traceback" not in done.stderr


def test_a_config_with_a_mistake_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('base_url = "https://cafe.example"\n\nbase_ulr = "x"\n')
    done = run(path, "status")
    assert done.returncode == 1
    assert "line 3" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("start", ["run", "web"])
def test_a_port_that_is_taken_is_one_sentence(lab: Lab, bridge, start: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listen = f'[server]\nhost = "127.0.0.1"\nport = {port}\n'
        config = tmp_path / "config.toml"
        config.write_text(config.read_text() + listen)
        done = bridge(start)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"fedibridge: Cannot listen on port {port} of 127.0.0.1: Address already in use"
    )
    assert "Traceback" not in done.stderr


def test_a_changed_handle_on_this_machine_is_replaced_by_a_start_and_not_by_a_look(
    lab: Lab, bridge, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(config.read_text().replace("@cafe@", "@kaffee@"))
    for _ in range(2):
        done = bridge("status")
        assert done.returncode == 1
        assert "is @kaffee@localhost:8000 now" in done.stderr
        assert "the next start (`fedibridge run`) replaces it" in done.stderr
    done = bridge("deliver")
    assert done.returncode == 0
    assert "REPLACED: @cafe@localhost:8000 at " in done.stderr
    assert "→ @kaffee@localhost:8000 at " in done.stderr
    assert bridge("status").returncode == 0


def test_a_web_process_that_may_not_start_says_why_without_a_traceback(
    lab: Lab, bridge, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    listen = f'[server]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    config.write_text('identity = "0000000000000000"\n' + config.read_text() + listen)
    done = bridge("web")
    assert done.returncode != 0
    assert "has the keys 0000000000000000" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_exit_code_two(ask) -> None:
    assert "Name what to retry" in ask("deliveries", "retry", code=2)
    assert "there is: cafe" in ask("poll", "bakery", code=2)


# ── status ────────────────────────────────────────────────────────────────────────────────────────


def test_status_shows_sites_sources_and_what_is_wrong(lab: Lab, ask) -> None:
    alice = follower(lab)
    lab.publish()
    alice.peer.go_down()
    lab.deliver()
    lab.blog.status = 500
    lab.poll()
    shown = ask("status")
    assert "@cafe@localhost:8000" in shown
    assert lab.blog.feed in shown
    assert "answered 500 instead of a feed\n" in shown
    assert f"{alice.peer.netloc} does not answer: connection refused" in shown
    assert "1 waiting, 1 delivered, 0 given up" in shown


def test_status_names_a_refused_arrival(lab: Lab, ask) -> None:
    alice = lab.peer().person()
    alice.send(alice.follow(CAFE), INBOX, key=rsa_key(1))
    lab.receive()
    assert f"refused a Follow from {alice.peer.netloc}" in ask("status")


def test_status_says_why_a_follow_is_not_answered_yet(lab: Lab, ask) -> None:
    alice = lab.peer().person()
    alice.status = 503
    alice.send(alice.follow(CAFE), INBOX)
    assert "waits:" not in ask("status")
    lab.receive()
    shown = ask("status")
    assert f"a Follow from {alice.peer.netloc} waits: {alice.id} answered 503" in shown
    assert "Arrivals waiting: 1" in shown


def test_status_says_what_followers_do_not_see_yet(lab: Lab, ask) -> None:
    follower(lab)
    lab.publish("Fresh buns")
    lab.blog.items[0].text = "Other words."
    lab.blog.post("Old news", date=lab.clock.now() - timedelta(days=90))
    lab.blog.post("Soon", date=lab.clock.now() + timedelta(days=3))
    lab.poll()
    shown = ask("status")
    assert "On hold: 1 (fedibridge holds)." in shown
    assert f"Scheduled: 1; next at {lab.clock.now() + timedelta(days=3):%d %b %Y %H:%M} UTC." in shown
    assert "Edits waiting out `edit_delay`: 1." in shown


def test_status_for_scripts_is_json(lab: Lab, ask) -> None:
    follower(lab)
    found = json.loads(ask("status", "--json"))
    assert found["sites"][0]["followers"] == 1
    assert found["sources"][0]["location"] == lab.blog.feed
    assert found["deliveries"] == {"delivered": 1}
    assert found["free_bytes"] > 0


def test_status_warns_of_a_disk_that_is_nearly_full(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "make room" not in ask("status")
    monkeypatch.setattr(inspect, "LITTLE_ROOM", 1 << 62)
    assert re.search(r"✗ Only \d+ MB free on the data folder's disk: make room.", ask("status"))


# ── followers ─────────────────────────────────────────────────────────────────────────────────────


def test_followers_are_listed(lab: Lab, ask) -> None:
    assert ask("followers") == "Nobody follows yet.\n"
    alice = follower(lab)
    shown = ask("followers")
    assert alice.handle in shown
    assert "accepted" in shown
    (listed,) = json.loads(ask("followers", "--json"))
    assert (listed["actor_id"], listed["state"], listed["site"]) == (alice.id, "accepted", "cafe")


def test_waiting_followers_are_let_in_or_turned_away(make_services, clock, tmp_path: Path) -> None:
    clock.tick(datetime.now(UTC) - clock.now())
    with Lab(make_services, clock, site="approve_followers = true") as lab:
        alice, bob = follower(lab), follower(lab, "other.example")

        assert ask_in(tmp_path, "followers", "--pending").count("pending") == 2
        let_in = ask_in(tmp_path, "followers", "approve", alice.handle)
        assert let_in == f"{alice.handle} follows now (cafe).\n"
        turned_away = ask_in(tmp_path, "followers", "reject", bob.id)
        assert turned_away == f"{bob.handle} was turned away (cafe).\n"
        lab.wait(seconds=30)
        lab.deliver()
        assert (alice.peer.types, bob.peer.types) == (["Accept"], ["Reject"])


def test_someone_who_does_not_wait_cannot_be_let_in(bridge) -> None:
    done = bridge("followers", "approve", "@nobody@mastodon.example")
    assert done.returncode == 1
    assert done.stderr.startswith("fedibridge: There is no waiting follower called @nobody@mastodon.example")


def test_a_follower_who_was_let_in_is_not_thrown_out_by_the_way(make_services, clock, tmp_path: Path) -> None:
    clock.tick(datetime.now(UTC) - clock.now())
    with Lab(make_services, clock, more=BAKERY) as lab:
        alice = follower(lab)
        lab.follow(alice, CAFE.replace("cafe", "bakery"))
        who = alice.handle
        with pytest.raises(StoreError, match="is not waiting"):
            followers._waiting(lab.services, who, None)
        with pytest.raises(StoreError, match="--site"):
            followers._of_one_site(lab.services, who, None)
        assert len(lab.followers(None)) == 2
        removed = ask_in(tmp_path, "followers", "reject", who, "--remove", "--site", "bakery")
        assert removed == f"{who} was turned away (bakery).\n"
        assert [one.site for one in lab.followers(None)] == ["cafe"]


def test_only_one_site_turns_someone_away_who_waits_at_two(make_services, clock, tmp_path: Path) -> None:
    clock.tick(datetime.now(UTC) - clock.now())
    waits = "approve_followers = true\n"
    more = BAKERY.replace('name = "Bakery"\n', f'name = "Bakery"\n{waits}')
    with Lab(make_services, clock, site=waits, more=more) as lab:
        alice = follower(lab)
        lab.follow(alice, CAFE.replace("cafe", "bakery"))
        ask_in(tmp_path, "followers", "reject", alice.handle, "--site", "cafe")
        assert [(one.site, one.state) for one in lab.followers(None)] == [("bakery", "pending")]
        assert "no site" in ask_in(tmp_path, "followers", "reject", alice.handle, "--site", "attic", code=2)
        ask_in(tmp_path, "followers", "approve", alice.handle, "--site", "bakery")
        assert [(one.site, one.state) for one in lab.followers(None)] == [("bakery", "accepted")]


# ── polling and delivering ────────────────────────────────────────────────────────────────────────


def test_an_account_is_closed_only_after_a_yes(lab: Lab, bridge, ask, tmp_path: Path) -> None:
    post = lab.publish()
    fan = follower(lab)
    refused = CliRunner().invoke(cli, ["--config", str(tmp_path / "config.toml"), "site", "close", "cafe"])
    assert refused.exit_code != 0
    assert lab.newest().id == post.id
    assert "Closed @cafe@localhost:8000. Telling 1 inbox" in ask("site", "close", "cafe", "--yes")
    assert lab.posts() == []
    lab.wait(minutes=5)
    lab.work()
    assert fan.peer.types[-1] == "Delete"
    assert "was closed on" in ask("status")
    again = bridge("site", "close", "cafe", "--yes")
    assert again.returncode == 1
    assert "was closed already" in again.stderr
    assert "Traceback" not in again.stderr
    assert "There is no site" in bridge("site", "close", "nobody", "--yes").stderr


def test_a_paused_account_is_said_loudly(lab: Lab, ask, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(config.read_text() + BAKERY)
    ask("deliver")  # a start, as `run` is
    config.write_text(config.read_text().replace(BAKERY, ""))
    ask("deliver")
    assert "@bakery@localhost:8000 is PAUSED" in ask("status")
    assert [s["paused"] for s in json.loads(ask("status", "--json"))["sites"]] == [False, True]


def test_poll_and_deliver_bring_a_post_to_its_followers(lab: Lab, bridge) -> None:
    alice = follower(lab)
    lab.poll()
    lab.blog.post("Fresh buns")
    assert bridge("poll", "cafe").stdout.strip() == "Polled 1 source."
    assert alice.peer.types == ["Accept"]
    assert bridge("deliver").stdout.strip() == "Tried 1 delivery; waiting for another attempt: 0."
    assert alice.peer.types == ["Accept", "Create"]


def test_poll_looks_at_every_source_however_many_one_host_has(lab: Lab, bridge) -> None:
    other = '\n\n[[sites.cafe.sources]]\nfeed = "'
    feeds = (f"{lab.blog.url}/{number}.xml" for number in range(MOST_OF_A_HOST * 2 + 3))
    lab.change_config(sources=lab.feed + "".join(f'{other}{feed}"' for feed in feeds))
    lab.blog.requests.clear()
    assert bridge("poll", "cafe").stdout.strip() == f"Polled {MOST_OF_A_HOST * 2 + 4} sources."
    assert len({request.path for request in lab.blog.requests}) == MOST_OF_A_HOST * 2 + 4


def test_poll_names_what_it_did_not_look_at(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        feed = f'feed = "http://127.0.0.1:{port}/feed"\nname = "mute"\nprivate_network = true'
        lab.change_config(sources=f"[[sites.cafe.sources]]\n{feed}")
        typed = command(tmp_path / "config.toml", *lab.network.options(), "poll")
        polling = subprocess.Popen(typed, stdout=subprocess.PIPE, text=True, env=environment())
        silent.settimeout(30)
        caller, _ = silent.accept()
        polling.send_signal(signal.SIGINT)
        shown, _ = polling.communicate(timeout=30)
        caller.close()
    assert shown.splitlines() == ["Polled 0 sources.", "cafe/mute: not polled: it stays due."]
    assert polling.returncode == 1


def test_poll_says_what_is_wrong_with_a_source(lab: Lab, bridge) -> None:
    lab.blog.status = 404
    shown = bridge("poll").stdout
    assert "cafe/blog:" in shown
    assert "answered 404 instead of a feed" in shown


# ── deliveries ────────────────────────────────────────────────────────────────────────────────────


def test_deliveries_are_shown_by_post_by_server_and_by_state(lab: Lab, ask) -> None:
    alice, bob = follower(lab), follower(lab, "other.example")
    alice.peer.inbox_status = 422
    lab.publish("Fresh buns")
    lab.deliver()
    overview = ask("deliveries")
    assert "Create" in overview
    assert "given up" in overview
    single = ask("deliveries", "--post", "fresh-buns")
    assert alice.peer.netloc in single
    assert bob.peer.netloc in single
    assert "422: it would not process the activity" in single
    dropped = json.loads(ask("deliveries", "--state", "dropped", "--json"))
    assert [one["host"] for one in dropped] == [alice.peer.netloc]
    assert bob.peer.netloc not in ask("deliveries", "--server", alice.peer.netloc)


def test_what_was_given_up_can_be_sent_again(lab: Lab, ask) -> None:
    alice = follower(lab)
    alice.peer.inbox_status = 422
    lab.publish("Fresh buns")
    lab.deliver()
    alice.peer.inbox_status = 202
    assert ask("deliveries", "retry", "--post", "fresh-buns") == "Due now: 1 delivery.\n"
    lab.wait(seconds=30)
    lab.deliver()
    assert alice.peer.types == ["Accept", "Create"]


@pytest.mark.parametrize(
    "address", ["{base}/ap/cafe/posts/{id}", "/ap/cafe/posts/{id}", "{base}/r/{id}", "{id}"]
)
def test_a_post_is_found_by_every_address_it_has_here(lab: Lab, ask, address: str) -> None:
    follower(lab)
    lab.publish("Stale buns")
    post = lab.publish("Fresh buns")
    lab.deliver()
    name = address.format(base=lab.services.config.base_url, id=post.id)
    assert len(json.loads(ask("deliveries", "--post", name, "--json"))) == 1
    assert ask("unpublish", name) == "Deleted. Telling 1 inbox.\n"
    assert lab.newest().id != post.id


def test_a_part_of_an_address_is_not_enough_to_delete_a_post(lab: Lab, bridge) -> None:
    page_url = lab.publish("Fresh buns").page_url
    assert page_url
    done = bridge("unpublish", "fresh")
    assert done.returncode == 1
    assert f"give {page_url}" in done.stderr
    assert lab.newest().deleted_at is None


def test_a_post_nobody_knows_is_an_error(bridge) -> None:
    done = bridge("deliveries", "--post", "stale-buns")
    assert done.returncode == 1
    assert "no post whose address contains 'stale-buns'" in done.stderr


# ── for pipes and people ──────────────────────────────────────────────────────────────────────────


def test_what_is_piped_is_plain_text(lab: Lab, bridge) -> None:
    lab.blog.status = 500
    lab.poll()
    done = bridge("status")
    assert "\x1b" not in done.stdout + done.stderr
    assert any(lab.blog.feed in line and "never" in line for line in done.stdout.splitlines())


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["", "NO_COLOR"])
def test_a_terminal_has_colours_unless_it_wants_none(
    lab: Lab, tmp_path: Path, env: dict[str, str], coloured: bool
) -> None:
    lab.blog.status = 500
    lab.poll()
    shown = run_in_terminal(tmp_path / "config.toml", "status", env={"TERM": "xterm", **env})
    assert "answered 500" in shown
    assert bool(COLOUR.search(shown)) == coloured


def test_what_strangers_called_themselves_cannot_forge_lines(lab: Lab, ask) -> None:
    mallory = lab.peer().person("mallory")
    mallory.changes = {"preferredUsername": "mal\x1b[2Jlory\nroot [bold]"}
    lab.follow(mallory)
    shown = ask("followers")
    assert "\x1b" not in shown
    assert len(shown.strip().splitlines()) == 2
