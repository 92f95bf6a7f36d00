"""Fixes at the first run who we are on the fediverse, and refuses to become someone else by accident.

Followers' servers remember actor ids, handles and keys for ever; a config that contradicts what they hold
would not change us, it would cut us off.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.activitypub.keys import generate_ed25519, generate_rsa
from bridge.config import Config, SiteConfig
from bridge.config.remembered import from_kept, of_whom_only_the_handle_is_known, to_kept
from bridge.errors import IdentityChanged, IdentityOutdated
from bridge.identity import anew, witness
from bridge.identity.witness import MARKER, Found, Witness
from bridge.store import Store, Tx, identity
from bridge.store import anew as store_anew

log = logging.getLogger(__name__)

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

    An identity that nobody knows is replaced, with a notice, if config.toml asks for another one. A site that
    left config.toml goes on answering as it was last seen there, and is paused. One that was closed is left
    out, whatever config.toml says.

    Raises:
        IdentityChanged: base URL, a site's key or a handle differ, or the database is empty although
            a witness says that this identity was in use, or holds other keys than it says.
        StoreError: what the database says of who we are is damaged.
    """
    paths = witness.paths_of(config)
    found = witness.read(paths)  # before the database: another process may begin just now
    with store.read() as tx:
        identity.refuse_garbage(tx)
        sites = _without_closed(tx, config)
        wanted = {key: site.handle for key, site in sites.items()}
        contradiction(tx, config, wanted, found, now=now)
    with store.write() as tx:
        replaced = _replace_if_unknown(tx, config, wanted, found, now=now)
        is_first = not _fingerprint(tx)
        if identity.base_url(tx) is None:
            identity.set_meta(tx, "base_url", config.base_url)
        for key in wanted.keys() - identity.handles(tx).keys():
            identity.add_site(tx, key, wanted[key], now=now)
        _add_missing_keys(tx, [identity.INSTANCE, *wanted], generators, now=now)
        identity.ensure_id_secret(tx, now=now)
        known = identity.handles(tx)
        _keep(tx, sites)
        paused = _paused(tx, config.base_url, sites, known)
        _notice_older_copy(tx, found.values())
        current = _witness(tx)
    if replaced:
        log.warning("%s", replaced)
    _say_who_is_paused(paused, known)
    written = [path for path in paths if witness.write(path, current, found.get(path))]
    if is_first:
        _tell_how_to_guard(config, current, written)
    return Standing({**sites, **paused}, frozenset(paused))


def recall(store: Store, config: Config, *, now: datetime) -> Standing:
    """Return what `establish` does, for whoever only looks: nothing is written, no site is added.

    Raises:
        IdentityOutdated: `establish` would replace the identity.
        IdentityChanged, StoreError: as `establish` does.
    """
    found = witness.read(witness.paths_of(config))
    with store.read() as tx:
        identity.refuse_garbage(tx)
        sites = _without_closed(tx, config)
        wanted = {key: site.handle for key, site in sites.items()}
        if changed := contradiction(tx, config, wanted, found, now=now):
            raise IdentityOutdated(
                f"{changed} Nobody knows the old one: the next start (`fedibridge run`) replaces it."
            )
        paused = _paused(tx, config.base_url, sites, identity.handles(tx))
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
                f"{taken[site.handle].closed_at:%d %b %Y}; other servers have deleted it for good, so its "
                f"handle cannot be used again. Choose another handle for sites.{key}."
            )
    return sites


def closed_but_named(tx: Tx, config: Config) -> list[str]:
    """Say which tables of config.toml are of accounts that were closed: they do nothing any more."""
    return [
        f"The account {one.handle} was closed: take [sites.{key}] out of config.toml."
        for key, one in identity.closed_sites(tx).items()
        if key in config.sites
    ]


def _keep(tx: Tx, sites: Mapping[str, SiteConfig]) -> None:
    """Keep what the config says of its sites, for when it does not name them any more."""
    kept = identity.kept_configs(tx)
    for key, site in sites.items():
        if kept.get(key) != to_kept(site):
            identity.keep_config(tx, key, to_kept(site))


def _paused(
    tx: Tx, base_url: str, sites: Mapping[str, SiteConfig], handles: Mapping[str, str]
) -> dict[str, SiteConfig]:
    """Return the sites that the config does not name, as they were."""
    kept = identity.kept_configs(tx)
    return {
        key: from_kept(was) if was else of_whom_only_the_handle_is_known(handles[key], base_url)
        for key, was in kept.items()
        if key not in sites
    }


def _say_who_is_paused(paused: Iterable[str], handles: Mapping[str, str]) -> None:
    for key in paused:
        log.warning(
            "PAUSED: %s is no longer in config.toml. It still answers, but publishes nothing new. "
            "Put [sites.%s] back, or close the account for good: fedibridge site close %s",
            handles[key], key, key,
        )  # fmt: skip


def count_on(store: Store, paths: Iterable[Path]) -> None:
    """Count that the database is in use, and have the witnesses know: an older copy is behind them then."""
    with store.write() as tx:
        identity.count_on(tx)
        current = _witness(tx)
    for path in paths:
        witness.write(path, current)


def unguarded(tx: Tx, config: Config, paths: Iterable[Path]) -> str | None:
    """Return what the owner should say in config.toml if nothing outside the data folder knows our keys."""
    if config.identity or any(path.exists() for path in paths if path.name != MARKER):
        return None
    return _fingerprint(tx) if any(path.name != MARKER for path in paths) else None


def _witness(tx: Tx) -> Witness:
    url = identity.base_url(tx) or ""
    return Witness(url, identity.handles(tx), _fingerprint(tx), identity.generation(tx))


def _fingerprint(tx: Tx) -> str:
    return witness.fingerprint(identity.private_keys(tx).get((identity.INSTANCE, "rsa")))


def _tell_how_to_guard(config: Config, current: Witness, written: list[Path]) -> None:
    """Say how a later start on the wrong data folder is noticed."""
    if config.identity is None and written == [witness.marker_of(config)]:
        log.warning(
            'Put this line at the top of config.toml: identity = "%s". With it, the bridge refuses to start '
            "with other keys when the disk of the data folder is not mounted.",
            current.identity,
        )
    else:
        log.info("The identity of this bridge is %s.", current.identity)


def _notice_older_copy(tx: Tx, found: Iterable[Found]) -> None:
    """Notice that the database is behind what witnesses say of it: a backup, or it lost its log."""
    ours, stored = _fingerprint(tx), identity.generation(tx)
    ahead = [one for one in found if one.witness.identity == ours and one.witness.generation > stored]
    if not ahead:
        return
    newest = max(ahead, key=lambda one: one.witness.generation)
    until = f"{newest.written_at:%d %b %Y %H:%M} UTC" if newest.written_at else "later"
    what = (
        f"The database is an older copy of the one in use until {until} ({newest.path} says so). Followers "
        "gained since the copy are missing and have to follow again; followers lost since are back; repeat "
        "what you unpublished or decided since. Posts sent a second time keep their ids, so servers show "
        "them once."
    )
    log.error("%s", what)
    identity.note_older_copy(tx, what, generation=newest.witness.generation + 1)


def contradiction(
    tx: Tx, config: Config, wanted: Mapping[str, str], found: Mapping[Path, Found], *, now: datetime
) -> str | None:
    """Return how the config contradicts an identity that may be replaced; `None` if it does not.

    Raises:
        IdentityChanged: it contradicts one that others know, or the database contradicts the witnesses.
    """
    stored_url, ours = identity.base_url(tx), _fingerprint(tx)
    _refuse_other_keys(ours, config, found)
    if stored_url is None:
        _refuse_lost_database(ours, config, found)
        return None
    changed = _what_changed(tx, stored_url, config.base_url, wanted)
    if changed is None:
        return None
    what, set_back = changed
    obstacle = anew.obstacle(stored_url, store_anew.at_stake(tx, now=now))
    if obstacle:
        raise IdentityChanged(f"{what} Followers' servers know us by the first: {set_back} {obstacle}")
    return what


def _what_changed(
    tx: Tx, stored_url: str, base_url: str, wanted: Mapping[str, str]
) -> tuple[str, str] | None:
    """Return what config.toml changes of who we are, and how it is set back."""
    if stored_url != base_url:
        what = f"base_url was {stored_url} at the first run and is {base_url} now."
        return what, f"set it back to {stored_url}."
    closed = identity.closed_sites(tx)
    changes = (
        _changed_site(key, handle, wanted)
        for key, handle in identity.handles(tx).items()
        if key not in closed
    )
    return next((change for change in changes if change), None)


def _replace_if_unknown(
    tx: Tx, config: Config, wanted: Mapping[str, str], found: Mapping[Path, Found], *, now: datetime
) -> str:
    """Forget an identity that nobody knows if config.toml asks for another; return what the owner hears.

    Asked within the transaction that replaces it: of two processes that start together one does.
    """
    store_anew.lock(tx)
    if contradiction(tx, config, wanted, found, now=now) is None:
        return ""
    url, handles = identity.base_url(tx) or "", identity.handles(tx)
    why = anew.why_not_missed(url, store_anew.at_stake(tx, now=now))
    store_anew.begin(tx, keep_keys_of=wanted)
    identity.touch(tx)
    before, after = ", ".join(handles.values()), ", ".join(wanted.values())
    return (
        f"REPLACED: {before} at {url} → {after} at {config.base_url}. "
        f"{why}. Sources are read afresh, and what is in them now is shown, not sent."
    )


def _to_forget(config: Config, paths: Iterable[Path]) -> str:
    """Name what has to go before another identity may begin."""
    line = ["take `identity` out of config.toml"] if config.identity else []
    return " and ".join([*(f"delete {path}" for path in paths), *line])


def _changed_site(key: str, handle: str, wanted: Mapping[str, str]) -> tuple[str, str] | None:
    now_called = wanted.get(key)
    if now_called == handle:
        return None
    if now_called is not None:
        what = f"The handle of sites.{key} was {handle} at the first run and is {now_called} now."
        return what, f"set it back to {handle}."
    renamed = next((other for other, theirs in wanted.items() if theirs == handle), None)
    if renamed is None:
        return None
    what = f"The site {handle} had the key {key!r} at the first run and has {renamed!r} now."
    return what, f"the key is part of its address, so call the table [sites.{key}] again."


def _refuse_other_keys(ours: str, config: Config, found: Mapping[Path, Found]) -> None:
    """Refuse a database with other keys than those this bridge had: what they sign is believed nowhere."""
    said = {str(path): one.witness.identity for path, one in found.items() if one.witness.identity}
    if config.identity:
        said["config.toml"] = config.identity
    for where, theirs in said.items():
        if ours and theirs != ours:
            raise IdentityChanged(
                f"The database holds the keys {ours}, but this bridge has the keys {theirs}, as {where} "
                "says. It is another bridge's database, or one that was begun while the disk of the data "
                f"folder was not mounted: look at `data` ({config.data}) and `database`. If these are the "
                f"keys that followers know, {_to_forget(config, found)}, and start again."
            )


def _refuse_lost_database(ours: str, config: Config, found: Mapping[Path, Found]) -> None:
    """Refuse an empty database where witnesses say that one was in use; its keys alone may be put back."""
    if ours and any(theirs == ours for theirs in _said(config, found)):
        return
    anew = f"If nobody ever followed, {_to_forget(config, found)}."
    marker = found.get(witness.marker_of(config))
    if marker is not None:
        raise IdentityChanged(
            f"The database is empty, but {marker.witness.names} at {marker.witness.base_url} was in use from "
            "this data folder. Starting afresh would make new keys and lose every follower: restore the "
            f"database, or point `database` to where it is. {anew}"
        )
    if not found and not config.identity:
        return
    guard = next(iter(found.values())).witness if found else Witness(config.base_url)
    raise IdentityChanged(
        f"The data folder {config.data} and the database are empty, but {guard.names} at {guard.base_url} "
        f"was in use with this config.toml ({_where(config, found)}). Is its disk mounted? Starting afresh "
        "would make new keys and lose every follower: mount it, say where the data folder is now (`data`), "
        f"or restore a backup. {anew}"
    )


def _said(config: Config, found: Mapping[Path, Found]) -> list[str]:
    return [*(one.witness.identity for one in found.values()), config.identity or ""]


def _where(config: Config, found: Mapping[Path, Found]) -> str:
    names = [str(path) for path in found] + (["`identity` in it"] if config.identity else [])
    return " and ".join(names)


def _add_missing_keys(tx: Tx, owners: list[str], generators: Generators, *, now: datetime) -> None:
    stored, anew = identity.private_keys(tx), []
    for owner in owners:
        missing = [algorithm for algorithm in generators if (owner, algorithm) not in stored]
        for algorithm in missing:
            identity.add_key(tx, owner, algorithm, generators[algorithm](), now=now)
        if missing and owner != identity.INSTANCE:
            anew.append(identity.handles(tx).get(owner, owner))
    if anew:
        log.warning(
            "New keys were made for %s. If %s had followers, stop now: this is not the data folder they "
            "know (is its disk mounted?), and with other keys nothing reaches them.",
            ", ".join(anew),
            "it" if len(anew) == 1 else "any of them",
        )
