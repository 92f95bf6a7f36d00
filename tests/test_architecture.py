"""Keeps the arrows of docs/design true, by looking at the syntax trees of the package."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bridge"

# Imports point down only: a module may use its own layer and those below it. A new module is placed here.
LAYERS = (
    {"__main__", "cli", "config_reference", "demo", "web", "worker"},
    {"absence", "admission", "closing", "complaints", "compose", "deliver", "drafting", "due",
     "effects", "fetch",
     "folders", "holding", "housekeeping", "incoming", "lookat", "mentions", "openfiles", "pictured",
     "pins", "poll",
     "preview", "preview_page", "profile", "publish", "reading", "receive", "secondlook", "sendagain",
     "shares", "stamps", "subscribe"},
    {"identity", "keyring", "pump", "services", "timekeeper", "watchdog", "witness"},
    {"changes", "entrykeys", "lint", "matching"},
    {"net", "sources", "store"},
    {"patience", "unchanged"},
    {"activitypub", "dns", "hooks", "ourclock", "pictures", "progress", "retry", "unpack", "websub"},
    {"clock", "config", "generated", "lifeline"},
    {"addresses", "errors", "model", "moments"},
)  # fmt: skip

# Whom a part must not even reach through others.
OUT_OF_REACH = {
    "web": {
        "absence",
        "cli",
        "deliver",
        "demo",
        "fetch",
        "lookat",
        "mentions",
        "net",
        "poll",
        "receive",
        "secondlook",
        "subscribe",
        "worker",
    },
    "worker": {"cli", "demo", "web"},
    "sources": {"net", "store"},
    "store": {"net", "sources"},
    "net": {"sources", "store"},
    "activitypub": {"net", "sources", "store"},
    "changes": {"net", "store"},
    "retry": {"net", "store"},
}

HOMES = {
    "PIL": {"pictures"},
    "aiohttp": {"net"},
    "alembic": {"store"},
    "apscheduler": {"worker"},
    "brotli": {"unpack"},
    "bs4": {"sources"},
    "click": {"cli", "demo"},
    "cryptography": {"activitypub"},
    "feedparser": {"sources"},
    "flask": {"demo", "web"},
    "granian": {"demo", "web"},
    "http_sf": {"activitypub"},
    "markdown": {"sources"},
    "markdown_it": {"sources"},
    "mdit_py_plugins": {"sources"},
    "nh3": {"sources"},
    "pillow_heif": {"pictures"},
    "psycopg": {"store"},
    "pysqlite3": {"store"},
    "resvg_py": {"pictures"},
    "rich": {"cli", "demo"},
    "sqlalchemy": {"store"},
    "sqlite3": {"store"},
    "uvloop": {"cli"},
    "werkzeug": {"demo", "web"},
    "yaml": {"sources"},
}

# Other ways out to the network (bridge/net.py is the only door), and formats that run what they read.
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
    ("bridge/progress.py", "fromisoformat"),  # so does this
    *(("bridge/config/values.py", name) for name in ("urlsplit", "ip_address")),  # its errors are ValueErrors
}

# What is pure touches nothing but its arguments.
PURE = {"activitypub", "addresses", "changes", "entrykeys", "matching", "model", "moments", "ourclock",
        "retry", "unchanged", "websub"}  # fmt: skip
IMPURE = {"asyncio", "logging", "os", "pathlib", "random", "shutil", "socket", "subprocess", "tempfile",
          "threading", "time"}  # fmt: skip

LONG_MODULES = {
    "bridge/net.py": "the one door out: what guards it stands together",
    "bridge/poll.py": "what a look at a source leads to, in one class",
    "bridge/store/deliveries.py": "one table's statements, which share their conditions",
    "bridge/store/schema.py": "every table, once: a list",
}
LONG_FUNCTIONS = {"bridge/store/migrations"}  # a list of steps, written by Alembic


class Module:
    """A module's syntax tree, and which part of the package it belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(ROOT).as_posix()
        self.source = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.source)
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        self.part = parts[0] if parts != ("__init__",) else ""

    def imports(self) -> Iterator[str]:
        """Every name imported anywhere in the module, with the module it is taken from."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}: a relative import hides where the arrow points"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def parts_used(self) -> Iterator[str]:
        """Every other part of the package it imports."""
        for name in self.imports():
            package, _, rest = name.partition(".")
            part = rest.partition(".")[0]
            if package == "bridge" and part in parts() and part != self.part:
                yield part


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def parts() -> frozenset[str]:
    return frozenset(module.part for module in modules() if module.part)


@cache
def arrows() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules():
        found[module.part] |= set(module.parts_used())
    return found


def reach(part: str) -> set[str]:
    """Every part that is imported when this one is, directly or not."""
    reached, waiting = set(), [part]
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
        (part, used)
        for part in parts() & depth.keys()
        for used in arrows()[part] & depth.keys()
        if depth[used] < depth[part]
    ]
    assert upward == []


def test_no_two_parts_need_each_other():
    assert [part for part in sorted(parts()) if part in reach(part)] == []


@pytest.mark.parametrize("part", OUT_OF_REACH)
def test_parts_that_must_not_know_one_another_do_not(part):
    assert part in parts()
    assert reach(part) & OUT_OF_REACH[part] == set()


def test_pure_modules_touch_nothing_but_their_arguments():
    found = [
        (module.path, name)
        for module in modules()
        if module.part in PURE
        for name in module.imports()
        if any(uses(name, impure) for impure in IMPURE)
    ]
    assert found == []


# ── one home per library ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", HOMES)
def test_a_library_lives_in_one_place(library):
    users = {module.part for module in modules() for name in module.imports() if uses(name, library)}
    assert users <= HOMES[library]


@pytest.mark.parametrize("library", sorted(NOBODY))
def test_nobody_uses(library):
    assert [m.path for m in modules() for name in m.imports() if uses(name, library)] == []


def test_the_clock_is_read_in_one_place_and_passed_on():
    homes = {"bridge/services.py", "bridge/net.py"}
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


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A function's length without the functions defined in it (Flask's blueprints are made that way)."""
    inner = [
        node
        for node in ast.iter_child_nodes(function)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = function.end_lineno - function.lineno + 1
    return lines - sum(node.end_lineno - node.lineno + 1 for node in inner)


def test_no_function_is_longer_than_sixty_lines():
    long = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules()
        if not module.path.startswith(tuple(LONG_FUNCTIONS))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and own_lines(node) > 60
    ]
    assert long == []


def test_no_module_is_longer_than_four_hundred_lines_without_a_reason():
    long = {module.path for module in modules() if module.source.count("\n") > 400}
    assert long - LONG_MODULES.keys() == set()


def test_every_module_says_what_it_is_responsible_for():
    silent = [module.path for module in modules() if module.source and not ast.get_docstring(module.tree)]
    assert silent == []


def test_no_module_is_called_by_what_it_is_not_for():
    meaningless = {"utils", "util", "helpers", "common", "misc", "manager", "base"}
    assert [module.path for module in modules() if Path(module.path).stem in meaningless] == []
