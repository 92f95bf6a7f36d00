"""How single values of config.toml are written, and what they become.

Every reader here takes what TOML held and returns the one canonical form, or raises `ValueError` with
a phrase that tells the owner what to write instead. The types at the end say, in `Annotated`, which reader
and which limits a value has; `bridge.config.read` goes by that.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna

INSTANCE_USER = "instance"  # the name of the instance actor
LOCAL_HOSTS = ("localhost", "127.0.0.1")
NAMING_FIELDS = ("slug", "title_slug", "path")  # each tells one post of a folder from the others
PAGE_FIELDS = (*NAMING_FIELDS, "folder", "category", "year", "month", "day", "language")
POST_TEMPLATES = ("excerpt", "full", "title")
POST_FIELDS = ("title", "excerpt", "content", "link", "tags", "date")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NAME = re.compile(r"[a-z0-9_]{1,30}")
SHORTEST_SECRET = 20  # characters
# First path parts below /ap/ that are the bridge's own. "about", "hooks", "inbox" and "instance" exist; the
# others are what FEP-3b86 and Threads' operators expect there, kept free so that no site has to be renamed.
RESERVED_SITE_KEYS = frozenset(
    {"about", "authorize_interaction", "hooks", "inbox", "instance", "intents", "outbox"}
)
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


# ── what types say of their values ───────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Kind:
    """How the reference tells people to write a value."""

    words: str


@dataclass(frozen=True)
class Parse:
    """The reader that makes a value of whatever TOML held."""

    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Locate:
    """A reader that also needs the folder of the config file, to which paths are relative."""

    read: Callable[[Any, Path], Any]


@dataclass(frozen=True)
class Check:
    """A reader for a value that has the right type already."""

    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Between:
    """The limits of a number or a duration, both allowed."""

    lowest: int | timedelta
    highest: int | timedelta


@dataclass(frozen=True)
class Length:
    """How many characters a text may have, or entries a table."""

    least: int
    most: int


# ── durations ────────────────────────────────────────────────────────────────────────────────────


def read_duration(value: Any) -> timedelta:
    """Read ``"90s"``, ``"15m"``, ``"12h"`` or ``"2d"``."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([0-9]{1,6}) ?([smhd])", value) if isinstance(value, str) else None
    if not match:
        raise ValueError('must be a duration in quotes: "90s", "15m", "12h" or "2d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


# ── names and addresses ──────────────────────────────────────────────────────────────────────────


def read_site_key(key: str) -> str:
    """Check the key of a site, which stands in every URL of its actor."""
    if not _NAME.fullmatch(key):
        raise ValueError("the key of a site is 1 to 30 of a–z, 0–9 and _ (its handle and name are free)")
    if key in RESERVED_SITE_KEYS:
        raise ValueError(f"/ap/{key} is an address of the bridge itself; choose another key for this site")
    return key


def read_handle(text: str) -> str:
    """Read ``@cafe@cafe.example``; the domain comes out in lower case and Punycode."""
    user, _, domain = text.removeprefix("@").partition("@")
    if not user or not domain:
        raise ValueError('must be written "@name@domain", for example "@cafe@cafe.example"')
    return f"@{_read_user(user)}@{_read_host_and_port(domain)}"


def _read_user(user: str) -> str:
    if user == INSTANCE_USER:
        raise ValueError(f"{user!r} is the bridge's own name: choose another")
    if _NAME.fullmatch(user):
        return user
    if "." in user:
        raise ValueError(f"{user!r} may not contain dots: Misskey cuts a handle at its first dot")
    if _NAME.fullmatch(user.lower()):
        raise ValueError(
            f"write {user.lower()!r} without capitals: GoToSocial takes {user!r} for another name"
        )
    raise ValueError(f"{user!r} cannot be the name in a handle: use 1 to 30 of a–z, 0–9 and _")


def read_timezone(name: str) -> str:
    """Check that a time zone exists."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"{name!r} is not a time zone: write one such as 'Europe/Berlin'") from None
    return name


def read_language(code: str) -> str:
    """Check the form of a language code."""
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code):
        raise ValueError('must be a language code such as "en", "de" or "pt-BR"')
    return code


def read_listening_address(address: str) -> str:
    """Check the address to listen on; a name will not do: it may stand for several."""
    try:
        ip_address(address)
    except ValueError:
        raise ValueError(
            'must be an IP address: "127.0.0.1" for this machine only, "0.0.0.0" for every way in'
        ) from None
    return address


def _read_host_and_port(text: str) -> str:
    host, colon, port = text.partition(":")
    if colon and not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ValueError(f"{port!r} is not a port: use a number from 1 to 65535")
    try:
        host = idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{host!r} is not a domain name ({error})") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is not a domain name")
    return f"{host}:{int(port)}" if colon and int(port) != 443 else host


def read_base_url(text: str) -> str:
    """Read the bridge's own address: a scheme, a host, perhaps a port, nothing else."""
    parts = _split_web_url(text)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f'must end after the host: "{parts.scheme}://{parts.netloc}"; the bridge answers below /ap/ there'
        )
    host = _read_host_and_port(parts.netloc)
    if parts.scheme == "http" and host.partition(":")[0] not in LOCAL_HOSTS:
        raise ValueError("must begin with https://: only http://localhost is allowed without, for trying out")
    return f"{parts.scheme}://{host.removesuffix(':80') if parts.scheme == 'http' else host}"


def read_web_url(text: str) -> str:
    """Check that a text is a complete web address; it is kept as written."""
    _split_web_url(text)
    return text


def _split_web_url(text: str) -> SplitResult:
    parts = urlsplit(text) if text.isprintable() and " " not in text else SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('must be a whole web address, such as "https://cafe.example/"')
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    _ = parts.port  # raises ValueError when it is none
    return parts


def read_page_template(text: str) -> str:
    """Check the pattern of a folder's page addresses."""
    read_web_url(text)
    fields = re.findall(r"\{([^}]*)\}", text)
    if not set(fields) & set(NAMING_FIELDS):
        raise ValueError('must hold {slug}, where the post\'s name goes: "https://cafe.example/{slug}/"')
    if set(fields) - set(PAGE_FIELDS) or len(fields) != max(text.count("{"), text.count("}")):
        raise ValueError(f"may hold {', '.join(f'{{{field}}}' for field in PAGE_FIELDS)} and no other braces")
    return text


def read_post_template(text: str) -> str:
    """Check how posts are laid out: one of the ready-made ways, or paragraphs with fields in braces."""
    if text in POST_TEMPLATES:
        return text
    known = ", ".join(f"{{{field}}}" for field in POST_FIELDS)
    fields = re.findall(r"\{([^{}]*)\}", text)
    if unknown := [field for field in fields if field not in POST_FIELDS]:
        raise ValueError(f"{{{unknown[0]}}} is not a field of a post; the fields are {known}")
    if not fields:
        ways = ", ".join(f'"{way}"' for way in POST_TEMPLATES)
        raise ValueError(f"must be {ways}, or a text of your own with at least one of {known}")
    if len(fields) != max(text.count("{"), text.count("}")):
        raise ValueError(f"may hold {known} and no other braces")
    return text.strip()


def read_hashtag(value: Any) -> str:
    """Read what a category becomes: ``"WebDev"``, or `false` (empty from here on) for no hashtag."""
    if value is False or value == "":
        return ""
    name = value.removeprefix("#") if isinstance(value, str) else ""
    if not any(map(str.isalpha, name)) or not all(c == "_" or category(c)[0] in "LMN" for c in name):
        raise ValueError('must be a hashtag in quotes, without spaces ("WebDev"), or false for none at all')
    return name


def read_network(value: Any) -> IPv4Network | IPv6Network:
    """Read an address or a network: ``"10.0.0.7"``, ``"172.16.0.0/12"``."""
    if not isinstance(value, str):
        raise ValueError('must be an address or a network in quotes: "10.0.0.7" or "172.16.0.0/12"')  # noqa: TRY004
    network = ip_network(value, strict=False)
    if network.prefixlen == 0:
        raise ValueError(f"{value} would let anyone pretend to be anyone: name your proxy's own network")
    return network


def read_hook_secret(text: str) -> str:
    """Check that a secret is none that could be guessed, and that it can stand in a header."""
    if len(text) < SHORTEST_SECRET or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            f"must have {SHORTEST_SECRET} characters or more and no spaces: try `openssl rand -hex 32`"
        )
    return text


def read_identity(text: str) -> str:
    """Check that a text may be what the bridge prints of its keys."""
    if not re.fullmatch("[0-9a-f]{16}", text):
        raise ValueError("has to be the sixteen letters and digits that the bridge printed")
    return text


def read_contact(text: str) -> str:
    """Check that people could write to a contact: a mail address or a web address."""
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        return text
    try:
        return read_web_url(text)
    except ValueError:
        raise ValueError('must be a mail address or a web address ("https://…")') from None


# ── as fields use them ───────────────────────────────────────────────────────────────────────────

Duration = Annotated[timedelta, Parse(read_duration), Kind("duration")]
SiteKey = Annotated[str, Check(read_site_key)]
Handle = Annotated[str, Check(read_handle), Kind("handle")]
BaseUrl = Annotated[str, Check(read_base_url), Kind("web address without a path")]
WebUrl = Annotated[str, Check(read_web_url), Kind("web address")]
PageTemplate = Annotated[str, Check(read_page_template), Kind("web address with fields in braces")]
PostTemplate = Annotated[str, Check(read_post_template), Kind("text with fields in braces")]
Hashtag = Annotated[str, Parse(read_hashtag), Kind("hashtags or `false`")]
Network = Annotated[IPv4Network | IPv6Network, Parse(read_network), Kind("addresses or networks")]
HookSecret = Annotated[str, Check(read_hook_secret), Kind("secret")]
Identity = Annotated[str, Check(read_identity), Kind("sixteen letters and digits")]
Contact = Annotated[str, Check(read_contact), Kind("mail or web address")]
