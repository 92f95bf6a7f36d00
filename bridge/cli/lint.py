"""`fedibridge lint`: what is wrong with a feed, why it matters, and how to fix it."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bridge import PRODUCT, __version__
from bridge.activitypub.websub import find_hub
from bridge.addresses import Reach
from bridge.changes.keys import strong_keys
from bridge.cli.output import print_json, say
from bridge.cli.settings import Settings
from bridge.config import Config, FeedSource, FolderSource
from bridge.counted import counted
from bridge.errors import BridgeError, SourceError
from bridge.lint import Finding, Look, Severity, examine
from bridge.look.own_files import folder_in
from bridge.model import Answered, Harvest, Unreachable
from bridge.net.client import Client
from bridge.poll.asking import FEED_ACCEPT, FEED_LIMIT, FEED_SECONDS
from bridge.services import utc_now
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.feeds.raw import look_at
from bridge.sources.folders.filenames import name_of
from bridge.sources.folders.folder import MARKDOWN, Folder, read_folder
from bridge.sources.folders.generator import DialectName

_ANYWHERE = "https://website.invalid/"  # of a folder that no site in config.toml has
_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.HINT: ""}

Report = tuple[str, Look | str]
"""What was looked at, and the look, or the sentence that says why there is none."""


@click.command()
@click.argument("target", required=False, metavar="URL|FILE")
@click.option("--all", "all_sources", is_flag=True, help="Every source in config.toml.")
@click.option("--strict", is_flag=True, help="Exit with 1 when there are errors.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_obj
def lint(settings: Settings, target: str | None, all_sources: bool, strict: bool, as_json: bool) -> None:
    """Say what is wrong with a feed, why it matters to followers, and how to fix it.

    FILE is a feed, a post's Markdown file, or a folder of them. A feed on the web is fetched twice, to see
    whether its guids stay as they are. docs/lint.md lists everything that is looked for.
    """
    if all_sources == (target is not None):
        raise click.UsageError("Give a URL or a file, or --all for every source in config.toml.")
    reports = _look_at_all(settings) if all_sources else [_look_at(settings, target or "")]
    found = [(name, look, examine(look) if isinstance(look, Look) else ()) for name, look in reports]
    if as_json:
        print_json([_as_data(name, look, findings) for name, look, findings in found])
    else:
        for name, look, findings in found:
            _print(name, look, findings)
    unreadable = any(isinstance(look, str) for _, look, _ in found)
    grave = any(finding.rule.severity is Severity.ERROR for *_, findings in found for finding in findings)
    if unreadable or (strict and grave):
        sys.exit(1)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


def _look_at(settings: Settings, target: str) -> Report:
    if target.startswith(("http://", "https://")):
        return _try(target, lambda: asyncio.run(_look_at_url(target, _reach_of(settings, target))))
    return _try(target, lambda: _look_at_file(Path(target), _dialect(settings, Path(target))))


def _reach_of(settings: Settings, url: str) -> Reach:
    """Say which private addresses may be asked for a feed: those config.toml allows for this one."""
    try:
        sites = settings.load_config().sites.values()
    except BridgeError:
        return settings.reach()
    feeds = (one for site in sites for one in site.sources if isinstance(one, FeedSource))
    is_allowed = any(one.feed == url and one.private_network for one in feeds)
    return Reach(private=True) if is_allowed else settings.reach()


def _look_at_all(settings: Settings) -> list[Report]:
    config = settings.load_config()
    return [
        _look_at_source(settings, config, site, source)
        for site, configured in config.sites.items()
        for source in configured.sources
    ]


def _look_at_source(settings: Settings, config: Config, site: str, source: Any) -> Report:
    name = f"{site}/{source.name}"
    if isinstance(source, FeedSource):
        reach = Reach(private=True) if source.private_network else settings.reach()
        return _try(name, lambda: asyncio.run(_look_at_url(source.feed, reach)))
    now = utc_now()
    return _try(name, lambda: Look(read_folder(folder_in(config, site, source), now=now, cache={}), now))


def _try(name: str, look: Any) -> Report:
    try:
        return name, look()
    except BridgeError as error:
        return name, str(error)


async def _look_at_url(url: str, reach: Reach) -> Look:
    async with Client(f"{PRODUCT}/{__version__} (lint)", reach) as client:
        first, answer = await _fetch(client, url), await _fetch(client, url)
    now = utc_now()
    before, harvest = (
        parse_feed(one.body, url=one.url, content_type=one.headers.get("content-type"), now=now)
        for one in (first, answer)
    )
    return Look(
        harvest=harvest,
        now=now,
        raw=look_at(answer.body),
        answer=answer,
        asked=url,
        moved_to=answer.moved_to,
        known=frozenset(key for entry in before.entries for key in strong_keys(entry)),
        has_hub=find_hub(answer.headers, harvest, url=answer.url) is not None,
    )


async def _fetch(client: Client, url: str) -> Answered:
    outcome = await client.get(
        url, accept=FEED_ACCEPT, limit=FEED_LIMIT, timeout=FEED_SECONDS, schemes=("https", "http")
    )
    if isinstance(outcome, Unreachable):
        raise SourceError(f"{url}: {outcome.why}")
    if outcome.status != 200:
        raise SourceError(f"{url} answered {outcome.status} instead of a feed")
    return outcome


def _dialect(settings: Settings, path: Path) -> DialectName:
    """Return what config.toml says of the folder that a file is in; without one, nothing."""
    try:
        sites = settings.load_config().sites.values()
    except BridgeError:
        return "auto"
    folders = [one for site in sites for one in site.sources if isinstance(one, FolderSource)]
    told = (one.dialect for one in folders if path.resolve().is_relative_to(one.folder.resolve()))
    return next(told, "auto")


def _look_at_file(path: Path, dialect: DialectName) -> Look:
    if path.is_dir():
        return Look(read_folder(Folder(path, _ANYWHERE, dialect=dialect), now=utc_now()), utc_now())
    if path.suffix.lower() in MARKDOWN:
        return _look_at_post(path, dialect)
    try:
        body = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    now = utc_now()
    harvest = parse_feed(body, url=path.absolute().as_uri(), now=now)
    return Look(harvest, now, look_at(body), has_hub=harvest.hub is not None)


def _look_at_post(path: Path, dialect: DialectName) -> Look:
    """Look at one Markdown file, in its folder, where its pictures are."""
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    found = read_folder(Folder(path.parent, _ANYWHERE, dialect=dialect), now=utc_now())
    entries = tuple(entry for entry in found.entries if entry.guid == name_of(path.name).key)
    problems = tuple(one for one in found.problems if one.where.partition(":")[0] == path.name)
    if not entries and not problems:
        raise SourceError(f"{path} is not published: it is a draft, has expired, or is a standing page.")
    return Look(Harvest(entries, problems), utc_now())


# ── saying ───────────────────────────────────────────────────────────────────────────────────────


def _print(name: str, look: Look | str, findings: Iterable[Finding]) -> None:
    if isinstance(look, str):
        say(f"✗ {look}", style="red")
        return
    findings = list(findings)
    entries = len(look.harvest.entries)
    things = counted(len(findings), "thing") if findings else "nothing"
    say(f"{name}: {counted(entries, 'entry', 'entries')}, {things} to fix", style="bold")
    for problem in look.harvest.problems:
        say(f"! {problem.where}: {problem.what}", style="yellow")
    for finding in findings:
        rule = finding.rule
        times = f" ({finding.count}×)" if finding.count > 1 else ""
        say(f"{rule.severity.upper()} {rule.id}{times}: {rule.what}", style=_STYLES[rule.severity])
        say(f"  {rule.why}")
        say(f"  → {rule.fix_for(_generator(look))}")
        say(f"  at: {'; '.join(finding.where)}{' …' if finding.count > len(finding.where) else ''}")


def _as_data(name: str, look: Look | str, findings: Iterable[Finding]) -> dict[str, Any]:
    if isinstance(look, str):
        return {"source": name, "error": look, "findings": []}
    return {
        "source": name,
        "error": None,
        "entries": len(look.harvest.entries),
        "problems": [f"{problem.where}: {problem.what}" for problem in look.harvest.problems],
        "findings": [
            {
                "rule": finding.rule.id,
                "severity": finding.rule.severity.value,
                "count": finding.count,
                "where": list(finding.where),
                "what": finding.rule.what,
                "why": finding.rule.why,
                "fix": finding.rule.fix_for(_generator(look)),
            }
            for finding in findings
        ],
    }


def _generator(look: Look) -> str:
    return look.raw.generator if look.raw else ""
