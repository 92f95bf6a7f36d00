"""The command line: what owners type, and what they read back [the only home of click and rich]."""

from bridge.cli.main import main

__all__ = ["main"]
