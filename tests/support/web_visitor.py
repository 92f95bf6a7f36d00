"""Whoever comes to the web process: servers that read, servers that sign, and the café they find."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import http_signing
from http_signing import CAVAGE, PrivateKey, public_pem, rsa_key
from werkzeug.test import Client, TestResponse

from bridge.activitypub import activities
from bridge.activitypub.documents import encode
from bridge.activitypub.ids import mint_activity_id, mint_post_id
from bridge.compose import compose_note
from bridge.model import Entry, Follower, Post, PostState, RemoteActor, RemoteKey
from bridge.services import Services
from bridge.store import followers, identity, inbox, outgoing, posts, remote, sources
from bridge.store.followers import NewFollower
from bridge.store.outgoing import NewActivity
from bridge.store.posts import NewPost
from bridge.web.fastpath import WsgiApp

AS2 = "application/activity+json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CAFE = "https://cafe.example/ap/cafe"
SPLIT = "https://social.cafe.example"  # the bridge on a host of its own
INBOX = f"{CAFE}/inbox"
SHARED_INBOX = "https://cafe.example/ap/inbox"

Document = dict[str, Any]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


class Visitor:
    """Asks a WSGI application as servers and browsers do; nothing is followed, nothing is remembered."""

    def __init__(self, app: WsgiApp) -> None:
        self._client = Client(app, use_cookies=False)

    def get(self, url: str, accept: str = AS2, *, method: str = "GET", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        parts = urlsplit(url)
        return self._client.open(
            parts.path,
            method=method,
            base_url="https://cafe.example",
            query_string=parts.query,
            headers={"Accept": accept, **named},
        )

    def read(self, url: str) -> Document:
        """Return the document at a URL of ours."""
        answer = self.get(url)
        assert answer.status_code == 200, (url, answer.status, answer.get_data(as_text=True)[:300])
        return json.loads(answer.get_data())

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, address: str = "127.0.0.1"
    ) -> TestResponse:
        parts = urlsplit(url)
        return self._client.open(
            parts.path,
            method="POST",
            base_url=f"{parts.scheme}://{parts.netloc}",
            query_string=parts.query,
            data=body,
            headers=dict(headers),
            environ_overrides={"REMOTE_ADDR": address},
        )


# ── signing ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Stranger:
    """Someone with an actor and a key on a server of their own."""

    name: str = "alice"
    host: str = "one.example"
    key: PrivateKey = field(default_factory=rsa_key)

    @property
    def id(self) -> str:
        return f"https://{self.host}/users/{self.name}"

    @property
    def key_id(self) -> str:
        return f"{self.id}#main-key"

    @property
    def actor(self) -> RemoteActor:
        inbox_url = f"{self.id}/inbox"
        return RemoteActor(self.id, "Person", f"@{self.name}@{self.host}", inbox_url, name=self.name)

    def says(self, kind: str, obj: object, **more: object) -> Document:
        """Return an activity of theirs."""
        activity_id = f"{self.id}#{kind}/{abs(hash((kind, str(obj), str(more))))}"
        context = "https://www.w3.org/ns/activitystreams"
        return {"@context": context, "id": activity_id, "type": kind, "actor": self.id, "object": obj, **more}

    def sign(
        self, said: Document | bytes, now: datetime, url: str = INBOX, *, scheme: str = CAVAGE
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of a signed request."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return body, http_signing.sign(scheme, self.key, self.key_id, "POST", url, body, now)

    def is_known(self, services: Services, *, fresh: bool = True) -> None:
        """Let the bridge hold their key, fetched a moment or a day ago."""
        now = services.now() if fresh else services.now() - timedelta(days=1)
        key = RemoteKey(self.key_id, self.id, public_pem(self.key))
        with services.store.write() as tx:
            remote.save_key(tx, key, now=now, fresh_for=timedelta(minutes=10))

    def follows(self, services: Services, site: str = "cafe") -> Follower:
        """Let them be a follower."""
        new = NewFollower(site, self.actor, self.host, followers.ACCEPTED, f"{self.id}#follow")
        with services.store.write() as tx:
            remote.save_actor(tx, self.actor, self.host, now=services.now())
            followers.save(tx, new, now=services.now())
            found = followers.find(tx, site, self.id)
        assert found is not None
        return found


def waiting(services: Services, *, verified: bool | None = None) -> int:
    """Return how many arrivals wait for the worker."""
    with services.store.read() as tx:
        return inbox.waiting(tx, verified=verified)


# ── what the café has published ──────────────────────────────────────────────────────────────────


def publish(
    services: Services,
    title: str = "Buns",
    *,
    state: PostState = PostState.PUBLISHED,
    at: datetime | None = None,
    **entry: Any,
) -> Post:
    """Put a post where a poll would, and return it."""
    now = services.now()
    slug = "".join(c for c in title.lower() if c.isascii() and c.isalnum()) or "post"
    told = {"guid": title, "link": f"https://cafe.example/{slug}/", "title": title, "html": "<p>Fresh.</p>"}
    written = Entry(**told | entry)
    post_id, published_at = mint_post_id("cafe", title), at or now
    note = compose_note(services, "cafe", post_id, written, published_at=published_at)
    post = Post("cafe", post_id, state, written.link, note, title, published_at)
    with services.store.write() as tx:
        source = next(source for source in sources.all_sources(tx) if source.site == "cafe")
        pk = posts.add(tx, NewPost(post, 1, title, (f"guid:{title}",), source.id, {}), now=now)
        if state is not PostState.SCHEDULED:
            outgoing.add_activity(tx, _create(services, post, pk), now=now)
        identity.touch(tx)
    return post


def _create(services: Services, post: Post, pk: int | None) -> NewActivity:
    object_uri = post.note["id"]
    activity_id = mint_activity_id("cafe", "Create", object_uri)
    create = activities.create(services.ids, "cafe", post.note, activity_id=activity_id)
    return NewActivity("cafe", create["id"], "Create", object_uri, encode(create), pk)
