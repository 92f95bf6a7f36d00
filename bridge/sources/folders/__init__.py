"""Folders of Markdown: walked, read as their generator reads them, and become entries."""
