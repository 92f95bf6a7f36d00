from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.deliver.retry import MISSING, PAUSES, REFUSED, decide, is_down
from bridge.model import Answered, Delivered, Drop, Retry, Unreachable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DOWN = Unreachable("connection refused")

DONE = [200, 201, 202, 204]
BUSY = [408, 421, 425, 429, 500, 502, 503, 504, 520, 599]
REFUSING = [301, 302, 303, 307, 308, 401, 403]
FINAL = [400, 402, 405, 406, 409, 411, 413, 415, 418, 422, 451, 501]


def answered(status, *, retry_after=None, headers=()):
    return Answered(status, headers=MappingProxyType(dict(headers)), retry_after=retry_after)


def decision(outcome, *, attempts=1, jitter=0.0):
    return decide(outcome, attempts=attempts, now=NOW, jitter=jitter)


def history(outcome, *, jitter=0.0):
    """Every attempt at a server that never changes its mind, as time since the first; and the end."""
    attempts, passed = [timedelta()], timedelta()
    while True:
        decided = decide(outcome, attempts=len(attempts), now=NOW + passed, jitter=jitter)
        if not isinstance(decided, Retry):
            return attempts, decided
        passed = decided.due_at - NOW
        attempts.append(passed)


# ── what an answer means ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", DONE)
def test_any_2xx_is_delivered(status):
    assert decision(answered(status)) == Delivered(status)


@pytest.mark.parametrize("outcome", [DOWN, *map(answered, BUSY)], ids=str)
def test_a_server_that_is_down_or_busy_is_tried_again_after_a_minute(outcome):
    decided = decision(outcome)
    assert isinstance(decided, Retry)
    assert decided.due_at == NOW + MINUTE


@pytest.mark.parametrize("status", FINAL)
def test_a_server_that_understood_and_said_no_is_not_asked_again(status):
    decided = decision(answered(status))
    assert isinstance(decided, Drop)
    assert (decided.status, decided.gone) == (status, False)
    assert str(status) in decided.reason


@pytest.mark.parametrize("status", REFUSING)
def test_a_server_that_refuses_us_is_asked_three_more_times_over_a_day(status):
    attempts, end = history(answered(status))
    assert len(attempts) == 4
    assert attempts[-1] >= DAY
    assert isinstance(end, Drop)
    assert not end.gone
    assert str(status) in end.reason


def test_a_410_ends_it_at_once_and_has_the_people_looked_at():
    assert decision(answered(410)) == Drop("410: the inbox is gone for good", 410, gone=True)


def test_a_404_ends_it_after_three_answers_over_two_days():
    attempts, end = history(answered(404))
    assert len(attempts) == 3
    assert attempts[-1] == 2 * DAY
    assert isinstance(end, Drop)
    assert end.gone


@given(st.integers(100, 999), st.integers(1, 50), st.floats(0, 1))
def test_every_status_has_a_meaning(status, attempts, jitter):
    decided = decision(answered(status), attempts=attempts, jitter=jitter)
    assert isinstance(decided, Delivered) == (200 <= status < 300)
    if not isinstance(decided, Delivered):
        assert decided.reason
    if isinstance(decided, Retry):
        assert decided.due_at > NOW


def test_the_reason_is_a_sentence_that_says_what_to_look_at():
    redirect = answered(308, headers={"location": "https://new.example/inbox"})
    assert "https://new.example/inbox" in decision(redirect).reason
    assert "nowhere" in decision(answered(302)).reason
    assert "clock" in decision(answered(401)).reason
    assert "blocked" in decision(answered(403)).reason
    assert decision(DOWN).reason == "connection refused"


# ── patience ─────────────────────────────────────────────────────────────────────────────────────


@given(st.floats(0, 1))
def test_a_dead_server_gets_at_least_twelve_attempts_over_at_least_three_days(jitter):
    attempts, end = history(DOWN, jitter=jitter)
    assert len(attempts) >= 12
    assert attempts[-1] >= 3 * DAY
    assert attempts[-1] < 5 * DAY
    assert isinstance(end, Drop)


@given(st.floats(0, 71), st.floats(0, 1))
def test_a_server_that_was_down_for_up_to_71_hours_still_gets_everything(hours, jitter):
    attempts, _ = history(DOWN, jitter=jitter)
    assert any(passed > timedelta(hours=hours) for passed in attempts)


def test_giving_up_says_how_often_it_was_tried():
    attempts, end = history(DOWN)
    assert end.reason == f"connection refused; given up after {len(attempts)} attempts"
    assert not end.gone


def test_pauses_never_get_shorter():
    for pauses in (PAUSES, REFUSED, MISSING):
        assert list(pauses) == sorted(pauses)


@given(st.floats(0, 1), st.integers(1, len(PAUSES)))
def test_jitter_lengthens_a_pause_by_a_fifth_at_most(jitter, attempts):
    pause = decision(DOWN, attempts=attempts, jitter=jitter).due_at - NOW
    assert PAUSES[attempts - 1] <= pause <= PAUSES[attempts - 1] * 1.2 + timedelta(microseconds=1)


# ── Retry-After ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [429, 503, 401, 403, 404])
def test_a_server_that_says_when_to_come_back_is_not_bothered_before(status):
    decided = decision(answered(status, retry_after=5 * HOUR), jitter=1.0)
    assert decided.due_at == NOW + 5 * HOUR


def test_a_shorter_retry_after_does_not_make_us_hurry():
    decided = decision(answered(503, retry_after=timedelta(seconds=1)), attempts=5)
    assert decided.due_at == NOW + PAUSES[4]


def test_a_retry_after_never_makes_it_longer_than_patience_lasts():
    _, end = history(answered(503, retry_after=6 * HOUR))
    assert isinstance(end, Drop)


# ── the server as a whole ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", [DOWN, *map(answered, BUSY)], ids=str)
def test_no_answer_or_overload_speaks_of_the_whole_server(outcome):
    assert is_down(outcome)


@pytest.mark.parametrize("status", [*DONE, *REFUSING, *FINAL, 404, 410])
def test_any_other_answer_shows_that_the_server_is_alive(status):
    assert not is_down(answered(status))
