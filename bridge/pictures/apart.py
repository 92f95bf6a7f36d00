"""Has a picture looked at in a process of its own, which cannot take the worker down with it."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import bridge
from bridge.errors import BadPicture
from bridge.pictures.examine import Examined
from bridge.pictures.opening import check_kind

SECONDS = 15.0
MAX_ANSWER = 16 * 1024 * 1024  # bytes
_CHUNK = 64 * 1024
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


async def examine_apart(body: bytes, *, at_home: bool = False, seconds: float = SECONDS) -> Examined:
    """Do what `examine` does, in a process with limits on memory and time; ends it when cancelled.

    Raises:
        BadPicture: it cannot be shown, or its process came to an end over it.
    """
    check_kind(body)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-s", "-m", "bridge.pictures", *(["--at-home"] if at_home else [])),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,  # Ctrl-C is for the worker, which ends this one in its own time
    )
    try:
        async with asyncio.timeout(seconds):
            answer = await _ask(process, body)
            await process.wait()
    except TimeoutError:
        raise BadPicture(f"it takes more than {seconds:g} s to be unpacked") from None
    finally:
        if process.returncode is None:  # signals are for the living: asyncio warns of one to the dead
            process.kill()
            await process.wait()
    return _read(answer)


def _environment() -> dict[str, str]:
    """Return what Python needs to find itself and us; ours may hold secrets."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(bridge.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}


async def _ask(process: asyncio.subprocess.Process, body: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is dead, and says no more
        process.stdin.write(body)
        await process.stdin.drain()
    process.stdin.close()
    answer = bytearray()
    while chunk := await process.stdout.read(_CHUNK):
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise BadPicture("its copy is too large")
    return bytes(answer)


def _read(answer: bytes) -> Examined:
    line, newline, copy = answer.partition(b"\n")
    if not newline:
        raise BadPicture("it needs too much memory or time to be unpacked")
    said = json.loads(line)
    if "error" in said:
        raise BadPicture(said["error"])
    return Examined(**said, copy=copy)
