"""Keeps the limits of docs/operations.md true: each figure is compared with the constant it stands for.

Every bound of a module that strangers reach is in a table, or below among those that are none.
"""

import ast
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from bridge.poll import poller
from bridge.store import aside, caps

PACKAGE = ROOT / "bridge"

# What only owners type or write; all else meets what strangers send.
OWNERS = {"cli", "compose", "config", "demo", "lint", "preview", "publish"}

BOUND = re.compile(r"(?:^|_)(?:CAPS|LIMIT|LONGEST|MAX|MOST|PER|SECONDS|SLOTS|WINDOW)(?:_|$)")

DIGITS = re.compile(r"(?<!\w)\d[\d,.]*(?<![,.])")

IN_WORDS = re.compile(
    r"\b(?:an?|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|sixty|hundred|thousand) "
    r"(?:bytes?|characters?|days?|hours?|minutes?|seconds?|times?|tries)\b"
)


# ── a constant as the table has it ───────────────────────────────────────────────────────────────


class Figure:
    """What stands in a table for one constant, or for several that have to be the same."""

    def __init__(self, shown: str, *names: str) -> None:
        self.shown = shown
        self.names = names


def value_of(name: str) -> Any:
    """Return a constant; `caps.CAPS[inbox].most` and `dns.Share.OURS.value` are found too."""
    place, _, key = name.partition("[")
    found = pkgutil.resolve_name(f"bridge.{place}")
    if key:
        key, _, attribute = key.partition("].")
        return getattr(found[key], attribute)
    return found


def same(*names: str) -> Any:
    values = [value_of(name) for name in names]
    assert all(value == values[0] for value in values), f"{names} are one fact, but are {values}"
    return values[0]


def many(*names: str, plus: int = 0) -> Figure:
    value = same(*names)
    value = len(value) + plus if isinstance(value, tuple) else value + plus
    return Figure(f"{value:,}".removesuffix(".0"), *names)


def size(*names: str) -> Figure:
    """Return bytes in the largest unit of which they are a whole number."""
    value, units = int(same(*names)), ["bytes", "KiB", "MiB", "GiB"]
    while value % 1024 == 0 and len(units) > 1 and value >= 1024:
        value //= 1024
        units.pop(0)
    return Figure(f"{value:,} {units[0]}", *names)


def plain(unit: str, *names: str) -> Figure:
    return Figure(f"{same(*names):,} {unit}", *names)


def millions(*names: str) -> Figure:
    return Figure(f"{same(*names) // 1_000_000} million", *names)


def percent(*names: str) -> Figure:
    return Figure(f"{same(*names) * 100:g} %", *names)


def time(unit: str, *names: str) -> Figure:
    """Return a time in days, hours, minutes or seconds; all of them, where there are several."""
    value = same(*names)
    if isinstance(value, tuple):
        value = sum(value, timedelta())
    whole = value if isinstance(value, timedelta) else timedelta(seconds=value)
    number = whole / timedelta(**{f"{unit.removesuffix('s')}s": 1})
    return Figure(f"{int(number) if number > 40 else number:g} {unit}", *names)


FIGURES: dict[str, tuple[Figure, ...]] = {
    # Requests that come in
    "Connections of a process": (many("web.serve.MAX_CONNECTIONS"), many("web.serve.SPARE_FILES")),
    "A connection without a request": (time("seconds", "web.serve.IDLE_SECONDS"),),
    "Head of a request": (size("web.serve.MAX_HEAD"),),
    "Body sent to an inbox": (size("web.door.MAX_BODY"), size("web.inbox.MAX_UNVERIFIED_BODY")),
    "Time for a body to arrive": (
        time("seconds", "web.gate.BODY_SECONDS"),
        time("seconds", "web.bodies.GRACE"),
        size("web.bodies.SLOWEST"),
    ),
    "Bodies being read by a process": (
        size("web.bodies.MAX_HELD"),
        size("web.bodies.MAX_HELD"),
        size("web.bodies.MAX_HELD_BY_ONE"),
    ),
    "Requests to inboxes, of one address or IPv6 /64": (
        many("web.inbox.POSTS_PER_5_MINUTES"),
        time("minutes", "web.door.RATE_SECONDS"),
    ),
    "Requests waiting for a thread of a process": (
        many("web.turns.MOST_WAITING"),
        plain("threads", "web.gate.THREADS"),
        many("web.turns.MOST_WAITING_OF_ONE"),
        time("seconds", "web.turns.LATELY"),
    ),
    "Senders a process keeps in mind": (many("web.limits.MAX_TRACKED"), many("web.turns.MAX_REMEMBERED")),
    "Answers kept in memory by a process": (
        many("web.fastpath.MAX_ENTRIES"),
        size("web.fastpath.MAX_BYTES"),
        size("web.fastpath.MAX_DOCUMENT"),
    ),
    "Address asked of WebFinger": (size("activitypub.discovery.MAX_RESOURCE_BYTES"),),
    "“Look now”, from the site's build": (
        size("web.hooks.MAX_CALL"),
        plain("calls", "web.hooks.CALLS_PER_MINUTE"),
        time("minutes", "web.build_calls.WINDOW"),
    ),
    "Push of a hub": (size("web.hooks.MAX_PUSH", "poll.asking.FEED_LIMIT"),),
    "Pushes that wait": (
        many("store.subscriptions.MAX_WAITING_PER_SOURCE"),
        many("store.subscriptions.MAX_WAITING"),
        size("store.subscriptions.MAX_WAITING_BYTES"),
    ),
    "Lease that a hub may give": (time("days", "activitypub.websub._LONGEST_LEASE"),),
    "Challenge of a hub": (plain("characters", "activitypub.websub._MAX_CHALLENGE"),),
    # What an activity may be
    "JSON": (
        many("activitypub.values.MAX_DEPTH"),
        plain("values", "activitypub.values.MAX_NODES"),
        plain("characters", "activitypub.values.MAX_STRING"),
    ),
    "Ids and addresses": (plain("bytes", "model.MAX_ID_BYTES", "addresses.MAX_URL"),),
    "Signature headers": (
        plain("characters", "activitypub.signatures.message.MAX_HEADER_LENGTH"),
        plain("signatures", "activitypub.signatures.rfc9421.MAX_LABELS"),
    ),
    "Age of a signature": (
        time("hour", "activitypub.signatures.MAX_AGE"),
        time("minutes", "activitypub.signatures.CLOCK_SKEW"),
    ),
    "Keys": (
        many("activitypub.keys.RSA_BITS.start"),
        many("activitypub.keys.RSA_BITS.stop", plus=-1),
        plain("bits", "activitypub.keys.MAX_EXPONENT_BITS"),
        plain("characters", "activitypub.keys.MAX_PEM_LENGTH"),
        many("activitypub.keys.MAX_MULTIBASE_LENGTH"),
        many("activitypub.parse.MAX_KEYS"),
    ),
    "Name of an actor; content warning of a reply": (
        plain("characters", "activitypub.parse.MAX_NAME"),
        plain("characters", "activitypub.parse.MAX_WARNING"),
    ),
    "Reply that is kept": (plain("characters", "receive.effects.MAX_REPLY"),),
    "Replies of one post": (many("store.caps.MAX_REPLIES"), many("store.caps.MAX_REPLIES_OF_HOST")),
    "Emojis of one person on a post": (many("receive.effects.MAX_REACTIONS"),),
    "Replies shown of one post": (many("store.interactions.MOST_SHOWN"),),
    "Complaints (`Flag`) that are kept": (
        many("store.reports.MOST"),
        many("store.reports.MOST_OF_A_HOST"),
        plain("characters", "receive.complaints.MAX_WORDS"),
        plain("addresses", "receive.complaints.MAX_ABOUT"),
    ),
    "Types of activities that are counted though they do nothing": (many("store.inbox.MOST_IGNORED"),),
    # Arrivals that wait
    "Arrivals that wait for a key": (
        many("store.strangers.MAX_STRANGERS"),
        many("store.strangers.MAX_OF_PARTY"),
        time("minutes", "store.strangers.PARTY_WINDOW"),
    ),
    "Arrivals handled at once": (
        many("store.inbox.VERIFIED_SLOTS"),
        many("store.inbox.FIRST_SLOTS"),
        many("store.inbox.OTHER_SLOTS"),
        many("store.strangers.PER_HOST"),
    ),
    "Verified arrivals that wait to take effect": (many("store.caps.MAX_WAITING"),),
    "Time a verified arrival may wait for no reason": (time("minutes", "store.inbox.STUCK_AFTER"),),
    "Tries to get a key or an actor": (
        many("receive.receiver.PAUSES", plus=1),
        time("hours", "receive.receiver.PAUSES"),
    ),
    "Tries of what the bridge itself cannot handle": (many("store.inbox.QUARANTINE_AFTER"),),
    "Rows that cannot be read or handled": (
        plain("tries", "store.aside.TRIES"),
        time("minute", "store.aside.FIRST_PAUSE"),
        Figure(f"{aside.FIRST_PAUSE * 4 ** (aside.TRIES - 2) // timedelta(minutes=1)} minutes"),
    ),
    # What strangers have us fetch
    "Actor or key": (
        size("people.fetch.LIMIT"),
        time("seconds", "people.fetch.SECONDS"),
        time("seconds", "people.fetch.CROWDED_SECONDS"),
        many("people.fetch.CROWD"),
    ),
    "Keys never asked for, in a minute: fetches that fail, or that hold no such key": (
        many("people.budget.NEW_PER_HOST"),
        many("people.budget.NEW_IN_ALL"),
    ),
    "Further tries in a minute": (
        many("people.budget.FAILURES_PER_HOST"),
        many("people.budget.FAILURES_IN_ALL"),
        many("people.budget.FAILURES_OF_PROVEN"),
        time("day", "people.budget.PROVEN_FOR"),
    ),
    "Further tries in a minute for the first key of an address or domain": (
        many("people.budget.FIRSTS_PER_HOST"),
        many("people.budget.FIRSTS_IN_ALL"),
    ),
    "Keys that do not exist, could not be had, or did not fit": (
        time("minutes", "receive.receiver.MISSING_KEY", "receive.receiver.KEY_REFETCH"),
        time("hours", "receive.receiver.GONE_KEY"),
        time("minute", "receive.receiver.STRANGERS_KEY"),
    ),
    "Actors of whom strangers say that they are gone": (time("hour", "receive.receiver.RECHECK_PAUSE"),),
    "Actors looked at again": (many("receive.registrar.ERRAND_SLOTS"),),
    "Actor that answers 404: until it counts as gone": (
        plain("times", "receive.registrar.MISSES_UNTIL_GONE"),
        time("hours", "receive.registrar.MISS_PAUSE"),
    ),
    "Names looked up at once": (
        many("net.dns.Share.OURS.value"),
        many("net.dns.Share.FIRSTS.value"),
        many("net.dns.Share.STRANGERS.value"),
        many("net.dns.PER_DOMAIN"),
    ),
    "Head of an answer; packed parts of an answer": (
        size("net.client._MAX_HEADER"),
        plain("parts", "net.unpack.MAX_MEMBERS"),
    ),
    "Wait that an answer may ask for (`Retry-After`)": (time("hours", "net.answers.MAX_RETRY_AFTER"),),
    "Servers whose clocks are compared with ours": (many("net.our_clock.MOST"),),
    # What is kept
    "Arrivals that took effect or were refused": (
        many("store.caps.CAPS[inbox].most"),
        time("days", "store.inbox.SEEN_FOR"),
    ),
    "Ids that are remembered, and what was undone": (
        many("store.caps.CAPS[seen].most"),
        many("store.caps.CAPS[undone].most"),
        time("days", "store.inbox.SEEN_FOR"),
    ),
    "Keys and actors of others, their servers and inboxes": tuple(
        many(f"store.caps.CAPS[{table}].most")
        for table in ("remote_keys", "remote_actors", "peers", "inboxes")
    ),
    "Keys and actors of who follows nobody and said nothing": (
        time("days", "worker.housekeeping.KEEP_STRANGERS"),
    ),
    "Replies, likes and boosts in all": (many("store.caps.CAPS[interactions].most"),),
    "Like or boost, with who it was": (time("days", "worker.housekeeping.KEEP_REACTIONS"),),
    "Erased people: what is left of them": (time("hours", "worker.jobs.HOUSEKEEPING"),),
    "Deliveries, and answers to Follows": (time("days", "worker.housekeeping.KEEP_DELIVERIES"),),
    "Rows of a table that go in one transaction": (many("worker.housekeeping.STEP"), many("store.caps.STEP")),
    # Deliveries
    "Activity that is sent": (plain("bytes", "activitypub.documents.MAX_ACTIVITY_BYTES"),),
    "Time to connect, to answer": (
        time("seconds", "net.failures.CONNECT_SECONDS"),
        time("seconds", "net.client.ANSWER_SECONDS"),
        time("seconds", "net.client._REST_SECONDS"),
    ),
    "Connections to one server": (many("net.client.PER_HOST"),),
    "Time an attempt keeps its slot among servers that answer": (
        plain("times", "pump.patience.TIMES"),
        many("pump.patience.SHORTEST"),
        time("seconds", "pump.patience.LONGEST"),
    ),
    "Attempts under way at once": (
        many("pump.open_files.WAITING_TIMES"),
        Figure("1 in"),
        many("deliver.deliverer.SLOW_SHARE"),
        many("pump.open_files.SPARE_FILES"),
    ),
    "Open files": (many("pump.open_files.WAITING_TIMES"), many("pump.open_files.SPARE_FILES")),
    "Attempts": (many("deliver.retry.PAUSES", plus=1), time("hours", "deliver.retry.PAUSES")),
    "Failures in a row until a host is left alone": (
        many("deliver.breaker.BREAK_AFTER"),
        time("minute", "deliver.breaker.FIRST_BREAK"),
        time("hour", "deliver.breaker.LONGEST_BREAK"),
    ),
    "Failures in a row until one inbox is left alone, while its host answers": (
        many("deliver.breaker.BREAK_AFTER"),
        time("minute", "deliver.breaker.FIRST_BREAK"),
        time("hour", "deliver.breaker.LONGEST_BREAK"),
    ),
    "Inbox of a follower that we would not open (no https, another port, an address, a private name)": (),
    "Inboxes on one host, named by actors of other hosts": (
        many("store.inboxes.MOST_UNPROVEN"),
        many("store.inboxes.MOST_FOREIGN"),
    ),
    "Updates of one post": (
        many("changes.timing.MOST_UPDATES"),
        time("minutes", "changes.timing.BETWEEN_UPDATES"),
    ),
    "Work of a worker that died, until another takes it over": (time("seconds", "store.leases.LEASE"),),
    # Feeds, folders and pictures
    "Feeds read at once": (
        many("poll.poller.SLOTS"),
        Figure(str(poller.WAITING_TIMES * poller.SLOTS)),
        many("poll.shares.MOST_OF_A_HOST"),
        many("poll.shares.MOST_FAILING"),
        many("poll.shares.MOST_FAILING_OF_A_HOST"),
    ),
    "Feed": (
        size("poll.asking.FEED_LIMIT"),
        time("seconds", "poll.asking.FEED_SECONDS"),
        plain("entries", "sources.feeds.sniff.MAX_ENTRIES"),
    ),
    "Entry of a feed": (
        plain("characters", "markup.note.MAX_HTML"),
        plain("pictures", "markup.note.MAX_IMAGES"),
        many("sources.feeds.media.MAX_MEDIA"),
        plain("tags", "sources.fields.MAX_TAGS"),
    ),
    "New entries of a feed that are sent unasked": (
        many("changes.brake.MOST_NEW"),
        time("days", "changes.brake.OLD"),
    ),
    "Changes of a source that are carried out unasked": (
        many("changes.brake.FEWEST_EDITED"),
        percent("changes.brake.MOST_EDITED"),
        many("changes.brake.MOST_GONE"),
        percent("changes.brake.MOST_GONE_SHARE"),
    ),
    "Pages of entries that vanished": (
        many("poll.missing_pages.SLOTS"),
        size("poll.missing_pages.LIMIT"),
        time("seconds", "poll.missing_pages.SECONDS"),
    ),
    "Hubs asked, pushes handled at once": (many("poll.hubs.SLOTS"), many("poll.hubs.PUSH_SLOTS")),
    "Folder": (
        plain("files", "sources.folders.folder.MAX_FILES"),
        plain("folders", "sources.folders.folder.MAX_DEPTH"),
        plain("bytes", "sources.folders.folder.MAX_FILE"),
    ),
    "Front matter": (
        plain("bytes", "sources.folders.frontmatter.MAX_BLOCK"),
        plain("aliases", "sources.folders.frontmatter.MAX_ALIASES"),
    ),
    "Markdown text": (plain("characters", "sources.folders.post.MAX_MARKDOWN"),),
    "Text that Python-Markdown reads": (time("seconds", "sources.folders.pythonmarkdown.MAX_SECONDS"),),
    "Configuration of a generator": (
        size("sources.folders.generator.MAX_CONFIG"),
        plain("folders", "sources.folders.generator.MAX_PARENTS"),
    ),
    "Picture": (
        size("pictures.examine.MAX_BYTES", "web.media.MAX_PICTURE"),
        size("look.viewer.MAX_LOCAL"),
        millions("pictures.opening.MAX_PIXELS"),
        millions("pictures.opening.MAX_JPEG_PIXELS"),
        millions("pictures.opening.MAX_HEIC_PIXELS"),
        time("seconds", "look.viewer.SECONDS"),
    ),
    "Process that opens a picture": (
        size("pictures.confine.MAX_MEMORY"),
        time("seconds", "pictures.confine.MAX_SECONDS"),
        time("seconds", "pictures.apart.SECONDS"),
        size("pictures.apart.MAX_ANSWER"),
    ),
    "Copies of pictures": (
        plain("files", "pictures.copies.MAX_COPIES"),
        size("pictures.copies.MAX_TOTAL"),
    ),
    "People looked for at once, whom a post mentions": (many("people.mentions.MOST"),),
    # A database that is away
    "Database (PostgreSQL): time to connect, for a statement": (
        many("store.postgres.PROMPT.connect"),
        time("seconds", "store.postgres.PROMPT.statement"),
        many("store.postgres.PATIENT.connect"),
        time("seconds", "store.postgres.PATIENT.statement"),
    ),
}

NO_LIMITS = {
    "how we write or show something": """
        activitypub.content.MAX_HASHTAG activitypub.content.MAX_SHOWN_URL addresses._MAX_SHOWN
        net.failures._MAX_WHY markup.notewriter.MAX_BLOCKS markup.notewriter.MAX_INLINES
        markup.excerpt._LONGEST_HEADING markup.pictures.MAX_ALT look.shown.MAX_PROBLEMS
        pictures.examine.MAX_SIDE pictures.examine.MAX_GIF_PIXELS pictures.examine.MAX_PNG
        sources.controls.MAX_WARNING sources.controls.MAX_TEXT""",
    "how far into a text something is looked for": """
        activitypub.websub._MAX_HEADER changes.keys._LONGEST_COUNTER markup.pagehead._MOST
        sources.folders.fenceless._MOST sources.folders.fences._MOST sources.jsontext._LONGEST
        web.build_calls._LONGEST_TIMESTAMP""",
    "what work is stopped at, inside a bound of the table": """
        markup.sanitize.MAX_DEPTH sources.feeds.raw.MAX_TEXT sources.folders.pythonmarkdown.MAX_WEIGHT
        sources.folders.render.MAX_COST net.answers._MAX_ANSWERS net.answers._MAX_UNSEEN
        poll.harvest._MOST_WAITING""",
    "the sum, or the parts, of others": """
        store.inbox.SLOTS worker.jobs.FETCH_SLOTS pictures.opening._MOST store.caps.CAPS
        store.aside.LONGEST_PAUSE""",
    "our own processes, database and browsers": """
        store.moments._LONGEST store.postgres.PING_SECONDS web.STATIC_SECONDS web.serve.STOP_SECONDS
        worker.jobs.STOP_SECONDS""",
}


# ── the tables ───────────────────────────────────────────────────────────────────────────────────


def rows() -> dict[str, str]:
    """Return what is limited → how much, as the tables have it."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = re.search(r"^## Limits\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section[1].splitlines()]
    found = [row for row in cells if len(row) == 4 and row[0] != "What" and set(row[0]) != {"-"}]
    assert len({row[0] for row in found}) == len(found), "two rows have the same name"
    return {row[0]: row[1] for row in found}


def unlike(cell: str, figures: tuple[Figure, ...]) -> str | None:
    """Say where a cell is not what the code says, figure by figure; `None` if it is."""
    at = 0
    for figure in figures:
        shown = re.compile(rf"(?<![\d,.]){re.escape(figure.shown)}(?![\d\w]|[,.]\d)")
        found = shown.search(cell, at)
        if found is None:
            return f"{' = '.join(figure.names)} is {figure.shown!r}, which is not in {cell[at:]!r}"
        if stray := figures_in(cell[at : found.start()]):
            return f"nothing stands for {stray} in {cell!r}"
        at = found.end()
    stray = figures_in(cell[at:]) + IN_WORDS.findall(cell)
    return f"nothing stands for {stray} in {cell!r}" if stray else None


def figures_in(text: str) -> list[str]:
    """Return the figures of a text; a status (`410`) is none."""
    return DIGITS.findall(re.sub("`[^`]*`", "", text))


def test_the_tables_have_the_rows_that_are_checked_and_no_others():
    assert rows().keys() == FIGURES.keys()


@pytest.mark.parametrize("what", FIGURES)
def test_each_figure_is_the_constant_it_stands_for(what):
    assert unlike(rows().get(what, ""), FIGURES[what]) is None


# ── completeness ─────────────────────────────────────────────────────────────────────────────────


def bounds() -> Iterator[str]:
    """Yield the constants, by their names, that bound something in a module that strangers reach."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in OWNERS and "migrations" not in parts:
            module = ".".join(part for part in parts if part != "__init__")
            yield from (f"{module}.{name}" for name in constants(path) if BOUND.search(name))


def constants(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (name.id for name in names if isinstance(name, ast.Name) and name.id.isupper())


def listed() -> set[str]:
    return {name for figures in FIGURES.values() for figure in figures for name in figure.names}


def test_every_bound_on_what_strangers_do_is_in_the_tables():
    excused = {name for names in NO_LIMITS.values() for name in names.split()}
    there = set(bounds())
    assert there - listed() - excused == set(), (
        "put these into docs/operations.md, or say why they are no limits"
    )
    assert excused - there == set(), "these are gone"
    assert excused & listed() == set(), "these are in the tables"


def test_every_capped_table_is_in_the_tables():
    assert {f"store.caps.CAPS[{name}].most" for name in caps.CAPS} <= listed()


# ── the checks themselves ────────────────────────────────────────────────────────────────────────


def test_a_figure_that_is_wrong_is_noticed():
    five, two = Figure("5 seconds", "a"), Figure("2", "b")
    assert unlike("5 seconds, 2", (five, two)) is None
    assert unlike("15 seconds, 2", (five, two))
    assert unlike("2, 5 seconds", (five, two))
    assert unlike("5 seconds, 2,000", (five, two))
    assert unlike("5 seconds; three times", (five,))
    assert unlike("5 seconds, 7", (five,))


def test_one_fact_in_two_places_is_compared():
    with pytest.raises(AssertionError, match="one fact"):
        many("store.caps.MAX_REPLIES", "store.caps.MAX_REPLIES_OF_HOST")
