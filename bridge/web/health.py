"""Whether we are alive, and whether we are ready: for containers, load balancers and the owner's peace.

Ready means that every job of a worker finished lately what it began, not that a thread can write.
"""

from datetime import datetime

from flask import Blueprint, Response

from bridge.errors import StoreUnavailable
from bridge.pump.progress import WORKER_SILENT, from_detail
from bridge.services import Services
from bridge.store import identity, inbox
from bridge.store.identity import Beat
from bridge.web.answers import data, error

_JSON = "application/json"
_NEVER = "no-store"


def blueprint(services: Services) -> Blueprint:
    """Build the routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def alive() -> Response:
        with services.store.read() as tx:
            identity.base_url(tx)
        if trouble := services.store.trouble():
            return error(503, trouble)
        return data({"status": "ok"}, _JSON, cache=_NEVER)

    @routes.get("/readyz")
    def ready() -> Response:
        with services.store.read() as tx:
            beats = identity.workers(tx)
            stuck_since = inbox.stuck_since(tx, now=services.now())
        trouble = services.store.trouble() or what_stands(beats, now=services.now())
        if trouble is None and stuck_since is not None:
            trouble = f"What arrived at {stuck_since:%Y-%m-%d %H:%M:%S} UTC still has no effect."
        return error(503, trouble) if trouble else data({"status": "ready"}, _JSON, cache=_NEVER)

    @routes.errorhandler(StoreUnavailable)
    def unavailable(problem: StoreUnavailable) -> Response:
        return error(503, str(problem), retry_after=60)

    return routes


def what_stands(beats: list[Beat], *, now: datetime) -> str | None:
    """Say in a sentence why the workers cannot be relied on; `None` when they can."""
    heard = [beat for beat in beats if abs(now - beat.beat_at) <= WORKER_SILENT]
    if not heard:
        since = f"since {beats[0].beat_at:%Y-%m-%d %H:%M:%S} UTC" if beats else "yet"
        return f"The web process answers, but no worker was heard of {since}."
    standing = [str(one) for beat in heard for one in from_detail(beat.detail)]
    return f"The worker lives, but {'; '.join(standing)}." if standing else None
