"""The draft signatures most of the fediverse speaks (draft-cavage-http-signatures-12)."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from bridge.activitypub.keys import SigningKey
from bridge.activitypub.signatures.algorithms import Algorithm, sign_bytes
from bridge.activitypub.signatures.message import (
    Address,
    Claim,
    SignedRequest,
    read_covered_header,
    read_signature_header,
    read_timestamp,
    require_key_id,
    to_signed_bytes,
)
from bridge.errors import SignatureError
from bridge.model import Scheme

# hs2019 (GoToSocial, Lemmy) leaves the algorithm to the key; for RSA it means rsa-sha256 in practice.
_BY_KEY_TYPE = (Algorithm.RSA_SHA256, Algorithm.RSA_SHA512, Algorithm.ED25519)
ALGORITHMS: Mapping[str | None, tuple[Algorithm, ...]] = {
    None: _BY_KEY_TYPE,
    "hs2019": _BY_KEY_TYPE,
    "rsa-sha256": (Algorithm.RSA_SHA256,),
    "rsa-sha512": (Algorithm.RSA_SHA512,),
    "ed25519": (Algorithm.ED25519,),
}

_PARAMETER = re.compile(r'[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s",\\]+))[ \t]*')
_UNIX_TIME = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def sign(key: SigningKey, request: SignedRequest, address: Address) -> dict[str, str]:
    """Sign a request of ours; the header to add to it."""
    optional = ("accept",) if request.method == "GET" else ("digest", "content-type")
    covered = ["(request-target)", "host", "date", *(name for name in optional if name in request.headers)]
    signature = sign_bytes(key.private, _signing_string(request, covered, {}, address, request.target))
    algorithm = "rsa-sha256" if isinstance(key.private, RSAPrivateKey) else "hs2019"
    return {
        "Signature": f'keyId="{key.id}",algorithm="{algorithm}",headers="{" ".join(covered)}",'
        f'signature="{b64encode(signature).decode("ascii")}"'
    }


def parse(request: SignedRequest) -> Claim:
    """Read the one draft signature of a request."""
    parameters = _parse_parameters(read_signature_header(request, "signature"))
    if missing := {"keyid", "signature"} - parameters.keys():
        raise SignatureError(f"The Signature header has no {' and no '.join(sorted(missing))} parameter.")
    own_values = {f"({name})": parameters[name] for name in ("created", "expires") if name in parameters}
    return Claim(
        scheme=Scheme.CAVAGE,
        key_id=require_key_id(parameters["keyid"]),
        algorithm=parameters.get("algorithm", "").lower() or None,
        covered=_parse_covered(parameters.get("headers", "date"), own_values),
        signature=_parse_signature(parameters["signature"]),
        own_values=own_values,
        created=_parse_time(own_values, "(created)"),
        expires=_parse_time(own_values, "(expires)"),
    )


def require_coverage(claim: Claim) -> None:
    """Raise `SignatureError` unless the signature ties its request to us and to a time."""
    missing = [name for name in ("(request-target)", "host") if name not in claim.covered]
    if not {"date", "(created)"} & set(claim.covered):
        missing.append("date")
    if missing:
        raise SignatureError(f"The signature must cover {', '.join(missing)} too.")


def signed_texts(request: SignedRequest, claim: Claim, addresses: Iterable[Address]) -> Iterator[bytes]:
    """Rebuild what the sender may have signed, the likeliest first.

    Some senders leave the query out of the request target, as older Mastodon did and as Mastodon still
    accepts. It is the only deviation from the raw target that is tried.
    """
    for address in addresses:
        for target in dict.fromkeys((request.target, request.target.partition("?")[0])):
            yield _signing_string(request, claim.covered, claim.own_values, address, target)


def _signing_string(
    request: SignedRequest,
    covered: Iterable[str],
    own_values: Mapping[str, str],
    address: Address,
    target: str,
) -> bytes:
    given = {"(request-target)": f"{request.method.lower()} {target}", **own_values}
    return to_signed_bytes(
        f"{name}: {given[name] if name in given else read_covered_header(request, name, address)}"
        for name in covered
    )


def _parse_parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(text, position):
        name = match[1].lower()
        if name in parameters:
            raise SignatureError(
                f"The Signature header has {match[1][:80]!r} twice; one signature is accepted."
            )
        parameters[name] = match[2] if match[2] is not None else match[3]
        position = match.end() + 1
        if text[match.end() : position] != ",":
            break
    if position != len(text) + 1:
        raise SignatureError('The Signature header is not a list of name="value" parameters.')
    return parameters


def _parse_covered(text: str, own_values: Mapping[str, str]) -> tuple[str, ...]:
    covered = tuple(text.lower().split(" "))
    if len(set(covered)) != len(covered) or not all(covered):
        raise SignatureError("The signature's headers parameter must name each header once.")
    for name in covered:
        if name.startswith("(") and name not in {"(request-target)", *own_values}:
            raise SignatureError(f"The signature covers {name[:80]!r}, which it does not give.")
    return covered


def _parse_signature(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise SignatureError("The signature is not in base64.") from error


def _parse_time(own_values: Mapping[str, str], name: str) -> datetime | None:
    text = own_values.get(name)
    if text is None:
        return None
    if not _UNIX_TIME.fullmatch(text):
        raise SignatureError(f"The signature's {name} is not a Unix time in seconds.")
    return read_timestamp(int(text.partition(".")[0]), name)
