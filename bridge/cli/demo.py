"""`fedibridge demo`: the newcomer's first minute, told step by step."""

import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from bridge.cli.output import console
from bridge.cli.settings import Settings
from bridge.config import FolderSource
from bridge.counted import counted
from bridge.demo.folder import empty, only_demo, require_free
from bridge.demo.processes import Processes, Stopped
from bridge.errors import DemoError, IdentityChanged, StoreError
from bridge.services import Services
from bridge.store import posts, sources
from bridge.store.sources import Source

HOST = "127.0.0.1"
READ_SECONDS = 20.0  # for the first look at the sources
TROUBLE_EVERY = 1.0
PORT = click.IntRange(1, 65535)

HAPPENINGS = {
    "arrived": ("arrived:", "green"),
    "edited": ("edited:", "cyan"),
    "deleted": ("deleted:", "red"),
    "liked": ("you liked", "magenta"),
    "unliked": ("you no longer like", "magenta"),
    "boosted": ("you boosted", "magenta"),
    "unboosted": ("you no longer boost", "magenta"),
    "replied": ("you replied to", "magenta"),
}


@click.command()
@click.option("--port", type=PORT, default=8000, show_default=True, help="Where the bridge answers.")
@click.option("--follower-port", type=PORT, default=8001, show_default=True, help="Where the timeline is.")
@click.option("--fresh", is_flag=True, help="Delete what earlier demos made, and start over.")
@click.pass_obj
def demo(settings: Settings, port: int, follower_port: int, fresh: bool) -> None:
    """Try it out: your sites on this machine only, and a follower in whose timeline the posts arrive.

    It takes config.toml as it is, but answers at localhost and keeps everything in .demo/: nothing is
    sent to anyone, and nothing of a real bridge is touched. Ctrl-C stops it.
    """
    settings = dataclasses.replace(
        settings,
        local=port,
        allow=(*settings.allow, f"{HOST}:{follower_port}"),
        resolve=(*settings.resolve, f"localhost={HOST}"),
    )
    folder = settings.load_config().data
    # New keys are no news in a demo; elsewhere they may mean that a disk is not mounted.
    logging.getLogger("bridge.identity.establish").setLevel(logging.ERROR)
    require_free({"--port": port, "--follower-port": follower_port})
    with only_demo(folder), Processes(folder) as processes:
        if fresh:
            empty(folder)
        story = Story()
        showing = Showing(settings, processes, story)
        try:
            showing.play(follower_port)
        except Stopped:
            story.say("\nStopping …")
        finally:
            showing.close()
    story.say(f"Stopped. Everything it made is in {_as_typed(folder)}/.")


class Story:
    """What is printed: numbered steps first, then one line for everything that happens."""

    def __init__(self) -> None:
        self._console = console()
        self._steps = 0

    def say(self, text: str, style: str = "") -> None:
        """Print plain text: nothing in it is markup, whoever wrote it."""
        self._console.print(Text(text, style=style))

    def step(self, text: str, *, good: bool = True) -> None:
        """Print the next step, done or failed."""
        self._steps += 1
        mark, style = ("✓", "bold green") if good else ("✗", "bold red")
        self._console.print(Text.assemble(f"{self._steps:2} ", (mark, style), f" {text}"))

    def happened(self, what: str, style: str, about: str) -> None:
        """Print what happened just now."""
        clock = f"{datetime.now().astimezone():%H:%M:%S}"
        self._console.print(Text.assemble((clock, "dim"), "  ", (what, style), f" {about}"))


class Showing:
    """One showing: the processes at work, and how far the story is."""

    def __init__(self, settings: Settings, processes: Processes, story: Story) -> None:
        self._settings = settings
        self._processes = processes
        self._story = story
        self._services = self._open()

    def play(self, follower_port: int) -> None:
        """Tell the story and then whatever happens; raises `Stopped` on Ctrl-C, `DemoError` on failure."""
        names = ", ".join(site.name for site in self._services.config.sites.values())
        self._story.say(f"{names}, on this machine only; nothing is sent to anyone.\n", "bold")
        self._start(follower_port)
        self._await_sources()
        handles = [site.handle for site in self._services.config.sites.values()]
        followed = [handle for handle in handles if self._follow(handle)]
        if not followed:
            raise DemoError(f"The demo did not start.\n{self._processes.last_lines()}")
        self._story.step(f"Your timeline: http://localhost:{follower_port}")
        self._invite()
        self._watch()

    def close(self) -> None:
        """Give the database back."""
        self._services.close()

    def _open(self) -> Services:
        """Open the demo's database; one of another port or handle is of no use to anyone."""
        if self._is_of_another():  # the follower's part as well: replacing ours would leave it behind
            self._story.say("Ports or handles changed since the last demo: starting over.\n")
            empty(self._settings.load_config().data)
        return self._settings.open()

    def _is_of_another(self) -> bool:
        try:
            self._settings.look().close()
        except IdentityChanged:
            return True
        except StoreError:
            return False  # there is none yet, or one that is upgraded when it is opened
        return False

    def _start(self, follower_port: int) -> None:
        ours = ["--ends-with", str(os.getpid()), *self._settings.arguments()]
        data = self._services.config.data
        port = self._services.config.server.port
        follower = ["--port", str(follower_port), "--allow", f"{HOST}:{port}"]
        self._processes.start("web", "bridge", [*ours, "web"])
        self._processes.start("worker", "bridge", [*ours, "worker"])
        self._processes.start_follower([*follower, "--key", str(data / "follower.pem")])

    # ── the steps ──

    def _await_sources(self) -> None:
        """Wait until each source was read once, or failed, and say which."""
        deadline = time.monotonic() + READ_SECONDS
        waiting = {source.id for source in self._sources()}
        while waiting and time.monotonic() < deadline:
            self._next_event()
            for source in self._sources():
                if source.id in waiting and (source.last_polled_at or source.error):
                    waiting.discard(source.id)
                    self._tell_source(source)
        for source in self._sources():
            if source.id in waiting:
                self._story.step(f"{_place(source)} is still being read.", good=False)

    def _tell_source(self, source: Source) -> None:
        if source.error:
            self._story.step(source.error, good=False)
            return
        with self._services.store.read() as tx:
            number = posts.count(tx, source.site)
        self._story.step(f"{counted(number, 'post')} read from {_place(source)}")

    def _follow(self, handle: str) -> bool:
        """Let the follower follow a site, and say whether that went well."""
        self._processes.tell_follower(handle)
        while True:
            event = self._next_event()
            if event and event["what"] in ("pinned", "failed"):
                return bool(event["what"] == "pinned")

    def _invite(self) -> None:
        folder = self._folder()
        if folder is None:
            self._story.say("\nNew posts of your feed arrive there by themselves. Ctrl-C stops the demo.\n")
            return
        example = next(
            p for n in ("", *range(2, 999)) if not (p := folder / f"hello-fediverse{n}.md").exists()
        )
        self._story.say(
            f"\nNow add a file to {folder}/ and watch it arrive, then edit it. In another terminal:\n"
        )
        self._story.say(f'    echo "Our first post from a *file*." > {example}\n', "bold")
        self._story.say(
            "Of the posts already there, only edits to pinned ones are sent. Ctrl-C stops the demo.\n"
        )

    def _watch(self) -> None:
        """Tell what happens, and what is wrong with a file that does not arrive, until Ctrl-C."""
        told: set[str] = set()
        look_at = 0.0
        while True:
            self._next_event()
            if time.monotonic() > look_at:
                look_at = time.monotonic() + TROUBLE_EVERY
                wrong = {trouble for source in self._sources() for trouble in _troubles(source)}
                for trouble in sorted(wrong - told):
                    self._story.happened("problem:", "yellow", trouble)
                told = wrong

    # ── what happens meanwhile ──

    def _next_event(self) -> dict[str, Any] | None:
        """Wait a moment for the follower's next event and tell it; `None` when there was none."""
        event = self._processes.next_event()
        if event:
            self._tell_event(event)
        return event

    def _tell_event(self, event: dict[str, Any]) -> None:
        story = self._story
        match event["what"]:
            case "found":
                base_url = self._services.config.base_url
                story.step(f"{event['name']} answers at {base_url} as {event['handle']}")
                story.step(f"Your server found it by WebFinger; there you are {event['by']}")
            case "accepted":
                story.step(f"Follow sent, signed; Accept received after {event['seconds']:.1f} s")
            case "pinned":
                story.step(f"{counted(event['number'], 'pinned post')} fetched")
            case "failed":
                story.step(event["why"], good=False)
            case "profile":
                story.happened("edited:", "cyan", f"the profile of {event['name']}")
            case what if what in HAPPENINGS:
                story.happened(*HAPPENINGS[what], f"“{event['title']}”")

    def _sources(self) -> Sequence[Source]:
        with self._services.store.read() as tx:
            return sources.all_sources(tx)

    def _folder(self) -> Path | None:
        """Return the first folder posts are read from, as one would type it here."""
        configured = (source for site in self._services.config.sites.values() for source in site.sources)
        found = next((source.folder for source in configured if isinstance(source, FolderSource)), None)
        return _as_typed(found) if found else None


def _place(source: Source) -> str:
    return f"{_as_typed(Path(source.location))}/" if source.kind == "folder" else source.location


def _as_typed(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _troubles(source: Source) -> list[str]:
    wrong = [f"{problem.where}: {problem.what}" for problem in source.problems]
    return [*wrong, source.error] if source.error else wrong
