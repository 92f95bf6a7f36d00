"""The shape of config.toml: one frozen dataclass per table; the docstring of a field is its documentation.

An annotation says everything about a key: its type, its reader and its limits. `bridge.config.read` goes by
it, and `docs.generate` writes it down for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from bridge.config.places import Database, DataFolder, Picture, SourceFolder, sqlite_in
from bridge.config.values import (
    BaseUrl,
    Between,
    Check,
    Contact,
    Duration,
    Handle,
    Hashtag,
    HookSecret,
    Identity,
    Length,
    Network,
    PageTemplate,
    PostTemplate,
    SiteKey,
    WebUrl,
    read_language,
    read_listening_address,
    read_timezone,
)

Layout = Literal["same-host", "split"]
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the web process listens."""

    host: Annotated[str, Check(read_listening_address)] = "0.0.0.0"  # noqa: S104  containers need it; a proxy stands in front
    """The address to listen on. `"127.0.0.1"` if the proxy in front runs on the same machine."""

    port: Annotated[int, Between(1, 65535)] = 8000
    """The port to listen on."""

    trusted_proxies: tuple[Network, ...] | None = None
    """The proxies whose `X-Forwarded-For` is believed, to tell senders apart. Left out, those with a private
    address are, for the last hop; `[]` believes nobody. A proxy with a public address has to be listed; list
    no more than your own, because whoever is listed can pretend to be anyone."""


@dataclass(frozen=True, kw_only=True)
class PollingConfig:
    """How often sources are looked at."""

    min_interval: Annotated[Duration, Between(timedelta(minutes=5), timedelta(days=1))] = timedelta(
        minutes=15
    )
    """How soon a lively feed is asked again."""

    max_interval: Annotated[Duration, Between(timedelta(minutes=5), timedelta(days=7))] = timedelta(hours=12)
    """How rarely a quiet feed is asked at the least; the bridge finds its pace between the two."""

    edit_delay: Annotated[Duration, Between(timedelta(), timedelta(days=1))] = timedelta(minutes=5)
    """How long an edit has to stand before followers are told, so that a slip of the pen is not."""

    folder_interval: Annotated[Duration, Between(timedelta(seconds=1), timedelta(hours=1))] = timedelta(
        seconds=3
    )
    """How often folders are looked at for changed files."""


@dataclass(frozen=True, kw_only=True)
class DeliveryConfig:
    """How fast posts go out."""

    concurrency: Annotated[int, Between(1, 2000)] = 300
    """How many servers one worker delivers to at the same time."""

    per_host: Annotated[int, Between(1, 20)] = 2
    """How many deliveries go to one server at the same time."""


@dataclass(frozen=True, kw_only=True)
class FeedSource:
    """Writing that comes from a feed: RSS, Atom or JSON Feed."""

    feed: WebUrl
    """The address of the feed."""

    name: Annotated[str, Length(1, 200)] = ""
    """What this source is called in the dashboard and on the command line; by default the feed's address
    without `https://`. The bridge remembers a source by its name, so do not change it later."""

    private_network: bool = False
    """Whether this feed's address may be inside your own network. Otherwise the bridge refuses to open
    it, so that no address from outside can make it look around at home."""

    hold: Literal["auto", "all"] = "auto"
    """Which new posts wait for your word (`fedibridge holds`). `"auto"`: only what looks like a mishap, such
    as many new entries at once or very old ones. `"all"`: every one."""

    embargo: Annotated[Duration, Between(timedelta(), timedelta(days=30))] = timedelta()
    """How long a new post waits before it is sent: `"2h"`."""

    def __post_init__(self) -> None:
        fill_in(self, name=self.name or self.feed.partition("://")[2].rstrip("/")[:200])


@dataclass(frozen=True, kw_only=True)
class FolderSource:
    """Writing that comes from a folder of Markdown files, as Hugo, Jekyll, Eleventy or Zola have it.
    What a file says about publishing and is not understood
    [keeps it back](posts.md#what-is-private-stays-private)."""

    folder: SourceFolder
    """The folder, with all folders in it. Relative to this file."""

    name: Annotated[str, Length(1, 200)] = ""
    """What this source is called in the dashboard and on the command line; by default the folder's own
    name. The bridge remembers a source by its name, so do not change it later."""

    url: PageTemplate | None = None
    """Where your website shows the posts, with `{slug}` for a post's name: `"https://cafe.example/blog/{slug}/"`.
    `{title_slug}`, `{path}`, `{folder}`, `{category}` (the first one), `{year}`, `{month}`, `{day}` and
    `{language}` are known too. Without it the bridge serves the pages and their pictures itself."""

    dialect: Literal["auto", "commonmark", "python-markdown"] = "auto"
    """How the Markdown in it is read. `"commonmark"`: as most generators do. `"python-markdown"`: as Pelican,
    MkDocs and Nikola do, with their headers, extensions and slugs. `"auto"`: as the generator does whose
    configuration lies in the folder or above it, or whose kind of header a file has."""

    allow_symlinks: bool = False
    """Whether links in the folder are followed, to files that lie in the folder too. Links that lead out of
    it never are."""

    hold: Literal["auto", "all"] = "auto"
    """Which new posts wait for your word (`fedibridge holds`). `"auto"`: only what looks like a mishap, such
    as many new entries at once or very old ones. `"all"`: every one."""

    embargo: Annotated[Duration, Between(timedelta(), timedelta(days=30))] = timedelta()
    """How long a new post waits before it is sent: `"2h"`."""

    def __post_init__(self) -> None:
        fill_in(self, name=self.name or self.folder.name or "/")


Source = FeedSource | FolderSource


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """One actor that people can follow, and the sources of its posts."""

    handle: Handle
    """What people type to follow: `"@cafe@cafe.example"`. The name is 1 to 30 of a–z, 0–9 and `_`: no
    capitals, because GoToSocial compares letter by letter, and no dots, because Misskey cuts a handle
    there. The domain is your website's. Followers' servers remember it: choose it once."""

    website: WebUrl
    """The home page of the site, linked from its profile."""

    name: Annotated[str, Length(1, 100)]
    """The name shown above every post."""

    summary: Annotated[str, Length(0, 2000)] = ""
    """The text of the profile. Plain text: an empty line begins a new paragraph, web addresses become
    links."""

    icon: Picture | None = None
    """The profile's picture, square, from 400 × 400 pixels. A file must lie below the folder of this
    config file."""

    icon_alt: Annotated[str, Length(0, 1500)] = ""
    """What the profile's picture shows, for people who do not see it."""

    header: Picture | None = None
    """The wide picture at the top of the profile, 1500 × 500 pixels. A file must lie below the folder of
    this config file."""

    type: Literal["Service", "Person", "Organization"] = "Service"
    """What the actor is. `"Service"` is the honest one for something automatic, and Mastodon says so on
    the profile; `"Person"` and `"Organization"` go without that mark."""

    language: Annotated[str, Check(read_language)] = ""
    """The language of the posts that do not name their own: `"en"`, `"de"`, `"pt-BR"`. Where neither post,
    source nor site says one, none is claimed, and servers guess."""

    timezone: Annotated[str, Check(read_timezone)] = "UTC"
    """The time zone of dates that do not name one, such as `date: 2026-05-01 9:00` in a Markdown file:
    `"Europe/Berlin"`."""

    hook_secret: HookSecret | None = field(default=None, repr=False)
    """With it, the site's build may tell the bridge to look now: see docs/push.md. At least 20 characters;
    `openssl rand -hex 32` makes a good one. Without it nobody can."""

    approve_followers: bool = False
    """Whether you say yes to every new follower yourself."""

    pinned: Annotated[int, Between(0, 20)] = 5
    """How many of the newest posts are pinned to the profile. Mastodon shows newcomers nothing else of
    what was written before they came."""

    urls: Literal["auto", "page", "bridge"] = "auto"
    """Where the link of a post leads. `"page"`: straight to its page. `"bridge"`: to an address of the
    bridge that sends people on, because some servers (Misskey's relatives, Pixelfed) drop posts that link
    to another host than they come from. `"auto"`: `"page"` if the page is on the host of `base_url`
    (`www.` is another, `:443` and capitals are not), otherwise `"bridge"`."""

    template: PostTemplate = "excerpt"
    """How a post is laid out. `"excerpt"`: the title, linked, then the text if it is short and its
    beginning if it is long, the link, the hashtags. `"full"`: with the whole text. `"title"`: without any.
    Or your own: text with `{title}`, `{excerpt}`, `{content}`, `{link}`, `{tags}` and `{date}`, an empty line
    between paragraphs: `"New on the blog: {title}\\n\\n{excerpt}\\n\\n{tags}"`. A paragraph whose fields are
    all empty is left out."""

    type_of_posts: Literal["note", "article"] = "note"
    """What posts are sent as. `"note"` is right on every server. As an `"article"` a post with a title goes
    out whole: some servers show it like a blog, but Mastodon only its title, your summary and its link, and
    others hide it ([what each shows](posts.md#as-an-article))."""

    images: Literal["auto", "always", "never"] = "auto"
    """Whether posts carry their pictures. Mastodon shows either pictures or a preview card of the linked
    page. `"auto"`: the card for text that has a page of its own, the pictures for photo posts, posts
    without a title, whole texts, and pages that the bridge shows itself."""

    page_image: bool = False
    """Whether a post without a picture of its own carries the one that its page names for preview cards
    (`og:image`), where posts carry pictures at all: see `images`. Leave it off if that is the same logo on
    every page."""

    max_hashtags: Annotated[int, Between(0, 20)] = 5
    """How many hashtags a post has at most."""

    hashtags: Annotated[Mapping[Annotated[str, Length(1, 100)], Hashtag], Length(0, 200)] = field(
        default_factory=lambda: NONE
    )
    """What becomes of a tag or category of yours: another hashtag, or none. `Misc = false`,
    `"Web stuff" = "WebDev"`. Others become one word by themselves: “Web dev” is #WebDev."""

    mentions: bool = False
    """Whether `@name@server` in a post tells that person, as a mention does. Otherwise it is only text."""

    discoverable: bool = True
    """Whether servers may suggest this profile to people."""

    indexable: bool = True
    """Whether servers may offer the posts in their full-text search."""

    fields: Annotated[
        Mapping[Annotated[str, Length(1, 255)], Annotated[str, Length(1, 2047)]], Length(0, 10)
    ] = field(default_factory=lambda: NONE)
    """Up to ten lines under the profile's text, in this order: `Website = "https://cafe.example/"`.
    Mastodon shows four. An address whose page links back with `rel="me"` gets a green mark."""

    sources: tuple[Source, ...]
    """Where the posts come from: feeds and folders, as many as you like."""

    # Not keys of config.toml: `Config` tells.

    key: str = field(init=False, default="")
    """The site's key in config.toml, which stands in its URLs and never changes."""

    layout: Layout = field(init=False, default="same-host")
    """Whether the bridge answers on the handle's own domain or on another.

    Misskey shows the domain of the actor's id as the handle's, whatever WebFinger says
    (misskey-dev/misskey#7922).
    """

    @property
    def user(self) -> str:
        """The first half of the handle: ``cafe``."""
        return self.handle.split("@")[1]

    @property
    def domain(self) -> str:
        """The second half of the handle: a host, with a port if it is not 443."""
        return self.handle.split("@")[2]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything config.toml says, with every path absolute."""

    base_url: BaseUrl
    """Where the world reaches the bridge: `"https://cafe.example"` if your web server passes the bridge's
    addresses on to it, otherwise a host of its own, `"https://social.cafe.example"`. Followers' servers
    remember it: choose it once. `http://` is only for `localhost`."""

    data: DataFolder = Path("data")
    """The folder that holds the database, unless `database` says otherwise; the keys are in the database.
    Back it up, and let nobody else read it. Relative to this file."""

    database: Database = field(default="", repr=False)
    """The database, if it is not the embedded one in `data`: `"sqlite:///path/to/file.db"` or
    `"postgresql://user:password@host/name"`. To keep the password out of this file, use the environment
    variable, or the one that names a file holding it."""

    contact: Contact | None = None
    """A mail or web address for the privacy page, where people can ask about their data."""

    identity: Identity | None = None
    """Which keys these accounts have, as the bridge printed it at its first start. It never starts with
    others then: without this, a data folder that is not mounted looks like a first start where the folder
    of this file cannot be written, as in a container."""

    server: ServerConfig = ServerConfig()
    polling: PollingConfig = PollingConfig()
    delivery: DeliveryConfig = DeliveryConfig()

    sites: Mapping[SiteKey, SiteConfig]
    """The sites, by their keys."""

    # Not a key of config.toml.

    file: Path | None = field(init=False, default=None)
    """The file that this was read from."""

    @property
    def host(self) -> str:
        """The host of `base_url`, with its port if it names one."""
        return self.base_url.partition("://")[2]

    def __post_init__(self) -> None:
        fill_in(self, database=self.database or sqlite_in(self.data))
        for key, site in self.sites.items():
            fill_in(site, key=key, layout="same-host" if site.domain == self.host else "split")


def fill_in(table: object, **values: object) -> None:
    """Say what follows from the rest, while a frozen table is made."""
    for name, value in values.items():
        object.__setattr__(table, name, value)
