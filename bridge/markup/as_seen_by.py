"""What other servers make of a note's HTML: Mastodon's allow-list, Misskey's own markup."""

import re
from functools import cache
from html.parser import HTMLParser

import nh3

from bridge.addresses import take_apart
from bridge.markup.sanitize import NOTE_TAGS, bound_depth

# mastodon@03006bdf, lib/sanitize_ext/sanitize_config.rb
_CLASSES = frozenset({"mention", "hashtag", "ellipsis", "invisible", "quote-inline"})
_MICROFORMAT = re.compile(r"(?:h|p|u|dt|e)-\S+")
_SCHEMES = {"http", "https", "dat", "dweb", "ipfs", "ipns", "ssb", "gopher", "xmpp", "magnet", "gemini"}
_LOST_LINK = re.compile(r"<a(?![^<>]{0,2000}\shref=)[^<>]{0,2000}>((?:(?!</a>).){0,2000})</a>", re.DOTALL)
_HEADING = re.compile(r"<(/?)h[1-6]\b[^<>]{0,500}>", re.IGNORECASE)


def keep_as_mastodon(html: str) -> str:
    """Return what Mastodon stores of a note; the `rel` and `target` that it adds to links are left out.

    Headings become bold paragraphs; a link of a scheme it does not know (mailto) becomes its text.
    """
    without_headings = _HEADING.sub(lambda m: "</strong></p>" if m[1] else "<p><strong>", html)
    return _LOST_LINK.sub(lambda m: m[1], _mastodon().clean(bound_depth(without_headings)))


@cache
def _mastodon() -> nh3.Cleaner:
    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "class":
            kept = (one for one in value.split() if one in _CLASSES or _MICROFORMAT.fullmatch(one))
            return " ".join(kept) or None
        return value if attribute != "translate" or value == "no" else None

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

    It has bold, italics, strikes, code and links, and loses more than one would think: marks of lists, and
    paragraphs, links and formatting within quotes. Code is a block only as the one element of a `<pre>`.
    """
    writer = _MfmWriter()
    writer.feed(html)
    writer.close()
    return "".join(writer.out).strip()


class _MfmWriter(HTMLParser):
    """Writes MFM as Misskey's MfmService.fromHtml does, for the elements that a note holds."""

    _BEFORE = {  # noqa: RUF012  a table
        **dict.fromkeys(("b", "strong"), "**"),
        **dict.fromkeys(("i", "em"), "<i>"),
        **dict.fromkeys(("del", "s"), "~~"),
        **dict.fromkeys(("p", "h2", "h3", "h4", "h5", "h6"), "\n\n"),
        "br": "\n",
        "li": "\n",
        "h1": "【",
    }
    _AFTER = {  # noqa: RUF012  a table
        **dict.fromkeys(("b", "strong"), "**"),
        **dict.fromkeys(("i", "em"), "</i>"),
        **dict.fromkeys(("del", "s"), "~~"),
        "h1": "】\n",
    }

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._links: list[tuple[str, str, int]] = []  # href, class, where its text starts
        self._plain = 0  # in a quote, a link or code, of which only the text counts
        self._pre = False
        self._quotes: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "blockquote":
            self._quotes.append(len(self.out))
            self._plain += 1
        elif tag == "br":
            self.out.append("\n")
        elif self._plain and tag != "code":
            return
        elif tag == "a":
            self._links.append((attributes.get("href", ""), attributes.get("class", ""), len(self.out)))
            self._plain += 1
        elif tag == "pre":
            self._pre = True
        elif tag == "code" and not self._quotes:
            self.out.append("\n```\n" if self._pre else "`")
        else:
            self.out.append(self._BEFORE.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "blockquote" and self._quotes:
            self._plain -= 1
            self._end_quote()
        elif tag == "a" and self._links and not self._quotes:
            self._plain -= 1
            self._end_link()
        elif self._plain and tag != "code":
            return
        elif tag == "pre":
            self._pre = False
        elif tag == "code" and not self._quotes:
            self.out.append("\n```\n" if self._pre else "`")
        else:
            self.out.append(self._AFTER.get(tag, ""))

    def handle_data(self, data: str) -> None:
        self.out.append(data)

    def _end_link(self) -> None:
        href, classes, start = self._links.pop()
        text = "".join(self.out[start:])
        del self.out[start:]
        if "mention" in classes and text.startswith("@") and "@" not in text[1:]:
            self.out.append(f"{text}@{take_apart(href).host}")
        else:
            is_name = "hashtag" in classes or text.startswith("@")
            self.out.append(text if is_name or text == href or not href else f"[{text}]({href})")

    def _end_quote(self) -> None:
        start = self._quotes.pop()
        quoted = "".join(self.out[start:])
        del self.out[start:]
        if quoted and not self._quotes:
            self.out.append("\n> " + "\n> ".join(quoted.split("\n")))
        else:
            self.out.append(quoted)
