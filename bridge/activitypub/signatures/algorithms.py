"""Which signature algorithms exist for us, which of them a key can do, and doing them."""

from collections.abc import Iterable
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm

from bridge.activitypub.keys import PrivateKey, PublicKey


class Algorithm(StrEnum):
    """The algorithms we verify; no HMAC, no SHA-1."""

    RSA_SHA256 = "rsa-v1_5-sha256"
    RSA_SHA512 = "rsa-v1_5-sha512"
    RSA_PSS_SHA512 = "rsa-pss-sha512"
    ED25519 = "ed25519"


_RSA: dict[Algorithm, tuple[AsymmetricPadding, HashAlgorithm]] = {
    Algorithm.RSA_SHA256: (PKCS1v15(), SHA256()),
    Algorithm.RSA_SHA512: (PKCS1v15(), SHA512()),
    Algorithm.RSA_PSS_SHA512: (PSS(MGF1(SHA512()), salt_length=64), SHA512()),  # RFC 9421 §3.3.1
}


def sign_bytes(private: PrivateKey, message: bytes) -> bytes:
    """Sign with the one algorithm everybody understands for this type of key."""
    if isinstance(private, RSAPrivateKey):
        return private.sign(message, *_RSA[Algorithm.RSA_SHA256])
    return private.sign(message)


def fitting(algorithms: Iterable[Algorithm], key: PublicKey) -> list[Algorithm]:
    """Keep the algorithms that this type of key can do: the key decides, whatever a header says."""
    is_rsa = isinstance(key, RSAPublicKey)
    return [algorithm for algorithm in algorithms if (algorithm in _RSA) == is_rsa]


def is_signed(key: PublicKey, algorithm: Algorithm, signature: bytes, message: bytes) -> bool:
    """Say whether this key made this signature of this message with this (fitting) algorithm."""
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, message, *_RSA[algorithm])
        else:
            key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
