"""Where tests find things: this checkout, the files kept for tests, and archives beside the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
SHARED = ROOT.parent / "shared"
"""Real feeds and sites, too large for the repository; a test that needs one is skipped without it."""
