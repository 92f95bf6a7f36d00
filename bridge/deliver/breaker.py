"""What attempts teach about a host and an inbox: which signature they take, and when to leave them alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge.deliver.retry import is_down, is_host_down
from bridge.model import Answered, Delivery, Outcome, Scheme, Unreachable
from bridge.store import Tx, deliveries, inboxes, peers
from bridge.store.inboxes import Inbox
from bridge.store.peers import Peer

REMEMBER_SCHEME = timedelta(days=7)

BREAK_AFTER = 5  # failures in a row, after which a host is left alone for a while

FIRST_BREAK, LONGEST_BREAK = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt went. No outcome: it was interrupted by a stop, and does not count.

    `scheme` is the one that was accepted.
    """

    delivery: Delivery
    outcome: Outcome | None
    scheme: Scheme | None = None


def accepted(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Answered) and 200 <= outcome.status < 300


def scheme_remembered(peer: Peer | None, now: datetime) -> Scheme | None:
    if peer is None or peer.scheme_at is None or now - peer.scheme_at > REMEMBER_SCHEME:
        return None
    return peer.scheme


def learn_all(tx: Tx, attempts: Sequence[Attempt], *, now: datetime) -> None:
    known = dict(peers.known(tx, {one.delivery.host for one in attempts})) if attempts else {}
    watched = dict(inboxes.known(tx, {one.delivery.inbox for one in attempts})) if attempts else {}
    for one in attempts:
        _learn_of_host(tx, known, one, now=now)
        _learn_of_inbox(tx, watched, one, now=now)
    for host in {one.delivery.host for one in attempts if _fails_alone(one)}:
        if inboxes.all_fail(tx, host, at_least=BREAK_AFTER):
            _leave_alone(tx, host, now=now)


def _learn_of_host(tx: Tx, known: dict[str, Peer], attempt: Attempt, *, now: datetime) -> None:
    host = attempt.delivery.host
    before = known.get(host) or Peer(host)
    after = learn(before, attempt, now=now)
    if after == before:
        return
    known[host] = after
    peers.save(tx, after)
    if before.failures and not after.failures:
        deliveries.flush_host(tx, host, now=now)
    elif after.open_until and after.open_until != before.open_until:
        deliveries.hold_host(tx, host, after.open_until)


def _learn_of_inbox(tx: Tx, watched: dict[str, Inbox], attempt: Attempt, *, now: datetime) -> None:
    inbox = attempt.delivery.inbox
    before = watched.get(inbox) or Inbox(inbox, attempt.delivery.host)
    after = learn_of_inbox(before, attempt, now=now)
    if after.foreign and after.took_at is None and accepted(attempt.outcome):
        inboxes.took(tx, inbox, now=now)
        after = replace(after, took_at=now)
    if after == before:
        return
    watched[inbox] = after
    inboxes.save(tx, after, now=now)
    if before.open_until and not after.open_until:
        deliveries.flush_inbox(tx, inbox, now=now)
    elif after.open_until and after.open_until != before.open_until:
        deliveries.hold_inbox(tx, inbox, after.open_until)


def _fails_alone(attempt: Attempt) -> bool:
    """Say whether an inbox failed of a host that was reached."""
    outcome = attempt.outcome
    return outcome is not None and is_down(outcome) and not is_host_down(outcome)


def _leave_alone(tx: Tx, host: str, *, now: datetime) -> None:
    """All that is asked for on a host fails: that is the host's failure, whichever address it is."""
    for one in inboxes.failing_on(tx, host):
        if one.open_until is None or one.open_until <= now:
            left_alone = replace(one, open_until=now + FIRST_BREAK)
            inboxes.save(tx, left_alone, now=now)
            deliveries.hold_inbox(tx, one.inbox, now + FIRST_BREAK)


def learn(peer: Peer, attempt: Attempt, *, now: datetime) -> Peer:
    """Update what we know of a peer; the very same object when there is nothing worth storing.

    Only what is true of the host as a whole is booked on it: one address that fails may be a stranger's.
    """
    outcome = attempt.outcome
    assert outcome is not None
    if isinstance(outcome, Unreachable):
        return _failed(peer, outcome.why, now) if is_host_down(outcome) else peer
    if is_down(outcome):
        return peer
    if peer.failures:
        peer = replace(peer, failures=0, open_until=None, failing_since=None, last_success_at=now, error=None)
    # Cavage is what strangers get anyway: nothing to remember about the thousands who take it.
    learned = attempt.scheme is not None and attempt.scheme is not (peer.scheme or Scheme.CAVAGE)
    stale = peer.scheme is not None and attempt.scheme is peer.scheme and scheme_remembered(peer, now) is None
    return replace(peer, scheme=attempt.scheme, scheme_at=now) if learned or stale else peer


def learn_of_inbox(inbox: Inbox, attempt: Attempt, *, now: datetime) -> Inbox:
    """Update what we know of an inbox; failures of its host and of ours are none of it."""
    outcome = attempt.outcome
    assert outcome is not None
    if _fails_alone(attempt):
        failures = inbox.failures + 1
        why = outcome.why if isinstance(outcome, Unreachable) else f"it answers {outcome.status}"
        since, until = inbox.failing_since or now, _open_until(failures, now) or inbox.open_until
        return replace(inbox, failures=failures, failing_since=since, error=why, open_until=until)
    if isinstance(outcome, Unreachable) or not inbox.failures:
        return inbox
    return replace(inbox, failures=0, failing_since=None, error=None, open_until=None)


def _failed(peer: Peer, why: str, now: datetime) -> Peer:
    failures = peer.failures + 1
    return replace(
        peer,
        failures=failures,
        failing_since=peer.failing_since or now,
        last_failure_at=now,
        error=why,
        open_until=_open_until(failures, now),
    )


def _open_until(failures: int, now: datetime) -> datetime | None:
    """Say until when something is left alone after so many failures in a row."""
    if failures < BREAK_AFTER:
        return None
    pause: timedelta = min(FIRST_BREAK * 2 ** min(failures - BREAK_AFTER, 10), LONGEST_BREAK)
    return now + pause
