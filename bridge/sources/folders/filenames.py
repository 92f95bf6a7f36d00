"""What the path of a Markdown file says: which piece of writing it is, its slug, date and language."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from bridge.sources.fields import language_tag
from bridge.sources.folders import permalink

# Suffixes that mark a translation (`post.fr.md`); a list, because `notes.js.md` is no language.
_LANGUAGES = re.compile(
    r"ar|bg|bn|ca|cs|cy|da|de|el|en|eo|es|et|eu|fa|fi|fr|ga|gl|he|hi|hr|hu|id|is|it|ja|ka|kn|ko|lt|lv|mk|ml|mr"
    r"|ms|nb|nl|nn|no|pl|pt|ro|ru|sk|sl|sq|sr|sv|sw|ta|te|th|tr|uk|ur|vi|zh|pt-(?:br|pt)|zh-(?:cn|tw|hans|hant)"
    r"|en-(?:us|gb)"
)


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's path says; `key` names the piece of writing, be it `post.md` or `post/index.md`."""

    path: str
    key: str
    stem: str
    slug: str
    date: date | None
    language: str | None


def name_of(path: str) -> Name:
    """Read a file's path relative to its folder.

    The key is the path without extension, without `/index` of a page bundle, so that turning `post.md` into
    `post/index.md` keeps the identity; a translation (`post.fr.md`) keeps its suffix.
    """
    file = PurePosixPath(path)
    stem, _, suffix = file.stem.rpartition(".")
    language = language_tag(suffix) if stem and _LANGUAGES.fullmatch(suffix.lower()) else None
    base = stem if language else file.stem
    if base.lower() == "index" and file.parent.name:
        key, base = str(file.parent), file.parent.name
    else:
        key = str(file.parent / base)
    slug, date = permalink.dated_name(base)
    return Name(path, f"{key}.{suffix}" if language else key, base, slug, date, language)
