"""How answers are put together: documents, redirects for people, and errors that say what to do."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request

from bridge.activitypub.documents import CONTENT_TYPE, encode

CACHE = "public, max-age=180"
"""As long as Mastodon lets others cache its own documents."""


def document(body: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer with an ActivityPub document."""
    headers = {"Cache-Control": CACHE, "Vary": "Accept", "Access-Control-Allow-Origin": "*"}
    return Response(encode(body), status, headers, content_type=CONTENT_TYPE)


def data(body: bytes | str | Mapping[str, Any], content_type: str, *, cache: str = CACHE) -> Response:
    """Answer with something every origin may read: WebFinger, NodeInfo, host-meta."""
    headers = {"Cache-Control": cache, "Access-Control-Allow-Origin": "*"}
    payload = orjson.dumps(body) if isinstance(body, Mapping) else body
    return Response(payload, 200, headers, content_type=content_type)


def redirect(url: str) -> Response:
    """Send a person's browser on."""
    headers = {"Location": url, "Vary": "Accept", "Cache-Control": "private, max-age=60"}
    return Response(status=302, headers=headers)


def error(status: int, message: str, *, retry_after: int | None = None) -> Response:
    """Say what is wrong, in the one form that Mastodon's admins see in their logs."""
    headers = {"Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Response(orjson.dumps({"error": message[:500]}), status, headers, content_type="application/json")


def is_browser() -> bool:
    """Say whether a person is looking: they want HTML, and no ActivityPub."""
    return wants_page(request.headers.get("Accept", ""))


def wants_page(accept: str) -> bool:
    """Say whether an Accept header is a browser's."""
    return "text/html" in accept and "activity+json" not in accept and "ld+json" not in accept
