"""Real feeds of many generators and languages make the posts that somebody looked at."""

import pytest
from corpus import ARCHIVE, Row, read_golden, read_index, summarise


@pytest.fixture(scope="module")
def found() -> list[Row]:
    if not ARCHIVE.exists():
        pytest.skip(
            f"{ARCHIVE} is not here: it holds other people's feeds, which are not part of this project"
        )
    return list(summarise())


def test_every_real_feed_yields_its_items(found: list[Row]) -> None:
    assert {row["feed"]: int(row["entries"]) for row in found} == read_index()


def test_real_feeds_make_the_posts_that_were_looked_at(found: list[Row]) -> None:
    """Another summary? `tests/support/corpus.py --write`, and look at the difference."""
    assert {row["feed"]: row for row in found} == {row["feed"]: row for row in read_golden()}
