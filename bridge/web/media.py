"""Pictures the bridge serves itself: a profile's icon and header, and those of folders without a website."""

import mimetypes
import os
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
    pictures = _profile_pictures(services)

    @routes.get("/ap/<site>/pictures/<name>")
    def profile_picture(site: str, name: str) -> Response:
        path = pictures.get((site, name))
        if path is None:
            return error(404, "There is no such picture here.")
        return _picture(path.read_bytes(), path.suffix, FOR_EVER)

    @routes.get("/ap/<site>/media/<source>/<path:path>")
    def folder_picture(site: str, source: str, path: str) -> Response:
        suffix = Path(path).suffix.lower()
        configured = _served_folder(services, site, source)
        if configured is None or suffix not in PICTURE_TYPES:
            return error(404, "There is no such picture here.")
        try:
            body = _read(os.fdopen(open_below(folder_of(services, site, configured), path), "rb"))
        except (BridgeError, OSError):
            return error(404, "There is no such picture here.")
        return _picture(body, suffix, A_DAY)

    return routes


def _profile_pictures(services: Services) -> dict[tuple[str, str], Path]:
    """Return (site, file name in its URL) → file."""
    found = {}
    for key, site in services.config.sites.items():
        for role, picture in (("icon", site.icon), ("header", site.header)):
            if isinstance(picture, Path):
                found[key, picture_name(picture, role)] = picture
    return found


def _served_folder(services: Services, site: str, name: str) -> FolderSource | None:
    """Return a folder whose pictures nobody else serves."""
    configured = services.config.sites.get(site)
    for source in configured.sources if configured else ():
        if isinstance(source, FolderSource) and source.name == name and source.url is None:
            return source
    return None


def _read(file) -> bytes:  # type: ignore[no-untyped-def]
    with file:
        body: bytes = file.read(MAX_PICTURE + 1)
    if len(body) > MAX_PICTURE:
        raise OSError("larger than a picture may be")
    return body


def _picture(body: bytes, suffix: str, cache: str) -> Response:
    kind = PICTURE_TYPES.get(suffix.lower()) or mimetypes.types_map.get(suffix, "application/octet-stream")
    headers = {"Cache-Control": cache, "Access-Control-Allow-Origin": "*", **_HARMLESS}
    return Response(body, 200, headers, content_type=kind)
