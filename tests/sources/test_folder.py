"""Markdown folders: what becomes an entry, under which identity and address, and what is never opened."""

import os
import socket
import tarfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from places import DATA, SHARED

from bridge.config.values import PAGE_FIELDS
from bridge.errors import FolderError, SourceError
from bridge.markup.html import to_note_html
from bridge.model import Entry, Harvest
from bridge.sources.folders.folder import Cached, Folder, fingerprint, open_below, read_folder, scan

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SITE = "https://bakery.test"
ARCHIVES = SHARED / "feeds"


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def harvest(root: Path, files: dict[str, str | bytes] | None = None, **options: Any) -> Harvest:
    write(root, files or {})
    return read_folder(Folder(root, SITE, **options), now=NOW)


def post(root: Path, text: str, name: str = "post.md", **options: Any) -> Entry:
    (entry,) = harvest(root, {name: text}, **options).entries
    return entry


def test_the_sample_folder_yields_what_four_generators_write() -> None:
    found = read_folder(Folder(DATA / "folders" / "mixed", SITE, url_template="/{slug}/"), now=NOW)
    assert [(e.guid, e.title, e.link, e.tags) for e in found.entries] == [
        ("_posts/2026-05-01-jekyll", "Jekyll’s post", f"{SITE}/jekyll/", ("bread", "rye")),
        ("astro", "Astro", f"{SITE}/astro/", ("a",)),
        ("hugo/bundle", "Hugo’s bundle", f"{SITE}/bundle/", ("Oven",)),
        ("zola", "Zola", f"{SITE}/custom/zola/", ("rust", "web")),
    ]
    jekyll, astro, hugo, zola = found.entries
    assert jekyll.published_at == datetime(2026, 5, 1, tzinfo=UTC)
    assert "puts 1 &lt; 2" in to_note_html(jekyll.html).html
    assert [(i.url, i.alt) for i in astro.images] == [(f"{SITE}/astro/a.png", "An a")]
    assert [(i.url, i.alt) for i in hugo.images] == [(f"{SITE}/bundle/cover.jpg", "The oven")]
    note = to_note_html(hugo.html)
    assert [i.alt for i in note.images] == ["Loaves"]
    assert "https://www.youtube.com/watch?v=abcdefghijk" in note.html
    assert "notice" not in note.html
    assert (zola.published_at, zola.updated_at) == (
        datetime(2026, 5, 2, tzinfo=UTC),
        datetime(2026, 5, 3, 8, tzinfo=UTC),
    )
    assert [i.url for i in zola.images] == [f"{SITE}/custom/zola/hero.webp"]
    assert found.problems == ()


def test_drafts_sections_readmes_and_editors_files_are_not_yielded(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": "---\ndraft: true\n---\nx",
        "b.md": "---\npublished: false\n---\nx",
        "_drafts/c.md": "x",
        "_index.md": "x",
        "blog/_index.fr.md": "x",
        "README.md": "x",
        ".hidden.md": "x",
        ".git/d.md": "x",
        "e.md~": "x",
        ".e.md.swp": "x",
        "#e.md#": "x",
        "#f.md": "x",
        "g.tmp": "x",
        "h.txt": "x",
        "i.md": "---\nexpiryDate: 2026-10-01\n---\nx",
        "ok.md": "x",
    }
    assert [e.guid for e in harvest(tmp_path, files).entries] == ["ok"]


def test_published_may_be_a_date(tmp_path: Path) -> None:
    assert post(tmp_path, "---\npublished: 2026-05-01\n---\nx").published_at == datetime(
        2026, 5, 1, tzinfo=UTC
    )


def test_turning_a_file_into_a_bundle_keeps_its_identity(tmp_path: Path) -> None:
    before = post(tmp_path / "one", "x", "posts/hello.md")
    after = post(tmp_path / "two", "x", "posts/hello/index.md")
    assert before.guid == after.guid == "posts/hello"


def test_two_files_with_one_identity_are_a_problem(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"a.md": "x", "a/index.md": "y"})
    assert [e.guid for e in found.entries] == ["a"]
    assert "is named like a.md" in found.problems[0].what


def test_a_translation_has_its_language_and_an_identity_of_its_own(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"a.md": "x", "a.fr.md": "y", "notes.js.md": "z"})
    assert [(e.guid, e.language) for e in found.entries] == [("a.fr", "fr"), ("a", None), ("notes.js", None)]


@pytest.mark.parametrize(
    ("name", "text", "title", "body"),
    [
        ("a.md", "---\ntitle: Given\n---\n# Other\n\nx", "Given", "<p><strong>Other</strong></p><p>x</p>"),
        ("a.md", "---\ntitle: Same\n---\n\n# Same\n\nx", "Same", "<p>x</p>"),
        ("a.md", "\n# First *one* #\nx", "First one", "<p>x</p>"),
        ("2026-05-01-my_first-loaf.md", "x", "My first loaf", "<p>x</p>"),
        (
            "a.md",
            "---\ntitle: '{{7*7}} {0.__class__} %s <b>'\n---\nx",
            "{{7*7}} {0.__class__} %s <b>",
            "<p>x</p>",
        ),
    ],
)
def test_the_title_is_found(tmp_path: Path, name: str, text: str, title: str, body: str) -> None:
    entry = post(tmp_path, text, name)
    assert (entry.title, to_note_html(entry.html).html) == (title, body)


@pytest.mark.parametrize(
    ("text", "template", "link"),
    [
        ("x", None, None),
        ("x", "/{slug}/", f"{SITE}/a-b/"),
        ("x", "https://other.test/{path}.html", "https://other.test/posts/2026-05-01-a-b.html"),
        ("x", "/{year}/{month}/{day}/{slug}", f"{SITE}/2026/05/01/a-b"),
        ("x", "/{folder}/{slug}", f"{SITE}/posts/a-b"),
        ("---\ntitle: Über Brot!\n---", "/{title_slug}", f"{SITE}/%C3%BCber-brot"),
        ("---\nslug: My/../Slug\n---", "/{slug}/", None),
        ("---\nslug: x y\n---", "/{slug}/", f"{SITE}/x-y/"),
        ("---\npermalink: /own/place/\n---", "/{slug}/", f"{SITE}/own/place/"),
        ("---\nurl: https://full.test/x\n---", "/{slug}/", "https://full.test/x"),
        ("---\nurl: javascript:alert(1)\n---", "/{slug}/", f"{SITE}/a-b/"),
        ("---\npermalink: /:year/:title/\n---", "/{slug}/", f"{SITE}/a-b/"),
        ("---\npermalink: /{{ page.x }}/\n---", "/{slug}/", f"{SITE}/a-b/"),
        ("---\ncategories: [Web Dev, b]\n---", "/{category}/{slug}/", f"{SITE}/web-dev/a-b/"),
    ],
)
def test_the_link_is_found(tmp_path: Path, text: str, template: str | None, link: str | None) -> None:
    assert post(tmp_path, text + "\nx", "posts/2026-05-01-a-b.md", url_template=template).link == link


@pytest.mark.parametrize("field", PAGE_FIELDS)
def test_every_field_that_a_page_address_may_hold_is_filled_in(tmp_path: Path, field: str) -> None:
    text = "---\ntitle: A b\ndate: 2026-05-01\ncategories: [bread]\nlang: de\n---\nx"
    link = post(tmp_path, text, "posts/a.md", url_template=f"/on/{{{field}}}/").link
    assert link is not None
    assert not link.endswith("/on//")


def test_a_template_that_needs_a_missing_date_leaves_no_link_and_says_why(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"a.md": "x"}, url_template="/{year}/{slug}")
    assert found.entries[0].link is None
    assert "its date" in found.problems[0].what


def test_dates_without_offset_are_in_the_sites_zone(tmp_path: Path) -> None:
    entry = post(tmp_path, "x", "2026-05-01-a.md", zone=timezone(timedelta(hours=2)), url_template="/{day}/")
    assert entry.published_at == datetime(2026, 4, 30, 22, tzinfo=UTC)
    assert entry.link == f"{SITE}/01/"


def test_a_date_that_does_not_exist_is_a_problem_and_keeps_the_post_back(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"a.md": "---\ndate: 2026-02-30\n---\nx"})
    assert (found.entries, found.unreadable) == ((), ("a",))
    assert found.problems[0].where == "a.md"
    assert "2026-02-30" in found.problems[0].what


def test_the_text_before_more_is_the_summary(tmp_path: Path) -> None:
    entry = post(tmp_path, "First.\n\n<!-- more -->\n\nSecond.")
    assert entry.summary == "First."
    assert to_note_html(entry.html).html == "<p>First.</p><p>Second.</p>"


def served(path: str) -> str:
    return "https://bridge.test/media/" + path


def test_local_pictures_are_served_by_us_if_they_exist(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "p/index.md": "---\ncover:\n  image: c.png\n  alt: C\n---\n"
        "![B](b%20c.jpg) ![](../../etc/x.png) ![](no.png) ![](index.md)",
        "p/b c.jpg": b"",
        "p/c.png": b"",
    }
    (entry,) = harvest(tmp_path, files, media_url=served).entries
    assert [(i.url, i.alt) for i in entry.images] == [(served("p/c.png"), "C")]
    assert [i.url for i in to_note_html(entry.html).images][:1] == [
        served("p/b%20c.jpg").replace("%20", "%20")
    ]
    assert "etc" not in "".join(i.url for i in to_note_html(entry.html).images if "bridge.test" in i.url)


def test_pictures_of_a_page_bundle_lie_beside_its_page(tmp_path: Path) -> None:
    entry = post(tmp_path, "![B](b.jpg) ![R](/r.jpg)", "p/index.md", url_template="/x/{slug}/")
    assert [i.url for i in to_note_html(entry.html).images] == [f"{SITE}/x/p/b.jpg", f"{SITE}/r.jpg"]


def test_a_link_to_another_markdown_file_becomes_text(tmp_path: Path) -> None:
    entry = post(tmp_path, "see [that](other.md) and [page](../x/)", url_template="/a/{slug}/")
    assert to_note_html(entry.html).html == f'<p>see that and <a href="{SITE}/a/x/">page</a></p>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("~~gone~~ and `~~kept~~`", "<p><s>gone</s> and <code>~~kept~~</code></p>"),
        (
            "see https://x.test/a_b_c. And (https://y.test/).",
            '<p>see <a href="https://x.test/a_b_c">https://x.test/a_b_c</a>. '
            'And (<a href="https://y.test/">https://y.test/</a>).</p>',
        ),
        ("[https://x.test/](https://x.test/)", '<p><a href="https://x.test/">https://x.test/</a></p>'),
        (
            "`{{< youtube a >}}` {{< unknown >}}x{{< /unknown >}}",
            "<p><code>{{&lt; youtube a &gt;}}</code> x</p>",
        ),
        ("```\n{% raw %}{{ x }}\n```", "<pre><code>{% raw %}{{ x }}</code></pre>"),
        ("{% raw %}{{ x | url }}{% endraw %}", "<p>{{ x | url }}</p>"),
        ("[[Some page|this]] and [[folder/that]]", "<p>this and that</p>"),
        ("Note[^1].\n\n[^1]: Small.", "<p>Note[1].</p><p>* * *</p><ol><li>Small.</li></ol>"),
        ("<script>alert(1)</script>\n\n<p onclick=x>ok</p>", "<p>ok</p>"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<p><strong>a</strong> | <strong>b</strong><br>1 | 2</p>"),
        ("so:\n- a\n  - b", "<p>so:</p><ul><li>a<ul><li>b</li></ul></li></ul>"),
        ("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>"),
        ("[TOC]\n\n* TOC\n{:toc}\n\nx\n{: .lead}", "<p>x</p>"),
        (":::note Mind\nthe gap\n:::", "<p><strong>Mind</strong></p><p>the gap</p>"),
        ('!!! tip "Mind"\n    the gap\n\nx', "<p><strong>Mind</strong></p><p>the gap</p><p>x</p>"),
        ("> [!NOTE]\n> x", "<blockquote><p><strong>Note</strong><br><br>x</p></blockquote>"),
        ("> [!tip]- Mind\n> x", "<blockquote><p><strong>Mind</strong><br><br>x</p></blockquote>"),
        (
            "import A from './A.astro'\nimport {\n  B\n} from 'b'\n\n<A x={1}>in</A>\n\n{/* no */}",
            "<p>in</p>",
        ),
        (
            "<details><summary>S</summary>\n\n**b**\n\n</details>",
            "<p><strong>S</strong></p><p><strong>b</strong></p>",
        ),
        ("a ==b== [c](https://c.test){:.d} e{.f}", '<p>a b <a href="https://c.test">c</a> e</p>'),
        ("H~2~O, x^2^, a^[b] %%c%%", "<p>H₂O, x², a (b)</p>"),
        ("{{ page.title }}x {{ site.time | date: '%Y' }}", "<p>x</p>"),
        ("```\n:::note\n- [ ] {: .x}\n```", "<pre><code>:::note\n- [ ] {: .x}</code></pre>"),
        ("# A\n\n## B {#b}\n\n*[CSS]: Sheets", "<p><strong>B</strong></p>"),
    ],
)
def test_markdown_as_generators_read_it(tmp_path: Path, text: str, html: str) -> None:
    assert to_note_html(post(tmp_path, text).html).html == html


def test_a_broken_file_is_a_problem_unreadable_and_stops_no_other(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "bad.md": "---\ntitle: a: b\n---\nx",
        "latin.md": b"ok\ncaf\xe9",
        "big.md": b"x" * 2_000_001,
        "good.md": "x",
    }
    found = harvest(tmp_path, files)
    assert [e.guid for e in found.entries] == ["good"]
    assert [p.where for p in found.problems] == ["bad.md:2", "big.md", "latin.md:2"]
    assert found.unreadable == ("bad", "big", "latin")


def test_nothing_outside_the_folder_is_ever_read(tmp_path: Path) -> None:
    write(tmp_path, {"secret.md": "secret", "outside/x.md": "secret"})
    root = write(tmp_path / "root", {"ok.md": "x", "sub/in.md": "y"})
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "dir").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.md"))
        for allow in (False, True):
            found = harvest(root, allow_symlinks=allow)
            assert [e.guid for e in found.entries] == ["ok", "sub/in"]
            assert {"link.md", "dir", "pipe.md", "socket.md"} <= {p.where for p in found.problems}


def test_links_inside_the_folder_are_followed_when_allowed(tmp_path: Path) -> None:
    root = write(tmp_path, {"real/a.md": "x", ".store/b.md": "y"})
    (root / "b.md").symlink_to(root / ".store" / "b.md")
    assert [e.guid for e in harvest(root).entries] == ["real/a"]
    assert [e.guid for e in harvest(root, allow_symlinks=True).entries] == ["b", "real/a"]


@pytest.mark.parametrize(
    "path", ["../secret.md", "sub/../../secret.md", "/etc/passwd", "link.md", "dir/secret.md"]
)
def test_a_path_that_turned_into_a_way_out_is_not_opened(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"secret.md": "secret", "outside/secret.md": "s"})
    root = write(tmp_path / "root", {"sub/a.md": "x"})
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "dir").symlink_to(tmp_path / "outside")
    for allow in (False, True):
        with pytest.raises((SourceError, OSError)):
            os.close(open_below(Folder(root, SITE, allow_symlinks=allow), path))


def test_names_that_are_no_text_are_problems(tmp_path: Path) -> None:
    write(tmp_path, {"ok.md": "x"})
    for name in (b"bad\xff.md", b"line\nbreak.md"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"x")
    found = harvest(tmp_path)
    assert [e.guid for e in found.entries] == ["ok"]
    assert len(found.problems) == 2
    "".join(p.where for p in found.problems).encode()


def test_folders_below_the_sixteenth_are_skipped_with_a_problem(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"d/" * 20 + "deep.md": "x", "a.md": "x"})
    assert [e.guid for e in found.entries] == ["a"]
    assert "16 folders" in found.problems[0].what


def test_a_missing_folder_is_a_folder_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nowhere"):
        harvest_missing = Folder(tmp_path / "nowhere", SITE)
        scan(harvest_missing)


def test_the_fingerprint_changes_with_files_and_pictures_only(tmp_path: Path) -> None:
    folder = Folder(write(tmp_path, {"a.md": "x"}), SITE)
    first = fingerprint(scan(folder))
    assert fingerprint(scan(folder)) == first
    seen = {first}
    for name, text in (("a.md", "longer"), ("b.md", "x"), ("p.png", "")):
        write(tmp_path, {name: text})
        seen.add(fingerprint(scan(folder)))
    (tmp_path / "b.md").rename(tmp_path / "c.md")
    seen.add(fingerprint(scan(folder)))
    assert len(seen) == 5
    last = fingerprint(scan(folder))
    write(tmp_path, {"notes.txt": "x"})
    assert fingerprint(scan(folder)) == last


def test_an_unchanged_file_is_not_rendered_again(tmp_path: Path) -> None:
    cache: dict[str, Cached] = {}
    folder = Folder(write(tmp_path, {"a.md": "![](p.png)", "b.md": "y"}), SITE, media_url=served)
    first = read_folder(folder, now=NOW, cache=cache)
    again = read_folder(folder, now=NOW, cache=cache)
    assert again == first
    assert again.entries[0] is first.entries[0]
    write(tmp_path, {"p.png": "", "b.md": "changed"})
    third = read_folder(folder, now=NOW, cache=cache)
    assert served("p.png") in third.entries[0].html
    assert "changed" in third.entries[1].html
    (tmp_path / "b.md").unlink()
    read_folder(folder, now=NOW, cache=cache)
    assert set(cache) == {"a.md"}


def test_a_post_expires_even_when_its_file_is_cached(tmp_path: Path) -> None:
    cache: dict[str, Cached] = {}
    folder = Folder(write(tmp_path, {"a.md": "---\nexpiryDate: 2026-11-02\n---\nx"}), SITE)
    assert read_folder(folder, now=NOW, cache=cache).entries
    assert not read_folder(folder, now=NOW + timedelta(days=2), cache=cache).entries


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20000,
        "*a " * 20000,
        "> " * 3000 + "x",
        "`" * 20000,
        "![" * 10000,
        "<div>" * 5000,
        "* " * 3000,
        "{{<" * 20000,
        "{% " * 20000,
        "[[" * 20000,
    ],
)
def test_pathological_markdown_is_an_entry_or_a_problem_within_seconds(tmp_path: Path, text: str) -> None:
    found = harvest(tmp_path, {"a.md": text, "b.md": "ok"})
    assert found.entries[-1].guid == "b"
    assert len(found.entries) + len(found.problems) == 2


def test_every_file_of_real_blogs_is_an_entry_or_a_problem(tmp_path: Path) -> None:
    archive = ARCHIVES / "markdown.tar.xz"
    if not archive.exists():
        pytest.skip(
            f"{archive} is not here: it holds other people's posts, which are not part of this project"
        )
    with tarfile.open(archive) as tar:
        members = [m for m in tar if "/snapshot/" in m.name and "jackyzhao" not in m.name]
        tar.extractall(tmp_path, members, filter="data")
    read = 0
    for root in sorted(tmp_path.glob("**/snapshot")):
        found = read_folder(Folder(root, SITE, url_template="/{path}/"), now=NOW)
        assert all(entry.title and entry.guid for entry in found.entries)
        assert not found.unreadable
        read += len(found.entries)
    assert read > 600


# ── who is meant to read it ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "header",
    [
        "permalink: false",
        "eleventyExcludeFromCollections: true",
        "unlisted: true",
        "hidden: true",
        "private: true",
        "password: s3cret",
        "visibility: private",
        "status: pending",
        "tags: [a, draft]",
        "build:\n  list: never",
        "_build:\n  render: false",
    ],
)
def test_what_is_not_meant_to_be_found_is_not_published(tmp_path: Path, header: str) -> None:
    assert harvest(tmp_path, {"a.md": f"---\n{header}\n---\nx"}).entries == ()


@pytest.mark.parametrize(
    ("name", "header", "count"),
    [
        ("about.md", "title: Us", 0),
        ("index.md", "title: Home", 0),
        ("visit.md", "layout: page", 0),
        ("about.md", "date: 2026-05-01", 1),
        ("visit.md", "layout: post", 1),
        ("trip/index.md", "title: Trip", 1),
        ("note.mdx", "title: Trip", 1),
    ],
)
def test_standing_pages_are_no_posts(tmp_path: Path, name: str, header: str, count: int) -> None:
    assert len(harvest(tmp_path, {name: f"---\n{header}\n---\nx"}).entries) == count


def test_a_day_of_release_to_come_counts_and_one_gone_by_does_not(tmp_path: Path) -> None:
    entry = post(tmp_path, "---\ndate: 2026-01-01\npublishDate: 2027-01-01\n---\nx")
    assert entry.published_at == datetime(2027, 1, 1, tzinfo=UTC)
    entry = post(tmp_path, "---\ndate: 2026-01-01\npublishDate: 2026-01-02\n---\nx")
    assert entry.published_at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Title: Fresh buns\nDate: 2026-05-01 10:00\nTags: a, b\n\nAt eight.",
        "<!--\n.. title: Fresh buns\n.. date: 2026-05-01 12:00:00 UTC+02:00\n.. tags: a, b\n-->\nAt eight.",
        "title: Fresh buns\ndate: 2026-05-01 10:00\ntags:\n- a\n- b\n---\nAt eight.",
        "# Fresh buns\n\n- date: 2026-05-01 10:00\n- tags: a, b\n\n---\n\nAt eight.",
    ],
)
def test_headers_of_other_generators_are_read(tmp_path: Path, text: str) -> None:
    entry = post(tmp_path, text)
    assert (entry.title, entry.tags) == ("Fresh buns", ("a", "b"))
    assert entry.published_at == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert to_note_html(entry.html).html == "<p>At eight.</p>"


def test_words_with_a_colon_are_no_header(tmp_path: Path) -> None:
    assert to_note_html(post(tmp_path, "Note: this\nBut: that").html).text == "Note: this But: that"


def test_titles_and_descriptions_lose_their_markup_and_collections_are_no_tags(tmp_path: Path) -> None:
    entry = post(
        tmp_path, "---\ntitle: The `a` &amp; **b** of _c_\ndescription: <em>d</em>\ntags: [posts, x]\n---\n"
    )
    assert (entry.title, entry.summary, entry.tags) == ("The a & b of c", "d", ("x",))
    assert post(tmp_path, "---\ntitle: snake_case_name * 2\n---\n").title == "snake_case_name * 2"
