"""Front matter: three formats, typed getters, and errors that name file and line."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import SourceError
from bridge.sources.folders import frontmatter
from bridge.sources.folders.frontmatter import Fields, split


def yaml(block: str) -> Fields:
    return split(f"---\n{block}\n---\nBody\n", "a.md")[0]


def test_yaml_toml_and_json_yield_fields_body_and_its_line() -> None:
    assert split("---\ntitle: A\n---\nBody", "a.md") == ({"title": "A"}, "Body", 4)
    assert split('+++\ntitle = "A"\n+++\nBody', "a.md") == ({"title": "A"}, "Body", 4)
    assert split('{\n"title": "A"\n}\nBody', "a.md") == ({"title": "A"}, "Body", 4)


def test_a_file_without_front_matter_is_all_body() -> None:
    for text in ("Just text", "", "---\n\nA rule above", "{{< figure >}}\ntext", "{ not json"):
        assert split(text, "a.md") == ({}, text, 1)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    assert split("\ufeff---\r\ntitle: A\r\n---\r\nBody", "a.md") == ({"title": "A"}, "Body", 4)


def test_words_that_yaml_turns_into_something_else_stay_words() -> None:
    fields = yaml("title: yes\nversion: 1.10\ntime: 12:30:00\nslug: 0123\nempty: null\nquoted: 'no'\n=: 3")
    assert frontmatter.text(fields, "title") == "yes"
    assert frontmatter.text(fields, "version") == "1.10"
    assert frontmatter.text(fields, "time") == "12:30:00"
    assert frontmatter.text(fields, "slug") == "0123"
    assert frontmatter.text(fields, "empty") == ""
    assert frontmatter.text(fields, "quoted") == "no"


def test_field_names_are_compared_without_case_and_dashes() -> None:
    fields = yaml("pubDate: 2026-05-01\ncover-image:\n  Alt-Text: x")
    assert frontmatter.text(fields, "pubdate") == "2026-05-01"
    assert frontmatter.text(frontmatter.table(fields, "cover_image"), "alt_text") == "x"


@pytest.mark.parametrize(
    ("block", "name", "expected"),
    [
        ("tags: [a, b c]", "tags", ["a", "b c"]),
        ("tags: a, b c", "tags", ["a", "b c"]),
        ("tags: a b", "tags", ["a", "b"]),
        ("category: a b", "category", ["a b"]),
        ("categories:\n- [x, y]\n- z", "categories", ["x", "y", "z"]),
        ("tags: [1, true, null, {a: b}]", "tags", ["1", "true"]),
        ("tags:", "tags", []),
    ],
)
def test_lists_are_read_as_people_write_them(block: str, name: str, expected: list[str]) -> None:
    assert frontmatter.texts(yaml(block), name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-05-01", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("2026-05-01T10:00:00Z", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("2026-05-01 10:00:00 +0300", datetime(2026, 5, 1, 7, tzinfo=UTC)),
        ("2026-05-01 10:00", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("May 1, 2026", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        (date(2026, 5, 1), datetime(2026, 4, 30, 22, tzinfo=UTC)),
        (datetime(2026, 5, 1, 10), datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-02-30", None),
        ("2026-05-01T10:00:00+25:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        (["2026-05-01"], None),
        (None, None),
    ],
)
def test_dates_are_read_in_the_sites_zone(value: object, expected: datetime | None) -> None:
    assert frontmatter.moment(value, timezone(timedelta(hours=2))) == expected


def test_toml_dates_and_booleans_keep_their_types() -> None:
    fields, _, _ = split(
        "+++\ndate = 2026-05-01T10:00:00+02:00\nday = 2026-05-01\ndraft = true\n+++\n", "a.md"
    )
    assert frontmatter.moment(fields["date"]) == datetime(2026, 5, 1, 8, tzinfo=UTC)
    assert frontmatter.moment(fields["day"]) == datetime(2026, 5, 1, tzinfo=UTC)
    assert frontmatter.flag(fields, "draft") is True


def test_a_flag_is_yes_no_or_unknown() -> None:
    fields = yaml("a: true\nb: no\nc: ''")
    assert [frontmatter.flag(fields, name) for name in "abcd"] == [True, False, None, None]


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("---\ntitle: A\n", 1, "closing line"),
        ('---\nok: 1\ntitle: "A\n---\n', 3, "double quotes"),
        ("---\ntitle: a: b\n---\n", 2, "double quotes"),
        ("---\n- a\n- b\n---\n", 2, "name: value"),
        ("+++\nok = 1\ntitle = A\n+++\n", 3, "double quotes"),
        ('{\n"a": 1,\n}\n', 1, "commas"),
        ("---\nx: " + "y" * 70000 + "\n---\n", 1, "64 KB"),
        ("---\na: " + "[" * 5000 + "\n---\n", 2, "front matter"),
        ("---\n? [a]\n: b\n---\n", 2, "front matter"),
        ("---\na: *b\n---\n", 2, "front matter"),
    ],
)
def test_a_broken_block_names_file_line_and_remedy(text: str, line: int, remedy: str) -> None:
    with pytest.raises(SourceError) as error:
        split(text, "posts/a.md")
    assert str(error.value).startswith(f"posts/a.md:{line}:")
    assert remedy in str(error.value)


def test_tags_of_python_objects_construct_nothing() -> None:
    fields = yaml(
        "title: !!python/object/apply:os.system ['touch /tmp/owned']\nother: !!python/name:os.system x"
    )
    assert fields["title"] == ["touch /tmp/owned"]


def test_an_alias_bomb_is_refused_and_a_few_aliases_are_fine() -> None:
    bomb = "a: &a [x]\n" + "b: [" + ", ".join(["*a"] * 51) + "]"
    with pytest.raises(SourceError, match="50 aliases"):
        yaml(bomb)
    assert frontmatter.texts(yaml("a: &a x\ntags: [*a, y]"), "tags") == ["x", "y"]


def test_merges_are_not_performed() -> None:
    assert "secret" not in yaml("base: &b {secret: 1}\n<<: *b")


def test_tabs_that_other_readers_take_are_taken() -> None:
    assert frontmatter.texts(yaml("tags:\n\t- a\n\t- b"), "tags") == ["a", "b"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="-+={}[]:#&*!|>'\"%@`?, \n\tabty01.<~\\", max_size=120))
def test_any_block_is_fields_or_a_source_error(block: str) -> None:
    for fence in ("---", "+++"):
        try:
            fields, _, _ = split(f"{fence}\n{block}\n{fence}\n", "a.md")
        except SourceError as error:
            assert str(error).startswith("a.md:")
        else:
            for name in fields:
                frontmatter.text(fields, name)
                frontmatter.texts(fields, name)
                frontmatter.flag(fields, name)
                frontmatter.moment(fields[name])
