"""The anchor of the fan-out: the barest loop that signs and POSTs to every host, with no queue at all.

It is run as a process of its own: a line on stdin starts it, and it ends when everything is answered.
"""

import argparse
import asyncio
import base64
import hashlib
import socket
import ssl
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import aiohttp
import uvloop
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from benchmarks.machine import raise_file_limit
from benchmarks.sink import DOMAIN
from bridge.net.client import PER_HOST
from bridge.net.failures import CONNECT_SECONDS

_COVERED = "(request-target) host date digest"


class _Loopback(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Hold nothing to close."""


def sign(key: RSAPrivateKey, host: str, body: bytes) -> dict[str, str]:
    """Sign a POST to /inbox as draft-cavage has it, with nothing that could be left out."""
    date, digest = formatdate(usegmt=True), base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"(request-target): post /inbox\nhost: {host}\ndate: {date}\ndigest: SHA-256={digest}"
    proof = base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    signature = f'keyId="https://cafe.example/ap/cafe#main-key",algorithm="rsa-sha256",headers="{_COVERED}",signature="{proof}"'
    return {
        "Host": host,
        "Date": date,
        "Digest": f"SHA-256={digest}",
        "Content-Type": "application/activity+json",
        "Signature": signature,
    }


async def post_all(
    session: aiohttp.ClientSession, key: RSAPrivateKey, body: bytes, hosts: Iterator[str]
) -> None:
    """POST to one host after the other; several of these share the hosts."""
    for host in hosts:
        headers = sign(key, host, body)
        async with session.post(f"https://{host}/inbox", data=body, headers=headers) as response:
            await response.read()
            assert response.status == 202


async def main(given: argparse.Namespace) -> None:
    """Wait for the start, and POST."""
    key = load_pem_private_key(given.key.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    body = given.body.read_bytes()
    hosts = iter([f"h{number:06d}.{DOMAIN}:{given.port}" for number in range(given.hosts)])
    connector = aiohttp.TCPConnector(
        resolver=_Loopback(),
        use_dns_cache=False,
        ssl=ssl.create_default_context(cafile=str(given.ca_file)),
        limit=0,
        limit_per_host=PER_HOST,
    )
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        print("ready", flush=True)
        await asyncio.to_thread(input)
        await asyncio.gather(*(post_all(session, key, body, hosts) for _ in range(given.concurrency)))
    print("done", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bareloop")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--hosts", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    for name in ("--key", "--body", "--ca-file"):
        parser.add_argument(name, type=Path, required=True)
    raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))
