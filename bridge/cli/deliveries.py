"""`fedibridge deliveries`: what went where, what failed and why, and sending it again."""

import dataclasses

import click

from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.posts import name_in
from bridge.cli.settings import Settings
from bridge.counted import counted
from bridge.errors import StoreError
from bridge.model import DeliveryState
from bridge.publish.send_again import send_again
from bridge.services import Services
from bridge.store import delivery_reports, peers, posts
from bridge.store.delivery_reports import DeliveryReport

_STATES = [state.value for state in DeliveryState]


@click.group(invoke_without_command=True)
@click.option("--post", help="Only deliveries of this post (its page's address, or part of it).")
@click.option("--server", help="Only deliveries to this server.")
@click.option("--state", type=click.Choice(_STATES), help="Only deliveries in this state.")
@click.option("--limit", default=50, show_default=True, help="At most this many.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.pass_context
def deliveries(
    ctx: click.Context,
    post: str | None,
    server: str | None,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show how deliveries went: an overview per post, or each one with its reason.

    Without options: what was published lately and how far it got, and the servers that do not answer.
    """
    if ctx.invoked_subcommand:
        return
    services = ctx.obj.look()
    if post is None and server is None and state is None and not as_json:
        _overview(services)
        return
    with services.store.read() as tx:
        found = delivery_reports.report(
            tx,
            object_uri=_object_uri(services, post),
            host=server,
            state=DeliveryState(state) if state else None,
            limit=limit,
        )
    if as_json:
        print_json([dataclasses.asdict(delivery) for delivery in found])
        return
    now = services.now()
    rows = [
        (d.id, d.type, d.host, d.state, d.attempts, d.reason or d.status or "", _when(d, now)) for d in found
    ]
    headings = ("id", "what", "server", "state", "tries", "why", "when")
    print_table(headings, rows, empty="No deliveries match.")


@deliveries.command()
@click.argument("ids", nargs=-1, type=int)
@click.option("--post", help="Every delivery of this post that has not arrived.")
@click.option("--server", help="Every delivery to this server that has not arrived.")
@click.pass_obj
def retry(settings: Settings, ids: tuple[int, ...], post: str | None, server: str | None) -> None:
    """Retry what did not arrive: deliveries by id, or all of a post or to a server.

    News that is no longer true stays given up: deleted posts, edits and answers that newer ones
    replaced, news for followers who left. A post is sent as it is now.
    """
    if not ids and post is None and server is None:
        raise click.UsageError(
            "Name what to retry: ids from `fedibridge deliveries`, or --post, or --server."
        )
    services = settings.look()
    with services.store.write() as tx:
        uri = _object_uri(services, post)
        number = send_again(tx, services, ids=ids, object_uri=uri, host=server, now=services.now())
    say(f"Due now: {counted(number, 'delivery', 'deliveries')}.")


def _overview(services: Services) -> None:
    now = services.now()
    with services.store.read() as tx:
        newest, failing = delivery_reports.summary(tx), peers.failing(tx)
    rows = [
        (
            site,
            kind,
            uri.removeprefix(services.config.base_url),
            ago(at, now),
            *(counts.get(s, 0) for s in DeliveryState),
        )
        for site, kind, uri, at, counts in newest
    ]
    print_table(
        ("site", "what", "of", "since", "waiting", "delivered", "given up"),
        rows,
        empty="Nothing has been delivered yet: posts from before the first poll are not sent.",
    )
    if failing:
        say("\nServers that do not answer:")
        down = [(p.host, ago(p.failing_since, now), p.failures, p.error or "") for p in failing]
        print_table(("server", "since", "tries", "why"), down, empty="")


def _when(report: DeliveryReport, now):  # type: ignore[no-untyped-def]
    if report.state is DeliveryState.PENDING:
        return f"again {ago(report.due_at, now)}" if report.attempts else "due"
    return ago(report.settled_at, now)


def _object_uri(services: Services, post: str | None) -> str | None:
    if post is None:
        return None
    with services.store.read() as tx:
        found = posts.by_page(tx, name_in(services, post))
    if not found:
        raise StoreError(f"There is no post whose address contains {post!r}.")
    if len(found) > 1:
        names = "\n  ".join(post.page_url or post.id for post in found)
        raise StoreError(f"Several posts match {post!r}; say which:\n  {names}")
    return services.ids.post(found[0].site, found[0].id)
