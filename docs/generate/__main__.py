"""`python -m docs.generate` writes the pages of docs/ that the code knows; `--check` compares them."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from docs.generate import configuration, lint

FOLDER = Path(__file__).parent.parent
PAGES: Mapping[str, Callable[[], str]] = {"configuration.md": configuration.render, "lint.md": lint.render}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every page, or check that each is what would be written; 1 when one is not."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a page is stale")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pages are (default: docs/)")
    options = parser.parse_args(arguments)
    if not options.check:
        for name, render in PAGES.items():
            (options.folder / name).write_text(render(), encoding="utf-8")
        return 0
    stale = [name for name, render in PAGES.items() if not _says(options.folder / name, render())]
    for name in stale:
        print(f"{options.folder / name} is stale: run `make docs`")
    return 1 if stale else 0


def _says(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    raise SystemExit(main())
