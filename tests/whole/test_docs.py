"""Keeps the documents true: links lead somewhere, commands and keys exist, the design names every module."""

import pkgutil
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from places import ROOT

from bridge import PRODUCT, __version__
from bridge.cli.main import COMMANDS, cli
from bridge.config import load_config

NOT_OURS = {"node_modules", ".venv", "content", "data", "build"}

# Of the places where this is written, nothing belongs into what others read.
FORBIDDEN = ("/work/", "shared/", "sub-agent", "subagent", "helper agent", "language model", " LLM")

# Numbered facts of papers that no reader has. A source is an RFC's section, a FEP, a CVE, an issue or a
# server's file that everyone can open; where there is none, the reason is given.
UNREADABLE = re.compile(
    r"\b(?:SECURITY|PROTOCOL|DESIGN|LESSONS|STRICTNESS)(?:\.md)?[ ,]*(?:§|[A-Z]?\d)"
    r"|\(R\d+\)|(?<!\d )§ ?[A-Z\d]"
)

# What a name with a dot is, where it is none of the program.
FILES = (".toml", ".json", ".md", ".yml", ".py")

# Between any number of backticks and as many again, within one paragraph.
INLINE = re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
SHELL = re.compile(r"^(?:\$ |[\w./-]*/)?(?:python -m bridge|fedibridge) (?P<words>.*)$")


def documents() -> list[Path]:
    found = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
    found += sorted((ROOT / "tests" / "interop").glob("*.md")) + sorted((ROOT / "benchmarks").glob("*.md"))
    return [path for path in found if NOT_OURS.isdisjoint(path.relative_to(ROOT).parts)]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("path", documents(), ids=name_of)


# ── reading Markdown ─────────────────────────────────────────────────────────────────────────────


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """Return a document without its code, in which brackets are no links."""
    return INLINE.sub("", without_fences(text))


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Return the anchors that headings get where the documents are read."""
    found: set[str] = set()
    text = without_fences(path.read_text(encoding="utf-8"))
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-{len(found)}")
    return found


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def code_lines(text: str) -> Iterator[str]:
    """Yield every line of code: fenced, indented, or between backticks in a line of prose."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines() if language in ("", "sh", "console", "ini") else ()
    indented = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
    rest = without_fences(text)
    yield from indented.findall(rest)
    yield from (" ".join(found[2].split()) for found in INLINE.finditer(indented.sub("", rest)))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `fedibridge` of every command line a document shows."""
    for line in code_lines(text):
        for part in re.split(r" (?:&&|\|) ", line.partition(" #")[0].strip()):
            part = re.sub(r"^docker compose exec bridge ", "", part)
            part = re.sub(r"^ExecStart=", "", part)
            shown = SHELL.match(part)
            if shown and shown["words"][:1].isascii() and re.match(r"[a-z-]", shown["words"]):
                yield shlex.split(shown["words"].replace("…", "X"))


# ── what they say ────────────────────────────────────────────────────────────────────────────────


def test_the_readme_can_be_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 250


@each_document
def test_every_link_leads_somewhere(path):
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{name_of(path)} links to {link}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name_of(path)}: {name_of(target)} has no heading #{anchor}"


@each_document
def test_every_command_shown_exists_with_its_options(path):
    for words in commands(path.read_text(encoding="utf-8")):
        problem = misspelt(cli, words)
        assert problem is None, f"{name_of(path)} shows `fedibridge {' '.join(words)}`: {problem}"


def misspelt(command: click.Command, words: list[str]) -> str | None:
    """Say what is wrong with a command line, by its shape only: nothing is run."""
    context = click.Context(command)
    options = {name: one for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
    takes_words = any(isinstance(one, click.Argument) for one in command.params)
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            option = options.get(word.partition("=")[0])
            if option is None:
                return f"there is no option {word}"
            if not option.is_flag and "=" not in word and word not in ("--help", "--version") and rest:
                rest.pop(0)
        elif isinstance(command, click.Group) and (found := command.get_command(context, word)):
            return misspelt(found, rest)
        elif not takes_words:
            return f"there is no command {word}"
    return None


@each_document
def test_every_config_shown_loads(path, tmp_path):
    for number, block in enumerate(blocks(path.read_text(encoding="utf-8"), "toml")):
        folder = tmp_path / str(number)
        for name in ("posts", "content", "media"):
            (folder / name).mkdir(parents=True)
        (folder / "media" / "icon.png").touch()
        (folder / "config.toml").write_text(whole_config(block), encoding="utf-8")
        assert load_config(folder / "config.toml", environ={}).sites


def whole_config(snippet: str) -> str:
    """Complete a snippet that shows only some keys with everything a config needs."""
    shown = tomllib.loads(snippet)
    snippet = snippet.replace('"…"', f'"{"x" * 32}"')
    if "base_url" not in shown:
        snippet = 'base_url = "https://cafe.example"\n' + snippet
    for key, site in shown.get("sites", {"other": {}}).items():
        snippet = with_site(snippet, key, site)
    return snippet


def with_site(snippet: str, key: str, shown: Mapping[str, object]) -> str:
    needed = {"handle": f"@{key}@cafe.example", "website": "https://cafe.example/", "name": key}
    missing = "".join(f'{name} = "{value}"\n' for name, value in needed.items() if name not in shown)
    header = f"[sites.{key}]"
    if not re.search(rf"^{re.escape(header)}", snippet, re.MULTILINE):
        snippet += f"\n{header}\n"
    snippet = re.sub(rf"^{re.escape(header)}.*\n", rf"\g<0>{missing}", snippet, flags=re.MULTILINE)
    source = f'\n[[sites.{key}.sources]]\nfeed = "https://cafe.example/{key}.xml"\n'
    return snippet if "sources" in shown else snippet + source


@each_document
def test_no_document_speaks_of_the_place_it_was_written_at(path):
    text = path.read_text(encoding="utf-8")
    for word in FORBIDDEN:
        assert word not in text, f"{name_of(path)} mentions {word!r}"


def sources() -> list[Path]:
    found = [
        path for place in ("bridge", "tests", "benchmarks", "docs") for path in (ROOT / place).rglob("*.py")
    ]
    found += [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "pyproject.toml"]
    return [path for path in found if NOT_OURS.isdisjoint(path.relative_to(ROOT).parts)]


def test_what_a_comment_cites_can_be_read_by_whoever_reads_it():
    found = [
        f"{name_of(path)}: {cited[0]}"
        for path in [*documents(), *sources()]
        for cited in UNREADABLE.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_the_example_config_loads_and_its_comments_are_toml():
    example = (ROOT / "config.toml").read_text(encoding="utf-8")
    assert load_config(ROOT / "config.toml", environ={}).sites["cafe"]
    proposed = re.findall(r"^# (\[?\w+\]?(?: +=.*)?)$", example, re.MULTILINE)
    assert proposed
    for line in proposed:
        tomllib.loads(line)


def spoken_as_before() -> Iterator[tuple[str, str]]:
    """Yield where a text calls our command `bridge`, which on most Linux machines is iproute2's."""
    names = "|".join(name for section in COMMANDS.values() for name in section)
    # Not `python -m bridge`, a module; nor “the bridge”, a thing.
    before = r"(?<![\w.-])(?<!-m )(?<!\bthe )(?<!\ba )(?<!\ban )(?<!\bone )(?<!\byour )(?<!\bour )"
    words = rf"(?:(?:{names}|prepare)(?![\w-])|-c\b|--[a-z])"
    wrong = re.compile(rf"{before}bridge\s+{words}", re.IGNORECASE)
    # A script is no module: `bin/bridge`, `which bridge`, and a program that begins its sentences with it.
    script = re.compile(
        r"\bbin/bridge\b|\bwhich bridge\b|(?<=[\"'])bridge: |CMD \[\"bridge\"|`bridge`(?= command)"
    )
    for path in listed_files():
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            for found in (*wrong.finditer(text), *script.finditer(text)):
                yield name_of(path), " ".join(found[0].split())


def listed_files() -> list[Path]:
    """Return whatever owners and programmers read: sources, documents, templates, settings."""
    kinds = {".py", ".md", ".toml", ".yaml", ".html", ".css", ".js", ".txt", ".sh", ".service"}
    homes = ("bridge", "docs", "tests", "benchmarks", ".ci")
    found = [
        path for home in homes for path in (ROOT / home).rglob("*") if path.suffix in kinds or home == ".ci"
    ]
    found += [
        path for path in ROOT.iterdir() if path.suffix in kinds or path.name in ("Dockerfile", "Makefile")
    ]
    return [
        path for path in found if path.is_file() and NOT_OURS.isdisjoint(path.relative_to(ROOT).parts[:-1])
    ]


def test_the_command_is_called_fedibridge_wherever_it_is_spoken_of():
    assert list(spoken_as_before()) == []


def test_the_version_has_one_home_and_stands_on_top_of_the_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bridge.__version__"}
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(rf"{re.escape(__version__)} (\(unreleased\)|– 20\d\d-\d\d-\d\d)", headings[0])


def test_the_script_that_is_installed_has_the_name_that_is_spoken_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {PRODUCT: "bridge.cli:main"}


def test_make_test_says_which_checks_of_the_whole_run_it_leaves_out():
    whole = (ROOT / ".ci" / "run").read_text(encoding="utf-8").partition("make test\n")[2]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    said = " ".join(re.findall(r"echo (.*)", recipe[1]))
    checks = re.findall(r"^\S+python (\S+)", whole, re.MULTILINE)
    assert checks
    assert [check for check in checks if check not in said] == []


# ── what belongs together ────────────────────────────────────────────────────────────────────────


def modules_in_the_picture() -> set[str]:
    """Read the picture: “package/  what it is: module (what it does), module”, or “module  what it is”."""
    picture = next(found for found in blocks((ROOT / "docs/design.md").read_text(encoding="utf-8"), "text"))
    named: set[str] = set()
    for entry in re.findall(r"^ {4}\S.*\n(?: {5,}.*\n)*", picture, re.MULTILINE):
        name, said = entry.split(maxsplit=1)
        if name.endswith("/"):
            plain = re.sub(r"\[[^\]]*\]|\([^)]*\)", "", said)
            named |= {name + module.split()[0] for module in plain.rpartition(":")[2].split(",")}
        else:
            named.add(name)
    return named


def modules_there_are() -> set[str]:
    package = ROOT / "bridge"
    found = (path.relative_to(package).with_suffix("").as_posix() for path in package.rglob("*.py"))
    return {name for name in found if "__" not in name and not name.startswith("store/migrations/")}


def test_the_design_names_every_module_and_no_other():
    named, there = modules_in_the_picture(), modules_there_are()
    assert named - there == set(), "docs/design.md names modules that are gone"
    assert there - named == set(), "docs/design.md does not name these modules: put them into its picture"


def walks() -> dict[str, str]:
    """Return the sections of the design that follow something through the program, by their headings."""
    design = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (The way of [^\n]+)\n(.*?)(?=^## |\Z)", design, re.DOTALL | re.MULTILINE))


def named_in(walk: str) -> list[str]:
    """Return what a walk names of the program: `package.module.function`, and no file."""
    names = (found[2] for found in INLINE.finditer(walk))
    return [name for name in names if re.fullmatch(r"[a-z_]+(\.\w+)+", name) and not name.endswith(FILES)]


def is_in_the_program(name: str) -> bool:
    """Say whether a dotted name leads from the package to something that is there."""
    try:
        pkgutil.resolve_name(f"bridge.{name}")
    except (ImportError, AttributeError):
        return False
    return True


@pytest.mark.parametrize("heading", walks())
def test_each_step_of_a_walk_names_what_is_there(heading):
    named = named_in(walks()[heading])
    assert [name for name in named if not is_in_the_program(name)] == []
    assert len(named) >= 5, f"“{heading}” names hardly anything to look at"


def test_the_design_has_four_walks():
    assert len(walks()) == 4


def test_a_step_that_leads_nowhere_is_noticed():
    assert named_in("`deliver.retry.decide` of `config.toml`, `web/door`, `nothing`") == [
        "deliver.retry.decide"
    ]
    assert is_in_the_program("deliver.retry.decide")
    assert is_in_the_program("web.door.Door.refusal")
    assert not is_in_the_program("deliver.retry.decided")
    assert not is_in_the_program("deliver.tried.decide")
    assert not is_in_the_program("web.door.Door.refuse")


def test_decisions_are_numbered_without_gaps_and_say_why():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:5] for path in decisions] == [f"{n:04}-" for n in range(1, len(decisions) + 1)]
    for number, path in enumerate(decisions, 1):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. "), f"{path.name} begins with another number"
        assert re.search(r"^20\d\d-\d\d-\d\d$", text, re.MULTILINE), f"{path.name} has no date"
        for part in ("**Context.**", "**Decision.**", "**Consequence.**"):
            assert part in text, f"{path.name} has no {part}"


# ── the checks themselves ────────────────────────────────────────────────────────────────────────


def test_a_wrong_command_is_noticed():
    assert misspelt(cli, ["status"]) is None
    assert (
        misspelt(cli, ["--config", "elsewhere.toml", "deliveries", "retry", "--server", "x.example"]) is None
    )
    assert misspelt(cli, ["statsu"]) == "there is no command statsu"
    assert misspelt(cli, ["deliveries", "--sever", "x.example"]) == "there is no option --sever"


def test_commands_are_found_wherever_they_are_shown():
    indented, fenced = (
        "    docker compose exec bridge fedibridge poll\n",
        "```sh\n/bin/fedibridge web  # so\n```\n",
    )
    shown = f"Say `fedibridge status --json`.\n\n{indented}\n{fenced}"
    shown += "\n    .venv/bin/python -m bridge lint --all\n"
    assert sorted(commands(shown)) == [["lint", "--all"], ["poll"], ["status", "--json"], ["web"]]
