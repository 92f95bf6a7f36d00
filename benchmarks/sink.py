"""The rest of the fediverse: one process that is every host below bench.test and takes whatever it is sent.

`python -m benchmarks.sink` is the process; `Sink` starts it and asks it what arrived.
"""

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import trustme
import uvloop

from benchmarks.processes import Process, module

DOMAIN = "bench.test"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost: *([^\r]+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_ID = re.compile(rb'"id":"([^"]+)"')
_BACKLOG = 4096


@dataclass(frozen=True)
class Tally:
    """What a sink has taken since it was last reset; times are the monotonic clock's."""

    requests: int
    first_at: float
    last_at: float


class Sink:
    """A running sink. With `scheme` https it has a certificate for every host, signed by `ca_file`."""

    def __init__(
        self, process: Process, port: int, scheme: str, ca_file: Path | None, log: Path | None
    ) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        self.port = port
        self.scheme = scheme
        self.ca_file = ca_file

    def inbox(self, number: int) -> str:
        """Return the inbox of one of its hosts."""
        return f"{self.scheme}://{self.host(number)}/inbox"

    def host(self, number: int) -> str:
        """Return the name of one of its hosts, with its port."""
        return f"h{number:06d}.{DOMAIN}:{self.port}"

    def tally(self) -> Tally:
        """Ask what was taken so far."""
        return Tally(**json.loads(self._process.ask("tally")))

    def times(self) -> list[float]:
        """Return when each request arrived since the last reset."""
        found: list[float] = json.loads(self._process.ask("times"))
        return found

    def reset(self) -> None:
        """Count from nothing again."""
        self._process.ask("reset")

    def arrivals(self) -> list[tuple[str, str]]:
        """Return (activity id, inbox) of every request that arrived, in order."""
        assert self._log is not None, "start the sink with a log"
        lines = (line.split(" ") for line in self._log.read_text().splitlines())
        return [(activity, f"{self.scheme}://{inbox}") for activity, inbox in lines]


@contextmanager
def running_sink(
    folder: Path, *, tls: bool, log: bool = False, delay: float = 0, documents: Path | None = None
) -> Iterator[Sink]:
    """Run a sink; `delay` are the seconds it takes to answer.

    `documents` is a JSON file that may come to be: addresses without their scheme → what is read there.
    """
    arguments: list[object] = ["--delay", delay]
    log_file = folder / "arrivals.log" if log else None
    ca_file = _write_certificates(folder) if tls else None
    if ca_file:
        arguments += ["--certificate", folder / "sink.pem"]
    if documents:
        arguments += ["--documents", documents]
    if log_file:
        arguments += ["--log", log_file]
    with Process(module("benchmarks.sink", *arguments), folder / "sink.log", pipes=True) as process:
        yield Sink(process, int(process.hear()), "https" if tls else "http", ca_file, log_file)


def _write_certificates(folder: Path) -> Path:
    authority = trustme.CA()
    leaf = authority.issue_cert(f"*.{DOMAIN}")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "sink.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem"


# ── the process ───────────────────────────────────────────────────────────────────────────────────


class Counter:
    """What all connections count together."""

    def __init__(self, delay: float, log: Path | None, documents: Path | None = None) -> None:
        self.delay = delay
        self._documents = documents
        self._log = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY) if log else None
        self.reset()

    def reset(self) -> None:
        self.requests = 0
        self.first_at = self.last_at = 0.0
        self.times: list[float] = []

    def document(self, head: bytes) -> bytes | None:
        """Return what is to be read at the address of a request."""
        if self._documents is None or not self._documents.exists():
            return None
        host = _HOST.search(head)
        address = (host[1] if host else b"") + head.split(b" ", 2)[1]
        found = json.loads(self._documents.read_text()).get(address.decode())
        return None if found is None else str(found).encode()

    def count(self, head: bytes, body: bytes) -> None:
        """Take note of a request that is there in full, whatever becomes of the answer."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.requests += 1
        self.times.append(self.last_at)
        if self._log is not None:
            os.write(self._log, _log_line(head, body))


def _log_line(head: bytes, body: bytes) -> bytes:
    host, activity = _HOST.search(head), _ID.search(body)
    path = head.split(b" ", 2)[1]
    assert host is not None
    return b"%s %s%s\n" % (activity[1] if activity else b"-", host[1], path)


class Connection(asyncio.Protocol):
    """As little of HTTP/1.1 as it takes to be posted to."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not of that class

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = _LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < size:
                return
            body, self._received = self._received[end + 4 : size], self._received[size:]
            if head.startswith(b"GET "):
                self._show(self._counter.document(head))
                continue
            self._counter.count(head, body)
            self._answer_later(close=_CLOSE.search(head) is not None)

    def _show(self, document: bytes | None) -> None:
        status, body = (b"200 OK", document) if document else (b"404 Not Found", b"")
        head = b"HTTP/1.1 %s\r\nContent-Type: application/activity+json\r\nConnection: close\r\n" % status
        self._transport.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._transport.close()

    def _answer_later(self, *, close: bool) -> None:
        if self._counter.delay:
            asyncio.get_running_loop().call_later(self._counter.delay, self._answer, close)
        else:
            self._answer(close)

    def _answer(self, close: bool) -> None:
        if self._transport.is_closing():
            return
        again = b"Connection: close\r\n" if close else b""
        self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n" + again + b"\r\n")
        if close:
            self._transport.close()


async def serve(counter: Counter, certificate: Path | None) -> None:
    """Take requests until stdin is closed; `tally`, `times` and `reset` come as lines there."""
    loop = asyncio.get_running_loop()
    tls = None
    if certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
        tls.set_alpn_protocols(["http/1.1"])
    server = await loop.create_server(lambda: Connection(counter), "127.0.0.1", 0, ssl=tls, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async for line in lines:
        if line.strip() == b"reset":
            counter.reset()
        if line.strip() == b"times":
            print(json.dumps(counter.times), flush=True)
            continue
        tally = Tally(counter.requests, counter.first_at, counter.last_at)
        print(json.dumps(tally.__dict__), flush=True)


def main() -> None:
    """Run the sink of a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--documents", type=Path)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Counter(given.delay, given.log, given.documents), given.certificate))


if __name__ == "__main__":
    main()
