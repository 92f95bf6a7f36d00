"""The follower's web server: documents for other servers, the timeline for people [Flask's second home]."""

from flask import Blueprint, Flask, Response, jsonify, render_template, request
from markupsafe import Markup

from bridge.activitypub.documents import CONTENT_TYPE, encode
from bridge.activitypub.signatures import SignedRequest
from bridge.activitypub.values import Document
from bridge.demo.follower import Follower
from bridge.demo.inbox import Inbox
from bridge.demo.me import Me
from bridge.demo.timeline import Timeline
from bridge.errors import BridgeError

MAX_BODY = 1024 * 1024  # bytes
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; img-src http: https:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def create_app(me: Me, timeline: Timeline, follower: Follower, inbox: Inbox) -> Flask:
    """Build the Flask application."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.jinja_env.filters["safe_html"] = Markup  # for what `reading` has sanitised
    app.register_blueprint(_for_servers(me, follower, inbox))
    app.register_blueprint(_for_people(me, timeline, follower))
    app.register_error_handler(BridgeError, lambda problem: (jsonify(error=str(problem)), 400))

    @app.before_request
    def only_by_its_name() -> Response | None:
        """A page elsewhere must not get at us by a name of its own for 127.0.0.1 (DNS rebinding)."""
        return None if request.host == me.host else Response(f"This is {me.host}.\n", 421)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(_SECURITY_HEADERS)
        return response

    return app


def _for_servers(me: Me, follower: Follower, inbox: Inbox) -> Blueprint:
    routes = Blueprint("servers", __name__)

    @routes.get("/.well-known/webfinger")
    def webfinger() -> Response:
        if request.args.get("resource") != me.webfinger()["subject"]:
            return Response(status=404)
        return Response(encode(me.webfinger()), content_type="application/jrd+json")

    @routes.get("/you")
    def actor() -> Response:
        return _document(me.actor())

    @routes.get("/you/outbox")
    def outbox() -> Response:
        return _document(me.empty_outbox())

    @routes.get("/you/notes/<serial>")
    def note(serial: str) -> Response:
        found = follower.note(serial)
        return _document(found) if found else Response(status=404)

    @routes.post("/you/inbox")
    def receive() -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        inbox.receive(SignedRequest(request.method, request.path, headers, request.get_data()))
        return Response(status=202)

    return routes


def _for_people(me: Me, timeline: Timeline, follower: Follower) -> Blueprint:
    routes = Blueprint("people", __name__)

    @routes.get("/")
    def page() -> str:
        revision, posts = timeline.shown()
        return render_template(
            "timeline.html", me=me, accounts=timeline.accounts(), posts=posts, revision=revision
        )

    @routes.get("/timeline.json")
    def changes() -> Response:
        """What the page asks every second: everything, unless nothing changed since the revision it has."""
        revision, posts = timeline.shown()
        if request.args.get("have") == str(revision):
            return jsonify(revision=revision)
        shown = [
            {"id": post.id, "version": post.version, "html": render_template("post.html", post=post)}
            for post in posts
        ]
        accounts = render_template("accounts.html", accounts=timeline.accounts())
        return jsonify(revision=revision, posts=shown, accounts=accounts)

    @routes.post("/react")
    def react() -> Response:
        # JSON only: a form on somebody else's page cannot send it without asking first.
        asked = request.get_json()
        post = timeline.post(str(asked.get("post")))
        if post is None:
            return Response(status=404)
        match asked.get("do"):
            case "like":
                follower.like(post)
            case "boost":
                follower.boost(post)
            case "reply" if str(asked.get("text", "")).strip():
                follower.reply(post, str(asked["text"]))
        return Response(status=204)

    return routes


def _document(document: Document) -> Response:
    return Response(encode(document), content_type=CONTENT_TYPE)
