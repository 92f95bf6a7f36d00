"""Applies the rules, and keeps what they find small enough to store with the source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.lint.look import Look
from bridge.lint.rules import RULES, Rule, rule

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a source breaks: how often, and the first places."""

    rule: Rule
    count: int
    where: tuple[str, ...]


def examine(look: Look) -> tuple[Finding, ...]:
    """Return every rule that is broken, the gravest first."""
    found = []
    for one in RULES:
        places = list(one.check(look))
        if places:
            found.append(Finding(one, len(places), tuple(places[:EXAMPLES])))
    return tuple(sorted(found, key=lambda finding: finding.rule.severity.rank))


def store(findings: Iterable[Finding]) -> list[list[Any]]:
    """Return findings as plain data: [[rule, count, [where, …]], …]."""
    return [[finding.rule.id, finding.count, list(finding.where)] for finding in findings]


def restore(stored: Sequence[Sequence[Any]] | None) -> tuple[Finding, ...]:
    """Read findings back; rules there no longer are (after an update) are left out."""
    rules = ((rule(name), count, where) for name, count, where in stored or ())
    return tuple(Finding(known, count, tuple(where)) for known, count, where in rules if known is not None)
