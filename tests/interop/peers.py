"""Starts other people's servers on loopback, over real TLS with a throw-away CA."""

import asyncio
import contextlib
import functools
import http.client
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import trustme

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
START_SECONDS = 20.0
POLL_SECONDS = 0.02

T = TypeVar("T")
Scheme = Literal["rfc9421", "cavage"]


class PeerError(Exception):
    """A peer did not start, or refused what a test asked of it."""


# ── what is installed ────────────────────────────────────────────────────────────────────────────


def why_missing() -> str | None:
    """Say what has to be installed before these tests can run, None when nothing is missing."""
    if not (MODULES / "@fedify" / "fedify").is_dir():
        return "Fedify is not installed: run `make interop`"
    if find_node() is None:
        return "no Node 22 or newer: run `make interop`, or put one on the PATH"
    if importlib.util.find_spec("pubby") is None:
        return "pubby is not installed: run `pip install -e .[dev]`"
    return None


@functools.cache
def find_node() -> str | None:
    """Find a Node that is new enough for Fedify: the one npm installed, else the machine's own."""
    candidates = [*map(str, sorted(MODULES.glob("node-*/bin/node"))), shutil.which("node")]
    return next((node for node in candidates if node and _is_new_enough(node)), None)


def _is_new_enough(node: str) -> bool:
    try:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(version.lstrip("v").split(".")[0]) >= 22
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False


# ── certificates ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class CA:
    """A certificate authority nobody trusts but the processes that are given `ca_file`."""

    ca_file: Path
    folder: Path
    authority: trustme.CA

    def issue(self, *names: str) -> tuple[Path, Path]:
        """Issue a certificate for host names or addresses: the paths of (chain, private key), PEM."""
        chain, key = (self.folder / f"{'+'.join(names)}.{kind}" for kind in ("pem", "key"))
        if key.exists():
            return chain, key
        leaf = self.authority.issue_cert(*names)
        chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        return chain, key


def throwaway_ca(folder: Path) -> CA:
    """Make a certificate authority whose files live in `folder`."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return CA(ca_file, folder, authority)


# ── waiting and ports ────────────────────────────────────────────────────────────────────────────


def eventually(look: Callable[[], T], timeout: float = 10.0) -> T:
    """Return what `look` returns once it is true; AssertionError with the last value after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still not so after {timeout} s; the last value was {seen!r}"
        time.sleep(POLL_SECONDS)
    return seen


def free_port() -> int:
    """Name a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ── a running peer ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Peer:
    """A server in its own process; README.md lists what `control` understands."""

    name: str
    origin: str
    control_port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Everything the process has printed so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def actor_id(self) -> str:
        return str(self.state()["actor"]["id"])

    @property
    def handle(self) -> str:
        return str(self.state()["actor"]["handle"])

    def control(self, method: str, path: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the peer to do or tell something; PeerError with its own words when it cannot."""
        status, answer = self._exchange(method, path, json.dumps(payload or {}))
        if status != 200:
            raise PeerError(f"{self.name}: {method} {path}: {answer.get('error', answer)}")
        return answer

    def do(self, verb: str, **payload: Any) -> dict[str, Any]:
        """Ask for an action: `do("like", object=url)` is POST /like {"object": url}."""
        return self.control("POST", f"/{verb}", payload)

    def state(self) -> dict[str, Any]:
        return self.control("GET", "/state")

    def received(self, activity_type: str, object_id: str | None = None) -> list[dict[str, Any]]:
        """List the activities of a type that this peer has verified, oldest first."""
        inbox = self.state()["inbox"]
        return [a for a in inbox if a["type"] == activity_type and object_id in (None, a["object_id"])]

    def stop(self) -> None:
        """End the process: it goes when its standard input closes, or else is made to."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _exchange(self, method: str, path: str, body: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise PeerError(f"it ended with {self.process.returncode}")
        with contextlib.suppress(OSError):
            return self._exchange("GET", "/state", "")[0] == 200
        return False


def start_fedify(
    ca: CA,
    folder: Path,
    *,
    port: int | None = None,
    control_port: int | None = None,
    authorized_fetch: bool = False,
    first_knock: Scheme = "rfc9421",
    accepts: Scheme | Literal["both"] = "both",
    shared_inbox: bool = True,
) -> Peer:
    """Start a Fedify server whose only person is alice.

    With `authorized_fetch` her documents are shown to signed GETs only. `first_knock` is the scheme she tries
    first; `accepts` names the only scheme she understands: signed in another, a request is answered 401.
    """
    node = find_node()
    if node is None:
        raise PeerError(str(why_missing()))
    command = [node, str(HERE / "server.mjs"), f"--first-knock={first_knock}", f"--accepts={accepts}"]
    command += ["--authorized-fetch"] if authorized_fetch else []
    command += [] if shared_inbox else ["--no-shared-inbox"]
    return _start("fedify", command, ca, folder, port, control_port)


def start_pubby(ca: CA, folder: Path, *, port: int | None = None, control_port: int | None = None) -> Peer:
    """Start a pubby server whose only person is bob."""
    command = [sys.executable, str(HERE / "pubby_peer.py")]
    return _start("pubby", command, ca, folder, port, control_port)


def start_hub(ca: CA, folder: Path) -> Peer:
    """Start Flask-WebSub's hub, with a blog that names it at /feed.xml; it can `publish` and `name`."""
    return _start("hub", [sys.executable, str(HERE / "websub_hub.py")], ca, folder, None, None)


def _start(
    name: str, command: list[str], ca: CA, folder: Path, port: int | None, control_port: int | None
) -> Peer:
    port, control_port = port or free_port(), control_port or free_port()
    cert, key = ca.issue("localhost", "127.0.0.1")
    command += [f"--port={port}", f"--control-port={control_port}", f"--cert={cert}", f"--key={key}"]
    log_file = folder / f"{name}-{port}.log"
    with log_file.open("wb") as log:
        # It reads its standard input, which closes even when pytest is killed: no orphan survives us.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(ca),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    peer = Peer(name, f"https://localhost:{port}", control_port, process, log_file)
    try:
        eventually(peer._answers, START_SECONDS)
    except (PeerError, AssertionError) as why:
        peer.stop()
        raise PeerError(f"{name} did not start ({why}); it printed:\n{peer.log}") from why
    return peer


def _environment(ca: CA) -> dict[str, str]:
    trust = {"NODE_EXTRA_CA_CERTS": str(ca.ca_file), "REQUESTS_CA_BUNDLE": str(ca.ca_file)}
    return {**os.environ, **trust, "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}


# ── TLS in front of a plain HTTP server ──────────────────────────────────────────────────────────


@contextlib.contextmanager
def start_tls_front(ca: CA, listen_port: int, upstream_port: int) -> Iterator[str]:
    """Terminate TLS on `listen_port` of 127.0.0.1 and pass the bytes on unchanged to plain `upstream_port`.

    Yields the origin, `https://localhost:PORT`. The upstream may come and go: without it, connections close.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*ca.issue("localhost", "127.0.0.1"))
    listener, stop = socket.create_server(("127.0.0.1", listen_port)), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[_serve_tls(listener, upstream_port, tls, stop)])
    thread.start()
    try:
        yield f"https://localhost:{listen_port}"
    finally:
        stop.set()
        thread.join()


async def _serve_tls(
    listener: socket.socket, upstream_port: int, tls: ssl.SSLContext, stop: threading.Event
) -> None:
    forward = functools.partial(_forward, upstream_port)
    server = await asyncio.start_server(forward, sock=listener, ssl=tls)
    await asyncio.to_thread(stop.wait)
    server.close()  # asyncio.run cancels the connections that are still open


async def _forward(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(up_writer):
            await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):  # HTTP has no half-open exchange: one end gone, the other is told
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
