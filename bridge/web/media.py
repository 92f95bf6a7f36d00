"""Pictures the bridge serves itself: a profile's icon and header, and those of folders without a website."""

import os
import stat
from pathlib import Path

from flask import Blueprint, Response

from bridge.config import FolderSource
from bridge.errors import BridgeError
from bridge.folders import folder_of
from bridge.profile import PICTURE_TYPES, picture_name
from bridge.services import Services
from bridge.sources.folder import open_below
from bridge.web.answers import error

MAX_PICTURE = 8 * 1024 * 1024  # bytes
FOR_EVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"
_HARMLESS = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("media", __name__)

    @routes.get("/ap/<site>/pictures/<name>")
    def profile_picture(site: str, name: str) -> Response:
        role = name.partition("-")[0]
        path = _profile_picture(services, site, role)
        if path is None:
            return _not_found()
        try:
            body = path.read_bytes()
        except OSError:
            return _not_found()
        # Whoever still has the address of the picture before it gets today's, for a day.
        is_current = name == picture_name(path, role, body)
        return _picture(body, path.suffix, FOR_EVER if is_current else A_DAY)

    @routes.get("/ap/<site>/media/<source>/<path:path>")
    def folder_picture(site: str, source: str, path: str) -> Response:
        suffix = Path(path).suffix.lower()
        configured = _served_folder(services, site, source)
        if configured is None or suffix not in PICTURE_TYPES or _is_hidden(path):
            return _not_found()
        try:
            body = _read(open_below(folder_of(services, site, configured), path))
        except (BridgeError, OSError):
            return _not_found()
        return _picture(body, suffix, A_DAY)

    return routes


def _profile_picture(services: Services, site: str, role: str) -> Path | None:
    configured = services.config.sites.get(site)
    pictures = {"icon": configured.icon, "header": configured.header} if configured else {}
    picture = pictures.get(role)
    return picture if isinstance(picture, Path) else None


def _served_folder(services: Services, site: str, name: str) -> FolderSource | None:
    """Return a folder whose pictures nobody else serves."""
    configured = services.config.sites.get(site)
    for source in configured.sources if configured else ():
        if isinstance(source, FolderSource) and source.name == name and source.url is None:
            return source
    return None


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _read(descriptor: int) -> bytes:
    """Read a picture and close it; OSError when it is no regular file, or too large."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_PICTURE:
            raise OSError("not a file of a picture's size")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_PICTURE)
    finally:
        os.close(descriptor)


def _picture(body: bytes, suffix: str, cache: str) -> Response:
    headers = {"Cache-Control": cache, "Access-Control-Allow-Origin": "*", **_HARMLESS}
    return Response(body, 200, headers, content_type=PICTURE_TYPES[suffix.lower()])


def _not_found() -> Response:
    return error(404, "There is no such picture here.")
