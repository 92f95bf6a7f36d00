"""`bridge holds`: what waits for the owner's word."""

import dataclasses

import click

from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.settings import Settings
from bridge.errors import StoreError
from bridge.holding import IGNORE, PUBLISH, decide
from bridge.publish import describe
from bridge.services import Services
from bridge.store import holds as stored
from bridge.store import posts
from bridge.store.holds import Hold

_WHAT = {stored.NEW: "new post", stored.EDIT: "edit", stored.DELETE: "deletion"}


@click.group(invoke_without_command=True)
@click.option("--site", help="Only of this site.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def holds(ctx: click.Context, site: str | None, as_json: bool) -> None:
    """List what is held: changes that look like a mishap, or that you asked to see first.

    `bridge holds publish ID…` lets them through, `bridge holds ignore ID…` leaves everything as it is.
    """
    if ctx.invoked_subcommand:
        return
    services = ctx.obj.open()
    with services.store.read() as tx:
        found = stored.waiting(tx, site)
    if as_json:
        print_json([dataclasses.asdict(hold) for hold in found])
        return
    now = services.now()
    rows = [
        (h.id, h.site, _WHAT[h.kind], _subject(services, h), h.reason, ago(h.held_at, now)) for h in found
    ]
    print_table(("id", "site", "what", "of", "because", "since"), rows, empty="Nothing waits for you.")
    if found:
        say("\nbridge holds publish ID… lets through, bridge holds ignore ID… leaves as it is; or --all.")


@holds.command()
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All that wait.")
@click.pass_obj
def publish(settings: Settings, ids: tuple[int, ...], everything: bool) -> None:
    """Let changes through: send the new posts, send the edits, carry out the deletions."""
    _decide(settings, ids, PUBLISH, everything=everything)


@holds.command()
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All that wait.")
@click.pass_obj
def ignore(settings: Settings, ids: tuple[int, ...], everything: bool) -> None:
    """Leave everything as it is; the same change does not come up again."""
    _decide(settings, ids, IGNORE, everything=everything)


def _decide(settings: Settings, ids: tuple[int, ...], decision: str, *, everything: bool) -> None:
    if not ids and not everything:
        raise click.UsageError("Say which: ids from `bridge holds`, or --all.")
    services = settings.open()
    with services.store.read() as tx:
        found = {hold.id: hold for hold in stored.waiting(tx)}
    unknown = set(ids) - found.keys()
    if unknown:
        raise StoreError(
            f"Nothing is held under {', '.join(map(str, sorted(unknown)))}; `bridge holds` lists all."
        )
    chosen = list(found.values()) if everything else [found[number] for number in ids]
    with services.store.write() as tx:
        for hold in chosen:
            decide(tx, services, hold, decision, now=services.now())
    done = "let through" if decision == PUBLISH else "left as it is"
    say(f"{len(chosen)} {done}.")


def _subject(services: Services, hold: Hold) -> str:
    with services.store.read() as tx:
        known = posts.by_row(tx, hold.post_pk)
        post = posts.find(tx, hold.site, known.id)
    return (post.page_url or describe(post)) if post else known.id
