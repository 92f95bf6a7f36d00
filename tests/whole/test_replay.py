"""Real sites' histories, replayed: nobody sees a post twice, and nothing is deleted that still exists."""

import pytest

from benchmarks.replay import ARCHIVE, QUICK, replay_all


def test_real_histories_yield_no_duplicates_and_no_deletes() -> None:
    if not ARCHIVE.exists():
        pytest.skip(f"the archive of real histories is not at {ARCHIVE}")
    replays = {one.name: one for one in replay_all(ARCHIVE, only=QUICK)}
    assert replays.keys() == set(QUICK)
    for one in replays.values():
        assert one.posts and not one.duplicates and not one.deletes, one
