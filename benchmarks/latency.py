"""Latency: from the word that there is news to the first delivery, with the real processes."""

import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.newsroom import Newsroom, running_newsroom
from benchmarks.postgres import POSTGRES, new_database
from benchmarks.processes import Process, module, until
from benchmarks.sink import DOMAIN, Sink, running_sink
from benchmarks.subject import add_followers, free_port
from benchmarks.tables import Table, spread
from bridge.cli.settings import Settings

SLOW = 2.0  # seconds until a picture is there
SECRET = "nobody-else-is-here-to-guess-it"
GOAL = "from the push to the first delivery in less than 5 seconds"
_CONFIG = """\
base_url = "https://cafe.example"
data = "data"
{database}

[server]
host = "127.0.0.1"
port = {port}

[sites.cafe]
handle = "@cafe@cafe.example"
website = "https://cafe.example/"
name = "The Wren & Kettle"
hook_secret = "{secret}"

[[sites.cafe.sources]]
name = "blog"
feed = "{feed}"

[[sites.cafe.sources]]
folder = "content"
"""


class Cafe:
    """A running bridge with a feed, a folder and one follower."""

    def __init__(self, folder: Path, port: int, room: Newsroom, sink: Sink) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{port}"
        self._sink = sink
        self._files = 0
        self.room = room

    def call(self, *, pictures: int = 0) -> None:
        """Call as the site's build does, when the feed has something new."""
        self.room.publish(pictures=pictures)
        headers = {"Authorization": f"Bearer {SECRET}"}
        urllib.request.urlopen(
            urllib.request.Request(f"{self._url}/ap/hooks/poll/cafe", b"", headers)
        ).close()

    def call_about_pictures(self) -> None:
        """The same for a photo post whose pictures take their time."""
        self.call(pictures=4)

    def push(self) -> None:
        """Push as the feed's hub does."""
        self.room.publish()
        self.room.push(self._url)

    def save(self) -> None:
        """Save a file as an editor does: under another name, then renamed."""
        self._files += 1
        draft = self._folder / ".draft"
        draft.write_text(f"---\ntitle: Menu {self._files}\n---\nPlum cake, the {self._files}th.\n")
        draft.rename(self._folder / "content" / f"{self._files}.md")

    def seconds(self, tell: Callable[[], None]) -> float:
        """Tell the bridge that there is news; return how long it took until the sink had the post."""
        self._sink.reset()
        began = time.monotonic()
        tell()
        until(lambda: self._sink.tally().requests > 0, "the delivery")
        return self._sink.tally().first_at - began

    def is_ready(self) -> bool:
        """Say whether the hub and the web process know one another."""
        return self.room.verify(self._url)


def measure(*, quick: bool) -> list[Table]:
    """Measure every way of hearing of news."""
    rounds = 2 if quick else 9
    with _cafe() as cafe:
        ways = {
            "a call from the build → the feed is read": cafe.call,
            "the same, for four pictures that take 2 s each": cafe.call_about_pictures,
            "a WebSub hub pushes the feed": cafe.push,
            "a file is saved in a folder": cafe.save,
        }
        rows = [_row(f"{way}; SQLite", cafe, tell, rounds) for way, tell in ways.items()]
    server = os.environ.get(POSTGRES)
    if server:
        with new_database(server) as url, _cafe(url) as cafe:
            rows.append(_row("a call from the build; PostgreSQL, two processes", cafe, cafe.call, rounds))
    missing = () if server else (f"PostgreSQL was left out: {POSTGRES} names none.",)
    return [
        Table(
            "From news to the first delivery",
            ("", "seconds"),
            rows,
            GOAL,
            (
                "From the moment before the call, push or save to the moment the follower's server has the "
                "post, over TLS. The config is the default one: files are looked at every 3 s. "
                f"Medians of {rounds}, with the range.",
                *missing,
            ),
        )
    ]


def _row(name: str, cafe: Cafe, tell: Callable[[], None], rounds: int) -> tuple[str, str]:
    found = []
    for number in range(rounds):
        time.sleep(10 + 0.37 * number)  # more than six calls in a minute are refused; and never in step
        found.append(cafe.seconds(tell))
    return name, spread(found, "{:.1f}")


@contextmanager
def _cafe(database: str | None = None) -> Iterator[Cafe]:
    """Run a bridge: everything on one machine with SQLite, web and worker apart with PostgreSQL."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(running_sink(folder, tls=True))
        room = stack.enter_context(running_newsroom(SLOW))
        (folder / "content").mkdir()
        named, port = f'database = "{database}"' if database else "", free_port()
        text = _CONFIG.format(database=named, port=port, secret=SECRET, feed=room.feed)
        (folder / "config.toml").write_text(text)
        settings = Settings(
            config=folder / "config.toml",
            allow=(f"127.0.0.1:{sink.port}", f"127.0.0.1:{room.port}"),
            resolve=(f"{DOMAIN}=127.0.0.1",),
            ca_file=str(sink.ca_file),
        )
        services = settings.open()
        add_followers(services, sink, 1)
        services.close()
        for command in ("web", "worker") if database else ("run",):
            arguments = module("bridge", *settings.arguments(), command)
            stack.enter_context(Process(arguments, folder / f"{command}.log"))
        cafe = Cafe(folder, port, room, sink)
        until(cafe.is_ready, "a subscription at the hub")
        yield cafe
