"""Moves a config to this machine, for a demo that touches nothing of the real one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from bridge.config.models import Config, ServerConfig
from bridge.config.places import sqlite_in


def local(config: Config, port: int, data: Path) -> Config:
    """Move a config to ``http://localhost:PORT``, for a demo that touches nothing of the real one.

    Sites keep their keys and sources; their handles move to ``localhost:PORT`` (named by key where two
    would become the same), and the SQLite database lives in `data`. Whoever watches a demo does not want to
    wait: folders are looked at every second, edits go out at once, and every follower is let in.
    """
    users = [site.user for site in config.sites.values()]
    distinct = len(set(users)) == len(users)
    sites = {
        key: replace(
            site, handle=f"@{site.user if distinct else key}@localhost:{port}", approve_followers=False
        )
        for key, site in config.sites.items()
    }
    data = data.resolve()
    return replace(
        config,
        base_url=f"http://localhost:{port}",
        data=data,
        database=sqlite_in(data),
        server=ServerConfig(host="127.0.0.1", port=port),
        polling=replace(config.polling, folder_interval=timedelta(seconds=1), edit_delay=timedelta()),
        sites=MappingProxyType(sites),
    )
