import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from databases import at_once
from rows import actor

from bridge.config.remembered import from_kept, to_kept
from bridge.errors import IdentityChanged
from bridge.identity import MARKER, establish
from bridge.services import open_services
from bridge.store import followers, identity, open_store
from bridge.store.followers import NewFollower

SECOND_SITE = """
[sites.bakery]
handle = "@bakery@cafe.example"
website = "https://bakery.example/"
name = "Bakery"
[[sites.bakery.sources]]
feed = "https://bakery.example/feed.xml"
"""
FEED = '[[sites.cafe.sources]]\nname = "blog"\nfeed = "https://cafe.example/feed.xml"\n'


def replace_all(site, **changed):
    copied = replace(site, **changed)
    for name in ("key", "layout"):
        object.__setattr__(copied, name, getattr(site, name))
    return copied


def keys_of(services):
    with services.store.read() as tx:
        return dict(identity.private_keys(tx))


def follow(services, site="cafe"):
    with services.store.write() as tx:
        new = NewFollower(site, actor("ann"), "one.example", "accepted", None)
        followers.save(tx, new, now=services.now())


def refusal(make_services, **written):
    with pytest.raises(IdentityChanged) as refused:
        make_services(**written)
    return str(refused.value)


# ── the first run, and the next ──────────────────────────────────────────────────────────────────


def test_the_first_run_fixes_url_handle_and_keys(services):
    with services.store.read() as tx:
        assert identity.base_url(tx) == "https://cafe.example"
        assert identity.handles(tx) == {"cafe": "@cafe@cafe.example"}
    assert set(keys_of(services)) == {(owner, kind) for owner in ("", "cafe") for kind in ("rsa", "ed25519")}
    assert len(set(keys_of(services).values())) == 4


def test_the_data_folder_remembers_that_it_was_in_use(services):
    marker = json.loads((services.config.data / MARKER).read_text())
    assert marker == {"base_url": "https://cafe.example", "sites": {"cafe": "@cafe@cafe.example"}}


def test_keys_are_made_once_and_never_again(make_services):
    before = keys_of(make_services())
    assert keys_of(make_services()) == before


def test_a_start_that_changes_nothing_writes_nothing_into_the_data_folder(make_services):
    services = make_services()
    marker = services.config.data / MARKER
    before = marker.stat().st_mtime_ns
    make_services()
    assert marker.stat().st_mtime_ns == before


def test_the_split_layout_is_an_identity_like_any_other(make_services):
    services = make_services(base_url="https://social.cafe.example")
    with services.store.read() as tx:
        assert identity.base_url(tx) == "https://social.cafe.example"


def test_our_keys_come_from_the_real_generators_unless_a_test_says_otherwise(make_config, clock):
    services = open_services(make_config(), now=clock.now)
    assert services.keys.of_site("cafe").id == "https://cafe.example/ap/cafe#main-key"
    pem, multibase = services.keys.public("cafe")
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert multibase.startswith("z6Mk")
    services.close()


def test_processes_that_start_for_the_first_time_together_agree_on_the_keys(
    database, make_config, clock, generators
):
    config, found = make_config(database=database), []

    def start():
        services = open_services(config, now=clock.now, generators=generators)
        found.append(keys_of(services))
        services.close()

    at_once(3, start)
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 4


# ── sites come and go ────────────────────────────────────────────────────────────────────────────


def test_a_site_added_later_gets_keys_and_leaves_the_others_theirs(make_services):
    before = keys_of(make_services())
    services = make_services(sources=FEED + SECOND_SITE)
    after = keys_of(services)
    assert {owner for owner, _ in after} == {"", "cafe", "bakery"}
    assert {key: after[key] for key in before} == before
    marker = json.loads((services.config.data / MARKER).read_text())
    assert marker["sites"] == {"cafe": "@cafe@cafe.example", "bakery": "@bakery@cafe.example"}


def test_a_site_without_followers_may_go_and_come_back_as_it_was(make_services):
    before = keys_of(make_services(sources=FEED + SECOND_SITE))
    make_services()
    assert keys_of(make_services(sources=FEED + SECOND_SITE)) == before


def test_a_site_that_left_the_config_is_paused_and_stops_no_other(make_services, caplog):
    services = make_services(sources=FEED + SECOND_SITE)
    follow(services, "bakery")
    services = make_services()
    assert services.paused == {"bakery"}
    assert services.site("bakery").name == "Bakery"
    assert services.site("bakery").sources == ()
    with services.store.read() as tx:
        assert followers.count(tx, "bakery") == 1
    assert "PAUSED: @bakery@cafe.example" in caplog.text
    assert "[sites.bakery]" in caplog.text
    assert make_services(sources=FEED + SECOND_SITE).paused == frozenset()


def test_what_is_kept_of_a_site_brings_back_all_of_it_but_sources_and_secrets(make_config, tmp_path):
    (tmp_path / "me.png").write_bytes(b"")
    config = make_config(
        site='icon = "me.png"\nhook_secret = "01234567890123456789"\npinned = 3\n'
        'hashtags = { Misc = false, "Web stuff" = "WebDev" }\nfields = { file = "x" }\n'
    )
    site = config.sites["cafe"]
    kept = orjson.loads(orjson.dumps(to_kept(site)))
    assert "0123456789" not in str(kept)
    back = replace(config, sites={"cafe": from_kept(kept)}).sites["cafe"]
    assert back == replace_all(site, sources=(), hook_secret=None)
    assert from_kept({**kept, "of_a_later_release": 1}).name == site.name


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "handle"),
    [
        ("https://social.cafe.example", "@cafe@cafe.example"),
        ("https://cafe.example:8443", "@cafe@cafe.example"),
        ("http://localhost:8000", "@cafe@localhost:8000"),
    ],
)
def test_another_base_url_is_refused_with_the_old_and_the_new_one(make_services, url, handle):
    make_services()
    said = refusal(make_services, base_url=url, handle=handle)
    assert "https://cafe.example at the first run" in said
    assert f"{url} now" in said
    assert "set it back" in said


@pytest.mark.parametrize("handle", ["@coffee@cafe.example", "@cafe@other.example"])
def test_another_handle_is_refused_with_the_old_and_the_new_one(make_services, handle):
    make_services(base_url="https://social.cafe.example")
    said = refusal(make_services, base_url="https://social.cafe.example", handle=handle)
    assert "@cafe@cafe.example" in said
    assert handle in said
    assert "sites.cafe" in said


@pytest.mark.parametrize("changed", [{"base_url": "https://b.example"}, {"handle": "@b@cafe.example"}])
def test_who_has_no_followers_is_told_how_to_begin_anew(make_services, changed):
    services = make_services(sources=FEED + SECOND_SITE)
    assert "delete the data folder" in refusal(make_services, sources=FEED + SECOND_SITE, **changed)
    follow(services, "bakery")
    said = refusal(make_services, sources=FEED + SECOND_SITE, **changed)
    assert "would lose 1 follower" in said
    assert "delete the data folder" not in said


def test_another_key_for_the_same_handle_is_refused_with_the_old_and_the_new_one(
    make_services, tmp_path, clock
):
    services = make_services()
    renamed = replace(services.config, sites={"coffee": services.config.sites["cafe"]})
    with pytest.raises(IdentityChanged) as refused:
        establish(services.store, renamed, now=clock.now())
    assert "'cafe'" in str(refused.value)
    assert "'coffee'" in str(refused.value)
    assert "[sites.cafe]" in str(refused.value)


def test_a_refused_start_changes_nothing(make_services):
    services = make_services()
    before = keys_of(services), (services.config.data / MARKER).read_text()
    refusal(make_services, handle="@other@cafe.example")
    refusal(make_services, base_url="https://social.cafe.example", sources=FEED + SECOND_SITE)
    assert (keys_of(services), (services.config.data / MARKER).read_text()) == before
    make_services()


# ── a lost database ──────────────────────────────────────────────────────────────────────────────


def lose_database(services):
    services.close()
    database = Path(services.config.database.removeprefix("sqlite:///"))
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def test_a_lost_database_is_refused_and_what_was_lost_is_named(make_services):
    lose_database(make_services())
    said = refusal(make_services)
    assert "@cafe@cafe.example" in said
    assert "https://cafe.example" in said
    assert "restore" in said


def test_a_lost_database_is_refused_every_time(make_services):
    lose_database(make_services())
    assert refusal(make_services) == refusal(make_services)


def test_another_empty_database_in_the_same_data_folder_is_refused(make_services, tmp_path):
    make_services()
    said = refusal(make_services, database=f"sqlite:///{tmp_path}/elsewhere.db")
    assert "@cafe@cafe.example" in said


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "\x00\x00\x00", '{"base_url": 1, "sites": ["x"]}']
)
def test_an_unreadable_marker_still_says_that_the_folder_was_in_use(make_services, content):
    services = make_services()
    lose_database(services)
    (services.config.data / MARKER).write_text(content)
    assert "restore the database" in refusal(make_services)


def test_a_marker_that_is_no_text_still_says_that_the_folder_was_in_use(make_services):
    services = make_services()
    lose_database(services)
    (services.config.data / MARKER).write_bytes(b"\xff\xfe\x00")
    assert "restore the database" in refusal(make_services)


def test_an_unreadable_marker_beside_a_good_database_is_mended(make_services):
    services = make_services()
    marker = services.config.data / MARKER
    good = marker.read_text()
    for broken in (b"{", b"\xff\xfe"):
        marker.write_bytes(broken)
        make_services()
        assert marker.read_text() == good
    marker.unlink()
    make_services()
    assert marker.read_text() == good


def test_who_deletes_the_marker_may_start_afresh(make_services):
    services = make_services()
    lose_database(services)
    (services.config.data / MARKER).unlink()
    assert keys_of(make_services()) != {}


def test_a_database_that_was_begun_but_never_given_an_identity_gets_one(
    make_services, sqlite_template, tmp_path
):
    path = tmp_path / "begun.db"
    open_store(f"sqlite:///{path}").close()
    services = make_services(database=f"sqlite:///{path}")
    assert len(keys_of(services)) == 4
