"""What other servers make of a note's HTML: Mastodon's allow-list, Misskey's own markup."""

import re
from functools import cache
from html.parser import HTMLParser

import nh3

from bridge.sources.sanitize import NOTE_TAGS, bound_depth
from bridge.sources.text import collapse

# lib/sanitize_ext/sanitize_config.rb (PROTOCOL §3.4)
_CLASSES = frozenset({"mention", "hashtag", "ellipsis", "invisible", "quote-inline"})
_MICROFORMAT = re.compile(r"(?:h|p|u|dt|e)-\S+")
_SCHEMES = {"http", "https", "dat", "dweb", "ipfs", "ipns", "ssb", "gopher", "xmpp", "magnet", "gemini"}
_HEADING = re.compile(r"<(/?)h[1-6]\b[^<>]{0,500}>", re.IGNORECASE)


def keep_as_mastodon(html: str) -> str:
    """Return what Mastodon stores of a note; the `rel` and `target` that it adds to links are left out.

    Headings become bold paragraphs; a link of a scheme it does not know (mailto) leads nowhere.
    """
    without_headings = _HEADING.sub(lambda m: "</strong></p>" if m[1] else "<p><strong>", html)
    return _mastodon().clean(bound_depth(without_headings))


@cache
def _mastodon() -> nh3.Cleaner:
    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "class":
            kept = (one for one in value.split() if one in _CLASSES or _MICROFORMAT.fullmatch(one))
            return " ".join(kept) or None
        return value

    return nh3.Cleaner(
        tags=set(NOTE_TAGS),
        attributes={
            "*": {"lang"},
            "a": {"href", "rel", "class", "translate"},
            "span": {"class", "translate"},
            "ol": {"start", "reversed"},
            "li": {"value"},
            "p": {"class"},
        },
        attribute_filter=keep,
        clean_content_tags={"script", "style"},
        url_schemes=set(_SCHEMES),
        link_rel=None,
        url_relative="deny",
    )


def as_misskey(html: str) -> str:
    """Return a note as the text with MFM that Misskey turns it into.

    It has bold, italics, strikes, quotes, code and links; lists lose their marks, and h1 becomes 【…】.
    """
    writer = _MfmWriter()
    writer.feed(html)
    writer.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(writer.out)).strip()


class _MfmWriter(HTMLParser):
    """Writes MFM, following Misskey's mfm/from-html as closely as a preview needs."""

    _MARKS = {  # noqa: RUF012  a table
        **dict.fromkeys(("b", "strong"), "**"),
        **dict.fromkeys(("i", "em"), "*"),
        **dict.fromkeys(("del", "s"), "~~"),
    }

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._links: list[tuple[str, str, int]] = []  # href, class, where its text starts
        self._pre = 0
        self._quotes: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._links.append((attributes.get("href", ""), attributes.get("class", ""), len(self.out)))
        elif tag == "pre":
            self._pre += 1
            self.out.append("\n\n```\n")
        elif tag == "code" and not self._pre:
            self.out.append("`")
        elif tag == "blockquote":
            self._quotes.append(len(self.out))
        elif tag == "h1":
            self.out.append("\n\n【")
        else:
            self.out.append(self._before(tag))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            self._end_link()
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
            self.out.append("\n```\n\n")
        elif tag == "code" and not self._pre:
            self.out.append("`")
        elif tag == "blockquote" and self._quotes:
            self._end_quote()
        elif tag == "h1":
            self.out.append("】\n\n")
        else:
            self.out.append(self._MARKS.get(tag, ""))

    def handle_data(self, data: str) -> None:
        self.out.append(data if self._pre else collapse(data))

    def _before(self, tag: str) -> str:
        if tag in ("p", "ul", "ol"):
            return "\n\n"
        return "\n" if tag in ("br", "li") else self._MARKS.get(tag, "")

    def _end_link(self) -> None:
        href, classes, start = self._links.pop()
        text = "".join(self.out[start:])
        del self.out[start:]
        is_name = "hashtag" in classes or "mention" in classes
        self.out.append(text if is_name or text == href or not href else f"[{text}]({href})")

    def _end_quote(self) -> None:
        start = self._quotes.pop()
        quoted = re.sub(r"\n{3,}", "\n\n", "".join(self.out[start:])).strip()
        del self.out[start:]
        self.out.append("\n\n" + "\n".join(f"> {line}" for line in quoted.split("\n")) + "\n\n")
