"""Every way this program says no, in one tree.

    BridgeError
    ├─ ConfigError            config.toml (or a secret's file) is not usable as it is
    ├─ IdentityChanged        the config contradicts what the fediverse already knows us by
    │  └─ IdentityOutdated     nobody knows that identity: the next start replaces it
    ├─ SourceError            a source could not be read as what it claims to be
    │  ├─ NotAFeed            the answer is no feed (an HTML page, an empty body, a truncated document)
    │  ├─ ShrunkenFeed        a feed holds far fewer entries than before, and may have been cut off
    │  └─ FolderError         the folder is missing or unreadable
    ├─ SignatureError         an HTTP signature is missing, malformed, stale, incomplete or wrong
    ├─ BadActivity            bytes in an inbox that are no activity we can read
    ├─ BadUrl                 a URL we refuse to open
    ├─ BadKey                 key material we refuse to use
    ├─ BadDocument            a remote document that is not what its URL promised
    ├─ BadPicture             a picture that servers could not show
    ├─ StoreError             the database cannot be used (too new, locked, missing)
    │  ├─ StoreMissing        nothing ever ran here: there is no database to look at
    │  └─ StoreUnavailable    not now: it is away, or its disk is full
    │     └─ StoreDamaged     not before a backup is restored
    └─ DemoError              `fedibridge demo` cannot start or go on

Each message is a sentence for the owner of the site: it names the file, line, URL or server it is
about and says what to do. What happens thousands of times a day (a server that does not answer) is not
an error but a value: see `model.Outcome`.
"""


class BridgeError(Exception):
    """The root: everything the command line prints as one sentence instead of a traceback."""


class ConfigError(BridgeError):
    """config.toml is not usable as it is."""


class IdentityChanged(BridgeError):
    """The config contradicts the identity that followers' servers already hold."""


class IdentityOutdated(IdentityChanged):
    """The config asks for another identity than the one there is, which nobody knows: a start replaces it."""


class SourceError(BridgeError):
    """A source could not be read as what it claims to be."""


class NotAFeed(SourceError):
    """What came back is no feed; nothing may be concluded from it."""


class ShrunkenFeed(SourceError):
    """A feed suddenly holds far fewer entries; nothing is concluded from it until that has stood."""


class FolderError(SourceError):
    """A content folder is missing or unreadable."""


class SignatureError(BridgeError):
    """A request's HTTP signature is missing, malformed, stale, incomplete or wrong."""


class BadActivity(BridgeError):
    """Bytes that are no activity we can read."""


class BadUrl(BridgeError):
    """A URL we refuse to open."""


class BadKey(BridgeError):
    """Key material we refuse to use."""


class BadDocument(BridgeError):
    """A remote document that is not what its URL promised."""


class BadPicture(BridgeError):
    """A picture that servers could not show; the message says why, beginning with “it”."""


class StoreError(BridgeError):
    """The database cannot be used as it is."""


class StoreMissing(StoreError):
    """There is no database to look at yet, and whoever only looks makes none."""


class StoreUnavailable(StoreError):
    """The database cannot be used now; the same may work later. It is logged where it is noticed first."""


class StoreDamaged(StoreUnavailable):
    """The database is damaged: waiting does not mend it, a backup does."""


class DemoError(BridgeError):
    """`fedibridge demo` cannot start or go on."""
