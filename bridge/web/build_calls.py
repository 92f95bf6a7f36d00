"""Whether a call to look at a site now comes from the site's own build. Pure.

Who can compute signs the moment and the body with the site's secret; services that only know how to send a
fixed header send the secret itself. Ghost and Vercel sign in ways of their own.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

from bridge.errors import SignatureError

SIGNATURE = "X-Fedibridge-Signature"
TIMESTAMP = "X-Fedibridge-Timestamp"
WINDOW = timedelta(minutes=5)

_CLOUDFLARE = "cf-webhook-auth"  # Cloudflare's notifications put the webhook's secret there
_GHOST = "x-ghost-signature"  # “sha256=HEX, t=MILLISECONDS”, over the body and the time
_VERCEL = "x-vercel-signature"  # HEX of SHA-1, over the body alone
_LONGEST_TIMESTAMP = 14  # digits

Headers = Mapping[str, str]


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a call: an HMAC over ``TIMESTAMP.BODY``."""
    return "sha256=" + _digest(secret, f"{timestamp}.".encode() + body)


def check(headers: Headers, body: bytes, secret: str, *, now: datetime) -> None:
    """Raise `SignatureError` unless the headers (names in lower case) prove that one has the secret."""
    if SIGNATURE.lower() in headers:
        _check_signature(headers, body, secret, now)
    elif _GHOST in headers:
        _check_ghost(headers[_GHOST], body, secret, now)
    elif _VERCEL in headers:
        _demand(headers[_VERCEL], _digest(secret, body, "sha1"), "x-vercel-signature")
    else:
        _check_secret(headers, secret)


def _check_signature(headers: Headers, body: bytes, secret: str, now: datetime) -> None:
    timestamp = headers.get(TIMESTAMP.lower(), "").strip()
    if not _is_number(timestamp):
        raise SignatureError(f"{TIMESTAMP} must be the Unix time in seconds, as `date +%s` prints it.")
    _check_time(int(timestamp), now, TIMESTAMP)
    if not _same(headers[SIGNATURE.lower()].strip().lower(), sign(secret, timestamp, body)):
        raise SignatureError(f"{SIGNATURE} does not match: sign TIMESTAMP.BODY with the site's hook_secret.")


def _check_ghost(header: str, body: bytes, secret: str, now: datetime) -> None:
    signature, _, timestamp = header.removeprefix("sha256=").partition(", t=")
    if not _is_number(timestamp):
        raise SignatureError("X-Ghost-Signature must be “sha256=SIGNATURE, t=MILLISECONDS”.")
    _check_time(int(timestamp) // 1000, now, "X-Ghost-Signature")
    _demand(signature, _digest(secret, body + timestamp.encode()), "X-Ghost-Signature")


def _check_secret(headers: Headers, secret: str) -> None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get(_CLOUDFLARE, "")
    if not given:
        raise SignatureError(
            f"Prove who you are: {SIGNATURE} and {TIMESTAMP}, or Authorization: Bearer SECRET."
        )
    if not _same(given, secret):
        raise SignatureError("This is not the secret of the site (hook_secret in config.toml).")


def _check_time(seconds: int, now: datetime, name: str) -> None:
    if abs(int(now.timestamp()) - seconds) > WINDOW.total_seconds():
        raise SignatureError(f"{name} is more than five minutes off: sign anew, or set the clock.")


def _demand(given: str, expected: str, name: str) -> None:
    if not _same(given.strip().lower(), expected):
        raise SignatureError(f"{name} does not match: its secret must be the site's hook_secret.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_TIMESTAMP


def _digest(secret: str, signed: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), signed, algorithm).hexdigest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
