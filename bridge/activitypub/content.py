"""The HTML of a note around the author's own: title, link and hashtags."""

import unicodedata
from collections.abc import Iterable
from html import escape
from urllib.parse import unquote

MAX_HASHTAG = 100
MAX_SHOWN_URL = 60


def compose_content(
    title: str,
    page_url: str | None,
    body_html: str,
    tags: Iterable[tuple[str, str]],
    *,
    about: str | None = None,
    link_last: bool = False,
) -> str:
    """Compose a note's HTML: a linked title, the body, a link to the page, and the hashtags.

    `tags` are (name without `#`, href). Mastodon makes its preview card of the first link, which the title
    sees to; `rel="tag"` keeps hashtags from becoming one. The title of a link post leads to the page it is
    `about`, and a star to the author's own.
    """
    title_html, link = title_link(title, about or page_url), page_link(page_url, starred=bool(about))
    end = [_paragraph(link), _paragraph(tag_links(tags))]
    return "".join([_paragraph(title_html), body_html, *(reversed(end) if link_last else end)])


def _paragraph(inline: str) -> str:
    return f"<p>{inline}</p>" if inline else ""


def hashtag(label: str) -> str | None:
    """Turn a category such as “Web Dev” into the name of a hashtag, `WebDev`; `None` when nothing is left.

    Several words are joined in CamelCase, which screen readers can tell apart. Digits alone are no hashtag.
    """
    plain = unicodedata.normalize("NFC", label).replace("'", "").replace("’", "")
    words = "".join(c if _in_hashtag(c) else " " for c in plain).split()
    name = words[0] if len(words) == 1 else "".join(word[0].upper() + word[1:] for word in words)
    name = name.strip("_")[:MAX_HASHTAG]
    return name if any(c.isalpha() or c == "_" for c in name) else None


def _in_hashtag(character: str) -> bool:
    # Marks too, for Indic scripts, Thai and Arabic write vowels with them; but none that styles an emoji.
    kind = unicodedata.category(character)
    is_mark = kind in ("Mn", "Mc") and not "\ufe00" <= character <= "\ufe0f"
    return character == "_" or is_mark or kind[0] == "L" or character.isdecimal()


def link_html(url: str) -> str:
    """Write a profile field's value that links to the owner's page, which verifies it by linking back."""
    return f'<a href="{escape(url)}" rel="me nofollow noopener" translate="no">{escape(_shown_url(url))}</a>'


def title_link(title: str, url: str | None) -> str:
    """Write a title, linked where there is a page to link to; nothing for no title."""
    if not title:
        return ""
    if url is None:
        return f"<strong>{escape(title)}</strong>"
    return f'<a href="{escape(url)}">{escape(title)}</a>'


def page_link(url: str | None, *, starred: bool = False) -> str:
    """Write a link that shows where it leads."""
    if not url:
        return ""
    return f'<a href="{escape(url)}">{"★ " if starred else ""}{escape(_shown_url(url))}</a>'


def mention_link(handle: str, url: str) -> str:
    """Write a mention of ``@ann@social.example`` as Mastodon does."""
    name = handle.removeprefix("@").partition("@")[0]
    link = f'<a href="{escape(url)}" class="u-url mention">@<span>{escape(name)}</span></a>'
    return f'<span class="h-card">{link}</span>'


def tag_links(tags: Iterable[tuple[str, str]]) -> str:
    """Write hashtags, each linked to its page."""
    anchors = [
        f'<a href="{escape(href)}" class="mention hashtag" rel="tag">#<span>{escape(name)}</span></a>'
        for name, href in tags
    ]
    return " ".join(anchors)


def _shown_url(url: str) -> str:
    bare = url.partition("://")[2] or url
    readable = unquote(bare)
    shown = (readable if readable.isprintable() else bare).rstrip("/")
    return shown if len(shown) <= MAX_SHOWN_URL else shown[: MAX_SHOWN_URL - 1] + "…"
