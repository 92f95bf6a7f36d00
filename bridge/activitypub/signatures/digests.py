"""The headers that tie a body to a signature: `Digest` (RFC 3230) and `Content-Digest` (RFC 9530)."""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hmac import compare_digest

from bridge.activitypub.signatures.message import Claim, SignedRequest, has_content, read_header
from bridge.activitypub.signatures.structured import parse_dictionary
from bridge.errors import SignatureError
from bridge.model import Scheme

_HASHES = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


def digest_header(scheme: Scheme, sha256: bytes) -> tuple[str, str]:
    """Write a body's SHA-256 as the header this scheme signs, name and value."""
    text = b64encode(sha256).decode("ascii")
    if scheme is Scheme.RFC9421:
        return "Content-Digest", f"sha-256=:{text}:"
    return "Digest", f"SHA-256={text}"  # upper case: snac and Threads refuse the other


def check_digest(request: SignedRequest, claim: Claim) -> None:
    """Raise `SignatureError` unless a signed digest is that of the raw body; a bare GET needs none.

    Every digest of a kind we know has to be right, and there has to be one.
    """
    headers = [name for name in ("digest", "content-digest") if name in claim.covered]
    if not headers and has_content(request):
        raise SignatureError("The signature must cover a Digest or Content-Digest header of the body.")
    for name in headers:
        _check_header(name, read_header(request, name), request.body)


def _check_header(name: str, value: str, body: bytes) -> None:
    digests = _content_digests(value) if name == "content-digest" else _digests(value)
    known = [(algorithm, digest) for algorithm, digest in digests if algorithm in _HASHES]
    if not known:
        raise SignatureError(f"The {name.title()} header must contain a SHA-256 digest.")
    for algorithm, digest in known:
        if not compare_digest(_HASHES[algorithm](body).digest(), digest):
            raise SignatureError(f"The {name.title()} header does not match the body that arrived.")


def _digests(value: str) -> Iterator[tuple[str, bytes]]:
    for member in value.split(","):
        algorithm, _, text = member.strip(" \t").partition("=")
        if algorithm.lower() in _HASHES:  # any case, RFC 3230 §4.1.1
            yield algorithm.lower(), _decode(text)


def _content_digests(value: str) -> Iterator[tuple[str, bytes]]:
    for algorithm, (digest, _) in parse_dictionary(value, "Content-Digest").items():
        if not isinstance(digest, bytes):
            raise SignatureError("The Content-Digest header must hold byte sequences (sha-256=:…:).")
        yield algorithm, digest


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise SignatureError("The Digest header is not in base64.") from error
