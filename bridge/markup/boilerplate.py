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


def is_unread(tag: str, attributes: Mapping[str, str], *, introducing: bool) -> bool:
    """Say whether people do not read an element, or (`introducing`) not before they read the text itself."""
    classes = frozenset(attributes.get("class", "").split())
    if tag == "nav" or attributes.get("aria-hidden") == "true" or "hidden" in attributes:
        return True
    if classes & (_LINE_NUMBERS | _AROUND):
        return True
    return introducing and (tag in _NOT_INTRODUCING or bool(classes & _CAPTIONS))
