"""How answers are put together: documents, redirects for people, and errors that say what to do."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, render_template, request

from bridge.activitypub.documents import CONTENT_TYPE, encode

EVERYWHERE = {
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": (
        "default-src 'none'; img-src https: http: 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""What every answer carries: nothing in it is run, framed or taken for another type than it says.

Scripts of any page may read all of it, refusals too (RFC 7033, section 5, demands it of WebFinger): there are
no cookies, so they learn nothing that anyone could not.
"""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Accept",
    "Access-Control-Max-Age": "86400",
}
"""What a browser is told that asks before it lets a script fetch (Fetch Standard, CORS-preflight).

It asks because of ActivityPub's own Accept: `application/ld+json; profile="…"` has quotes in it.
"""

CACHE = "public, max-age=180"
"""As long as Mastodon lets others cache its own documents."""


def document(body: Mapping[str, Any], *, status: int = 200) -> Response:
    """Answer with an ActivityPub document."""
    headers = {"Cache-Control": CACHE, "Vary": "Accept"}
    return Response(encode(body), status, headers, content_type=CONTENT_TYPE)


def data(body: bytes | str | Mapping[str, Any], content_type: str, *, cache: str = CACHE) -> Response:
    """Answer with something for programs that is no ActivityPub: WebFinger, NodeInfo, host-meta."""
    payload = orjson.dumps(body) if isinstance(body, Mapping) else body
    return Response(payload, 200, {"Cache-Control": cache}, content_type=content_type)


def preflight() -> Response | None:
    """Answer a browser that asks whether a script may fetch, whatever stands at the address."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    return Response(status=204, headers={**PREFLIGHT, "Cache-Control": "no-store"})


def redirect(url: str) -> Response:
    """Send a person's browser on."""
    headers = {"Location": url, "Vary": "Accept", "Cache-Control": "private, max-age=60"}
    return Response(status=302, headers=headers)


def error(status: int, message: str, *, retry_after: int | None = None) -> Response:
    """Say what is wrong: to a person as a page, to a server as what Mastodon's admins see in logs."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if is_browser():
        page = render_template("error.html", status=status, message=message)
        return Response(page, status, headers, content_type="text/html; charset=utf-8")
    return Response(orjson.dumps({"error": message[:500]}), status, headers, content_type="application/json")


def is_browser() -> bool:
    """Say whether a person is looking: they want HTML, and no ActivityPub."""
    return wants_page(request.headers.get("Accept", ""))


def is_server() -> bool:
    """Say whether another server is looking, where anyone else gets the page for people."""
    return wants_activity(request.headers.get("Accept", ""))


def wants_page(accept: str) -> bool:
    """Say whether an Accept header is a browser's."""
    return "text/html" in accept and not wants_activity(accept)


def wants_activity(accept: str) -> bool:
    """Say whether an Accept header asks for ActivityPub."""
    return "activity+json" in accept or "ld+json" in accept
