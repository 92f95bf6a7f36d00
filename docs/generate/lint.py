"""Writes docs/lint.md from the rules, so that the page cannot go stale."""

from bridge.lint.rules import RULES, Rule, Severity

_HEAD = """\
# What `fedibridge lint` looks for

<!-- Written by `make docs`. Change bridge/lint/rules.py instead of this file. -->

`fedibridge lint URL`, `fedibridge lint FILE` (a feed, a Markdown file or a folder) and
`fedibridge lint --all` say what is wrong, why that matters to the people who follow, and how to fix it;
`--strict` ends with exit code 1 when there are errors, for the check before you deploy, and `--json` is for
scripts. The bridge looks at its sources in the same way whenever they changed, and `fedibridge status` shows
what it found. Nothing of this stops a post.
"""

_SECTIONS = {
    Severity.ERROR: ("Errors", "Followers get wrong posts, or none."),
    Severity.WARNING: ("Warnings", "Posts arrive, and look worse than they could."),
    Severity.HINT: ("Hints", "It could be better."),
}


def render() -> str:
    """Render the page."""
    return "\n".join([_HEAD, *(_section(severity) for severity in Severity)])


def _section(severity: Severity) -> str:
    title, words = _SECTIONS[severity]
    rules = [_rule(rule) for rule in RULES if rule.severity is severity]
    return "\n".join([f"## {title}", "", words, "", *rules])


def _rule(rule: Rule) -> str:
    lines = [f"### `{rule.id}`", "", f"{rule.what} {rule.why}", "", f"*Fix it:* {_literal(rule.fix)}", ""]
    lines += [f"- {name}: {_literal(fix)}" for name, fix in rule.fixes.items()]
    return "\n".join([*lines, ""] if rule.fixes else lines)


def _literal(text: str) -> str:
    """Keep tags in a sentence from being read as HTML."""
    pieces = text.split("`")
    return "`".join(piece if place % 2 else piece.replace("<", "\\<") for place, piece in enumerate(pieces))
