"""config.toml and the environment as one frozen `Config`, or a `ConfigError` that says what to change."""

from bridge.config.load import load_config
from bridge.config.local import local
from bridge.config.models import (
    Config,
    DeliveryConfig,
    FeedSource,
    FolderSource,
    Layout,
    PollingConfig,
    ServerConfig,
    SiteConfig,
    Source,
)

__all__ = [
    "Config",
    "DeliveryConfig",
    "FeedSource",
    "FolderSource",
    "Layout",
    "PollingConfig",
    "ServerConfig",
    "SiteConfig",
    "Source",
    "load_config",
    "local",
]
