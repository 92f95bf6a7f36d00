"""The worker takes over from the one before, keeps time, and outlives its own failures."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from lab import CAFE, INBOX, Lab

from bridge.store import deliveries, identity, inbox
from bridge.worker.jobs import Worker


@pytest.fixture
def lab(make_services, clock) -> Iterator[Lab]:
    with Lab(make_services, clock) as lab:
        yield lab


@pytest.fixture
def worker(lab: Lab) -> Worker:
    return Worker(lab.services, lab.client, asyncio.Event())


def test_a_new_worker_takes_up_what_the_last_one_held(lab: Lab, worker: Worker) -> None:
    alice, bob = lab.peer().person(), lab.peer("other.example").person()
    lab.follow(alice)
    lab.publish()
    bob.send(bob.follow(CAFE), INBOX)
    with lab.store.write() as tx:  # the last worker's claims, minutes before anybody would take them over
        deliveries.claim(tx, 10, lane=deliveries.FAST, busy=[], per_host=2, now=lab.clock.now())
        inbox.claim_due(tx, 10, now=lab.clock.now())
    lab.work()
    assert (alice.peer.types, bob.peer.types) == (["Accept"], [])
    worker.take_over()
    lab.work()
    assert (alice.peer.types, bob.peer.types) == (["Accept", "Create"], ["Accept"])


def test_a_changed_profile_is_told_to_followers_once(lab: Lab, worker: Worker) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    worker.take_over()
    lab.deliver()
    assert alice.peer.types == ["Accept"]
    for _ in range(2):
        lab.wait(hours=1)
        lab.change_config(site='summary = "Now with buns"')
        Worker(lab.services, lab.client, asyncio.Event()).take_over()
        lab.deliver()
    assert alice.peer.types == ["Accept", "Update"]
    actor = alice.peer.received[-1].activity["object"]
    assert actor["id"] == CAFE
    assert "Now with buns" in actor["summary"]


def test_a_job_that_fails_is_named_and_the_worker_goes_on(
    worker: Worker, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise RuntimeError("the database is away")

    lab.run(worker._run("deliver", fail))
    assert "The job “deliver” failed; it will run again" in caplog.text
    lab.run(worker.finish())


def test_a_job_that_keeps_failing_is_logged_once_and_once_more_when_it_works(
    worker: Worker, lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    problems = [RuntimeError("away"), RuntimeError("away"), RuntimeError("burnt"), None, RuntimeError("away")]

    async def go_on() -> None:
        problem = problems.pop(0)
        if problem:
            raise problem

    with caplog.at_level("INFO", "bridge.worker.jobs"):
        while problems:
            lab.run(worker._run("deliver", go_on))
    said = [record.getMessage() for record in caplog.records]
    failed, works = "The job “deliver” failed; it will run again", "The job “deliver” works again"
    assert said == [failed, failed, works, failed]


def test_every_pump_is_scheduled_and_none_runs_twice_at_once(worker: Worker, lab: Lab) -> None:
    scheduler = AsyncIOScheduler(timezone="UTC")
    worker.schedule(scheduler)
    jobs = scheduler.get_jobs()
    assert {"receive", "deliver", "poll", "look at actors", "heartbeat"} <= {job.id for job in jobs}
    assert all((job.max_instances, job.coalesce) == (1, True) for job in jobs)


def test_after_a_stop_no_job_begins(lab: Lab) -> None:
    stop = asyncio.Event()
    stop.set()
    begun = []

    async def begin() -> None:
        begun.append(True)

    lab.run(Worker(lab.services, lab.client, stop)._run("poll", begin))
    assert begun == []


def test_the_worker_is_heard_of_while_it_lives(lab: Lab, worker: Worker) -> None:
    ready = f"{lab.services.config.base_url}/readyz"
    assert lab.bridge.get(ready)[0] == 503
    worker.beat()
    assert lab.bridge.get(ready)[0] == 200
    lab.wait(minutes=2)
    assert lab.bridge.get(ready)[0] == 503
    with lab.store.read() as tx:
        assert "worker" in identity.heartbeats(tx)


def test_what_is_long_over_is_forgotten_and_followers_are_not(lab: Lab, worker: Worker) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    lab.publish()
    lab.deliver()
    worker._keep_house()
    assert len(lab.deliveries()) == 2
    lab.clock.tick(timedelta(days=61))
    worker._keep_house()
    assert lab.deliveries() == []
    assert lab.arrivals() == []
    assert lab.follower_ids() == {alice.id}
    assert alice.send(alice.follow(CAFE), INBOX) == 202
    lab.work()
    assert alice.peer.types[-1] == "Accept"
