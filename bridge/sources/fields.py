"""The small fields that every source has, read from what people write there: dates, languages, tags."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from bridge.markup.text import one_line, plain_text
from bridge.moments import read_iso, read_pattern, read_rfc822
from bridge.sources import languages

MAX_TAGS = 20
_FIRST_YEAR = 1990
_LAST_DAY = datetime(9999, 12, 30, tzinfo=UTC)  # in every zone a day that there is
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}")
_CHARSET = re.compile(r"[.@][A-Za-z0-9_.@-]{1,20}$")  # of a POSIX locale
_FORMATS = (
    "%Y-%m-%d %H:%M:%S %z",
    "%Y-%m-%d %H:%M %z",
    "%Y-%m-%d %H:%M:%S %Z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%B %d, %Y %I:%M %p",
    "%B %d, %Y %H:%M",
    "%B %d, %Y",
    "%b %d, %Y",
    "%B %d %Y",
    "%b %d %Y",
    "%d %B %Y %H:%M",
    "%d %B %Y",
    "%d %b %Y",
    "%A, %B %d, %Y",
    "%a, %d %b %Y",
    "%a %b %d %H:%M:%S %Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y",
)


def parse_date(text: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the moment that `text` names, in UTC; `None` when nobody could say which.

    Takes RFC 3339, RFC 822 and a few of the ways people write dates; without an offset it is in `zone`.
    """
    text = " ".join(text.split())[:64].replace(" UTC+", " +").replace(" UTC-", " -")
    return next((found for found in _readings(text, zone) if found), None)


def _readings(text: str, zone: tzinfo) -> Iterator[datetime | None]:
    yield read_iso(text, zone)
    yield read_rfc822(text, zone)
    for pattern in _FORMATS:
        yield read_pattern(text, pattern, zone)


def plausible(moment: datetime | None, now: datetime) -> datetime | None:
    """Return `moment` unless it lies before the web or more than ten years ahead: then nothing is known."""
    if is_before_the_web(moment) or (moment and moment > now + timedelta(days=3653)):
        return None
    return moment


def is_before_the_web(moment: datetime | None) -> bool:
    """Say whether a date is what programs write for none: 1970, the year 1."""
    return moment is not None and moment.year < _FIRST_YEAR


def is_unknown(moment: datetime | None, now: datetime) -> bool:
    """Say whether a date that is there may lie ahead for all we know: nobody can read it, or believe it."""
    return plausible(moment, now) is None and not is_before_the_web(moment)


def release(moment: datetime | None) -> datetime | None:
    """Return when something is published, however far ahead: people write 9999 for never."""
    return None if moment is None or is_before_the_web(moment) else min(moment, _LAST_DAY)


def language_tag(text: str | None) -> str | None:
    """Return a BCP 47 tag in its usual spelling (``pt-BR``), or `None` where that names no language.

    Takes the names of locales too (``zh_CN.UTF-8``), and three letters where there are two (``deu``).
    """
    tag = _CHARSET.sub("", (text or "").strip()).replace("_", "-")
    if not _LANGUAGE.fullmatch(tag):
        return None
    first, *rest = tag.split("-")
    language = languages.SHORT.get(first.lower(), first.lower())
    return "-".join([language, *map(_subtag, rest)]) if language in languages.KNOWN else None


def own_language(said: object, otherwise: str | None = None) -> str | None:
    """Return the language that an entry says of itself, and `otherwise` where it says nothing.

    Empty where we do not understand it: none is claimed then, for nobody else knows better.
    """
    if said is None or said == "":
        return otherwise
    return (language_tag(said) if isinstance(said, str) else None) or ""


def _subtag(part: str) -> str:
    if len(part) == 2:
        return part.upper()
    return part.title() if len(part) == 4 and part.isalpha() else part.lower()


def tag_list(names: Iterable[str]) -> tuple[str, ...]:
    """Return up to 20 tags as plain text, each once, in order; URLs that pose as tags are left out.

    Several in one, between commas, are as many.
    """
    found: dict[str, str] = {}
    for name in (part for one in names for part in one.split(",")):
        tag = one_line(plain_text(name) if "<" in name or "&" in name else name, 100).lstrip("#").strip()
        if tag and "://" not in tag:
            found.setdefault(tag.casefold(), tag)
    return tuple(found.values())[:MAX_TAGS]
