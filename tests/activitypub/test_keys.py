"""Our own keys are publishable in every form others read; theirs are read in every form or refused."""

import base64
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.activitypub import keys
from bridge.activitypub.keys import SigningKey, load_public_key
from bridge.errors import BadKey

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PKCS1 = serialization.PublicFormat.PKCS1
KEY_ID = "https://cafe.example/ap/cafe#main-key"


@pytest.fixture(scope="module")
def rsa_pem():
    return keys.generate_rsa()


@pytest.fixture(scope="module")
def ed25519_pem():
    return keys.generate_ed25519()


def public_rsa(pem: str) -> rsa.RSAPublicKey:
    return SigningKey.from_pem(KEY_ID, pem).private.public_key()


# ── ours ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_rsa_key_has_2048_bits_and_the_usual_exponent(rsa_pem):
    key = load_public_key(keys.public_pem(rsa_pem))
    assert (key.key_size, key.public_numbers().e) == (2048, 65537)


def test_a_private_key_is_parsed_once_for_all_who_ask(rsa_pem):
    parsed = [SigningKey.from_pem(name, rsa_pem).private for name in (KEY_ID, f"{KEY_ID}-again")]
    assert parsed[0] is parsed[1]


def test_two_new_keys_differ():
    assert keys.generate_ed25519() != keys.generate_ed25519()


def test_an_ed25519_key_is_published_as_a_multikey(ed25519_pem):
    text = keys.multibase(ed25519_pem)
    assert text.startswith("z6Mk")
    assert keys.to_spki_pem(load_public_key(text)) == keys.public_pem(ed25519_pem)


def test_a_known_ed25519_key_has_its_known_multibase():
    """The published example pair of the W3C's Data Integrity EdDSA Cryptosuites, used by FEP-8b32 too."""
    seed = keys._from_base58("3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq")[2:]
    pem = Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert keys.multibase(pem.decode()) == "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"


def test_an_rsa_key_is_not_published_as_a_multikey(rsa_pem):
    with pytest.raises(BadKey, match="Ed25519"):
        keys.multibase(rsa_pem)


@pytest.mark.parametrize(
    "pem", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "ä"]
)
def test_a_private_key_that_cannot_be_read_is_refused_by_its_id(pem):
    with pytest.raises(BadKey, match=KEY_ID):
        SigningKey.from_pem(KEY_ID, pem)


def test_a_private_key_behind_a_password_is_refused():
    locked = Ed25519PrivateKey.generate().private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    with pytest.raises(BadKey):
        SigningKey.from_pem(KEY_ID, locked.decode())


def test_a_private_key_of_another_type_is_refused():
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(BadKey, match="neither RSA nor Ed25519"):
        SigningKey.from_pem(KEY_ID, pem.decode())


@pytest.mark.parametrize(
    "key_id", ['https://cafe.example/"', "https://cafe.example/\n", "https://käse.example/"]
)
def test_a_key_id_that_would_break_out_of_its_header_is_refused(key_id, ed25519_pem):
    with pytest.raises(BadKey):
        SigningKey.from_pem(key_id, ed25519_pem)


def test_a_signing_key_does_not_show_its_secret(ed25519_pem):
    assert ed25519_pem.splitlines()[1] not in repr(SigningKey.from_pem(KEY_ID, ed25519_pem))


# ── theirs ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", [SPKI, PKCS1])
@pytest.mark.parametrize(
    "mangle", [str, lambda pem: pem.replace("\n", "\r\n"), lambda pem: f"\n  {pem.strip()}"]
)
def test_a_pem_is_read_in_both_forms_and_with_any_line_ends(rsa_pem, form, mangle):
    key = public_rsa(rsa_pem)
    assert load_public_key(mangle(key.public_bytes(PEM, form).decode())) == key


def test_an_rsa_multikey_is_read(rsa_pem):
    key = public_rsa(rsa_pem)
    multikey = "z" + keys._to_base58(bytes.fromhex("8524") + key.public_bytes(DER, PKCS1))
    assert load_public_key(multikey) == key


def test_every_key_is_stored_as_spki(rsa_pem):
    pkcs1 = public_rsa(rsa_pem).public_bytes(PEM, PKCS1).decode()
    assert keys.to_spki_pem(load_public_key(pkcs1)) == keys.public_pem(rsa_pem)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_private_key_offered_as_a_public_one_is_refused(kind, rsa_pem, ed25519_pem):
    pem = {"rsa": rsa_pem, "ed25519": ed25519_pem}[kind]
    with pytest.raises(BadKey, match="private key"):
        load_public_key(keys.public_pem(pem) + pem)


def test_rsa_of_1024_bits_is_refused_with_the_limits():
    key = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(BadKey, match="1024 bits; 2048 to 8192"):
        load_public_key(key.public_bytes(PEM, SPKI).decode())


@pytest.mark.parametrize("bits", [512, 2040, 8200, 16384])
def test_rsa_of_an_unusual_size_is_refused(bits):
    with pytest.raises(BadKey, match="2048 to 8192"):
        load_public_key(rsa_pem_of(modulus=2 ** (bits - 1) + 1, exponent=65537))


@pytest.mark.parametrize("exponent", [1, 2, 4, 65536, 2**65 + 1, 2**2000 + 1])
def test_rsa_with_a_silly_exponent_is_refused(exponent):
    with pytest.raises(BadKey):
        load_public_key(rsa_pem_of(modulus=2**2047 + 1, exponent=exponent))


def test_rsa_with_a_small_prime_exponent_is_read():
    assert load_public_key(rsa_pem_of(modulus=2**2047 + 1, exponent=3)).public_numbers().e == 3


@pytest.mark.parametrize(
    "make", [lambda: ec.generate_private_key(ec.SECP256R1()), lambda: dsa.generate_private_key(1024)]
)
def test_a_key_of_another_type_is_refused(make):
    pem = make().public_key().public_bytes(PEM, SPKI).decode()
    with pytest.raises(BadKey, match="neither RSA nor Ed25519"):
        load_public_key(pem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "z",
        "z6Mk",
        "z6Mk0OIl",
        "z1111",
        "-----BEGIN PUBLIC KEY-----\n\ud800",
    ],
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(BadKey):
        load_public_key(text)


def test_a_key_wrapped_in_a_megabyte_of_comment_is_refused_unread(rsa_pem):
    with pytest.raises(BadKey, match="limit"):
        load_public_key("# comment\n" * 100_000 + keys.public_pem(rsa_pem))


def test_a_multibase_key_longer_than_any_real_one_is_refused_unread():
    with pytest.raises(BadKey, match="longer than"):
        load_public_key("z" + "2" * 3000)


@settings(deadline=None)
@given(st.text() | st.text().map("z".__add__) | st.text().map("-----BEGIN PUBLIC KEY-----\n".__add__))
def test_no_text_does_anything_but_be_a_key_or_be_refused(text):
    with suppress(BadKey):
        assert load_public_key(text)


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_base58_comes_back_as_it_went(data):
    assert keys._from_base58(keys._to_base58(data)) == data


def rsa_pem_of(modulus: int, exponent: int) -> str:
    """Write a PKCS #1 PEM by hand, since the library makes none of these."""
    numbers = b"".join(to_der(0x02, n.to_bytes(n.bit_length() // 8 + 1)) for n in (modulus, exponent))
    data = base64.encodebytes(to_der(0x30, numbers)).decode()
    return f"-----BEGIN RSA PUBLIC KEY-----\n{data}-----END RSA PUBLIC KEY-----\n"


def to_der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size) + content
