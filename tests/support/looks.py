"""The looks in tests/data/looks: each source, the post it makes, and what Mastodon keeps of that.

`python tests/support/looks.py --write` writes the golden files anew; look at the difference, then commit.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from places import DATA

from bridge.activitypub.ids import Ids
from bridge.compose import compose_note
from bridge.config import Config, SiteConfig
from bridge.config.read import read_config
from bridge.errors import ConfigError
from bridge.model import Entry
from bridge.preview.timelines import Preview, preview
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.post import Rules, read_post

FOLDER = DATA / "looks"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
POST_ID = "abcdefghij234567"


@dataclass(frozen=True)
class Bench:
    """All of the services that composing needs, without a database."""

    config: Config
    ids: Ids

    def site(self, key: str) -> SiteConfig:
        return self.config.sites[key]


def bench(base_url: str = "https://cafe.example", **said: Any) -> Bench:
    """Set a bridge for one café up, whose site config says more, or nothing where it is `None`."""
    site = {
        "handle": "@cafe@cafe.example",
        "website": "https://cafe.example/",
        "name": "Café Wren",
        "language": "en",
        "sources": [{"feed": "https://cafe.example/feed.xml"}],
        **said,
    }
    site = {key: value for key, value in site.items() if value is not None}
    config, problems = read_config({"base_url": base_url, "sites": {"cafe": site}}, FOLDER)
    if config is None:
        raise ConfigError("; ".join(problem.what for problem in problems))
    return Bench(config, Ids(base_url))


def compose(entry: Entry, *, at: Bench | None = None, **more: Any) -> Mapping[str, Any]:
    """Compose an entry's note; what is no argument of `compose_note` stands in the site's config."""
    given = {name: more.pop(name) for name in ("pictures", "mentions", "updated_at") if name in more}
    more |= {"mentions": more.pop("site_mentions")} if "site_mentions" in more else {}
    services: Any = at or bench(**more)
    return compose_note(services, "cafe", POST_ID, entry, published_at=entry.published_at or NOW, **given)


def read_source(path: Path) -> Entry:
    """Read the one entry of a look's source."""
    if path.suffix == ".md":
        rules = Rules("https://cafe.example/", "https://cafe.example/blog/{slug}/")
        entry = read_post(path.read_text(encoding="utf-8"), path.name, rules, frozenset(), NOW).entry
        assert entry is not None
        return entry
    (entry,) = parse_feed(path.read_bytes(), url="https://cafe.example/feed", now=NOW).entries
    return entry


def sources() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if path.suffix in (".md", ".xml", ".json"))


def golden(path: Path) -> Path:
    return path.with_name(f"{path.stem}.golden.txt")


def look(path: Path) -> str:
    """Return everything that servers are told of a post, and what they make of it, as readable text."""
    entry, services = read_source(path), bench()
    note = compose(entry, at=services)
    shown = preview(note, entry, services.site("cafe"), now=NOW)
    return "\n".join(_lines(note, shown)) + "\n"


def _lines(note: Mapping[str, Any], shown: Preview) -> list[str]:
    languages = ", ".join(note.get("contentMap", ()))
    return [
        f"── sent: {note['type']} ({shown.kind}, {shown.visibility}, {languages})",
        note["content"].replace("</p><", "</p>\n<"),
        *(f"warning: {note['summary']}" for _ in [0] if "summary" in note),
        *(f"attached: {one.media_type} {one.url} “{one.alt}”" for one in shown.attached),
        *(f"tag: {tag['name']}" for tag in note["tag"]),
        "── Mastodon keeps",
        "the same" if shown.mastodon == note["content"] else shown.mastodon.replace("</p><", "</p>\n<"),
        "── Misskey",
        shown.misskey,
        "── Threads",
        shown.threads,
        "── remarks",
        *(f"{remark.level}: {remark.what}" for remark in shown.remarks),
    ]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    for source in sources():
        golden(source).write_text(look(source), encoding="utf-8")
