"""Files that a site leaves out, by their path: what its configuration says, and copies of conflicts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePosixPath

# Syncthing's, Dropbox's and Nextcloud's, OneDrive's and Seafile's, Emacs', patch's and Git's.
_COPIES = re.compile(
    r"\.sync-conflict-|conflicted copy|\((?:case )?conflict|_conflict[-_]\d|\bSFConflict\b"
    r"|\.(?:orig|rej|bak|LOCAL|REMOTE|BASE)\b"
    r"|\bin Konflikt stehende Kopie|copie en conflit|copia en conflicto|\.~\d",
    re.IGNORECASE,
)
_PRIVATE_FOLDERS = frozenset(
    {"drafts", "_drafts", "draft", "private", "_private", "unpublished", "_unpublished"}
)
_STAYS = "The file is kept back; a post that is already public stays as it is."


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a configuration leaves out. Paths are relative to the generator's own content folder.

    `ignored`: lines as of .gitignore, each with the setting's name; `folders`: those that are left out;
    `only`: those that posts lie in, if it says; `names`: patterns of files' names; `unread`: settings that
    cannot be read.
    """

    ignored: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    only: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def why_left_out(path: str, left_out: LeftOut, below: str, whose: str) -> str | None:
    """Say why the file at `path` is no post; `below`: where its folder lies in `whose` content."""
    name = PurePosixPath(path).name
    if _COPIES.search(name):
        return f"is the copy of a conflict. Merge it and delete it, or rename it. {_STAYS}"
    folder = next((part for part in PurePosixPath(path).parts[:-1] if part.lower() in _PRIVATE_FOLDERS), None)
    if folder:
        return f"lies in a folder called “{folder}”. Move it to publish it. {_STAYS}"
    if left_out.unread:
        return (
            f"{left_out.unread[0]} of {whose} cannot be read, and may leave this file out. "
            f"Write it as a plain value. {_STAYS}"
        )
    setting = next(_settings(path, left_out, below), None)
    return f"is left out by {setting} of {whose}. {_STAYS}" if setting else None


def _settings(path: str, left_out: LeftOut, below: str) -> Iterator[str]:
    whole = f"{below}/{path}" if below else path
    yield from (setting for setting in dict(left_out.ignored) if _is_ignored(whole, left_out, setting))
    tails = _tails(whole)  # where the content begins may be said on the command line only
    for setting, folder in left_out.folders:
        if any(_is_in(tail, folder) for tail in tails) and not any(
            _is_in(tail, folder) for tail in _tails(below)
        ):
            yield setting
    if left_out.only and not any(_is_in(tail, folder) for folder in left_out.only for tail in tails):
        yield "ARTICLE_PATHS"
    parts = PurePosixPath(whole).parts
    if any(fnmatchcase(one, name) for name in left_out.names for one in (tails if "/" in name else parts)):
        yield "IGNORE_FILES"


def _tails(path: str) -> list[str]:
    parts = PurePosixPath(path).parts
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _is_in(path: str, folder: str) -> bool:
    folder = folder.removeprefix("./").strip("/")
    return folder in ("", ".") or path == folder or path.startswith(f"{folder}/")


def _is_ignored(path: str, left_out: LeftOut, setting: str) -> bool:
    """Say whether a setting's lines leave a path out; the last that matches decides, as in .gitignore."""
    tails = _tails(path)  # a folder may hold the generator's own
    ignored = False
    for name, line in left_out.ignored:
        pattern = line.strip()
        if name != setting or not pattern or pattern.startswith("#"):
            continue
        opens = pattern.startswith("!")
        matches = _gitignore(pattern.lstrip("!"))
        if any(matches.fullmatch(one) for one in (tails[:1] if opens else tails)):
            ignored = not opens
    return ignored


@lru_cache(maxsize=512)
def _gitignore(pattern: str) -> "re.Pattern[str]":
    anchored = "/" in pattern.rstrip("/")
    out = "" if anchored else "(?:.*/)?"
    for token in re.findall(r"\*\*/|/\*\*|\*|\?|\[[^\]]{1,100}\]|.", pattern.strip("/"), re.DOTALL):
        out += {"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}.get(token) or _literal(token)
    try:
        return re.compile(out + ("/.*" if pattern.endswith("/") else "(?:/.*)?"), re.DOTALL)
    except re.error:
        return re.compile(".*", re.DOTALL)  # what cannot be read leaves out


def _literal(token: str) -> str:
    if len(token) > 1 and token.startswith("["):
        return "[" + ("^" + token[2:] if token[1] in "!^" else token[1:])
    return re.escape(token)
