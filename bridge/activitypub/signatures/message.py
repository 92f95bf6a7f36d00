"""What is signed and by what claim: the request, the signature's own statement, and our public addresses."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.addresses import Parts, take_apart
from bridge.errors import BadUrl, SignatureError
from bridge.model import MAX_ID_BYTES, Scheme
from bridge.moments import from_unix

MAX_HEADER_LENGTH = 8 * 1024

# Printable ASCII without what no URL contains unescaped: a key id is fetched exactly as it is written.
_URL_CHARACTERS = re.compile(r"""[^\x00-\x20\x7f-\U0010ffff"<>\\^`{|}]+""")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came off the wire.

    `target` is the raw request target (``/ap/inbox?x=%2f``), never decoded or normalised. Header names
    are lower case, repeated headers joined with ``", "``, values decoded as Latin-1 (what WSGI does).
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says of itself; none of it is true before `verify`.

    `covered` are the signed components in order. `own_values` holds the text of those that the
    signature brings along itself: ``(created)`` and ``(expires)``, or ``@signature-params``.
    """

    scheme: Scheme
    key_id: str
    algorithm: str | None
    covered: tuple[str, ...]
    signature: bytes
    own_values: Mapping[str, str]
    created: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """One way to address a server: `authority` as in a URL, `host` as in the Host header."""

    scheme: str
    authority: str
    host: str


def read_header(request: SignedRequest, name: str) -> str:
    """Read a header a signature depends on; raise `SignatureError` when it is not there."""
    value = request.headers.get(name)
    if value is None:
        raise SignatureError(f"The signature covers the header {name[:80]!r}, which did not arrive with it.")
    return value.strip(" \t")


def read_covered_header(request: SignedRequest, name: str, address: Address) -> str:
    """Read a covered header as its signer saw it, which for `host` is the address it was sent to."""
    value = read_header(request, name)
    return address.host if name == "host" else value


def to_signed_bytes(lines: Iterable[str]) -> bytes:
    """Join the lines of a signing string; raise `SignatureError` if one could pass for two."""
    lines = list(lines)
    if any("\n" in line or "\r" in line for line in lines):
        raise SignatureError("A signed header contains a line break.")
    try:
        return "\n".join(lines).encode("latin-1")
    except UnicodeEncodeError as error:
        raise SignatureError("A signed header contains characters that HTTP cannot carry.") from error


def has_content(request: SignedRequest) -> bool:
    """Say whether a digest has to be signed: always, except for a bare GET or HEAD."""
    return bool(request.body) or request.method not in {"GET", "HEAD"}


def read_signature_header(request: SignedRequest, name: str) -> str:
    """Read a header that carries a signature, within 8 KB."""
    if not request.headers.get(name, "").strip(" \t"):
        raise SignatureError(f"This request has no {name.title()} header: sign it with the actor's key.")
    value = read_header(request, name)
    if len(value) > MAX_HEADER_LENGTH:
        raise SignatureError(f"The {name.title()} header is longer than {MAX_HEADER_LENGTH} characters.")
    return value


def require_key_id(text: str) -> str:
    """Return a key id that can be fetched as a URL; raise `SignatureError` for any other."""
    if len(text.encode(errors="replace")) > MAX_ID_BYTES or _split_http_url(text) is None:
        raise SignatureError("The keyId must be the https URL of a public key, without user information.")
    return text


def read_timestamp(seconds: int, name: str) -> datetime:
    """Turn the Unix time of a signature parameter into a datetime."""
    moment = from_unix(seconds)
    if moment is None:
        raise SignatureError(f"The signature's {name} is not a Unix time in seconds.")
    return moment


def public_addresses(request: SignedRequest, base_urls: Sequence[str]) -> list[Address]:
    """List the addresses a request to us may have been signed for, the likeliest first.

    A proxy may have replaced the Host that was signed (Netlify's rewrites, Apache without
    ProxyPreserveHost), so each public address of ours counts; nobody else's ever does. Paths of base
    URLs do not matter: the target is the one that arrived.
    """
    received = request.headers.get("host", "").strip(" \t")
    addresses = [_split_base_url(url, received) for url in base_urls]
    return sorted(addresses, key=lambda address: address.host != received)


def split_url(url: str) -> tuple[Address, str]:
    """Split the URL of an outgoing request into its address and its request target, both untouched."""
    parts = _split_http_url(url)
    if parts is None:
        raise BadUrl(f"{url!r} is not an http(s) URL to send a request to.")
    authority = _authority(parts.netloc, parts.scheme)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return Address(parts.scheme, authority, authority), target


def _split_http_url(url: str) -> Parts | None:
    parts = take_apart(url) if _URL_CHARACTERS.fullmatch(url) else Parts()
    usable = parts.scheme in _DEFAULT_PORTS and parts.host and parts.port != 0
    return parts if usable and "@" not in parts.netloc else None


def _split_base_url(base_url: str, received_host: str) -> Address:
    parts = take_apart(base_url)
    authority = _authority(parts.netloc, parts.scheme)
    is_received = _authority(received_host, parts.scheme) == authority
    # Draft signatures cover the Host header as written: ``Ap.Example``, ``ap.example:443``.
    return Address(parts.scheme, authority, received_host if is_received else authority)


def _authority(netloc: str, scheme: str) -> str:
    return netloc.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))
