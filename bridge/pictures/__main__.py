"""The process that looks at one picture and ends: what a hostile file can do, it does to this alone.

The picture comes in on standard input; out go a line of JSON and the copy, if there is one.
"""

import json
import sys
from dataclasses import asdict

from bridge.errors import BadPicture
from bridge.pictures.confine import bound, shut
from bridge.pictures.examine import examine
from bridge.pictures.opening import open_files


def main() -> None:
    """Answer for one picture."""
    body = sys.stdin.buffer.read()
    open_files(body)
    bound()
    shut()
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


if __name__ == "__main__":
    main()
