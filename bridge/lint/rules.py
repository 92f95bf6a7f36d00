"""The rules, as data: what is wrong, why it matters to the people who follow, and how to fix it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.lint import checks
from bridge.lint.look import Look

GENERATORS = ("Hugo", "Jekyll", "Eleventy", "WordPress", "Ghost", "Zola", "Astro")


class Severity(StrEnum):
    """How much it matters."""

    ERROR = "error"  # followers get wrong posts, or none
    WARNING = "warning"  # posts arrive, and look worse than they could
    HINT = "hint"  # it could be better

    @property
    def rank(self) -> int:
        """The gravest first."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that may be wrong. `fix` fits every site; `fixes` say where to find it in a generator."""

    id: str
    severity: Severity
    what: str
    why: str
    fix: str
    check: Callable[[Look], Iterable[str]]
    fixes: Mapping[str, str] = field(default_factory=dict)

    def fix_for(self, generator: str) -> str:
        """Return how to fix it with what made the feed, as its `<generator>` says."""
        named = next((text for name, text in self.fixes.items() if name.lower() in generator.lower()), None)
        return named or self.fix


RULES: tuple[Rule, ...] = (
    # ── followers get wrong posts, or none ──
    Rule(
        "invalid-xml",
        Severity.ERROR,
        "The feed is not well-formed XML.",
        "Everything after the mistake may be lost or garbled; strict readers show nothing at all.",
        "Escape &, < and > in the feed's template, or put HTML between <![CDATA[ and ]]>.",
        checks.invalid_xml,
        {
            "Hugo": "Pipe what you print through `transform.XMLEscape`.",
            "Jekyll": "Pipe what you print through `xml_escape`, or use the plugin jekyll-feed.",
            "Eleventy": "Use the feed plugin of @11ty/eleventy-plugin-rss, or pipe through `escape`.",
            "WordPress": "Switch plugins off one by one: one prints into the feed, often before `<?xml`.",
            "Zola": "Pipe what you print through `escape_xml`.",
        },
    ),
    Rule(
        "duplicate-guids",
        Severity.ERROR,
        "Several entries have the same guid.",
        "A guid names one post: followers get only one of them, and edits of one may overwrite another.",
        "Give every entry a guid of its own; its permanent address is best.",
        checks.duplicate_guids,
        {
            "Hugo": "Use `<guid>{{ .Permalink }}</guid>`.",
            "Astro": "Leave `guid` out: @astrojs/rss uses the link.",
        },
    ),
    Rule(
        "changing-guids",
        Severity.ERROR,
        "Guids change while the entries stay the same.",
        "Readers take every renamed entry for a new post; the bridge recognises them by address, but only as "
        "long as that stays.",
        "Build the guid from something that never changes: the permanent address, or an id from the front "
        "matter. Use no build time, no host name of a preview and no random number.",
        checks.changing_guids,
        {
            "WordPress": "A plugin rewrites `the_guid`; WordPress's own (`/?p=123`) is right as it is.",
            "Astro": "Leave `customData: <guid>…` out: @astrojs/rss uses the link.",
        },
    ),
    Rule(
        "undeclared-encoding",
        Severity.ERROR,
        "The feed is not UTF-8 and does not declare its encoding.",
        "Umlauts, accents and quotation marks reach people as garbage.",
        'Save the feed\'s template as UTF-8, and begin it with <?xml version="1.0" encoding="utf-8"?>.',
        checks.undeclared_encoding,
    ),
    # ── posts arrive, and look worse than they could ──
    Rule(
        "wrong-content-type",
        Severity.WARNING,
        "The server does not say that this is a feed.",
        "Some readers believe the server, and refuse to subscribe; a browser may download the file.",
        "Have the web server send application/rss+xml, application/atom+xml or application/feed+json.",
        checks.wrong_content_type,
        {
            "Hugo": "Name the file index.xml; on your own nginx add `types { application/rss+xml xml; }`.",
            "WordPress": "A caching plugin serves the feed as text/html: exclude /feed/ from its cache.",
            "Astro": "Return what `rss()` gives you unchanged from rss.xml.js, with its headers.",
        },
    ),
    Rule(
        "relative-links",
        Severity.WARNING,
        "Links or pictures in the text have no whole address.",
        "Outside your site nobody can tell where they lead: links break and pictures are missing.",
        "Write whole addresses into the feed, or give the entries an xml:base.",
        checks.relative_links,
        {
            "Hugo": "Set `canonifyURLs = true` in the site's config.",
            "Jekyll": "Use jekyll-feed (it absolutises), or the filter `absolute_url` in your posts.",
            "Eleventy": "Pipe the content through `htmlToAbsoluteUrls` of @11ty/eleventy-plugin-rss.",
            "Zola": "Link with `@/path.md` and `get_url`, which yield whole addresses.",
            "Astro": "@astrojs/rss takes `content` as it is: put `context.site` before `href` and `src`.",
        },
    ),
    Rule(
        "missing-dates",
        Severity.WARNING,
        "Entries have no date.",
        "They count as written when they are first seen, and appear in a random order.",
        "Give every entry its date of publishing (pubDate, published, date_published).",
        checks.missing_dates,
        {
            "Hugo": "Put `date` into the front matter; `hugo new` does it.",
            "Jekyll": "Name the file 2026-05-01-title.md, or put `date` into the front matter.",
            "Eleventy": "Put `date` into the front matter, or the file's date is taken.",
            "Zola": "Put `date` into the front matter; undated pages are not in the feed.",
            "Astro": "Pass `pubDate` for every item.",
        },
    ),
    Rule(
        "future-dates",
        Severity.WARNING,
        "Entries are dated in the future.",
        "They are kept back until then; if the date is a mistake, followers wait for nothing.",
        "Correct the date, or its time zone.",
        checks.future_dates,
        {
            "Hugo": "Set `timeZone` in the site's config, and do not build with `--buildFuture`.",
            "Jekyll": "Set `timezone` in _config.yml, and `future: false`.",
            "WordPress": "Set the time zone in Settings → General.",
        },
    ),
    Rule(
        "missing-guid",
        Severity.WARNING,
        "Entries have no guid.",
        "They are told apart by address and title: a new address is then a new post for many readers.",
        "Give every entry a <guid> (RSS), <id> (Atom) or id (JSON Feed) that never changes.",
        checks.missing_guid,
    ),
    Rule(
        "tracking-in-guids",
        Severity.WARNING,
        "Guids carry tracking parameters (utm_source and the like).",
        "The day the campaign changes, every old entry is new again for most readers.",
        "Use the bare permanent address as the guid; add parameters only to the link, or better nowhere.",
        checks.tracking_in_guids,
        {"WordPress": "A statistics plugin adds them: look for “RSS” or “campaign tags” in its settings."},
    ),
    Rule(
        "no-link",
        Severity.WARNING,
        "Entries have no address.",
        "A post without a link leads nobody to your site.",
        "Give every entry a <link> to its page.",
        checks.no_link,
    ),
    Rule(
        "same-link",
        Severity.WARNING,
        "Several entries lead to the same address.",
        "Programs that tell posts apart by address take them for one.",
        "Give every entry the address of its own page, or one with #anchor.",
        checks.same_link,
    ),
    Rule(
        "http-links",
        Severity.WARNING,
        "Entries lead to http:// instead of https://.",
        "Every click is a detour and shows warnings, and some servers show no preview.",
        "Set the site's own address to https:// and build again.",
        checks.http_links,
        {
            "Hugo": "Set `baseURL` to https://.",
            "Jekyll": "Set `url` in _config.yml to https://.",
            "Eleventy": "Set the base URL in the plugin's metadata to https://.",
            "WordPress": "Set both addresses in Settings → General to https://.",
            "Ghost": "Run `ghost config url https://…` and restart.",
            "Zola": "Set `base_url` to https://.",
            "Astro": "Set `site` in astro.config to https://.",
        },
    ),
    Rule(
        "truncated-content",
        Severity.WARNING,
        "The feed has only the beginnings of posts.",
        "The bridge can only excerpt what is there, and never sees pictures further down.",
        "Put the whole text into the feed (content:encoded, content, content_html).",
        checks.truncated_content,
        {
            "Hugo": "In layouts/rss.xml print `{{ .Content | transform.XMLEscape }}` instead of `.Summary`.",
            "Jekyll": "Set `feed: excerpt_only: false` in _config.yml.",
            "WordPress": "Settings → Reading → “For each post in a feed, include: Full text”.",
            "Ghost": "Members-only posts are cut at their paywall; public ones are whole.",
            "Zola": "Print `page.content` in templates/atom.xml.",
            "Astro": "Pass `content` for every item, not `description` alone.",
        },
    ),
    Rule(
        "images-without-alt",
        Severity.WARNING,
        "Pictures have no alternative text.",
        "People who cannot see them miss what they show, and many on the fediverse do not boost such posts.",
        'Describe each picture in a few words: alt="…", in Markdown `![…](picture.jpg)`.',
        checks.images_without_alt,
        {
            "WordPress": "Fill in “Alternative text” of the picture's block or in the media library.",
            "Ghost": "Click the picture and “Alt” in the editor.",
        },
    ),
    Rule(
        "html-in-titles",
        Severity.WARNING,
        "Titles contain HTML, or are escaped twice.",
        "Titles are plain text: many readers show <em> or &amp;amp; literally.",
        "Strip tags from titles and escape them once.",
        checks.html_in_titles,
        {
            "Hugo": "Print `{{ .Title | plainify }}`.",
            "Jekyll": "Pipe the title through `strip_html | xml_escape`.",
            "Eleventy": "Pipe the title through `striptags`.",
            "Zola": "Pipe the title through `striptags`.",
        },
    ),
    Rule(
        "no-feed-title",
        Severity.WARNING,
        "The feed has no title.",
        "Readers list it under its bare address.",
        "Give the feed itself a <title>.",
        checks.no_feed_title,
    ),
    Rule(
        "oldest-first",
        Severity.WARNING,
        "The feed lists the oldest entry first.",
        "Readers that look only at the top never see what is new.",
        "Sort the newest first.",
        checks.oldest_first,
        {
            "Hugo": "Use `.Pages.ByDate.Reverse` in the feed's template.",
            "Eleventy": "Pipe the collection through `reverse`.",
            "Zola": 'Set `sort_by = "date"` in the section\'s _index.md.',
            "Astro": "Sort the items by `pubDate` before you pass them to rss().",
        },
    ),
    Rule(
        "redirect-chain",
        Severity.WARNING,
        "The feed's address leads through several redirects.",
        "Every poll takes longer, and each hop may break; the bridge follows three.",
        "Use the final address in config.toml, and let the old one lead straight to it.",
        checks.redirect_chain,
    ),
    Rule(
        "permanent-redirect",
        Severity.WARNING,
        "The feed has moved permanently.",
        "Once the old address stops forwarding, followers get nothing more.",
        "Write the new address into config.toml, and keep the `name` of the source.",
        checks.permanent_redirect,
    ),
    Rule(
        "no-validators",
        Severity.WARNING,
        "The server sends neither ETag nor Last-Modified.",
        "The whole feed is fetched at every poll, even when nothing is new: a burden on your server.",
        "Let the web server send ETag or Last-Modified for the feed; for a plain file every server does.",
        checks.no_validators,
        {"WordPress": "A caching or “performance” plugin removes them: exclude /feed/ from it."},
    ),
    Rule(
        "huge-feed",
        Severity.WARNING,
        "The feed is very large.",
        "It is read in full whenever something is new, and refused above 10 MiB.",
        "Keep the newest 20 to 50 entries in the feed.",
        checks.huge_feed,
        {
            "Hugo": "Set `[services.rss] limit = 30`.",
            "Jekyll": "Set `feed: posts_limit: 30` in _config.yml.",
            "Eleventy": "Set `collection: { limit: 30 }` of the feed plugin.",
            "WordPress": "Settings → Reading → “Syndication feeds show the most recent”.",
            "Zola": "Set `feed_limit = 30`.",
            "Astro": "Pass `items.slice(0, 30)` to rss().",
        },
    ),
    Rule(
        "relative-enclosure",
        Severity.WARNING,
        "Enclosures have no whole address.",
        "A post whose file cannot be found lacks its picture or its episode.",
        "Write enclosures with https:// and a host.",
        checks.relative_enclosure,
    ),
    Rule(
        "enclosure-without-type",
        Severity.WARNING,
        "Enclosures do not say what kind of file they are.",
        "Servers guess by the name, or drop the picture or the episode.",
        'Add the media type: type="image/jpeg", type="audio/mpeg".',
        checks.enclosure_without_type,
    ),
    Rule(
        "control-characters",
        Severity.WARNING,
        "The feed holds control characters.",
        "XML forbids them: strict readers refuse the whole feed. They often come with text out of a PDF.",
        "Find and delete them; an editor that shows invisible characters helps.",
        checks.control_characters,
    ),
    # ── it could be better ──
    Rule(
        "no-language",
        Severity.HINT,
        "Nothing says in which language this is written.",
        "People who filter by language miss it, no translation is offered, screen readers mispronounce it.",
        "Add <language> (RSS), xml:lang (Atom) or language (JSON Feed), or set `language` in config.toml.",
        checks.no_language,
        {
            "Hugo": "Set `languageCode`.",
            "Jekyll": "Set `lang` in _config.yml.",
            "Eleventy": "Set `language` in the plugin's metadata.",
            "WordPress": "Settings → General → Site Language.",
            "Zola": "Set `default_language`.",
            "Astro": "Pass `customData: '<language>en</language>'` to rss().",
        },
    ),
    Rule(
        "dates-without-zone",
        Severity.HINT,
        "Dates do not say their time zone.",
        "Every reader guesses a different one: posts may be hours off, or in the future.",
        "Write dates with their offset: Fri, 01 May 2026 09:00:00 +0200, or 2026-05-01T09:00:00+02:00.",
        checks.dates_without_zone,
        {
            "Hugo": 'Format with `"Mon, 02 Jan 2006 15:04:05 -0700"`.',
            "Jekyll": "Use `date_to_rfc822` or `date_to_xmlschema`.",
            "Eleventy": "Use `dateToRfc3339` or `dateToRfc822`.",
        },
    ),
    Rule(
        "too-few-entries",
        Severity.HINT,
        "The feed has very few entries.",
        "If the site has more, a busy day pushes posts out of the feed before anyone sees them.",
        "Keep at least ten entries in the feed.",
        checks.too_few_entries,
        {
            "Hugo": "Raise `[services.rss] limit`.",
            "Jekyll": "Raise `feed: posts_limit`.",
            "WordPress": "Settings → Reading → “Syndication feeds show the most recent”.",
            "Zola": "Raise `feed_limit`.",
        },
    ),
    Rule(
        "no-hub",
        Severity.HINT,
        "The feed names no WebSub hub.",
        "New posts are found at the next poll, minutes later, instead of at once.",
        "Name a hub in the feed and tell it when you publish, or let your build call: see docs/push.md.",
        checks.no_hub,
        {
            "WordPress": "Install the plugin “WebSub”.",
            "Ghost": "Let a webhook on “Post published” call the bridge: see docs/push.md.",
        },
    ),
)

_BY_ID = {one.id: one for one in RULES}


def rule(name: str) -> Rule | None:
    """Return a rule by its id."""
    return _BY_ID.get(name)
