"""Ends a process when the one that started it is gone: killed, that one could not tell it to."""

import os
import signal
import threading
import time

LOOK_EVERY = 0.5  # seconds
PATIENCE = 10.0  # seconds; whoever stops properly needs less


def end_with(parent: int) -> None:
    """Have this process asked to stop (SIGTERM) once `parent`, which started it, is no more.

    An orphan gets another parent, on Linux and macOS alike. The parent says who it is: it may be gone before
    we could ask.
    """
    threading.Thread(target=_wait_for_end, args=(parent,), name="lifeline", daemon=True).start()


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)  # it was still starting, and did not hear us; a death at any moment loses nothing
