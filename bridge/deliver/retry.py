"""Decides what an attempt's outcome means: delivered, sent again and when, or given up and why.

Servers that are down get patience (13 attempts over more than three days), those that refuse us little, those
that understood and said no none. Mastodon tries 17 times in two to three days and drops most 4xx at once
(app/workers/delivery_worker.rb); Misskey tries 12 times.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bridge.model import Answered, Decision, Delivered, Drop, DropCause, Fault, Outcome, Retry, Unreachable

PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 720, 720, 720, 720, 720)
)
"""Pauses after each failed attempt while a server is down or busy: 82 hours in all, before jitter."""

REFUSED = (timedelta(minutes=10), timedelta(hours=2), timedelta(hours=22))
"""Pauses after 401, 403 and redirects: very often it is a key, a clock or a firewall that gets mended."""

MISSING = (timedelta(hours=1), timedelta(hours=47))
"""Pauses after 404: three of them over two days mean that the inbox is gone."""

OUR_PAUSE = timedelta(minutes=1)
"""Pause after a shortage of our own, which is no attempt."""

_BUSY = frozenset({408, 421, 425, 429})
_WHAT_4XX_SAYS = {
    400: "it could not read the activity",
    405: "it takes no posts at this address",
    406: "it does not take this content type",
    413: "the activity is too large for it",
    422: "it would not process the activity",
}


def decide(outcome: Outcome, *, attempts: int, now: datetime, jitter: float) -> Decision:
    """Turn the outcome of attempt number `attempts` (from 1) into what happens next.

    `jitter` (0 to 1) spreads retries out, so that a server that comes back is not met by everything at
    once; it only ever lengthens a pause, by up to a fifth.
    """
    if isinstance(outcome, Unreachable):
        return _unreachable(outcome, attempts, now, jitter)
    status = outcome.status
    if 200 <= status < 300:
        return Delivered(status)
    if status == 410:
        return Drop("410: the inbox is gone for good", status, gone=True)
    if status == 404:
        return _missing(outcome, attempts, now, jitter)
    if status in (401, 403) or 300 <= status < 400:
        return _wait(REFUSED, attempts, now, jitter, _refusal(outcome), status, outcome.retry_after)
    if _is_busy(status):
        return _wait(PAUSES, attempts, now, jitter, f"{status}: not now", status, outcome.retry_after)
    return Drop(f"{status}: {_WHAT_4XX_SAYS.get(status, 'it does not take this')}", status)


def is_down(outcome: Outcome) -> bool:
    """Say whether an outcome speaks of the inbox or its server (no answer, overload), not of the delivery."""
    if isinstance(outcome, Unreachable):
        return outcome.fault in (Fault.HOST, Fault.INBOX)
    return _is_busy(outcome.status)


def is_host_down(outcome: Outcome) -> bool:
    """Say whether a server could not be reached at all, whatever was asked for there."""
    return isinstance(outcome, Unreachable) and outcome.fault is Fault.HOST


def _unreachable(outcome: Unreachable, attempts: int, now: datetime, jitter: float) -> Decision:
    if outcome.fault is Fault.RULE:
        return Drop(outcome.why, cause=DropCause.UNUSABLE)
    if outcome.fault is Fault.SHORTAGE:
        return Retry(now + OUR_PAUSE * (1 + 0.2 * jitter), outcome.why, counts=False)
    decided = _wait(PAUSES, attempts, now, jitter, outcome.why, None, None)
    host_down = outcome.fault is Fault.HOST
    return replace(decided, host_down=host_down) if isinstance(decided, Retry) else decided


def _is_busy(status: int) -> bool:
    return status in _BUSY or (status >= 500 and status != 501)


def _missing(outcome: Answered, attempts: int, now: datetime, jitter: float) -> Decision:
    if attempts > len(MISSING):
        return Drop("404 three times over two days: no such inbox", 404, gone=True)
    return _wait(MISSING, attempts, now, jitter, "404: no such inbox", 404, outcome.retry_after)


def _refusal(outcome: Answered) -> str:
    if outcome.status == 401:
        return "401: it rejects our signature (a wrong clock, or a proxy that changes requests)"
    if outcome.status == 403:
        return "403: it refuses us (blocked there, or a firewall)"
    return f"{outcome.status}: it redirects to {outcome.headers.get('location', 'nowhere')[:200]}"


def _wait(
    pauses: tuple[timedelta, ...],
    attempts: int,
    now: datetime,
    jitter: float,
    reason: str,
    status: int | None,
    asked: timedelta | None,
) -> Decision:
    if attempts > len(pauses):
        gave_up = f"{reason}; given up after {attempts} attempts"
        return Drop(gave_up, status, cause=DropCause.EXHAUSTED)
    pause = pauses[attempts - 1] * (1 + 0.2 * jitter)
    return Retry(now + max(pause, asked or timedelta()), reason, status)
