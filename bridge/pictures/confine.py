"""Takes from this process what it does not need: memory and time without end, files, connections.

A picture made to hurt may get hold of whoever unpacks it. What it then finds is a process that can open
nothing: no file, because Landlock says so (Linux 5.13 and newer), and no file or connection at all, because
no descriptor is left to open one with.
"""

import contextlib
import ctypes
import sys
from pathlib import Path

MAX_MEMORY = 768 * 1024 * 1024  # bytes of address space, of which libraries take a part
MAX_SECONDS = 10  # of a processor

# From linux/landlock.h and linux/prctl.h; the numbers of the calls are the same on all architectures.
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_NO_NEW_PRIVILEGES = 38
_EVERY_WAY_TO_OPEN = (1 << 13) - 1  # what the first version knows: read, write, run, list, make, remove


def bound() -> None:
    """Limit what this process can take from the machine; and if memory runs out, it goes first."""
    import resource

    _limit(resource.RLIMIT_AS, MAX_MEMORY)
    _limit(resource.RLIMIT_CPU, MAX_SECONDS)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def shut() -> None:
    """Let this process open nothing more. Call it when everything is imported: modules are files too."""
    import resource

    _shut_files()
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(kind: int, most: int) -> None:
    import resource

    with contextlib.suppress(OSError, ValueError):  # macOS knows some of them in name only
        resource.setrlimit(kind, (most, most))


def _shut_files() -> None:
    """Ask the kernel for a set of rules that allows nothing, and live by it from now on."""
    if sys.platform != "linux":  # where these numbers mean other calls
        return
    try:
        system = ctypes.CDLL(None, use_errno=True)
        handled = ctypes.c_uint64(_EVERY_WAY_TO_OPEN)
        rules = system.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
        if rules < 0:
            return  # an older kernel, or one that was told not to
        system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        system.syscall(_RESTRICT_SELF, rules, 0)
    except (AttributeError, OSError):  # no C library to ask
        return
