"""Every snippet of docs/push.md is run as it stands, by the program it is for, against a real bridge."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml
from databases import copy_sqlite
from hook_calls import SECRET, is_due, tomorrow
from places import ROOT
from web_process import web_process

from bridge.services import Services, open_services, utc_now
from bridge.web import create_wsgi

TEXT = (ROOT / "docs" / "push.md").read_text(encoding="utf-8")
PUBLIC = "https://social.cafe.example"

pytestmark = pytest.mark.skipif(
    not (which("curl") and which("openssl")), reason="curl and openssl are needed"
)


def snippet(language: str, holds: str) -> str:
    """Return the one block in a language that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    (found,) = (block for block in blocks if holds in block)
    return found


CALL = snippet("sh", "openssl dgst")


class Place:
    """A bridge that listens, and a folder with programs of our own first on the path."""

    def __init__(self, services: Services, port: int, folder: Path) -> None:
        self.services = services
        self.url = f"http://localhost:{port}"
        self.folder = folder
        (folder / "bin").mkdir()

    def program(self, name: str, text: str) -> None:
        """Put a shell script where a program of that name is looked for."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(
        self, *command: str, secret: str = SECRET, **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        given = {**os.environ, "PATH": path, "HOME": str(self.folder), "HOOK_SECRET": secret, **environment}
        return subprocess.run(
            command, env=given, cwd=self.folder, capture_output=True, timeout=20, check=False
        )

    def here(self, text: str) -> str:
        """Have a snippet call this bridge instead of the café's."""
        assert PUBLIC in text
        return text.replace(PUBLIC, self.url)


@pytest.fixture
def place(make_config, generators, sqlite_template, tmp_path) -> Iterator[Place]:
    opened: list[Services] = []
    with web_process(_live_app(make_config, generators, sqlite_template, opened)) as port:
        yield Place(opened[0], port, tmp_path)
        opened[0].close()


def _live_app(make_config, generators, template: Path, opened: list[Services]) -> Callable[[int], object]:
    def make(port: int) -> object:
        config = make_config(
            base_url=f"http://localhost:{port}",
            handle=f"@cafe@localhost:{port}",
            site=f'hook_secret = "{SECRET}"',
        )
        copy_sqlite(template, Path(config.database.removeprefix("sqlite:///")))
        opened.append(open_services(config, now=utc_now, generators=generators))
        tomorrow(opened[0])
        return create_wsgi(opened[0])

    return make


@pytest.mark.parametrize(("secret", "code"), [(SECRET, 0), ("wrong" * 5, 22)])
def test_the_script_calls(place, secret, code):
    ran = place.run("sh", "-c", CALL, secret=secret, BRIDGE_URL=place.url)
    assert ran.returncode == code, ran.stderr
    assert is_due(place.services) == (code == 0)


def test_a_deploy_by_hand_calls_when_the_site_is_online(place):
    (place.folder / "tell-the-bridge.sh").write_text(CALL)
    (place.folder / ".hook-secret").write_text(f"{SECRET}\n")
    for name in ("hugo", "rsync"):
        place.program(name, f'echo "{name} $*" >> done')
    deploy = place.here(snippet("sh", "rsync"))
    ran = place.run("sh", "-c", deploy, secret="")
    assert ran.returncode == 0, ran.stderr
    assert is_due(place.services)
    assert [line.split()[0] for line in (place.folder / "done").read_text().splitlines()] == ["hugo", "rsync"]


def test_a_deploy_that_fails_calls_nobody(place):
    (place.folder / "tell-the-bridge.sh").write_text(CALL)
    (place.folder / ".hook-secret").write_text(SECRET)
    place.program("hugo", "exit 0")
    place.program("rsync", "exit 12")
    assert place.run("sh", "-c", place.here(snippet("sh", "rsync"))).returncode == 12
    assert not is_due(place.services)


def job(text: str) -> dict[str, Any]:
    """Read a YAML snippet and return its one job."""
    (found,) = yaml.safe_load(text).values()
    assert isinstance(found, dict)
    return found


@pytest.mark.skipif(not which("bash"), reason="bash is what runs a step of GitHub Actions")
def test_the_github_actions_job_calls(place):
    text = snippet("yaml", "runs-on")
    whole = yaml.safe_load(f"on: push\njobs:\n  deploy: {{}}\n{text}")
    assert whole["jobs"]["tell-the-bridge"]["needs"] in whole["jobs"]
    (step,) = job(place.here(text))["steps"]
    assert step["env"].pop("HOOK_SECRET") == "${{ secrets.HOOK_SECRET }}"
    ran = place.run("bash", "-e", "-o", "pipefail", "-c", step["run"], **step["env"])
    assert ran.returncode == 0, ran.stderr
    assert is_due(place.services)


def test_the_gitlab_job_calls(place):
    (place.folder / "tell-the-bridge.sh").write_text(CALL)
    place.program("apk", "exit 0")
    found = job(place.here(snippet("yaml", "stage")))
    ran = place.run("sh", "-e", "-c", "\n".join(found["script"]), **found["variables"])
    assert ran.returncode == 0, ran.stderr
    assert is_due(place.services)


@pytest.mark.skipif(not which("node"), reason="node is what runs a function of Netlify's")
@pytest.mark.parametrize(("secret", "status"), [(SECRET, 202), ("wrong" * 5, 401)])
def test_the_netlify_function_calls(place, secret, status):
    (place.folder / "tell-the-bridge.mjs").write_text(place.here(snippet("js", "deploySucceeded")))
    event = '{deploy: {id: "1"}, site: {name: "cafe"}}'
    call = f'import("./tell-the-bridge.mjs").then((module) => module.default.deploySucceeded({event}))'
    ran = place.run("node", "-e", call, secret=secret)
    assert ran.returncode == 0, ran.stderr
    assert str(status).encode() in ran.stdout
    assert is_due(place.services) == (status == 202)
