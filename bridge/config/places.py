"""Values that are places on this machine: folders, pictures, the database."""

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from bridge.config.values import Kind, Locate, read_web_url
from bridge.picturetypes import OF_PROFILES


def _absolute(value: Any, folder: Path) -> Path:
    """Place a path below the config file's folder."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("must be a path in quotes")
    try:
        return folder.joinpath(value).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle (Python < 3.13)
        raise ValueError(f"cannot be used as a path: {error}") from None


def read_data_folder(value: Any, folder: Path) -> Path:
    """Make the data folder's path absolute; it need not exist yet."""
    path = _absolute(value, folder)
    if _exists(path) and not path.is_dir():
        raise ValueError(f"{path} is a file; a folder is needed")
    if set("?#") & set(str(path)):
        raise ValueError(f"{path} holds a ? or #, which a database address cannot name")
    return path


def find_folder(value: Any, folder: Path) -> Path:
    """Find the folder that a source reads; that it is not there (yet) is that source's trouble alone."""
    path = _absolute(value, folder)
    if _exists(path) and not path.is_dir():
        raise ValueError(f"{path} is a file; name the folder it is in")
    return path


def find_picture(value: Any, folder: Path) -> str | Path:
    """Take a web address as it is and find a picture's file below the config file's folder."""
    if isinstance(value, str) and value.startswith(("https://", "http://")):
        return read_web_url(value)
    path = _absolute(value, folder)
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{path} is not below the folder of the config file; copy the picture there")
    if path.suffix.lower() not in OF_PROFILES:
        kinds = ", ".join(OF_PROFILES)
        raise ValueError(f"must be one of {kinds}: Mastodon shows no other kind, SVG included")
    if not _exists(path) or not path.is_file():
        raise ValueError(f"there is no picture {path}")
    return path


def _exists(path: Path) -> bool:
    try:
        os.stat(path)  # noqa: PTH116  Path.exists() hides a name too long on some versions, raises on others
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return True


# ── the database ─────────────────────────────────────────────────────────────────────────────────


def sqlite_in(data: Path) -> str:
    """Name the database that lives in a data folder."""
    return f"sqlite:///{data / 'fedibridge.db'}"


def read_database(text: Any, folder: Path) -> str:
    """Read a database address; a relative SQLite path becomes absolute. Messages never quote the password."""
    if not isinstance(text, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004  as every reader does
    scheme, _, rest = text.partition("://")
    if scheme == "sqlite":
        return _read_sqlite(rest, folder)
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        return _read_postgresql(rest)
    raise ValueError('must begin with "sqlite:///" or "postgresql://"')


def _read_sqlite(rest: str, folder: Path) -> str:
    if len(rest) < 2 or rest[0] != "/" or rest == "/:memory:" or set("?#") & set(rest):
        raise ValueError(
            'must name a file, as "sqlite:///data/fedibridge.db" does: several processes share it'
        )
    return f"sqlite:///{_absolute(rest[1:], folder)}"


def _read_postgresql(rest: str) -> str:
    try:
        parts = urlsplit(f"postgresql://{rest}")
        complete = len(parts.path) > 1 and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise ValueError(
            'must be written "postgresql://user:password@host/name"; a / in the password as %2F, a @ as %40'
        )
    return f"postgresql://{rest}"


# ── as fields use them ───────────────────────────────────────────────────────────────────────────

DataFolder = Annotated[Path, Locate(read_data_folder), Kind("folder")]
SourceFolder = Annotated[Path, Locate(find_folder), Kind("folder")]
Picture = Annotated[str | Path, Locate(find_picture), Kind("web address or path of a picture")]
Database = Annotated[str, Locate(read_database), Kind("database address")]
