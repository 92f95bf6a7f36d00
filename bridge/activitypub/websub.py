"""WebSub as a subscriber speaks it: finding the hub, asking it, believing it. Pure; W3C, 2018.

A hub tells us what a feed published the moment it does. It calls an address only the two of us know, and
signs what it sends with a secret only the two of us know.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from bridge.addresses import join, origin, take_apart
from bridge.model import Harvest

LEASE = timedelta(days=10)
"""What we ask for: section 7.2 calls it a good default."""

ASK_AGAIN_AFTER_NO = timedelta(days=1)
SHORTEST_RENEWAL = timedelta(minutes=10)
_RENEW_AT = 0.8  # of a lease
_LONGEST_LEASE = timedelta(days=90)
_MAX_HEADER = 8192  # characters of a Link header
_MAX_CHALLENGE = 4096

FORM = "application/x-www-form-urlencoded"
SUBSCRIBE, UNSUBSCRIBE, DENIED = "subscribe", "unsubscribe", "denied"

_LINK = re.compile(r"""<([^<>]*)>((?:[^,"<]|"[^"]*")*)""")
_PARAMETER = re.compile(r""";\s*([\w*-]{1,40})\s*=\s*(?:"([^"]*)"|([^\s;,"]+))""")
_ALGORITHMS = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Advert:
    """A hub, and the name (`topic`) under which it knows the feed."""

    hub: str
    topic: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a hub asks or tells at our callback before it sends anything."""

    mode: str
    topic: str
    challenge: str
    lease: timedelta
    reason: str


# ── finding the hub ──────────────────────────────────────────────────────────────────────────────


def find_hub(headers: Mapping[str, str], harvest: Harvest, *, url: str) -> Advert | None:
    """Return the hub that a feed found at `url` names: in its Link headers, else in itself.

    A feed that does not name itself is known by the address it was found at.
    """
    links = [(relation, resolve(url, target)) for relation, target in parse_links(headers.get("link", ""))]
    hub = next((target for relation, target in links if relation == "hub" and target), None)
    topic = next((target for relation, target in links if relation == "self" and target), None)
    if hub is None and harvest.hub and resolve(url, harvest.hub):
        hub, topic = harvest.hub, harvest.topic
    return Advert(prefer_https(hub), topic or harvest.topic or url) if hub else None


def resolve(base: str, target: str) -> str | None:
    """Return where `target` leads from `base`; `None` when that is not a web address."""
    joined = join(base, target) if target else None
    return joined if joined and origin(joined) else None


def parse_links(text: str) -> Iterator[tuple[str, str]]:
    """Yield (relation, target) of a Link header (RFC 8288), a link with two relations twice."""
    for match in _LINK.finditer(text[:_MAX_HEADER]):
        parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(match[2])}
        for relation in parameters.get("rel", "").lower().split():
            yield relation, match[1].strip()


def prefer_https(hub: str) -> str:
    """Return a hub's https address: Blogger and FeedBurner still name Google's with http (section 7.2)."""
    parts = take_apart(hub)
    return f"https{hub[4:]}" if parts.scheme == "http" and ":" not in parts.netloc else hub


# ── asking it ────────────────────────────────────────────────────────────────────────────────────


def request_form(mode: str, topic: str, callback: str, secret: str) -> bytes:
    """Write the body of a subscription request.

    `hub.verify` is of PubSubHubbub 0.3: WordPress.com's hubs refuse whoever leaves it out, newer ones pass
    over it (section 5.1).
    """
    fields = {"hub.mode": mode, "hub.topic": topic, "hub.callback": callback, "hub.verify": "async"}
    if mode == SUBSCRIBE:
        fields |= {"hub.lease_seconds": str(int(LEASE.total_seconds())), "hub.secret": secret}
    return urlencode(fields).encode()


def renew_at(lease: timedelta, now: datetime) -> datetime:
    """Return when a lease that begins now is renewed: at four fifths, and never every few seconds.

    One longer than we asked for is renewed as if it were not: WordPress.com grants ten years, and stops at
    the first push that we are too busy to take.
    """
    return now + max(min(lease, LEASE) * _RENEW_AT, SHORTEST_RENEWAL)


# ── believing it ─────────────────────────────────────────────────────────────────────────────────


def parse_question(query: Mapping[str, str]) -> Question:
    """Read the query of a hub's GET; a lease that is missing or no number is the one we asked for."""
    seconds = query.get("hub.lease_seconds", "")
    known = seconds.isascii() and seconds.isdigit() and len(seconds) < 12
    lease = min(timedelta(seconds=int(seconds)), _LONGEST_LEASE) if known else LEASE
    return Question(
        mode=query.get("hub.mode", ""),
        topic=query.get("hub.topic", ""),
        challenge=query.get("hub.challenge", "")[:_MAX_CHALLENGE],
        lease=lease,
        reason=query.get("hub.reason", "")[:200],
    )


def is_signed(header: str, secret: str, body: bytes) -> bool:
    """Say whether an X-Hub-Signature (``sha256=…``) proves that the hub sent these bytes.

    SHA-1 is taken too: most hubs still sign with it, and its weakness does not reach HMAC.
    """
    name, _, signature = header.strip().partition("=")
    algorithm = _ALGORITHMS.get(name.lower())
    if algorithm is None or not signature.isascii():
        return False
    return hmac.compare_digest(hmac.new(secret.encode(), body, algorithm).hexdigest(), signature.lower())
