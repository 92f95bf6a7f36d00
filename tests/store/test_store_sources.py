from dataclasses import replace
from datetime import timedelta

from rows import INTERVAL

from bridge.model import Problem
from bridge.store import identity, leases, sources
from bridge.store.sources import SourceForUpdate

HOUR = timedelta(hours=1)
BLOG = ("cafe", "blog", "feed", "https://cafe.example/feed.xml")
NOTES = ("cafe", "notes", "folder", "/srv/notes")


def sync(tx, *wanted, clock):
    if not identity.handles(tx):
        identity.add_site(tx, "cafe", "@cafe@cafe.example", now=clock.now())
    sources.sync(tx, wanted, interval=INTERVAL, now=clock.now())


def the_only(tx):
    (source,) = sources.all_sources(tx)
    return source


def poll(tx, *, clock, **found):
    """Claim the one source that is due and settle it."""
    (source,) = sources.claim_due(tx, 9, now=clock.now())
    result = SourceForUpdate(**{"due_at": clock.now() + HOUR, "interval": HOUR, "failures": 0} | found)
    sources.settle(tx, source.id, result, now=clock.now())
    return the_only(tx)


def test_a_new_source_is_due_at_once(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        (source,) = sources.claim_due(tx, 9, now=clock.now())
    assert (source.site, source.name, source.kind, source.location) == BLOG
    assert (source.interval, source.baseline_at, source.failures) == (INTERVAL, None, 0)
    assert source.problems == ()


def test_starting_again_with_the_same_config_changes_nothing(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        before = poll(tx, answered=True, etag='"1"', clock=clock)
        clock.tick(HOUR / 2)
        sync(tx, BLOG, clock=clock)
        assert the_only(tx) == before


def test_a_source_that_left_the_config_is_not_polled_and_may_come_back(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        before = poll(tx, answered=True, clock=clock)
        sync(tx, NOTES, clock=clock)
        assert [source.name for source in sources.all_sources(tx)] == ["notes"]
        assert [source.name for source in sources.claim_due(tx, 9, now=clock.tick(HOUR))] == ["notes"]
        assert sources.make_due(tx, [before.id], now=clock.now()) == 0
        sync(tx, BLOG, NOTES, clock=clock)
        back = sources.all_sources(tx)[0]
    assert (back.id, back.baseline_at) == (before.id, before.baseline_at)


def test_a_source_that_points_elsewhere_is_polled_at_once_and_is_not_new(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        before = poll(tx, answered=True, etag='"1"', last_modified="Sun", body_hash="h", moved_to="https://x.example/",
                      failures=3, clock=clock)  # fmt: skip
        elsewhere = (*BLOG[:3], "https://cafe.example/new.xml")
        sync(tx, elsewhere, clock=clock)
        after = the_only(tx)
        assert [source.id for source in sources.claim_due(tx, 9, now=clock.now())] == [before.id]
    assert (after.id, after.location, after.baseline_at) == (before.id, elsewhere[3], before.baseline_at)
    assert (after.etag, after.last_modified, after.body_hash, after.moved_to) == (None, None, None, None)
    assert after.failures == 0


def test_a_source_is_claimed_by_one_worker_until_the_lease_ends(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        assert len(sources.claim_due(tx, 9, now=clock.now())) == 1
        assert sources.claim_due(tx, 9, now=clock.now()) == []
        assert len(sources.claim_due(tx, 9, now=clock.tick(leases.LEASE))) == 1


def test_no_more_sources_are_claimed_than_asked_for(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, NOTES, clock=clock)
        assert len(sources.claim_due(tx, 1, now=clock.now())) == 1
        assert len(sources.claim_due(tx, 1, now=clock.now())) == 1


def test_no_more_are_claimed_however_the_database_plans_it(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, NOTES, clock=clock)
        if not store.is_sqlite:  # leave it only the plan that looks at the chosen rows anew for each row
            for way in ("hashagg", "hashjoin", "mergejoin", "material", "sort"):
                tx.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        assert len(sources.claim_due(tx, 1, now=clock.now())) == 1


def test_the_first_answer_is_the_baseline_for_ever(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        failed = poll(tx, failures=1, error="timed out", clock=clock)
        assert (failed.baseline_at, failed.last_ok_at, failed.last_polled_at) == (None, None, clock.now())
        clock.tick(HOUR)
        first = poll(tx, answered=True, clock=clock)
        assert first.baseline_at == clock.now()
        clock.tick(HOUR)
        second = poll(tx, answered=True, clock=clock)
    assert (second.baseline_at, second.last_ok_at) == (clock.now() - HOUR, clock.now())


def test_what_a_poll_learned_is_kept_until_the_next_one_learns_something_else(store, clock):
    learned = {"etag": '"1"', "last_modified": "Sun", "body_hash": "h", "moved_to": "https://x.example/",
               "problems": (Problem("entry 4", "has no link"),)}  # fmt: skip
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        source = poll(tx, answered=True, changed=True, **learned, clock=clock)
        assert {name: getattr(source, name) for name in learned} == learned
        assert source.last_changed_at == clock.now()
        clock.tick(HOUR)
        source = poll(tx, failures=1, error="timed out", clock=clock)
        assert {name: getattr(source, name) for name in learned} == learned
        assert (source.failures, source.error) == (1, "timed out")
        assert source.last_changed_at == clock.now() - HOUR
        clock.tick(HOUR)
        source = poll(tx, answered=True, problems=(), etag='"2"', clock=clock)
    assert (source.problems, source.etag, source.error, source.failures) == ((), '"2"', None, 0)


def test_a_source_earns_its_own_interval(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        source = poll(tx, interval=6 * HOUR, due_at=clock.now() + 6 * HOUR, clock=clock)
        assert (source.interval, source.due_at) == (6 * HOUR, clock.now() + 6 * HOUR)
        assert sources.claim_due(tx, 9, now=clock.tick(5 * HOUR)) == []
        assert len(sources.claim_due(tx, 9, now=clock.tick(HOUR))) == 1


def test_whoever_calls_a_thousand_times_has_a_source_polled_a_few_times(store, clock):
    apart, seconds, polls = timedelta(seconds=10), 60, 0
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        poll(tx, due_at=clock.now() + HOUR, clock=clock)
        for _ in range(seconds):
            for _ in range(17):
                sources.make_due_apart(tx, the_only(tx).id, apart, now=clock.now())
            for source in sources.claim_due(tx, 9, now=clock.tick(timedelta(seconds=1))):
                sources.make_due_apart(tx, source.id, apart, now=clock.now())  # in the middle of it
                polls += 1
                settled = SourceForUpdate(clock.now() + HOUR, HOUR, 0, answered=True)
                sources.settle(tx, source.id, settled, now=clock.now())
        assert polls in (5, 6)
        assert the_only(tx).due_at <= clock.now() + apart  # the last call is heard too


def test_a_source_that_rested_is_polled_as_soon_as_it_is_called_for(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, clock=clock)
        source = poll(tx, due_at=clock.now() + HOUR, clock=clock)
        sources.make_due_apart(tx, source.id, timedelta(seconds=10), now=clock.tick(HOUR / 2))
        assert len(sources.claim_due(tx, 9, now=clock.now())) == 1


def test_a_source_that_is_called_for_goes_before_those_that_are_merely_due(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, NOTES, clock=clock)
        notes = sources.all_sources(tx)[1]
        for source in sources.claim_due(tx, 9, now=clock.now()):
            wait = 2 * HOUR if source.id == notes.id else HOUR
            sources.settle(tx, source.id, SourceForUpdate(clock.now() + wait, HOUR, 0), now=clock.now())
        clock.tick(HOUR * 3 / 2)
        sources.make_due(tx, [notes.id], now=clock.now())
        assert [source.name for source in sources.claim_due(tx, 1, now=clock.now())] == ["notes"]


def test_the_owner_can_have_sources_polled_now(store, clock):
    with store.write() as tx:
        sync(tx, BLOG, NOTES, clock=clock)
        for source in sources.claim_due(tx, 9, now=clock.now()):
            later = SourceForUpdate(due_at=clock.now() + HOUR, interval=HOUR, failures=0)
            sources.settle(tx, source.id, replace(later), now=clock.now())
        notes = sources.all_sources(tx)[1]
        assert sources.make_due(tx, [notes.id], now=clock.now()) == 1
        assert [source.name for source in sources.claim_due(tx, 9, now=clock.now())] == ["notes"]
        assert sources.make_due(tx, now=clock.now()) == 2
        assert len(sources.claim_due(tx, 9, now=clock.now())) == 2
