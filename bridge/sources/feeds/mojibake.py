"""Text that was decoded wrongly before it came here (“Ã¼” for “ü”) is put right again [ftfy].

Databases and scripts do that to single entries, so it is told by each text itself, never by its feed.
"""

from ftfy import TextFixerConfig, fix_encoding

_UNEXPLAINED = TextFixerConfig(explain=False)


def mend(text: str) -> str:
    """Return the text with every garbled character as it was meant; what may have been meant stays."""
    return text if text.isascii() else fix_encoding(text, _UNEXPLAINED)
