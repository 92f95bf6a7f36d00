"""fedibridge: turns a website people already have into an actor anyone on the fediverse can follow."""

__version__ = "0.2.0"

PRODUCT = "fedibridge"
"""Our name, and what owners type: the script of pyproject.toml."""
