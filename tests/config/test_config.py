import tomllib
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from places import ROOT

from bridge.config import Config, FeedSource, FolderSource, load_config, local
from bridge.config.lines import find_lines, line_of
from bridge.errors import ConfigError

SITE = """\
[sites.cafe]
handle = "@cafe@cafe.example"
website = "https://cafe.example/"
name = "Café"
"""
FEED = '[[sites.cafe.sources]]\nfeed = "https://cafe.example/feed.xml"\n'
TOP = 'base_url = "https://cafe.example"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "face.png").write_bytes(b"png")
    return tmp_path


def load(folder, text, environ=None):
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ or {})


def refusal(folder, text, environ=None):
    """The message of the ConfigError, with the folder's own path taken out."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    return str(caught.value).replace(f"{folder}/", "")


def cafe(folder, *lines, top="", source=FEED):
    return load(folder, TOP + top + SITE + "\n".join(lines) + "\n" + source).sites["cafe"]


# ── what is read ─────────────────────────────────────────────────────────────────────────────────


def test_the_smallest_config_gets_the_documented_defaults(folder):
    config = load(folder, TOP + SITE + FEED)
    assert config.base_url == "https://cafe.example"
    assert config.data == folder / "data"
    assert config.database == f"sqlite:///{folder}/data/fedibridge.db"
    assert (config.server.host, config.server.port, config.server.trusted_proxies) == ("0.0.0.0", 8000, None)
    assert config.polling.min_interval == timedelta(minutes=15)
    assert config.polling.max_interval == timedelta(hours=12)
    assert config.polling.folder_interval == timedelta(seconds=3)
    assert (config.delivery.concurrency, config.delivery.per_host) == (300, 2)
    assert config.contact is None
    site = config.sites["cafe"]
    assert (site.key, site.user, site.domain, site.type) == ("cafe", "cafe", "cafe.example", "Service")
    assert (site.pinned, site.urls, site.approve_followers) == (5, "auto", False)
    assert (site.discoverable, site.indexable, site.language) == (True, True, "")


def test_every_key_can_be_set(folder):
    config = load(
        folder,
        """
base_url = "https://ap.cafe.example:8443/"
data = "state"
database = "postgresql://me:secret@db/bridge"
contact = "me@cafe.example"
[server]
host = "127.0.0.1"
port = 9000
trusted_proxies = ["10.0.0.7", "172.16.0.0/12", "fd00::/8"]
[polling]
min_interval = "5m"
max_interval = "2d"
folder_interval = "90s"
[delivery]
concurrency = 10
per_host = 1
[sites.cafe]
handle = "@cafe@cafe.example"
website = "https://cafe.example/"
name = "Café"
summary = "Coffee."
icon = "face.png"
icon_alt = "A face"
header = "https://cafe.example/header.jpg"
type = "Person"
language = "pt-BR"
approve_followers = true
pinned = 0
urls = "page"
discoverable = false
indexable = false
[sites.cafe.fields]
Zebra = "first"
Ape = "second"
[[sites.cafe.sources]]
feed = "http://192.168.0.9/feed"
name = "news"
private_network = true
[[sites.cafe.sources]]
folder = "content"
url = "https://cafe.example/{slug}/"
allow_symlinks = true
""",
    )
    assert config.base_url == "https://ap.cafe.example:8443"
    assert config.host == "ap.cafe.example:8443"
    assert config.database == "postgresql://me:secret@db/bridge"
    assert config.server.trusted_proxies == tuple(
        map(ip_network, ("10.0.0.7/32", "172.16.0.0/12", "fd00::/8"))
    )
    assert config.polling.max_interval == timedelta(days=2)
    site = config.sites["cafe"]
    assert site.icon == folder / "face.png"
    assert site.header == "https://cafe.example/header.jpg"
    assert list(site.fields.items()) == [("Zebra", "first"), ("Ape", "second")]
    assert site.sources == (
        FeedSource(feed="http://192.168.0.9/feed", name="news", private_network=True),
        FolderSource(
            folder=folder / "content",
            name="content",
            url="https://cafe.example/{slug}/",
            allow_symlinks=True,
        ),
    )


def test_a_config_cannot_be_changed(folder):
    config = load(folder, TOP + SITE + FEED)
    with pytest.raises(FrozenInstanceError):
        config.base_url = "https://other.example"
    with pytest.raises(TypeError):
        config.sites["other"] = config.sites["cafe"]
    with pytest.raises(TypeError):
        config.sites["cafe"].fields["x"] = "y"


def test_paths_are_relative_to_the_config_file_not_to_the_working_directory(folder, monkeypatch):
    (folder / "config.toml").write_text(TOP + SITE + '[[sites.cafe.sources]]\nfolder = "content"\n')
    monkeypatch.chdir(folder.parent)
    config = load_config(Path(folder.name) / "config.toml", environ={})
    assert config.data == folder / "data"
    assert config.sites["cafe"].sources[0].folder == folder / "content"


def test_sources_without_a_name_are_called_after_what_they_are(folder):
    site = cafe(folder, source=FEED + '[[sites.cafe.sources]]\nfolder = "content"\n')
    assert [source.name for source in site.sources] == ["cafe.example/feed.xml", "content"]


@pytest.mark.parametrize(
    ("base_url", "layout"),
    [
        ("https://cafe.example", "same-host"),
        ("https://CAFE.example:443/", "same-host"),
        ("https://ap.cafe.example", "split"),
        ("https://cafe.example:8443", "split"),
    ],
)
def test_the_layout_follows_from_base_url_and_handle(folder, base_url, layout):
    config = load(folder, f'base_url = "{base_url}"\n' + SITE + FEED)
    assert config.sites["cafe"].layout == layout


def test_a_domain_is_kept_in_lower_case_and_punycode(folder):
    text = TOP + SITE.replace("@cafe@cafe.example", "cafe@Café.Example") + FEED
    assert load(folder, text).sites["cafe"].handle == "@cafe@xn--caf-dma.example"


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1"])
def test_plain_http_is_allowed_on_the_own_machine(folder, host):
    assert load(folder, f'base_url = "http://{host}"\n' + SITE + FEED).base_url == f"http://{host}"


def test_a_byte_order_mark_is_no_problem(folder):
    (folder / "config.toml").write_bytes(b"\xef\xbb\xbf" + (TOP + SITE + FEED).encode())
    assert load_config(folder / "config.toml", environ={}).host == "cafe.example"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("sqlite:///my/own.db", "sqlite:///{folder}/my/own.db"),
        ("sqlite:////srv/own.db", "sqlite:////srv/own.db"),
        ("postgres://me@db/bridge", "postgresql://me@db/bridge"),
        ("postgresql:///bridge?host=/run/postgresql", "postgresql:///bridge?host=/run/postgresql"),
    ],
)
def test_a_database_is_named_in_one_way(folder, written, kept):
    config = load(folder, TOP + f'database = "{written}"\n' + SITE + FEED)
    assert config.database == kept.format(folder=folder)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def test_all_problems_are_listed_with_their_lines_in_the_order_of_the_file(folder):
    text = f"""\
bse_url = "https://cafe.example"

[server]
port = "8000"

{SITE}sorces = []

# a comment
[[sites.cafe.sources]]
feed = "https://cafe.example/feed.xml"
[[sites.cafe.sources]]
folder = "face.png"
"""
    assert refusal(folder, text).splitlines() == [
        "config.toml line 1: base_url: is missing: write where the bridge answers, for example base_url = "
        '"https://cafe.example"',
        "config.toml line 1: bse_url: unknown key; did you mean 'base_url'?",
        "config.toml line 4: server.port: must be a whole number without quotes",
        "config.toml line 10: sites.cafe.sorces: unknown key; did you mean 'sources'?",
        "config.toml line 16: sites.cafe.sources.folder: face.png is a file; name the folder it is in",
    ]


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("dta = 'x'", "dta: unknown key; did you mean 'data'?"),
        ("Contact = 'x'", "Contact: unknown key; did you mean 'contact'?"),
        ("handle = 'x'", "handle: unknown key here; it belongs in [sites.NAME]"),
        ("port = 1", "port: unknown key here; it belongs in [server]"),
        (
            "qqq = 1",
            "qqq: unknown key; known keys: base_url, data, database, contact, identity, server, polling, "
            "delivery, sites",
        ),
        ("contact = 'nobody'", 'contact: must be a mail address or a web address ("https://…")'),
        ("data = 'face.png'", "data: face.png is a file; a folder is needed"),
        ("data = ''", "data: must be a path in quotes"),
        ("data = 3", "data: must be a path in quotes"),
        ("data = 'wh?t'", "data: wh?t holds a ? or #, which a database address cannot name"),
        ("data = '{long}'", "data: {long} cannot be read: File name too long"),
        ('data = "a\\u0000b"', "data: embedded null byte"),
        ("database = 'mysql://db/x'", 'database: must begin with "sqlite:///" or "postgresql://"'),
        (
            "database = 'sqlite://'",
            'database: must name a file, as "sqlite:///data/fedibridge.db" does: several processes share it',
        ),
        (
            "database = 'sqlite:///:memory:'",
            'database: must name a file, as "sqlite:///data/fedibridge.db" does: several processes share it',
        ),
        ("server = 3", "server: must be a table"),
        ("server.port = 0", "server.port: must be at least 1"),
        ("server.port = 65536", "server.port: must be at most 65535"),
        ("server.port = true", "server.port: must be a whole number without quotes"),
        *(
            (
                f"server.host = '{host}'",
                'server.host: must be an IP address: "127.0.0.1" for this machine only, '
                '"0.0.0.0" for every way in',
            )
            for host in ("", "localhost", "cafe.example", "127.0.0.1:8000")
        ),
        ("server.trusted_proxies = '10.0.0.1'", "server.trusted_proxies: must be a list"),
        (
            "server.trusted_proxies = ['10.0.0.300']",
            "server.trusted_proxies: '10.0.0.300' does not appear to be an IPv4 or IPv6 network",
        ),
        (
            "server.trusted_proxies = [7]",
            "server.trusted_proxies: must be an address or a network in quotes: "
            '"10.0.0.7" or "172.16.0.0/12"',
        ),
        (
            "server.trusted_proxies = ['0.0.0.0/0']",
            "server.trusted_proxies: 0.0.0.0/0 would let anyone pretend to be anyone: "
            "name your proxy's own network",
        ),
        ("polling.min_interval = '4m'", "polling.min_interval: must be at least 5 minutes"),
        ("polling.max_interval = '8d'", "polling.max_interval: must be at most 7 days"),
        ("polling.folder_interval = '0s'", "polling.folder_interval: must be at least 1 second"),
        ("polling.min_interval = '13h'", "polling.min_interval: must not be longer than max_interval"),
        (
            "polling.min_interval = 900",
            'polling.min_interval: must be a duration in quotes: "90s", "15m", "12h" or "2d"',
        ),
        (
            "polling.min_interval = '15 minutes'",
            'polling.min_interval: must be a duration in quotes: "90s", "15m", "12h" or "2d"',
        ),
        ("delivery.concurrency = 0", "delivery.concurrency: must be at least 1"),
        ("delivery.per_host = 21", "delivery.per_host: must be at most 20"),
    ],
)
def test_a_wrong_value_outside_the_sites_is_refused(folder, top, message):
    long = "x" * 5000
    top, message = top.replace("{long}", long), message.replace("{long}", long)
    assert refusal(folder, TOP + top + "\n" + SITE + FEED) == f"config.toml line 2: {message}"


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        (
            "https://cafe.example/blog",
            'must end after the host: "https://cafe.example"; the bridge answers below /ap/ there',
        ),
        (
            "https://cafe.example?x",
            'must end after the host: "https://cafe.example"; the bridge answers below /ap/ there',
        ),
        (
            "http://cafe.example",
            "must begin with https://: only http://localhost is allowed without, for trying out",
        ),
        ("cafe.example", 'must be a whole web address, such as "https://cafe.example/"'),
        ("https://cafe .example", 'must be a whole web address, such as "https://cafe.example/"'),
        ("https://[", "Invalid IPv6 URL"),
        ("https://me@cafe.example", "must not hold a user name or password"),
        ("https://cafe.example:99999", "Port out of range 0-65535"),
        ("https://cafe_bar.example", "'cafe_bar.example' is not a domain name"),
    ],
)
def test_a_base_url_that_is_no_bare_host_is_refused(folder, base_url, message):
    found = refusal(folder, f'base_url = "{base_url}"\n' + SITE + FEED)
    assert found.startswith(f"config.toml line 1: base_url: {message}")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ("cafe", 'must be written "@name@domain", for example "@cafe@cafe.example"'),
        ("@cafe", 'must be written "@name@domain", for example "@cafe@cafe.example"'),
        ("@ca.fe@cafe.example", "'ca.fe' may not contain dots: Misskey cuts a handle at its first dot"),
        ("@Cafe@cafe.example", "write 'cafe' without capitals: GoToSocial takes 'Cafe' for another name"),
        ("@café@cafe.example", "'café' cannot be the name in a handle: use 1 to 30 of a–z, 0–9 and _"),
        (
            f"@{'x' * 31}@cafe.example",
            f"'{'x' * 31}' cannot be the name in a handle: use 1 to 30 of a–z, 0–9 and _",
        ),
        ("@cafe@cafe.example:0", "'0' is not a port: use a number from 1 to 65535"),
        ("@cafe@cafe.example:x", "'x' is not a port: use a number from 1 to 65535"),
        ("@cafe@cafe.example/x", "'cafe.example/x' is not a domain name"),
        ("@cafe@-", "'-' is not a domain name"),
    ],
)
def test_a_handle_that_some_server_would_not_take_is_refused(folder, handle, message):
    found = refusal(folder, TOP + SITE.replace("@cafe@cafe.example", handle) + FEED)
    assert found.startswith(f"config.toml line 3: sites.cafe.handle: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('type = "Group"', "type: must be one of 'Service', 'Person' or 'Organization'"),
        ('urls = "both"', "urls: must be one of 'auto', 'page' or 'bridge'"),
        ("pinned = 21", "pinned: must be at most 20"),
        ("pinned = 2.5", "pinned: must be a whole number without quotes"),
        ('language = "english please"', 'language: must be a language code such as "en", "de" or "pt-BR"'),
        ('discoverable = "yes"', "discoverable: must be true or false, without quotes"),
        ("summary = 1", "summary: must be text in quotes"),
        (f'summary = "{"x" * 2001}"', "summary: must not be longer than 2000 characters"),
        ('icon = "nowhere.png"', "icon: there is no picture nowhere.png"),
        (
            'icon = "content"',
            "icon: must be one of .png, .jpg, .jpeg, .gif, .webp: Mastodon shows no other kind, SVG included",
        ),
        (
            'icon = "../face.png"',
            "icon: {outside} is not below the folder of the config file; copy the picture there",
        ),
        ('icon = "https://"', 'icon: must be a whole web address, such as "https://cafe.example/"'),
        ("icon = 1", "icon: must be a path in quotes"),
        ("fields = 1", "fields: must be a table"),
        ("fields = { Website = 1 }", "fields.Website: must be text in quotes"),
        (
            f"fields = {{ {', '.join(f'f{n} = {chr(34)}x{chr(34)}' for n in range(11))} }}",
            "fields: must not have more than 10 entries",
        ),
        ("pinnd = 1", "pinnd: unknown key; did you mean 'pinned'?"),
        ("icon-alt = 'x'", "icon-alt: unknown key; did you mean 'icon_alt'?"),
        ("port = 1", "port: unknown key here; it belongs in [server]"),
        (
            "feed = 'https://x.example'",
            "feed: unknown key here; it belongs in a feed's [[sites.NAME.sources]]",
        ),
    ],
)
def test_a_wrong_value_of_a_site_is_refused(folder, line, message):
    message = message.replace("{outside}", str(folder.parent / "face.png"))
    assert refusal(folder, TOP + SITE + line + "\n" + FEED) == f"config.toml line 6: sites.cafe.{message}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('folder = "face.png"', "sources.folder: face.png is a file; name the folder it is in"),
        ("folder = 1", "sources.folder: must be a path in quotes"),
        (
            'feed = "cafe.example/feed"',
            'sources.feed: must be a whole web address, such as "https://cafe.example/"',
        ),
        ('feed = "https://me:pw@cafe.example/"', "sources.feed: must not hold a user name or password"),
        ('folder = "content"\nurll = "x"', "sources.urll: unknown key; did you mean 'url'?"),
        (
            'feed = "https://x.example"\nurl = "x"',
            "sources.url: unknown key here; it belongs in a folder's [[sites.NAME.sources]]",
        ),
        (
            'folder = "content"\nurl = "https://cafe.example/{year}/"',
            'sources.url: must hold {slug}, where the post\'s name goes: "https://cafe.example/{slug}/"',
        ),
        (
            'folder = "content"\nurl = "https://cafe.example/{slug}/{page}"',
            "sources.url: may hold {slug}, {title_slug}, {path}, {folder}, {category}, {year}, {month}, "
            "{day}, {language} and no other braces",
        ),
        (
            'folder = "content"\nurl = "https://cafe.example/{{slug}}"',
            'sources.url: must hold {slug}, where the post\'s name goes: "https://cafe.example/{slug}/"',
        ),
        (
            'folder = "content"\nurl = "https://cafe.example/{slug}}"',
            "sources.url: may hold {slug}, {title_slug}, {path}, {folder}, {category}, {year}, {month}, "
            "{day}, {language} and no other braces",
        ),
        ('feed = "https://x.example"\nname = ""', "sources.name: must not be empty"),
    ],
)
def test_a_wrong_source_is_refused(folder, source, message):
    line = 6 + len(source.splitlines())
    found = refusal(folder, TOP + SITE + "[[sites.cafe.sources]]\n" + source + "\n")
    assert found == f"config.toml line {line}: sites.cafe.{message}"


@pytest.mark.parametrize("source", ["", 'feed = "https://x.example"\nfolder = "content"\n', 'fed = "x"\n'])
def test_a_source_is_either_a_feed_or_a_folder(folder, source):
    found = refusal(folder, TOP + SITE + "[[sites.cafe.sources]]\n" + source)
    assert found == (
        'config.toml line 6: sites.cafe.sources: needs either feed = "https://…" or folder = "…", '
        "exactly one of them"
    )


def test_a_site_without_sources_is_refused_with_a_hint(folder):
    hint = 'is missing: add [[sites.NAME.sources]] with feed = "https://…" or folder = "…"'
    assert refusal(folder, TOP + SITE) == f"config.toml line 2: sites.cafe.sources: {hint}"
    assert refusal(folder, TOP + SITE + "sources = []") == f"config.toml line 6: sites.cafe.sources: {hint}"


def test_single_brackets_around_sources_are_explained(folder):
    found = refusal(folder, TOP + SITE + '[sites.cafe.sources]\nfolder = "content"')
    assert found == "config.toml line 6: sites.cafe.sources: is a list of tables and needs [[two brackets]]"


@pytest.mark.parametrize("text", ["", "sites = {}"])
def test_a_config_without_sites_is_refused_with_a_hint(folder, text):
    assert "sites: is missing: add a table [sites.NAME]" in refusal(folder, TOP + text)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("Cafe", "the key of a site is 1 to 30 of a–z, 0–9 and _ (its handle and name are free)"),
        ('"my.cafe"', "the key of a site is 1 to 30 of a–z, 0–9 and _ (its handle and name are free)"),
        ("inbox", "/ap/inbox is an address of the bridge itself; choose another key for this site"),
        ("instance", "/ap/instance is an address of the bridge itself; choose another key for this site"),
        ("about", "/ap/about is an address of the bridge itself; choose another key for this site"),
    ],
)
def test_a_site_key_that_makes_no_address_is_refused(folder, key, message):
    text = (TOP + SITE + FEED).replace("sites.cafe", f"sites.{key}")
    assert refusal(folder, text) == f"config.toml line 2: sites.{key.strip(chr(34))}: {message}"


def test_two_sites_with_one_handle_are_refused(folder):
    second = (SITE + FEED).replace("sites.cafe", "sites.bar").replace("@cafe@cafe", "@cafe@CAFE")
    assert refusal(folder, TOP + SITE + FEED + second) == (
        "config.toml line 9: sites.bar.handle: [sites.cafe] already has the handle @cafe@cafe.example; "
        "each site needs its own"
    )


def test_one_place_is_a_source_of_a_site_only_once(folder):
    first = '[[sites.cafe.sources]]\nfolder = "content"\n'
    twice = first + '[[sites.cafe.sources]]\nname = "b"\nfolder = "./content/"\n'
    assert refusal(folder, TOP + SITE + twice) == (
        "config.toml line 8: sites.cafe.sources: content is already a source of this site; remove one of them"
    )
    assert "https://cafe.example/feed.xml is already a source of this site" in refusal(
        folder, TOP + SITE + FEED + FEED
    )


def test_two_sources_of_a_site_need_two_names(folder):
    (folder / "old" / "content").mkdir(parents=True)
    two = '[[sites.cafe.sources]]\nfolder = "content"\n[[sites.cafe.sources]]\nfolder = "old/content"\n'
    assert refusal(folder, TOP + SITE + two) == (
        "config.toml line 8: sites.cafe.sources: another source of this site is already called 'content'; "
        'add name = "…"'
    )


def test_keys_are_never_kept_where_posts_are_read(folder):
    text = TOP + 'data = "content/data"\n' + SITE + '[[sites.cafe.sources]]\nfolder = "content"\n'
    assert refusal(folder, text) == (
        "config.toml line 2: data: content/data holds private keys and must not lie in the source content"
    )


# ── files that cannot be read ────────────────────────────────────────────────────────────────────


def test_a_missing_file_says_where_to_start(tmp_path):
    with pytest.raises(
        ConfigError, match=r"nowhere\.toml cannot be read: No such file.*example config\.toml"
    ):
        load_config(tmp_path / "nowhere.toml", environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a = 1\nb = "x', "config.toml line 2: is not valid TOML: Unterminated string"),
        (
            "a = 1\nb = x\n",
            "config.toml line 2: is not valid TOML: Invalid value. Put text in straight quotes",
        ),
        ("b = “x”\n", "config.toml line 1: is not valid TOML: Invalid value. Put text in straight quotes"),
        ("a = 1\na = 2\n", "config.toml line 2: is not valid TOML: Cannot overwrite a value"),
        ("[a]\n[a]\n", "config.toml line 2: is not valid TOML: Cannot declare ('a',) twice"),
        ("a = " + "[" * 100_000, "config.toml: is nested too deeply to be a config file"),
        ("a = " + "9" * 5000, "config.toml: is not valid TOML: Exceeds the limit"),
    ],
    ids=["string", "value", "quotes", "twice", "table", "deep", "digits"],
)
def test_a_syntax_error_names_its_line(folder, text, message):
    assert refusal(folder, text).startswith(message)


def test_bytes_that_are_not_utf8_name_their_line(folder):
    (folder / "config.toml").write_bytes(b'a = 1\nname = "Caf\xe9"\n')
    with pytest.raises(ConfigError, match="line 2: is not UTF-8"):
        load_config(folder / "config.toml", environ={})


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


def test_the_environment_wins_over_the_file(folder):
    text = TOP + 'database = "sqlite:///mine.db"\n' + SITE + FEED
    config = load(folder, text, {"FEDIBRIDGE_DATABASE": "postgresql://db/bridge"})
    assert config.database == "postgresql://db/bridge"


def test_an_empty_variable_counts_as_not_set(folder):
    config = load(folder, TOP + SITE + FEED, {"FEDIBRIDGE_DATABASE": "", "FEDIBRIDGE_DATABASE_FILE": ""})
    assert config.database.startswith("sqlite:///")


def test_a_secret_is_read_from_the_file_that_a_variable_names(folder):
    (folder / "secret").write_text("postgresql://me:pw@db/bridge\n")
    config = load(folder, TOP + SITE + FEED, {"FEDIBRIDGE_DATABASE_FILE": str(folder / "secret")})
    assert config.database == "postgresql://me:pw@db/bridge"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\n", "is empty"),
        (b"\xff", "cannot be read: it is not UTF-8 text"),
    ],
)
def test_a_secrets_file_that_holds_no_secret_is_named(folder, content, message):
    if content is not None:
        (folder / "secret").write_bytes(content)
    environ = {"FEDIBRIDGE_DATABASE_FILE": str(folder / "secret")}
    found = refusal(folder, TOP + SITE + FEED, environ)
    assert found == f"environment variable FEDIBRIDGE_DATABASE_FILE: secret {message}"


def test_a_secret_that_is_set_twice_is_refused(folder):
    environ = {"FEDIBRIDGE_DATABASE": "postgresql://db/a", "FEDIBRIDGE_DATABASE_FILE": "/run/secrets/b"}
    assert refusal(folder, TOP + SITE + FEED, environ) == (
        "environment variables FEDIBRIDGE_DATABASE and FEDIBRIDGE_DATABASE_FILE are both set; "
        "unset one of them"
    )


def test_a_wrong_database_in_the_environment_is_said_to_be_there(folder):
    found = refusal(folder, TOP + SITE + FEED, {"FEDIBRIDGE_DATABASE": "mysql://me:hunter2@db/x"})
    assert (
        found == 'environment variable FEDIBRIDGE_DATABASE: must begin with "sqlite:///" or "postgresql://"'
    )


@pytest.mark.parametrize(
    "url", ["mysql://me:hunter2@db/x", "postgresql://me:hunter2@db", "postgresql://me:hunter2@[/x"]
)
def test_a_password_never_shows_in_a_message(folder, url):
    with pytest.raises(ConfigError) as caught:
        load(folder, TOP + f'database = "{url}"\n' + SITE + FEED)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_never_shows_when_a_config_is_printed(folder):
    config = load(folder, TOP + SITE + FEED, {"FEDIBRIDGE_DATABASE": "postgresql://me:hunter2@db/x"})
    assert "hunter2" not in f"{config!r} {config}"


# ── the demo's copy ──────────────────────────────────────────────────────────────────────────────


def test_local_moves_everything_that_the_world_knows_to_localhost(folder):
    environ = {"FEDIBRIDGE_DATABASE": "postgresql://db/bridge"}
    config = load(folder, 'base_url = "https://ap.cafe.example"\n' + SITE + FEED, environ)
    moved = local(config, 4711, folder / "demo")
    assert moved.base_url == "http://localhost:4711"
    assert moved.data == folder / "demo"
    assert moved.database == f"sqlite:///{folder}/demo/fedibridge.db"
    assert (moved.server.host, moved.server.port) == ("127.0.0.1", 4711)
    site = moved.sites["cafe"]
    assert (site.handle, site.key, site.layout) == ("@cafe@localhost:4711", "cafe", "same-host")
    assert site.sources == config.sites["cafe"].sources
    assert config.sites["cafe"].layout == "split", "the original stays as it was"


def test_local_keeps_two_handles_apart_that_differ_only_in_their_domain(folder):
    second = (SITE + FEED).replace("sites.cafe", "sites.bar").replace("@cafe@cafe", "@cafe@bar")
    moved = local(load(folder, TOP + SITE + FEED + second), 80, folder)
    assert [site.handle for site in moved.sites.values()] == ["@cafe@localhost:80", "@bar@localhost:80"]


# ── the example ──────────────────────────────────────────────────────────────────────────────────


def test_the_example_that_users_copy_works():
    config = load_config(ROOT / "config.toml", environ={})
    site = config.sites["cafe"]
    assert (site.handle, site.layout) == ("@cafe@localhost:8000", "same-host")
    assert site.sources[0].folder == ROOT / "content"
    assert site.icon == ROOT / "content/media/icon.png"


def test_what_the_example_shows_in_comments_works_too(folder):
    lines = (ROOT / "config.toml").read_text(encoding="utf-8").splitlines()
    second_site = [line.removeprefix("#     ") for line in lines[-12:] if line.startswith("#     ")]
    assert load(folder, TOP + "\n".join(second_site)).sites["bakery"].user == "bakery"


def test_no_picture_of_the_example_is_heavy():
    pictures = list((ROOT / "content").rglob("*.png"))
    assert pictures
    assert all(picture.stat().st_size <= 150_000 for picture in pictures)


# ── lines ────────────────────────────────────────────────────────────────────────────────────────

TRICKY = '''\
# [not.a.table]
"quoted key" = 1
a.b = "c # [x]"   # comment
text = """
[nor.this]
x = 1 \\"""
"""
literal = \'\'\'
y = 2\'\'\'
list = [
  1, # one ]
  [2, 3],
  "]",
]
inline = { p = { q = 1 }, "r.s" = [ { t = 2 } ] }
when = 1979-05-27 07:32:00
[ site . "a.b" ]
x = 1
[[site.many]]
x = 1
[site.many.sub]
y = 1
[[site.many]]
x = 1
[site.many.sub]
y = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("quoted key",), 2),
        (("a",), 3),
        (("a", "b"), 3),
        (("text",), 4),
        (("literal",), 8),
        (("list",), 10),
        (("list", 0), 11),
        (("list", 1, 1), 12),
        (("list", 2), 13),
        (("inline", "p", "q"), 15),
        (("inline", "r.s", 0, "t"), 15),
        (("when",), 16),
        (("site",), 17),
        (("site", "a.b", "x"), 18),
        (("site", "many", 0), 19),
        (("site", "many", 0, "sub", "y"), 22),
        (("site", "many", 1), 23),
        (("site", "many", 1, "sub", "y"), 26),
        (("site", "many", 1, "missing"), 23),
        (("missing",), 1),
    ],
)
def test_the_line_of_a_key_is_found(path, line):
    tomllib.loads(TRICKY)
    assert line_of(path, find_lines(TRICKY)) == line


def paths_in(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from paths_in(child, (*path, key))


# ── anything at all ──────────────────────────────────────────────────────────────────────────────

KEYS = [
    *(key.name for key in fields(Config)),
    "cafe",
    "port",
    "handle",
    "website",
    "name",
    "feed",
    "folder",
    "fields",
    "x y",
    "é",
]
words = st.sampled_from(["", "https://cafe.example", "@cafe@cafe.example", "content", "15m", "sqlite:///x"])
scalars = (
    st.booleans() | st.integers() | st.floats() | words | st.text(max_size=20) | st.datetimes() | st.dates()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def as_toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(child)}" for key, child in value.items()) + "}"
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


documents = st.dictionaries(st.sampled_from(KEYS), values, max_size=6).map(
    lambda table: "".join(f"{as_toml(key)} = {as_toml(value)}\n" for key, value in table.items())
)
anything = (
    documents
    | documents.map(lambda text: TOP + text + SITE + FEED)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=60)
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anything)
@example(TOP + SITE + FEED)
def test_any_document_gives_a_config_or_a_config_error(folder, text):
    try:
        config = load(folder, text)
    except ConfigError as error:
        assert str(error).strip()
        assert "Input should" not in str(error), "our insides are not for owners"
    else:
        assert config.sites


@settings(max_examples=150, deadline=None)
@given(documents)
def test_every_key_of_any_document_has_a_line(text):
    lines = find_lines(text)
    for path in paths_in(tomllib.loads(text)):
        assert text.splitlines()[lines[path] - 1].startswith(as_toml(path[0]))
