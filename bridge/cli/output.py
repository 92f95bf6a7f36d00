"""How commands speak: tables and colours for people, JSON for scripts, readable without either."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text


def console() -> Console:
    """Return where people read; no colour when it is no terminal or NO_COLOR is set."""
    return Console(highlight=False, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """Print a line of plain text: nothing in it is markup, whoever wrote it."""
    console().print(Text(text, style=style))


def print_json(data: Any) -> None:
    """Print data for scripts, one document."""
    sys.stdout.write(orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows as a table, or the sentence that says there are none."""
    if not rows:
        say(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    screen = Console(highlight=False)
    # Piped into a file or another program: lines as long as they need to be.
    (screen if screen.is_terminal else Console(highlight=False, width=200)).print(table)


def ago(moment: datetime | None, now: datetime) -> str:
    """Say how long something is past, or still ahead."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if size >= length:
            text = f"{size / length:.0f} {unit}"
            break
    else:
        text = f"{size:.0f} s"
    return f"{text} ago" if seconds >= 0 else f"in {text}"
