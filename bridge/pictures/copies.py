"""Our own copies of pictures, as files named by what is in them."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

COPY_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
MAX_COPIES = 20_000
MAX_TOTAL = 2 * 1024 * 1024 * 1024  # bytes of all copies
_NAME = re.compile(r"[0-9a-f]{64}\.(?:jpg|png|webp)")
_SUFFIXES = {kind: suffix for suffix, kind in COPY_TYPES.items()}


def keep_copy(folder: Path, body: bytes, media_type: str) -> str:
    """Store a copy, whole or not at all, and return its name; the same copy twice is one file."""
    name = hashlib.sha256(body).hexdigest() + _SUFFIXES[media_type]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, suffix=".new")  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())  # a name promises what is in it, after a power cut too
        Path(temporary).replace(folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return name


def find_copy(folder: Path, name: str) -> Path | None:
    """Return the file of a copy; `None` when there is none, or nothing is called like that."""
    path = folder / name
    return path if _NAME.fullmatch(name) and path.is_file() else None


def drop_oldest(
    folder: Path,
    in_use: Callable[[], Collection[str]],
    *,
    most: int = MAX_COPIES,
    most_bytes: int = MAX_TOTAL,
) -> int:
    """Remove the oldest copies that no post shows, until the rest is within bounds; return how many.

    `in_use` names the copies that posts show; it is only asked when there are too many.
    """
    copies = _by_age(folder)
    total = sum(size for _, _, size in copies)
    if len(copies) <= most and total <= most_bytes:
        return 0
    shown, dropped = in_use(), 0
    for path, _, size in copies:
        if len(copies) - dropped <= most and total <= most_bytes:
            break
        if path.name not in shown:
            path.unlink(missing_ok=True)
            dropped, total = dropped + 1, total - size
    return dropped


def _by_age(folder: Path) -> list[tuple[Path, float, int]]:
    """Return (path, time, size) of everything in the folder, what a crash left half written included."""
    if not folder.is_dir():
        return []
    found = [(path, path.stat()) for path in folder.iterdir()]
    copies = [(path, status.st_mtime, status.st_size) for path, status in found]
    return sorted(copies, key=lambda copy: copy[1])
