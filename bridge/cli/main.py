"""The `fedibridge` command and what stands in its manual."""

import importlib
import logging
import sys
from pathlib import Path
from typing import Any

import click

from bridge import PRODUCT, __version__
from bridge.cli.settings import Settings
from bridge.errors import BridgeError
from bridge.parent_gone import end_with, keep_pulse

COMMANDS = {
    "Start it": {
        "demo": ("bridge.cli.demo", "Try it out: a café, a follower, and a post that arrives."),
        "run": ("bridge.cli.run", "Run everything on one machine: web and worker, supervised."),
        "web": ("bridge.cli.run", "Run only the web process."),
        "worker": ("bridge.cli.run", "Run only a worker."),
    },
    "Do one thing": {
        "poll": ("bridge.cli.once", "Poll the sources now, publish what is new, and exit."),
        "deliver": ("bridge.cli.once", "Deliver everything that is due, and exit."),
    },
    "Decide": {
        "holds": ("bridge.cli.holds", "Review changes on hold."),
        "publish": ("bridge.cli.posts", "Send one post now, old or held."),
        "unpublish": ("bridge.cli.posts", "Delete a post everywhere, for good."),
        "site": ("bridge.cli.site", "Close an account, for good."),
        "resend": ("bridge.cli.posts", "Send a post again to everyone who follows now."),
    },
    "See what happens": {
        "lint": ("bridge.cli.lint", "Check a feed: what is wrong, and how to fix it."),
        "status": ("bridge.cli.inspect", "Show sites, sources and their problems."),
        "preview": ("bridge.cli.preview", "Show how posts will look, before anything is sent."),
        "followers": ("bridge.cli.followers", "List followers; approve or reject requests."),
        "deliveries": ("bridge.cli.deliveries", "Show what went where, what failed and why; retry."),
    },
}


HIDDEN = {"prepare": "bridge.cli.run"}  # for our own processes


class Manual(click.Group):
    """Loads a command when it is called, and lists them by what one wants to do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        homes = {name: home for section in COMMANDS.values() for name, (home, _) in section.items()} | HIDDEN
        if cmd_name not in homes:
            return None
        command: click.Command = getattr(importlib.import_module(homes[cmd_name]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one there is not."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 1)
            hint = f" Did you mean “{near[0]}”?" if near else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])


@click.group(cls=Manual, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=PRODUCT)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="config.toml",
    show_default=True,
    envvar="FEDIBRIDGE_CONFIG",
    help="The config file: who you are, and where your posts come from.",
)
@click.option("-v", "--verbose", is_flag=True, help="Also log every delivery.")
@click.option("--local", type=int, hidden=True)
@click.option("--allow", multiple=True, hidden=True)
@click.option("--resolve", multiple=True, hidden=True)
@click.option("--ca-file", hidden=True)
@click.option("--ends-with", type=int, hidden=True, help="The process that started this one.")
@click.option("--pulse", type=int, hidden=True, help="The pipe in which it hears that this one lives.")
@click.pass_context
def cli(ctx: click.Context, /, ends_with: int | None, pulse: int | None, **options: Any) -> None:
    """Turn a website into an account that people follow from Mastodon, Threads, Misskey or Pixelfed.

    A site is what people follow; its sources are where its posts come from: a feed (RSS, Atom, JSON Feed),
    a folder of Markdown files, or both. Everything is said in config.toml; docs/configuration.md explains
    each line.

    \b
    First steps:
      fedibridge demo               see it work, on this machine only
      (edit config.toml)            your site, your handle, your feed
      fedibridge run                and let your web server pass its addresses on
      fedibridge status             is everything well?
    """
    ctx.obj = Settings(**options)
    _log_to_stderr(verbose=ctx.obj.verbose)
    if ends_with is not None:
        end_with(ends_with)
    if pulse is not None:
        keep_pulse(pulse)


def main() -> None:
    """Run the command line; errors for the owner are one sentence, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except BridgeError as error:
        click.echo(f"{PRODUCT}: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)


def _log_to_stderr(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%H:%M:%S",
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLine(handler.formatter))
    for chatty in ("asyncio", "alembic", "aiohttp", "MARKDOWN"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It warns at every tick that finds its job still at work, which is what ours are meant to be.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


class OneLine(logging.Formatter):
    """One record, one line: what strangers send us must not forge log lines."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        message, _, trace = self._inner.format(record).partition("\nTraceback")
        line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in message)
        return line[:2000] + (f"\nTraceback{trace}" if trace else "")
