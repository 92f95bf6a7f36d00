"""Whether a file of a content folder is meant as a post: no draft, nothing hidden, no standing page."""

from bridge.sources import frontmatter
from bridge.sources.frontmatter import Fields

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


def is_draft(fields: Fields) -> bool:
    """Say whether the file's owner does not want it read, or not found, by others."""
    build = {**frontmatter.table(fields, "_build"), **frontmatter.table(fields, "build")}
    states = {frontmatter.text(fields, name).lower() for name in ("status", "visibility")}
    return bool(
        any(frontmatter.flag(fields, name) for name in _WITHHELD)
        or (is_flag(fields, "published") and frontmatter.flag(fields, "published") is False)
        or _NOT_YET & {*states, *map(str.lower, frontmatter.texts(fields, "tags"))}
        or frontmatter.text(fields, "password")
        or "false" in {frontmatter.text(fields, name).lower() for name in ("permalink", "render")}
        or {frontmatter.text(build, name).lower() for name in ("list", "render")} & _NEVER
    )


def is_flag(fields: Fields, name: str) -> bool:
    """Say whether `published` is Jekyll's yes or no rather than a date."""
    return frontmatter.text(fields, name).lower() in ("true", "false", "yes", "no")


def is_page(fields: Fields, slug: str) -> bool:
    """Say whether a file that names no date is one of the site's standing pages, and no news."""
    kinds = {frontmatter.text(fields, name).lower() for name in ("layout", "type")}
    return "page" in kinds or slug.lower().replace("_", "-").replace(" ", "-") in _PAGES
