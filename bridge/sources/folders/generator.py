"""How a folder's Markdown is read: as the generator does that its site is made with.

Which one that is, its configuration says, in the folder or above it. Nothing in there is ever run: of Python
files only literals are read, of YAML only texts.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bridge.sources.folders import fenceless, frontmatter
from bridge.sources.folders.leftout import LeftOut
from bridge.sources.folders.literals import Made, literals

DialectName = Literal["auto", "commonmark", "python-markdown"]
Generator = Literal["", "pelican", "mkdocs", "nikola"]

MAX_PARENTS = 8  # how far above the folder a configuration is looked for
MAX_CONFIG = 256 * 1024  # bytes of one

# What belongs to Python-Markdown itself, and what of pymdownx comes to the same. Nothing else is ever loaded.
_EXTENSIONS = {name: name for name in (
    "abbr", "admonition", "attr_list", "codehilite", "def_list", "extra", "fenced_code", "footnotes",
    "legacy_attrs", "legacy_em", "md_in_html", "meta", "nl2br", "sane_lists", "smarty", "tables", "toc",
    "wikilinks",
)} | {
    "pymdownx.details": "details",
    "pymdownx.extra": "extra",
    "pymdownx.highlight": "codehilite",
    "pymdownx.superfences": "superfences",
    "pymdownx.tasklist": "tasklist",
}  # fmt: skip
_COMMONMARK = (
    *("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json", "_config.yml", "_config.yaml", "_config.toml"),
    *(
        ".eleventy.js",
        "eleventy.config.js",
        "eleventy.config.mjs",
        "eleventy.config.cjs",
        "eleventy.config.ts",
    ),
    *(
        "astro.config.mjs",
        "astro.config.js",
        "astro.config.ts",
        "docusaurus.config.js",
        "docusaurus.config.ts",
    ),
    *("gatsby-config.js", "gatsby-config.ts"),
)
_OTHER_READERS = (
    "commonmark",
    "markdown_it",
    "mistune",
    "myst",
    "pandoc",
)  # plugins that read Markdown instead
_NIKOLAS = frozenset(
    {"BLOG_AUTHOR", "BLOG_DESCRIPTION", "BLOG_EMAIL", "BLOG_TITLE", "COMPILERS", "NAVIGATION_LINKS", "PAGES"}
    | {"MARKDOWN_EXTENSIONS", "POSTS", "SITE_URL"}
)
_FEWEST_NIKOLAS = 2  # names that no other conf.py (Sphinx's, a program's) has beside one another


# What says which files are published, and how.
_PELICANS = ("ARTICLE_EXCLUDES", "ARTICLE_PATHS", "PAGE_PATHS", "IGNORE_FILES", "DEFAULT_METADATA")
_MKDOCS = ("exclude_docs", "draft_docs", "not_in_nav")
_PRIVATE_SETTINGS = (*_PELICANS, *_MKDOCS)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How Markdown is read, and what its generator calls a page.

    `extensions`: Python-Markdown's by their short names; `None`: it is CommonMark. `is_told`: a configuration
    says so; otherwise a file's header may. `defaults`: fields of files that do not have them. `below`: where
    the folder lies in the generator's own. `directory_urls`: a page is a folder's index. `left_out`: what it
    does not publish.
    """

    generator: Generator = ""
    extensions: tuple[str, ...] | None = None
    is_told: bool = True
    slug_source: Literal["title", "basename"] = "title"
    unicode_slugs: bool = False
    keeps_case: bool = False
    category: str = "misc"
    defaults: tuple[tuple[str, str], ...] = ()
    below: str = ""
    directory_urls: bool = True
    left_out: LeftOut = field(default_factory=LeftOut)
    has_made_defaults: bool = False

    @property
    def reads_meta(self) -> bool:
        """Say whether what stands first in a file is read as Python-Markdown's `meta` extension does."""
        return self.extensions is not None and "meta" in self.extensions

    def of_file(self, text: str) -> "Dialect":
        """Return how one file is read: where nothing is told, a header without fences tells."""
        if self.is_told:
            return self
        return {"fields": PELICAN, "comment": NIKOLA}.get(fenceless.form_of(text) or "", self)


COMMONMARK = Dialect()
UNTOLD = Dialect(is_told=False)
PELICAN = Dialect("pelican", ("codehilite", "extra", "meta"))
MKDOCS = Dialect("mkdocs", ("fenced_code", "meta", "tables", "toc"))
NIKOLA = Dialect("nikola", ("codehilite", "extra", "fenced_code"))


def dialect_of(root: Path, wanted: DialectName = "auto") -> Dialect:
    """Return how a folder's Markdown is read; `wanted` is what the owner says.

    What says nothing and is to be Python-Markdown all the same is read as Pelican does.
    """
    if wanted == "commonmark":
        return COMMONMARK
    found = _told_above(Path(os.path.realpath(root)))
    return PELICAN if wanted == "python-markdown" and found.extensions is None else found


def _told_above(root: Path) -> Dialect:
    """Look for a configuration in the folder, then upwards to the repository's root; the nearest tells."""
    for directory in _upwards(root):
        for name, read in _READERS.items():
            found = _read(read, directory / name)
            if found and (below := _place(root, directory, found.folder)) is not None:
                return replace(found.dialect, below=below)
        if any(_status(directory / name) for name in _COMMONMARK):
            return COMMONMARK
    return UNTOLD


def _upwards(root: Path) -> Iterator[Path]:
    for directory in [root, *root.parents][: MAX_PARENTS + 1]:
        yield directory
        if os.path.lexists(directory / ".git"):
            return


def _status(path: Path) -> os.stat_result | None:
    """Return a regular file's status; what cannot be read or is none is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _place(root: Path, directory: Path, folder: str | None) -> str | None:
    """Return where the root lies in the folder that a configuration is for; `None`: it is for another one."""
    if folder is None:
        return ""
    content = Path(os.path.realpath(directory / folder))
    if root.is_relative_to(content):
        return root.relative_to(content).as_posix().removeprefix(".")
    return "" if content.is_relative_to(root) else None


# ── configurations ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Told:
    """What a configuration says; `folder`: of its content, if it names one."""

    dialect: Dialect
    folder: str | None = None


def _read(kind: str, path: Path) -> _Told | None:
    status = _status(path)
    return _read_once(kind, str(path), status.st_mtime_ns, status.st_size) if status else None


@lru_cache(maxsize=256)  # a folder is looked at every few seconds
def _read_once(kind: str, path: str, mtime_ns: int, size: int) -> _Told | None:
    text = _text(path) if size <= MAX_CONFIG else _named_in(path)
    if kind == "mkdocs":
        return _mkdocs(text)
    names = literals(text, _PRIVATE_SETTINGS)
    if kind == "pelican":
        return _pelican(names)
    return _nikola(names) if len(_NIKOLAS & names.keys()) >= _FEWEST_NIKOLAS else None


def _named_in(path: str) -> str:
    """Return, of a file that is too large to be read, the settings that it names: they are there, unread."""
    text = _text(path, 16 * MAX_CONFIG)
    return "".join(f"{name} = unread()\n" for name in _PRIVATE_SETTINGS if name in text)


def _text(path: str, limit: int = MAX_CONFIG) -> str:
    """Return a file's text; of what became a pipe or a device meanwhile, none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return file.read(limit).decode("utf-8", "replace") if is_file else ""
    except OSError:
        return ""


def _pelican(names: Mapping[str, Any]) -> _Told:
    plugins = names.get("PLUGINS")
    if _names_another_reader(plugins if isinstance(plugins, list | tuple) else ()):
        return _Told(COMMONMARK)
    markdown = names.get("MARKDOWN")
    given = [*_listed(markdown, "extension_configs"), *_listed(markdown, "extensions")]
    defaults = names.get("DEFAULT_METADATA")
    told = replace(
        PELICAN,
        extensions=_extensions([*given, "meta"]) if isinstance(markdown, dict) else PELICAN.extensions,
        slug_source="basename" if names.get("SLUGIFY_SOURCE") == "basename" else "title",
        unicode_slugs=names.get("SLUGIFY_USE_UNICODE") is True,
        keeps_case=names.get("SLUGIFY_PRESERVE_CASE") is True,
        category=_string(names.get("DEFAULT_CATEGORY")) or PELICAN.category,
        defaults=_pairs(defaults) if isinstance(defaults, dict) else (),
        left_out=_left_out_by_pelican(names),
        has_made_defaults=isinstance(defaults, Made),
    )
    return _Told(told, _string(names.get("PATH")))


def _left_out_by_pelican(names: Mapping[str, Any]) -> LeftOut:
    """Read which files are articles; a setting that is there and no literal leaves out what it may."""
    pages = names.get("PAGE_PATHS", ["pages"])
    folders = [*_under(names, "ARTICLE_EXCLUDES"), *(("PAGE_PATHS", one) for one in _names(pages) if one)]
    return LeftOut(
        folders=tuple(folders),
        only=tuple(one for _, one in _under(names, "ARTICLE_PATHS")),
        names=tuple(one for _, one in _under(names, "IGNORE_FILES")),
        unread=tuple(
            name
            for name in _PELICANS
            if name in names
            and not isinstance(names[name], dict if name == "DEFAULT_METADATA" else str | list | tuple | set)
        ),
    )


def _under(names: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    return [(name, one) for one in _names(names.get(name))]


def _left_out_by_mkdocs(config: Mapping[Any, Any], text: str, *, is_read: bool) -> LeftOut:
    if not is_read:
        return LeftOut(unread=tuple(name for name in _MKDOCS if name in text))
    lines = [
        (name, line) for name in _MKDOCS for line in _string(config.get(name)).splitlines() if line.strip()
    ]
    unread = [name for name in _MKDOCS if config.get(name) and not isinstance(config[name], str)]
    return LeftOut(ignored=tuple(lines), unread=tuple(unread))


def _mkdocs(text: str) -> _Told:
    try:
        found = frontmatter.read_yaml(text)
    except Exception:  # whatever PyYAML raises: it is MkDocs all the same
        found = None
    config = found if isinstance(found, dict) else {}
    listed = config.get("markdown_extensions")
    names = [name for one in (listed if isinstance(listed, list) else [listed]) for name in _names(one)]
    told = replace(
        MKDOCS,
        extensions=_extensions([*(MKDOCS.extensions or ()), *names]),
        directory_urls=_string(config.get("use_directory_urls")) != "false",
        left_out=_left_out_by_mkdocs(config, text, is_read=isinstance(found, dict)),
    )
    return _Told(told, _string(config.get("docs_dir")))


def _nikola(names: Mapping[str, Any]) -> _Told:
    compilers = names.get("COMPILERS")
    if isinstance(compilers, dict) and any(
        ".md" in _strings(one) for name, one in compilers.items() if name != "markdown"
    ):
        return _Told(COMMONMARK)
    given = names.get("MARKDOWN_EXTENSIONS")
    extensions = _extensions(given) if isinstance(given, list | tuple) else NIKOLA.extensions
    return _Told(replace(NIKOLA, extensions=extensions))


def _names_another_reader(plugins: Iterable[object]) -> bool:
    return any(reader in _string(one) for one in plugins for reader in _OTHER_READERS)


def _extensions(names: Iterable[object]) -> tuple[str, ...]:
    short = (_string(name).removeprefix("markdown.extensions.").partition(":")[0] for name in names)
    return tuple(sorted({_EXTENSIONS[name] for name in short if name in _EXTENSIONS}))


def _listed(table: object, name: str) -> list[str]:
    return _names(table.get(name)) if isinstance(table, dict) else []


def _names(value: object) -> list[str]:
    """Return the names in a text, a list of texts, or a table by name."""
    return [value] if isinstance(value, str) else _strings(value)


def _strings(value: object) -> list[str]:
    return (
        [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple | dict | set) else []
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _pairs(table: Mapping[Any, Any]) -> tuple[tuple[str, str], ...]:
    texts = (
        (name, value) for name, value in table.items() if isinstance(name, str) and isinstance(value, str)
    )
    return tuple(sorted((name.lower().replace("-", "_"), value) for name, value in texts))


_READERS = {"pelicanconf.py": "pelican", "mkdocs.yml": "mkdocs", "mkdocs.yaml": "mkdocs", "conf.py": "nikola"}
