"""A blog on loopback: a feed that changes when a test says so, with the headers feeds come with."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

from loopback import Network, Reply, Request


@dataclass
class Item:
    """An entry of the feed; `date` is left out when `None`; the guid is its address unless given."""

    title: str
    text: str = "Some words."
    date: datetime | None = None
    slug: str = ""
    guid: str = ""
    base: str = ""  # where its page is, when that is another host than the feed's

    def __post_init__(self) -> None:
        self.slug = self.slug or self.title.lower().replace(" ", "-")


@dataclass
class Blog:
    """A blog; `raw` is served instead of the items, `status` instead of everything, `pages` by path."""

    network: Network
    items: list[Item] = field(default_factory=list)
    raw: bytes | None = None
    content_type: str = "application/rss+xml"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    moved_to: str = ""  # the path everything else redirects to for good
    conditional: bool = True
    pages: dict[str, Reply] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._host = self.network.host("blog.example", self._answer)
        self.url = self._host.url
        self.feed = f"{self.url}/feed.xml"

    def post(self, title: str, text: str = "Some words.", date: datetime | None = None) -> Item:
        """Write something new; feeds list the newest first."""
        item = Item(title, text, date)
        self.items.insert(0, item)
        return item

    def go_down(self) -> None:
        self._host.go_down()

    def come_back(self) -> None:
        self._host.come_back()

    async def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.status != 200:
            return Reply(self.status, headers=self.headers)
        if request.path in self.pages:
            return self.pages[request.path]
        if self.moved_to and request.path != self.moved_to:
            return Reply(308, headers={"Location": self.moved_to})
        body = self.raw if self.raw is not None else self._rss()
        headers = {"Content-Type": self.content_type, **self.headers}
        if self.conditional:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:12]}"'
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Reply(304, headers=headers)
        return Reply(200, body, headers)

    def _rss(self) -> bytes:
        items = "".join(self._item(item) for item in self.items)
        return (
            '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
            f"<title>A blog</title><link>{self.url}/</link>{items}</channel></rss>"
        ).encode()

    def _item(self, item: Item) -> str:
        date = f"<pubDate>{format_datetime(item.date)}</pubDate>" if item.date else ""
        link = f"{item.base or self.url}/{item.slug}/"
        return (
            f"<item><title>{escape(item.title)}</title><link>{link}</link>"
            f"<guid>{item.guid or link}</guid>{date}"
            f"<description>{escape(f'<p>{item.text}</p>')}</description></item>"
        )
