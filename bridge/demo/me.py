"""Who the follower is: its addresses, the documents it shows of itself, and the activities it sends."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.activitypub.documents import timestamp
from bridge.activitypub.keys import SigningKey, public_pem
from bridge.activitypub.values import Document
from bridge.markup.html import paragraphs
from bridge.model import PUBLIC

AS2 = "https://www.w3.org/ns/activitystreams"
SECURITY = "https://w3id.org/security/v1"
USER = "you"


class Me:
    """The one actor of the demo follower's server at `base_url`."""

    def __init__(self, base_url: str, private_pem: str) -> None:
        self.base_url = base_url
        self.host = base_url.partition("://")[2]
        self.handle = f"@{USER}@{self.host}"
        self.id = f"{base_url}/{USER}"
        self.inbox = f"{self.id}/inbox"
        self.outbox = f"{self.id}/outbox"
        self.key = SigningKey.from_pem(f"{self.id}#main-key", private_pem)
        self._public_pem = public_pem(private_pem)

    def actor(self) -> Document:
        """Describe ourselves."""
        return {
            "@context": [AS2, SECURITY],
            "id": self.id,
            "type": "Person",
            "preferredUsername": USER,
            "name": "You",
            "inbox": self.inbox,
            "outbox": self.outbox,
            "publicKey": {"id": self.key.id, "owner": self.id, "publicKeyPem": self._public_pem},
        }

    def empty_outbox(self) -> Document:
        """Show nothing of what we did: nobody asks."""
        return {"@context": AS2, "id": self.outbox, "type": "OrderedCollection", "totalItems": 0}

    def webfinger(self) -> Document:
        """Answer who we are."""
        link = {"rel": "self", "type": "application/activity+json", "href": self.id}
        return {"subject": f"acct:{USER}@{self.host}", "links": [link]}

    def activity(self, kind: str, serial: str, obj: object, *, to: str) -> Document:
        """Do something to an object, and say so to one actor only."""
        return {
            "@context": AS2,
            "id": f"{self.id}/activities/{serial}",
            "type": kind,
            "actor": self.id,
            "object": obj,
            "to": [to],
        }

    def reply(self, serial: str, text: str, *, to: str, author: str, at: datetime) -> Document:
        """Write a public note in answer to the post `to`."""
        return {
            "id": f"{self.id}/notes/{serial}",
            "type": "Note",
            "attributedTo": self.id,
            "inReplyTo": to,
            "content": paragraphs(text),
            "published": timestamp(at),
            "to": [PUBLIC],
            "cc": [author],
            "tag": [{"type": "Mention", "href": author}],
        }

    def create(self, serial: str, note: Mapping[str, Any]) -> Document:
        """Publish a note, to whom the note itself is addressed."""
        made = self.activity("Create", serial, dict(note), to=PUBLIC)
        return made | {"cc": note["cc"], "published": note["published"]}
