"""The archive of real feeds, and in a row for each what posts they make: how many, of what kind, how long.

`python tests/support/corpus.py --write` writes the golden summary anew; look at the difference, then commit.
"""

import csv
import io
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from looks import bench, compose
from places import DATA, SHARED

from bridge.compose import kind_of
from bridge.markup.html import plain_text, to_note_html
from bridge.model import Entry
from bridge.sources.feeds.feed import parse_feed

ARCHIVE = SHARED / "feeds" / "corpus.tar.xz"
GOLDEN = DATA / "corpus.csv"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
MOST = 10  # posts of one feed that are written; the rest is only counted
COLUMNS = (
    *("feed", "entries", "titles", "links", "dates", "languages", "kinds"),
    *("pictures", "described", "files", "hashtags", "characters"),
)

Row = dict[str, str]


def summarise(archive: Path = ARCHIVE) -> Iterator[Row]:
    """Yield a row for each feed of the archive, by name."""
    with tarfile.open(archive) as tar:
        feeds = sorted((one for one in tar if one.name.endswith((".xml", ".json"))), key=lambda one: one.name)
        for member in feeds:
            file = tar.extractfile(member)
            assert file is not None
            yield _row(Path(member.name).name, file.read())


def _row(name: str, body: bytes) -> Row:
    entries = parse_feed(body, url=f"https://site.example/{name}", now=NOW).entries
    written = entries[:MOST]
    at = bench(images="always")
    notes = [compose(entry, at=at) for entry in written]
    shown = [one for note in notes for one in note["attachment"] if one["mediaType"].startswith("image/")]
    lengths = [len(plain_text(note["content"])) for note in notes]
    hashtags = sum(tag["type"] == "Hashtag" for note in notes for tag in note.get("tag", ()))
    values = {
        "feed": name,
        "entries": len(entries),
        "titles": sum(bool(entry.title) for entry in entries),
        "links": sum(bool(entry.link) for entry in entries),
        "dates": sum(bool(entry.published_at) for entry in entries),
        "languages": _counted(entry.language or "–" for entry in entries),
        "kinds": _counted(_kind(entry) for entry in written),
        "pictures": len(shown),
        "described": sum(bool(one.get("name")) for one in shown),
        "files": sum(len(entry.enclosures) for entry in entries),
        "hashtags": hashtags,
        "characters": f"{min(lengths)}–{median(lengths):.0f}–{max(lengths)}" if lengths else "",
    }
    return {column: str(value) for column, value in values.items()}


def _kind(entry: Entry) -> str:
    return str(kind_of(entry, to_note_html(entry.html, base=entry.link)).value)


def _counted(values: Iterable[str]) -> str:
    counts = Counter(values)
    return " ".join(f"{value}:{counts[value]}" for value in sorted(counts))


def read_golden() -> list[Row]:
    """Read the summary as it was last looked at."""
    return list(csv.DictReader(io.StringIO(GOLDEN.read_text(encoding="utf-8"))))


def read_index(archive: Path = ARCHIVE) -> dict[str, int]:
    """Read how many items each feed has, as whoever collected them counted."""
    with tarfile.open(archive) as tar:
        member = next(one for one in tar if one.name.endswith("index.csv"))
        file = tar.extractfile(member)
        assert file is not None
        rows = csv.DictReader(io.StringIO(file.read().decode()))
        return {Path(row["file"]).name: int(row["items"]) for row in rows}


def main() -> None:
    with GOLDEN.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(summarise())


if __name__ == "__main__":
    sys.exit(main() if sys.argv[1:] == ["--write"] else __doc__)
