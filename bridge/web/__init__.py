"""The web process: it reads and queues, and never makes an outgoing request [the only home of Flask].

A request comes in by `serve` → `gate` (in whole; `door`, `bodies`, `turns`) → `fastpath` (what is remembered)
→ a view: `inbox`, `hooks`, or what shows documents and pages → `answers`.
"""

import logging
from collections.abc import Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bridge.errors import BadActivity, BadUrl, BridgeError, SignatureError, StoreUnavailable
from bridge.services import Services
from bridge.web import actors as actors
from bridge.web import closed as closed
from bridge.web import discovery as discovery
from bridge.web import health as health
from bridge.web import hooks as hooks
from bridge.web import inbox as inbox
from bridge.web import media as media
from bridge.web import pages as pages
from bridge.web.answers import EVERYWHERE, error, preflight
from bridge.web.fastpath import FastPath

log = logging.getLogger(__name__)

STATUS_OF: Mapping[type[BridgeError], int] = {
    SignatureError: 401,
    BadActivity: 400,
    BadUrl: 400,
}
"""The one table of error → HTTP status."""

STATIC_SECONDS = 3600  # how long browsers may keep the style sheet


def create_app(services: Services) -> Flask:
    """Build the Flask application."""
    app = Flask(__name__, static_folder="static", static_url_path="/ap/about/static")
    app.config["MAX_CONTENT_LENGTH"] = None  # the inbox counts for itself: see inbox.read_body
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # a redirect would lose the body of a POST
    for part in (discovery, hooks, inbox, actors, pages, media, health):
        app.register_blueprint(part.blueprint(services))
    app.register_error_handler(BridgeError, _answer_bridge_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)
    app.before_request(preflight)
    app.before_request(_refuse_nul)
    app.before_request(closed.refusal(services))
    app.after_request(_add_headers)
    return app


def create_wsgi(services: Services) -> FastPath:
    """Build what the server runs: the memory of public documents, with Flask behind it."""
    return FastPath(create_app(services).wsgi_app, services.store)


def _answer_bridge_error(problem: BridgeError) -> Response:
    if isinstance(problem, StoreUnavailable):  # the store has logged it
        return error(503, "The database cannot be used; please try again later.", retry_after=60)
    status = next((code for kind, code in STATUS_OF.items() if isinstance(problem, kind)), None)
    return _answer_unexpected(problem) if status is None else error(status, str(problem))


def _answer_http_error(problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    answer = error(problem.code or 500, problem.description or problem.name)
    if isinstance(problem, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(problem.valid_methods or ()))
    return answer


def _answer_unexpected(problem: Exception) -> Response:
    log.exception("%s %.200r failed unexpectedly", request.method, request.path, exc_info=problem)
    return error(503, "Something went wrong here; please try again later.", retry_after=60)


def _refuse_nul() -> Response | None:
    # PostgreSQL cannot even be asked for it, nor can the file system.
    return error(404, "There is nothing here.") if "\0" in request.path else None


def _add_headers(response: Response) -> Response:
    for name, value in EVERYWHERE.items():
        response.headers.setdefault(name, value)
    return response
