"""Pictures the bridge serves itself: of profiles, of folders without a website, and copies of others."""

from pathlib import Path
from posixpath import normpath

from flask import Blueprint, Response

from bridge.look.own_files import copies_folder, read_picture
from bridge.pictures import find_copy
from bridge.picturetypes import SERVED, type_of
from bridge.publish.profile import picture_name
from bridge.services import Services
from bridge.store import posts
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
        if Path(path).suffix.lower() not in SERVED:
            return _not_found()  # of a drawing or a HEIC there is a copy
        if _is_hidden(services, services.ids.media(site, f"{source}/{normpath(path)}")):
            return _not_found()
        body = read_picture(services, site, source, path, limit=MAX_PICTURE)
        return _not_found() if body is None else _picture(body, Path(path).suffix, A_DAY)

    @routes.get("/ap/about/pictures/<name>")
    def copy(name: str) -> Response:
        path = find_copy(copies_folder(services.config), name)
        if path is not None and _is_hidden(services, services.ids.copy(name)):
            return _not_found()
        try:
            return _not_found() if path is None else _picture(path.read_bytes(), path.suffix, FOR_EVER)
        except OSError:
            return _not_found()

    return routes


def _is_hidden(services: Services, url: str) -> bool:
    with services.store.read() as tx:
        return posts.only_hidden_show(tx, url)


def _profile_picture(services: Services, site: str, role: str) -> Path | None:
    configured = services.config.sites.get(site)
    pictures = {"icon": configured.icon, "header": configured.header} if configured else {}
    picture = pictures.get(role)
    return picture if isinstance(picture, Path) else None


def _picture(body: bytes, suffix: str, cache: str) -> Response:
    headers = {"Cache-Control": cache, **_HARMLESS}
    return Response(body, 200, headers, content_type=type_of(suffix))


def _not_found() -> Response:
    return error(404, "There is no such picture here.")
