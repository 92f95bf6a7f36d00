"""Markdown becomes HTML: read as CommonMark with what GitHub and generators add, or by Python-Markdown."""

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.gfm import gfm_plugin
from mdit_py_plugins.subscript import sub_plugin
from mdit_py_plugins.superscript import superscript_plugin

from bridge.errors import SourceError
from bridge.markup.text import one_line
from bridge.sources.folders.dialects import in_one_dialect
from bridge.sources.folders.generator import COMMONMARK, Dialect
from bridge.sources.folders.pythonmarkdown import render_python
from bridge.sources.folders.shortcodes import expand_shortcodes

MAX_COST = 200_000_000  # signs times characters; about four seconds at worst


def render(text: str, path: str, dialect: Dialect = COMMONMARK) -> str:
    """Return Markdown as HTML, raw HTML included: sanitising comes later, for every source alike.

    Raises `SourceError` naming `path` for text that the parser cannot take.
    """
    try:
        if dialect.extensions is not None:
            return render_python(expand_shortcodes(text, notes=False), dialect.extensions)
        return str(_parser().render(expand_shortcodes(in_one_dialect(text))))
    except Exception as error:  # RecursionError on deep nesting; the library promises nothing
        reason = one_line(str(error), 100) or type(error).__name__
        raise SourceError(
            f"{path}: the Markdown cannot be rendered ({reason}). Simplify it, or put code in fences."
        ) from error


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True})
    for plugin in (gfm_plugin, deflist_plugin, sub_plugin, superscript_plugin):
        parser.use(plugin)
    parser.options["strikethrough_single_tilde"] = False  # H~2~O
    parser.core.ruler.before("inline", "bounded", _refuse_what_takes_minutes)
    return parser


def _refuse_what_takes_minutes(state: StateCore) -> None:
    """Refuse a paragraph in which the parser would look back or ahead for every colon and bracket in vain."""
    for token in state.tokens:
        signs = sum(token.content.count(sign) for sign in ":[") if token.type == "inline" else 0
        if signs * len(token.content) > MAX_COST:
            raise ValueError("a paragraph is far too long for its brackets and colons")
