"""What a demo needs for itself: two ports, and a folder that is free to be emptied."""

import errno
import fcntl
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridge.errors import DemoError

LOCK = "demo.lock"
LOOK_SECONDS = 0.5


@contextmanager
def only_demo(folder: Path) -> Iterator[None]:
    """Hold the folder, made if needed; raise `DemoError` when another demo does, or it cannot be made."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise DemoError(f"The demo needs a folder of its own, which cannot be made: {error}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"A demo is running in {folder} already: stop it first (Ctrl-C).") from None
        yield


def empty(folder: Path) -> None:
    """Forget every earlier demo: keys, database, logs."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def require_free(ports: Mapping[str, int]) -> None:
    """Raise `DemoError` for a port (by the name of its option) that cannot be listened on."""
    if len(set(ports.values())) < len(ports):
        raise DemoError(f"{' and '.join(ports)} must be different ports.")
    for option, port in ports.items():
        why = _why_not(port)
        if why:
            other = f"{option} {(port + 1000) % 65535 or 8000}"
            raise DemoError(
                f'Port {port} {why}. Choose another: `fedibridge demo {other}`, or `make run ARGS="{other}"`.'
            )


def _why_not(port: int) -> str | None:
    # Asked first: a server on ::1 would answer browsers before ours on 127.0.0.1 does.
    try:
        socket.create_connection(("localhost", port), LOOK_SECONDS).close()
    except OSError:
        return _why_not_bound(port)
    return "is in use by another program"


def _why_not_bound(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is in use by another program" if taken else f"cannot be opened ({error.strerror})"
    return None
