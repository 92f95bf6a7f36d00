"""Comments of templates are no text: Liquid's, Jinja's, Nunjucks', Hugo's, kramdown's, MDX's and HTML's."""

import re

from bridge.errors import SourceError

# Each opening with its own end. Code is left alone, and so is what stands between `{% raw %}` and its end.
_OPENINGS = re.compile(
    r"(?P<fence>^ {0,3}(?:`{3,}|~{3,})[^\n]*$)"
    r"|(?P<code>``[^`\n]{1,500}``|`[^`\n]{1,500}`)"
    r"|(?P<raw>\{%-?\s{0,9}raw\s{0,9}-?%\})"
    r"|(?P<liquid>\{%[-+]?\s{0,9}comment\b[^%{}]{0,200}%\})"
    r"|(?P<jinja>\{#(?=[\s+-])|\{#(?=[^{}\n]{0,500}#\}))"
    r"|(?P<hugo>\{\{-?\s{0,9}/\*)"
    r"|(?P<short>\{\{[<%]\s{0,9}comment\b[^{}]{0,200}[>%]\}\})"
    r"|(?P<kramdown>\{::comment[^{}\n]{0,100}\})"
    r"|(?P<mdx>\{/\*)"
    r"|(?P<html><!--(?!-?>|\s{0,5}(?:more|excerpt|truncate)\s{0,5}-->))",
    re.MULTILINE | re.IGNORECASE,
)
_ENDS = {
    "raw": re.compile(r"\{%-?\s{0,9}endraw\s{0,9}-?%\}", re.IGNORECASE),
    "liquid": re.compile(r"\{%[-+]?\s{0,9}endcomment\s{0,9}[-+]?%\}", re.IGNORECASE),
    "jinja": re.compile(r"#\}"),
    "hugo": re.compile(r"\*/\s{0,9}-?\}\}"),
    "short": re.compile(r"\{\{[<%]\s{0,9}/\s{0,9}comment\s{0,9}[>%]\}\}", re.IGNORECASE),
    "kramdown": re.compile(r"\{:/(?:comment)?\}", re.IGNORECASE),
    "mdx": re.compile(r"\*/\}"),
    "html": re.compile(r"--!?>"),
}


def without_comments(text: str, where: str, line: int = 1) -> str:
    """Return Markdown without comments, `line` being its first. Raises `SourceError` for one without end."""
    kept: list[str] = []
    fence, done, at = "", 0, 0
    while match := _OPENINGS.search(text, at):
        at = match.end()
        kind = match.lastgroup or ""
        if kind == "fence":
            fence = _fence_after(fence, match.group())
        elif kind != "code" and not fence:
            end = _ENDS[kind].search(text, at)
            if end is None and kind == "raw":
                break
            if end is None:
                number = line + text.count("\n", 0, match.start())
                raise SourceError(
                    f"{where}:{number}: a comment begins here (“{match.group()[:20]}”) and has no end, so "
                    "the file is kept back. Close it, or put it into backticks if it is text."
                )
            at = end.end()
            if kind != "raw":
                kept.append(text[done : match.start()])
                done = at
    return "".join((*kept, text[done:]))


def _fence_after(fence: str, line: str) -> str:
    """Return the mark of the code block in which the next line stands, if in any."""
    mark = line.strip()[:3]
    if not fence:
        return mark
    return "" if mark == fence and not line.strip().strip(mark[0]) else fence
