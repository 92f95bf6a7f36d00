"""Fixes at the first run who we are on the fediverse, and refuses to become someone else by accident.

Followers' servers remember actor ids, handles and keys for ever; a config that contradicts what they hold
would not change us, it would cut us off.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from bridge.activitypub.keys import generate_ed25519, generate_rsa
from bridge.config import Config, SiteConfig
from bridge.config.remembered import from_kept, of_whom_only_the_handle_is_known, to_kept
from bridge.errors import IdentityChanged
from bridge.store import Store, Tx, identity

log = logging.getLogger(__name__)

MARKER = "identity.json"
Generators = Mapping[str, Callable[[], str]]
GENERATORS: Generators = {"rsa": generate_rsa, "ed25519": generate_ed25519}
"""How a private key of each algorithm is made, as PEM."""


@dataclass(frozen=True)
class Standing:
    """Which accounts there are: `sites` answer, `paused` ones among them without a table in config.toml."""

    sites: Mapping[str, SiteConfig]
    paused: frozenset[str] = frozenset()


def establish(
    store: Store, config: Config, *, now: datetime, generators: Generators = GENERATORS
) -> Standing:
    """Write the identity that config.toml asks for, or check that it is still the one of the first run.

    A site that left config.toml goes on answering as it was last seen there, and is paused. One that was
    closed is left out, whatever config.toml says.

    Raises:
        IdentityChanged: base URL, a site's key or a handle differ, or the database is empty although
            the data folder says that this identity was in use.
    """
    with store.read() as tx:
        sites = _without_closed(tx, config)
        wanted = {key: site.handle for key, site in sites.items()}
        refuse_changes(tx, config.base_url, wanted, _read_marker(config.data))
    with store.write() as tx:
        if identity.base_url(tx) is None:
            identity.set_meta(tx, "base_url", config.base_url)
        for key in wanted.keys() - identity.handles(tx).keys():
            identity.add_site(tx, key, wanted[key], now=now)
        _add_missing_keys(tx, [identity.INSTANCE, *wanted], generators, now=now)
        identity.ensure_id_secret(tx, now=now)
        known = identity.handles(tx)
        paused = _keep_and_recall(tx, config.base_url, sites, known)
    _write_marker(config.data, config.base_url, known)
    return Standing({**sites, **paused}, frozenset(paused))


def _without_closed(tx: Tx, config: Config) -> dict[str, SiteConfig]:
    """Return the sites of the config; leave out closed ones, and refuse another site their handle."""
    closed = identity.closed_sites(tx)
    sites = {key: site for key, site in config.sites.items() if key not in closed}
    taken = {one.handle: one for one in closed.values()}
    for key, site in sites.items():
        if site.handle in taken:
            raise IdentityChanged(
                f"The account {site.handle} ([sites.{taken[site.handle].key}]) was closed on "
                f"{taken[site.handle].closed_at:%d %b %Y}, and other servers have deleted it for good: "
                f"nobody can be called that again. Choose another handle for sites.{key}."
            )
    for key in config.sites.keys() - sites.keys():
        log.warning("The account %s was closed: take [sites.%s] out of config.toml.", closed[key].handle, key)
    return sites


def _keep_and_recall(
    tx: Tx, base_url: str, sites: Mapping[str, SiteConfig], handles: Mapping[str, str]
) -> dict[str, SiteConfig]:
    """Keep what the config says of its sites; return those that it does not name, as they were."""
    kept, paused = identity.kept_configs(tx), {}
    for key, site in sites.items():
        if kept.get(key) != to_kept(site):
            identity.keep_config(tx, key, to_kept(site))
    for key in kept.keys() - sites.keys():
        was = kept[key]
        paused[key] = from_kept(was) if was else of_whom_only_the_handle_is_known(handles[key], base_url)
        log.warning(
            "PAUSED: %s is not in config.toml any more. It goes on answering, but nothing new is published. "
            "Put [sites.%s] back, or close the account for good: bridge site close %s",
            handles[key], key, key,
        )  # fmt: skip
    return paused


def refuse_changes(
    tx: Tx, base_url: str, wanted: Mapping[str, str], marker: Mapping[str, object] | None
) -> None:
    """Raise `IdentityChanged` if the config contradicts the database, or the database the marker."""
    stored_url, stored = identity.base_url(tx), identity.handles(tx)
    if stored_url is None:
        _refuse_lost_database(marker)
        return
    followers = identity.follower_counts(tx)
    anew = _how_to_begin_anew(sum(followers.values()))
    if stored_url != base_url:
        raise IdentityChanged(
            f"base_url was {stored_url} at the first run and is {base_url} now. Followers' servers know "
            f"us by the first: set it back to {stored_url}. {anew}"
        )
    closed = identity.closed_sites(tx)
    for key, handle in stored.items():
        if key not in closed:
            _refuse_changed_site(key, handle, wanted, anew)


def _how_to_begin_anew(followers: int) -> str:
    if followers:
        return f"Beginning anew, with an empty database and data folder, would lose {followers} followers."
    return "Nobody follows yet: to begin anew, delete the data folder, and the database if it is elsewhere."


def _refuse_changed_site(key: str, handle: str, wanted: Mapping[str, str], anew: str) -> None:
    now_called = wanted.get(key)
    if now_called == handle:
        return
    if now_called is not None:
        raise IdentityChanged(
            f"The handle of sites.{key} was {handle} at the first run and is {now_called} now. "
            f"Its followers know it by the first: set it back to {handle}. {anew}"
        )
    renamed = next((other for other, theirs in wanted.items() if theirs == handle), None)
    if renamed is not None:
        raise IdentityChanged(
            f"The site {handle} had the key {key!r} at the first run and has {renamed!r} now. The key is "
            f"part of its address on every follower's server: call the table [sites.{key}] again."
        )


def _refuse_lost_database(marker: Mapping[str, object] | None) -> None:
    if marker is None:
        return
    handles = marker.get("sites")
    names = ", ".join(str(handle) for handle in handles.values()) if isinstance(handles, dict) else "a site"
    raise IdentityChanged(
        f"The database is empty, but {names} at {marker.get('base_url')} was in use from this data folder. "
        "Starting afresh would make new keys and lose every follower: restore the database, or point "
        f"`database` to where it is. If nobody ever followed, delete {MARKER} in the data folder."
    )


def _add_missing_keys(tx: Tx, owners: list[str], generators: Generators, *, now: datetime) -> None:
    stored = identity.private_keys(tx)
    for owner in owners:
        missing = [algorithm for algorithm in generators if (owner, algorithm) not in stored]
        for algorithm in missing:
            identity.add_key(tx, owner, algorithm, generators[algorithm](), now=now)
        if missing and owner != identity.INSTANCE:
            log.warning(
                "New keys were made for %s. If it had followers, stop now: this is not the data folder they "
                "know (is its disk mounted?), and with other keys nothing reaches them.",
                identity.handles(tx).get(owner, owner),
            )


def _read_marker(data: Path) -> Mapping[str, object] | None:
    try:
        found = json.loads((data / MARKER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # unreadable, but there: this folder was in use
    return found if isinstance(found, dict) else {}


def _write_marker(data: Path, base_url: str, handles: Mapping[str, str]) -> None:
    wanted = json.dumps({"base_url": base_url, "sites": dict(handles)}, indent=2).encode() + b"\n"
    path = data / MARKER
    if path.exists() and path.read_bytes() == wanted:
        return
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name of its own: web and worker may write it at the same time.
    with NamedTemporaryFile(dir=data, prefix=f"{MARKER}.", delete=False) as draft:
        draft.write(wanted)
    Path(draft.name).replace(path)
