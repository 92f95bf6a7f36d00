"""Feed lint: what is wrong with a source, why it matters to followers, and how to fix it. Pure."""

from bridge.lint.findings import Finding, examine, restore, store
from bridge.lint.look import Look
from bridge.lint.rules import RULES, Rule, Severity, rule

__all__ = ["RULES", "Finding", "Look", "Rule", "Severity", "examine", "restore", "rule", "store"]
