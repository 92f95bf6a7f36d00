"""A post, its activity and its deliveries are committed together or not at all, whatever fails."""

import pytest
from rows import add_follower, source_of
from sqlalchemy import event

from bridge.changes.judge import judge
from bridge.model import Entry
from bridge.publish.drafts import draft_created, draft_edited
from bridge.publish.posts import commit, delete_post
from bridge.store import posts, schema

TABLES = [table.name for table in schema.metadata.sorted_tables]


class DiskFull(Exception):
    """What the n-th statement fails with."""


class Saboteur:
    """Lets the n-th statement from now on fail; `None` fails none and only counts."""

    def __init__(self, services):
        self._engine = services.store._engine
        self.count, self.fatal = 0, None
        event.listen(self._engine, "before_cursor_execute", self._look)

    def _look(self, *_):
        self.count += 1
        if self.count == self.fatal:
            raise DiskFull

    def watch(self, fatal=None):
        self.count, self.fatal = 0, fatal


@pytest.fixture
def bridge(make_services, database, clock):
    services = make_services(database=database)
    with services.store.write() as tx:
        for host in ("one.example", "two.example", "three.example"):
            add_follower(tx, "ann", host, now=clock.now())
    return services


def everything(services):
    """Every row of every table."""
    with services.store.read() as tx:
        return {name: sorted(map(repr, tx.exec_driver_sql(f"SELECT * FROM {name}"))) for name in TABLES}


def publish(services, entry):
    """Judge and commit an entry as a poll does, in one transaction."""
    now = services.now()
    with services.store.write() as tx:
        known = posts.known(tx, "cafe", ["guid:1"])
        if known:
            edited = judge([entry], known, baseline=False, now=now).edited[0]
            draft = draft_edited(services, "cafe", edited, now=now)
        else:
            created = judge([entry], {}, baseline=False, now=now).created[0]
            draft = draft_created(services, "cafe", created)
        commit(tx, services, draft, source_of(tx), now=now)


def delete(services):
    with services.store.write() as tx:
        known = posts.known(tx, "cafe", ["guid:1"])["guid:1"]
        delete_post(tx, services, posts.find(tx, "cafe", known.id), now=services.now())


CAKE = Entry("1", "https://cafe.example/1/", "Cake", "<p>It is ready.</p>")
STEPS = {
    "publishing": ((), lambda services: publish(services, CAKE)),
    "editing": (
        (lambda services: publish(services, CAKE),),
        lambda services: publish(services, Entry("1", CAKE.link, "Cake", "<p>It is gone.</p>")),
    ),
    "deleting": ((lambda services: publish(services, CAKE),), delete),
}


@pytest.mark.parametrize("what", STEPS)
def test_whichever_statement_fails_nothing_is_half_done(bridge, what):
    before_it, do_it = STEPS[what]
    for step in before_it:
        step(bridge)
    before, saboteur = everything(bridge), Saboteur(bridge)
    failed = 0
    while True:
        saboteur.watch(fatal=failed + 1)
        try:
            do_it(bridge)
        except DiskFull:
            failed += 1
            saboteur.watch()
            assert everything(bridge) == before, f"statement {failed} left something behind"
        else:
            break
    assert failed >= 5
    saboteur.watch()
    after = everything(bridge)
    assert after["posts"] != before["posts"]
    if what != "editing":  # an edit stands for a while before it is sent
        assert len(after["activities"]) == len(before["activities"]) + 1
    if what == "publishing":
        assert len(after["deliveries"]) == 3


def test_a_commit_that_fails_leaves_nothing_behind(bridge):
    before = everything(bridge)

    @event.listens_for(bridge.store._engine, "commit", once=True)
    def fail(_connection):
        raise DiskFull

    with pytest.raises(DiskFull):
        publish(bridge, CAKE)
    assert everything(bridge) == before
    publish(bridge, CAKE)
    assert len(everything(bridge)["deliveries"]) == 3
