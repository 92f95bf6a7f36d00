"""Whether a call to look at a site now comes from the site's own build. Pure.

Who can compute signs the moment and the body with the site's secret; services that only know how to send a
fixed header send the secret itself.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bridge.errors import SignatureError

SIGNATURE = "X-Fedibridge-Signature"
TIMESTAMP = "X-Fedibridge-Timestamp"
WINDOW = timedelta(minutes=5)

_CLOUDFLARE = "cf-webhook-auth"  # Cloudflare's notifications put the webhook's secret there
_LONGEST_TIMESTAMP = 12  # digits


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a call: an HMAC over ``TIMESTAMP.BODY``."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def check(headers: Mapping[str, str], body: bytes, secret: str, *, now: datetime) -> None:
    """Raise `SignatureError` unless the headers (names in lower case) prove that one has the secret."""
    if SIGNATURE.lower() in headers:
        _check_signature(headers, body, secret, now)
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else headers.get(_CLOUDFLARE, "")
    if not given:
        raise SignatureError(
            f"Prove who you are: {SIGNATURE} and {TIMESTAMP}, or Authorization: Bearer SECRET."
        )
    if not _same(given, secret):
        raise SignatureError("This is not the secret of the site (hook_secret in config.toml).")


def _check_signature(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    timestamp = headers.get(TIMESTAMP.lower(), "").strip()
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        raise SignatureError(f"{TIMESTAMP} must be the Unix time in seconds, as `date +%s` prints it.")
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > WINDOW:
        raise SignatureError(f"{TIMESTAMP} is more than five minutes off: sign anew, or set the clock.")
    if not _same(headers[SIGNATURE.lower()].strip().lower(), sign(secret, timestamp, body)):
        raise SignatureError(f"{SIGNATURE} does not fit: sign TIMESTAMP.BODY with the site's hook_secret.")


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
