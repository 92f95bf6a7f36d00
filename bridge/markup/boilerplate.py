"""What stands around an author's text on its page and is not read away from it."""

from collections.abc import Mapping

_LINE_NUMBERS = frozenset({"lnt", "lineno", "linenos", "linenodiv", "gutter", "line-numbers-rows"})
# The way around the page, buttons, words for screen readers only.
_AROUND = frozenset(
    {"toc", "table-of-contents", "sharedaddy", "jp-relatedposts", "addtoany_share_save_container"}
    | {"feedflare", "post-navigation", "screen-reader-text", "sr-only", "visually-hidden"}
)
_NOT_INTRODUCING = frozenset({"figcaption", "iframe", "video", "audio", "object", "embed", "hr"})
_CAPTIONS = frozenset({"wp-caption-text", "figure-caption", "image-caption", "caption"})


def is_unread(tag: str, attributes: Mapping[str, str]) -> bool:
    """Say whether people do not read an element away from its page."""
    if tag == "nav" or attributes.get("aria-hidden") == "true" or "hidden" in attributes:
        return True
    return bool(_classes(attributes) & (_LINE_NUMBERS | _AROUND))


def introduces_nothing(tag: str, attributes: Mapping[str, str]) -> bool:
    """Say whether people do not read an element before they read the text itself: captions, players."""
    return tag in _NOT_INTRODUCING or bool(_classes(attributes) & _CAPTIONS)


def _classes(attributes: Mapping[str, str]) -> frozenset[str]:
    return frozenset(attributes.get("class", "").split())
