"""Writes the pages of docs/ that the code knows best: a part of the checkout, not of the wheel."""
