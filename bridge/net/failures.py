"""Why a request came to nothing: whose fault it is, for the program, and a short line of it, for people."""

import errno
import os
import socket
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bridge.errors import BadUrl
from bridge.model import Fault
from bridge.net.unpack import Unpackable

CONNECT_SECONDS = 5
_MAX_WHY = 200
BROKEN_OFF = "the answer broke off or is garbled"


class RefusedAddress(OSError):
    """An address that may not be connected to."""

    def __init__(self, address: str) -> None:
        super().__init__(f"address {address} is not public")


class ResolverDown(OSError):
    """No name can be looked up."""

    def __init__(self) -> None:
        super().__init__("our own DNS resolver does not answer")


class UnusableAnswer(Exception):
    """An answer that came, and that we do not take: too large, packed oddly, redirecting astray."""


class TooLarge(UnusableAnswer):
    """More than we asked for."""


# What aiohttp, the sockets below it and our own rules raise when the far side is at fault.
FAILURES = (
    BadUrl,
    UnusableAnswer,
    aiohttp.ClientError,
    HttpProcessingError,
    Unpackable,
    OSError,
    MemoryError,
    TimeoutError,
)

_SHORTAGES = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENETDOWN}
)
"""What the system says when it is us who lack something, whoever is asked."""


# ── whose fault it is ────────────────────────────────────────────────────────────────────────────


def fault_of(error: BaseException) -> Fault:
    """Say whose failure an error is: a host's only when there was no connection to it at all."""
    if _is_shortage(error):
        return Fault.SHORTAGE
    match error:
        case BadUrl():
            return Fault.RULE
        case TooLarge():
            return Fault.SIZE
        case aiohttp.ClientConnectorError():
            return Fault.OURS if isinstance(error.os_error, RefusedAddress) else Fault.HOST
        case RefusedAddress():
            return Fault.OURS
        case aiohttp.ConnectionTimeoutError():
            return Fault.HOST
        case _:
            return Fault.INBOX


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, MemoryError | ResolverDown):
        return True
    return isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno in _SHORTAGES


def is_by_date(error: BaseException) -> bool:
    """Say whether a certificate was refused because of what time it is here."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return False
    refused = error.certificate_error
    return isinstance(refused, ssl.SSLCertVerificationError) and refused.verify_code in _BY_DATE


# ── why it failed, for people ────────────────────────────────────────────────────────────────────

_DNS = {
    socket.EAI_NONAME: "DNS: no such name",
    socket.EAI_AGAIN: "DNS: no answer",
}
_BY_DATE = (9, 10)
_CERTIFICATE = {  # OpenSSL's X509_V_ERR_… numbers
    10: "certificate expired",
    9: "certificate not valid yet",
    18: "certificate is self-signed",
    19: "certificate of an unknown authority",
    20: "certificate of an unknown authority, or sent without its chain",
    21: "certificate of an unknown authority, or sent without its chain",
    62: "certificate is for another name",
}


def explain(error: BaseException, timeout: float) -> str:
    """Say in one short line why a request came to nothing."""
    return " ".join(_reason(error, timeout).split())[:_MAX_WHY]


def _reason(error: BaseException, timeout: float) -> str:
    match error:
        case MemoryError():
            return "out of memory"
        case BadUrl() | UnusableAnswer() | Unpackable() | RefusedAddress() | ResolverDown():
            return str(error)
        case aiohttp.ClientConnectorCertificateError():
            return _tls_reason(error.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return _tls_reason(error.os_error)
        case aiohttp.ClientConnectorError():
            return _reason(error.os_error, timeout)
        case aiohttp.ServerTimeoutError():
            return f"no connection in {CONNECT_SECONDS} s"
        case TimeoutError():
            return f"no answer in {timeout:g} s"
        case aiohttp.ServerDisconnectedError():
            return "connection closed without an answer"
        case aiohttp.ClientPayloadError():
            return BROKEN_OFF
        case socket.gaierror():
            return _DNS.get(error.errno or 0, "DNS: no address found")
        case OSError():
            return os.strerror(error.errno).lower() if error.errno else "connection lost"
        case _:
            return "the answer is not valid HTTP"


def _tls_reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "TLS: " + _CERTIFICATE.get(error.verify_code, error.verify_message)
    named = getattr(error, "reason", None) or "handshake failed"
    return "TLS: " + named.replace("_", " ").lower()
