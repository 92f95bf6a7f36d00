"""The web process: it reads and queues, and never makes an outgoing request [the only home of Flask]."""

import logging
from collections.abc import Mapping

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from bridge.errors import BadActivity, BadUrl, BridgeError, SignatureError
from bridge.services import Services
from bridge.web import actors as actors
from bridge.web import discovery as discovery
from bridge.web import health as health
from bridge.web import inbox as inbox
from bridge.web import media as media
from bridge.web import pages as pages
from bridge.web.answers import error
from bridge.web.fastpath import FastPath

log = logging.getLogger(__name__)

STATUS_OF: Mapping[type[BridgeError], int] = {
    SignatureError: 401,
    BadActivity: 400,
    BadUrl: 400,
}
"""The one table of error → HTTP status."""

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": (
        "default-src 'none'; img-src https: http: 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def create_app(services: Services) -> Flask:
    """Build the Flask application."""
    app = Flask(__name__, static_folder="static", static_url_path="/ap/about/static")
    app.config["MAX_CONTENT_LENGTH"] = None  # the inbox counts for itself: see inbox.read_body
    app.url_map.strict_slashes = False
    for part in (discovery, inbox, actors, pages, media, health):
        app.register_blueprint(part.blueprint(services))
    app.register_error_handler(BridgeError, _answer_bridge_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)
    app.after_request(_add_security_headers)
    return app


def create_wsgi(services: Services) -> FastPath:
    """Build what the server runs: the memory of public documents, with Flask behind it."""
    return FastPath(create_app(services).wsgi_app, services.store)


def _answer_bridge_error(problem: BridgeError) -> Response:
    status = next((code for kind, code in STATUS_OF.items() if isinstance(problem, kind)), 500)
    if status == 500:
        log.error("Unexpected: %s", problem)
    return error(status, str(problem))


def _answer_http_error(problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    if problem.response is not None and isinstance(problem.response, Response):
        return problem.response
    return error(problem.code or 500, problem.description or problem.name)


def _answer_unexpected(problem: Exception) -> Response:
    log.exception("A request failed unexpectedly", exc_info=problem)
    return error(503, "Something went wrong here; please try again later.", retry_after=60)


def _add_security_headers(response: Response) -> Response:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response
