"""Serving: an actor and a post from `fedibridge web`, beside nginx with the same bytes from a file."""

import http.client
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.inbox import wait_for_web
from benchmarks.machine import cpu_seconds, family
from benchmarks.processes import Process, until
from benchmarks.subject import SITE, new_subject
from benchmarks.tables import Table, spread

GOAL = "at least 0.3 of nginx"
ACCEPT = "application/activity+json"
CONNECTIONS = 32
_RATE = re.compile(r"Requests/sec: +([0-9.]+)")
_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    open_file_cache max=100;
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    default_type "application/activity+json";
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        add_header Cache-Control "public, max-age=180";
        add_header Vary Accept;
    }}
}}
"""


@dataclass(frozen=True)
class Load:
    """What a server answered, and how much of a core it took."""

    rate: float
    cpu: float


def measure(*, quick: bool) -> list[Table]:
    """Measure both servers in turns; nothing is measured where nginx or wrk is missing."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not nginx or not shutil.which("wrk"):
        return [Table("Serving documents", ("",), (("left out: it needs nginx and wrk",),), GOAL)]
    seconds, rounds = (1, 1) if quick else (5, 3)
    found: dict[tuple[str, str], list[Load]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subject = stack.enter_context(new_subject(folder))
        subject.publish()
        web = stack.enter_context(subject.start("web"))
        wait_for_web(subject)
        paths = {"actor": f"/ap/{SITE}", "post": subject.newest_post()}
        sizes = {name: _copy(subject.port, path, folder / "www" / name) for name, path in paths.items()}
        anchor, anchor_port = stack.enter_context(_running_nginx(nginx, folder))
        for number in range(rounds):
            turns = [(what, server) for what in paths for server in ("bridge", "nginx")]
            for what, server in turns if number % 2 == 0 else reversed(turns):
                port, path = (subject.port, paths[what]) if server == "bridge" else (anchor_port, f"/{what}")
                pid = web.pid if server == "bridge" else anchor.pid
                found.setdefault((what, server), []).append(_load(port, path, pid, seconds))
    return [_table(found, sizes, rounds)]


def _table(found: dict[tuple[str, str], list[Load]], sizes: dict[str, int], rounds: int) -> Table:
    rows = []
    for what, size in sizes.items():
        ours, anchor = found[what, "bridge"], found[what, "nginx"]
        ratio = median(load.rate for load in ours) / median(load.rate for load in anchor)
        rows += [
            (f"{what} ({size:,} bytes): fedibridge web", *_cells(ours), f"{ratio:.2f}"),
            (f"{what}: anchor, nginx", *_cells(anchor), ""),
        ]
    return Table(
        "Serving documents",
        ("", "per second", "cores", "ratio"),
        rows,
        GOAL,
        (
            f"One web worker, one nginx worker, wrk with one thread and {CONNECTIONS} connections on the "
            f"same machine, which on a few cores limits both. Medians of {rounds} rounds, with the range.",
        ),
    )


def _cells(loads: list[Load]) -> tuple[str, str]:
    return spread([load.rate for load in loads]), f"{median(load.cpu for load in loads):.1f}"


def _copy(port: int, path: str, file: Path) -> int:
    """Give nginx the very bytes that the bridge serves; return how many they are."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Accept": ACCEPT})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path} answers {response.status}")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(body)
    return len(body)


@contextmanager
def _running_nginx(program: str, folder: Path) -> Iterator[tuple[Process, int]]:
    port = _unused_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)
    command = [program, "-c", str(config), "-e", str(folder / "nginx.start.log")]
    with Process(command, folder / "nginx.log") as process:
        until(lambda: _is_open(port), "nginx")
        yield process, port
        process.stop(signal.SIGQUIT)


def _load(port: int, path: str, pid: int, seconds: int) -> Load:
    url = f"http://127.0.0.1:{port}{path}"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Accept: {ACCEPT}"]
    subprocess.run(["wrk", *options[:2], "-d1s", *options[3:], url], check=True, capture_output=True)
    before = _cpu_of(pid)
    said = subprocess.run(["wrk", *options, url], check=True, capture_output=True, text=True).stdout
    rate = _RATE.search(said)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{url}: {said}")
    return Load(float(rate[1]), (_cpu_of(pid) - before) / seconds)


def _cpu_of(pid: int) -> float:
    return sum(cpu_seconds(one) for one in family(pid))


def _is_open(port: int) -> bool:
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
    except OSError:
        return False
    return True


def _unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
