"""The address of a Markdown file's page: what its front matter says, else the site's URL template."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from string import Formatter
from urllib.parse import quote

from bridge.markup.sanitize import absolute_url
from bridge.markup.text import plain_text
from bridge.moments import day
from bridge.sources.folders.generator import Dialect

_DATED = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[-_ ](.+)")
# Eleventy and Jekyll permalinks may be templates themselves; we cannot run those.
_COMPUTED = re.compile(r"\{|/:[a-z_]")


def expand(template: str, values: Mapping[str, str]) -> str | None:
    """Return the address with the fields filled in and percent-encoded; `None` when one of them is empty."""
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    if not all(values.get(name) for name in names):
        return None
    return template.format_map({name: quote(values[name], safe="/-._~", errors="replace") for name in names})


def dated_name(name: str) -> tuple[str, date | None]:
    """Split Jekyll's ``2024-05-01-slug`` into the slug and its date; other names are their own slug."""
    match = _DATED.fullmatch(name)
    if not match:
        return name, None
    found = day(int(match[1]), int(match[2]), int(match[3]))
    return (match[4], found) if found else (name, None)


def slugify(title: str) -> str:
    """Return a title as generators make it part of an address: lower case, letters and digits, dashes."""
    words = re.split(
        r"[^\w]+", unicodedata.normalize("NFKC", title).lower().replace("'", "").replace("’", "")
    )
    return "-".join(word for word in words if word.strip("_"))[:200]


def slug_of(dialect: Dialect, title: str, stem: str, name: str) -> str:
    """Return what a generator calls a page that names no slug itself.

    `stem` is the name of its file, `name` that without a date; all generators but Pelican go by one of them.
    """
    if dialect.generator == "pelican":
        source = stem if dialect.slug_source == "basename" else title
        return pelican_slug(source, unicode=dialect.unicode_slugs, keeps_case=dialect.keeps_case)
    if dialect.generator == "nikola":
        return _hyphenated(_in_ascii(stem), keeps="+").lower()
    return stem if dialect.generator == "mkdocs" else name


def title_slug(dialect: Dialect, title: str) -> str:
    """Return a title as part of an address, by the generator's rule where it has one."""
    if dialect.generator == "pelican":
        return pelican_slug(title, unicode=dialect.unicode_slugs, keeps_case=dialect.keeps_case)
    return slugify(title)


def pelican_slug(title: str, *, unicode: bool = False, keeps_case: bool = False) -> str:
    """Return a title as Pelican's `slugify` does by default; empty if it has letters we cannot transliterate.

    Pelican leaves that to Unidecode, which has a table for every script; ours has those of Europe. A wrong
    address would be worse than none.
    """
    text = unicodedata.normalize("NFKC", plain_text(title))
    slug = _hyphenated(text if unicode else _in_ascii(text))
    return slug if keeps_case else slug.lower()


def _hyphenated(text: str, keeps: str = "") -> str:
    """Drop what is no letter, digit or underscore, and put a hyphen where there was room between words."""
    kept = "".join(sign for sign in text if sign in "-_" + keeps or sign.isalnum() or sign.isspace())
    return re.sub(r"[-\s]+", "-", kept.strip())


def _in_ascii(text: str) -> str:
    """Return a text in ASCII; an empty one if a letter has no place in it."""
    found = [_ascii_of(sign) for sign in unicodedata.normalize("NFC", text)]
    return "" if None in found else "".join(one or "" for one in found)


def _ascii_of(sign: str) -> str | None:
    if sign.isascii() or sign in _LETTERS:
        return _LETTERS.get(sign, sign)
    bare = [one for one in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(one)]
    if bare == [sign]:
        return None if sign.isalnum() else ""
    found = [_ascii_of(one) for one in bare]
    return None if None in found else "".join(one or "" for one in found)


def _letters() -> dict[str, str]:
    """Return how letters that are none of ASCII's with a mark are written in it, capitals too."""
    small = dict(pair.split("=") for pair in _ROMANISED.split())
    signs = {
        "ь": "",
        "ъ": "",
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "―": "-",
        "ß": "ss",
        "ẞ": "SS",
    }
    return (
        {one.upper(): latin.capitalize() for one, latin in small.items()} | small | signs | {"Ь": "", "Ъ": ""}
    )


_ROMANISED = (
    "æ=ae ð=d ø=o þ=th đ=d ħ=h ı=i ĸ=k ł=l ŋ=ng œ=oe ŧ=t ə=e "
    "α=a β=b γ=g δ=d ε=e ζ=z η=e θ=th ι=i κ=k λ=l μ=m ν=n ξ=x ο=o π=p ρ=r ς=s σ=s τ=t υ=u φ=ph χ=kh ψ=ps ω=o "
    "а=a б=b в=v г=g д=d е=e ж=zh з=z и=i й=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch "
    "ш=sh щ=shch ы=y э=e ю=iu я=ia ё=io ђ=dj ѓ=gj є=ie ѕ=dz і=i ї=yi ј=j љ=lj њ=nj ћ=tsh ќ=kj ў=u џ=dzh ґ=g"
)
_LETTERS = _letters()


def join_site(site_url: str, path: str) -> str | None:
    """Return a path of the site, or a full address, as an absolute URL; `None` when it is neither."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}:", path) or path.startswith("//"):
        return absolute_url(path, site_url)
    if not path or _COMPUTED.search(path) or any(part == ".." for part in path.split("/")):
        return None
    return absolute_url(
        site_url.rstrip("/") + "/" + quote(path.lstrip("/"), safe="/-._~%?=&#!$'()*+,;:@", errors="replace")
    )
