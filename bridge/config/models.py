"""The shape of config.toml: one frozen model per table; the docstring of a field is its documentation."""

from collections.abc import Mapping, Sized
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticKnownError

from bridge.config.values import (
    BaseUrl,
    Contact,
    Database,
    DataFolder,
    Duration,
    Handle,
    Hashtag,
    HookSecret,
    Network,
    PageTemplate,
    Picture,
    PostTemplate,
    SiteKey,
    SourceFolder,
    WebUrl,
    read_listening_address,
    read_timezone,
    sqlite_in,
)

Layout = Literal["same-host", "split"]

_Sized = TypeVar("_Sized", bound=Sized)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, list):
        what = (
            "needs [[two brackets]], being a list of tables" if isinstance(value, dict) else "must be a list"
        )
        raise ValueError(what)  # noqa: TRY004  pydantic reports no other exception
    return tuple(value)


def _not_empty(found: _Sized) -> _Sized:
    if not found:
        raise PydanticKnownError("missing")
    return found


class Table(BaseModel):
    """A table of config.toml: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


class ServerConfig(Table):
    """Where the web process listens."""

    host: Annotated[str, AfterValidator(read_listening_address)] = "0.0.0.0"  # noqa: S104  containers need it; a proxy stands in front
    """The address to listen on. `"127.0.0.1"` if the proxy in front runs on the same machine."""

    port: int = Field(default=8000, ge=1, le=65535)
    """The port to listen on."""

    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_as_tuple)] = ()
    """The proxies whose `X-Forwarded-For` is believed. Without them everyone behind your proxy shares one
    rate limit; list no more than your own proxy, because whoever is listed can pretend to be anyone."""


class PollingConfig(Table):
    """How often sources are looked at."""

    min_interval: Duration = Field(
        default=timedelta(minutes=15), ge=timedelta(minutes=5), le=timedelta(days=1)
    )
    """How soon a lively feed is asked again."""

    max_interval: Duration = Field(default=timedelta(hours=12), ge=timedelta(minutes=5), le=timedelta(days=7))
    """How rarely a quiet feed is asked at the least; the bridge finds its pace between the two."""

    edit_delay: Duration = Field(default=timedelta(minutes=5), ge=timedelta(), le=timedelta(days=1))
    """How long an edit has to stand before followers are told, so that a slip of the pen is not."""

    folder_interval: Duration = Field(
        default=timedelta(seconds=3), ge=timedelta(seconds=1), le=timedelta(hours=1)
    )
    """How often folders are looked at for changed files."""


class DeliveryConfig(Table):
    """How fast posts go out."""

    concurrency: int = Field(default=300, ge=1, le=2000)
    """How many servers one worker delivers to at the same time."""

    per_host: int = Field(default=2, ge=1, le=20)
    """How many deliveries go to one server at the same time."""


class FeedSource(Table):
    """Writing that comes from a feed: RSS, Atom or JSON Feed."""

    feed: WebUrl
    """The address of the feed."""

    name: str = Field(
        default_factory=lambda found: _name_of_feed(found["feed"]), min_length=1, max_length=200
    )
    """What this source is called in the dashboard and on the command line; by default the feed's address
    without `https://`. The bridge remembers a source by its name, so do not change it later."""

    private_network: bool = False
    """Whether this feed's address may be inside your own network. Otherwise the bridge refuses to open
    it, so that no address from outside can make it look around at home."""

    hold: Literal["auto", "all"] = "auto"
    """Which new posts wait for your word (`bridge holds`). `"auto"`: only what looks like a mishap, such as
    many new entries at once or very old ones. `"all"`: every one."""

    embargo: Duration = Field(default=timedelta(), ge=timedelta(), le=timedelta(days=30))
    """How long a new post waits before it is sent: `"2h"`."""


class FolderSource(Table):
    """Writing that comes from a folder of Markdown files, as Hugo, Jekyll, Eleventy or Zola have it."""

    folder: SourceFolder
    """The folder, with all folders in it. Relative to this file."""

    name: str = Field(default_factory=lambda found: found["folder"].name or "/", min_length=1, max_length=200)
    """What this source is called in the dashboard and on the command line; by default the folder's own
    name. The bridge remembers a source by its name, so do not change it later."""

    url: PageTemplate | None = None
    """Where your website shows the posts, with `{slug}` for a post's name: `"https://cafe.example/blog/{slug}/"`.
    `{title_slug}`, `{path}`, `{folder}`, `{category}` (the first one), `{year}`, `{month}`, `{day}` and
    `{language}` are known too. Without it the bridge serves the pages and their pictures itself."""

    allow_symlinks: bool = False
    """Whether links in the folder are followed, to files that lie in the folder too. Links that lead out of
    it never are."""

    hold: Literal["auto", "all"] = "auto"
    """Which new posts wait for your word (`bridge holds`). `"auto"`: only what looks like a mishap, such as
    many new entries at once or very old ones. `"all"`: every one."""

    embargo: Duration = Field(default=timedelta(), ge=timedelta(), le=timedelta(days=30))
    """How long a new post waits before it is sent: `"2h"`."""


def _name_of_feed(url: str) -> str:
    return url.partition("://")[2].rstrip("/")[:200]


def _kind_of_source(value: Any) -> str | None:
    keys = value.keys() & {"feed", "folder"} if isinstance(value, dict) else ()
    return f"[{next(iter(keys))}]" if len(keys) == 1 else None


Source = FeedSource | FolderSource

_TaggedSource = Annotated[
    Annotated[FeedSource, Tag("[feed]")] | Annotated[FolderSource, Tag("[folder]")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source_kind",
        custom_error_message='needs either feed = "https://…" or folder = "…", exactly one of them',
    ),
]


class SiteConfig(Table):
    """One actor that people can follow, and the sources of its posts."""

    handle: Handle
    """What people type to follow: `"@cafe@cafe.example"`. The name is 1 to 30 of a–z, 0–9 and `_`: no
    capitals, because GoToSocial compares letter by letter, and no dots, because Misskey cuts a handle
    there. The domain is your website's. Followers' servers remember it: choose it once."""

    website: WebUrl
    """The home page of the site, linked from its profile."""

    name: str = Field(min_length=1, max_length=100)
    """The name shown above every post."""

    summary: str = Field(default="", max_length=2000)
    """The text of the profile. Plain text: an empty line begins a new paragraph, web addresses become
    links."""

    icon: Picture | None = None
    """The profile's picture, square, from 400 × 400 pixels. A file must lie below the folder of this
    config file."""

    icon_alt: str = Field(default="", max_length=1500)
    """What the profile's picture shows, for people who do not see it."""

    header: Picture | None = None
    """The wide picture at the top of the profile, 1500 × 500 pixels. A file must lie below the folder of
    this config file."""

    type: Literal["Service", "Person", "Organization"] = "Service"
    """What the actor is. `"Service"` is the honest one for something automatic, and Mastodon says so on
    the profile; `"Person"` and `"Organization"` go without that mark."""

    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    """The language of the posts that do not name their own: `"en"`, `"de"`, `"pt-BR"`."""

    timezone: Annotated[str, AfterValidator(read_timezone)] = "UTC"
    """The time zone of dates that do not name one, such as `date: 2026-05-01 9:00` in a Markdown file:
    `"Europe/Berlin"`."""

    hook_secret: HookSecret | None = Field(default=None, repr=False)
    """With it, the site's build may tell the bridge to look now: see docs/push.md. At least 20 characters;
    `openssl rand -hex 32` makes a good one. Without it nobody can."""

    approve_followers: bool = False
    """Whether you say yes to every new follower yourself."""

    pinned: int = Field(default=5, ge=0, le=20)
    """How many of the newest posts are pinned to the profile. Mastodon shows newcomers nothing else of
    what was written before they came."""

    urls: Literal["auto", "page", "bridge"] = "auto"
    """Where the link of a post leads. `"page"`: straight to its page. `"bridge"`: to an address of the
    bridge that sends people on, because some servers (Misskey's relatives, Pixelfed) drop posts that link
    to another host than they come from. `"auto"`: `"page"` if the bridge answers on the handle's own
    domain, otherwise `"bridge"`."""

    template: PostTemplate = "excerpt"
    """How a post is laid out. `"excerpt"`: the title, linked, then the text if it is short and its
    beginning if it is long, the link, the hashtags. `"full"`: with the whole text. `"title"`: without any.
    Or your own: text with `{title}`, `{excerpt}`, `{content}`, `{link}`, `{tags}` and `{date}`, an empty line
    between paragraphs: `"New on the blog: {title}\\n\\n{excerpt}\\n\\n{tags}"`. A paragraph whose fields are
    all empty is left out."""

    type_of_posts: Literal["note", "article"] = "note"
    """What posts are sent as. `"note"` is right on every server. As an `"article"` a post with a title goes
    out whole: some servers show it like a blog, but Mastodon only its title, its beginning and its link."""

    images: Literal["auto", "always", "never"] = "auto"
    """Whether posts carry their pictures. Mastodon shows either pictures or a preview card of the linked
    page. `"auto"`: the card for text that has a page of its own, the pictures for photo posts, posts
    without a title, whole texts, and pages that the bridge shows itself."""

    page_image: bool = False
    """Whether a post without a picture of its own carries the one that its page names for preview cards
    (`og:image`), where posts carry pictures at all: see `images`. Leave it off if that is the same logo on
    every page."""

    max_hashtags: int = Field(default=5, ge=0, le=20)
    """How many hashtags a post has at most."""

    hashtags: Annotated[
        Mapping[Annotated[str, Field(min_length=1, max_length=100)], Hashtag],
        Field(max_length=200),
        AfterValidator(MappingProxyType),
    ] = Field(default_factory=lambda: MappingProxyType({}))
    """What becomes of a tag or category of yours: another hashtag, or none. `Misc = false`,
    `"Web stuff" = "WebDev"`. Others become one word by themselves: “Web dev” is #WebDev."""

    mentions: bool = False
    """Whether `@name@server` in a post tells that person, as a mention does. Otherwise it is only text."""

    discoverable: bool = True
    """Whether servers may suggest this profile to people."""

    indexable: bool = True
    """Whether servers may offer the posts in their full-text search."""

    fields: Annotated[
        Mapping[
            Annotated[str, Field(min_length=1, max_length=255)],
            Annotated[str, Field(min_length=1, max_length=2047)],
        ],
        Field(max_length=10),
        AfterValidator(MappingProxyType),
    ] = Field(default_factory=lambda: MappingProxyType({}))
    """Up to ten lines under the profile's text, in this order: `Website = "https://cafe.example/"`.
    Mastodon shows four. An address whose page links back with `rel="me"` gets a green mark."""

    sources: Annotated[tuple[_TaggedSource, ...], BeforeValidator(_as_tuple), AfterValidator(_not_empty)]
    """Where the posts come from: feeds and folders, as many as you like."""

    _key: str = PrivateAttr("")
    _layout: Layout = PrivateAttr("same-host")

    @property
    def key(self) -> str:
        """The site's key in config.toml, which stands in its URLs and never changes."""
        return self._key

    @property
    def user(self) -> str:
        """The first half of the handle: ``cafe``."""
        return self.handle.split("@")[1]

    @property
    def domain(self) -> str:
        """The second half of the handle: a host, with a port if it is not 443."""
        return self.handle.split("@")[2]

    @property
    def layout(self) -> Layout:
        """Whether the bridge answers on the handle's own domain or on another (PROTOCOL §1.3)."""
        return self._layout


class Config(Table):
    """Everything config.toml says, with every path absolute."""

    base_url: BaseUrl
    """Where the world reaches the bridge: `"https://cafe.example"` if your web server passes the bridge's
    addresses on to it, otherwise a host of its own, `"https://social.cafe.example"`. Followers' servers
    remember it: choose it once. `http://` is only for `localhost`."""

    data: DataFolder = Field(default=Path("data"), validate_default=True)
    """The folder that holds the database, unless `database` says otherwise; the keys are in the database.
    Back it up, and let nobody else read it. Relative to this file."""

    database: Database = Field(default_factory=lambda found: sqlite_in(found["data"]), repr=False)
    """The database, if it is not the embedded one in `data`: `"sqlite:///path/to/file.db"` or
    `"postgresql://user:password@host/name"`. To keep the password out of this file, use the environment
    variable, or the one that names a file holding it."""

    contact: Contact | None = None
    """A mail or web address for the privacy page, where people can ask about their data."""

    server: ServerConfig = ServerConfig()
    polling: PollingConfig = PollingConfig()
    delivery: DeliveryConfig = DeliveryConfig()

    sites: Annotated[
        Mapping[SiteKey, SiteConfig], AfterValidator(_not_empty), AfterValidator(MappingProxyType)
    ]
    """The sites, by their keys."""

    @property
    def host(self) -> str:
        """The host of `base_url`, with its port if it names one."""
        return self.base_url.partition("://")[2]

    @model_validator(mode="after")
    def _introduce_sites(self) -> Self:
        tell_sites_where_they_are(self)
        return self


def tell_sites_where_they_are(config: Config) -> None:
    """Let every site know its key and its layout, which no table of its own says."""
    for key, site in config.sites.items():
        site._key = key
        site._layout = "same-host" if site.domain == config.host else "split"
