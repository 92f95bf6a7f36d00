"""Feeds: RSS, Atom and JSON Feed, as they come, become entries."""
