"""A folder of Markdown files, walked and read so that nothing outside it is ever opened."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from bridge import picturetypes
from bridge.errors import FolderError, SourceError
from bridge.markup.html import one_line
from bridge.model import Entry, Harvest, Problem
from bridge.sources.folders.around import Around, around, is_setting
from bridge.sources.folders.filenames import name_of
from bridge.sources.folders.generator import UNTOLD, Dialect, DialectName, dialect_of
from bridge.sources.folders.leftout import why_left_out
from bridge.sources.folders.post import Rendered, Rules, read_post

READING = 2
"""How files are read; one more when unchanged files become other words, other tags or other links."""

MAX_FILES = 20_000
MAX_FILE = 2_000_000
MAX_DEPTH = 16
MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx"})
# Jekyll's drafts and the parts of a site that are no writing.
_SKIPPED_FOLDERS = frozenset({"_drafts", "_site", "_includes", "_layouts", "_data", "_sass", "node_modules"})
_SKIPPED_FILES = frozenset({"readme.md"})


@dataclass(frozen=True, slots=True)
class Folder:
    """A content folder and how its files map to pages.

    `url_template` and `site_url` give pages their address; `media_url` the address under which we serve a
    picture of the folder ourselves. Dates without an offset are in `zone`. That `url_template` holds no
    other fields than there are is the config's to see to.
    """

    root: Path
    site_url: str
    url_template: str | None = None
    media_url: Callable[[str], str] | None = None
    allow_symlinks: bool = False
    zone: tzinfo = UTC
    dialect: DialectName = "auto"


@dataclass(frozen=True, slots=True)
class Found:
    """A file as the listing saw it: its path below the root, with `/`."""

    path: str
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder, in order of path: Markdown files, pictures, and what was skipped for a reason.

    `dialect`: how its files are to be read; `settings`: files that speak for others.
    """

    files: tuple[Found, ...]
    pictures: frozenset[str]
    problems: tuple[Problem, ...] = ()
    dialect: Dialect = UNTOLD
    settings: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Cached:
    """What a file was rendered to, valid while the file, its dialect and the pictures it found stay."""

    found: Found
    pictures: frozenset[str]
    rendered: Rendered
    dialect: Dialect = UNTOLD
    around: Around = field(default_factory=Around)

    def is_current(self, listing: Listing) -> bool:
        """Say whether its dialect, and which of the pictures it asked for are there, are still the same."""
        return self.dialect == listing.dialect and self.rendered.pictures & listing.pictures == self.pictures


Cache = MutableMapping[str, Cached]


def scan(folder: Folder) -> Listing:
    """List the folder without opening a file. Raises `FolderError` when it is missing or unreadable."""
    walk = _Walk(folder)
    walk.visit(folder.root, "", 0)
    files = tuple(sorted(walk.files, key=lambda f: f.path))
    dialect = dialect_of(folder.root, folder.dialect)
    return Listing(files, frozenset(walk.pictures), tuple(walk.problems), dialect, tuple(walk.settings))


def fingerprint(listing: Listing) -> str:
    """Return a text that changes whenever a file is added, removed, renamed or written: ``READING:FILES``.

    What stands before the colon says how they are read, and changes with that.
    """
    digest = hashlib.sha256()
    for found in (*listing.files, *listing.settings):
        digest.update(f"{found.path}\0{found.mtime_ns}\0{found.size}\n".encode())
    digest.update("\n".join(sorted(listing.pictures)).encode())
    return f"{_reading(listing)}:{digest.hexdigest()}"


def _is_read_anew(listing: Listing, before: str | None) -> bool:
    """Say whether files were read in another way before: then what differs may be our doing alone."""
    return before is not None and before.partition(":")[0] != _reading(listing)


def _reading(listing: Listing) -> str:
    return f"{READING}-{hashlib.sha256(repr(listing.dialect).encode()).hexdigest()[:12]}"


def read_folder(
    folder: Folder, *, now: datetime, cache: Cache | None = None, before: str | None = None
) -> Harvest:
    """Return the folder's entries, in order of path; a file that cannot be read is a problem, and unreadable.

    Drafts and expired posts are not yielded. What `cache` holds from the last time is not rendered again;
    `before` is the fingerprint of that time.
    """
    listing = scan(folder)
    reader = _Reader(folder, listing, now, {} if cache is None else cache)
    entries = [entry for found in listing.files if (entry := reader.read(found))]
    for gone in set(reader.cache) - {found.path for found in listing.files}:
        del reader.cache[gone]
    return Harvest(
        tuple(entries),
        (*listing.problems, *reader.problems),
        unreadable=tuple(reader.unreadable),
        anew=_is_read_anew(listing, before),
    )


def forget_words(cache: Cache) -> None:
    """Forget what was read out of the entries of a cache, which would be kept for as long as they are."""
    for file in cache.values():
        if file.rendered.entry is not None:
            file.rendered.entry.memo.clear()


class _Walk:
    """Collects files below a root, never through a link that leads out of it."""

    def __init__(self, folder: Folder) -> None:
        self.files: list[Found] = []
        self.pictures: set[str] = set()
        self.settings: list[Found] = []
        self.problems: list[Problem] = []
        self._folder = folder
        self._real_root = os.path.realpath(folder.root)
        self._visited: set[tuple[int, int]] = set()

    def visit(self, directory: Path, prefix: str, depth: int) -> None:
        """List one directory and those in it; `prefix` is its path below the root."""
        for item in self._items(directory, prefix):
            path = prefix + item.name
            if item.name.startswith(".") or not self._is_nameable(item.name, prefix):
                continue
            if item.is_symlink() and not self._may_follow(item, path):
                continue
            if item.is_dir():
                self._descend(item, path, depth)
            elif len(self.files) + len(self.pictures) < MAX_FILES:
                self._take(item, path)

    def _items(self, directory: Path, prefix: str) -> list["os.DirEntry[str]"]:
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in self._visited:
                return []
            self._visited.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as items:
                return sorted(items, key=lambda item: item.name)
        except OSError as error:
            if not prefix:
                raise FolderError(
                    f"The folder {directory} cannot be read ({error.strerror}). Check path and permissions."
                ) from error
            self.problems.append(
                Problem(prefix, f"cannot be read ({error.strerror}). Check its permissions.")
            )
            return []

    def _is_nameable(self, name: str, prefix: str) -> bool:
        if name.isprintable():  # which lone surrogates, the mark of a name that is not UTF-8, are not
            return True
        shown = (prefix + name).encode("unicode_escape").decode()
        self.problems.append(Problem(shown, "has a name that is not plain UTF-8 text. Rename it."))
        return False

    def _may_follow(self, item: "os.DirEntry[str]", path: str) -> bool:
        target = os.path.realpath(item.path)
        inside = os.path.commonpath([self._real_root, target]) == self._real_root
        if self._folder.allow_symlinks and inside:
            return True
        if Path(path).suffix.lower() in MARKDOWN or Path(target).is_dir():
            remedy = (
                "It leads out of the folder." if not inside else "Set allow_symlinks = true to follow it."
            )
            self.problems.append(Problem(path, f"is a symbolic link and was skipped. {remedy}"))
        return False

    def _descend(self, item: "os.DirEntry[str]", path: str, depth: int) -> None:
        if item.name in _SKIPPED_FOLDERS:
            return
        if depth + 1 >= MAX_DEPTH:
            self.problems.append(
                Problem(path, f"lies below {MAX_DEPTH} folders and was skipped. Move it up.")
            )
            return
        self.visit(Path(item.path), path + "/", depth + 1)

    def _take(self, item: "os.DirEntry[str]", path: str) -> None:
        suffix = Path(item.name).suffix.lower()
        if suffix in picturetypes.KNOWN:
            self.pictures.add(path)
        if is_setting(item.name):
            self._note_setting(item, path)
        if suffix not in MARKDOWN or item.name.startswith(("_", "#")) or item.name.lower() in _SKIPPED_FILES:
            return
        try:
            status = item.stat()
        except OSError:
            return  # gone since the listing
        if not stat.S_ISREG(status.st_mode):
            self.problems.append(Problem(path, "is no regular file and was skipped."))
        else:
            self.files.append(Found(path, status.st_mtime_ns, status.st_size))
            if len(self.files) + len(self.pictures) == MAX_FILES:
                self.problems.append(Problem(path, f"is file number {MAX_FILES}; the rest was skipped."))

    def _note_setting(self, item: "os.DirEntry[str]", path: str) -> None:
        with suppress(OSError):  # gone since the listing
            status = item.stat()
            if stat.S_ISREG(status.st_mode) and len(self.settings) < MAX_FILES:
                self.settings.append(Found(path, status.st_mtime_ns, status.st_size))


class _Reader:
    """Turns listed files into entries, each at most once per change."""

    def __init__(self, folder: Folder, listing: Listing, now: datetime, cache: Cache) -> None:
        self.cache = cache
        self.problems: list[Problem] = []
        self.unreadable: list[str] = []
        self._folder = folder
        self._listing = listing
        self._now = now
        self._rules = Rules(
            folder.site_url, folder.url_template, folder.media_url, folder.zone, listing.dialect
        )
        self._keys: dict[str, str] = {}
        self._settings = frozenset(found.path for found in listing.settings)
        self._texts: dict[str, str] = {}

    def read(self, found: Found) -> Entry | None:
        """Return the file's entry; `None` for drafts, expired posts and files with a problem."""
        key = name_of(found.path).key
        if key in self._keys:
            self.problems.append(
                Problem(found.path, f"is named like {self._keys[key]} and was skipped. Rename it.")
            )
            return None
        self._keys[key] = found.path
        try:
            rendered = self._rendered(found)
        except SourceError as error:
            where, _, what = str(error).partition(": ")
            self._skip(key, where, what)
        except Exception as error:  # whatever is in it: the other files are fine
            what = f"cannot be read and was skipped ({type(error).__name__}: {one_line(str(error), 120)})."
            self._skip(key, found.path, what)
        else:
            self.problems.extend(rendered.problems)
            expired = rendered.expires_at is not None and rendered.expires_at <= self._now
            return None if expired else rendered.entry
        return None

    def _skip(self, key: str, where: str, what: str) -> None:
        self.problems.append(Problem(where, what))
        self.unreadable.append(key)

    def _rendered(self, found: Found) -> Rendered:
        dialect = self._listing.dialect
        if why := why_left_out(found.path, dialect.left_out, dialect.below, dialect.generator):
            raise SourceError(f"{found.path}: {why}")
        said = around(found.path, self._settings, self._folder.root.resolve().name, self._setting)
        if said.wrong:
            raise SourceError(said.wrong)
        cached = self.cache.get(found.path)
        if cached and (cached.found, cached.around) == (found, said) and cached.is_current(self._listing):
            return cached.rendered
        text = read_text(self._folder, found.path)
        rendered = read_post(text, found.path, self._rules, self._listing.pictures, self._now, said)
        pictures = rendered.pictures & self._listing.pictures
        self.cache[found.path] = Cached(found, pictures, rendered, dialect, said)
        return rendered

    def _setting(self, path: str) -> str:
        """Return the text of a file that speaks for others, read once."""
        if path not in self._texts:
            self._texts[path] = read_text(self._folder, path)
        return self._texts[path]


def read_text(folder: Folder, path: str) -> str:
    """Return a file's text. Raises `SourceError` unless it is a regular UTF-8 file of at most 2 MB."""
    try:
        with open(open_below(folder, path), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{path}: is not a regular file and was skipped.")
            body = file.read(MAX_FILE + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    if len(body) > MAX_FILE:
        raise SourceError(
            f"{path}: is larger than {MAX_FILE // 1_000_000} MB. Split it, or move pictures into files."
        )
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}:{line}: is not UTF-8 text. Save it with the encoding UTF-8.") from error


def open_below(folder: Folder, path: str) -> int:
    """Open a file below the root and return its descriptor; no component may be a link, or lead out.

    With `allow_symlinks` links are resolved first, and what they resolve to has to lie in the folder.
    """
    if folder.allow_symlinks:
        real = os.path.realpath(folder.root / path)
        path = os.path.relpath(real, os.path.realpath(folder.root))
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise SourceError(f"{path}: leads out of the folder and was skipped.")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    current = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in _with_last(parts):
        try:
            opened = os.open(part.name, flags | (0 if part.last else os.O_DIRECTORY), dir_fd=current)
        finally:
            os.close(current)
        current = opened
    return current


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    last: bool


def _with_last(parts: list[str]) -> Iterator[_Part]:
    return (_Part(name, number == len(parts)) for number, name in enumerate(parts, 1))
