"""`fedibridge holds`: what waits for the owner's word."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime

import click

from bridge.changes.brake import MOST_NEW
from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.settings import Settings
from bridge.counted import counted
from bridge.errors import StoreError
from bridge.publish.drafts import describe
from bridge.publish.holds import IGNORE, PUBLISH, SEEN, SPACING, decide, timetable
from bridge.services import Services
from bridge.store import followers, posts
from bridge.store import holds as stored
from bridge.store.holds import Group, Hold

_WHAT = {stored.NEW: ("new post", "new posts"), stored.EDIT: ("edit", "edits"),
         stored.DELETE: ("deletion", "deletions")}  # fmt: skip
_DONE = {PUBLISH: "let through", IGNORE: "left as they were", SEEN: "treated as seen"}
_MOST_LINES = 20
_BATCH = 100  # decisions in one transaction, so that the worker gets its turn
_HOW = (
    "`fedibridge holds publish WHICH` sends them, `ignore` leaves things as they are, `seen` shows them on "
    "the profile and sends them to nobody. WHICH is ids, groups like g17, or --all; `fedibridge holds show "
    "g17` lists a group."
)


@click.group(invoke_without_command=True)
@click.option("--site", help="Only of this site.")
@click.option("--json", "as_json", is_flag=True, help="Print every one as JSON, for scripts.")
@click.pass_context
def holds(ctx: click.Context, site: str | None, as_json: bool) -> None:
    """List changes on hold: they look like a mishap, or you asked to see them first.

    The changes of one poll are a group. `fedibridge holds publish` sends them, `ignore` leaves everything
    as it is, `seen` shows them without sending them to anyone; `fedibridge holds show` lists a group.
    """
    if ctx.invoked_subcommand:
        return
    services = ctx.obj.look()
    if as_json:
        print_json(list(_for_scripts(services, site)))
        return
    with services.store.read() as tx:
        found = stored.groups(tx, site)
    rows = [_line(services, group) for group in found[:_MOST_LINES]]
    print_table(("which", "source", "what", "of", "because", "since"), rows, empty="Nothing is on hold.")
    if len(found) > _MOST_LINES:
        left = sum(group.number for group in found[_MOST_LINES:])
        say(f"… and {left:,} more from {len(found) - _MOST_LINES} earlier polls.")
    if found:
        say(f"\n{_HOW}")


@holds.command()
@click.argument("which", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Show all, however many.")
@click.pass_obj
def show(settings: Settings, which: tuple[str, ...], everything: bool) -> None:
    """List what is in a group (WHICH: g17), one by one."""
    services = settings.look()
    found = _chosen(services, which)
    shown = found if everything else found[: 2 * _MOST_LINES]
    now = services.now()
    rows = [
        (h.id, h.site, _WHAT[h.kind][0], _subject(services, h), h.reason, ago(h.held_at, now)) for h in shown
    ]
    print_table(("id", "site", "what", "of", "because", "since"), rows, empty="Nothing is on hold.")
    if len(shown) < len(found):
        say(f"… and {len(found) - len(shown):,} more; --all shows them.")


_which = click.argument("which", nargs=-1)
_site = click.option("--site", help="With --all: only of this site.")
_everything = click.option("--all", "everything", is_flag=True, help="Everything on hold.")


@holds.command()
@_which
@_site
@_everything
@click.option("--at-once", is_flag=True, help="Send all at once instead of one every ten minutes.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def publish(
    settings: Settings, which: tuple[str, ...], site: str | None, everything: bool, at_once: bool, yes: bool
) -> None:
    """Send changes on hold: new posts and edits go out, deletions are carried out.

    More than five new posts go out one every ten minutes, oldest first.
    """
    services = settings.look()
    chosen = _chosen(services, which, site, everything=everything)
    if len(chosen) > MOST_NEW and not yes:
        _ask_first(services, chosen)
    times = {} if at_once else timetable(chosen, services.now())
    _decide(services, chosen, PUBLISH, times)
    if not at_once and len(times) > MOST_NEW:
        last = max(times.values())
        say(
            f"The new posts go out one every {SPACING.total_seconds() / 60:.0f} minutes, the last one on "
            f"{last:%d %b %Y at %H:%M} UTC."
        )


@holds.command()
@_which
@_site
@_everything
@click.pass_obj
def ignore(settings: Settings, which: tuple[str, ...], site: str | None, everything: bool) -> None:
    """Leave everything as it is; the same change does not come up again."""
    services = settings.look()
    _decide(services, _chosen(services, which, site, everything=everything), IGNORE)


@holds.command()
@_which
@_site
@_everything
@click.pass_obj
def seen(settings: Settings, which: tuple[str, ...], site: str | None, everything: bool) -> None:
    """Treat as seen: show new posts and edits like those from before the bridge, and send them to nobody."""
    services = settings.look()
    _decide(services, _chosen(services, which, site, everything=everything), SEEN)


# ── which ─────────────────────────────────────────────────────────────────────────────────────────


def _chosen(
    services: Services, which: Sequence[str], site: str | None = None, *, everything: bool = False
) -> list[Hold]:
    """Return the holds that ids and groups name, oldest first."""
    if not which and not everything:
        raise click.UsageError("Name ids or groups from `fedibridge holds`, or --all.")
    with services.store.read() as tx:
        if everything:
            return stored.waiting(tx, site)
        found: dict[int, Hold] = {}
        for name in which:
            number = name.removeprefix("g")
            if not number.isdecimal():
                raise click.UsageError(f"“{name}” is neither an id such as 17 nor a group such as g17.")
            one = stored.by_id(tx, int(number))
            members = stored.of_group(tx, int(number)) if name != number else [one] if one else []
            if not members:
                raise StoreError(f"Nothing is on hold under {name}; `fedibridge holds` lists all.")
            found |= {hold.id: hold for hold in members}
    return [found[number] for number in sorted(found)]


def _ask_first(services: Services, chosen: Sequence[Hold]) -> None:
    """Have the owner confirm what many followers would notice; a script has to say `--yes`."""
    with services.store.read() as tx:
        readers = sum(followers.count(tx, site) for site in {hold.site for hold in chosen})
    question = f"Send {_counted(chosen)} to {counted(readers, 'follower')}?"
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Confirm with --yes.")
    click.confirm(question, abort=True)


def _counted(chosen: Sequence[Hold]) -> str:
    numbers = {kind: sum(hold.kind == kind for hold in chosen) for kind in _WHAT}
    return ", ".join(f"{number:,} {_WHAT[kind][number != 1]}" for kind, number in numbers.items() if number)


# ── doing and showing ─────────────────────────────────────────────────────────────────────────────


def _decide(
    services: Services, chosen: Sequence[Hold], decision: str, times: dict[int, datetime] | None = None
) -> None:
    for start in range(0, len(chosen), _BATCH):
        with services.store.write() as tx:
            for hold in chosen[start : start + _BATCH]:
                at = (times or {}).get(hold.id)
                decide(tx, services, hold, decision, now=services.now(), at=at)
    say(f"{_counted(chosen) or 'Nothing'} {_DONE[decision]}.")


def _line(services: Services, group: Group) -> tuple[object, ...]:
    with services.store.read() as tx:
        first = stored.by_id(tx, group.first)
    subject = _subject(services, first) if first else ""
    alone = group.number == 1
    return (
        group.first if alone else f"g{group.first}",
        f"{group.site}/{group.source}",
        f"{group.number:,} {_WHAT[group.kind][not alone]}",
        subject if alone else f"{subject} …",
        group.reason,
        ago(group.held_at, services.now()),
    )


def _for_scripts(services: Services, site: str | None) -> Iterator[dict[str, object]]:
    with services.store.read() as tx:
        found = stored.waiting(tx, site)
    groups: dict[tuple[object, ...], str] = {}
    for hold in found:
        alike = (hold.source_id, hold.kind, hold.reason, hold.held_at)
        yield {**dataclasses.asdict(hold), "group": groups.setdefault(alike, f"g{hold.id}")}


def _subject(services: Services, hold: Hold) -> str:
    with services.store.read() as tx:
        known = posts.by_row(tx, hold.post_pk)
        post = posts.find(tx, hold.site, known.id)
    return (post.page_url or describe(post)) if post else known.id
