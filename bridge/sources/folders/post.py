"""A Markdown file's text becomes an entry: front matter, title, page address, pictures, rendered body."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

from bridge.addresses import same_site, take_apart
from bridge.errors import SourceError
from bridge.markup.html import absolute_url, absolutise, looks_like_html, one_line, plain_text, strip_controls
from bridge.markup.pictures import focal_point
from bridge.model import Entry, Image, Problem
from bridge.picturetypes import KNOWN
from bridge.sources.controls import Told, read_fields, read_tags
from bridge.sources.fields import own_language, plausible, release
from bridge.sources.folders import drafts, fences, frontmatter, permalink
from bridge.sources.folders.around import NOTHING_AROUND, Around
from bridge.sources.folders.comments import without_comments
from bridge.sources.folders.filenames import Name, name_of
from bridge.sources.folders.frontmatter import Fields
from bridge.sources.folders.generator import UNTOLD, Dialect
from bridge.sources.folders.render import render

MAX_MARKDOWN = 1_000_000
_PUBLISHED = (
    "date",
    "published",
    "pubdate",
    "publishdate",
    "publish_date",
    "published_at",
    "created",
    "publish",
)
_RELEASE = ("publishdate", "publish_date")
_UPDATED = ("updated", "lastmod", "modified", "last_modified_at", "updated_at", "moddate", "updateddate")
_EXPIRES = ("expirydate", "expires", "unpublishdate")
_TAGS = ("tags", "tag", "categories", "category", "keywords")
_COLLECTIONS = frozenset({"posts", "post", "all"})  # by which Eleventy finds posts, not what they are about
_SUMMARY = ("summary", "description", "excerpt")
_ABOUT = ("external_url", "external_link", "link_url", "linked_url", "target_url", "link")
_IMAGE = (
    *("image", "cover", "cover_image", "cover_photo", "featured_image", "featureimage", "feature_image"),
    *("thumbnail", "og_image", "hero", "hero_image", "heroimage", "banner", "images"),
)
_IMAGE_ALT = ("image_alt", "cover_alt", "cover_image_alt", "featured_image_alt", "hero_alt", "hero_image_alt")
_FOCAL_POINT = ("focal_point", "focalpoint", "focalPoint", "image_focal_point", "focus")
_HEADING = re.compile(r"#(?!#)[ \t]+([^\n]{1,500})(?:\n|$)")
_MARKED = re.compile(
    r"`[^`]{1,200}`|\*\*[^*]{1,200}\*\*|(?<!\w)([*_])\w[^*_]{0,200}(?<!\s)\1(?!\w)|\[[^\[\]]{1,200}\]\([^()]{1,500}\)"
)
_HEADING_END = re.compile(r"[ \t]#*[ \t]*(?:\{[^{}]{0,200}\})?[ \t]*$")
_INTRASITE = re.compile(r"(?:\{|%7B|\|)(static|attach|filename|author|category|index|tag)(?:\}|%7D|\|)")
_MORE = re.compile(r"<!--\s{0,5}(?:more|excerpt|truncate)\s{0,5}-->", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a folder's files map to pages; `media_url` gives a local picture the address where we serve it."""

    site_url: str
    url_template: str | None = None
    media_url: Callable[[str], str] | None = None
    zone: tzinfo = UTC
    dialect: Dialect = UNTOLD


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of one file: an entry, or none where it is a draft; and the pictures it looked for."""

    entry: Entry | None
    problems: tuple[Problem, ...] = ()
    expires_at: datetime | None = None
    pictures: frozenset[str] = frozenset()


def read_post(
    text: str,
    path: str,
    rules: Rules,
    pictures: frozenset[str],
    now: datetime,
    around: Around = NOTHING_AROUND,
) -> Rendered:
    """Turn a file's text into an entry; `pictures` are the folder's picture files, by relative path.

    Raises `SourceError` when front matter or Markdown cannot be read, or what they say about publishing.
    """
    if not text.strip("\ufeff\u200b \t\r\n\u00a0"):
        raise SourceError(f"{path}: is empty, and waits until something is in it.")
    dialect = rules.dialect.of_file(frontmatter.with_plain_ends(text))
    plain = dialect.generator == "pelican" and dialect.is_told
    other = fences.split_other(text, path)
    found, body, line = other or frontmatter.split(text, path, meta=dialect.reads_meta, plain=plain)
    defaults = dict(dialect.defaults)
    if other is None and drafts.is_draft(found if dialect.has_made_defaults else {**defaults, **found}):
        return Rendered(None)
    fields = {**defaults, **around.inherited, **around.meta, **found}
    _keep_back(fields, path)
    fences.refuse_headers(body, path, line)
    body = without_comments(body, path, line)
    if len(body) > MAX_MARKDOWN:
        raise SourceError(
            f"{path}: the text is longer than a million characters. Split it into several files."
        )
    told = replace(rules, dialect=dialect)
    return _PostReader(fields, name_of(path), told, pictures, now).read(strip_controls(body))


def _keep_back(fields: Fields, path: str) -> None:
    """Raise `SourceError` where anything about publishing is other than a plain yes."""
    why = drafts.why_kept_back(fields)
    if why is None and drafts.is_draft(fields):
        why = "one of its fields keeps it back"
    if why:
        raise SourceError(f"{path}: {why}. {_STAYS}")


_STAYS = "A post that is already public stays as it is until you write “fediverse: false”."


class _PostReader:
    """Reads one file's fields and body and collects what is wrong with them."""

    def __init__(
        self, fields: Fields, name: Name, rules: Rules, pictures: frozenset[str], now: datetime
    ) -> None:
        self.fields = fields
        self.name = name
        self.rules = rules
        self.now = now
        self.problems: list[Problem] = []
        self._pictures = pictures
        self._looked_for: set[str] = set()
        self._folder = str(PurePosixPath(name.path).parent)
        self._extra = {**frontmatter.table(fields, "params"), **frontmatter.table(fields, "extra")}

    def read(self, body: str) -> Rendered:
        """Return the finished entry."""
        title, body = self._title(body)
        published = self._release(*_PUBLISHED) or self._date_of_name()
        appears = self._release(*_RELEASE)
        if appears and appears > self.now:
            published = appears
        expires = self._release(*_EXPIRES)
        if published is None and drafts.is_page({**self._extra, **self.fields}, self.name.slug):
            return Rendered(None)
        tag = own_language(self._said_language(), self.name.language)
        link = self._link(title, published, tag or None)
        before, after = self._parts(body)
        base = link or self.rules.site_url
        told = self._told()
        self._need_words(title, body, told)
        entry = Entry(
            guid=self.name.key,
            link=link,
            title=title,
            html=absolutise(self._render(before + after), base, local=self._local),
            summary=self._summary(before if after else ""),
            published_at=published,
            updated_at=self._date(*_UPDATED),
            language=tag,
            tags=told.tags,
            images=tuple(self._image(base)),
            controls=told.controls,
            about=self._about(),
            in_doubt=told.in_doubt,
        )
        return Rendered(entry, tuple(self.problems), expires, frozenset(self._looked_for))

    def _need_words(self, title: str, body: str, told: Told) -> None:
        """Refuse a file in which nothing is yet but what its name says."""
        is_told = (
            self._text("title", "name") or told.controls.text or any(name in self.fields for name in _IMAGE)
        )
        if not body.strip() and not is_told and title == self._name_as_title():
            raise SourceError(f"{self.name.path}: has neither a title nor words yet, and waits for them.")

    def _render(self, markdown: str) -> str:
        return render(markdown, self.name.path, self.rules.dialect)

    def _text(self, *names: str) -> str:
        return frontmatter.text(self.fields, *names) or frontmatter.text(self._extra, *names)

    def _title(self, body: str) -> tuple[str, str]:
        """Return the title (front matter, first heading, or the file's name) and the body without it."""
        given = one_line(self._plain(frontmatter.text(self.fields, "title", "name")))
        match = _HEADING.match(body.lstrip())
        if match:
            heading = one_line(plain_text(self._render(_HEADING_END.sub("", match[1]))))
            if not given or heading == given:
                return heading or given, body.lstrip()[match.end() :]
        if given:
            return given, body
        return self._name_as_title(), body

    def _name_as_title(self) -> str:
        words = one_line(self.name.slug.replace("-", " ").replace("_", " "))
        return words[:1].upper() + words[1:]

    def _plain(self, text: str) -> str:
        """Return a field's text without the markup that themes let people write there."""
        if _MARKED.search(text):
            return plain_text(self._render(text))
        return plain_text(text) if looks_like_html(text) and re.search(r"</|&", text) else text

    def _date(self, *names: str) -> datetime | None:
        for name in names:
            value = self.fields.get(name, self._extra.get(name))
            if value in (None, "", "null", "~") or drafts.is_flag({name: value}, name):
                continue
            found = plausible(frontmatter.moment(value, self.rules.zone), self.now)
            if found:
                return found
            shown = one_line(str(value), 40)
            self._complain(
                f"{name} “{shown}” is not a date the bridge can read. Write it as 2026-05-01 or "
                "2026-05-01T10:00:00+02:00."
            )
        return None

    def _release(self, *names: str) -> datetime | None:
        """Return when it appears or expires, however far ahead. Raises `SourceError` for what is no date."""
        found: datetime | None = None
        for name in names:
            value = self.fields.get(name, self._extra.get(name))
            if value in (None, "", "null", "~") or drafts.is_flag({name: value}, name):
                continue
            moment = frontmatter.moment(value, self.rules.zone)
            if moment is None:
                shown = one_line(str(value), 40)
                raise SourceError(
                    f"{self.name.path}: {name} “{shown}” is not a date the bridge can read. Write it as "
                    f"2026-05-01 or 2026-05-01T10:00:00+02:00; until then it is kept back. {_STAYS}"
                )
            found = found or release(moment)
        return found

    def _date_of_name(self) -> datetime | None:
        return release(frontmatter.moment(self.name.date, self.rules.zone))

    def _complain(self, what: str) -> None:
        self.problems.append(Problem(self.name.path, what))

    def _link(self, title: str, published: datetime | None, language: str | None) -> str | None:
        given = self._text("permalink", "url", "path")
        if given.lower() == "false":
            return None
        if given and (link := permalink.join_site(self.rules.site_url, given)):
            return link
        if given.startswith(("http://", "https://", "//")):
            self._complain(f"its permalink “{one_line(given, 60)}” is not a web address.")
        if not self.rules.url_template:
            return None
        local = published.astimezone(self.rules.zone) if published else None
        dialect, given = self.rules.dialect, frontmatter.text(self.fields, "slug")
        values = {
            "slug": given or permalink.slug_of(dialect, title, self.name.stem, self.name.slug),
            "title_slug": permalink.title_slug(dialect, title),
            "path": self.name.key
            if dialect.directory_urls
            else str(PurePosixPath(self.name.path).with_suffix("")),
            "folder": str(PurePosixPath(self.name.key).parent),
            "category": permalink.title_slug(dialect, self._category()),
            "year": f"{local:%Y}" if local else "",
            "month": f"{local:%m}" if local else "",
            "day": f"{local:%d}" if local else "",
            "language": language or "",
        }
        if dialect.generator != "mkdocs":  # which takes a file's name as it is
            values = {name: value.replace(" ", "-") for name, value in values.items()}
        address = permalink.expand(self.rules.url_template, values)
        if address is None:
            self._complain(
                "has no link because url_template needs a field that it lacks (mostly its date or slug)."
            )
            return None
        return permalink.join_site(self.rules.site_url, address.strip("."))

    def _parts(self, body: str) -> tuple[str, str]:
        """Return what stands before and after the `<!--more-->` line."""
        match = _MORE.search(body)
        return (body[: match.start()], body[match.end() :]) if match else (body, "")

    def _said_language(self) -> object:
        """Return what the front matter says of the language, be it a text or not."""
        told = {**self._extra, **self.fields}
        said = (told.get(name) for name in ("language", "lang", "locale"))
        return next((one for one in said if one not in (None, "")), None)

    def _summary(self, before_more: str) -> str:
        given = self._text(*_SUMMARY)
        if given:
            return one_line(self._plain(given), 2000)
        return one_line(plain_text(self._render(before_more)), 2000) if before_more else ""

    def _tags(self) -> list[str]:
        return [tag for tag in self._listed(*_TAGS) if tag not in _COLLECTIONS]

    def _listed(self, *names: str) -> list[str]:
        taxonomies = frontmatter.table(self.fields, "taxonomies")
        return [*frontmatter.texts(self.fields, *names), *frontmatter.texts(taxonomies, *names)]

    def _category(self) -> str:
        """Return the first category; Pelican's is the folder's name where a file has none."""
        given = next(iter(self._listed("categories", "category")), "")
        if given or self.rules.dialect.generator != "pelican":
            return given
        return PurePosixPath(self.rules.dialect.below, self._folder).name or self.rules.dialect.category

    def _told(self) -> Told:
        """Return tags and controls, complaining about what is neither."""
        told = read_fields({**self._extra, **self.fields}, read_tags(self._tags()))
        for complaint in told.complaints:
            self._complain(complaint)
        return told

    def _about(self) -> str | None:
        """Return the page elsewhere that a link post is about."""
        url = absolute_url(self._text(*_ABOUT))
        return url if url and not same_site(url, self.rules.site_url) else None

    def _image(self, base: str) -> list[Image]:
        """Return the picture that the front matter names, if it can be found."""
        for name in _IMAGE:
            field = self.fields.get(name, self._extra.get(name))
            source, alt = _image_field(field)
            url = self._local("img", source) or (absolute_url(source, base) if source else None)
            if url:
                alt = one_line(alt or self._text(*_IMAGE_ALT), 1500)
                return [Image(url, alt, focal_point=self._focal_point(field))]
        return []

    def _focal_point(self, field: object) -> tuple[float, float] | None:
        tables = (field if isinstance(field, dict) else {}, self.fields, self._extra)
        given = (table[name] for table in tables for name in _FOCAL_POINT if name in table)
        return focal_point(next(given, None))

    def _local(self, tag: str, url: str) -> str | None:
        """Return our own address of a picture in the folder, and a dead one for a link to a Markdown file."""
        if self.rules.dialect.generator == "pelican" and (found := _INTRASITE.match(url)):
            return self._intrasite(tag, found[1], url[found.end() :])
        parts = take_apart(url.strip())
        if parts.scheme or parts.netloc or not parts.path:
            return None
        if tag == "a":
            return "invalid:" if parts.path.lower().endswith((".md", ".markdown")) else None
        return self._served(unquote(parts.path)) if self.rules.media_url else None

    def _intrasite(self, tag: str, what: str, path: str) -> str:
        """Return the address behind Pelican's `{static}/a.png`, `{attach}a.png` or `{filename}other.md`."""
        folder = "" if path.startswith("/") else f"{self.rules.dialect.below}/{self._folder}"
        whole = normpath(f"{folder}/{path}".lstrip("/"))
        if what not in ("static", "attach", "filename") or whole.startswith(".."):
            return "invalid:"
        below = f"{self.rules.dialect.below}/" if self.rules.dialect.below else ""
        inside = self._local(tag, "/" + whole.removeprefix(below))
        return inside or permalink.join_site(self.rules.site_url, whole) or "invalid:"

    def _served(self, path: str) -> str | None:
        assert self.rules.media_url is not None
        if PurePosixPath(path).suffix.lower() not in KNOWN:
            return None
        beside = normpath(path.lstrip("/") if path.startswith("/") else f"{self._folder}/{path}")
        for candidate in dict.fromkeys([beside, normpath(path.lstrip("/"))]):
            self._looked_for.add(candidate)
            if candidate in self._pictures:
                return self.rules.media_url(candidate)
        return None


def _image_field(value: object) -> tuple[str, str]:
    """Return source and alternative text of a picture field: a text, a list of them, or a table."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        names = ("url", "src", "image", "path", "file", "relative")
        return frontmatter.text(value, *names), frontmatter.text(value, "alt", "caption")
    return (value.strip(), "") if isinstance(value, str) else ("", "")
