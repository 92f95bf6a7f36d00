"""Each folder's Markdown is read as the site itself reads it: whose it is, headers, slugs, hostile texts."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from places import DATA
from test_folder import NOW, SITE, harvest, post, write

from bridge.markup.html import to_note_html
from bridge.model import Entry
from bridge.sources.folders.folder import Folder, read_folder, scan
from bridge.sources.folders.generator import COMMONMARK, PELICAN, UNTOLD, Dialect, dialect_of
from bridge.sources.folders.permalink import pelican_slug, slug_of
from bridge.sources.folders.pythonmarkdown import TooCostlyError, render_python

SITES = DATA / "folders"
NIKOLAS = "BLOG_TITLE = 'The mill'\nPOSTS = (('posts/*.md', 'posts', 'post.tmpl'),)\n"
SPHINXS = "project = 'mill'\nextensions = ['sphinx.ext.autodoc']\nhtml_theme = 'alabaster'\n"
LIST = "Our bread\n- rye\n- wheat\n"  # a list to CommonMark, a paragraph to Python-Markdown


def entries(name: str, template: str, **options: Any) -> list[Entry]:
    found = read_folder(Folder(SITES / name, SITE, url_template=template, **options), now=NOW)
    assert found.problems == ()
    return list(found.entries)


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("files", "folder", "generator"),
    [
        ({"pelicanconf.py": ""}, "content", "pelican"),
        ({"pelicanconf.py": "PATH = 'content'"}, "content/2026/may", "pelican"),
        ({"pelicanconf.py": "PATH = 'content'"}, ".", "pelican"),
        ({"pelicanconf.py": "PATH = 'content'"}, "weblog", ""),
        ({"pelicanconf.py": "PATH = os.path.join('content')"}, "weblog", "pelican"),
        ({"pelicanconf.py": "print 'Python 2'"}, "content", "pelican"),
        ({"pelicanconf.py": "PLUGINS = ['pandoc_reader']"}, "content", "commonmark"),
        ({"content/pelicanconf.py": ""}, "content", "pelican"),
        ({"mkdocs.yml": "site_name: x"}, "docs", "mkdocs"),
        ({"mkdocs.yaml": "site_name: x"}, "posts", "mkdocs"),
        ({"mkdocs.yml": "docs_dir: manual"}, "docs", ""),
        ({"mkdocs.yml": "docs_dir: docs", "hugo.toml": ""}, "blog", "commonmark"),
        ({"mkdocs.yml": "a: [unclosed"}, "docs", "mkdocs"),
        ({"mkdocs.yml": "a: !!python/object/apply:os.system [false]"}, "docs", "mkdocs"),
        ({"conf.py": NIKOLAS}, "posts", "nikola"),
        (
            {"conf.py": NIKOLAS + "COMPILERS = {'pandoc': ['.md'], 'markdown': ['.mkd']}"},
            "posts",
            "commonmark",
        ),
        ({"conf.py": SPHINXS}, "docs", ""),
        ({"conf.py": "BLOG_TITLE = 'only one of them'"}, "posts", ""),
        ({"mkdocs.yml": "", "site/hugo.toml": ""}, "site/content", "commonmark"),
        ({"_config.yml": "", "docs/mkdocs.yml": ""}, "docs", "mkdocs"),
        ({"mkdocs.yml": "", "site/.git/HEAD": ""}, "site/content", ""),
        ({"mkdocs.yml": "", ".git": "gitdir: elsewhere"}, "docs", "mkdocs"),
        ({"mkdocs.yml": ""}, "1/2/3/4/5/6/7/8", "mkdocs"),
        ({"mkdocs.yml": ""}, "1/2/3/4/5/6/7/8/9", ""),
        ({"mkdocs.yml/x": ""}, "docs", ""),
        ({}, "docs", ""),
    ],
)
def test_the_nearest_configuration_tells(
    tmp_path: Path, files: dict[str, str | bytes], folder: str, generator: str
) -> None:
    root = tmp_path / "site"
    write(root, files)
    (root / folder).mkdir(parents=True, exist_ok=True)
    found = dialect_of(root / folder)
    assert (found.generator or ("commonmark" if found.is_told else "")) == generator
    assert (found.extensions is None) == (generator in ("", "commonmark"))


def test_what_the_owner_says_goes_before_all_that_lies_around(tmp_path: Path) -> None:
    write(
        tmp_path, {"mkdocs.yml": "", "docs/a.md": LIST, "docs/b.md": "Title: B\nDate: 2026-05-01\n\n" + LIST}
    )
    docs = tmp_path / "docs"
    assert dialect_of(docs, "commonmark") == COMMONMARK
    assert dialect_of(docs, "python-markdown").generator == "mkdocs"
    (tmp_path / "mkdocs.yml").unlink()
    assert dialect_of(docs, "python-markdown") == PELICAN
    assert dialect_of(docs) == UNTOLD
    texts = [
        [
            to_note_html(entry.html).html
            for entry in read_folder(Folder(docs, SITE, dialect=name), now=NOW).entries
        ]
        for name in ("auto", "commonmark", "python-markdown")
    ]
    listed, plain = "<p>Our bread</p><ul><li>rye</li><li>wheat</li></ul>", "<p>Our bread - rye - wheat</p>"
    assert texts == [[listed, plain], [listed, listed], [plain, plain]]


def test_a_folder_that_is_a_link_is_told_by_what_lies_above_its_target(tmp_path: Path) -> None:
    write(tmp_path, {"site/pelicanconf.py": "", "site/content/a.md": LIST, "mkdocs.yml": ""})
    (tmp_path / "here").symlink_to(tmp_path / "site" / "content")
    assert dialect_of(tmp_path / "here").generator == "pelican"


@pytest.mark.parametrize("kind", ["pipe", "dangling", "circle", "unreadable", "huge"])
def test_what_only_looks_like_a_configuration_harms_nothing(tmp_path: Path, kind: str) -> None:
    config, docs = tmp_path / "mkdocs.yml", tmp_path / "docs"
    write(docs, {"a.md": "x"})
    if kind == "pipe":
        os.mkfifo(config)
    elif kind == "dangling":
        config.symlink_to(tmp_path / "nowhere")
    elif kind == "circle":
        config.symlink_to(config)
    elif kind == "unreadable":
        config.write_text("site_name: x")
        config.chmod(0)
    else:
        config.write_text("a: b\n" * 200_000)
    assert dialect_of(docs).generator in ("", "mkdocs")
    assert len(harvest(docs).entries) == 1


@pytest.mark.parametrize(
    "source",
    [
        "a=" + "(" * 90_000,
        "a=" + "-" * 200_000 + "1",
        "a=b" + ".c" * 100_000,
        "\0",
        "a = 'x' * 10**9",
        "[" * 50,
    ],
)
def test_a_hostile_configuration_is_one_that_says_nothing(tmp_path: Path, source: str) -> None:
    write(tmp_path, {"pelicanconf.py": source, "mkdocs.yml": source})
    assert dialect_of(tmp_path).generator == "pelican"
    (tmp_path / "pelicanconf.py").unlink()
    assert dialect_of(tmp_path).generator == "mkdocs"


def test_a_configuration_that_changes_has_files_read_anew(tmp_path: Path) -> None:
    write(tmp_path, {"content/a.md": LIST})
    folder, cache = Folder(tmp_path / "content", SITE), {}
    assert "<li>" in read_folder(folder, now=NOW, cache=cache).entries[0].html
    write(tmp_path, {"pelicanconf.py": ""})
    assert "<li>" not in read_folder(folder, now=NOW, cache=cache).entries[0].html


@pytest.mark.parametrize(
    ("config", "extensions"),
    [
        ("", "fenced_code meta tables toc"),
        ("markdown_extensions: [admonition, nl2br]", "admonition fenced_code meta nl2br tables toc"),
        (
            "markdown_extensions:\n- markdown.extensions.smarty:\n    x: 1\n- toc:\n    permalink: true",
            "fenced_code meta smarty tables toc",
        ),
        ("markdown_extensions:\n  footnotes: {}\n  abbr:", "abbr fenced_code footnotes meta tables toc"),
        ("markdown_extensions: [os, bakery.evil, 'bridge.errors:X', 3, [x]]", "fenced_code meta tables toc"),
        ("markdown_extensions: [pymdownx.details, pymdownx.emoji]", "details fenced_code meta tables toc"),
    ],
)
def test_extensions_are_python_markdowns_own_and_no_others(
    tmp_path: Path, config: str, extensions: str
) -> None:
    write(tmp_path, {"mkdocs.yml": config})
    assert dialect_of(tmp_path).extensions == tuple(extensions.split())


def test_pelican_and_nikola_name_their_extensions_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"pelicanconf.py": "MARKDOWN = {'extensions': ['nl2br'], 'extension_configs': {'extra': {}}}"},
    )
    assert dialect_of(tmp_path).extensions == ("extra", "meta", "nl2br")
    (tmp_path / "pelicanconf.py").unlink()
    write(tmp_path, {"conf.py": NIKOLAS + "MARKDOWN_EXTENSIONS = ['markdown.extensions.sane_lists', 'x.y']"})
    assert dialect_of(tmp_path).extensions == ("sane_lists",)


# ── as the site reads it ─────────────────────────────────────────────────────────────────────────


def test_a_pelican_site_is_read_as_pelican_reads_it() -> None:
    first, rye = entries("pelican/content", "/{category}/{slug}.html")
    assert (first.title, first.link) == ("Loaf #1: the beginning", f"{SITE}/slow-baking/first-loaf.html")
    assert to_note_html(first.html).html == "<p>A line above a list - is no list here</p>"
    assert rye.link == f"{SITE}/travel/uber-roggen-and-what-its-worth.html"
    assert (rye.summary, rye.tags, rye.language) == ("Rye, slowly.", ("rye bread", "slow food"), "en")
    assert rye.published_at == datetime(2026, 5, 1, 10, 20, tzinfo=UTC)
    assert rye.updated_at == datetime(2026, 5, 2, tzinfo=UTC)
    note = to_note_html(rye.html)
    assert "<ul><li>flour<ul><li>rye</li><li>wheat</li></ul></li><li>salt</li></ul>" in note.html
    assert "<p><strong>Steps</strong><br>fold, wait, fold</p>" in note.html
    assert "<pre><code>bake(450)</code></pre>" in note.html
    assert f'the first one and <a href="{SITE}/images/loaf.jpg">its photo</a>' in note.html
    assert [image.url for image in note.images] == [f"{SITE}/images/loaf.jpg"]


def test_an_mkdocs_site_is_read_as_mkdocs_reads_it() -> None:
    (heat,) = entries("mkdocs/docs", "/{path}/")
    assert (heat.title, heat.link) == ("Heat", f"{SITE}/guide/heat/")
    assert to_note_html(heat.html).html == (
        "<p><strong>Note</strong></p><p>The oven is hot.</p><ol><li>Preheat:<pre><code>oven --on</code></pre>"
        "</li><li>Wait.</li><li>☑ gloves</li></ol>"
    )


def test_a_nikola_site_is_read_as_nikola_reads_it() -> None:
    (grain,) = entries("nikola/posts", "/posts/{slug}/")
    assert (grain.title, grain.link) == ("Grain & stone", f"{SITE}/posts/2026-grain-and-stone/")
    assert (grain.tags, grain.published_at) == (("old mills", "grain"), datetime(2026, 5, 1, 7, tzinfo=UTC))
    assert to_note_html(grain.html).html == (
        "<p>Two stones:</p><ul><li>the upper<ul><li>turns</li></ul></li></ul><p>[1] A note.</p>"
        "<ol><li>By hand.</li></ol>"
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("==a== and [[b]] and %%c%%", "<p>==a== and [[b]] and %%c%%</p>"),
        ("import x from 'y'", "<p>import x from 'y'</p>"),
        ("!!! note\n    a", "<p>!!! note a</p>"),
        ("*[HTML]: Hyper\n\nHTML", "<p>HTML</p>"),
        (
            "a {{% youtube abcdefghijk %}}",
            '<p>a</p><p><a href="https://www.youtube.com/watch?v=abcdefghijk">',
        ),
        ("![a](bun 1.png)\n\nx", "<p>x</p>"),
        ("~~~\n[TOC]\n*[a]: b\n~~~", "<pre><code>[TOC]\n*[a]: b</code></pre>"),
        ("<script>alert(1)</script>\n\nx", "<p>x</p>"),
        ("[x](javascript:alert(1))", "<p>x</p>"),
    ],
)
def test_nothing_is_made_of_signs_that_the_site_shows(tmp_path: Path, text: str, html: str) -> None:
    write(tmp_path, {"pelicanconf.py": ""})
    assert to_note_html(post(tmp_path, f"Title: a\n\n{text}").html).html.startswith(html)


# ── headers ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Title: A\nDate: 2026-05-01", {}),
        ("Title: A\nDate: 2026-05-01\nCategory:\nSlug:", {}),
        ("title:A\ndate:2026-05-01", {}),
        ("TITLE: A\nDATE: 2026-05-01\nModified:", {}),
        ("Title: A\nDate: 2026-05-01\nSummary: b\n    c", {"summary": "b c"}),
        ("Title: A\nDate: 2026-05-01\nSummary:\n    b\n    c", {"summary": "b c"}),
        ("Title: A\nDate: 2026-05-01\nTags: x y; z", {"tags": ("x y", "z")}),
        ("Title: A\nDate: 2026-05-01\nTags: x,\n    y", {"tags": ("x", "y")}),
        ("Title: A\nDate: 2026-05-01\nTags:\n    x\n    y", {"tags": ("x", "y")}),
        ("Title: A\nDate: 2026-05-01\nTags:", {}),
        ("Title: A\nTitle: B\nDate: 2026-05-01", {}),
        ("Date: 2026-05-01 00:00\nLang: de\nTitle: A\nAuthors: X; Y", {"language": "de"}),
        ("---\nTitle: A\nDate: 2026-05-01\n---", {}),
        ("\ufeffTitle: A\r\nDate: 2026-05-01\r\n", {}),
    ],
)
@pytest.mark.parametrize("config", ["pelicanconf.py", ""])
def test_headers_are_read_as_pelican_does_with_or_without_its_settings(
    tmp_path: Path, header: str, expected: dict[str, object], config: str
) -> None:
    write(tmp_path, {config: ""} if config else {})
    entry = post(tmp_path, f"{header}\n\nText.")
    wanted = {"title": "A", "summary": "", "tags": (), "language": None, **expected}
    assert {name: getattr(entry, name) for name in wanted} == wanted
    assert entry.published_at == datetime(2026, 5, 1, tzinfo=UTC)
    assert to_note_html(entry.html).html == "<p>Text.</p>"


@pytest.mark.parametrize("status", ["draft", "Draft", "hidden", "skip"])
def test_what_pelican_keeps_back_is_kept_back(tmp_path: Path, status: str) -> None:
    assert harvest(tmp_path, {"a.md": f"Title: A\nDate: 2026-05-01\nStatus: {status}\n\nx"}).entries == ()


def test_a_site_whose_posts_are_drafts_by_default_publishes_those_that_say_so(tmp_path: Path) -> None:
    files = {
        "pelicanconf.py": "DEFAULT_METADATA = {'status': 'draft'}",
        "a.md": "Title: A\nDate: 2026-05-01\n\nx",
        "b.md": "Title: B\nDate: 2026-05-01\nStatus: published\n\nx",
    }
    assert [entry.title for entry in harvest(tmp_path, files).entries] == ["B"]


@pytest.mark.parametrize(
    "text",
    ["Note: this", "Note: this\nBut: that", "Title:\nDate:\n\nx", "https://a.test/\nx: y", "a:\nb:\n\nx"],
)
def test_words_with_a_colon_are_no_header_where_nothing_says_so(tmp_path: Path, text: str) -> None:
    assert to_note_html(post(tmp_path, text).html).text.split() == text.split()


def test_a_header_without_end_is_a_problem_with_a_remedy(tmp_path: Path) -> None:
    write(tmp_path, {"pelicanconf.py": ""})
    found = harvest(tmp_path, {"a.md": "\n".join(f"a{number}: b" for number in range(100_000)), "b.md": "x"})
    assert ["64 KB" in problem.what for problem in found.problems] in ([True], [])


# ── slugs and addresses ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("It's 5 o’clock", "its-5-oclock"),
        ("C++ & C# – a story", "c-c-a-story"),
        ("  a -- b__c  ", "a-b__c"),
        ("Straße nach Łódź", "strasse-nach-lodz"),
        ("Æble og Øl på Þing", "aeble-og-ol-pa-thing"),
        ("l'été à Œuvre", "lete-a-oeuvre"),
        ("Привет, ёжик и щука", "privet-iozhik-i-shchuka"),
        ("Καλημέρα", "kalemera"),
        ("ﬁne ½ ①", "fine-12-1"),
        ("Snow ☃ man 🎉", "snow-man"),
        ("A &amp; B <em>c</em>", "a-b-c"),
        ("1.2.3", "123"),
        ("日本語", ""),
        ("half 日 known", ""),
        ("!!!", ""),
    ],
)
def test_a_title_becomes_the_slug_that_pelican_gives_it(title: str, slug: str) -> None:
    assert pelican_slug(title) == slug


@pytest.mark.parametrize(
    ("dialect", "slug"),
    [
        (Dialect("pelican", ()), "grosse-uhr"),
        (Dialect("pelican", (), unicode_slugs=True), "große-uhr"),
        (Dialect("pelican", (), keeps_case=True), "Grosse-Uhr"),
        (Dialect("pelican", (), slug_source="basename"), "2026-05-01-my_file-c"),
        (Dialect("nikola", ()), "2026-05-01-my_file-c++"),
        (Dialect("mkdocs", ()), "2026-05-01-My_File c++"),
        (COMMONMARK, "My_File c++"),
    ],
)
def test_a_page_is_called_what_its_generator_calls_it(dialect: Dialect, slug: str) -> None:
    assert slug_of(dialect, "Große Uhr", "2026-05-01-My_File c++", "My_File c++") == slug


@pytest.mark.parametrize(
    ("config", "template", "name", "link"),
    [
        ("", "/{path}/", "a/b c.md", f"{SITE}/a/b%20c/"),
        ("", "/{path}/", "a/index.md", f"{SITE}/a/"),
        ("use_directory_urls: false", "/{path}.html", "a/b.md", f"{SITE}/a/b.html"),
        ("use_directory_urls: false", "/{path}.html", "a/index.md", f"{SITE}/a/index.html"),
        ("", "/{slug}/", "2026-05-01-b.md", f"{SITE}/2026-05-01-b/"),
    ],
)
def test_mkdocs_pages_are_found_by_their_path(
    tmp_path: Path, config: str, template: str, name: str, link: str
) -> None:
    write(tmp_path, {"mkdocs.yml": config})
    assert post(tmp_path, "x", name, url_template=template).link == link


def test_a_title_we_cannot_transliterate_leaves_no_link_and_says_why(tmp_path: Path) -> None:
    write(tmp_path, {"pelicanconf.py": ""})
    found = harvest(tmp_path, {"a.md": "Title: 日本語\n\nx"}, url_template="/{slug}.html")
    assert found.entries[0].link is None
    assert "slug" in found.problems[0].what


# ── hostile texts ────────────────────────────────────────────────────────────────────────────────

ALL = (
    "admonition",
    "codehilite",
    "details",
    "extra",
    "nl2br",
    "sane_lists",
    "smarty",
    "superfences",
    "wikilinks",
)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "[",
            "![",
            "*",
            "**a ",
            "_a ",
            "<",
            "<a ",
            "<!--",
            "<![CDATA[",
            "<?",
            "&",
            "&#",
            "`",
            "``x",
            "\\",
            '"',
        ),
        *(
            "a",
            " ",
            "\n",
            "\t",
            "#",
            "# a\n\n",
            "- ",
            "* a\n",
            "1. a\n",
            "a\n: b\n",
            "* * *\n",
            "a|b\n",
            "|`",
        ),
        *(
            "> ",
            "> a\n",
            "<div>\n",
            "<p>\n\n",
            "<b>",
            "[a](",
            "[a][",
            "[^a]",
            "*[a]: b\n\n",
            "{",
            "{x ",
            "!!! a\n",
        ),
        *("```\n````\n", "***a*b ", "x <y ", "a\n=", '<a href="', "](", "{{", "{%"),
    ],
)
def test_a_text_that_repeats_itself_is_read_or_refused_soon(piece: str) -> None:
    """So long that what takes time in its square would take minutes: then pytest's own limit ends it."""
    assert is_read_or_refused(piece * (100_000 // len(piece)))


@pytest.mark.parametrize(
    "text",
    [
        "> " * 1000 + "x",
        "".join(f"{'    ' * depth}* a\n" for depth in range(1000)),
        "***a" + "*b " * 300_000,
        "# a {x" + " " * 900_000,
        "".join("`" * count + " " for count in range(1, 1400)),
        "\n".join("`" * count for count in range(3, 1400)),
        '[a]: /x "' + "t" * 500_000 + '"\n\n' + "[a]\n\n" * 50_000,
        "[^a]: x\n\n" + "[^a] " * 100_000,
        "*[a]: " + "t" * 500_000 + "\n\n" + "a " * 200_000,
        "a|b\n-|-\n" + "|`" * 400_000,
        "\x02wzxhzdk:0\x03" * 50_000,
    ],
)
def test_a_text_made_to_take_for_ever_is_read_or_refused(text: str) -> None:
    assert is_read_or_refused(text)


def is_read_or_refused(text: str) -> bool:
    try:
        return isinstance(render_python(text, ALL, seconds=0.1), str)
    except TooCostlyError:
        return True


def test_a_text_that_is_refused_costs_its_file_alone(tmp_path: Path) -> None:
    write(tmp_path, {"pelicanconf.py": ""})
    found = harvest(tmp_path, {"a.md": "Title: A\n\n***a" + "*b " * 30_000, "b.md": "ok"})
    assert [entry.guid for entry in found.entries] == ["b"]
    assert [problem.where for problem in found.problems] == ["a.md"]


def test_whoever_watches_a_thread_still_does_after_a_text_was_read() -> None:
    import sys

    def watch(*_: object) -> None: ...

    sys.setprofile(watch)
    try:
        assert render_python("*a*", ["extra"]) == "<p><em>a</em></p>"
        assert sys.getprofile() is watch
    finally:
        sys.setprofile(None)


def test_the_listing_says_how_files_are_read() -> None:
    assert scan(Folder(SITES / "pelican" / "content" / "travel", SITE)).dialect.below == "travel"
