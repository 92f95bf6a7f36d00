"""Which file a log belongs to: SQLite applies `-wal` and `-journal` to whatever file has the name.

A small file beside the database (``fedibridge.db-file``) remembers the file that was open last. A copy put in
its place while the old log lies there would get pages of the other file, and be damaged.
"""

import json
import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bridge.errors import StoreError

log = logging.getLogger(__name__)

Which = tuple[int, int]
"""Device and inode."""

_COUNTER = slice(24, 28)  # SQLite's header: a number that only ever grows (sqlite.org/fileformat, 1.3.7)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The file that was open last, its folder and log, how far it had come, and what is wrong with it."""

    file: Which | None = None
    folder: Which | None = None
    log: Which | None = None
    counter: int = 0
    damage: str | None = None


def which(path: Path | None) -> Which | None:
    """Return what tells a file from another of the same name; `None` where there is none."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def counter(descriptor: int) -> int:
    """Return the change counter of an open database; an empty one has 0."""
    return int.from_bytes(os.pread(descriptor, 28, 0)[_COUNTER])


def refuse_foreign_log(path: Path) -> None:
    """Refuse to open a database beside which another file's log lies; to be called before it is opened.

    Raises:
        StoreError: the message says what to do.
    """
    before = recall(path)
    if before.file is None or before.folder != which(path.parent) or _is_same(path, before):
        return
    for name in ("-wal", "-journal"):
        left = path.with_name(path.name + name)
        # Of a log that was copied along with its database, nothing is known.
        if left.exists() and (name == "-journal" or which(left) == before.log):
            raise StoreError(
                f"{path} was replaced, and {left.name} belongs to the former one. {advice(path)}"
            )


def advice(path: Path) -> str:
    """Say what to do about a database that was replaced."""
    names = [path.name + name for name in ("-wal", "-shm", "-journal")]
    if not path.with_name(names[2]).exists():
        names.pop()
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"Stop the bridge, remove {listed} beside it, and start the bridge again."


def _is_same(path: Path, before: Remembered) -> bool:
    if which(path) != before.file:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return counter(descriptor) >= before.counter  # an older copy was not written into the same file
    finally:
        os.close(descriptor)


# ── remembering ──────────────────────────────────────────────────────────────────────────────────


def recall(path: Path) -> Remembered:
    """Read what is remembered; nothing, where that cannot be read."""
    try:
        told = json.loads(_memory(path).read_bytes())
        pairs = {name: tuple(told[name]) if told[name] else None for name in ("file", "folder", "log")}
        return Remembered(**pairs, counter=int(told["counter"]), damage=told["damage"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Remembered()


def remember(path: Path, count: int, *, damage: str | None) -> None:
    """Write down which file is open, and what is wrong with it; a full disk is no reason not to go on."""
    wal = which(path.with_name(f"{path.name}-wal"))
    now = Remembered(which(path), which(path.parent), wal, count, damage)
    if now == recall(path):
        return
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}-file.", delete=False) as draft:
            draft.write(json.dumps(asdict(now)).encode())
        Path(draft.name).replace(_memory(path))
    except OSError as error:
        log.debug("%s cannot be written: %s", _memory(path), error)
        with suppress(OSError, UnboundLocalError):
            Path(draft.name).unlink()


def _memory(path: Path) -> Path:
    return path.with_name(f"{path.name}-file")
