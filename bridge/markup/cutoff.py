"""Where a machine cut a text off: dots, arrows, and the words that invite to read on. Pure."""

import re

_DOTS = r"(?:…|\.{3})"
_BRACKETED = rf"(?:\[{_DOTS}\]|\({_DOTS}\))"
_SPACE = r"(?:\s|&nbsp;){0,9}"
# An invitation by itself, at the very end of a text: two words at least, or one that means nothing else.
_INVITATION = "|".join(
    (
        *("(?:read|continue|keep) (?:more|on|reading)", "weiterlesen", "mehr lesen", "lire la suite"),
        *("en savoir plus", "leer m[áa]s", "seguir leyendo", "le(?:r|ia) mais", "continue (?:a )?lendo"),
        *("leggi tutto", "continua a leggere", "lees (?:meer|verder)", "läs mer", "les mer", "læs mere"),
        *("lue lisää", "číst (?:dál|více)", "čítať ďalej", "czytaj (?:więcej|dalej)", "devamını oku"),
        *("читать (?:далее|дальше)", "続きを読む", "阅读全文", "阅读更多", "閱讀全文", "继续阅读"),
    )
)
# The words that lead to the rest after dots, in a text that lost its links.
_VERBS = (
    "read|continue reading|keep reading|view|more|weiterlesen|mehr|lire|la suite|voir|leer|seguir|sigue|ler"
    "|leia|leggi|continua|lees|verder|číst|čítať|czytaj|więcej|читать|далее|les|läs|læs|lue|devam|続き|阅读|閱讀|继续"
)
_TAIL = 120  # characters in which such an end is looked for
_CLOSERS = r"[\s\]»›→>.!]{0,10}"

_MARK = re.compile(rf"{_SPACE}(?:{_BRACKETED}|{_DOTS})\s{{0,9}}$")
_IN_HTML = re.compile(rf"{_SPACE}(?:{_BRACKETED}|\s{_DOTS})(?=(?:</\w+>)*$)")
_ASKED_ON = rf"\b(?:{_INVITATION})\b(?:\s{{0,3}}[\"“„«:].{{1,80}})?"  # often with the title behind it
_END = re.compile(rf"(?:{_DOTS}\W{{0,3}}|{_BRACKETED}|{_ASKED_ON}){_CLOSERS}$|(?:→|»|>>)\s*$", re.IGNORECASE)
_LEADS_ON = re.compile(
    rf"\s{{0,9}}(?:{_BRACKETED}|{_DOTS})\s{{0,3}}(?:[^.!?…]{{0,60}}(?:→|»|›|>>)"
    rf"|\W{{0,3}}(?:{_VERBS})\b(?:[^.!?…]{{0,40}}|[^.!?…]{{0,20}}[\"“«].{{1,200}}))$",
    re.IGNORECASE,
)


def has_mark(text: str) -> bool:
    """Say whether plain text ends in the dots of whoever cut it."""
    return _MARK.search(text) is not None


def without_mark(text: str) -> str:
    """Return plain text without such dots."""
    return _MARK.sub("", text)


def is_teaser(text: str) -> bool:
    """Say whether plain text ends as a beginning does: dots, an arrow, “read more” in many languages."""
    end = text[-_TAIL:]
    found = _END.search(end)
    return found is not None and not (found.group().strip() == "»" and "«" in end)  # a quotation's, no arrow


def plainly_marked(html: str) -> str:
    """Return note HTML whose “[…]”, “(...)” or “ ...” at the end is one “…” behind the last word."""
    return _IN_HTML.sub("…", html)


def without_invitation(text: str) -> str:
    """Return plain text that ends in “…” rather than in dots and the words that led to the rest."""
    return _LEADS_ON.sub("…", text.rstrip())
