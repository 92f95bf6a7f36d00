"""Files that remember, outside the database, whose it is and how far it had come.

One lies in the data folder, one beside config.toml, where that folder can be written: a disk that is not
mounted takes the first along, and a first start and a lost database would look the same.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from bridge.config import Config
from bridge.moments import from_unix

log = logging.getLogger(__name__)

MARKER = "identity.json"


@dataclass(frozen=True, slots=True)
class Witness:
    """What a file says: who we are, with which keys (`identity`), and how far the database had come."""

    base_url: str = ""
    sites: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""
    generation: int = 0

    @property
    def names(self) -> str:
        """Name the accounts."""
        return ", ".join(self.sites.values()) or "a site"


@dataclass(frozen=True, slots=True)
class Found:
    """A witness, the file it was read from, and when that was last written."""

    path: Path
    witness: Witness
    written_at: datetime | None


def marker_of(config: Config) -> Path:
    """Return the file in the data folder."""
    return config.data / MARKER


def guard_of(config: Config) -> Path | None:
    """Return the file beside config.toml; there is none for a config that was read from no file."""
    return config.file and config.file.with_name(f".{config.file.name}.identity")


def paths_of(config: Config) -> tuple[Path, ...]:
    """Return where the witnesses of this config are."""
    guard = guard_of(config)
    return (marker_of(config), guard) if guard else (marker_of(config),)


def fingerprint(private_pem: str | None) -> str:
    """Return what tells the instance actor's key from every other, and says nothing else of it."""
    if private_pem is None:
        return ""
    return hashlib.sha256(b"fedibridge identity\0" + private_pem.encode()).hexdigest()[:16]


def read(paths: Iterable[Path]) -> dict[Path, Found]:
    """Read the witnesses there are; one that cannot be read is there all the same, and says nothing."""
    found = {}
    for path in paths:
        try:
            content = path.read_bytes()
            written_at = from_unix(path.stat().st_mtime)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            log.warning("%s cannot be read: %s", path, error.strerror)
            continue
        found[path] = Found(path, _parse(content), written_at)
    return found


def _parse(content: bytes) -> Witness:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return Witness()
    if not isinstance(told, dict):
        return Witness()
    sites, generation = told.get("sites"), told.get("generation")
    return Witness(
        str(told.get("base_url", "")),
        {key: str(handle) for key, handle in sites.items()} if isinstance(sites, dict) else {},
        str(told.get("identity", "")),
        generation if isinstance(generation, int) and 0 <= generation < 2**53 else 0,
    )


def write(path: Path, witness: Witness, before: Found | None = None) -> bool:
    """Write a witness down, unless `before` says as much; return whether it stands there now."""
    if before is not None and _says(before.witness, witness):
        return True
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A name of its own: web and worker may write it at the same time.
        with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as draft:
            draft.write(json.dumps(asdict(witness), indent=2).encode() + b"\n")
        _put_in_place(Path(draft.name), path)
    except OSError as error:
        log.debug("%s cannot be written: %s", path, error)
        return False
    return True


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        draft.chmod(0o644 if path.name != MARKER else 0o600)  # whoever else runs us here may read it
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def _says(old: Witness, new: Witness) -> bool:
    """Say whether a file need not be written anew: another process may have counted on meanwhile."""
    return (old.base_url, dict(old.sites), old.identity) == (
        new.base_url,
        dict(new.sites),
        new.identity,
    ) and old.generation >= new.generation
