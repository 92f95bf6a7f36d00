"""How much may be under way at once in the files and sockets that this process may have open."""

import logging
import resource
import sys

log = logging.getLogger(__name__)

WAITING_TIMES = 4  # as many attempts as slots of the fast lane, with those that only wait
SPARE_FILES = 400  # for the other lanes, fetches, the database and pictures


def files() -> int:
    """Return how many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def make_room(concurrency: int) -> None:
    """Let this process open as many files as its deliveries need, or say that there will be fewer of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WAITING_TIMES * concurrency + SPARE_FILES
    if files() < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files(), most), hard))
    if (fits := fitting(concurrency, files())) < concurrency:
        log.warning(
            "Only %d files may be open, so %d deliveries go out at a time instead of %d. Raise LimitNOFILE.",
            *(files(), fits, concurrency),
        )


def fitting(concurrency: int, files: int) -> int:
    """Return how many deliveries may be under way in so many files: each needs one, and the rest some too."""
    return max(1, min(concurrency, files - SPARE_FILES // 2))


def most_requests(concurrency: int) -> int:
    """Return how many deliveries may be under way at once, with those that only wait."""
    return most_under_way(concurrency, files())


def most_under_way(slots: int, files: int) -> int:
    """Return how many attempts may be under way in a lane of `slots`, with those that gave their slot up.

    Each takes a socket, and what else the worker does needs some too.
    """
    return max(slots, min(WAITING_TIMES * slots, files - SPARE_FILES))
