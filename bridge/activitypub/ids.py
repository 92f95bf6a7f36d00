"""Every URL this bridge answers at, and the ids it mints: all of them derived, none of them drawn by lot."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from bridge.addresses import same_origin, take_apart


@dataclass(frozen=True, slots=True)
class Ids:
    """The URLs below one public base URL; `site` is a key in config.toml, an `…_id` the last path part."""

    base_url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    @property
    def host(self) -> str:
        """Return the host (and port, when it is not the default one) that these URLs live on."""
        return take_apart(self.base_url).netloc

    # ── reading them back ──

    def parts(self, url: str) -> tuple[str, ...] | None:
        """Return the parts of the path below the base URL, decoded; `None` for an address that is not ours.

        One address has many spellings, and they are one thing: the case of scheme and host, an international
        name or its A-labels, the default port, percent-encoding, slashes at the end, a fragment, and a query,
        which our addresses do not have. What is stored is never as it came but what this class writes.
        """
        if not same_origin(url, self.base_url):
            return None
        below, path = _path_parts(self.base_url), _path_parts(url)
        if path[: len(below)] != below or not all(part.isprintable() for part in path):
            return None
        return path[len(below) :]

    # ── actors and their collections ──

    def actor(self, site: str) -> str:
        return f"{self.base_url}/ap/{site}"

    def inbox(self, site: str) -> str:
        return f"{self.actor(site)}/inbox"

    def outbox(self, site: str) -> str:
        return f"{self.actor(site)}/outbox"

    def followers(self, site: str) -> str:
        return f"{self.actor(site)}/followers"

    def following(self, site: str) -> str:
        return f"{self.actor(site)}/following"

    def featured(self, site: str) -> str:
        return f"{self.actor(site)}/featured"

    def tags(self, site: str) -> str:
        return f"{self.actor(site)}/tags"

    def collection_page(self, collection: str, number: int) -> str:
        """Return the id of a collection's page, counted from 1.

        A path and no query: servers disagree on whether a signed GET covers the query string.
        """
        return f"{collection}/pages/{number}"

    # ── objects and activities ──

    def post(self, site: str, post_id: str) -> str:
        return f"{self.actor(site)}/posts/{post_id}"

    def replies(self, site: str, post_id: str) -> str:
        return f"{self.post(site, post_id)}/replies"

    def likes(self, site: str, post_id: str) -> str:
        return f"{self.post(site, post_id)}/likes"

    def shares(self, site: str, post_id: str) -> str:
        return f"{self.post(site, post_id)}/shares"

    def context(self, site: str, post_id: str) -> str:
        return f"{self.post(site, post_id)}/context"

    def activity(self, site: str, activity_id: str) -> str:
        return f"{self.actor(site)}/activities/{activity_id}"

    def authorization(self, site: str, authorization_id: str) -> str:
        """Return the id of the stamp that approves a quote (FEP-044f) or a listing (FEP-7aa9)."""
        return f"{self.actor(site)}/authorizations/{authorization_id}"

    # ── the bridge itself ──

    @property
    def shared_inbox(self) -> str:
        return f"{self.base_url}/ap/inbox"

    @property
    def instance(self) -> str:
        return f"{self.base_url}/ap/instance"

    @property
    def instance_user(self) -> str:
        """Return the instance actor's name: its host, as Mastodon's is called."""
        return take_apart(self.base_url).host or "instance"

    def rsa_key(self, actor: str) -> str:
        return f"{actor}#main-key"

    def ed25519_key(self, actor: str) -> str:
        return f"{actor}#ed25519-key"

    # ── pages for people, which never share a URL with a document ──

    def page(self, post_id: str) -> str:
        """Return the URL that redirects to the post's page on the owner's site."""
        return f"{self.base_url}/r/{post_id}"

    def profile(self, user: str) -> str:
        return f"{self.base_url}/@{user}"

    def feed_page(self, site: str) -> str:
        return f"{self.actor(site)}/feed"

    def tag(self, site: str, name: str) -> str:
        """Return the page that lists a site's posts with one hashtag; `name` comes without its `#`."""
        return f"{self.actor(site)}/tagged/{quote(name, safe='')}"

    def media(self, site: str, path: str) -> str:
        """Return where the bridge serves a picture from a folder that has no website of its own."""
        return f"{self.actor(site)}/media/{quote(path.lstrip('/'))}"

    def picture(self, site: str, name: str) -> str:
        """Return where the bridge serves a profile's icon or header."""
        return f"{self.actor(site)}/pictures/{quote(name)}"

    def copy(self, name: str) -> str:
        """Return where the bridge serves its own copy of a picture that servers could not show."""
        return f"{self.base_url}/ap/about/pictures/{name}"

    def websub(self, token: str) -> str:
        """Return where a hub calls us about one subscription."""
        return f"{self.base_url}/ap/about/websub/{token}"

    def build_call(self, site: str) -> str:
        """Return where a site's own build says that there is news."""
        return f"{self.base_url}/ap/hooks/poll/{site}"

    @property
    def privacy(self) -> str:
        return f"{self.base_url}/ap/about/privacy"


def _path_parts(url: str) -> tuple[str, ...]:
    path = take_apart(url).path.strip("/")
    return tuple(unquote(part) for part in path.split("/")) if path else ()


def mint_post_id(site: str, identity: str, generation: int = 1, *, secret: bytes = b"") -> str:
    """Derive a post's id from what the source calls it, so that a lost database yields the same ids again.

    A deleted id is never used again (Mastodon refuses it for ever): what comes back is generation 2.
    `secret`: without it nobody can compute the id, and so the address, of a post they have not seen. Posts of
    the first releases have ids without one.
    """
    digest = _keyed_digest(secret, 16, site, identity) if secret else _digest(16, site, identity)
    return digest if generation < 2 else f"{digest}-{generation}"


def mint_activity_id(site: str, activity_type: str, object_id: str, version: str = "") -> str:
    """Derive an activity's id from what it says, so that saying it twice is saying it once.

    `version` tells apart what may rightly be said again of one object: the moment of an edit, say. From an
    activity's id nobody learns its post's, nor computes it without that.
    """
    return f"{activity_type.lower()}-{_digest(26, site, activity_type, object_id, version)}"


def _digest(length: int, *parts: str) -> str:
    return _short(hashlib.sha256(_spelled(parts)).digest(), length)


def _keyed_digest(secret: bytes, length: int, *parts: str) -> str:
    return _short(hmac.digest(secret, _spelled(parts), "sha256"), length)


def _spelled(parts: Iterable[str]) -> bytes:
    encoded = [part.encode(errors="surrogatepass") for part in parts]  # a file's name may be no UTF-8
    # Each part is preceded by its length, so that ("a", "bc") and ("ab", "c") differ.
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)


def _short(digest: bytes, length: int) -> str:
    return base64.b32encode(digest).decode().lower()[:length]
