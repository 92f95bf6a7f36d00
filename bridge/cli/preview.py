"""`fedibridge preview`: how posts will look to followers, before anything is sent."""

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from bridge import PRODUCT
from bridge.activitypub.ids import mint_post_id
from bridge.addresses import Reach
from bridge.changes.keys import canonical_link, strong_keys, weak_keys
from bridge.cli.output import print_json, say
from bridge.cli.richpost import to_text
from bridge.cli.settings import Settings, check_site
from bridge.compose import compose_note
from bridge.config import FeedSource, FolderSource
from bridge.counted import counted
from bridge.errors import BridgeError, SourceError
from bridge.look.own_files import folder_of
from bridge.markup.html import one_line
from bridge.model import Entry, Harvest, Unreachable
from bridge.net.client import Client
from bridge.poll.asking import FEED_ACCEPT, FEED_LIMIT, FEED_SECONDS
from bridge.preview.page import render_page
from bridge.preview.timelines import Attached, Level, Preview
from bridge.preview.timelines import preview as look_at
from bridge.services import Services
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.filenames import name_of
from bridge.sources.folders.folder import read_folder
from bridge.store import posts

_WIDTH = 76


@dataclasses.dataclass(frozen=True)
class Read:
    """A source as it is at this moment, of a site."""

    site: str
    source: FeedSource | FolderSource
    harvest: Harvest


@click.command()
@click.argument("what", required=False)
@click.option("--all", "everything", is_flag=True, help="Every entry of the sources.")
@click.option("--site", help="Only this site's sources.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to look at.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_obj
def preview(
    settings: Settings,
    what: str | None,
    everything: bool,
    site: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show how posts will look on Mastodon, Misskey and Threads and as a link's card.

    WHAT is the address of a post's page, or its Markdown file; --all shows everything there is. The sources
    are read afresh, and nothing is published.
    """
    if bool(what) == everything:
        raise click.UsageError("Name a post by its page's address or its file, or use --all.")
    with TemporaryDirectory() as scratch:
        services = settings.look_or_try(Path(scratch))
        try:
            shown, problems = _previews(services, what, site)
        finally:
            services.close()
    for problem in problems:
        click.echo(f"{PRODUCT}: {problem}", err=True)
    if as_json:
        print_json([dataclasses.asdict(one) for one in shown])
    elif html:
        _write(html, render_page(shown))
        say(f"{counted(len(shown), 'post')} in {html}: open it in a browser.")
    else:
        for one in shown:
            _print(one)


def _previews(services: Services, what: str | None, site: str | None) -> tuple[list[Preview], list[str]]:
    """Return what is asked for, and what is wrong with its sources."""
    check_site(services, site)
    read, failures = asyncio.run(_read_sources(services, _wanted(services, what, site)))
    found = [
        (one.site, entry) for one in read for entry in one.harvest.entries if _is_meant(one, entry, what)
    ]
    problems = [*failures, *_problems(read, what)]
    if what and not found:
        raise SourceError("\n".join(problems) or _not_found(what))
    shown = [_preview(services, key, entry, problems) for key, entry in found]
    return [one for one in shown if one], problems


def _preview(services: Services, site: str, entry: Entry, problems: list[str]) -> Preview | None:
    """Look at one entry; one that cannot be shown is a problem, and the others are shown."""
    try:
        return _look(services, site, entry)
    except Exception as error:
        name = one_line(entry.title or entry.link or entry.guid or "an entry", 60)
        problems.append(f"“{name}” cannot be shown ({type(error).__name__}: {one_line(str(error), 200)}).")
        return None


def _look(services: Services, site: str, entry: Entry) -> Preview:
    now = services.now()
    note = compose_note(
        services, site, _post_id(services, site, entry), entry, published_at=entry.published_at or now
    )
    return look_at(note, entry, services.site(site), now=now)


def _post_id(services: Services, site: str, entry: Entry) -> str:
    """Return the id its post has, or will have."""
    names = [*strong_keys(entry), *weak_keys(entry)]
    with services.store.read() as tx:
        known = posts.known(tx, site, names)
    found = next((known[name] for name in names if name in known), None)
    return found.id if found else mint_post_id(site, names[0], secret=services.id_secret.value)


# ── reading the sources ──────────────────────────────────────────────────────────────────────────

Wanted = Sequence[tuple[str, FeedSource | FolderSource]]


def _wanted(services: Services, what: str | None, site: str | None) -> Wanted:
    """Return the sources that may hold what is asked for: for a file only the folder it is in."""
    every = [
        (key, source)
        for key, one in services.config.sites.items()
        if site in (None, key)
        for source in one.sources
    ]
    if what is None or "://" in what:
        return every
    path = Path(what).resolve()
    if not path.is_file():
        raise SourceError(f"There is no file {what}. Give a post's Markdown file, or its page's address.")
    folders = [
        (key, one) for key, one in every if isinstance(one, FolderSource) and path.is_relative_to(one.folder)
    ]
    if not folders:
        raise SourceError(f"{what} is not in any source folder that config.toml names.")
    return folders


async def _read_sources(services: Services, wanted: Wanted) -> tuple[list[Read], list[str]]:
    """Read all sources at once; one that cannot be read is a sentence instead."""
    public = Client(services.user_agent, services.reach, now=services.now)
    private = Client(services.user_agent, Reach(private=True), now=services.now)
    async with public, private:
        tasks = [
            _read(services, private if getattr(source, "private_network", False) else public, key, source)
            for key, source in wanted
        ]
        results = await asyncio.gather(*tasks, return_exceptions=True)
    read = [result for result in results if isinstance(result, Read)]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, BridgeError):
            raise result
    return read, [str(result) for result in results if isinstance(result, BridgeError)]


async def _read(services: Services, client: Client, site: str, source: FeedSource | FolderSource) -> Read:
    if isinstance(source, FolderSource):
        folder = folder_of(services, site, source)
        return Read(site, source, await asyncio.to_thread(read_folder, folder, now=services.now()))
    answer = await client.get(
        source.feed, accept=FEED_ACCEPT, limit=FEED_LIMIT, timeout=FEED_SECONDS, schemes=("https", "http")
    )
    if isinstance(answer, Unreachable):
        raise SourceError(f"{source.feed}: {answer.why}")
    if answer.status != 200:
        raise SourceError(f"{source.feed} answered {answer.status} instead of a feed")
    content_type = answer.headers.get("content-type")
    harvest = parse_feed(answer.body, url=answer.url, content_type=content_type, now=services.now())
    return Read(site, source, harvest)


def _is_meant(read: Read, entry: Entry, what: str | None) -> bool:
    if what is None:
        return True
    if "://" in what:
        return entry.link is not None and canonical_link(entry.link) == canonical_link(what)
    return isinstance(read.source, FolderSource) and entry.guid == _key(read.source, what)


def _key(source: FolderSource, what: str) -> str:
    return name_of(Path(what).resolve().relative_to(source.folder).as_posix()).key


def _problems(read: Sequence[Read], what: str | None) -> list[str]:
    """Return what is wrong with entries: all of it, or what concerns the one file that was named."""
    problems = [problem for one in read for problem in one.harvest.problems]
    if what and "://" in what:
        return []
    path = str(Path(what).resolve()) if what else ""
    return [
        f"{p.where}: {p.what}" for p in problems if not what or path.endswith(f"/{p.where.partition(':')[0]}")
    ]


def _not_found(what: str) -> str:
    if "://" in what:
        return f"None of the sources has an entry whose page is {what} (any more)."
    return f"{what} is not published: it is a draft, has expired, or is not Markdown."


# ── showing ──────────────────────────────────────────────────────────────────────────────────────


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror}.") from error


def _print(one: Preview) -> None:
    screen = Console(highlight=False)  # not output's, which wraps no lines
    screen.print()
    facts = f" · {one.kind} · {one.visibility} · {one.language or 'no language given'}"
    screen.print(Text(one.title or "(no title)", "bold"), Text(facts, "dim"), sep="")
    mastodon: list[RenderableType] = [to_text(one.mastodon), *map(_box, one.attached)]
    mastodon[:0] = _warned(one.warning)
    if one.card and not one.attached:
        card = f"{one.card.site}\n{one.card.title}\n{one.card.excerpt}".strip()
        mastodon.append(Panel(Text(card), title="card", title_align="left", width=_WIDTH - 4, style="dim"))
    looks: list[tuple[str, RenderableType]] = [
        ("Mastodon", Group(*mastodon)),
        ("Misskey", Group(*_warned(one.misskey_warning), Text(one.misskey))),
        ("Threads", Text(one.threads or "(not shown: Threads knows no articles)")),
    ]
    for name, look in looks:
        screen.print(Panel(look, title=name, title_align="left", width=_WIDTH))
    for remark in one.remarks:
        sign, style = ("!", "yellow") if remark.level is Level.WARNING else ("·", "dim")
        screen.print(Text(f"{sign} {remark.what}", style))


def _warned(warning: str) -> list[Text]:
    return [Text(f"⚠ {warning}\n(hidden until clicked)\n", "yellow")] if warning else []


def _box(attached: Attached) -> Panel:
    if attached.media_type.startswith("image/"):
        alt = Text(attached.alt) if attached.alt else Text("no description (alt)", "red")
    else:
        alt = Text(f"▶ {attached.media_type}")
    return Panel(alt, title=attached.url.rpartition("/")[2][:40], title_align="left", width=_WIDTH - 4)
