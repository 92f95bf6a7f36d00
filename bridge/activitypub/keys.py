"""Key material: making and publishing our own keys, and reading other servers' public keys with distrust."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from bridge.errors import BadKey

PublicKey = RSAPublicKey | Ed25519PublicKey
PrivateKey = RSAPrivateKey | Ed25519PrivateKey

RSA_BITS = range(2048, 8192 + 1)
MAX_EXPONENT_BITS = 64  # 65537 has 17; one as long as the modulus would make verifying dear
MAX_PEM_LENGTH = 16 * 1024  # as it comes; what is kept is written by us
MAX_MULTIBASE_LENGTH = 2048  # RSA-8192 needs about 1,400; base58 takes quadratic time

_ED25519_PREFIX = bytes.fromhex("ed01")  # multicodec ed25519-pub, as a varint
_RSA_PREFIX = bytes.fromhex("8524")  # multicodec rsa-pub (0x1205), as a varint
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of ours under the id that other servers fetch its public half by.

    A PEM is parsed once per process, however often it is asked for.
    """

    id: str
    private: PrivateKey

    def __post_init__(self) -> None:
        # The id is written between quotes in a header line.
        if not (self.id.isascii() and self.id.isprintable()) or set(self.id) & set(' "\\'):
            raise BadKey(f"The key id {self.id!r} is not a URL that fits into a header.")

    @classmethod
    def from_pem(cls, id: str, pem: str) -> "SigningKey":  # noqa: A002  the field's own name
        """Read a private key in PEM; raise `BadKey` for anything we could not sign with."""
        try:
            return cls(id, _load_private_key(pem))
        except BadKey as error:
            raise BadKey(f"{id}: {error}") from error


# ── our own ──────────────────────────────────────────────────────────────────────────────────────


def generate_rsa() -> str:
    """Make an RSA-2048 key pair that has proved it works; PKCS #8 PEM of the private half."""
    private = generate_private_key(public_exponent=65537, key_size=2048)
    proof = private.sign(b"fedibridge", PKCS1v15(), SHA256())
    private.public_key().verify(proof, b"fedibridge", PKCS1v15(), SHA256())
    return _private_pem(private)


def generate_ed25519() -> str:
    """Make an Ed25519 key pair that has proved it works; PKCS #8 PEM of the private half."""
    private = Ed25519PrivateKey.generate()
    private.public_key().verify(private.sign(b"fedibridge"), b"fedibridge")
    return _private_pem(private)


def public_pem(private_pem: str) -> str:
    """Derive the `publicKeyPem` of an actor document (SPKI)."""
    return to_spki_pem(_load_private_key(private_pem).public_key())


def multibase(private_pem: str) -> str:
    """Derive the `publicKeyMultibase` (``z6Mk…``) of an Ed25519 key's Multikey (FEP-521a)."""
    private = _load_private_key(private_pem)
    if not isinstance(private, Ed25519PrivateKey):
        raise BadKey("Only an Ed25519 key is published as a Multikey; this is an RSA key.")
    return "z" + _to_base58(_ED25519_PREFIX + private.public_key().public_bytes_raw())


def _private_pem(private: PrivateKey) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


@lru_cache(maxsize=512)
def _load_private_key(pem: str) -> PrivateKey:
    # OpenSSL proves that an RSA key is one, which takes 36 ms; a start asks for each key two or three times.
    with _reading():
        key = serialization.load_pem_private_key(pem.encode("ascii"), password=None)
    if isinstance(key, RSAPrivateKey):
        _refuse_odd_rsa(key.public_key())
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise BadKey("The private key is neither RSA nor Ed25519.")


# ── everyone's ───────────────────────────────────────────────────────────────────────────────────


def load_public_key(text: str) -> PublicKey:
    """Read another server's public key: PEM (SPKI or PKCS #1) or multibase (Ed25519 or RSA).

    Raises `BadKey` for whatever else it is, RSA outside 2048 to 8192 bits included.
    """
    if len(text) > MAX_PEM_LENGTH:
        raise BadKey(f"The public key is {len(text)} characters long; {MAX_PEM_LENGTH} is the limit.")
    if "PRIVATE KEY" in text:
        raise BadKey("This is a private key: publish its public half and replace the pair.")
    text = text.strip()
    key = _from_multibase(text) if text.startswith("z") else _from_pem(text)
    if isinstance(key, RSAPublicKey):
        _refuse_odd_rsa(key)
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise BadKey("The public key is neither RSA nor Ed25519.")


def to_spki_pem(key: PublicKey) -> str:
    """Write a public key the one way we store and publish it."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def _from_pem(text: str) -> object:
    if not text.startswith("-----BEGIN "):
        raise BadKey("The public key is neither PEM (-----BEGIN PUBLIC KEY-----) nor multibase (z…).")
    with _reading():
        return serialization.load_pem_public_key(text.encode("ascii"))


def _from_multibase(text: str) -> object:
    if len(text) > MAX_MULTIBASE_LENGTH:
        raise BadKey(f"The multibase key is longer than {MAX_MULTIBASE_LENGTH} characters.")
    with _reading():
        data = _from_base58(text[1:])
        prefix, raw = data[:2], data[2:]
        if prefix == _ED25519_PREFIX:
            return Ed25519PublicKey.from_public_bytes(raw)
        if prefix == _RSA_PREFIX:
            return serialization.load_der_public_key(raw)
    raise BadKey(f"The multibase key has the type {prefix.hex()}; ed01 (Ed25519) and 8524 (RSA) are known.")


def _refuse_odd_rsa(key: RSAPublicKey) -> None:
    if key.key_size not in RSA_BITS:
        raise BadKey(
            f"The RSA key has {key.key_size} bits; {RSA_BITS.start} to {RSA_BITS.stop - 1} are accepted."
        )
    # An exponent below 3 or even did not get past the library's own reading of the key.
    if key.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        raise BadKey("The RSA key's public exponent is too large; 65537 is the usual one.")


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("The key is not of the kind it claims to be.") from error


# ── base58btc ────────────────────────────────────────────────────────────────────────────────────


def _to_base58(data: bytes) -> str:
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + text


def _from_base58(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
