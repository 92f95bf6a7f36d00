"""People elsewhere who follow the café: their keys, already known to it, and their signed Follows."""

import http.client
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from benchmarks.sink import Sink
from benchmarks.subject import BASE_URL, SITE, Subject
from bridge.activitypub.keys import SigningKey
from bridge.activitypub.signatures import sign
from bridge.model import RemoteActor, RemoteKey, Scheme
from bridge.store import remote

KEYS = 16
"""RSA pairs that all strangers share: making one takes longer than the whole benchmark of a stranger."""


@dataclass(frozen=True)
class Follow:
    """A Follow as it stands on the wire."""

    activity_id: str
    headers: dict[str, str]
    body: bytes

    def request(self) -> bytes:
        """Write it as an HTTP/1.1 request."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        start = f"POST /ap/{SITE}/inbox HTTP/1.1\r\n{head}Content-Length: {len(self.body)}\r\n\r\n"
        return start.encode() + self.body

    def post(self, connection: http.client.HTTPConnection) -> int:
        """Send it, and return the status."""
        connection.request("POST", f"/ap/{SITE}/inbox", self.body, self.headers)
        response = connection.getresponse()
        response.read()
        return response.status


def make_keys(count: int = KEYS) -> list[RSAPrivateKey]:
    """Make key pairs."""
    return [generate_private_key(public_exponent=65537, key_size=2048) for _ in range(count)]


def introduce(
    subject: Subject, sink: Sink, keys: Sequence[RSAPrivateKey], count: int, *, first: int = 0
) -> list[Follow]:
    """Make strangers whom the café knows by sight, each on a server of their own; return their Follows."""
    now = subject.services.now()
    pems = [_public_pem(key) for key in keys]
    with subject.services.store.write() as tx:
        for number in range(first, first + count):
            actor = _actor(sink, number)
            remote.save_actor(tx, actor, sink.host(number), now=now)
            known = RemoteKey(f"{actor.id}#main-key", actor.id, pems[number % len(pems)])
            remote.save_key(tx, known, now=now, fresh_for=timedelta(minutes=10))
    return list(follows(subject, sink, keys, range(first, first + count)))


def actor_document(sink: Sink, keys: Sequence[RSAPrivateKey], number: int) -> tuple[str, str]:
    """Return (address without its scheme, document) of a stranger, for whoever looks for their key."""
    actor = _actor(sink, number)
    document = {
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
        "id": actor.id,
        "type": actor.type,
        "preferredUsername": "fan",
        "inbox": actor.inbox,
        "endpoints": {"sharedInbox": actor.shared_inbox},
        "publicKey": {
            "id": f"{actor.id}#main-key",
            "owner": actor.id,
            "publicKeyPem": _public_pem(keys[number % len(keys)]),
        },
    }
    return actor.id.partition("://")[2], orjson.dumps(document).decode()


def follows(subject: Subject, sink: Sink, keys: Sequence[RSAPrivateKey], numbers: range) -> Iterator[Follow]:
    """Sign the Follows of these strangers."""
    pems = [_private_pem(key) for key in keys]
    for number in numbers:
        actor = _actor(sink, number).id
        activity_id = f"{actor}/follows/1"
        body = orjson.dumps(
            {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": activity_id,
                "type": "Follow",
                "actor": actor,
                "object": f"{BASE_URL}/ap/{SITE}",
            }
        )
        key = SigningKey.from_pem(f"{actor}#main-key", pems[number % len(pems)])
        inbox, now = f"{BASE_URL}/ap/{SITE}/inbox", subject.services.now()
        kind = "application/activity+json"
        yield Follow(
            activity_id, sign(Scheme.CAVAGE, key, "POST", inbox, body=body, now=now, content_type=kind), body
        )


def _actor(sink: Sink, number: int) -> RemoteActor:
    home = sink.inbox(number).removesuffix("/inbox")
    inbox = f"{home}/users/fan/inbox"
    return RemoteActor(f"{home}/users/fan", "Person", f"@fan@{sink.host(number)}", inbox, f"{home}/inbox")


def _public_pem(key: RSAPrivateKey) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def _private_pem(key: RSAPrivateKey) -> str:
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, bare).decode()
