"""When a change goes out: the moment a post is published, and how long an edit has to stand. Pure."""

from datetime import datetime, timedelta

from bridge.model import Entry

FRESH = timedelta(hours=1)
"""An entry's own date counts as the moment of publishing when it is younger than this."""

EDIT_STANDS = timedelta(minutes=5)  # before it is sent, so that a slip of the pen is not
BETWEEN_UPDATES = timedelta(minutes=10)
MOST_UPDATES = 24  # of one post, ever
RETURN_STANDS = 12  # times as long, when the post is what it was before: servers of one site may disagree


def publishing_moment(entry: Entry, now: datetime) -> datetime:
    """Return the `published` of a post that goes out now.

    Servers sort what they are sent by this date, and Mastodon puts nothing older than some hours into
    home timelines: an entry found late would reach nobody under its own date.
    """
    written_at = entry.published_at
    if written_at is not None and now - FRESH <= written_at <= now:
        return written_at
    return now


def update_due_at(
    edited_at: datetime,
    sent_at: datetime | None,
    sent: int,
    *,
    stands: timedelta = EDIT_STANDS,
    returns: bool = False,
) -> datetime | None:
    """Return when an edit is sent; `None` when the post has had its share of Updates.

    `returns`: followers were sent exactly this before. A feed that alternates between two versions, as it
    is served by two machines, never stands long enough.
    """
    if sent >= MOST_UPDATES:
        return None
    pause = min(BETWEEN_UPDATES, stands * 2)
    if returns:
        stands *= RETURN_STANDS
    return max(edited_at + stands, sent_at + pause if sent_at else edited_at)
