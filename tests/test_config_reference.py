from pathlib import Path

import pytest

from bridge import config_reference
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

REFERENCE = Path(__file__).parent.parent / "docs" / "configuration.md"


def test_the_reference_in_docs_is_what_the_models_say():
    assert config_reference.main(["--check", str(REFERENCE)]) == 0, "see what the command printed"


@pytest.mark.parametrize(
    "table", [Config, ServerConfig, PollingConfig, DeliveryConfig, SiteConfig, FeedSource, FolderSource]
)
def test_every_key_has_a_heading_and_a_description(table):
    reference = config_reference.render()
    described = dict(config_reference.descriptions_of(table))
    tables = {"server", "polling", "delivery"}
    for name in keys_of(table):
        assert (table is Config and name in tables) or f"### `{name}`\n" in reference
        assert (table is Config and name in tables) or described[name]


def test_types_defaults_ranges_and_variables_are_named():
    reference = config_reference.render()
    for fact in (
        "*web address without a path · required*",
        "*whole number from 1 to 65535 · default `8000`*",
        '*duration from 5m to 1d · default `"15m"`*',
        '*`"auto"` or `"page"` or `"bridge"` · default `"auto"`*',
        "environment: `FEDIBRIDGE_DATABASE` or `FEDIBRIDGE_DATABASE_FILE`",
    ):
        assert fact in reference


def test_a_stale_reference_is_noticed_and_written_anew(tmp_path, capsys):
    file = tmp_path / "configuration.md"
    assert config_reference.main(["--check", str(file)]) == 1
    file.write_text("old")
    assert config_reference.main(["--check", str(file)]) == 1
    assert f"{file} is stale: run python -m bridge.config_reference --write {file}" in capsys.readouterr().out
    assert config_reference.main(["--write", str(file)]) == 0
    assert config_reference.main(["--check", str(file)]) == 0
