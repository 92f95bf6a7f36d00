"""What we measure on, and what processes cost there; Linux only, because it reads /proc."""

import os
import platform
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.store.engine import sqlite_module

_TICKS = os.sysconf("SC_CLK_TCK")
FILES = 16_384


@dataclass(frozen=True)
class Memory:
    """What a process holds, in MiB; `pss` counts pages shared with others by their share."""

    rss: float
    pss: float


def describe() -> list[tuple[str, str]]:
    """Return (what, value) of this machine and of what runs on it."""
    return [
        ("Processor", f"{_cpu_model()}, {os.cpu_count()} cores"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("SQLite", sqlite_module().sqlite_version),
    ]


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def raise_file_limit() -> None:
    """Let this process and its children open as many sockets as a fan-out needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> Memory:
    """Return what a process holds now."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, size = line.partition(":")
        if size.endswith("kB"):
            sizes[name] = int(size.split()[0]) / 1024
    return Memory(sizes["Rss"], sizes["Pss"])


def children(pid: int) -> list[int]:
    """Return the processes a process has started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted({int(child) for path in found for child in path.read_text().split()})


def family(pid: int) -> Iterator[int]:
    """Yield a process and everything below it."""
    yield pid
    for child in children(pid):
        yield from family(child)


def command(pid: int) -> str:
    """Return how a process was started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
