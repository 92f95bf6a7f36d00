"""Composes a post out of an entry: what followers read, and how it looks to them. Pure and cheap."""

from bridge.compose.kinds import Kind, kind_of
from bridge.compose.mentions import Mentioned, People, find_mentions, mentioned, mentioned_in
from bridge.compose.note import compose_note, lacks_people, lacks_pictures, wanted_pictures
from bridge.compose.pictures import MAX_IMAGES, PAGE, Checked, choose_pictures

__all__ = [
    "MAX_IMAGES",
    "PAGE",
    "Checked",
    "Kind",
    "Mentioned",
    "People",
    "choose_pictures",
    "compose_note",
    "find_mentions",
    "kind_of",
    "lacks_people",
    "lacks_pictures",
    "mentioned",
    "mentioned_in",
    "wanted_pictures",
]
