import re
import tomllib

import pytest
from places import ROOT
from setuptools import find_packages

from bridge.config import (
    Config,
    DeliveryConfig,
    FeedSource,
    FolderSource,
    PollingConfig,
    ServerConfig,
    SiteConfig,
)
from bridge.config.read import keys_of
from docs.generate import configuration
from docs.generate.__main__ import PAGES, main


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_written_by_the_code_says_what_the_code_says(page):
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == PAGES[page](), "run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_a_stale_or_missing_page_is_noticed_and_written_anew(page, tmp_path, capsys):
    check, write = ["--check", "--folder", str(tmp_path)], ["--folder", str(tmp_path)]
    assert main(check) == 1
    assert main(write) == 0
    assert main(check) == 0
    capsys.readouterr()
    (tmp_path / page).write_text("old")
    assert main(check) == 1
    assert capsys.readouterr().out == f"{tmp_path / page} is stale: run `make docs`\n"
    assert (tmp_path / page).read_text() == "old"


def test_what_only_writes_documents_is_not_in_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packed = find_packages(str(ROOT), include=patterns)
    assert "bridge.lint" in packed
    assert [name for name in packed if name.partition(".")[0] != "bridge"] == []
    needs = re.compile(r"^\s*(?:from|import) docs\b", re.MULTILINE)
    users = [path for path in (ROOT / "bridge").rglob("*.py") if needs.search(path.read_text("utf-8"))]
    assert users == []


@pytest.mark.parametrize(
    "table", [Config, ServerConfig, PollingConfig, DeliveryConfig, SiteConfig, FeedSource, FolderSource]
)
def test_every_key_has_a_heading_and_a_description(table):
    reference = configuration.render()
    described = dict(configuration.descriptions_of(table))
    tables = {"server", "polling", "delivery"}
    for name in keys_of(table):
        assert (table is Config and name in tables) or f"### `{name}`\n" in reference
        assert (table is Config and name in tables) or described[name]


def test_types_defaults_ranges_and_variables_are_named():
    reference = configuration.render()
    for fact in (
        "*web address without a path · required*",
        "*whole number from 1 to 65535 · default `8000`*",
        '*duration from 5m to 1d · default `"15m"`*',
        '*`"auto"` or `"page"` or `"bridge"` · default `"auto"`*',
        "environment: `FEDIBRIDGE_DATABASE` or `FEDIBRIDGE_DATABASE_FILE`",
    ):
        assert fact in reference
