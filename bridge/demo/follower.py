"""What the follower does: it finds an account, follows it, and likes, boosts and answers what it reads."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from bridge.activitypub.parse import Activity
from bridge.activitypub.signatures import sign
from bridge.activitypub.values import Document, as_list, get_ids, load_object, only
from bridge.demo.me import Me
from bridge.demo.reading import read_account, read_post
from bridge.demo.timeline import Account, Timeline, TimelinePost
from bridge.demo.wire import ACTIVITY_JSON, Wire, explain
from bridge.errors import BadDocument
from bridge.model import Answered, Outcome, Scheme

ACCEPT_SECONDS = 20.0
ASK_AGAIN = 0.1  # seconds
MAX_PINNED = 20
MAX_REPLY = 500  # characters

Tell = Callable[..., None]
"""Called with what happened and its details: how the story gets to whoever watches."""


@dataclass
class Following:
    """A Follow of ours, and the type of the activity that answered it."""

    follow_id: str
    answer: str = ""
    answered: threading.Event = field(default_factory=threading.Event)


class Follower:
    """One person on a server of their own; safe to be called from several threads."""

    def __init__(
        self, me: Me, wire: Wire, timeline: Timeline, tell: Tell, now: Callable[[], datetime]
    ) -> None:
        self._me = me
        self._wire = wire
        self._timeline = timeline
        self._tell = tell
        self._now = now
        self._following: dict[str, Following] = {}
        self._notes: dict[str, Document] = {}

    # ── following ──

    def follow(self, handle: str, *, seconds: float) -> None:
        """Find an account, follow it, wait for the Accept and fetch what it has pinned.

        Its server has so many `seconds` to come up. Raises `BadDocument` where the way ends.
        """
        account = self._find(handle, seconds)
        self._timeline.add_account(account)
        self._tell("found", handle=handle, name=account.name, by=self._me.handle)
        started = time.monotonic()
        self._ask_to_follow(account)
        self._tell("accepted", handle=handle, seconds=time.monotonic() - started)
        self._tell("pinned", handle=handle, number=self._fetch_pinned(account))

    def hear_answer(self, activity: Activity, sender: str) -> None:
        """Take note of an Accept or Reject; one that answers nothing we asked is ignored."""
        following = self._following.get(sender)
        if following is not None and following.follow_id == activity.object_id:
            following.answer = activity.type
            following.answered.set()

    def follows(self, actor_id: str) -> bool:
        """Say whether an account accepted us."""
        following = self._following.get(actor_id)
        return following is not None and following.answer == "Accept"

    def _find(self, handle: str, seconds: float) -> Account:
        user, _, host = handle.removeprefix("@").partition("@")
        url = f"http://{host}/.well-known/webfinger?resource={quote(f'acct:{user}@{host}')}"
        answer = self._ask_until_up(url, seconds)
        if not isinstance(answer, Answered) or answer.status != 200:
            raise BadDocument(f"WebFinger does not find {handle}: {explain(answer)}.")
        actor_id = _actor_link(answer.body, url)
        return read_account(self._wire.document(actor_id), url=actor_id, handle=handle)

    def _ask_until_up(self, url: str, seconds: float) -> Outcome:
        deadline = time.monotonic() + seconds
        while True:
            answer = self._wire.get(url, accept="application/jrd+json")
            if isinstance(answer, Answered) or time.monotonic() > deadline:
                return answer
            time.sleep(ASK_AGAIN)

    def _ask_to_follow(self, account: Account) -> None:
        follow = self._me.activity("Follow", _serial(), account.id, to=account.id)
        following = self._following[account.id] = Following(follow["id"])
        self._send(follow, account)
        if not following.answered.wait(ACCEPT_SECONDS):
            raise BadDocument(f"{account.handle} did not answer the Follow in {ACCEPT_SECONDS:.0f} s.")
        if following.answer != "Accept":
            raise BadDocument(f"{account.handle} turned the Follow away.")

    def _fetch_pinned(self, account: Account) -> int:
        if account.featured is None:
            return 0
        listed = self._wire.document(account.featured)
        urls = get_ids(listed.get("orderedItems") or listed.get("items"))[:MAX_PINNED]
        posts = [read_post(self._wire.document(url), account, pinned=True) for url in urls]
        return sum(self._timeline.add(post) for post in posts)

    # ── reacting ──

    def like(self, post: TimelinePost) -> None:
        """Like a post, or take the like back."""
        like = self._toggle("Like", post, post.like)
        self._timeline.change(post.id, lambda shown: replace(shown, like=like))
        self._tell("liked" if like else "unliked", title=post.title)

    def boost(self, post: TimelinePost) -> None:
        """Boost a post, or take the boost back."""
        boost = self._toggle("Announce", post, post.boost)
        self._timeline.change(post.id, lambda shown: replace(shown, boost=boost))
        self._tell("boosted" if boost else "unboosted", title=post.title)

    def reply(self, post: TimelinePost, text: str) -> None:
        """Answer a post."""
        text = text.strip()[:MAX_REPLY]
        serial, author = _serial(), post.account
        note = self._me.reply(serial, text, to=post.id, author=author.id, at=self._now())
        self._notes[serial] = note
        self._send(self._me.create(serial, note), author)
        self._timeline.change(post.id, lambda shown: replace(shown, replies=(*shown.replies, text)))
        self._tell("replied", title=post.title)

    def note(self, serial: str) -> Document | None:
        """Return a reply of ours as others may fetch it."""
        return self._notes.get(serial)

    def _toggle(self, kind: str, post: TimelinePost, standing: str | None) -> str | None:
        """Do what `standing` names, or undo it; return the id of what stands now."""
        author = post.account
        done = self._me.activity(kind, _serial(), post.id, to=author.id)
        if standing is None:
            self._send(done, author)
            return str(done["id"])
        undone = {"id": standing, "type": kind, "actor": self._me.id, "object": post.id}
        self._send(self._me.activity("Undo", _serial(), undone, to=author.id), author)
        return None

    def _send(self, activity: Document, to: Account) -> None:
        """Sign an activity and POST it; raises `BadDocument` when it is not taken."""
        body = orjson.dumps(activity)
        headers = sign(
            Scheme.CAVAGE,
            self._me.key,
            "POST",
            to.inbox,
            body=body,
            now=self._now(),
            content_type=ACTIVITY_JSON,
        )
        answer = self._wire.post(to.inbox, body, headers)
        if not isinstance(answer, Answered) or not 200 <= answer.status < 300:
            said = answer.body.decode(errors="replace")[:200] if isinstance(answer, Answered) else ""
            raise BadDocument(f"{to.inbox} did not take the {activity['type']}: {explain(answer)} {said}")


def _actor_link(body: bytes, url: str) -> str:
    """Return the actor that a WebFinger answer points to."""
    try:
        links: Any = as_list(load_object(body).get("links"))
    except ValueError as flaw:
        raise BadDocument(f"The answer of {url} {flaw}.") from None
    for link in links:
        if isinstance(link, dict) and link.get("rel") == "self" and link.get("type") == ACTIVITY_JSON:
            return str(only(link.get("href")))
    raise BadDocument(f"{url} names no ActivityPub actor.")


def _serial() -> str:
    return uuid.uuid4().hex
