"""Web addresses in plain text: where each begins and where it ends. Pure."""

import re
from collections.abc import Callable
from html import escape

from bridge.addresses import published

# What ends a sentence in Chinese and Japanese, and their brackets, stand in no address that anybody copies.
_ADDRESS = re.compile(r"https?://[^\s<>\"。、！？，；：「」『』（）【】《》〈〉]{1,2000}", re.IGNORECASE)
_AFTERWARDS = frozenset(".,;:!?…'*_~’‘”“»›")  # punctuation of the text around it
_OPENING = {")": "(", "]": "[", "}": "{"}


def linked(text: str, link: Callable[[str], str]) -> str:
    """Return plain text as HTML, each web address in it as what `link` makes of it."""
    html, done = "", 0
    for found in _ADDRESS.finditer(text):
        address = _without_afterwards(found.group())
        if not published(address):
            continue
        html += escape(text[done : found.start()], quote=False) + link(address)
        done = found.start() + len(address)
    return html + escape(text[done:], quote=False)


def _without_afterwards(address: str) -> str:
    """Drop what belongs to the text: punctuation, and brackets that were opened before the address."""
    end = len(address)
    opened = {closing: address.count(opening) for closing, opening in _OPENING.items()}
    closed = {closing: address.count(closing) for closing in _OPENING}
    while end:
        last = address[end - 1]
        if last in _OPENING and closed[last] > opened[last]:
            closed[last] -= 1
        elif last not in _AFTERWARDS:
            break
        end -= 1
    return address[:end]
