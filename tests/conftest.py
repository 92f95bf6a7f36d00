"""Fixtures for the whole suite: both databases, a clock that is set by hand, and a bridge for one café."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import branches
import pytest
from databases import Missing, Postgres, copy_sqlite, migrated_sqlite, postgres
from rows import add_site

from bridge.activitypub.keys import generate_ed25519, generate_rsa
from bridge.addresses import Reach
from bridge.config import Config, load_config
from bridge.services import PUBLIC_INTERNET, Services, open_services
from bridge.store import Store, open_store

SAME_HOST, SPLIT = "https://cafe.example", "https://social.cafe.example"
FEED = '[[sites.cafe.sources]]\nname = "blog"\nfeed = "https://cafe.example/feed.xml"\n'


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def tick(self, passed: timedelta) -> datetime:
        self._now += passed
        return self._now


@pytest.fixture
def clock() -> Clock:
    return Clock()


# ── databases ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_sqlite(tmp_path_factory.mktemp("template") / "template.db")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server for the run; tests that ask for it are skipped where there is none."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres())
        except Missing as missing:
            pytest.skip(str(missing))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        yield copy_sqlite(request.getfixturevalue("sqlite_template"), tmp_path / "store" / "test.db")
        return
    with request.getfixturevalue("postgres_server").migrated() as url:
        yield url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An open, empty store; the test runs once on each kind of database."""
    opened = open_store(database)
    yield opened
    opened.close()


@pytest.fixture
def cafe(store: Store, clock: Clock) -> Store:
    """A store that knows two sites, `cafe` and `bakery`, each with a source `blog`."""
    with store.write() as tx:
        for site in ("cafe", "bakery"):
            add_site(tx, site, now=clock.now())
    return store


# ── a bridge ─────────────────────────────────────────────────────────────────────────────────────

Generators = Mapping[str, Callable[[], str]]


@pytest.fixture(scope="session")
def spare_keys() -> dict[str, list[str]]:
    """Keys made once for all tests: an RSA key takes a tenth of a second."""
    return {"rsa": [], "ed25519": []}


@pytest.fixture
def generators(spare_keys: dict[str, list[str]]) -> Generators:
    """Stand-ins for the key generators: distinct real keys within a test, the same ones in every test."""

    def serve(kind: str, generate: Callable[[], str]) -> Callable[[], str]:
        served = iter(range(1000))

        def next_key() -> str:
            place = next(served)
            if place == len(spare_keys[kind]):
                spare_keys[kind].append(generate())
            return spare_keys[kind][place]

        return next_key

    return {"rsa": serve("rsa", generate_rsa), "ed25519": serve("ed25519", generate_ed25519)}


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Write a config.toml for the site `cafe` and load it.

    `top` are lines before, `site` lines in, and `sources` the tables after ``[sites.cafe]``; data lies in
    ``tmp_path/data``.
    """

    def make(
        *,
        base_url: str = SAME_HOST,
        handle: str = "@cafe@cafe.example",
        website: str = "https://cafe.example/",
        database: str | None = None,
        top: str = "",
        site: str = "",
        sources: str = FEED,
    ) -> Config:
        named = f'database = "{database}"\n' if database else ""
        about = f'handle = "{handle}"\nwebsite = "{website}"\nname = "Café"\n'
        text = f'base_url = "{base_url}"\n{named}{top}\n[sites.cafe]\n{about}{site}\n{sources}'
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ={})

    return make


@pytest.fixture
def make_services(
    make_config: Callable[..., Config], clock: Clock, generators: Generators, sqlite_template: Path
) -> Iterator[Callable[..., Services]]:
    """Open services for `make_config`'s arguments; called twice, the second finds the first one's data."""
    with ExitStack() as opened:

        def make(*, reach: Reach = PUBLIC_INTERNET, prompt: bool = False, **written: str) -> Services:
            config = make_config(**written)
            if config.database.startswith("sqlite:///"):
                copy_sqlite(sqlite_template, Path(config.database.removeprefix("sqlite:///")))
            services = open_services(config, reach=reach, now=clock.now, generators=generators, prompt=prompt)
            opened.callback(services.close)
            return services

        yield make


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    """A bridge for `@cafe@cafe.example` on its own host, with an SQLite database and one feed, `blog`."""
    return make_services()


# ── nothing is skipped unnoticed ─────────────────────────────────────────────────────────────────


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "may_skip(why): this test may be skipped even under REQUIRE_ALL=1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Under REQUIRE_ALL=1 (as .ci/run sets it) a skipped test is a failed one."""
    report = yield
    if not item.get_closest_marker("may_skip"):
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for modules that skip themselves as a whole."""
    report = yield
    _fail_if_skipped(report)
    return report


def _fail_if_skipped(report) -> None:
    if os.environ.get("REQUIRE_ALL") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"REQUIRE_ALL=1, but this did not run: {why}"


_REACHED = pytest.StashKey[str]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[_REACHED] = branches.finish(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if said := config.stash.get(_REACHED, ""):
        terminalreporter.write_line(said)
