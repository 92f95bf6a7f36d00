"""The address of a Markdown file's page: what its front matter says, else the site's URL template."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from string import Formatter
from urllib.parse import quote

from bridge.errors import ConfigError
from bridge.moments import day
from bridge.sources.sanitize import absolute_url

FIELDS = ("slug", "title_slug", "path", "folder", "category", "year", "month", "day", "language")
_DATED = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[-_ ](.+)")
# Eleventy and Jekyll permalinks may be templates themselves; we cannot run those.
_COMPUTED = re.compile(r"\{|/:[a-z_]")


def check_template(template: str) -> None:
    """Raise `ConfigError` unless `template` is an address of known fields, such as ``/posts/{slug}/``."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(
            f"url_template “{template}” has an unmatched brace ({error}). {_known()}"
        ) from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in FIELDS or spec or conversion):
            raise ConfigError(f"url_template “{template}” has an unknown field {{{name}}}. {_known()}")
    if not template.startswith(("https://", "http://", "/")):
        raise ConfigError(f"url_template “{template}” has to start with “https://” or “/”.")


def _known() -> str:
    return "Known fields are " + ", ".join(f"{{{name}}}" for name in FIELDS) + "."


def expand(template: str, values: Mapping[str, str]) -> str | None:
    """Return the address with the fields filled in and percent-encoded; `None` when one of them is empty."""
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    if not all(values.get(name) for name in names):
        return None
    return template.format_map({name: quote(values[name], safe="/-._~", errors="replace") for name in names})


def dated_name(name: str) -> tuple[str, date | None]:
    """Split Jekyll's ``2024-05-01-slug`` into the slug and its date; other names are their own slug."""
    match = _DATED.fullmatch(name)
    if not match:
        return name, None
    found = day(int(match[1]), int(match[2]), int(match[3]))
    return (match[4], found) if found else (name, None)


def slugify(title: str) -> str:
    """Return a title as generators make it part of an address: lower case, letters and digits, dashes."""
    words = re.split(
        r"[^\w]+", unicodedata.normalize("NFKC", title).lower().replace("'", "").replace("’", "")
    )
    return "-".join(word for word in words if word.strip("_"))[:200]


def join_site(site_url: str, path: str) -> str | None:
    """Return a path of the site, or a full address, as an absolute URL; `None` when it is neither."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}:", path) or path.startswith("//"):
        return absolute_url(path, site_url)
    if not path or _COMPUTED.search(path) or any(part == ".." for part in path.split("/")):
        return None
    return absolute_url(
        site_url.rstrip("/") + "/" + quote(path.lstrip("/"), safe="/-._~%?=&#!$'()*+,;:@", errors="replace")
    )
