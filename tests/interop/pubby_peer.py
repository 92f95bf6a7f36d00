"""Runs one pubby server on loopback: bob, who follows and is followed, behind real TLS.

The tests steer him through the control API (plain HTTP, JSON) that README.md describes. What stands in
`inbox` was verified by pubby, and everything he sends goes through pubby's own outbox.
"""

import argparse
import logging
import ssl
import sys
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask
import requests
from pubby import (
    Activity,
    ActivityPubHandler,
    Object,
    build_announce_activity,
    build_delete_activity,
    build_like_activity,
    build_undo_activity,
    resolve_actor_inbox,
    resolve_actor_url,
)
from pubby._model import AP_CONTEXT, AS_PUBLIC
from pubby.crypto import generate_rsa_keypair, sign_request
from pubby.server.adapters.flask import bind_activitypub
from pubby.storage.adapters.file import FileActivityPubStorage
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

Json = dict[str, Any]
AS2 = "application/activity+json"
INBOX = "/ap/inbox"


class Refused(Exception):
    """What a test asked for cannot be done; the message says why."""


# ── the wire, watched ────────────────────────────────────────────────────────────────────────────


def describe_request(method: str, url: str, headers: Any) -> Json:
    """Note a request as the tests read it; its status is not known yet."""
    scheme = "rfc9421" if headers.get("Signature-Input") else "cavage" if headers.get("Signature") else None
    return {"method": method, "url": url, "scheme": scheme, "status": None}


def watch_outgoing_requests(sent: list[Json]) -> None:
    """Note every request that pubby makes, as it goes out."""
    plain_send = requests.Session.send

    def send(session: Any, request: Any, **options: Any) -> Any:
        entry = describe_request(request.method, request.url, request.headers)
        sent.append(entry)
        response = plain_send(session, request, **options)
        entry["status"] = response.status_code
        return response

    requests.Session.send = send


# ── bob ──────────────────────────────────────────────────────────────────────────────────────────


class Bob:
    """What bob does and what he has seen; every public method that takes keywords is a control."""

    def __init__(self, origin: str, storage: FileActivityPubStorage) -> None:
        self.origin = origin
        self.host = origin.removeprefix("https://")
        self.key, _ = generate_rsa_keypair()
        self.storage = storage
        self.handler = ActivityPubHandler(
            storage,
            {"base_url": origin, "username": "bob", "name": "Bob of pubby"},
            private_key=self.key,
            webfinger_domain=self.host,
            allow_private_targets=True,
            on_activity=self._note_activity,
            on_follow_response=self._note_answer,
        )
        self.deleted = False
        self.following: dict[str, str] = {}
        self.inbox: list[Json] = []
        self.unverified: list[Json] = []
        self.sent: list[Json] = []
        self.received: list[Json] = []
        self.errors: list[str] = []
        self.notes: dict[str, Object] = {}
        self._activities: dict[str, Json] = {}

    # what reaches him

    def _note_activity(self, activity: Activity, raw: Json) -> None:
        embedded = raw.get("object")
        self.inbox.append(
            {
                "id": activity.id,
                "type": activity.type,
                "actor": activity.actor,
                "object_id": embedded.get("id") if isinstance(embedded, dict) else embedded,
                "object": describe_object(embedded) if isinstance(embedded, dict) else None,
                "shared": True,  # pubby has one inbox for both
                "json": raw,
            }
        )

    def _note_answer(self, target: str, accepted: bool) -> None:
        self.following[target] = "accepted" if accepted else "rejected"

    # what he does

    def follow(self, *, target: str) -> Json:
        actor = self._look_up_actor(target)
        activity = {
            "@context": AP_CONTEXT,
            "id": self._mint("follows"),
            "type": "Follow",
            "actor": self.handler.actor_id,
            "object": actor["id"],
            "to": [actor["id"]],
        }
        self.following[actor["id"]] = "pending"
        return self._send(activity) | {"actor": actor["id"]}

    def unfollow(self, *, target: str) -> Json:
        actor_id = self._look_up_actor(target)["id"]
        if self.following.pop(actor_id, None) is None:
            raise Refused(f"bob does not follow {target}")
        follows = [a for a in self._activities.values() if a["type"] == "Follow" and a["object"] == actor_id]
        return self.undo(activity=follows[-1]["id"])

    def undo(self, *, activity: str) -> Json:
        if activity not in self._activities:
            raise Refused(f"bob never did {activity}")
        return self._send(build_undo_activity(self._activities[activity], self.handler.actor_id))

    def like(self, *, object: str) -> Json:  # noqa: A002 - the field's word, and the name in the JSON
        author = self._look_up_author(object)
        return self._send(build_like_activity(self.handler.actor_id, object, to=[author["id"]]))

    def announce(self, *, object: str) -> Json:  # noqa: A002
        to, cc = [AS_PUBLIC], [self._look_up_author(object)["id"], self.handler.followers_url]
        return self._send(build_announce_activity(self.handler.actor_id, object, to=to, cc=cc))

    def post(self, *, content: str) -> Json:
        return self._publish(self._draft(content, cc=[self.handler.followers_url]))

    def reply(self, *, object: str, content: str) -> Json:  # noqa: A002
        author = self._look_up_author(object)
        mention = {"type": "Mention", "href": author["id"], "name": f"@{author.get('preferredUsername')}"}
        return self._publish(self._draft(content, cc=[author["id"]], in_reply_to=object, tag=[mention]))

    def edit(self, *, object: str, content: str) -> Json:  # noqa: A002
        note = replace(self._own_note(object), content=content, updated=datetime.now(UTC))
        self.notes[object] = note
        return self._send(self.handler.outbox.build_update_activity(note))

    def delete(self, *, object: str) -> Json:  # noqa: A002
        note = self._own_note(object)
        del self.notes[object]
        return self._send(build_delete_activity(self.handler.actor_id, object, to=note.to, cc=note.cc))

    def delete_actor(self) -> Json:
        to, cc = [AS_PUBLIC, *self.following], [self.handler.followers_url]
        self.deleted = True  # from now on his actor document answers 410
        return self._send(build_delete_activity(self.handler.actor_id, self.handler.actor_id, to=to, cc=cc))

    def lookup(self, *, target: str) -> Json:
        is_handle = target.lstrip("@").count("@") == 1 and "//" not in target
        document = self._look_up_actor(target) if is_handle else self._fetch(target)
        return describe_object(document) | {"json": document}

    def state(self) -> Json:
        actor = {
            "id": self.handler.actor_id,
            "handle": f"@bob@{self.host}",
            "inbox": self.handler.inbox_url,
            "shared_inbox": self.handler.shared_inbox_url,
        }
        seen = ("following", "inbox", "unverified", "sent", "received", "errors")
        followers = [follower.actor_id for follower in self.storage.get_followers(self.handler.actor_id)]
        return {"actor": actor, "followers": followers} | {name: getattr(self, name) for name in seen}

    # how he does it

    def _mint(self, kind: str) -> str:
        return f"{self.origin}/{kind}/{uuid.uuid4()}"  # unused even after a restart on the same port

    def _draft(self, content: str, **more: Any) -> Object:
        return Object(
            id=self._mint("notes"),
            content=content,
            attributed_to=self.handler.actor_id,
            published=datetime.now(UTC),
            to=[AS_PUBLIC],
            **more,
        )

    def _publish(self, note: Object) -> Json:
        self.notes[note.id] = note
        return self._send(self.handler.outbox.build_create_activity(note)) | {"object": note.id}

    def _send(self, activity: Json) -> Json:
        self._activities[activity["id"]] = activity
        self.handler.publish_activity(activity)
        return {"activity": activity["id"]}

    def _own_note(self, note_id: str) -> Object:
        if note_id not in self.notes:
            raise Refused(f"bob wrote no {note_id}")
        return self.notes[note_id]

    def _look_up_actor(self, target: str) -> Json:
        url = target if "//" in target else resolve_actor_url(*target.lstrip("@").split("@", 1))
        resolve_actor_inbox(
            url,
            self.storage,
            private_key=self.key,
            key_id=self.handler.key_id,
            allow_private_targets=True,
        )
        actor: Json | None = self.storage.get_cached_actor(url)
        if actor is None:
            raise Refused(f"pubby finds no actor at {url}; its log says why")
        return actor

    def _look_up_author(self, object_url: str) -> Json:
        return self._look_up_actor(self._fetch(object_url)["attributedTo"])

    def _fetch(self, url: str) -> Json:
        headers = sign_request(self.key, self.handler.key_id, "GET", url, headers={"Accept": AS2})
        response = requests.get(url, headers=headers, timeout=10)
        if response.status_code != 200:
            raise Refused(f"{url} answered {response.status_code}")
        document: Json = response.json()
        return document


def describe_object(document: Json) -> Json:
    """Tell what pubby reads in an object, in the same words as the Fedify peer."""
    read = Object.build(document)
    return {
        "id": read.id,
        "type": read.type,
        "name": read.name,
        "summary": read.summary,
        "content": read.content or None,
        "url": read.url or None,
        "published": read.published.isoformat() if read.published else None,
        "updated": read.updated.isoformat() if read.updated else None,
        "attributed_to": read.attributed_to or None,
        "in_reply_to": read.in_reply_to,
        "to": read.to,
        "cc": read.cc,
        "tags": read.tag,
        "attachments": read.attachment,
    }


# ── his server ───────────────────────────────────────────────────────────────────────────────────


def create_server(bob: Bob) -> flask.Flask:
    """Build what the fediverse sees: pubby's routes, and bob's notes."""
    app = flask.Flask("bob")
    bind_activitypub(app, bob.handler)

    @app.before_request
    def be_gone() -> tuple[str, int] | None:
        return ("", 410) if bob.deleted and flask.request.path == bob.handler.actor_path else None

    @app.after_request
    def note_request(response: flask.Response) -> flask.Response:
        request = flask.request
        entry = describe_request(request.method, bob.origin + request.full_path.rstrip("?"), request.headers)
        bob.received.append(entry | {"status": response.status_code})
        if request.path == INBOX and response.status_code == 401:
            activity = request.get_json(force=True)
            bob.unverified.append(
                {"type": activity.get("type"), "id": activity.get("id"), "reason": response.json["error"]}
            )
        return response

    @app.get("/notes/<uuid:_>")
    def serve_note(_: uuid.UUID) -> Any:
        note = bob.notes.get(bob.origin + flask.request.path)
        if note is None:
            flask.abort(404)
        return {"@context": AP_CONTEXT} | note.to_dict(), {"Content-Type": AS2}

    @app.errorhandler(Exception)
    def note_error(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return error
        logging.exception("serve")
        bob.errors.append(f"serve: {error!r}")
        return "", 500

    return app


def create_control(bob: Bob) -> flask.Flask:
    """Build what the tests see."""
    app = flask.Flask("control")
    does = (bob.follow, bob.unfollow, bob.undo, bob.like, bob.announce, bob.post, bob.reply, bob.edit)
    controls = {do.__name__: do for do in (*does, bob.delete, bob.lookup)} | {
        "delete-actor": bob.delete_actor
    }

    @app.get("/state")
    def state() -> Json:
        return bob.state()

    @app.post("/<verb>")
    def do(verb: str) -> Json:
        if verb not in controls:
            raise Refused(f"no control {verb}; there are {', '.join(controls)}")
        return controls[verb](**flask.request.get_json())

    @app.errorhandler(Exception)
    def explain(error: Exception) -> tuple[Json, int]:
        logging.info("control: %r", error, exc_info=not isinstance(error, Refused))
        return {"error": f"{type(error).__name__}: {error}"}, 400

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    for option, kind in (("port", int), ("control-port", int), ("cert", Path), ("key", Path)):
        parser.add_argument(f"--{option}", type=kind, required=True)
    settings = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG)

    bob = Bob(f"https://localhost:{settings.port}", FileActivityPubStorage(Path(f"pubby-{settings.port}")))
    watch_outgoing_requests(bob.sent)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(settings.cert, settings.key)
    server = make_server("127.0.0.1", settings.port, create_server(bob), threaded=True, ssl_context=tls)
    control = make_server("127.0.0.1", settings.control_port, create_control(bob), threaded=True)
    for service in (server, control):
        threading.Thread(target=service.serve_forever, daemon=True).start()
    sys.stdin.read()  # until the harness is gone


if __name__ == "__main__":
    main()
