"""Whether we are alive, and whether we are ready: for containers, load balancers and the owner's peace."""

from datetime import timedelta

from flask import Blueprint, Response

from bridge.services import Services
from bridge.store import identity, inbox
from bridge.web.answers import data, error

WORKER_SILENT = timedelta(seconds=90)
_JSON = "application/json"
_NEVER = "no-store"


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def alive() -> Response:
        with services.store.read() as tx:
            identity.base_url(tx)
        return data({"status": "ok"}, _JSON, cache=_NEVER)

    @routes.get("/readyz")
    def ready() -> Response:
        with services.store.read() as tx:
            beat_at = identity.heartbeats(tx).get("worker")
            stuck_since = inbox.stuck_since(tx, now=services.now())
        if beat_at is None or services.now() - beat_at > WORKER_SILENT:
            since = f"since {beat_at:%Y-%m-%d %H:%M:%S} UTC" if beat_at else "yet"
            return error(503, f"The web process answers, but no worker was heard of {since}.")
        if stuck_since is not None:
            return error(503, f"What arrived at {stuck_since:%Y-%m-%d %H:%M:%S} UTC still has no effect.")
        return data({"status": "ready"}, _JSON, cache=_NEVER)

    return routes
