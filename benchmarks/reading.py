"""Reading: how often an entry's HTML is sanitised and parsed in a poll, and what a poll of 100 entries costs.

Nothing is sent and no socket is opened: the feed comes out of memory, through everything from the claim in
SQLite to the commit of what was found.
"""

import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from types import FrameType
from typing import Any, cast

from benchmarks.subject import BASE_URL, free_port
from benchmarks.tables import Table, spread
from bridge.cli.settings import Settings
from bridge.model import Answered, Outcome, Unreachable
from bridge.net.client import Client
from bridge.poll.poller import Poller
from bridge.services import Services
from bridge.store import sources

ENTRIES = 100
FEED = f"{BASE_URL}/feed.xml"
GOAL = "a known entry's HTML is read twice: once to make it absolute, once for its text"
_NAMES = ("all new (the first poll)", "all known", "all known but one, which is sent")
_ROUNDS = 5
_NEWEST = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)

_CONFIG = f"""\
base_url = "{BASE_URL}"
data = "data"

[server]
host = "127.0.0.1"
port = {{port}}

[sites.cafe]
handle = "@cafe@cafe.example"
website = "{BASE_URL}/"
name = "The Wren & Kettle"

[[sites.cafe.sources]]
name = "blog"
feed = "{FEED}"
"""
_BODY = """\
<h2>Batch {number}</h2>
<p>From Thursday there is <strong>plum cake</strong> again, number {number}, baked with plums from Ada's
garden, and a <a href="/coffee/{number}">new coffee</a> from a farm in Huila that tastes of apricots.</p>
<ul><li>We open at eight, as always.</li><li>On Sunday we stay open until the <em>last</em> ferry.</li></ul>
<blockquote><p>Come early, the cake will not last.</p></blockquote>
<pre><code>flour = {number} * 250
plums = flour * 2
</code></pre>
<p>The oven is an old one, and so is the recipe: it came with the house, on a sheet that somebody had folded
into the back of a drawer. We have changed nothing in it but the sugar, of which there is a little less.</p>
<p>See <a href="https://cafe.example/menu">the whole menu</a>, and <a href="{link}">read on</a>.</p>
"""


class _Shelf:
    """Answers for the one feed there is, and for nothing else."""

    def __init__(self) -> None:
        self.body = b""

    async def get(self, url: str, **_: Any) -> Outcome:
        """Answer as `Client.get` does."""
        if url != FEED:
            return Unreachable("there is only the feed")
        return Answered(200, {"content-type": "application/rss+xml"}, self.body, url)


def feed(count: int, *, built: int) -> bytes:
    """Write a feed of so many entries, the newest first; `built` makes other bytes of the same entries."""
    items = "".join(_item(number) for number in range(count, 0, -1))
    head = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Café</title><ttl>{built}</ttl>'
    return f"{head}{items}</channel></rss>".encode()


def _item(number: int) -> str:
    link = f"{BASE_URL}/blog/{number}/"
    date = format_datetime(_NEWEST - timedelta(hours=ENTRIES + 1 - number))
    body = escape(_BODY.format(number=number, link=link))
    return (
        f"<item><title>Plum cake, batch {number}</title><link>{link}</link><guid>{link}</guid>"
        f"<pubDate>{date}</pubDate><description>{body}</description></item>"
    )


def measure(*, quick: bool) -> list[Table]:
    """Poll 100 entries that are new, then known, then known but for one; count, and time it."""
    rounds = 1 if quick else _ROUNDS
    times = [[_time(kind) for _ in range(rounds)] for kind in range(3)]
    rows = [
        (name, f"{cleaned:.0f}", f"{parsed:.0f}", spread(spent, "{:.0f}"))
        for name, (cleaned, parsed), spent in zip(_NAMES, per_entry(), times, strict=True)
    ]
    columns = ("", "sanitised per entry", "parsed per entry", "ms of processor per poll")
    note = (
        "Sanitised: calls of nh3. Parsed: calls of `HTMLParser.feed`. Of the last row only the entry that "
        "came is counted, and the whole poll is timed."
    )
    return [Table(f"Reading {ENTRIES} entries", columns, rows, GOAL, (note,))]


def per_entry() -> list[tuple[int, int]]:
    """Count, for each row, how often an entry's HTML is sanitised and parsed."""
    new, known, one_more = (_count(kind) for kind in range(3))
    each = [(count["cleaned"] // ENTRIES, count["parsed"] // ENTRIES) for count in (new, known)]
    return [*each, (one_more["cleaned"] - known["cleaned"], one_more["parsed"] - known["parsed"])]


def _count(kind: int) -> Counter[str]:
    counts: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and getattr(argument, "__name__", "") == "clean":
            counts["cleaned"] += 1
        elif event == "call" and frame.f_code is HTMLParser.feed.__code__:
            counts["parsed"] += 1

    with _ready(kind) as poll:
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            poll()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
    return counts


def _time(kind: int) -> float:
    with _ready(kind) as poll:
        began = time.process_time()
        poll()
        return (time.process_time() - began) * 1000


@contextmanager
def _ready(kind: int) -> Iterator[Any]:
    """Yield what polls a bridge, once, that has polled as often as `kind` says."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(_CONFIG.format(port=free_port()))
        services, shelf = Settings(config=config).open(), _Shelf()
        try:
            if kind:
                _poll(services, shelf, ENTRIES, built=1)
            yield lambda: _poll(services, shelf, ENTRIES + (kind == 2), built=2)
        finally:
            services.close()


def _poll(services: Services, shelf: _Shelf, count: int, *, built: int) -> None:
    shelf.body = feed(count, built=built)
    with services.store.write() as tx:
        sources.make_due(tx, now=services.now())
    poller = Poller(services, cast("Client", shelf))
    if asyncio.run(poller.run(asyncio.Event())) != 1:
        raise RuntimeError("the feed was not polled")
