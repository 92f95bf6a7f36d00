"""Between a process and the one that started it: each learns that the other is gone or stands still.

Killed, the parent could not tell us to stop. Hung, we could not tell it: so we say that we live, and it
ends us when we no longer do.
"""

import os
import signal
import threading
import time

LOOK_EVERY = 0.5  # seconds
GRACE = 10.0  # seconds; whoever stops properly needs less
PULSE_EVERY = 2.0  # seconds


def end_with(parent: int) -> None:
    """Have this process asked to stop (SIGTERM) once `parent`, which started it, is no more.

    An orphan gets another parent, on Linux and macOS alike. The parent says who it is: it may be gone before
    we could ask.
    """
    threading.Thread(target=_wait_for_end, args=(parent,), name="lifeline", daemon=True).start()


def keep_pulse(pipe: int) -> None:
    """Write a byte into a pipe every other second, for as long as any thread of this process can run.

    One that never ends in C code (a regular expression, say) holds up all others, whoever watches in here.
    """
    os.set_blocking(pipe, False)
    threading.Thread(target=_beat, args=(pipe,), name="pulse", daemon=True).start()


def _beat(pipe: int) -> None:
    while True:
        try:
            os.write(pipe, b".")
        except BlockingIOError:
            pass  # it has enough to read
        except OSError:
            return  # nobody listens any more
        time.sleep(PULSE_EVERY)


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)  # it was still starting, and did not hear us; a death at any moment loses nothing
