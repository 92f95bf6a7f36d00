"""Fixes at the first run who we are on the fediverse, and refuses to become someone else by accident.

Followers' servers remember actor ids, handles and keys for ever; a config that contradicts what they hold
would not change us, it would cut us off.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from bridge.activitypub.keys import generate_ed25519, generate_rsa
from bridge.config import Config
from bridge.errors import IdentityChanged
from bridge.store import Store, Tx, identity

MARKER = "identity.json"
Generators = Mapping[str, Callable[[], str]]
GENERATORS: Generators = {"rsa": generate_rsa, "ed25519": generate_ed25519}
"""How a private key of each algorithm is made, as PEM."""


def establish(store: Store, config: Config, *, now: datetime, generators: Generators = GENERATORS) -> None:
    """Write the identity that config.toml asks for, or check that it is still the one of the first run.

    Raises:
        IdentityChanged: base URL, a site's key or a handle differ, or the database is empty although
            the data folder says that this identity was in use.
    """
    wanted = {key: site.handle for key, site in config.sites.items()}
    with store.read() as tx:
        refuse_changes(tx, config.base_url, wanted, _read_marker(config.data))
    with store.write() as tx:
        if identity.base_url(tx) is None:
            identity.set_meta(tx, "base_url", config.base_url)
        for key in wanted.keys() - identity.handles(tx).keys():
            identity.add_site(tx, key, wanted[key], now=now)
        _add_missing_keys(tx, [identity.INSTANCE, *wanted], generators, now=now)
        identity.ensure_id_secret(tx, now=now)
        known = identity.handles(tx)
    _write_marker(config.data, config.base_url, known)


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
    for key, handle in stored.items():
        _refuse_changed_site(key, handle, wanted, followers.get(key, 0), anew)


def _how_to_begin_anew(followers: int) -> str:
    if followers:
        return f"Beginning anew, with an empty database and data folder, would lose {followers} followers."
    return "Nobody follows yet: to begin anew, delete the data folder, and the database if it is elsewhere."


def _refuse_changed_site(key: str, handle: str, wanted: Mapping[str, str], followers: int, anew: str) -> None:
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
    if followers:
        raise IdentityChanged(
            f"The site {handle} ([sites.{key}]) is gone from the config but has {followers} followers. "
            "Put it back; without it their servers get errors for everything it ever published."
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
        for algorithm, generate in generators.items():
            if (owner, algorithm) not in stored:
                identity.add_key(tx, owner, algorithm, generate(), now=now)


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
