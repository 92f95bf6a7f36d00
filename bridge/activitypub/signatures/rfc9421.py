"""HTTP Message Signatures (RFC 9421), as far as requests between servers of the fediverse use them."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

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
from bridge.activitypub.signatures.structured import parse_dictionary, serialise_member
from bridge.errors import SignatureError
from bridge.model import Scheme

ALGORITHMS: Mapping[str | None, tuple[Algorithm, ...]] = {
    None: (Algorithm.RSA_SHA256, Algorithm.RSA_PSS_SHA512, Algorithm.ED25519),
    **{algorithm.value: (algorithm,) for algorithm in Algorithm},
}
MAX_LABELS = 4

# RFC 9421 §2.2, as the request was addressed to us: a proxy may have changed scheme and authority.
_DERIVED: Mapping[str, Callable[[SignedRequest, Address], str]] = {
    "@method": lambda request, _: request.method,
    "@target-uri": lambda request, address: f"{address.scheme}://{address.authority}{request.target}",
    "@authority": lambda _, address: address.authority,
    "@scheme": lambda _, address: address.scheme,
    "@request-target": lambda request, _: request.target,
    "@path": lambda request, _: request.target.partition("?")[0],
    "@query": lambda request, _: "?" + request.target.partition("?")[2],
}


def sign(key: SigningKey, request: SignedRequest, address: Address, now: datetime) -> dict[str, str]:
    """Sign a request of ours; the two headers to add to it.

    The parameter ``alg`` stays out: the type of the key says it already.
    """
    covered = ["@method", "@target-uri"]
    covered += ["content-digest"] if "content-digest" in request.headers else []
    listed = " ".join(f'"{name}"' for name in covered)
    parameters = f'({listed});created={int(now.timestamp())};keyid="{key.id}"'
    base = _signature_base(request, covered, parameters, address)
    signature = b64encode(sign_bytes(key.private, base)).decode("ascii")
    return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}


def parse(request: SignedRequest) -> Claim:
    """Read the first signature of a request that names its key by a URL.

    Proxies on the way may add signatures of their own, under key ids that mean nothing to us.
    """
    inputs = parse_dictionary(read_signature_header(request, "signature-input"), "Signature-Input")
    signatures = parse_dictionary(read_signature_header(request, "signature"), "Signature")
    if not 1 <= len(inputs) <= MAX_LABELS:
        raise SignatureError(f"The Signature-Input header must have 1 to {MAX_LABELS} labels.")
    first_error: SignatureError | None = None
    for label, member in inputs.items():
        try:
            return _parse_claim(member, signatures.get(label))
        except SignatureError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def require_coverage(claim: Claim) -> None:
    """Raise `SignatureError` unless the signature ties its request to us and to a time."""
    covered = set(claim.covered)
    to_us = bool({"@authority", "host"} & covered)
    to_target = "@request-target" in covered or {"@path", "@query"} <= covered
    if "@method" not in covered or not ("@target-uri" in covered or (to_us and to_target)):
        raise SignatureError(
            "The signature must cover @method and @target-uri (or @authority, @path and @query)."
        )
    if claim.created is None:
        raise SignatureError("The signature must have the parameter created.")


def signed_texts(request: SignedRequest, claim: Claim, addresses: Iterable[Address]) -> Iterator[bytes]:
    """Rebuild what the sender may have signed, the likeliest first."""
    for address in addresses:
        yield _signature_base(request, claim.covered, claim.own_values["@signature-params"], address)


def _signature_base(
    request: SignedRequest, covered: Iterable[str], parameters: str, address: Address
) -> bytes:
    lines = [f'"{name}": {_component(request, name, address)}' for name in covered]
    return to_signed_bytes([*lines, f'"@signature-params": {parameters}'])


def _component(request: SignedRequest, name: str, address: Address) -> str:
    derive = _DERIVED.get(name)
    return derive(request, address) if derive else read_covered_header(request, name, address)


def _parse_claim(member: tuple[Any, dict[str, Any]], signature: Any) -> Claim:
    components, parameters = member
    if not isinstance(components, list):
        raise SignatureError('Signature-Input must list components: sig1=("@method" …);created=….')
    if not (signature and isinstance(signature[0], bytes)):
        raise SignatureError("The Signature header has no byte sequence for a label of Signature-Input.")
    key_id = _parameter(parameters, "keyid", str)
    if key_id is None:
        raise SignatureError("The signature must have the parameter keyid.")
    return Claim(
        scheme=Scheme.RFC9421,
        key_id=require_key_id(key_id),
        algorithm=_parameter(parameters, "alg", str),
        covered=_parse_covered(components),
        signature=signature[0],
        own_values={"@signature-params": serialise_member(member)},
        created=_parse_time(parameters, "created"),
        expires=_parse_time(parameters, "expires"),
    )


def _parse_covered(components: list[tuple[Any, dict[str, Any]]]) -> tuple[str, ...]:
    covered = []
    for name, parameters in components:
        if not isinstance(name, str) or name != name.lower() or name in covered:
            raise SignatureError("Signature-Input must name each component once, as a lower-case string.")
        if parameters or (name.startswith("@") and name not in _DERIVED):
            raise SignatureError(f"The signature covers {name[:80]!r} in a form that is not supported here.")
        covered.append(name)
    return tuple(covered)


def _parameter(parameters: Mapping[str, Any], name: str, kind: type) -> Any:
    value = parameters.get(name)
    if value is not None and type(value) is not kind:  # a bare `;created` is True, and True is an int
        raise SignatureError(f"The signature's parameter {name} has the wrong type.")
    return value


def _parse_time(parameters: Mapping[str, Any], name: str) -> datetime | None:
    seconds = _parameter(parameters, name, int)
    return None if seconds is None else read_timestamp(seconds, name)
