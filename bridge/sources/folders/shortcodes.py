"""What generators add to Markdown (Hugo's shortcodes, Liquid, wiki links) becomes plain Markdown or goes.

Code is left alone. Pictures and known embeds survive as pictures and links; anything else is dropped quietly.
"""

import re
from html import escape

# One alternation, each branch bounded or free of overlap, so that matching is linear.
_TOKEN = re.compile(
    r"(?P<fence>^ {0,3}(?:`{3,}|~{3,})[^\n]*$)"
    r"|(?P<code>``[^`\n]{1,500}``|`[^`\n]{1,500}`)"
    r"|\{\{(?P<hugo>[<%][^{}]{0,2000}[>%])\}\}"
    r"|\{%-?(?P<liquid>[^{}%]{0,2000})-?%\}"
    r"|\{\{-?(?P<output>[^{}<]{1,300})\}\}"
    r"|(?P<wiki>!?\[\[[^\[\]\n]{1,300}\]\])"
    r"|(?P<style>(?<=[^\s{])\{:?[ ]?[#.][\w-][^{}\n]{0,200}\}|(?<=[^\s{])\{:[^{}\n]{0,200}\})"
    r"|==(?P<marked>(?=\S)[^=\n]{1,300})=="
    r"|[ ]?\^\[(?P<aside>[^\[\]\n]{1,1000})\]"
    r"|(?P<hidden>%%[^%]{1,2000}%%)",
    re.MULTILINE,
)
_ARGUMENT = re.compile(
    r"""(?:([\w-]{1,40})\s?=\s?)?(?:"([^"]{0,1000})"|'([^']{0,1000})'|([^\s"'=]{1,300}))"""
)
_QUOTED = re.compile(r"""["']([^"']{1,300})["']""")
_PICTURES = frozenset({"figure", "img", "image", "photo", "picture", "responsive_image", "asset_img"})
_PAGES = {
    "youtube": "https://www.youtube.com/watch?v={0}",
    "vimeo": "https://vimeo.com/{0}",
    "gist": "https://gist.github.com/{0}/{1}",
    "tweet": "https://twitter.com/{user}/status/{id}",
    "twitter": "https://twitter.com/{user}/status/{id}",
    "x": "https://twitter.com/{user}/status/{id}",
    "instagram": "https://www.instagram.com/p/{0}/",
}
_FIELD = re.compile(r"[a-z_]\w{0,40}(?:\.\w{1,40}){1,5}(?:\s?\||$)")
_ADDRESS = re.compile(r"[\w./-]{1,200}")


def expand_shortcodes(markdown: str, *, notes: bool = True) -> str:
    """Return Markdown without generator syntax; `notes`: and without what Obsidian and kramdown add."""
    return _Expander(notes=notes).run(markdown)


class _Expander:
    """Walks over a text token by token, knowing whether it stands in code."""

    def __init__(self, *, notes: bool) -> None:
        self._notes = notes
        self._fence = ""
        self._verbatim = ""  # the Liquid tag that ends a stretch in which nothing is expanded

    def run(self, markdown: str) -> str:
        """Return the expanded text."""
        return _TOKEN.sub(self._replace, markdown)

    def _replace(self, match: re.Match[str]) -> str:
        whole = match.group()
        if match["fence"] is not None:
            return self._track_fence(whole)
        if self._fence or match["code"] is not None:
            return whole
        if match["liquid"] is not None or match["hugo"] is not None:
            return self._tag(whole, match["liquid"] or match["hugo"].strip("<>%"))
        if self._verbatim or (match["output"] is None and not self._notes):
            return whole
        if match["style"] is not None or match["hidden"] is not None:
            return ""
        if match["marked"] is not None:
            return match["marked"]
        if match["aside"] is not None:
            return f" ({match['aside']})"
        if match["wiki"] is not None:
            return _wiki(whole)
        return _output(whole, match["output"].strip())

    def _track_fence(self, line: str) -> str:
        mark = line.strip()[:3]
        if not self._fence:
            self._fence = mark
        elif mark == self._fence and not line.strip().strip(mark[0]):
            self._fence = ""
        return line

    def _tag(self, whole: str, inside: str) -> str:
        name, _, rest = inside.strip().strip("/").strip().partition(" ")
        if self._verbatim:
            if inside.strip().lstrip("/ ") != self._verbatim:
                return whole
            self._verbatim = ""
            return "" if name == "endraw" else "\n```\n"
        if inside.startswith("/*"):
            return whole.replace("/*", "", 1).replace("*/", "", 1)  # Hugo's way to show a shortcode
        if name == "raw":
            self._verbatim = "endraw"
            return ""
        if name == "highlight" and not inside.lstrip().startswith("/"):
            liquid = whole.startswith("{%") and not whole.startswith("{{")
            self._verbatim = "endhighlight" if liquid else "highlight"
            return f"\n```{(rest.split() or [''])[0]}\n"
        return _shortcode(name, rest)


def _shortcode(name: str, rest: str) -> str:
    arguments = _arguments(rest)
    if name in _PICTURES:
        return _figure(arguments)
    if name in _PAGES:
        return _page(_PAGES[name], arguments)
    return ""


def _arguments(rest: str) -> dict[str, str]:
    """Return the arguments by name; those without a name by their number."""
    found: dict[str, str] = {}
    for number, match in enumerate(_ARGUMENT.finditer(rest[:2000])):
        found[match[1] or str(number)] = match[2] or match[3] or match[4] or ""
    return found


def _figure(arguments: dict[str, str]) -> str:
    source = arguments.get("src") or arguments.get("url") or arguments.get("0", "")
    if not source:
        return ""
    caption = arguments.get("caption") or arguments.get("title", "")
    alt = arguments.get("alt") or caption
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'\n\n<figure><img src="{escape(source)}" alt="{escape(alt)}">{below}</figure>\n\n'


def _page(pattern: str, arguments: dict[str, str]) -> str:
    first = arguments.get("0") or arguments.get("id", "")
    values = {"user": arguments.get("user", "i"), "id": arguments.get("id") or first}
    address = pattern.format(first, arguments.get("1", ""), **values)
    usable = first and all(_ADDRESS.fullmatch(value) for value in [first, *values.values()])
    return f"\n\n<{address}>\n\n" if usable else ""


def _output(whole: str, inside: str) -> str:
    """Return what Jekyll's commonest outputs would: quoted paths, and nothing for fields we do not have."""
    if _FIELD.match(inside):
        return ""
    quoted = _QUOTED.match(inside)
    return quoted.group(1) if quoted and ("_url" in inside or "| url" in inside) else whole


def _wiki(whole: str) -> str:
    """Return an Obsidian link as its text and an embedded picture as a Markdown one."""
    target, _, label = whole.strip("![]").partition("|")
    if whole.startswith("!"):
        return f"![](<{target.strip()}>)" if "." in target else ""
    return (label or target.rpartition("/")[2]).strip()
