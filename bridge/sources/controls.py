"""What the owner says about one post in particular: in its front matter, or by its categories.

In front matter, one table, or single fields where the table would be one field long:

    fediverse:                       fediverse: false          (or `federate: false`)
      publish: true                  fediverse: unlisted
      warning: Spoilers              cw: Spoilers              (or `content_warning:`)
      visibility: unlisted           fediverse_visibility: unlisted
      text: My own words.            fediverse_text: My own words.
      images: false                  fediverse_images: false
      article: true                  fediverse_article: true
      pinned: true                   fediverse_pinned: true

As categories, which then are no hashtags: `fediverse:false` (or `nofediverse`), `cw:Spoilers`,
`fediverse:unlisted`, `fediverse:noimage`, `fediverse:article`, `fediverse:pinned`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.markup.text import one_line, plain_text, strip_controls
from bridge.model import Controls, Visibility
from bridge.sources.fields import tag_list
from bridge.sources.folders import frontmatter
from bridge.sources.folders.frontmatter import Fields

MAX_WARNING = 500
MAX_TEXT = 5000

_WARNINGS = ("warning", "cw", "content_warning", "summary")
_KNOWN = ("publish", "warning", "visibility", "text", "images", "article", "pinned")
_WHOLE = ("fediverse", "federate")
# Under `fediverse` themes keep whose post it is, and where its comments are.
_THEIRS = frozenset(
    {"creator", "author", "handle", "account", "user", "username", "host", "instance", "server", "domain"}
    | {"id", "url", "link", "toot", "status_id", "post_id", "comments"}
)
_WARNING_FIELDS = (
    *("cw", "content_warning", "contentwarning", "content_warnings", "contentwarnings", "trigger_warning"),
    *("triggerwarning", "trigger_warnings", "spoiler_text", "spoiler", "sensitive", "nsfw"),
)
_FLAT = {
    **{f"fediverse_{name}": name for name in (*_KNOWN, "cw", "content_warning")},
    **dict.fromkeys(reversed(_WARNING_FIELDS), "warning"),  # the last that says something counts
}
_YES, _NO = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0", "none", "never"})
_ELSEWHERE = re.compile(
    r"\Ahttps?://|\A@?[\w.-]{1,64}@[\w.-]{1,253}\Z"
)  # themes keep an author's handle or thread here


@dataclass(frozen=True, slots=True)
class Told:
    """What was said, what else is left, and what could not be understood, as sentences for the owner.

    `in_doubt`: something of that may mean that the post should stay, or be covered.
    """

    controls: Controls = field(default_factory=Controls)
    tags: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    in_doubt: bool = False


# ── front matter ─────────────────────────────────────────────────────────────────────────────────


def read_fields(fields: Fields, told: Told) -> Told:
    """Return what front matter says, on top of what the categories already `told`."""
    reader = _FieldReader(told.controls)
    for name, value in fields.items():
        if name in _WHOLE:
            reader.read_whole(name, value)
        elif name.startswith("fediverse_") and name not in _FLAT:
            reader.read_unknown(name, name.removeprefix("fediverse_"), value)
    for name, meaning in _FLAT.items():
        if name in fields:
            reader.read(name, meaning, fields[name])
    complaints = (*told.complaints, *reader.complaints)
    return Told(reader.controls, told.tags, complaints, told.in_doubt or reader.in_doubt)


class _FieldReader:
    """Reads one field after the other; what it does not understand is a complaint, never an exception."""

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self.complaints: list[str] = []
        self.in_doubt = False

    def read_whole(self, name: str, value: object) -> None:
        """Read `fediverse:` itself: a table, yes or no, or a visibility."""
        if isinstance(value, Mapping):
            for key, each in value.items():
                self.read(f"{name}.{key}", "warning" if key in _WARNINGS else str(key), each)
        elif _word(value) in tuple(Visibility):
            self.read(name, "visibility", value)
        elif _ELSEWHERE.match(_word(value)):
            self._complain(f"{name} “{_shown(value)}” says nothing about this post; it takes true or false.")
        else:
            self.read(name, "publish", value)

    def read(self, name: str, meaning: str, value: object) -> None:
        """Read the field called `name`, which means one of the fields of `Controls`."""
        if meaning not in _KNOWN:
            self.read_unknown(name, meaning, value)
        elif meaning == "visibility":
            self._read_visibility(name, value)
        elif meaning in ("warning", "text"):
            self._read_text(name, meaning, value)
        elif not _is_empty(value):
            self._read_flag(name, meaning, value)

    def read_unknown(self, name: str, meaning: str, value: object) -> None:
        """Keep a post back over a name that may be a slip of the pen, and not over what themes keep here."""
        if meaning in _THEIRS or _ELSEWHERE.match(_word(value)):
            self._complain(f"{name} says nothing about this post; fediverse takes {', '.join(_KNOWN)}.")
            return
        self.in_doubt = True
        self._complain(f"{name} is unknown; fediverse takes {', '.join(_KNOWN)}. {_STAYS}")

    def _read_flag(self, name: str, meaning: str, value: object) -> None:
        said = _yes_or_no(value)
        if said is not None:
            self._set(meaning, said)
            return
        self._complain(f"{name} “{_shown(value)}” is neither true nor false.{self._when_in_doubt(meaning)}")

    def _when_in_doubt(self, meaning: str) -> str:
        """Keep a post back whose permission cannot be read: what is out cannot be taken back."""
        if meaning != "publish":
            return ""
        self._set("publish", False)
        self.in_doubt = True
        return " The post stays off the fediverse until it is one of them."

    def _read_visibility(self, name: str, value: object) -> None:
        if _word(value) in tuple(Visibility):
            self._set("visibility", Visibility(_word(value)))
        elif not _is_empty(value):
            self.in_doubt = True
            self._set("publish", False)  # `private`, `direct`: whatever was meant, it was not this
            self._complain(
                f"{name} “{_shown(value)}” is neither public nor unlisted, which is all that a post can be. "
                "The post stays off the fediverse until it is one of them."
            )

    def _read_text(self, name: str, meaning: str, value: object) -> None:
        said = _yes_or_no(value)
        written = "" if said is not None and meaning == "warning" else _text(value, lines=meaning == "text")
        if written:
            self._set(meaning, written)
        elif not _is_empty(value) and not (meaning == "warning" and said is False):
            self.in_doubt = self.in_doubt or meaning == "warning"
            stays = f" {_STAYS}" if meaning == "warning" else ""
            self._complain(
                f"{name} “{_shown(value)}” is not text. Write the words themselves, in quotes.{stays}"
            )

    def _set(self, name: str, value: Any) -> None:
        self.controls = replace(self.controls, **{name: value})

    def _complain(self, what: str) -> None:
        self.complaints.append(what)


_STAYS = "The post stays off the fediverse until then; one that is public stays as it is."


def _word(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return one_line(str(value), 40)


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and frontmatter.text({"value": value}, "value") == "")


def _yes_or_no(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    word = str(value) if isinstance(value, int) else _word(value)
    return True if word in _YES else False if word in _NO else None


def _text(value: object, *, lines: bool) -> str:
    """Return a text; `true` and `false` are answers to another question."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if _word(value) in ("true", "false"):
        return ""
    written = strip_controls(str(value)).strip()
    return written[:MAX_TEXT] if lines else one_line(written, MAX_WARNING)


# ── categories ───────────────────────────────────────────────────────────────────────────────────

_CONTROL = re.compile(
    r"#?(fediverse|cw|content[ _-]?warning) ?[:=] ?(\S.{0,1000})", re.IGNORECASE | re.DOTALL
)
_BY_CATEGORY: Mapping[str, tuple[str, Any]] = {
    **dict.fromkeys(_NO, ("publish", False)),
    **dict.fromkeys(_YES, ("publish", True)),
    "public": ("visibility", Visibility.PUBLIC),
    "unlisted": ("visibility", Visibility.UNLISTED),
    "article": ("article", True),
    "note": ("article", False),
    "pinned": ("pinned", True),
    **dict.fromkeys(("noimage", "noimages"), ("images", False)),
}
_REFUSALS = frozenset({"nofediverse", "nofedi"})
_WITHOUT_WORDS = frozenset({"cw", "contentwarning", "fediverse:"})


def read_tags(names: Iterable[str]) -> Told:
    """Tell the categories that steer a post from those that are its tags."""
    controls, complaints, tags, in_doubt = Controls(), [], [], False
    for name in names:
        found = list(_said(name))
        if not found:
            tags.append(name)
        for meaning, value in found:
            if meaning == "unknown":
                in_doubt = True
                complaints.append(f"category “{_shown(name)}” is unknown; {_REMEDY} {_STAYS}")
            else:
                controls = replace(controls, **{meaning: value})
    return Told(controls, tag_list(tags), tuple(complaints), in_doubt)


_REMEDY = "known are fediverse:false, :unlisted, :noimage, :article, :note, :pinned and cw:WORDS."


def _said(name: str) -> Iterator[tuple[str, Any]]:
    """Yield the control that a category is, if it is one."""
    plain = one_line(plain_text(name) if "<" in name or "&" in name else name, 1000)
    word = re.sub(r"[\s#_-]", "", plain[:40].lower())
    if word in _WITHOUT_WORDS:
        yield "unknown", None
    if word in _REFUSALS:
        yield "publish", False
        return
    match = _CONTROL.fullmatch(plain)
    if not match:
        return
    if match[1].lower() != "fediverse":
        yield "warning", one_line(match[2], MAX_WARNING)
    else:
        yield _BY_CATEGORY.get(re.sub(r"[\s_-]", "", match[2].lower()), ("unknown", None))
