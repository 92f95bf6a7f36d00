"""The process that looks at one picture and ends: what a hostile file can do, it does to this alone.

The picture comes in on standard input; out go a line of JSON and the copy, if there is one.
"""

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bridge.errors import BadPicture
from bridge.pictures.examine import examine

MAX_MEMORY = 768 * 1024 * 1024  # bytes of address space, of which libraries take a part
MAX_SECONDS = 10  # of a processor


def main() -> None:
    """Answer for one picture."""
    _confine()
    body = sys.stdin.buffer.read()
    answer, copy = _look(body, at_home="--at-home" in sys.argv)
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + copy)


def _look(body: bytes, *, at_home: bool) -> tuple[dict[str, object], bytes]:
    try:
        examined = examine(body, at_home=at_home)
    except BadPicture as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "it needs too much memory to be unpacked"}, b""
    except Exception as error:  # whatever libraries make of bytes made to confuse them
        return {"error": f"it cannot be read ({type(error).__name__})"}, b""
    answer = asdict(examined)
    return answer, answer.pop("copy")


def _confine() -> None:
    """Limit what this process can take from the machine; and if memory runs out, it goes first."""
    import resource

    limits = (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CPU, MAX_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, limit in limits:
        with contextlib.suppress(OSError, ValueError):  # macOS knows some of them in name only
            resource.setrlimit(kind, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
