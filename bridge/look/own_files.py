"""Content folders as the config names them, and the pictures in those that have no website of their own."""

import os
import stat
from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.activitypub.ids import Ids
from bridge.config import Config, FolderSource
from bridge.errors import BridgeError
from bridge.picturetypes import KNOWN
from bridge.services import Services
from bridge.sources.folders.folder import Folder, open_below


def folder_of(services: Services, site: str, source: FolderSource) -> Folder:
    """Describe a configured folder; without a URL template the bridge itself serves its pictures."""
    return folder_in(services.config, site, source)


def folder_in(config: Config, site: str, source: FolderSource) -> Folder:
    """Describe a folder of a config, where nothing is open yet."""
    ids, configured = Ids(config.base_url), config.sites[site]

    def media_url(path: str) -> str:
        return ids.media(site, f"{source.name}/{path}")

    return Folder(
        root=source.folder,
        site_url=configured.website,
        url_template=source.url,
        media_url=None if source.url else media_url,
        allow_symlinks=source.allow_symlinks,
        zone=ZoneInfo(configured.timezone),
        dialect=source.dialect,
    )


# ── pictures the bridge serves itself ────────────────────────────────────────────────────────────


def copies_folder(config: Config) -> Path:
    """Return where copies lie of pictures that servers could not show; worker and web process share it."""
    return config.data / "pictures"


def read_picture(services: Services, site: str, source: str, path: str, *, limit: int) -> bytes | None:
    """Return a picture of a folder that nobody else serves.

    `None` for anything else: hidden files, other kinds of files, what leads out of the folder, and what is
    larger than `limit` bytes.
    """
    configured = _served_folder(services, site, source)
    if configured is None or Path(path).suffix.lower() not in KNOWN or _is_hidden(path):
        return None
    try:
        return _read(open_below(folder_of(services, site, configured), path), limit)
    except (BridgeError, OSError):
        return None


def _served_folder(services: Services, site: str, name: str) -> FolderSource | None:
    configured = services.config.sites.get(site)
    for source in configured.sources if configured else ():
        if isinstance(source, FolderSource) and source.name == name and source.url is None:
            return source
    return None


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _read(descriptor: int, limit: int) -> bytes:
    """Read a picture and close it; OSError when it is not a regular file, or too large."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise OSError("not a file of a picture's size")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)
