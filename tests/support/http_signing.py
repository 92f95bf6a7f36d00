"""HTTP signatures as another server would write and check them: nothing here knows the bridge's own code."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

CAVAGE, RFC9421 = "cavage", "rfc9421"

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
FindKey = Callable[[str], str]
"""key id → PEM of the public key, or LookupError."""

WINDOW = timedelta(minutes=5)


class Refused(Exception):
    """Why a request is not taken as signed."""


@dataclass(frozen=True)
class Signer:
    """Whose request it is, proven."""

    key_id: str
    scheme: str


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Return one of a few RSA keys: making one takes longer than most tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ed25519_key(number: int = 0) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


# ── signing ──────────────────────────────────────────────────────────────────────────────────────


def sign(
    scheme: str, key: PrivateKey, key_id: str, method: str, url: str, body: bytes, now: datetime
) -> dict[str, str]:
    """Return all the headers of a signed request."""
    make = sign_cavage if scheme == CAVAGE else sign_rfc9421
    return make(key, key_id, method, url, body, now)


def sign_cavage(
    key: PrivateKey, key_id: str, method: str, url: str, body: bytes, now: datetime
) -> dict[str, str]:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc, "date": format_datetime(now.astimezone(UTC), usegmt=True)}
    if method == "POST":
        headers["digest"] = "SHA-256=" + _sha256(body)
        headers["content-type"] = "application/activity+json"
    lines = [f"(request-target): {method.lower()} {target}", *(f"{n}: {v}" for n, v in headers.items())]
    algorithm = "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "hs2019"
    signature = _made(key, "\n".join(lines).encode())
    return {name.title(): value for name, value in headers.items()} | {
        "Signature": f'keyId="{key_id}",algorithm="{algorithm}",'
        f'headers="(request-target) {" ".join(headers)}",signature="{signature}"'
    }


def sign_rfc9421(
    key: PrivateKey, key_id: str, method: str, url: str, body: bytes, now: datetime
) -> dict[str, str]:
    digest = f"sha-256=:{_sha256(body)}:"
    given = {"@method": method, "@target-uri": url, "content-digest": digest}
    parameters = " ".join(f'"{name}"' for name in given)
    parameters = f'({parameters});created={int(now.timestamp())};keyid="{key_id}"'
    signature = _made(key, _base(given, parameters))
    return {
        "Host": urlsplit(url).netloc,
        "Date": format_datetime(now.astimezone(UTC), usegmt=True),
        "Content-Type": "application/activity+json",
        "Content-Digest": digest,
        "Signature-Input": f"sig1={parameters}",
        "Signature": f"sig1=:{signature}:",
    }


def _made(key: PrivateKey, text: bytes) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
    return base64.b64encode(key.sign(text)).decode()


# ── checking ─────────────────────────────────────────────────────────────────────────────────────


def verify(
    method: str, url: str, headers: dict[str, str], body: bytes, *, find_key: FindKey, now: datetime
) -> Signer:
    """Say who signed a request to `url`, or raise `Refused`; header names are lower case."""
    if "signature" not in headers:
        raise Refused("not signed")
    is_new = "signature-input" in headers
    check = _check_rfc9421 if is_new else _check_cavage
    key_id, signature, text = check(method, url, headers, body, now)
    try:
        pem = find_key(key_id)
    except LookupError as error:
        raise Refused(f"no key {key_id}: {error}") from error
    _check_signature(pem, signature, text)
    return Signer(key_id, RFC9421 if is_new else CAVAGE)


def _check_cavage(
    method: str, url: str, headers: dict[str, str], body: bytes, now: datetime
) -> tuple[str, bytes, bytes]:
    claim = dict(re.findall(r'(\w+)="([^"]*)"', headers["signature"]))
    parts = urlsplit(url)
    covered = claim["headers"].split(" ")
    needed = {"(request-target)", "host", "date"} | ({"digest"} if method == "POST" else set())
    _demand(needed <= set(covered), f"only {covered} is signed")
    _demand(claim["algorithm"] == "rsa-sha256", f"algorithm {claim['algorithm']}")
    _demand(headers["host"] == parts.netloc, f"host {headers['host']}, not {parts.netloc}")
    _demand(abs(parsedate_to_datetime(headers["date"]) - now) < WINDOW, f"dated {headers['date']}, not {now}")
    if method == "POST":
        _demand(headers["digest"] == "SHA-256=" + _sha256(body), "wrong digest")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    given = {**headers, "(request-target)": f"{method.lower()} {target}"}
    text = "\n".join(f"{name}: {given[name]}" for name in covered)
    return claim["keyId"], base64.b64decode(claim["signature"]), text.encode()


def _check_rfc9421(
    method: str, url: str, headers: dict[str, str], body: bytes, now: datetime
) -> tuple[str, bytes, bytes]:
    label, _, parameters = headers["signature-input"].partition("=")
    covered = re.findall(r'"([^"]+)"', parameters.partition(")")[0])
    needed = {"@method", "@target-uri"} | ({"content-digest"} if method == "POST" else set())
    _demand(needed <= set(covered), f"only {covered} is signed")
    created, key_id = re.search(r";created=(\d+)", parameters), re.search(r';keyid="([^"]+)"', parameters)
    _demand(created is not None and key_id is not None, "no created or keyid")
    assert created and key_id
    _demand(abs(datetime.fromtimestamp(int(created[1]), UTC) - now) < WINDOW, "made at another time")
    if method == "POST":
        _demand(headers["content-digest"] == f"sha-256=:{_sha256(body)}:", "wrong digest")
    derived = {"@method": method, "@target-uri": url, "@authority": urlsplit(url).netloc}
    given = {name: derived.get(name, headers.get(name, "")) for name in covered}
    signature = headers["signature"].removeprefix(f"{label}=:").removesuffix(":")
    return key_id[1], base64.b64decode(signature), _base(given, parameters)


def _base(given: dict[str, str], parameters: str) -> bytes:
    lines = [f'"{name}": {value}' for name, value in given.items()]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def _check_signature(pem: str, signature: bytes, text: bytes) -> None:
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise Refused("the signature is wrong") from None


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Refused(otherwise)


def _sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()
