"""What kind of post an entry makes: each kind has its own fitting look."""

from enum import StrEnum

from bridge.markup.cutoff import is_teaser
from bridge.markup.html import NoteHtml
from bridge.model import Enclosure, Entry

CAPTION = 300  # characters: more text than that is not a photo's
COVER_CAPTION = 80  # where the picture is not in the text, which may be a teaser then
PLAYABLE_BYTES = 99 * 1024 * 1024  # Mastodon's limit; Misskey drops a post over a file that it cannot take


class Kind(StrEnum):
    """How a post looks by default."""

    TEXT = "text"  # title, beginning, link: the page's preview card does the rest
    STATUS = "status"  # no title: the whole text
    PHOTO = "photo"  # pictures with a few words: the pictures are the post
    PODCAST = "podcast"  # names its length, links and attaches the audio
    VIDEO = "video"
    LINK = "link"  # about someone else's page: the title leads there, a star to the author's own


def kind_of(entry: Entry, found: NoteHtml) -> Kind:
    """Tell what kind of post an entry makes; `found` is its HTML as note HTML."""
    for start, kind in (("audio/", Kind.PODCAST), ("video/", Kind.VIDEO)):
        if any(file.media_type.startswith(start) for file in entry.enclosures):
            return kind
    if entry.about:
        return Kind.LINK
    if not title_of(entry, found.text):
        return Kind.STATUS
    return Kind.PHOTO if _is_photo(entry, found) else Kind.TEXT


def title_of(entry: Entry, text: str) -> str:
    """Return the title, unless it only repeats how the text begins, as many feeds of short posts do."""
    title, flat = entry.title, " ".join(text.split())
    start = title.rstrip(" .…")
    is_cut = title.endswith(("…", "...")) and start and flat.startswith(start)
    return "" if is_cut or title == flat else title


def playable(entry: Entry) -> Enclosure | None:
    """Return the episode or video that players are to show, if servers would take it."""
    files = [file for file in entry.enclosures if file.media_type.startswith(("audio/", "video/"))]
    return next((file for file in files if (file.length or 0) <= PLAYABLE_BYTES), None)


def _is_photo(entry: Entry, found: NoteHtml) -> bool:
    if is_teaser(found.text):
        return False
    if found.images:
        return len(found.text) <= CAPTION
    return bool(entry.images) and len(found.text or entry.summary) <= COVER_CAPTION
