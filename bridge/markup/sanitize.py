"""What markup may pass, in which direction: the nh3 allow-lists and the rule for a usable URL.

Every regular expression here is linear in its input: remote HTML is read by html5ever (in nh3).
"""

import re
from collections.abc import Callable
from functools import cache

import nh3

from bridge.addresses import MAX_URL, join, published, take_apart


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


# What Mastodon keeps (mastodon@03006bdf, lib/sanitize_ext/sanitize_config.rb).
NOTE_TAGS = _words("p br span a del s pre blockquote code b strong u i em ul ol li ruby rt rp")
NOTE_CLASSES = frozenset({"mention", "hashtag", "invisible", "ellipsis"})
INCOMING_TAGS = _words("p br a span del s pre code blockquote b strong i em u ul ol li")
INCOMING_CLASSES = NOTE_CLASSES | {"h-card", "u-url"}
INCOMING_REL = "nofollow noopener noreferrer ugc"

_BLOCKS = _words(
    "p div section article aside header footer main nav address center blockquote pre ul ol li dl dt dd "
    "table thead tbody tfoot tr td th caption figure figcaption details summary h1 h2 h3 h4 h5 h6 hr br"
)
_AUTHOR_TAGS = (
    _BLOCKS
    | NOTE_TAGS
    | _words(
        "sup sub strike ins tt kbd samp q img amp-img iframe video audio source embed object math "
        "semantics annotation"
    )
)
_UNWANTED = _words(
    "script style svg noscript template title select button textarea datalist canvas map noembed noframes"
)
_NOT_TEXT = _UNWANTED | {"iframe"}
_URL_ATTRIBUTES = frozenset({"href", "src", "data", "poster", "data-src", "data-lazy-src", "data-original"})
_SRCSETS = frozenset({"srcset", "data-srcset", "data-lazy-srcset"})
_PICTURE_TAGS = _words("img amp-img")
_PICTURE_ATTRIBUTES = set(_words("src alt width height data-src data-lazy-src data-original") | _SRCSETS)
_AUTHOR_ATTRIBUTES = {
    "*": {"class", "aria-hidden", "hidden"},
    "a": {"href", "rel", "title"},
    **dict.fromkeys(_PICTURE_TAGS, _PICTURE_ATTRIBUTES),
    "iframe": {"src", "title", "data-src"},
    "video": {"src", "title", "poster"},
    "audio": {"src", "title"},
    "source": {"src"},
    "embed": {"src", "title"},
    "object": {"data", "title"},
    "annotation": {"encoding"},
    "math": {"alttext"},
    "ol": {"start", "reversed"},
    "li": {"value"},
}
_HTTP = re.compile(r"https?://[^/?#\s\\]", re.IGNORECASE)
_HOST = re.compile(r"[^\s<>\"'`{}|\\^%#?/@]+")
_LINK = re.compile(r"https?://[^/?#\s\\]|mailto:[^\s]", re.IGNORECASE)
_SURROGATES = re.compile("[\ud800-\udfff]")
_BETWEEN = ", \t\r\n\f"
_NUMBER = re.compile(r"-?\d{1,6}")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)[^<>]*+>")
_NOT_NESTING = _words("p li dt dd tr td th br hr img input meta link wbr col source embed area")
MAX_DEPTH = 400

AttributeFilter = Callable[[str, str, str], str | None]
LocalFile = Callable[[str, str], str | None]


def absolute_url(url: str, base: str | None = None, *, mailto: bool = False) -> str | None:
    """Return `url` as an absolute http(s) URL, resolved against `base`; `None` when it is none.

    White space and control characters inside are removed as browsers do it.
    """
    url = "".join(char for char in url if char > "\x1f" and char != "\x7f").strip()
    joined = (join(base, url) if base else None) or url  # a base that is none spoils no whole address
    if not url or len(joined) > MAX_URL or _SURROGATES.search(joined):
        return None
    parts = take_apart(joined)
    if parts.scheme == "mailto":
        return joined.replace(" ", "%20") if mailto and parts.path else None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.host):
        return None
    shown = published(joined)
    return (parts.scheme + shown[len(parts.scheme) :]).replace(" ", "%20") if shown else None


def absolutise(html: str, base: str | None, *, local: LocalFile | None = None) -> str:
    """Return the author's HTML with every link and picture absolute and what no reader sees removed.

    Scripts, styles, forms and the like are dropped here already; what cannot be resolved loses its URL.
    `local` may answer first for a tag's URL: with another URL, or `None` to leave it to `base`.
    """
    return nh3.clean(
        bound_depth(html),
        tags=set(_AUTHOR_TAGS),
        clean_content_tags=set(_UNWANTED),
        attributes=_AUTHOR_ATTRIBUTES,
        attribute_filter=_resolver(base, local),
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


def _resolver(base: str | None, local: LocalFile | None) -> AttributeFilter:
    def resolve(tag: str, attribute: str, value: str) -> str | None:
        if attribute in _SRCSETS:
            return widest(value, base)
        if attribute in _URL_ATTRIBUTES:
            value = (local(tag, value) if local else None) or value
            return absolute_url(value, base, mailto=tag == "a")
        return value

    return resolve


def widest(srcset: str, base: str | None) -> str | None:
    """Return the URL of the largest candidate of a `srcset`, or `None`; addresses may have commas in them."""
    best, best_size, rest = None, -1.0, srcset[:8192]
    while words := rest.lstrip(_BETWEEN).split(maxsplit=1):
        url, rest = words[0].rstrip(","), words[1] if len(words) > 1 else ""
        size = ""
        if url == words[0]:  # a comma at its end would be the end of the candidate
            size, _, rest = rest.partition(",")
        number = _NUMBER.match(size.strip())
        if url and (found := float(number.group()) if number else 0.0) > best_size:
            best, best_size = url, found
    return absolute_url(best, base) if best else None


def outline(html: str) -> str:
    """Return `html` with nothing left but its block structure and its text."""
    return nh3.clean(
        bound_depth(html),
        tags=set(_BLOCKS),
        clean_content_tags=set(_NOT_TEXT),
        attributes={},
        link_rel=None,
    )


def clean_note(html: str) -> str:
    """Return only what Mastodon keeps: the last word on everything we send."""
    return _note_cleaner().clean(html)


def clean_incoming(html: str) -> str:
    """Return other people's HTML so that it can stand on the owner's own page.

    Text formatting and http(s) links only; links carry `rel="nofollow noopener noreferrer ugc"`.
    """
    return _incoming_cleaner().clean(bound_depth(html))


@cache
def _note_cleaner() -> nh3.Cleaner:
    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "href":
            return value if _LINK.match(value) else None
        if attribute == "class":
            return _tokens(value, NOTE_CLASSES)
        if attribute == "rel":
            return _tokens(value, frozenset({"tag"}))
        if attribute == "reversed":
            return ""
        return value if _NUMBER.fullmatch(value) else None

    return nh3.Cleaner(
        tags=set(NOTE_TAGS),
        attributes={
            "a": {"href", "class", "rel"},
            "span": {"class"},
            "ol": {"start", "reversed"},
            "li": {"value"},
        },
        attribute_filter=keep,
        clean_content_tags=set(_NOT_TEXT),
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
        url_relative="deny",
    )


@cache
def _incoming_cleaner() -> nh3.Cleaner:
    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "href":
            return value if len(value) <= MAX_URL and _HTTP.match(value) else None
        if attribute == "class":
            return _tokens(value, INCOMING_CLASSES)
        if attribute == "rel":  # nh3 adds ours after this
            return value
        return value if value in ("yes", "no") else None

    return nh3.Cleaner(
        tags=set(INCOMING_TAGS),
        attributes={"a": {"href", "class", "translate"}, "span": {"class", "translate"}},
        attribute_filter=keep,
        clean_content_tags=set(_NOT_TEXT),
        url_schemes={"http", "https"},
        link_rel=INCOMING_REL,
        url_relative="deny",
    )


def _tokens(value: str, allowed: frozenset[str]) -> str | None:
    return " ".join(token for token in value.split() if token in allowed) or None


def bound_depth(html: str) -> str:
    """Drop tags nested deeper than anybody writes: html5ever's time grows with the square of the depth."""
    if html.count("<") <= MAX_DEPTH:
        return html
    depth = 0

    def keep(match: re.Match[str]) -> str:
        nonlocal depth
        closing, name = match.groups()
        if name.lower() in _NOT_NESTING:
            return match.group()
        deep = depth > MAX_DEPTH
        depth = max(0, depth - 1) if closing else depth + 1
        return "" if deep or depth > MAX_DEPTH else match.group()

    return _TAG.sub(keep, html)
