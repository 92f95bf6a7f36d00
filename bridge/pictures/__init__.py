"""What a picture is and whether servers can show it [Pillow, blurhash]."""

from bridge.pictures.apart import examine_apart
from bridge.pictures.copies import MAX_COPIES, drop_oldest, find_copy, keep_copy
from bridge.pictures.examine import MAX_BYTES, Examined, examine
from bridge.pictures.sniff import sniff

__all__ = [
    "MAX_BYTES",
    "MAX_COPIES",
    "Examined",
    "drop_oldest",
    "examine",
    "examine_apart",
    "find_copy",
    "keep_copy",
    "sniff",
]
