"""`fedibridge status`: is everything well?"""

import dataclasses
import shutil
from datetime import datetime
from typing import Any

import click

from bridge import lint
from bridge.cli.output import ago, print_json, print_table, say
from bridge.cli.settings import Settings
from bridge.identity.establish import closed_but_named, unguarded
from bridge.pump.progress import WORKER_SILENT, clock_in, from_detail
from bridge.services import Services
from bridge.store import (
    aside,
    delivery_reports,
    edits,
    followers,
    holds,
    identity,
    inbox,
    inboxes,
    interactions,
    peers,
    posts,
    reports,
    sources,
    subscriptions,
)
from bridge.store.identity import Beat
from bridge.store.subscriptions import Subscription

MEGABYTE = 1_000_000
LITTLE_ROOM = 100 * MEGABYTE


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@click.option("--noted", is_flag=True, help="Stop warning that the database is an older copy.")
@click.pass_obj
def status(settings: Settings, as_json: bool, noted: bool) -> None:
    """Show sites, sources and deliveries, and what is wrong with any of them."""
    services = settings.look()
    if noted:
        with services.store.write() as tx:
            identity.forget_older_copy(tx)
    found = _gather(services)
    if as_json:
        print_json(found)
        return
    _print(services, found)
    with services.store.read() as tx:
        for sentence in closed_but_named(tx, settings.load_config()):
            say(f"! {sentence}", style="yellow")


def _gather(services: Services) -> dict[str, Any]:
    with services.store.read() as tx:
        scheduled, next_post_at = posts.to_come(tx)
        return {
            "base_url": services.config.base_url,
            **_about_workers(identity.workers(tx), services.now()),
            "sites": [
                {
                    "site": key,
                    "handle": site.handle,
                    "layout": site.layout,
                    "paused": key in services.paused,
                    "followers": followers.count(tx, key),
                    "waiting_followers": followers.number(tx, key, state=followers.PENDING),
                    "posts": posts.count(tx, key),
                }
                for key, site in services.config.sites.items()
            ],
            "closed_sites": [dataclasses.asdict(one) for one in identity.closed_sites(tx).values()],
            "sources": [dataclasses.asdict(source) for source in sources.all_sources(tx)],
            "subscriptions": [_about(one) for one in subscriptions.listing(tx)],
            "held": holds.count(tx),
            "scheduled": scheduled,
            "next_post_at": next_post_at,
            "waiting_edits": edits.waiting(tx),
            "deliveries": {state.value: number for state, number in delivery_reports.counts(tx).items()},
            "next_delivery_at": delivery_reports.next_due(tx),
            "failing_servers": [dataclasses.asdict(peer) for peer in peers.failing(tx)],
            "quarantined": [dataclasses.asdict(one) for one in delivery_reports.quarantined(tx)],
            "failing_inboxes": [dataclasses.asdict(inbox) for inbox in inboxes.failing(tx)],
            "waiting_arrivals": inbox.waiting(tx),
            "delayed_arrivals": inbox.delayed(tx),
            "refused_arrivals": inbox.trouble(tx),
            "quarantined_arrivals": inbox.set_aside(tx),
            "set_aside": [dataclasses.asdict(one) for one in aside.listing(tx)],
            "interactions": interactions.totals(tx),
            "reports": [{"at": at, **dataclasses.asdict(report)} for at, report in reports.newest(tx)],
            "database": services.store.trouble(),
            "older_copy": identity.older_copy(tx),
            "unguarded": unguarded(tx, services.config, services.witnesses),
            "free_bytes": shutil.disk_usage(services.config.data).free,
        }


def _about_workers(beats: list[Beat], now: datetime) -> dict[str, Any]:
    seen = beats[0].beat_at if beats else None
    lately = [beat for beat in beats if abs(now - beat.beat_at) <= WORKER_SILENT]
    standing = [one for beat in lately for one in from_detail(beat.detail)]
    told = [{"job": one.job, "since": one.since, "why": one.why} for one in standing]
    clock = next((said for beat in lately if (said := clock_in(beat.detail))), "")
    return {"worker_seen_at": seen, "standing_jobs": told, "clock": clock}


def _about(one: Subscription) -> dict[str, Any]:
    told = dataclasses.asdict(one)
    return {name: told[name] for name in told.keys() - {"token", "secret"}}


def _print(services: Services, found: dict[str, Any]) -> None:
    now = services.now()
    seen = found["worker_seen_at"]
    say(f"{found['base_url']} · worker seen {ago(seen, now)}")
    say("")
    sites = [
        (s["site"], s["handle"], s["layout"], s["followers"], s["waiting_followers"], s["posts"])
        for s in found["sites"]
    ]
    print_table(("site", "handle", "layout", "followers", "waiting", "posts"), sites, empty="No sites.")
    say("")
    rows = [
        (s["site"], s["name"], s["location"], ago(s["last_ok_at"], now), _ahead(s["due_at"], now))
        for s in found["sources"]
    ]
    print_table(("site", "source", "where", "last read", "next look"), rows, empty="No sources.")
    say("")
    _print_paused(found)
    _print_waiting(found)
    _print_trouble(found)


def _ahead(moment: datetime, now: datetime) -> str:
    return ago(moment, now) if moment > now else "now"


def _print_paused(found: dict[str, Any]) -> None:
    for site in found["sites"]:
        if site["paused"]:
            say(
                f"✗ {site['handle']} is PAUSED: it is no longer in config.toml. It still answers, but "
                f"publishes nothing new. Put [sites.{site['site']}] back, or close the account: "
                f"fedibridge site close {site['site']}",
                style="red",
            )
    for closed in found["closed_sites"]:
        say(f"{closed['handle']} was closed on {closed['closed_at']:%d %b %Y}.")


def _print_waiting(found: dict[str, Any]) -> None:
    """Say what readers of the site see and followers do not yet."""
    if found["held"]:
        say(f"On hold: {found['held']:,} (fedibridge holds).", style="yellow")
    if found["scheduled"]:
        say(f"Scheduled: {found['scheduled']}; next at {found['next_post_at']:%d %b %Y %H:%M} UTC.")
    if found["waiting_edits"]:
        say(f"Edits waiting out `edit_delay`: {found['waiting_edits']}.")


def _print_trouble(found: dict[str, Any]) -> None:
    if found["clock"]:
        advice = "set it (NTP does that). Meanwhile no delivery is given up."
        say(f"✗ {found['clock'].capitalize()}: {advice}", style="red")
    if found["database"]:
        say(f"✗ {found['database']}", style="red")
    if found["older_copy"]:
        say(f"✗ {found['older_copy']} Once you have dealt with it: fedibridge status --noted", style="red")
    if found["unguarded"]:
        say(
            f'! Put this line at the top of config.toml: identity = "{found["unguarded"]}". Without it, an '
            "unmounted data folder looks like a first start.",
            style="yellow",
        )
    for job in found["standing_jobs"]:
        why = f": {job['why']}" if job["why"] else ""
        say(f"✗ The job “{job['job']}” has been stuck since {job['since']:%d %b %H:%M} UTC{why}", style="red")
    if found["free_bytes"] < LITTLE_ROOM:
        free = found["free_bytes"] / MEGABYTE
        say(f"✗ Only {free:.0f} MB free on the data folder's disk: make room.", style="red")
    counts = found["deliveries"]
    say(
        f"Deliveries: {counts.get('pending', 0)} waiting, {counts.get('delivered', 0)} delivered, "
        f"{counts.get('dropped', 0)} given up. Arrivals waiting: {found['waiting_arrivals']}."
    )
    for source in found["sources"]:
        name = f"{source['site']}/{source['name']}"
        if source["error"]:
            times = f" ({source['failures']} times in a row)" if source["failures"] > 1 else ""
            say(f"✗ {name}: {source['error']}{times}", style="red")
        if source["moved_to"]:
            say(f"→ {name} has moved permanently to {source['moved_to']}: change config.toml", style="yellow")
        for problem in source["problems"]:
            say(f"! {name}: {problem['where']}: {problem['what']}", style="yellow")
        for finding in lint.restore(source["findings"]):
            times = f" ({finding.count}×)" if finding.count > 1 else ""
            say(f"! {name}: {finding.rule.id}{times}: {finding.rule.what} (fedibridge lint)")
    for hub in found["subscriptions"]:
        if hub["error"]:
            say(f"! {hub['topic']}: {hub['error']}", style="yellow")
    for one in found["set_aside"]:
        times = f"{one['tries']} times" if one["tries"] > 1 else "once"
        say(f"✗ {one['what']} of row {one['key']} failed {times}: {one['reason']}", style="red")
    for peer in found["failing_servers"]:
        say(f"✗ {peer['host']} does not answer: {peer['error']} ({peer['failures']} times)", style="yellow")
    for report in found["reports"][:3]:
        about = ", ".join(report["about"])
        words = f": “{report['words']}”" if report["words"] else ""
        say(f"! {report['actor_id']} reports {about}{words}", style="yellow")
    for _, kind, host, why in found["quarantined_arrivals"][:3]:
        say(f"✗ a {kind} from {host} is set aside: {why}", style="red")
    for one in found["quarantined"]:
        say(f"✗ a {one['type']} to {one['host']} was given up: {one['reason']}", style="red")
    for one in found["failing_inboxes"]:
        why = f"{one['error']} ({one['failures']} times)"
        say(f"! {one['inbox']} fails although its server answers: {why}", style="yellow")
    for _, kind, host, why in found["delayed_arrivals"][:3]:
        say(f"! a {kind} from {host} waits: {why}", style="yellow")
    for _, kind, host, why in found["refused_arrivals"][:3]:
        say(f"! refused a {kind} from {host}: {why}", style="yellow")
