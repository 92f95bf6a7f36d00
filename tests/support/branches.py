"""How many lines and branches of the package the tests reach, where BRANCHES names a folder for the figures.

By slipcover, which takes its probes out of what was reached; coverage.py's tracer, called for each line anew,
nearly doubled the time of the suite on Python 3.11, and this adds a tenth. Only pytest's own processes are
measured: what `fedibridge` does in a process of its own counts for nothing.
"""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

FLOOR = 90.5
"""Percent of a whole run, which reached 91.1 when this was written; it only goes up.

What threads happen to run into differs by a tenth from run to run.
"""

FOLDER = os.environ.get("BRANCHES")
_measuring: list[Any] = []


def start() -> None:
    """Begin to measure; what was imported before is not seen, so importing this does it."""
    if FOLDER and not _measuring:
        import slipcover

        _measuring.append(slipcover.Slipcover(branch=True, source=["bridge"]))
        slipcover.ImportManager(_measuring[0], slipcover.FileMatcher([ROOT / "bridge"])).__enter__()


def finish(session: pytest.Session) -> str:
    """Write down what this process reached; return what all reached, in the process that leads.

    Too little fails the run, if it had all it needs: a machine without PostgreSQL cannot reach as much.
    """
    if not FOLDER or not _measuring:
        return ""
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(_measuring[0].get_coverage()))
    if hasattr(session.config, "workerinput"):
        return ""
    reached = _percent(_parts(folder))
    if reached < FLOOR and os.environ.get("REQUIRE_ALL"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    return f"reached {reached:.1f} % of lines and branches (the least is {FLOOR} %)"


def _parts(folder: Path) -> Iterator[Any]:
    for path in folder.glob("*.json"):
        yield json.loads(path.read_text())
        path.unlink()


def _percent(parts: Iterator[Any]) -> float:
    import slipcover

    whole = next(parts)
    for part in parts:
        slipcover.merge_coverage(whole, part)
    return float(whole["summary"]["percent_covered"])


start()
