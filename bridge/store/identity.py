"""Who we are on the fediverse: base URL, sites, handles and keys, written at the first run and then fixed."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, Table, Text, cast, delete, func, or_, select, update

from bridge.errors import StoreError
from bridge.store import aside, schema
from bridge.store.engine import Tx
from bridge.store.upsert import insert_into, insert_new, upsert

INSTANCE = ""
"""The owner of the instance actor's keys."""

WORKER = "worker"
"""The role of the one worker there is; where there may be several, each adds its name."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The last word of a process: when it was, and what it said of itself (see `progress`)."""

    role: str
    beat_at: datetime
    detail: str


_GENERATION, _OLDER_COPY = "generation", "older_copy"  # rows of `meta`
_POST_IDS = "post-ids"  # stands among the keys: who restores those restores it


@dataclass(frozen=True, slots=True)
class IdSecret:
    """What ids of posts are derived with, and since when; `sites` says since when each site has its keys."""

    value: bytes
    made_at: datetime
    sites: Mapping[str, datetime]

    def for_shown(self, site: str, published_at: datetime) -> bytes:
        """Return the secret for a post that was there before us and hides nothing.

        None, if it is from before ids were derived with one: after a loss of the database it gets the id
        again under which servers know it.
        """
        had_plain_ids = self.sites.get(site, self.made_at) < self.made_at
        return b"" if had_plain_ids and published_at < self.made_at else self.value


def refuse_garbage(tx: Tx) -> None:
    """Refuse rows that say who we are and cannot be read: nothing could be done rightly with them.

    Raises:
        StoreError: the message names the row, and says what to do.
    """
    for table in (schema.meta, schema.sites, schema.keys):
        for row in tx.execute(select(table)):
            why = aside.fault(row, table) or _nonsense(table, row)
            if why:
                names = " ".join(repr(row._mapping[column.name]) for column in table.primary_key.columns)
                raise StoreError(
                    f"The row {names} of the table {table.name} of the database is damaged: {why}. It says "
                    "who we are, so nothing is done with it: restore a backup (docs/operations.md says how)."
                )


def _nonsense(table: Table, row: Row[Any]) -> str:
    """Say what is wrong with a value that its column can hold."""
    match table.name:
        case "meta" if row.key == _GENERATION and not re.fullmatch("[0-9]{1,15}", row.value):
            return f"it is not a number: {row.value!r:.100}"
        case "meta" if row.key == "base_url" and not re.fullmatch(r"https?://[^/\s]+", row.value):
            return f"it is not an address: {row.value!r:.100}"
        case "sites" if not re.fullmatch(r"@[^@\s]+@[^@\s]+", row.handle):
            return f"its handle is not one: {row.handle!r:.100}"
        case "sites" if not isinstance(row.config, dict | None):
            return f"its config is not one: {row.config!r:.100}"
        case "sites" if not isinstance(row.told_pins, list | None):
            return f"its pins are not a list: {row.told_pins!r:.100}"
        case "keys" if row.algorithm == _POST_IDS and not re.fullmatch("([0-9a-f]{2})+", row.private_pem):
            return "its secret cannot be read"
        case "keys" if row.algorithm != _POST_IDS and "PRIVATE KEY-----" not in row.private_pem:
            return "it is not a private key"
    return ""


def base_url(tx: Tx) -> str | None:
    """Return the base URL of the first run, `None` in an empty database."""
    return get_meta(tx, "base_url")


def get_meta(tx: Tx, key: str) -> str | None:
    """Return one fact about this installation."""
    return tx.scalar(select(schema.meta.c.value).where(schema.meta.c.key == key))


def set_meta(tx: Tx, key: str, value: str) -> None:
    """Record one fact about this installation."""
    upsert(tx, schema.meta, {"key": key}, {"value": value})


def revision(tx: Tx) -> int:
    """Return a number that grows whenever something public changes."""
    told = get_meta(tx, "revision") or ""
    return int(told) if told.isdecimal() else 0


def touch(tx: Tx) -> None:
    """Say that something public changed: what the web process remembers is stale."""
    _add_one(tx, "revision")


def _add_one(tx: Tx, key: str) -> None:
    # One statement, so that two processes at once count two: a number seen twice would hide a change.
    one_more = cast(cast(schema.meta.c.value, Integer) + 1, Text)
    first = insert_into(tx, schema.meta).values(key=key, value="1")
    tx.execute(first.on_conflict_do_update(index_elements=["key"], set_={"value": one_more}))


def generation(tx: Tx) -> int:
    """Return how often it was counted that this database is in use; an older copy is behind."""
    return int(get_meta(tx, _GENERATION) or 0)


def count_on(tx: Tx) -> int:
    """Count that this database is in use; return the new number."""
    _add_one(tx, _GENERATION)
    return generation(tx)


def note_older_copy(tx: Tx, what: str, *, generation: int) -> None:
    """Record that this is an older copy of the database, until its owner has heard of it."""
    set_meta(tx, _OLDER_COPY, what)
    set_meta(tx, _GENERATION, str(generation))


def older_copy(tx: Tx) -> str | None:
    """Return what the owner has to hear of an older copy."""
    return get_meta(tx, _OLDER_COPY)


def forget_older_copy(tx: Tx) -> None:
    """Record that the owner has heard."""
    tx.execute(delete(schema.meta).where(schema.meta.c.key == _OLDER_COPY))


def handles(tx: Tx) -> dict[str, str]:
    """Return site key → handle, as fixed at each site's first run."""
    return {row.key: row.handle for row in tx.execute(select(schema.sites))}


@dataclass(frozen=True, slots=True)
class ClosedSite:
    """An account that is closed for good."""

    key: str
    handle: str
    type: str  # of its actor
    closed_at: datetime

    @property
    def user(self) -> str:
        """The first half of the handle: ``cafe``."""
        return self.handle.split("@")[1]

    @property
    def domain(self) -> str:
        """The second half of the handle."""
        return self.handle.split("@")[2]


def closed_sites(tx: Tx) -> dict[str, ClosedSite]:
    """Return key → account that was closed."""
    columns = schema.sites.c
    rows = tx.execute(select(schema.sites).where(columns.closed_at.is_not(None)))
    closed = aside.legible(
        rows,
        schema.sites,
        lambda row: ClosedSite(row.key, row.handle, _type(row.config), row.closed_at),
    )
    return {one.key: one for one in closed}


def is_closed(tx: Tx, key: str) -> bool:
    """Say whether an account was closed: by another process, a moment ago, it may have been."""
    columns = schema.sites.c
    query = select(columns.key).where(columns.key == key, columns.closed_at.is_not(None))
    return tx.execute(query).first() is not None


def _type(config: Mapping[str, str] | None) -> str:
    return (config or {}).get("type", "Service")


def close_site(tx: Tx, key: str, *, now: datetime) -> None:
    """Record that an account is closed for good."""
    tx.execute(update(schema.sites).where(schema.sites.c.key == key).values(closed_at=now))
    touch(tx)


def kept_configs(tx: Tx) -> dict[str, dict[str, Any] | None]:
    """Return key → what was kept of its table in config.toml, of every account that is not closed."""
    columns = schema.sites.c
    query = select(columns.key, columns.config).where(columns.closed_at.is_(None))
    return {row.key: row.config for row in tx.execute(query)}


def keep_config(tx: Tx, key: str, config: Mapping[str, Any]) -> None:
    """Keep what a site's table in config.toml says."""
    tx.execute(update(schema.sites).where(schema.sites.c.key == key).values(config=dict(config)))


def add_site(tx: Tx, key: str, handle: str, *, now: datetime) -> None:
    """Fix a new site's key and handle for good; one that is known keeps its own."""
    insert_new(tx, schema.sites, {"key": key, "handle": handle, "created_at": now, "updated_at": now})


def profile(tx: Tx, key: str) -> tuple[str | None, datetime, datetime]:
    """Return (hash of the actor as last announced, created, last changed) of a site."""
    columns = schema.sites.c
    row = tx.execute(
        select(columns.profile_hash, columns.created_at, columns.updated_at).where(columns.key == key)
    ).one()
    return row.profile_hash, row.created_at, row.updated_at


def set_profile(tx: Tx, key: str, profile_hash: str, *, now: datetime) -> None:
    """Record that a site's actor changed."""
    values = {"profile_hash": profile_hash, "updated_at": now}
    tx.execute(update(schema.sites).where(schema.sites.c.key == key).values(values))
    touch(tx)


def told_pins(tx: Tx, key: str) -> tuple[dict[str, bool], datetime] | None:
    """Return (post id → whether its owner pinned it, since when) as followers know a site's pins."""
    columns = schema.sites.c
    row = tx.execute(select(columns.told_pins, columns.told_pins_at).where(columns.key == key)).first()
    if row is None or row.told_pins is None:
        return None
    return dict(row.told_pins), row.told_pins_at


def set_told_pins(tx: Tx, key: str, pins: Mapping[str, bool], *, now: datetime) -> None:
    """Record what followers know of a site's pins."""
    values = {"told_pins": list(pins.items()), "told_pins_at": now}
    tx.execute(update(schema.sites).where(schema.sites.c.key == key).values(values))


def private_keys(tx: Tx) -> Mapping[tuple[str, str], str]:
    """Return (owner, algorithm) → private key PEM."""
    rows = tx.execute(select(schema.keys).where(schema.keys.c.algorithm != _POST_IDS))
    return {(row.owner, row.algorithm): row.private_pem for row in rows}


def add_key(tx: Tx, owner: str, algorithm: str, private_pem: str, *, now: datetime) -> None:
    """Store a key pair; an owner's key of an algorithm can be added once and never replaced."""
    row = {"owner": owner, "algorithm": algorithm, "private_pem": private_pem, "created_at": now}
    insert_new(tx, schema.keys, row)


def ensure_id_secret(tx: Tx, *, now: datetime) -> None:
    """Make the secret that ids of posts are derived with, once and for all."""
    add_key(tx, INSTANCE, _POST_IDS, secrets.token_hex(32), now=now)


def id_secret(tx: Tx) -> IdSecret:
    """Return the secret that ids of posts are derived with."""
    columns = schema.keys.c
    ours = (columns.owner == INSTANCE, columns.algorithm == _POST_IDS)
    row = tx.execute(select(columns.private_pem, columns.created_at).where(*ours)).one()
    since = select(columns.owner, func.min(columns.created_at)).where(columns.owner != INSTANCE)
    sites = {row[0]: row[1] for row in tx.execute(since.group_by(columns.owner))}
    return IdSecret(bytes.fromhex(row.private_pem), row.created_at, sites)


def beat(tx: Tx, role: str, detail: str, *, now: datetime) -> None:
    """Record that a process is alive."""
    upsert(tx, schema.heartbeats, {"role": role}, {"beat_at": now, "detail": detail})


def heartbeats(tx: Tx) -> dict[str, datetime]:
    """Return role → when it was last known to be alive."""
    return {row.role: row.beat_at for row in tx.execute(select(schema.heartbeats))}


def workers(tx: Tx) -> list[Beat]:
    """Return the last word of each worker, newest first; there may be many with PostgreSQL."""
    columns = schema.heartbeats.c
    ours = or_(columns.role == WORKER, columns.role.startswith(f"{WORKER} "))
    query = select(columns.role, columns.beat_at, columns.detail).where(ours)
    rows = tx.execute(query.order_by(columns.beat_at.desc()))
    return aside.legible(rows, schema.heartbeats, lambda row: Beat(**row._mapping))


def forget_beats(tx: Tx, *, before: datetime) -> None:
    """Forget processes that were last heard of long ago."""
    tx.execute(delete(schema.heartbeats).where(schema.heartbeats.c.beat_at < before))
