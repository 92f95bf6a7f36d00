"""What a benchmark found: a table for the terminal and for docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """One result. `goal` says in words what was hoped for; `notes` what a reader has to know to judge it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goal: str = ""
    notes: Sequence[str] = ()


def show(console: Console, table: Table) -> None:
    """Print a table."""
    drawn = RichTable(title=table.title, title_justify="left", title_style="bold")
    for place, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if place else "left")
    for row in table.rows:
        drawn.add_row(*row)
    console.print(drawn)
    if table.goal:
        console.print(f"Goal: {table.goal}")
    for note in table.notes:
        console.print(f"[dim]{note}[/dim]")
    console.print()


def to_markdown(table: Table) -> str:
    """Write a table as a section of docs/benchmarks.md."""
    lines = [f"## {table.title}", ""]
    if table.goal:
        lines += [f"Goal: {table.goal}", ""]
    lines += [_line(table.columns), _line(["---", *("---:" for _ in table.columns[1:])])]
    lines += [_line(row) for row in table.rows]
    for note in table.notes:
        lines += ["", note]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """Write a median with its range: ``712 (698–730)``."""
    middle = form.format(median(values))
    return middle if len(values) < 2 else f"{middle} ({form.format(min(values))}–{form.format(max(values))})"
