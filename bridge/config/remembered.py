"""What is kept of a site's table in config.toml, so that the site can go on answering without it."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bridge.config.models import SiteConfig

# Its sources, which nobody is to look at then, and what is secret.
_NOT_KEPT = {"sources", "hook_secret"}
_FILE = "file"


def to_kept(site: SiteConfig) -> dict[str, Any]:
    """Return what is kept of a site, as JSON has it."""
    names = [key.name for key in fields(site) if key.init and key.name not in _NOT_KEPT]
    return {name: _plain(getattr(site, name)) for name in names}


def from_kept(kept: Mapping[str, Any]) -> SiteConfig:
    """Return a site without sources; keys that this program does not know (any more) are left out."""
    known = {key.name for key in fields(SiteConfig) if key.init}
    return SiteConfig(**{name: _read(value) for name, value in kept.items() if name in known}, sources=())


def of_whom_only_the_handle_is_known(handle: str, base_url: str) -> SiteConfig:
    """Describe a site that left the config before its table was kept."""
    return SiteConfig(handle=handle, website=base_url, name=handle.split("@")[1], sources=())


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return [_FILE, str(value)]
    return dict(value) if isinstance(value, Mapping) else value


def _read(value: Any) -> Any:
    return Path(value[1]) if isinstance(value, list) else value
