"""What stands beside a file and speaks for it: Nikola's `a.meta`, Eleventy's data files, Hugo's `cascade`.

Of data files and cascades only what they say about publishing is taken; JavaScript is never run.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from bridge.errors import SourceError
from bridge.sources.folders import drafts, fenceless, fences, frontmatter
from bridge.sources.folders.frontmatter import Fields

ReadText = Callable[[str], str]

_OLD_META = ("title", "slug", "date", "tags", "link", "description", "type")  # one a line, by their number
_SCRIPTS = (".js", ".cjs", ".mjs", ".ts")
_WITHHOLDING = re.compile(
    r"\b(?:draft|drafts|private|hidden|unlisted|eleventyExcludeFromCollections)[\"']?\s*:\s*(?:true|1|[\"'])"
    r"|\b(?:permalink|publish|published)[\"']?\s*:\s*(?:false|0|!1)"
)
_STAYS = "What it speaks for is kept back; a post that is already public stays as it is."


@dataclass(frozen=True, slots=True)
class Around:
    """What is said of one file beside it.

    `meta`: its fields; `inherited`: words about publishing; `wrong`: what cannot be read.
    """

    meta: Fields = field(default_factory=dict)
    inherited: Fields = field(default_factory=dict)
    wrong: str = ""


NOTHING_AROUND = Around()


def is_setting(name: str) -> bool:
    """Say whether a file may speak for others."""
    return name.lower().endswith((".meta", ".json")) or name.startswith("_index.") or ".11tydata." in name


def around(path: str, names: frozenset[str], root_name: str, read: ReadText) -> Around:
    """Return what the settings `names`, paths below the root, say of the file at `path`. Never raises."""
    try:
        meta = _meta(f"{PurePosixPath(path).with_suffix('')}.meta", names, read)
        inherited: dict[str, Any] = {}
        for setting in _settings(path, names, root_name):
            inherited.update(_words(setting, read))
    except SourceError as error:
        return Around(wrong=str(error).removesuffix(_STAYS).strip() + f" {_STAYS}")
    return Around(meta, inherited)


def _settings(path: str, names: frozenset[str], root_name: str) -> Iterator[str]:
    """Yield what speaks for a file, the nearest last."""
    file = PurePosixPath(path)
    for folder in [*reversed(file.parents)]:
        prefix = "" if str(folder) == "." else f"{folder}/"
        own = folder.name or root_name
        yield from sorted(
            name for name in names if name.startswith(f"{prefix}_index.") and "/" not in name[len(prefix) :]
        )
        yield from _data(f"{prefix}{own}", names)
    yield from _data(f"{file.parent}/{file.stem}".removeprefix("./"), names)


def _data(stem: str, names: frozenset[str]) -> Iterator[str]:
    endings = (".json", ".11tydata.json", *(f".11tydata{ending}" for ending in _SCRIPTS))
    yield from (name for ending in endings if (name := stem + ending) in names)


def _words(path: str, read: ReadText) -> dict[str, Any]:
    """Return what a data file or a section's page says about publishing. Raises `SourceError`."""
    text = read(path)
    if path.endswith(_SCRIPTS):
        if found := _WITHHOLDING.search(text):
            raise SourceError(
                f"{path}: says “{found.group()[:40]}”, and is not run. Say it in JSON. {_STAYS}"
            )
        return {}
    fields = _json(path, text) if path.endswith(".json") else _cascade(path, text)
    return {name: value for name, value in frontmatter.normalise(fields).items() if _is_taken(name)}


def _is_taken(name: str) -> bool:
    return (
        drafts.is_word(name)
        or name in ("params", "extra", "fediverse", "federate")
        or name.startswith("fediverse_")
    )


def _json(path: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: is not valid JSON ({str(error)[:80]}). Correct it. {_STAYS}") from error
    return found if isinstance(found, dict) else {}


def _cascade(path: str, text: str) -> dict[str, Any]:
    """Return Hugo's `cascade` of a section; one that is for some pages only is taken for all."""
    found = fences.split_other(text, path) or frontmatter.split(text, path)
    cascade = found[0].get("cascade")
    merged: dict[str, Any] = {}
    for one in cascade if isinstance(cascade, list) else [cascade]:
        if isinstance(one, dict):
            merged.update(one)
        elif one not in (None, ""):
            raise SourceError(
                f"{path}: its cascade is not a list of fields. Write each as “name: value”. {_STAYS}"
            )
    return merged


# ── Nikola's metadata beside a post ──────────────────────────────────────────────────────────────


def _meta(path: str, names: frozenset[str], read: ReadText) -> Fields:
    if path not in names:
        return {}
    text = frontmatter.with_plain_ends(read(path)).replace("\r", "\n")
    found = fences.split_other(text, path) or frontmatter.split(text, path)
    if found[0]:
        return found[0]
    lines = [line.strip() for line in text.strip().split("\n")]
    if not any(lines):
        return {}
    if len(lines) > len(_OLD_META) + 1 or any(line.startswith("..") for line in lines):
        raise SourceError(f"{path}: its fields cannot be read. Write each as “.. name: value”. {_STAYS}")
    old = dict(zip(_OLD_META, lines, strict=False))
    _refuse_loose_words(path, lines)
    return {name: fenceless.comma_list(name, value) for name, value in old.items()}


def _refuse_loose_words(path: str, lines: list[str]) -> None:
    """Refuse a line that is no more than `draft` or `private`, wherever it stands."""
    for number, line in enumerate(lines, 1):
        labels = {part.strip().lower() for part in line.split(",")}
        if number > 1 and drafts.why_kept_back({"tags": sorted(labels)}):
            raise SourceError(
                f"{path}:{number}: “{line[:40]}” keeps the post back. Take it out to publish it. {_STAYS}"
            )
