"""Which job of a worker stands still, and since when: what is said of it, and when it is ended for it.

A job stands when what it began long ago has not finished, not when it has much to do: a poll of a slow site
that is answered in the end is none.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.pump.clock import passed

WORKER_SILENT = timedelta(seconds=90)
"""A worker that was not heard of for so long is taken to be gone; it beats every half a minute."""

SAID_AFTER = 0.5
"""The part of a job's limit after which it is said to stand; after all of it, its worker is started again."""

FAILING = 3600.0
"""Seconds after which a job that only ever fails is worth a new process: it would fail there, too, mostly."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A job that finished nothing for `seconds`; `why`: the error that it ends with, if it ends at all."""

    job: str
    since: datetime
    seconds: float
    why: str = ""
    is_over_limit: bool = False

    def __str__(self) -> str:
        because = f" ({self.why})" if self.why else ""
        return f"the job “{self.job}” has been stuck since {self.since:%Y-%m-%d %H:%M:%S} UTC{because}"


@dataclass
class _Job:
    every: float
    limit: float
    finished: float  # by the clock: all that was begun before is finished
    why: str = ""


class Progress:
    """What each job of a process finished last, in seconds of a clock that never goes back."""

    def __init__(self, clock: Callable[[], float] = passed) -> None:
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def expect(self, job: str, *, every: timedelta, limit: timedelta) -> None:
        """Say that a job runs `every` so often and is done with anything within `limit`."""
        with self._lock:
            self._jobs[job] = _Job(every.total_seconds(), limit.total_seconds(), self._clock())

    def finished(self, job: str, *, begun: float | None = None) -> None:
        """Note that all a job began is finished; `begun`: but for what it began then and later."""
        with self._lock:
            known = self._jobs.get(job)
            if known is not None:
                known.finished = max(known.finished, self._clock() if begun is None else begun)
                known.why = ""

    def failed(self, job: str, why: str) -> None:
        """Note that a job ended with an error: it does not hang, but nothing comes of it."""
        with self._lock:
            if job in self._jobs:
                self._jobs[job].why = why

    def skip(self, seconds: float) -> None:
        """Let time that the whole process was stopped for not count: nothing could have finished in it."""
        with self._lock:
            for job in self._jobs.values():
                job.finished += seconds

    def standing(self, *, now: datetime) -> list[Standing]:
        """Return the jobs that stand, longest first."""
        with self._lock:
            moment, jobs = self._clock(), list(self._jobs.items())
        found = (_standing(name, job, moment - job.finished, now) for name, job in jobs)
        return sorted((one for one in found if one), key=lambda one: one.since)


def _standing(name: str, job: _Job, seconds: float, now: datetime) -> Standing | None:
    late = seconds - job.every
    if late <= job.limit * SAID_AFTER:
        return None
    limit = max(job.limit, FAILING) if job.why else job.limit
    return Standing(name, now - timedelta(seconds=seconds), seconds, job.why, is_over_limit=late > limit)


# ── as a heartbeat carries it from the worker to whoever asks ─────────────────────────────────────


def to_detail(about: Mapping[str, object], standing: Sequence[Standing]) -> str:
    """Write what a heartbeat says."""
    jobs = [{"job": one.job, "since": one.since.isoformat(), "why": one.why} for one in standing]
    return json.dumps({**about, "standing": jobs})


def clock_in(detail: str) -> str:
    """Read what a worker says of its machine's clock; of words that are not ours: nothing."""
    try:
        said = json.loads(detail)["clock"]
    except (ValueError, TypeError, KeyError):
        return ""
    return said if isinstance(said, str) else ""


def from_detail(detail: str) -> list[Standing]:
    """Read which jobs stand; of words that are not ours: none."""
    try:
        jobs = json.loads(detail)["standing"]
        return [Standing(one["job"], datetime.fromisoformat(one["since"]), 0.0, one["why"]) for one in jobs]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
