"""Posts junk to an inbox at an offered rate, from a process of its own: Follows with made-up keys."""

import argparse
import asyncio
import json
import time
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256

import uvloop

from benchmarks.subject import BASE_URL, SITE

MOST_OPEN = 800  # connections; what comes beyond is counted as not offered


def request(number: int, key_host: str, address: str) -> bytes:
    """Write one of them; its signature is no signature, which only a key would show."""
    actor = f"https://{key_host}/users/junk{number}"
    body = json.dumps(
        {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{actor}/follows/{time.time_ns()}",
            "type": "Follow",
            "actor": actor,
            "object": f"{BASE_URL}/ap/{SITE}",
        }
    ).encode()
    covered = "(request-target) host date digest content-type"
    signature = b64encode(sha256(f"{number} {time.time_ns()}".encode()).digest() * 8).decode()
    head = [
        f"POST /ap/{SITE}/inbox HTTP/1.1",
        f"Host: {BASE_URL.removeprefix('https://')}",
        f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}",
        f"Digest: SHA-256={b64encode(sha256(body).digest()).decode()}",
        "Content-Type: application/activity+json",
        f"Content-Length: {len(body)}",
        f'Signature: keyId="{actor}#key",algorithm="rsa-sha256",headers="{covered}",signature="{signature}"',
        "Connection: close",
    ]
    if address:
        head.append(f"X-Forwarded-For: {address}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def main(port: int, rate: int, parties: int, hosts: str, *, named: bool) -> None:
    """Send until a line comes; print how many were sent a second, and how they were answered."""
    statuses: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def send(number: int) -> None:
        address = f"8.8.{number % parties}.8" if named else ""
        try:
            async with asyncio.timeout(30):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request(number, hosts.format(number % parties), address))
                head = await reader.read(100)
                writer.close()
            statuses[head.split(b" ", 2)[1].decode() if head else "closed"] += 1
        except (OSError, TimeoutError) as error:
            statuses[type(error).__name__] += 1

    print("ready", flush=True)
    over = asyncio.ensure_future(asyncio.to_thread(input))
    began, sent, dropped = time.monotonic(), 0, 0
    while not over.done():
        due = int((time.monotonic() - began) * rate) - sent - dropped
        for _ in range(due):
            if len(under_way) >= MOST_OPEN:
                dropped += 1
                continue
            sent += 1
            task = asyncio.ensure_future(send(sent))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(0.005)
    seconds = time.monotonic() - began
    print(json.dumps({"per_second": sum(statuses.values()) / seconds, "statuses": statuses}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.junk")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--parties", type=int, default=1)
    parser.add_argument("--hosts", required=True, help="where the keys are said to be; {0} is the party")
    parser.add_argument("--named", action="store_true", help="each party has an address of its own")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(given.port, given.rate, given.parties, given.hosts, named=given.named))
