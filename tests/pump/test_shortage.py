"""What we lack ourselves is no attempt, and no failure of those we could not ask for it."""

import asyncio
import errno
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from lab import Lab

from bridge.addresses import Reach
from bridge.deliver.retry import is_down
from bridge.model import Answered, DeliveryState, Fault, Unreachable
from bridge.net.client import Client
from bridge.people.budget import FAILURES_IN_ALL
from bridge.people.fetch import FoundActor, NotNow
from bridge.pump.open_files import SPARE_FILES, WAITING_TIMES, files, fitting, make_room
from bridge.store import inboxes, peers

PENDING = DeliveryState.PENDING


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


class Lacking:
    """A client that lacks something while `why` says so."""

    def __init__(self, client: Client, error: BaseException | None) -> None:
        self._dial = client._dial
        self.error = error

    def dial(self, info):
        if self.error is not None:
            raise self.error
        return self._dial(info)


def lack(lab: Lab, error: OSError) -> Lacking:
    """Let the worker begin anew, without open connections, and lack something."""
    lab.run(lab.client.close())
    lab.client = lab.run(lab._open_client())
    lacking = Lacking(lab.client, error)
    lab.client._session.connector._socket_factory = lacking.dial
    lab.start_worker()
    return lacking


LACKS = [OSError(errno.EMFILE, "x"), OSError(errno.ENFILE, "x"), OSError(errno.ENOMEM, "x"),
         OSError(errno.ENOBUFS, "x")]  # fmt: skip


@pytest.mark.parametrize("error", LACKS, ids=lambda error: errno.errorcode[error.errno])
def test_a_shortage_of_ours_is_no_attempt_and_opens_no_breaker(lab: Lab, error: OSError) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    alice.peer.received.clear()
    lab.publish()
    lacking = lack(lab, error)
    for _ in range(20):
        lab.deliver()
        lab.wait(minutes=2)
    (waiting,) = lab.deliveries(PENDING)
    assert waiting.attempts == 0
    with lab.store.read() as tx:
        assert (peers.failing(tx), inboxes.failing(tx)) == ([], [])
    lacking.error = None
    lab.deliver()
    assert alice.peer.types == ["Create"]


def test_a_feed_that_we_had_no_files_for_did_not_fail(lab: Lab) -> None:
    lab.poll()
    lack(lab, LACKS[0])
    lab.poll()
    assert (lab.source().failures, lab.source().error) == (0, None)
    assert lab.source().due_at <= lab.clock.now() + timedelta(minutes=2)


def ask(*names: str, silent: set[str], addresses: str = "127.0.0.2") -> dict[str, Unreachable | Answered]:
    """Ask hosts one after the other while DNS says nothing about some of them."""

    async def lookup(host: str, port: int) -> list[str]:
        if host in silent or "everyone" in silent:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [addresses]

    async def go() -> dict[str, Unreachable | Answered]:
        reach = Reach(frozenset({(addresses, 9)}))
        async with Client("test", reach, lookup=lookup) as client:
            return {name: await client.post(f"http://{name}:9/", b"{}", {}, timeout=5) for name in names}

    return asyncio.run(go())


def test_a_resolver_that_answers_for_nobody_is_ours_to_mend() -> None:
    outcomes = ask("one.example", "two.example", silent={"everyone"}).values()
    assert [outcome.fault for outcome in outcomes] == [Fault.SHORTAGE] * 2
    assert not any(is_down(outcome) for outcome in outcomes)
    assert all("our own DNS resolver" in outcome.why for outcome in outcomes)


def test_a_name_that_alone_gets_no_answer_is_its_owners_to_mend() -> None:
    outcomes = ask("well.example", "lost.example", silent={"lost.example"})
    assert outcomes["lost.example"] == Unreachable("DNS: no answer", Fault.HOST)


@pytest.mark.parametrize(
    ("concurrency", "files", "fits"),
    [
        (300, 1 << 20, 300),
        (300, 1024, 300),
        (2000, 1024, 1024 - SPARE_FILES // 2),
        (300, 256, 56),
        (300, 64, 1),
    ],
)
def test_deliveries_fit_into_the_files_that_may_be_open(concurrency: int, files: int, fits: int) -> None:
    assert fitting(concurrency, files) == fits


# ── feeds that hang ──────────────────────────────────────────────────────────────────────────────


def test_feeds_on_hosts_that_hang_hold_up_no_other(make_services, clock) -> None:
    crowd = "".join(
        f'[[sites.cafe.sources]]\nname = "slow{n}"\nfeed = "http://slow{n}.example:{{port}}/feed"\n'
        for n in range(40)
    )

    async def hang(request):
        await asyncio.Event().wait()

    with Lab(make_services, clock) as lab:
        slow = lab.network.host("slow.example", hang)
        lab.change_config(sources=crowd.format(port=slow.port) + lab.feed)

        async def until_read() -> None:
            polling = asyncio.ensure_future(lab.poller.run(lab.stop))
            while lab.source().last_ok_at is None:
                await asyncio.sleep(0.02)
            lab.stop.set()
            await polling

        lab.run(asyncio.wait_for(until_read(), 25))  # one feed that hangs takes 30 seconds
    assert lab.source


def test_one_host_has_only_some_of_the_polls(make_services, clock) -> None:
    feeds = "".join(
        f'[[sites.cafe.sources]]\nname = "f{n}"\nfeed = "http://same.example/{n}"\n' for n in range(12)
    )
    with Lab(make_services, clock) as lab:
        lab.change_config(sources=feeds + lab.feed)
        claimed = lab.poller._claim(20)
        assert len([one for one in claimed if "same.example" in one.location]) == 5
        assert any(one.name == "blog" for one in claimed)


def test_fetches_that_we_lacked_something_for_use_up_no_budget(lab: Lab) -> None:
    alice = lab.peer().person()
    lacking = lack(lab, LACKS[0])
    for _ in range(3 * FAILURES_IN_ALL):
        found = lab.run(lab.fetcher.actor(alice.id))
        assert isinstance(found, NotNow)
        assert not found.asked
    lacking.error = None
    assert isinstance(lab.run(lab.fetcher.actor(alice.id)), FoundActor)


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_room_is_made_for_as_many_files_as_deliveries_need(
    limits: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, hard = limits
    wanted = WAITING_TIMES * 300 + SPARE_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (900, hard))
    make_room(300)
    assert files() == (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    make_room(100)  # needs less: nothing is taken back
    assert files() == min(wanted, hard if hard != resource.RLIM_INFINITY else wanted)
    assert "files may be open" not in caplog.text


def test_where_no_room_can_be_made_fewer_go_out_and_it_is_said() -> None:
    """In a process of its own: a hard limit that was lowered cannot be raised again."""
    script = (
        "import logging, resource; logging.basicConfig();"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 400));"
        "from bridge.pump.open_files import files, make_room; make_room(300); print(files())"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "400"
    assert "Only 400 files may be open, so 200 deliveries go out at a time instead of 300." in ended.stderr
