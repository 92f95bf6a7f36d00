"""Sends requests that were signed beforehand, as fast as they are answered, from a process of its own."""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop


async def send(port: int, requests: Iterator[bytes]) -> int:
    """Send one request after the other on one connection; return how many were accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    accepted = 0
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        accepted += head.startswith(b"HTTP/1.1 202")
    writer.close()
    return accepted


async def main(port: int, connections: int, requests: list[bytes]) -> None:
    """Wait for the start, send everything, and print what came of it."""
    print("ready", flush=True)
    await asyncio.to_thread(input)
    started, left = time.monotonic(), iter(requests)
    accepted = await asyncio.gather(*(send(port, left) for _ in range(connections)))
    answer = {"started": started, "ended": time.monotonic(), "accepted": sum(accepted)}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sender")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = given.requests.read_text().splitlines()
        runner.run(main(given.port, given.connections, [bytes.fromhex(line) for line in lines]))
