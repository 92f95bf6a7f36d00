"""Someone else's server, the only fake there is: actors, keys, an inbox log, and moods.

It checks our signatures with code of its own (`http_signing`), and fetches our keys from the bridge as any
server would.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import http_signing
from http_signing import CAVAGE, RFC9421, PrivateKey, Refused, Signer
from loopback import Network, Reply, Request
from werkzeug.test import Client, EnvironBuilder

AS2 = "https://www.w3.org/ns/activitystreams"
PUBLIC = f"{AS2}#Public"
AP_TYPE = "application/activity+json"

Document = dict[str, Any]


# ── how the bridge is reached ─────────────────────────────────────────────────────────────────────


class Bridge(Protocol):
    """The bridge as others see it."""

    def get(self, url: str) -> tuple[int, Document]: ...

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int: ...


class BridgeInProcess:
    """The bridge's WSGI application, called as the server in front of it would."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._client = Client(app)

    def get(self, url: str) -> tuple[int, Document]:
        answer = self._client.open(_environ("GET", url, {"Accept": AP_TYPE}))
        return answer.status_code, json.loads(answer.get_data() or b"{}")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        return self._client.open(_environ("POST", url, headers, body)).status_code


class BridgeOverHttp:
    """The bridge listening on a port of this machine, whatever its public name is."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, url: str) -> tuple[int, Document]:
        status, body = self._ask("GET", url, None, {"Host": urlsplit(url).netloc, "Accept": AP_TYPE})
        return status, json.loads(body or b"{}")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        return self._ask("POST", url, body, headers)[0]

    def _ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request(method, urlsplit(url).path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _environ(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> dict[str, Any]:
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    builder = EnvironBuilder(parts.path, base, method=method, headers=dict(headers), data=body)
    return builder.get_environ()


# ── people ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Software:
    """How a kind of server spells its URLs; `stub_keys`: a key's URL answers with a stub of its actor."""

    name: str
    user_path: str = "/users/{user}"
    key_suffix: str = "#main-key"
    inbox: str = "/users/{user}/inbox"
    shared_inbox: str | None = "/inbox"
    stub_keys: bool = False


MASTODON = Software("mastodon")
MISSKEY = Software("misskey")
PLEROMA = Software("pleroma")
GOTOSOCIAL = Software("gotosocial", key_suffix="/main-key", shared_inbox=None, stub_keys=True)


@dataclass
class Person:
    """An actor on a peer; `changes` overlays their document, `status` answers instead of it."""

    peer: "FakePeer"
    user: str
    key: PrivateKey
    changes: Document = field(default_factory=dict)
    status: int = 200

    @property
    def id(self) -> str:
        return self._url(self.peer.software.user_path)

    @property
    def key_id(self) -> str:
        return self.id + self.peer.software.key_suffix

    @property
    def inbox(self) -> str:
        return self._url(self.peer.software.inbox)

    @property
    def handle(self) -> str:
        return f"@{self.user}@{self.peer.netloc}"

    def _url(self, path: str) -> str:
        return self.peer.url + path.format(user=self.user)

    @property
    def public_key(self) -> Document:
        return {"id": self.key_id, "owner": self.id, "publicKeyPem": http_signing.public_pem(self.key)}

    def document(self) -> Document:
        actor: Document = {
            "@context": [AS2, "https://w3id.org/security/v1"],
            "id": self.id,
            "type": "Person",
            "preferredUsername": self.user,
            "name": self.user.title(),
            "inbox": self.inbox,
            "outbox": f"{self.id}/outbox",
            "followers": f"{self.id}/followers",
            "publicKey": self.public_key,
        }
        if self.peer.shared_inbox:
            actor["endpoints"] = {"sharedInbox": self.peer.shared_inbox}
        return actor | self.changes

    # ── what they do: activities as their software writes them ──

    def follow(self, target: str, **changes: Any) -> Document:
        follow = self._activity("Follow", target, f"{self.peer.url}/{self.peer.serial()}")
        if self.peer.software is PLEROMA:
            follow |= {"to": [target], "cc": [], "state": "pending", "bto": [], "bcc": []}
        elif self.peer.software is MISSKEY:
            follow["id"] = f"{self.peer.url}/follows/{self.peer.serial()}/{self.peer.serial()}"
        elif self.peer.software is GOTOSOCIAL:
            follow |= {"to": target, "id": f"{self.id}/follow/01{self.peer.serial():024}"}
        return follow | changes

    def undo(self, activity: Document, *, by_id: bool = False) -> Document:
        undone = activity["id"] if by_id else {k: v for k, v in activity.items() if k != "@context"}
        return self._activity("Undo", undone, f"{activity['id']}/undo")

    def like(self, post: str, **changes: Any) -> Document:
        like = self._activity("Like", post, f"{self.id}#likes/{self.peer.serial()}")
        if self.peer.software is MISSKEY:
            like |= {"id": f"{self.peer.url}/likes/{self.peer.serial()}", "content": "🥐"}
            like["_misskey_reaction"] = "🥐"
        return like | changes

    def boost(self, post: str, **changes: Any) -> Document:
        number = f"{self.id}/statuses/{self.peer.serial()}/activity"
        addressed = {"to": [PUBLIC], "cc": [f"{self.id}/followers"], "published": "2026-03-01T12:00:00Z"}
        return self._activity("Announce", post, number) | addressed | changes

    def note(self, in_reply_to: str | None, text: str, **changes: Any) -> Document:
        note: Document = {
            "id": f"{self.id}/statuses/{self.peer.serial()}",
            "type": "Note",
            "attributedTo": self.id,
            "content": f"<p>{text}</p>",
            "published": "2026-03-01T12:00:00Z",
            "to": [PUBLIC],
            "cc": [f"{self.id}/followers"],
        }
        return note | ({"inReplyTo": in_reply_to} if in_reply_to else {}) | changes

    def create(self, note: Document) -> Document:
        addressed = {name: note[name] for name in ("to", "cc") if name in note}
        return self._activity("Create", note, f"{note['id']}/activity") | addressed

    def update(self, thing: Document) -> Document:
        addressed = {name: thing[name] for name in ("to", "cc") if name in thing}
        return self._activity("Update", thing, f"{thing['id']}#updates/{self.peer.serial()}") | addressed

    def delete(self, thing: Document | str) -> Document:
        named = thing if isinstance(thing, str) else {"id": thing["id"], "type": "Tombstone"}
        target = thing if isinstance(thing, str) else thing["id"]
        return self._activity("Delete", named, f"{target}#delete") | {"to": [PUBLIC]}

    def quote_request(self, post: str, quote: str) -> Document:
        return self._activity("QuoteRequest", post, f"{quote}/quote_request") | {"instrument": quote}

    def feature_request(self, target: str, collection: str) -> Document:
        """Ask to list an actor in a collection, as Mastodon 4.6 does: without naming an actor."""
        number = f"{self.id}/feature_requests/{self.peer.serial()}"
        request = self._activity("FeatureRequest", target, number) | {"instrument": collection}
        return {key: value for key, value in request.items() if key != "actor"}

    def remove(self, thing: str, collection: str) -> Document:
        """Take something off a collection, as Mastodon does: without an id."""
        return {"@context": AS2, "type": "Remove", "actor": self.id, "object": thing, "target": collection}

    def block(self, target: str) -> Document:
        return self._activity("Block", target, f"{self.id}#blocks/{self.peer.serial()}")

    def move(self, target: str) -> Document:
        move = self._activity("Move", self.id, f"{self.id}#moves/{self.peer.serial()}")
        return move | {"target": target}

    def _activity(self, kind: str, target: object, activity_id: str) -> Document:
        return {"@context": AS2, "id": activity_id, "type": kind, "actor": self.id, "object": target}

    # ── saying it to the bridge ──

    def send(
        self,
        activity: Document,
        to: str,
        *,
        scheme: str = CAVAGE,
        key_id: str | None = None,
        key: PrivateKey | None = None,
    ) -> int:
        """Sign an activity, POST it to an inbox of the bridge and return the status."""
        body = json.dumps(activity).encode()
        now = self.peer.now()
        signed = http_signing.sign(scheme, key or self.key, key_id or self.key_id, "POST", to, body, now)
        return self.peer.bridge.post(to, body, signed)


# ── their server ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Arrived:
    """A request to an inbox that was taken, its signature proven."""

    path: str
    activity: Document
    signer: Signer
    body: bytes

    @property
    def type(self) -> str:
        return str(self.activity["type"])


class FakePeer:
    """Another server. Its moods are plain attributes, good until changed:

    `inbox_status` answers every POST, `next_statuses` only the next ones; `retry_after` goes with them;
    `ahead` is how far its clock is ahead of the bridge's, which it then says in a `Date`;
    `delay` (seconds) and `hangs` hold answers back; `speaks` are the signature schemes it understands;
    `secure` demands signed GETs; `suspicious` answers every signature with 401; `document_type` is the
    content type of its documents; `redirects` leads from path to URL; `paths` says how POSTs below a path
    are answered, 0 for never.
    """

    def __init__(
        self, network: Network, name: str, bridge: Bridge, now: Callable[[], datetime], software: Software
    ) -> None:
        self.software = software
        self.bridge = bridge
        self.now = now
        self.people: dict[str, Person] = {}
        self.documents: dict[str, Document] = {}  # path → anything else it serves
        self.received: list[Arrived] = []
        self.refused: list[str] = []  # why requests to its inboxes were refused
        self.knocks: list[str] = []  # path of every POST
        self.gets: list[str] = []  # target of every GET
        self.inbox_status = 202
        self.next_statuses: deque[int] = deque()
        self.retry_after: str | None = None
        self.delay = 0.0
        self.hangs = False
        self.ahead: timedelta | None = None
        self.speaks = {CAVAGE, RFC9421}
        self.secure = False
        self.suspicious = False
        self.document_type = AP_TYPE
        self.redirects: dict[str, str] = {}
        self.paths: dict[str, int] = {}
        self._serial = itertools.count(1)
        self._known_keys: dict[str, str] = {}
        self._host = network.host(name, self._answer)
        self.netloc, self.url = self._host.netloc, self._host.url

    def __repr__(self) -> str:
        return f"<{self.software.name} {self.netloc}>"

    @property
    def shared_inbox(self) -> str | None:
        return self.url + self.software.shared_inbox if self.software.shared_inbox else None

    @property
    def types(self) -> list[str]:
        """The types of what arrived, in order."""
        return [arrived.type for arrived in self.received]

    def person(self, user: str = "alice", key: PrivateKey | None = None, **changes: Any) -> Person:
        """Let someone register."""
        self.people[user] = Person(self, user, key or http_signing.rsa_key(), changes)
        return self.people[user]

    def go_down(self) -> None:
        self._host.go_down()

    def come_back(self) -> None:
        self._host.come_back()

    def serial(self) -> int:
        return next(self._serial)

    # ── answering ──

    async def _answer(self, request: Request) -> Reply | None:
        reply = await self._answer_undated(request)
        if reply is None or self.ahead is None:
            return reply
        dated = {"Date": format_datetime(self.now() + self.ahead, usegmt=True), **reply.headers}
        return Reply(reply.status, reply.body, dated)

    async def _answer_undated(self, request: Request) -> Reply | None:
        (self.knocks if request.method == "POST" else self.gets).append(request.target)
        mood = next((status for path, status in self.paths.items() if request.path.startswith(path)), None)
        if request.method == "POST" and mood:
            return Reply(mood)
        if self.hangs or (request.method == "POST" and mood == 0):
            await asyncio.Event().wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        # In a thread: checking a signature may ask the bridge for its key.
        return await asyncio.to_thread(self._take if request.method == "POST" else self._show, request)

    def _take(self, request: Request) -> Reply:
        status = self.next_statuses.popleft() if self.next_statuses else self.inbox_status
        if status >= 300:
            return Reply(status, headers={"Retry-After": self.retry_after} if self.retry_after else {})
        if not self._has_inbox(request.path):
            return Reply(404)
        try:
            signer = self._verify(request)
        except Refused as why:
            self.refused.append(str(why))
            return Reply(401, json.dumps({"error": str(why)}).encode())
        activity = json.loads(request.body)
        if activity["actor"] != signer.key_id.partition("#")[0]:
            self.refused.append("signed by another")
            return Reply(401)
        self.received.append(Arrived(request.path, activity, signer, request.body))
        return Reply(status)

    def _has_inbox(self, path: str) -> bool:
        inboxes = [urlsplit(person.inbox).path for person in self.people.values() if person.status == 200]
        return path in (self.software.shared_inbox, *inboxes)

    def _verify(self, request: Request) -> Signer:
        scheme = RFC9421 if "signature-input" in request.headers else CAVAGE
        if self.suspicious or scheme not in self.speaks:
            raise Refused(f"{self.netloc} does not like a {scheme} signature")
        url = self.url + request.target
        headers, find = request.headers, self._find_key
        return http_signing.verify(request.method, url, headers, request.body, find_key=find, now=self.now())

    def _find_key(self, key_id: str) -> str:
        if key_id not in self._known_keys:
            owner = key_id.partition("#")[0]
            status, actor = self.bridge.get(owner)
            if status != 200 or actor["id"] != owner:
                raise LookupError(f"{owner} answered {status}")
            key = actor["publicKey"]
            if (key["id"], key["owner"]) != (key_id, owner):
                raise LookupError(f"{owner} lists {key['id']}")
            self._known_keys[key_id] = key["publicKeyPem"]
        return self._known_keys[key_id]

    def _show(self, request: Request) -> Reply:
        if request.path in self.redirects:
            return Reply(302, headers={"Location": self.redirects[request.path]})
        if request.path == "/.well-known/webfinger":
            return self._webfinger(request)
        if self.secure:
            try:
                self._verify(request)
            except Refused as why:
                self.refused.append(str(why))
                return Reply(401)
        return self._document(request.path)

    def _document(self, path: str) -> Reply:
        if path in self.documents:
            return _document(self.documents[path], self.document_type)
        for person in self.people.values():
            if path not in (urlsplit(person.id).path, urlsplit(person.key_id).path):
                continue
            if person.status != 200:
                return Reply(person.status)
            is_stub = self.software.stub_keys and path == urlsplit(person.key_id).path
            shown = _stub(person) if is_stub else person.document()
            return _document(shown, self.document_type)
        return Reply(404)

    def _webfinger(self, request: Request) -> Reply:
        (resource,) = parse_qs(urlsplit(request.target).query).get("resource", [""])
        for person in self.people.values():
            if resource == f"acct:{person.handle.removeprefix('@')}":
                self_link = {"rel": "self", "type": AP_TYPE, "href": person.id}
                return _document({"subject": resource, "links": [self_link]}, "application/jrd+json")
        return Reply(404)


def _document(document: Document, content_type: str) -> Reply:
    return Reply(200, json.dumps(document).encode(), {"Content-Type": content_type})


def _stub(person: Person) -> Document:
    """GoToSocial shows strangers an actor's key and nothing else of them."""
    whole = person.document()
    names = ("@context", "id", "type", "preferredUsername", "publicKey")
    return {name: whole[name] for name in names}
