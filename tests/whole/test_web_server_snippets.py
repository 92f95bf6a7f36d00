"""What the documents tell web servers to pass on is every address of the bridge, and no other."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from minted import minted
from places import ROOT

from bridge.web import create_app

DOCUMENTS = ("README.md", "docs/tutorial.md", "docs/operations.md")
NOT_PASSED_ON = {"/", "/healthz", "/readyz", "/hooks/poll/<site>"}  # the last: as in 0.1.0
THE_SITES_OWN = (
    *("/", "/about/", "/blog/2026/buns/", "/rss.xml", "/r", "/robots.txt", "/apple/", "/nodeinfo.html"),
    *("/.well-known/acme-challenge/x", "/.well-known/security.txt", "/blog/ap/", "/media/@2x.png"),
)

Passes = Callable[[str], bool]


def _nginx(block: str) -> Passes | None:
    """Read `location ~`: a regular expression that is searched in the path (nginx, ngx_http_core_module)."""
    patterns = re.findall(r"location ~ (\S+) \{\s*proxy_pass", block)
    return (lambda path: any(re.search(one, path) for one in patterns)) if patterns else None


def _caddy(block: str) -> Passes | None:
    """Read a `path` matcher: exact, or a star for the rest (caddyserver.com/docs/caddyfile/matchers)."""
    named = re.search(r"@bridge path (.*)\n\s*handle @bridge", block)
    return (lambda path: any(_globbed(one, path) for one in named[1].split())) if named else None


def _apache(block: str) -> Passes | None:
    """Read mod_proxy's: a prefix that ends where a part of the path does; Match searches."""
    found = re.findall(r"^(ProxyPass|ProxyPassMatch)\s+(\S+) ", block, re.MULTILINE)
    if not found or ("ProxyPass", "/") in found:
        return None

    def passes(path: str) -> bool:
        for kind, pattern in found:
            prefix = rf"{re.escape(pattern)}(?<=/).*|{re.escape(pattern)}(/.*)?"
            if re.fullmatch(prefix, path) if kind == "ProxyPass" else re.search(pattern, path):
                return True
        return False

    return passes


def _netlify(block: str) -> Passes | None:
    """Read `_redirects` whose lines end with 200, which passes on (docs.netlify.com, proxies)."""
    lines = re.findall(r"^(/\S*)\s+https://\S+\s+200$", block, re.MULTILINE)
    return (lambda path: any(_globbed(one, path) for one in lines)) if lines else None


def _globbed(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


READERS = {"nginx": _nginx, "caddyfile": _caddy, "apache": _apache, "text": _netlify}


def _snippets() -> dict[str, Passes]:
    """Return what passes a path on, for each snippet, by its document and language."""
    found: dict[str, Passes] = {}
    for name in DOCUMENTS:
        text = Path(ROOT / name).read_text(encoding="utf-8")
        for language, block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
            passes = READERS[language](block) if language in READERS else None
            if passes:
                found[f"{name} {language}"] = passes
    return found


def test_each_web_server_has_a_snippet() -> None:
    assert set(_snippets()) == {
        *("README.md nginx", "docs/tutorial.md nginx"),
        *(f"docs/operations.md {language}" for language in READERS),
    }


@pytest.mark.parametrize("snippet", _snippets())
def test_whatever_the_bridge_answers_at_is_passed_on(services, snippet: str) -> None:
    rules = {rule.rule.replace("<version>", "2.1") for rule in create_app(services).url_map.iter_rules()}
    discovery = {rule for rule in rules if rule.startswith(("/.well-known/", "/nodeinfo/"))}
    assert len(discovery) == 5
    missing = {path for path in {*minted().values(), *discovery} if not _snippets()[snippet](path)}
    assert not missing
    beside = {rule for rule in rules if not rule.startswith(("/ap/", "/r/", "/@"))} - discovery
    assert beside == NOT_PASSED_ON


@pytest.mark.parametrize("snippet", _snippets())
def test_the_sites_own_addresses_stay_the_sites(snippet: str) -> None:
    assert not [path for path in THE_SITES_OWN if _snippets()[snippet](path)]
