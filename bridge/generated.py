"""Pages of docs/ that the code writes: written, or checked to be what it would write."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path


def write_or_check(render: Callable[[], str], module: str, arguments: Sequence[str] | None) -> int:
    """Do what a command line asks, ``--write FILE`` or ``--check FILE``; 1 when the file is stale."""
    parser = argparse.ArgumentParser(description=f"Write or check the page that {module} makes.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE")
    action.add_argument("--check", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.write:
        options.write.write_text(render(), encoding="utf-8")
        return 0
    if options.check.is_file() and options.check.read_text(encoding="utf-8") == render():
        return 0
    print(f"{options.check} is stale: run python -m {module} --write {options.check}")
    return 1
