"""`python -m benchmarks [names…]`: measure, print, and write docs/benchmarks.md."""

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module

from rich.console import Console

from benchmarks import machine
from benchmarks.processes import ROOT
from benchmarks.tables import Table, show, to_markdown

NAMES = (
    "fanout",
    "queue",
    "serving",
    "inbox",
    "memory",
    "polling",
    "reading",
    "latency",
    "replay",
    "hanging",
    "year",
    "flood",
)
PAGE = ROOT / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Written by `python -m benchmarks` on {date:%d %B %Y}; do not edit. Each figure was measured in that one run,
beside an *anchor*: the same work done by the barest thing that can do it, on the same machine in the same
minute. Figures change with the machine; the ratios should not.

{machine}

To repeat it: `make bench`, or `python -m benchmarks fanout serving` for some of it; `--quick` only shows
that the benchmarks themselves work. Serving needs `nginx` and `wrk`, the queue and latency tables a
PostgreSQL named by `FEDIBRIDGE_TEST_POSTGRES`; what is missing is left out and said so.

"""


def main() -> int:
    """Run the benchmarks of a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work at all?")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console, tables = Console(), []
    for name in given.names or NAMES:
        measure: Callable[..., list[Table]] = import_module(f"benchmarks.{name}").measure
        for table in measure(quick=given.quick):
            show(console, table)
            tables.append(table)
    if not given.quick and not given.names:
        write_page(tables, datetime.now(UTC))
        console.print(f"Written to {PAGE.relative_to(ROOT)}")
    return 0


def write_page(tables: list[Table], date: datetime) -> None:
    """Write docs/benchmarks.md."""
    described = "\n".join(f"- {what}: {value}" for what, value in machine.describe())
    head = _HEAD.format(date=date, machine=described)
    PAGE.write_text(head + "\n".join(to_markdown(table) for table in tables), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
