"""Signing our requests and judging other servers' signatures, in both dialects of HTTP signatures.

An incoming request goes through three steps: `parse` says who claims to have signed it, `check` says
whether that would be good enough if it were true, and `verify` says whether it is true. Only `verify`
needs the key and only `check` needs the time, so that `verify` may happen long after the arrival.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Protocol

from bridge.activitypub.keys import PublicKey, SigningKey
from bridge.activitypub.signatures import cavage, rfc9421
from bridge.activitypub.signatures.algorithms import Algorithm, fitting, is_signed
from bridge.activitypub.signatures.digests import check_digest, digest_header
from bridge.activitypub.signatures.message import (
    Address,
    Claim,
    SignedRequest,
    public_addresses,
    read_header,
    split_url,
)
from bridge.errors import SignatureError
from bridge.model import Scheme
from bridge.moments import read_rfc822

__all__ = ["Claim", "SignedRequest", "check", "parse", "sign", "signed_at", "verify"]

MAX_AGE = timedelta(hours=1)
CLOCK_SKEW = timedelta(minutes=5)


class _Dialect(Protocol):
    """What the modules `cavage` and `rfc9421` have in common."""

    ALGORITHMS: Mapping[str | None, tuple[Algorithm, ...]]

    def require_coverage(self, claim: Claim) -> None: ...

    def signed_texts(
        self, request: SignedRequest, claim: Claim, addresses: Iterable[Address]
    ) -> Iterator[bytes]: ...


_DIALECTS: Mapping[Scheme, _Dialect] = {Scheme.CAVAGE: cavage, Scheme.RFC9421: rfc9421}


def sign(
    scheme: Scheme,
    key: SigningKey,
    method: str,
    url: str,
    *,
    body: bytes | None,
    now: datetime,
    content_type: str | None = None,
    accept: str | None = None,
    digest: bytes | None = None,
) -> dict[str, str]:
    """Sign a request; return all the headers it has to be sent with, unchanged.

    The URL has to be sent as it stands too: a client that re-quotes it breaks the signature. `body` is
    `None` for a GET; `digest` is its SHA-256, for callers who send one body to many servers. Raises
    `BadUrl`.
    """
    address, target = split_url(url)
    headers = {"Host": address.host, "Date": format_datetime(now.astimezone(UTC), usegmt=True)}
    if accept is not None:
        headers["Accept"] = accept
    if content_type is not None:
        headers["Content-Type"] = content_type
    if body is not None:
        name, value = digest_header(scheme, digest or hashlib.sha256(body).digest())
        headers[name] = value
    request = SignedRequest(method, target, {name.lower(): value for name, value in headers.items()})
    if scheme is Scheme.RFC9421:
        return headers | rfc9421.sign(key, request, address, now)
    return headers | cavage.sign(key, request, address)


def parse(request: SignedRequest) -> Claim:
    """Read a request's signature; raise `SignatureError` when there is none that can be understood."""
    return rfc9421.parse(request) if "signature-input" in request.headers else cavage.parse(request)


def check(request: SignedRequest, claim: Claim, *, base_urls: Sequence[str], now: datetime) -> None:
    """Raise `SignatureError` if the signature would not be good enough even with the right key.

    Good enough: it covers what ties the request to us, it was made within the last hour, and the body
    is the one it covers. `base_urls` are our public ones; a key id may be ``http`` only where one of
    them is. Whether the request was signed for one of them is for `verify` to say: a proxy may have
    replaced the Host.
    """
    if claim.key_id.startswith("http:") and not any(url.startswith("http:") for url in base_urls):
        raise SignatureError("The keyId must be an https URL.")
    if claim.algorithm not in _DIALECTS[claim.scheme].ALGORITHMS:
        raise SignatureError("The signature's algorithm is not accepted here; RSA with SHA-256 is.")
    _DIALECTS[claim.scheme].require_coverage(claim)
    _require_headers(request, claim)
    _require_fresh(request, claim, now)
    check_digest(request, claim)


def verify(request: SignedRequest, claim: Claim, key: PublicKey, *, base_urls: Sequence[str]) -> None:
    """Raise `SignatureError` unless this key signed this request to one of our public base URLs.

    Call `check` when the request arrives: without it this proves nothing about time or body.
    """
    dialect = _DIALECTS[claim.scheme]
    algorithms = fitting(dialect.ALGORITHMS.get(claim.algorithm, ()), key)
    if not algorithms:
        raise SignatureError(f"The key of {claim.key_id} is of another type than the signature's algorithm.")
    addresses = public_addresses(request, base_urls)
    for text in dict.fromkeys(dialect.signed_texts(request, claim, addresses)):
        if any(is_signed(key, algorithm, claim.signature, text) for algorithm in algorithms):
            return
    raise SignatureError(
        f"The signature was not made by the key of {claim.key_id} for this request to "
        f"{' or '.join(address.authority for address in addresses)}."
    )


def signed_at(request: SignedRequest, claim: Claim) -> datetime | None:
    """Return when a request says that it was signed: `check` has seen that this is about when it came."""
    return max(_claimed_times(request, claim), default=None)


def _require_headers(request: SignedRequest, claim: Claim) -> None:
    for name in claim.covered:
        if not name.startswith(("(", "@")):
            read_header(request, name)


def _require_fresh(request: SignedRequest, claim: Claim, now: datetime) -> None:
    for made_at in _claimed_times(request, claim):
        if made_at < now - MAX_AGE:
            raise SignatureError("The signature is more than an hour old: sign again, and check the clock.")
        if made_at > now + CLOCK_SKEW:
            raise SignatureError("The signature is dated in the future: check the clock of your server.")
    if claim.expires is not None and claim.expires < now - CLOCK_SKEW:
        raise SignatureError("The signature has expired: sign again, and check the clock of your server.")


def _claimed_times(request: SignedRequest, claim: Claim) -> Iterator[datetime]:
    if claim.created is not None:
        yield claim.created
    # RFC 9421 has `created` for this; its Date is the message's (RFC 9421 §B.2.3), made whenever that was.
    if claim.scheme is Scheme.CAVAGE and "date" in claim.covered:
        yield _parse_http_date(read_header(request, "date"))


def _parse_http_date(text: str) -> datetime:
    moment = read_rfc822(text)
    if moment is None:
        raise SignatureError("The Date header is not an HTTP date (Sun, 04 Jan 2026 10:00:00 GMT).")
    return moment
