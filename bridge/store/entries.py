"""Entries as they are kept beside their posts, for previews and for changes the owner has yet to judge."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.model import Controls, Enclosure, Entry, Image, Visibility


def to_stored(entry: Entry) -> dict[str, Any]:
    """Turn an entry into plain data."""
    return dataclasses.asdict(entry)


def from_stored(stored: Mapping[str, Any]) -> Entry:
    """Turn plain data back into an entry; what an older version stored may lack newer fields."""
    known = {field.name for field in dataclasses.fields(Entry)}
    values = {name: value for name, value in stored.items() if name in known}
    values |= {
        "published_at": _moment(stored.get("published_at")),
        "updated_at": _moment(stored.get("updated_at")),
        "tags": tuple(stored.get("tags") or ()),
        "images": tuple(_image(image) for image in stored.get("images") or ()),
        "enclosures": tuple(_enclosure(one) for one in stored.get("enclosures") or ()),
        "controls": _controls(stored.get("controls") or {}),
    }
    return Entry(**{"guid": None, "link": None} | values)


def _image(stored: Mapping[str, Any]) -> Image:
    focus = stored.get("focal_point")
    return Image(**{**stored, "focal_point": tuple(focus) if focus else None})


def _enclosure(stored: Mapping[str, Any]) -> Enclosure:
    cover = stored.get("cover")
    return Enclosure(**{**stored, "cover": _image(cover) if cover else None})


def _controls(stored: Mapping[str, Any]) -> Controls:
    visibility = Visibility(stored.get("visibility", Visibility.PUBLIC))
    return Controls(**{**stored, "visibility": visibility})


def _moment(stored: Any) -> datetime | None:
    return datetime.fromisoformat(stored) if isinstance(stored, str) else stored
