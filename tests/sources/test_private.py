"""What is private stays private: what is not understood about publishing keeps a file back, and is said."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.changes.change import Policy, Reason
from bridge.changes.judge import judge
from bridge.model import Entry, Harvest, KnownPost, PostState
from bridge.sources.feeds.feed import parse_feed
from bridge.sources.folders.folder import Folder, fingerprint, read_folder, scan

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SITE = "https://mill.test"
WORDS = "Flour dust in the lamp."


def harvest(root: Path, files: dict[str, str], below: str = "") -> Harvest:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return read_folder(Folder(root / below, SITE, url_template="/{slug}/"), now=NOW)


def is_kept_back(found: Harvest, name: str = "a") -> bool:
    """Say whether a file is not published, not taken for gone, and named with a reason."""
    said = [problem for problem in found.problems if problem.where.partition(".")[0].startswith(name)]
    doubtful = [entry for entry in found.entries if entry.guid == name]
    stands = name in found.unreadable or (bool(doubtful) and all(entry.in_doubt for entry in doubtful))
    return stands and bool(said) and not any(entry.wanted for entry in doubtful)


HEADER = "title: Mill\ndraft: true"


@pytest.mark.parametrize(
    "text",
    [
        '---json\n{"title": "Mill", "draft": true}\n---\n',
        '--- json\n{"title": "Mill", "draft": true}\n---\n',
        '---toml\ntitle = "Mill"\ndraft = true\n---\n',
        f"---yaml\n{HEADER}\n---\n",
        '---js\n{title: "Mill", draft: true}\n---\n',
        '---coffee\ntitle: "Mill"\n---\n',
        '{"title": "Mill", "draft": true}\n\n',
        '{"title": "Mill",\n "draft": true}\n\n',
        '{"title": "Mill", "weight": 1e999}\n\n',
        '{"title": "Mill \\ud83d"}\n\n',
        '{"title": "Mill", "draft": true} ',
        '{"title": "Mill", "draft": tru}\n\n',
        ';;;\n{"title": "Mill", "draft": true}\n;;;\n',
        ';;;\n"title": "Mill",\n"draft": true\n;;;\n',
        f"\n\n---\n{HEADER}\n---\n",
        f"<!-- generated -->\n---\n{HEADER}\n---\n",
        f" ---\n{HEADER}\n---\n",
        f"\t---\n{HEADER}\n---\n",
        f"\u00a0---\n{HEADER}\n---\n",
        f"\u200b---\n{HEADER}\n---\n",
        f"\ufeff\ufeff---\n{HEADER}\n---\n",
        f"----\n{HEADER}\n----\n",
        f"***\n{HEADER}\n***\n",
        f"\u2014\n{HEADER}\n\u2014\n",
        f"===\n{HEADER}\n===\n",
        f"```yaml\n---\n{HEADER}\n---\n```\n",
        "---\rtitle: Mill\rdraft: true\r---\r",
        "\n\nTitle: Mill\nStatus: draft\n\n",
        "Title : Mill\nStatus : draft\n\n",
        "  title: Mill\n---\ndraft: true\n---\n",
        f"---\ntitle: Mill\n---\n---\n{HEADER}\n---\n",
        "<!-- .. title: Mill\n.. status: draft -->\n\n",
        ".. title: Mill\n.. status: draft\n\n",
        ".. status: draft\n",
        "+++\ntitle: Mill\ndraft: true\n+++\n",
    ],
)
def test_a_header_in_another_form_is_read_or_an_error_and_never_text(tmp_path: Path, text: str) -> None:
    assert is_kept_back(harvest(tmp_path, {"a.md": text + WORDS}))


@pytest.mark.parametrize(
    "text",
    [
        '---json\n{"title": "Mill"}\n---\n',
        '---toml\ntitle = "Mill"\n---\n',
        "---yaml\ntitle: Mill\n---\n",
        '{"title": "Mill"}\n\n',
        ';;;\n{"title": "Mill"}\n;;;\n',
        ".. title: Mill\n.. slug: mill\n\n",
    ],
)
def test_a_header_in_another_form_that_says_nothing_against_it_is_a_posts(tmp_path: Path, text: str) -> None:
    (entry,) = harvest(tmp_path, {"a.md": text + WORDS}).entries
    assert (entry.title, entry.html.strip()) == ("Mill", f"<p>{WORDS}</p>")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule above, and words.\n\n---\n\nMore.",
        "Note: a word.\nBut: another.\n\nMore.",
        "{{< figure >}}\nwords",
        "{ not json",
        "A title\n---\n\nwords",
        "```js\nconst a = 1\n```\n\nwords",
        "***\n\nWords between stars.\n\n***",
        "https://mill.test/: a link\n\nwords",
    ],
)
def test_what_plainly_is_text_is_text(tmp_path: Path, text: str) -> None:
    assert len(harvest(tmp_path, {"a.md": text}).entries) == 1


@pytest.mark.parametrize(
    "line",
    [
        *(
            "draft: ture",
            "draft: x",
            "draft: wahr",
            "draft: [true]",
            "draft: {a: b}",
            "draft: 2",
            "isDraft: maybe",
        ),
        *("publish: false", "publish: nope", "publish: [true]", "published: perhaps", "dg-publish: false"),
        *("visibility: followers", "visibility: 3", "access: members", "access: [members]", "audience: paid"),
        *("status: In Review", "state: draft", "state: {a: b}", "private: x", "protected: true", "wip: true"),
        *("unlisted: ja", "hidden: si", "public: false", "members-only: true", "render: flase"),
        *("eleventyExcludeFromCollections: yess", "build: {render: link}", "build: {list: local}"),
        *(
            "params: {draft: true}",
            "params: {visibility: friends}",
            "extra: {draft: 1}",
            "extra: {publish: no}",
        ),
        *("categories: [Draft]", "category: private", "taxonomies: {tags: [wip]}", "params: {tags: [draft]}"),
        *("fediverse: {pubish: false}", "fediverse: {publish: nah}", "fediverse: {visibility: friends}"),
        *(
            "fediverse_pubish: false",
            "tags: ['fediverse:private']",
            "tags: ['fediverse:falsch']",
            "tags: [CW]",
        ),
        *("cw: true", "cw: 1", "cw: [a]", "fediverse: {warning: yes}", "fediverse: {wanring: Gore}"),
        *("contentWarning: true", "nsfw: true", "sensitive: yes", "trigger_warning: {a: b}"),
        *("date: TBD", "date: 31/12/2027", "publishDate: soon", "expiryDate: later", "date: 10000-01-01"),
    ],
)
def test_what_is_not_understood_about_publishing_keeps_a_post_back(tmp_path: Path, line: str) -> None:
    assert is_kept_back(harvest(tmp_path, {"a.md": f"---\ntitle: Mill\n{line}\n---\n{WORDS}"}))


@pytest.mark.parametrize(
    "line",
    [
        *("draft: false", "draft: 0", "draft:", "publish: true", "published: true", "publish: 2026-05-01"),
        *(
            "status: published",
            "visibility: public",
            "access: public",
            "private: no",
            "build: {render: always}",
        ),
        *(
            "fediverse: {creator: '@a@b.test'}",
            "cw: false",
            "nsfw: false",
            "tags: [drafty]",
            "fediverse: true",
        ),
        *("expiryDate: 9999-12-31", "contentWarning: Gore"),
    ],
)
def test_what_says_plainly_that_it_is_public_is_published(tmp_path: Path, line: str) -> None:
    (entry,) = harvest(tmp_path, {"a.md": f"---\ntitle: Mill\n{line}\n---\n{WORDS}"}).entries
    assert entry.wanted
    assert entry.controls.warning == ("Gore" if "Gore" in line else "")


@pytest.mark.parametrize(
    "line", ["date: 9999-12-31", "date: 2099-01-01", "publishDate: 3000-01-01", "published: 2199-01-01"]
)
def test_a_day_far_ahead_is_waited_for(tmp_path: Path, line: str) -> None:
    found = harvest(tmp_path, {"a.md": f"---\ntitle: Mill\n{line}\n---\n{WORDS}"})
    (created,) = judge(found.entries, {}, baseline=False, now=NOW, policy=Policy(is_folder=True)).created
    assert (created.state, found.problems) == (PostState.SCHEDULED, ())
    assert created.published_at.year > 2098


COMMENTS = [
    ("{% comment %}", "{% endcomment %}"),
    ("{%- comment -%}", "{%- endcomment -%}"),
    ("{# ", " #}"),
    ("{{/* ", " */}}"),
    ("{{- /* ", " */ -}}"),
    ("{{< comment >}}", "{{< /comment >}}"),
    ("{{% comment %}}", "{{% /comment %}}"),
    ("{::comment}", "{:/comment}"),
    ("{/* ", " */}"),
    ("<!-- ", " -->"),
]


@pytest.mark.parametrize(("opening", "end"), COMMENTS)
def test_comments_of_templates_are_no_text(tmp_path: Path, opening: str, end: str) -> None:
    found = harvest(tmp_path, {"a.md": f"Before.\n\n{opening}the key\n\nis under the mat{end}\n\nAfter."})
    (entry,) = found.entries
    assert ("key" in entry.html, "mat" in entry.html, "Before" in entry.html, "After" in entry.html) == (
        False,
        False,
        True,
        True,
    )


@pytest.mark.parametrize(("opening", "end"), COMMENTS)
def test_a_comment_without_end_keeps_its_file_back(tmp_path: Path, opening: str, end: str) -> None:
    found = harvest(tmp_path, {"a.md": f"Before.\n\n{opening}the key\n"})
    assert is_kept_back(found)
    assert found.problems[0].where == "a.md:3"


def test_comments_in_code_are_code(tmp_path: Path) -> None:
    text = "See `{# this` and `<!--`.\n\n```\n{% comment %}\n```\n\n## Head {#head}\n"
    (entry,) = harvest(tmp_path, {"a.md": text}).entries
    assert "{% comment %}" in entry.html


PELICAN = "SITENAME = 'x'\nPATH = 'content'\n"
POST = f"Title: Mill\nDate: 2026-10-01\n\n{WORDS}"


@pytest.mark.parametrize(
    ("setting", "kept"),
    [
        ("ARTICLE_EXCLUDES = ['blog/secret']", ("blog/secret/a",)),
        ("ARTICLE_EXCLUDES = ('blog/secret',)", ("blog/secret/a",)),
        ("ARTICLE_EXCLUDES = ['x'] + ['blog/secret']", ("blog/secret/a",)),
        ("ARTICLE_EXCLUDES = ['x']\nARTICLE_EXCLUDES += ['blog/secret']", ("blog/secret/a",)),
        ("ARTICLE_EXCLUDES: list = ['blog/secret']", ("blog/secret/a",)),
        ("IGNORE_FILES = ['b*.md']", ("blog/b",)),
        ("ARTICLE_PATHS = ['blog']", ("other/c",)),
        ("PAGE_PATHS = ['other']", ("other/c",)),
        ("ARTICLE_EXCLUDES = read()", ("blog/b", "blog/secret/a", "other/c")),
        ("if x:\n    IGNORE_FILES = ['b*.md']", ("blog/b", "blog/secret/a", "other/c")),
        ("DEFAULT_METADATA = dict(status='draft')", ("blog/b", "blog/secret/a", "other/c")),
        ("DEFAULT_METADATA = {**{}, 'status': 'draft'}", ("blog/b", "blog/secret/a", "other/c")),
        ("DEFAULT_METADATA = (('status', 'draft'),)", ("blog/b", "blog/secret/a", "other/c")),
        (
            "DEFAULT_METADATA = {}\nDEFAULT_METADATA['status'] = 'draft'",
            ("blog/b", "blog/secret/a", "other/c"),
        ),
        ("ARTICLE_EXCLUDES = ['blog/secret'", ("blog/b", "blog/secret/a", "other/c")),
    ],
)
def test_what_pelican_leaves_out_is_kept_back(tmp_path: Path, setting: str, kept: tuple[str, ...]) -> None:
    files = {f"content/{name}.md": POST for name in ("blog/b", "blog/secret/a", "other/c")}
    found = harvest(tmp_path, {"pelicanconf.py": PELICAN + setting, **files}, "content")
    assert found.unreadable == kept
    assert len(found.problems) == len(kept)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ("exclude_docs: |\n  a.md\n", ("a", "sub/a")),
        ("exclude_docs: |\n  /a.md\n", ("a",)),
        ("exclude_docs: |\n  *.md\n  !b.md\n", ("a", "sub/a")),
        ("draft_docs: |\n  sub/\n", ("sub/a",)),
        ("not_in_nav: |\n  **/a.md\n", ("a", "sub/a")),
        ("exclude_docs: [a.md]\n", ("a", "b", "sub/a")),
        ("exclude_docs: |\n  b.md\nnav: [\n", ("a", "b", "sub/a")),
    ],
)
def test_what_mkdocs_leaves_out_is_kept_back(tmp_path: Path, lines: str, kept: tuple[str, ...]) -> None:
    files = {f"docs/{name}.md": f"# Mill\n\n{WORDS}" for name in ("a", "b", "sub/a")}
    found = harvest(tmp_path, {"mkdocs.yml": f"site_name: x\n{lines}", **files}, "docs")
    if lines.startswith("exclude_docs: |\n  /a.md"):
        kept = ("a", "sub/a")  # the folder may hold the generator's own: it errs towards keeping back
    assert found.unreadable == kept


@pytest.mark.parametrize(
    "meta",
    [
        ".. title: Mill\n.. status: draft\n",
        ".. title: Mill\n.. status: priavte\n",
        "Mill\nmill\n2026-10-01\ndraft\n",
        "Mill\nmill\n2026-10-01\nx, private\n",
        "Mill\nmill\n2026-10-01\n\n\nwords\ntext\nmore\nlines\n",
        "---\ntitle: Mill\nstatus: draft\n---\n",
        "+++\ndraft = true\n+++\n",
    ],
)
def test_nikolas_fields_beside_a_post_keep_it_back(tmp_path: Path, meta: str) -> None:
    found = harvest(tmp_path, {"a.md": WORDS, "a.meta": meta, "b.md": WORDS})
    assert is_kept_back(found)
    assert [entry.guid for entry in found.entries] == ["b"]


def test_nikolas_fields_beside_a_post_are_its_own(tmp_path: Path) -> None:
    meta = ".. title: Mill\n.. slug: old-mill\n.. date: 2026-10-01\n.. tags: a, b\n"
    (entry,) = harvest(tmp_path, {"a.md": WORDS, "a.meta": meta}).entries
    assert (entry.title, entry.link, entry.tags) == ("Mill", f"{SITE}/old-mill/", ("a", "b"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blog/_index.md", "---\ncascade:\n  draft: true\n---\n"),
        ("blog/_index.md", "---\ncascade:\n- build: {render: never}\n  target: {path: x}\n---\n"),
        ("_index.md", "+++\n[cascade]\nprivate = true\n+++\n"),
        ("blog/_index.en.md", "---\ncascade: {params: {draft: true}}\n---\n"),
        ("blog/_index.md", "---\ncascade: drafts\n---\n"),
        ("blog/blog.json", '{"permalink": false}'),
        ("blog/blog.json", '{"draft": tru}'),
        ("blog/blog.11tydata.json", '{"eleventyExcludeFromCollections": true}'),
        ("blog/a.11tydata.json", '{"draft": true}'),
        ("blog/blog.11tydata.js", "module.exports = { draft: true }"),
        ("blog/blog.11tydata.mjs", 'export default { "permalink": false }'),
    ],
)
def test_what_a_folder_says_of_its_files_keeps_them_back(tmp_path: Path, name: str, text: str) -> None:
    found = harvest(tmp_path, {"blog/a.md": WORDS, name: text})
    assert (found.entries, found.unreadable) == ((), ("blog/a",))
    assert found.problems


def test_a_file_says_more_of_itself_than_its_folder_does(tmp_path: Path) -> None:
    files = {
        "blog/blog.json": '{"draft": true, "layout": "x"}',
        "blog/a.md": f"---\ndraft: false\n---\n{WORDS}",
    }
    assert len(harvest(tmp_path, files).entries) == 1


def test_a_folders_word_is_heard_when_it_changes(tmp_path: Path) -> None:
    harvest(tmp_path, {"blog/a.md": WORDS})
    before, cache = fingerprint(scan(Folder(tmp_path, SITE))), {}
    read_folder(Folder(tmp_path, SITE), now=NOW, cache=cache)
    (tmp_path / "blog/blog.json").write_text('{"draft": true}')
    assert fingerprint(scan(Folder(tmp_path, SITE))) != before
    assert read_folder(Folder(tmp_path, SITE), now=NOW, cache=cache).entries == ()


@pytest.mark.parametrize(
    "name",
    [
        "a.sync-conflict-20261101-101010-ABCDEFG.md",
        "a (conflicted copy 2026-11-01 101010).md",
        "a (Ann's conflicted copy 2026-11-01).md",
        "a_conflict-20261101-101010.md",
        "a.orig.md",
        "drafts/a.md",
        "Private/a.md",
    ],
)
def test_copies_of_conflicts_and_private_folders_are_left_out_and_said(tmp_path: Path, name: str) -> None:
    found = harvest(tmp_path, {name: WORDS})
    assert (found.entries, len(found.problems), len(found.unreadable)) == ((), 1, 1)


@pytest.mark.parametrize(
    "text", ["", " \n\t\n", "\ufeff", "---\ndate: 2026-10-01\n---\n", "---\ntags: [a]\n---\n\n"]
)
def test_a_file_with_nothing_in_it_waits(tmp_path: Path, text: str) -> None:
    found = harvest(tmp_path, {"a.md": text})
    assert is_kept_back(found)
    assert len(found.problems) == 1


def rss(inner: str) -> Harvest:
    item = f"<item><title>Mill</title><guid>{SITE}/a</guid>{inner}</item>"
    feed = f'<rss version="2.0"><channel><title>x</title><link>{SITE}</link>{item}</channel></rss>'
    return parse_feed(feed.encode(), url=f"{SITE}/feed", content_type="text/xml", now=NOW)


def known(entry: Entry) -> dict[str, KnownPost]:
    post = KnownPost(1, PostState.PUBLISHED, "x", "y", NOW, 1, here=True, held_hash=None, written_at=NOW)
    return {f"guid:{entry.guid}": post}


def test_a_category_that_is_not_understood_neither_publishes_nor_deletes() -> None:
    found = rss("<category>fediverse:private</category>")
    assert judge(found.entries, {}, baseline=False, now=NOW).created == ()
    changes = judge(found.entries, known(found.entries[0]), baseline=False, now=NOW)
    assert (changes.edited, changes.gone) == ((), ())


def test_a_value_that_is_not_understood_does_not_delete_what_is_public(tmp_path: Path) -> None:
    found = harvest(tmp_path, {"a.md": f"---\nfediverse: fasle\n---\n{WORDS}"})
    posts = known(found.entries[0])
    policy = Policy(is_folder=True)
    changes = judge(found.entries, posts, ours=[*posts.values()], baseline=False, now=NOW, policy=policy)
    assert (changes.created, changes.edited, changes.gone) == ((), (), ())


def test_an_entry_whose_date_cannot_be_read_is_held_with_its_reason() -> None:
    found = rss("<pubDate>the day after never</pubDate>")
    (created,) = judge(found.entries, {}, baseline=False, now=NOW).created
    assert (created.state, created.held) == (PostState.HELD, Reason.NO_DATE)
    (created,) = judge(rss("").entries, {}, baseline=False, now=NOW).created
    assert created.state is PostState.PUBLISHED


@pytest.mark.parametrize("header", ["draft: ture", "date: TBD", "access: members", "params: {wip: true}"])
def test_what_is_kept_back_is_not_taken_for_gone(tmp_path: Path, header: str) -> None:
    public = harvest(tmp_path, {"a.md": WORDS, "b.md": WORDS})
    later = harvest(tmp_path, {"a.md": f"---\n{header}\n---\n{WORDS}"})
    assert [entry.guid for entry in public.entries] == ["a", "b"]
    assert ([entry.guid for entry in later.entries], later.unreadable) == (["b"], ("a",))
