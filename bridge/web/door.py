"""The questions of an inbox that cost nothing: asked before a body is read and before a thread is taken."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from bridge.addresses import host_of, is_public
from bridge.config import Config
from bridge.errors import BadUrl
from bridge.web.limits import Address, Parties, RateLimit, address_behind

RATE_SECONDS = 300  # over which an address may make so many requests
MAX_BODY = 1024 * 1024  # bytes: Mastodon's limit too
WAS_ASKED = "bridge.door_was_asked"
"""Stands in an environ whose request came in by the gate: it was counted there."""

_ACCEPTED_TYPES = ("application/activity+json", "application/ld+json", "application/json")
_KEY_ID = re.compile(r'keyid="([^"]{1,2048})"', re.IGNORECASE)

Header = Callable[[str], str | None]
"""A header's name, in lower case → what it says."""


@dataclass(frozen=True, slots=True)
class No:
    """Why a request is not let in."""

    status: int
    message: str
    retry_after: int | None = None


class Door:
    """Asks whoever posts to an inbox, for one process."""

    def __init__(self, config: Config, *, posts_per_5_minutes: int) -> None:
        self._trusted = config.server.trusted_proxies
        self._limit = RateLimit(posts_per_5_minutes, seconds=RATE_SECONDS)
        self._parties = Parties()

    def address(self, peer: str, header: Header) -> Address | None:
        """Return who sends, as far as trusted proxies say."""
        return address_behind(peer, header("x-forwarded-for") or "", self._trusted)

    def party(self, address: Address | None, header: Header) -> str:
        """Name whoever shares the threads, by what a request says of itself."""
        found = _KEY_ID.search(header("signature-input") or header("signature") or "")
        try:
            return self.party_of(address, found[1] if found else "")
        except BadUrl:
            return self._parties.name(address, "")

    def party_of(self, address: Address | None, key_id: str) -> str:
        """Name whoever shares what strangers may take; raises BadUrl when the key's id is none."""
        return self._parties.name(address, host_of(key_id))

    def refusal(self, address: Address | None, header: Header) -> No | None:
        """Count a request to an inbox, and say why it is refused unseen; `None`: it is let in."""
        announced = header("content-length") or "0"
        if announced.isdecimal() and (len(announced) > 10 or int(announced) > MAX_BODY):
            return No(413, f"An activity may have {MAX_BODY} bytes at most.")
        content_type = (header("content-type") or "").partition(";")[0].strip().lower()
        if content_type and content_type not in _ACCEPTED_TYPES:
            return No(415, f"Send application/activity+json, not {content_type[:80]}.")
        # A private address is a proxy's, behind which everyone is: one limit for all would shut us off.
        if address is not None and is_public(address) and not self._limit.allows(address):
            return No(429, "Too many requests from your address; please slow down.", 60)
        if header("signature") is None:
            return No(401, "The request is not signed (HTTP Signatures, draft-cavage-12 or RFC 9421).")
        return None
