"""Whether a file of a content folder is meant as a post: no draft, nothing hidden, no standing page.

What is understood as a draft is one; whatever else stands behind a word about publishing keeps a file back
until its owner says it in a way that we know, for what is out cannot be taken back.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bridge.markup.text import one_line
from bridge.sources.folders import frontmatter
from bridge.sources.folders.frontmatter import Fields

_WITHHELD = (
    *("draft", "drafts", "is_draft", "isdraft", "private", "hidden", "unlisted", "headless"),
    "eleventyexcludefromcollections",
)
_NOT_YET = frozenset({"draft", "private", "hidden", "pending", "skip", "unpublished", "trash"})
_NEVER = frozenset({"never", "false"})
_PAGES = frozenset(
    {"index", "about", "about-me", "contact", "404", "search", "archive", "archives", "tags", "categories"}
    | {"imprint", "impressum", "privacy", "privacy-policy", "datenschutz", "license", "licence", "changelog"}
    | {"contributing", "code-of-conduct", "security", "now", "uses", "colophon", "summary", "todo"}
)

# Words about publishing, without `_`. Behind the first, a yes withholds; behind the second, a no does.
_SHUTTING = frozenset(
    {
        "draft",
        "drafts",
        "isdraft",
        "private",
        "isprivate",
        "hidden",
        "ishidden",
        "unlisted",
        "headless",
        "wip",
    }
    | {"protected", "isprotected", "unpublished", "secret", "confidential", "internal", "locked", "embargoed"}
    | {"membersonly", "memberonly", "subscribersonly", "paywall", "excludefromcollections", "skippublish"}
    | {"eleventyexcludefromcollections", "nopublish", "donotpublish", "dgprivate", "workinprogress"}
)
_OPENING = frozenset(
    {"publish", "published", "public", "ispublished", "ispublic", "dgpublish", "share", "shared", "render"}
)
_STATES = frozenset({"status", "state", "visibility", "access", "audience", "poststatus", "publishstatus"})
_OPEN_STATES = frozenset(
    {"public", "published", "publish", "featured", "live", "final", "done", "ready", "complete", "completed"}
    | {"finished", "everyone", "everybody", "all", "anyone", "open", "listed", "world", "released", "visible"}
    | {"seedling", "budding", "evergreen", "true", "yes"}  # digital gardens
)
_WORDS = _SHUTTING | _OPENING | _STATES | {"password", "build", "permalink"}
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
_BUILDS = frozenset({"always", "true"})
_LABELS = frozenset({"draft", "drafts", "private", "unpublished", "unlisted", "wip", "hidden"})
_LABELLED = ("tags", "tag", "categories", "category", "keywords")


def is_draft(fields: Fields) -> bool:
    """Say whether the file's owner does not want it read, or not found, by others."""
    build = {**frontmatter.table(fields, "_build"), **frontmatter.table(fields, "build")}
    states = {frontmatter.text(fields, name).lower() for name in ("status", "visibility")}
    return bool(
        any(frontmatter.flag(fields, name) for name in _WITHHELD)
        or frontmatter.text(fields, "published").lower() in ("false", "no")
        or _NOT_YET & {*states, *map(str.lower, frontmatter.texts(fields, "tags"))}
        or frontmatter.text(fields, "password")
        or "false" in {frontmatter.text(fields, name).lower() for name in ("permalink", "render")}
        or {frontmatter.text(build, name).lower() for name in ("list", "render")} & _NEVER
    )


def is_word(name: str) -> bool:
    """Say whether a field's name says something about publishing."""
    return _plain(name) in _WORDS


def why_kept_back(fields: Fields) -> str | None:
    """Return what in a header keeps a file back, as a sentence's beginning; `None`: nothing does."""
    return next(_doubts(fields), None)


def _doubts(fields: Fields) -> Iterator[str]:
    for path, table in _tables(fields):
        for name, value in table.items():
            if _is_doubtful(_plain(str(name)), value):
                yield f"{path}{name} “{_shown(value)}” {_meaning(_plain(str(name)))}"
    labels = {
        label.lower().lstrip("#")
        for _, table in _tables(fields)
        for label in frontmatter.texts(table, *_LABELLED)
    }
    if found := sorted(labels & _LABELS):
        yield f"its tag or category “{found[0]}” is taken for a wish not to be published"


def _tables(fields: Fields) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", fields
    for name in ("params", "extra", "taxonomies", "cascade", "data", "meta", "metadata", "properties"):
        value = fields.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                table = frontmatter.normalise(one)
                yield f"{name}.", table
                if name == "cascade" and isinstance(table.get("params"), Mapping):
                    yield f"{name}.params.", frontmatter.normalise(table["params"])


def _is_doubtful(name: str, value: object) -> bool:
    """Say whether a word about publishing says no, or something that we do not understand."""
    if name == "password":
        return value not in (None, "", False) and _word(value) not in ("", "false")
    if name == "build":
        return isinstance(value, Mapping) and any(
            _word(value.get(key, "always")) not in _BUILDS for key in ("list", "render")
        )
    if name == "permalink":
        return (isinstance(value, bool) and not value) or _word(value) in _NO
    word = _word(value)
    if name in _SHUTTING:
        return bool(word) and word not in _NO
    if name in _OPENING:
        return word not in _YES and frontmatter.moment(value) is None
    return name in _STATES and bool(word) and word not in _OPEN_STATES


def _meaning(name: str) -> str:
    if name in _SHUTTING:
        return f"keeps it back; write “{name}: false” to publish it"
    if name in _OPENING:
        return f"is no yes; write “{name}: true” to publish it"
    if name in _STATES:
        return f"is no word for published; write “{name}: published” or take it out"
    return "keeps it back; take it out to publish it"


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")


def _word(value: object) -> str:
    """Return a value as one word; what is neither text, number nor yes or no is an odd one."""
    if value is None:
        return ""
    if isinstance(value, str | bool | int | float) or hasattr(value, "isoformat"):
        return frontmatter.text({"value": value}, "value").lower()
    return "?"


def _shown(value: object) -> str:
    return one_line(str(value), 40)


def is_flag(fields: Fields, name: str) -> bool:
    """Say whether `published` is Jekyll's yes or no rather than a date."""
    return frontmatter.text(fields, name).lower() in ("true", "false", "yes", "no", "on", "off", "0", "1")


def is_page(fields: Fields, slug: str) -> bool:
    """Say whether a file that names no date is one of the site's standing pages, and no news."""
    kinds = {frontmatter.text(fields, name).lower() for name in ("layout", "type")}
    return "page" in kinds or slug.lower().replace("_", "-").replace(" ", "-") in _PAGES
