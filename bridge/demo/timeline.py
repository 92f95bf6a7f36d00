"""What the follower sees: accounts, their posts in the order they came, and what was done with them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who is followed. `summary` and the values of `fields` are sanitised HTML."""

    id: str
    name: str
    handle: str
    url: str
    inbox: str
    featured: str | None
    icon: str | None = None
    header: str | None = None
    summary: str = ""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture of a post, or another file with it."""

    url: str
    alt: str
    is_image: bool


@dataclass(frozen=True, slots=True)
class TimelinePost:
    """A post as the timeline shows it.

    `html` is sanitised; `title` is its first words, for the terminal. `version` changes whenever
    anything shown does.
    """

    id: str
    account: Account
    html: str
    title: str
    url: str
    published_at: datetime
    updated_at: datetime | None = None
    warning: str = ""
    language: str | None = None
    attachments: tuple[Attachment, ...] = ()
    pinned: bool = False
    like: str | None = None  # the id of our Like, while it stands
    boost: str | None = None
    replies: tuple[str, ...] = ()
    version: int = 0


class Timeline:
    """Accounts and posts, in memory; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._posts: dict[str, TimelinePost] = {}
        self._revision = 0

    def add_account(self, account: Account) -> None:
        """Show an account, or show it anew."""
        with self._lock:
            self._revision += 1
            self._accounts[account.id] = account
            for post in self._posts.values():
                if post.account.id == account.id:
                    self._put(replace(post, account=account))

    def account(self, actor_id: str) -> Account | None:
        """Return an account that is shown."""
        with self._lock:
            return self._accounts.get(actor_id)

    def accounts(self) -> list[Account]:
        """Return all accounts, the first followed first."""
        with self._lock:
            return list(self._accounts.values())

    def add(self, post: TimelinePost) -> bool:
        """Show a post; `False` when it is there already."""
        with self._lock:
            if post.id in self._posts:
                return False
            self._put(post)
            return True

    def change(self, post_id: str, how: Callable[[TimelinePost], TimelinePost]) -> TimelinePost | None:
        """Replace a post by what `how` makes of it; `None` when there is no such post."""
        with self._lock:
            post = self._posts.get(post_id)
            return self._put(how(post)) if post else None

    def remove(self, post_id: str, *, author: str) -> TimelinePost | None:
        """Take a post of this author away and return it."""
        with self._lock:
            post = self._posts.get(post_id)
            if post is None or post.account.id != author:
                return None
            self._revision += 1
            return self._posts.pop(post_id)

    def post(self, post_id: str) -> TimelinePost | None:
        """Return a post that is shown."""
        with self._lock:
            return self._posts.get(post_id)

    def shown(self) -> tuple[int, list[TimelinePost]]:
        """Return the revision and the posts: what arrived on top, newest first, then what is pinned."""
        with self._lock:
            revision, posts = self._revision, list(self._posts.values())
        arrived = [post for post in reversed(posts) if not post.pinned]
        pinned = [post for post in posts if post.pinned]
        return revision, [*arrived, *sorted(pinned, key=lambda p: p.published_at, reverse=True)]

    def _put(self, post: TimelinePost) -> TimelinePost:
        self._revision += 1
        changed = replace(post, version=self._revision)
        self._posts[post.id] = changed  # a known id keeps its place
        return changed
