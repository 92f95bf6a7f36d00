"""Commands that look leave everything as it was: no data folder, no identity, no upgrade, no site."""

import hashlib
import sqlite3
from pathlib import Path

import click
import pytest
from places import DATA
from processes import run

from bridge.cli.main import COMMANDS, HIDDEN, cli

DUMPS = DATA / "schemas"
STARTERS = {"demo", "run", "web", "worker", "poll", "deliver"}
"""What may be the first thing to run, and makes what it needs. Every other command finds it or says so."""

WORDS = {
    "holds": [[], ["show", "1"], ["publish", "--all"], ["ignore", "--all"], ["seen", "--all"]],
    "publish": [["p1"]],
    "unpublish": [["p1"]],
    "resend": [["p1"]],
    "site": [["close", "cafe", "--yes"]],
    "lint": [["--all"]],
    "status": [[], ["--json"], ["--noted"]],
    "preview": [["--all"]],
    "followers": [[], ["approve", "@ann@one.example"], ["reject", "@ann@one.example"]],
    "deliveries": [[], ["retry", "--server", "one.example"]],
}
EVERY = [[name, *words] for name, lines in WORDS.items() for words in lines]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "posts"
    folder.mkdir()
    (folder / "hello.md").write_text("---\ntitle: Hello\ndate: 2026-03-01\n---\nHello there.\n")
    path = tmp_path / "config.toml"
    path.write_text(
        'base_url = "https://cafe.example"\n\n[sites.cafe]\nhandle = "@cafe@cafe.example"\n'
        'website = "https://cafe.example/"\nname = "Café"\n\n[[sites.cafe.sources]]\nfolder = "posts"\n'
    )
    return path


def everything_in(folder: Path) -> dict[str, str]:
    files = (
        path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    )
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def test_every_command_is_a_starter_or_is_tried_here() -> None:
    assert {name for section in COMMANDS.values() for name in section} == STARTERS | WORDS.keys()
    tried = {" ".join([name, *words[:1]]) for name, *words in EVERY if words and words[0].isalpha()}
    tried |= {name for name, *_ in EVERY}
    assert {name for name in spoken(cli) if name.split()[0] not in STARTERS | HIDDEN.keys()} - tried == set()


def spoken(command: click.Command, *before: str) -> set[str]:
    """Every command that can be typed, by walking through all groups: “holds”, “holds show” …"""
    context = click.Context(command)
    found: set[str] = {" ".join(before)} if before else set()
    if not isinstance(command, click.Group):
        return found
    if not command.invoke_without_command:
        found = set()
    for name in {*command.list_commands(context), *(HIDDEN if not before else ())}:
        below = command.get_command(context, name)
        assert below is not None
        found |= spoken(below, *before, name)
    return found


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_look_before_the_first_start_makes_nothing(config: Path, words: list[str]) -> None:
    before = everything_in(config.parent)
    done = run(config, *words)
    assert everything_in(config.parent) == before
    assert not (config.parent / "data").exists()
    assert "Traceback" not in done.stderr
    if words[0] in ("preview", "lint"):  # they need no bridge that ran
        assert done.returncode == 0, done.stderr
        assert "Hello" in done.stdout or words[0] == "lint"
    else:
        assert done.returncode == 1
        assert "There is no database" in done.stderr
        assert "fedibridge run" in done.stderr


@pytest.mark.parametrize("words", [["status"], ["followers"], ["holds"], ["preview", "--all"]], ids=" ".join)
def test_a_look_at_an_older_database_does_not_upgrade_it(config: Path, words: list[str]) -> None:
    data = config.parent / "data"
    data.mkdir(mode=0o700)
    with sqlite3.connect(data / "fedibridge.db") as connection:
        connection.executescript((DUMPS / "0003.sql").read_text(encoding="utf-8"))
    connection.close()
    done = run(config, *words)
    assert done.returncode == 1
    assert "schema 0003" in done.stderr
    assert "after a backup" in done.stderr
    with sqlite3.connect(data / "fedibridge.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0003",)
    connection.close()
    assert not (data / "backups").exists()
    assert not (data / "identity.json").exists()


def test_a_look_adds_no_site_that_is_new_in_the_config(config: Path) -> None:
    assert run(config, "deliver").returncode == 0  # the first start
    more = '\n[sites.bar]\nhandle = "@bar@cafe.example"\nwebsite = "https://cafe.example/bar"\nname = "Bar"\n'
    config.write_text(config.read_text() + more + '\n[[sites.bar.sources]]\nfolder = "posts"\n')
    for words in (["status"], ["followers"], ["holds"], ["deliveries"], ["preview", "--all"]):
        done = run(config, *words)
        assert done.returncode == 0, done.stderr
    with sqlite3.connect(config.parent / "data" / "fedibridge.db") as connection:
        assert connection.execute("SELECT key FROM sites").fetchall() == [("cafe",)]
    connection.close()
