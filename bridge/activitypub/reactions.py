"""What people react with: one emoji, or a shortcode where their server has pictures of its own."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from bridge.activitypub.values import get_text

_SHORTCODE = re.compile(r":[\w@.+-]{1,100}:")


def read_emoji(like: Mapping[str, Any]) -> str | None:
    """Return the emoji of a Like or EmojiReact, also of one that an Undo embeds."""
    emoji = get_text(like.get("content"), 128) or get_text(like.get("_misskey_reaction"), 128)
    return emoji if _is_emoji(emoji) else None


def _is_emoji(text: str) -> bool:
    if _SHORTCODE.fullmatch(text):
        return True
    # Letters would let a stranger write a message where a reaction is shown; ℹ is a letter to Unicode.
    lettered = any(unicodedata.category(c).startswith("L") and c != "\u2139" for c in text)
    return 0 < len(text) <= 16 and not text.isascii() and not lettered and " " not in text
