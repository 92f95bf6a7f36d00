"""What a configuration written in Python says, as far as it can be read without running it."""

import ast
from collections.abc import Collection, Mapping
from typing import Any


def literals(source: str, watched: Collection[str] = ()) -> dict[str, Any]:
    """Return what a Python file assigns to its global names, `None` for what is no literal.

    So is a `watched` name that more than a plain assignment touches, or that stands in a file we cannot read.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {name: None for name in watched if name in source}
    found: dict[str, Any] = {}
    for node in body:
        _assign(node, found, watched)
    return found


def _assign(node: ast.stmt, found: dict[str, Any], watched: Collection[str]) -> None:
    """Note what one statement assigns; what does more than that makes what it names unreadable."""
    if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
        for target in node.targets:
            assert isinstance(target, ast.Name)
            found[target.id] = _literal(node.value, found)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        if node.value is not None:
            found[node.target.id] = _literal(node.value, found)
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        found[node.target.id] = _literal(ast.BinOp(ast.Name(node.target.id), node.op, node.value), found)
    elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import):
        return
    else:  # a condition, a loop, `update()`, an item
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and inner.id in watched:
                found[inner.id] = None


def _literal(node: ast.expr, names: Mapping[str, Any]) -> object:
    """Return the value of a literal, of `dict(…)`, `list(…)` and sums of such; `None` for all else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.BitOr):
        return _joined(_literal(node.left, names), _literal(node.right, names))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node.func.id, node, names)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


class Made(dict[str, Any]):
    """A table that is no plain literal: what is public was read before such were."""


def _joined(left: object, right: object) -> object:
    if isinstance(left, dict) and isinstance(right, dict):
        return Made({**left, **right})
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, list | tuple | set) and isinstance(right, list | tuple | set):
        return [*left, *right]
    return None


def _called(name: str, node: ast.Call, names: Mapping[str, Any]) -> object:
    given = [_literal(one, names) for one in node.args]
    if name == "dict" and all(keyword.arg for keyword in node.keywords) and len(given) < 2:
        values = {str(keyword.arg): _literal(keyword.value, names) for keyword in node.keywords}
        first = given[0] if given else {}
        try:
            return Made({**dict(first), **values}) if isinstance(first, dict | list | tuple) else None
        except (TypeError, ValueError):
            return None
    if name in ("list", "tuple", "set", "frozenset") and not node.keywords and len(given) < 2:
        first = given[0] if given else []
        return list(first) if isinstance(first, list | tuple | set) else None
    return None
