"""Keeps the arrows of docs/design true, by looking at the syntax trees of the package."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

PACKAGE = ROOT / "bridge"

# Imports point down only: a part uses its own layer and those below it. A new part is placed here.
LAYERS = (
    {"__main__", "cli", "demo"},
    {"web", "worker"},
    {"poll"},
    {"publish"},
    {"deliver", "receive"},
    {"look", "people", "preview"},
    {"compose"},
    {"lint", "services"},
    {"changes", "identity", "sources"},
    {"activitypub", "markup", "net", "store"},
    {"config", "pictures", "pump"},
    {"picturetypes"},
    {"addresses", "counted", "errors", "model", "moments", "parent_gone"},
)

# Single modules in the top folder, and no more: what grows belongs into a part, or is one.
MOST_AT_THE_TOP = 10

# Folders of tests/ that stand for no part of the package.
BESIDE_THE_PARTS = {"data", "interop", "support", "whole"}

# Whom a part must not even reach through others: parts, or single modules of them.
OUT_OF_REACH = {
    "web": {
        "cli",
        "deliver",
        "demo",
        "look.viewer",
        "net",
        "people",
        "poll",
        "publish.late_pictures",
        "receive.receiver",
        "worker",
    },
    "worker": {"cli", "demo", "web"},
    "sources": {"net", "store"},
    "store": {"net", "sources"},
    "net": {"sources", "store"},
    "activitypub": {"net", "sources", "store"},
    "markup": {"net", "sources", "store"},
    "changes": {"net", "sources", "store"},
    "compose": {"net", "sources"},
    "deliver.retry": {"net", "store"},
}

HOMES = {
    "PIL": {"pictures"},
    "aiohttp": {"net"},
    "alembic": {"store"},
    "apscheduler": {"worker"},
    "brotli": {"net"},
    "blurhash": {"pictures"},
    "bs4": {"markup", "sources"},
    "click": {"cli", "demo"},
    "cryptography": {"activitypub"},
    "feedparser": {"sources"},
    "flask": {"demo", "web"},
    "ftfy": {"sources"},
    "granian": {"demo", "web"},
    "http_sf": {"activitypub"},
    "jinja2": {"preview"},
    "markdown": {"sources"},
    "markdown_it": {"sources"},
    "mdit_py_plugins": {"sources"},
    "nh3": {"markup"},
    "pillow_heif": {"pictures"},
    "psycopg": {"store"},
    "pysqlite3": {"store"},
    "rich": {"cli", "demo"},
    "sqlalchemy": {"store"},
    "sqlite3": {"store"},
    "uvloop": {"cli"},
    "werkzeug": {"demo", "web"},
    "yaml": {"sources"},
}

# Other ways out to the network (bridge/net/client.py is the only door), and formats that run what they read.
NOBODY = {"ftplib", "http.client", "httpx", "pickle", "requests", "shelve", "urllib.request", "urllib3"}

# What raises over what strangers write has one door, which returns a value instead: (name) → its home.
DOORS = {
    **dict.fromkeys(
        ("urlsplit", "urlparse", "urljoin", "urldefrag", "ip_address", "uts46_remap", "alabel"), "addresses"
    ),
    **dict.fromkeys(("fromisoformat", "fromtimestamp", "strptime", "parsedate", "parsedate_tz"), "moments"),
    **dict.fromkeys(("parsedate_to_datetime", "mktime_tz", "timegm"), "moments"),
}
INSIDERS = {
    ("bridge/store/entries.py", "fromisoformat"),  # reads what it wrote itself
    ("bridge/pump/progress.py", "fromisoformat"),  # so does this
    *(("bridge/config/values.py", name) for name in ("urlsplit", "ip_address")),  # its errors are ValueErrors
    ("bridge/config/places.py", "urlsplit"),  # so are these
}

# What is pure touches nothing but its arguments.
PURE = {"activitypub", "addresses", "changes", "deliver.retry", "markup", "model", "moments",
        "net.our_clock", "poll.fingerprint", "preview", "web.build_calls"}  # fmt: skip
IMPURE = {"asyncio", "logging", "os", "pathlib", "random", "shutil", "socket", "subprocess", "tempfile",
          "threading", "time"}  # fmt: skip

LONG_FUNCTIONS = {"bridge/store/migrations"}  # a list of steps, written by Alembic


class Module:
    """A module's syntax tree, its dotted name within the package, and which part it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(ROOT).as_posix()
        self.source = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.source)
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.part = self.name.partition(".")[0]

    def imports(self) -> Iterator[str]:
        """Every name imported anywhere in the module, with the module it is taken from."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: a relative import hides where the arrow points"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def uses(self) -> Iterator[str]:
        """Every other module of ours it imports, and the packages around those, which are run before them."""
        for name in self.imports():
            package, _, rest = name.partition(".")
            while package == "bridge" and rest:
                if rest in by_name() and not uses(self.name, rest):
                    yield rest
                rest = rest.rpartition(".")[0]


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def by_name() -> Mapping[str, Module]:
    return {module.name: module for module in modules()}


@cache
def parts() -> frozenset[str]:
    return frozenset(module.part for module in modules() if module.part)


@cache
def arrows() -> Mapping[str, frozenset[str]]:
    return {module.name: frozenset(module.uses()) for module in modules()}


def part_of(name: str) -> str:
    return name.partition(".")[0]


def within(place: str) -> set[str]:
    """Every module of a part, or the one module of that name."""
    return {name for name in by_name() if uses(name, place)}


def reach(names: Iterable[str]) -> set[str]:
    """Every module that is imported when these are, directly or not."""
    reached, waiting = set(), list(names)
    while waiting:
        for used in arrows()[waiting.pop()] - reached:
            reached.add(used)
            waiting.append(used)
    return reached


def uses(name: str, library: str) -> bool:
    return name == library or name.startswith(f"{library}.")


# ── arrows ───────────────────────────────────────────────────────────────────────────────────────


def test_every_part_has_a_place():
    placed = set().union(*LAYERS)
    assert parts() - placed == set(), "say in LAYERS where these belong"


def test_imports_point_down_only():
    depth = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    upward = [
        (name, used)
        for name, others in arrows().items()
        for used in others
        if name and depth[part_of(used)] < depth[part_of(name)]
    ]
    assert upward == []


def test_no_two_parts_need_each_other():
    needs = {part: {part_of(used) for name in within(part) for used in arrows()[name]} for part in parts()}
    mutual = [(one, other) for one in parts() for other in needs[one] - {one, ""} if one in needs[other]]
    assert mutual == []


def test_no_module_needs_itself():
    assert [name for name in by_name() if name in reach([name])] == []


def test_the_top_folder_does_not_fill_up():
    at_the_top = {module.name for module in modules() if module.path.count("/") == 1}
    assert len(at_the_top) <= MOST_AT_THE_TOP


@pytest.mark.parametrize("place", OUT_OF_REACH)
def test_parts_that_must_not_know_one_another_do_not(place):
    forbidden = set().union(*map(within, OUT_OF_REACH[place]))
    assert within(place)
    assert all(within(other) for other in OUT_OF_REACH[place]), "a name that stands for nothing"
    assert reach(within(place)) & forbidden == set()


def test_pure_modules_touch_nothing_but_their_arguments():
    found = [
        (module.path, name)
        for module in modules()
        if any(uses(module.name, pure) for pure in PURE)
        for name in module.imports()
        if any(uses(name, impure) for impure in IMPURE) and name != "pathlib.PurePosixPath"
    ]
    assert found == []
    assert all(within(pure) for pure in PURE)


def test_the_tests_lie_where_the_modules_lie():
    """A part's in tests/PART, a top module's in tests/test_MODULE.py, and all else in tests/whole."""
    tests = ROOT / "tests"
    folders = {path.parent.name for path in tests.glob("*/*.py")} - BESIDE_THE_PARTS
    single = {path.stem.removeprefix("test_") for path in tests.glob("*.py")} - {"conftest"}
    assert folders | single <= parts()


# ── one home per library ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", HOMES)
def test_a_library_lives_in_one_place(library):
    users = {module.part for module in modules() for name in module.imports() if uses(name, library)}
    assert users <= HOMES[library]


@pytest.mark.parametrize("library", sorted(NOBODY))
def test_nobody_uses(library):
    assert [m.path for m in modules() for name in m.imports() if uses(name, library)] == []


def test_the_clock_is_read_in_one_place_and_passed_on():
    homes = {"bridge/services.py", "bridge/net/client.py"}
    readers = {
        module.path
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
        if isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}
    }
    demo = {path for path in readers if "demo" in path}  # lives in real time, beside the bridge
    assert readers - homes - demo == set()


@pytest.mark.parametrize("name", DOORS)
def test_what_raises_over_addresses_and_dates_is_used_behind_one_door(name):
    users = {
        module.path
        for module in modules()
        for node in ast.walk(module.tree)
        if name in (getattr(node, "attr", ""), getattr(node, "id", ""))
    }
    home = f"bridge/{DOORS[name]}.py"
    assert users - {home} - {path for path, used in INSIDERS if used == name} == set()


# ── sizes and words ──────────────────────────────────────────────────────────────────────────────


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A function's length, with the functions that are defined in it: they are read in one go."""
    return function.end_lineno - function.lineno + 1


def test_no_function_is_longer_than_sixty_lines():
    long = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules()
        if not module.path.startswith(tuple(LONG_FUNCTIONS))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > 60
    ]
    assert long == []


def test_no_module_is_longer_than_four_hundred_lines():
    assert [module.path for module in modules() if module.source.count("\n") > 400] == []


def test_every_module_says_what_it_is_responsible_for():
    silent = [module.path for module in modules() if module.source and not ast.get_docstring(module.tree)]
    assert silent == []


def test_no_module_is_called_by_what_it_is_not_for():
    meaningless = {"utils", "util", "helpers", "common", "misc", "manager", "base"}
    assert [module.path for module in modules() if Path(module.path).stem in meaningless] == []


# One word, one thing (docs/design.md, “Words”): what is called by it, and the only parts where it is.
WORDS = {
    "judge": {"changes"},
    "patience": {"pump"},
    "settle": {"deliver", "poll", "publish", "pump", "receive", "store"},
}


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)}


def names_made_in(module: Module) -> Iterator[str]:
    """Yield the names of a module's functions, classes and constants."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("word", WORDS)
def test_one_word_means_one_thing(word):
    found = {module.part for module in modules() for name in names_made_in(module) if word in words_of(name)}
    assert found <= WORDS[word], f"“{word}” means something else already: see docs/design.md"
