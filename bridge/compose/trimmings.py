"""What publishing software puts around the words: “read more”, “appeared first on”, tables of contents.

Told by where it leads (to the entry's own page), not by its language, wherever there is a link to tell it by.
"""

import re
from html import escape

from bridge.addresses import same_site, take_apart
from bridge.changes.keys import canonical_link
from bridge.markup.cutoff import plainly_marked, without_invitation
from bridge.markup.html import plain_text

_FEW_WORDS = 160  # characters, besides the title: more than that is somebody's writing
_LINK = re.compile(r'<a href="([^"]*)"[^<>]*>((?:(?!</a>).)*)</a>', re.DOTALL)
_LAST_LINK = re.compile(
    r'(<p>|(?<=[.!?…:\])»”"])|<br>)\s*\(?<a href="([^"]*)"[^<>]*>[^<>]{1,120}</a>\)?((?:</\w+>){1,9})$'
)
_LISTS = re.compile(r"<(/?)(?:ul|ol)\b[^<>]*>")
_ANNOUNCEMENT = re.compile(r"<p>(?:<strong>)?[^<>]{1,60}(?:</strong>)?</p>$")
_APPEARED = re.compile(
    r"(?:<p>|\s)The post .{1,300}? (?:appeared first on|first appeared on) .{1,200}?\.(?:</p>)?$"
)


def without_trimmings(html: str, link: str | None, title: str) -> str:
    """Return note HTML without what is only there to lead to `link`, the entry's own page."""
    html = _APPEARED.sub("", html)
    if link is not None:
        html = _without_contents(html, link)
        for _ in range(3):
            shorter = _without_last_link(_without_last_paragraph(html, link, title), link)
            if shorter == html:
                break
            html = shorter
    return plainly_marked(html)


def text_without_trimmings(text: str, title: str) -> str:
    """Return a summary without the same, which has lost its links."""
    before, _, last = text.rstrip().rpartition("\n")
    if before.strip() and len(title) > 3 and title in last and len(last) - len(title) <= _FEW_WORDS:
        text = before
    text = _APPEARED.sub("", text)
    return without_invitation(text)


def _without_last_paragraph(html: str, link: str, title: str) -> str:
    """Drop a last paragraph that is about the page: “This article appeared on …”, “Read more”."""
    start = html.rfind("<p>")
    if start <= 0 or not html.endswith("</p>"):
        return html
    paragraph = html[start:]
    links = _LINK.findall(paragraph)
    if not links:
        return html
    words = plain_text(paragraph)
    if len(links) == 1 and plain_text(links[0][1]) == words and _is_home(links[0][0], link):
        return html[:start]
    if any(_is_own(href, link) for href, _ in links) and len(words.replace(title, "")) <= _FEW_WORDS:
        return html[:start]
    return html


def _without_last_link(html: str, link: str) -> str:
    """Drop “[read more]” at the end of the text, or as all of it."""
    match = _LAST_LINK.search(html)
    if not match or not _is_own(match[2], link):
        return html
    return html[: match.start()] + (match[3].removeprefix("</p>") if match[1] == "<p>" else match[3])


def _without_contents(html: str, link: str) -> str:
    """Drop a list that leads to places on the page and nowhere else, and the words that announce it."""
    depth, start = 0, 0
    for match in _LISTS.finditer(html):
        start = match.start() if not depth else start
        depth += -1 if match[1] else 1
        if depth == 0 and _is_contents(html[start : match.end()], link):
            before = _ANNOUNCEMENT.sub("", html[:start])
            return before + html[match.end() :]
    return html


def _is_contents(listed: str, link: str) -> bool:
    hrefs = [href for href, _ in _LINK.findall(listed)]
    own = escape(link) + "#"
    return (
        len(hrefs) > 1
        and all(href.startswith(own) for href in hrefs)
        and not plain_text(_LINK.sub("", listed))
    )


def _is_own(href: str, link: str) -> bool:
    return "#" not in href and canonical_link(href.replace("&amp;", "&")) == canonical_link(link)


def _is_home(href: str, link: str) -> bool:
    there = take_apart(href)
    return there.path in ("", "/") and not there.query and same_site(href, link)
