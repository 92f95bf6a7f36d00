import json
import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from databases import at_once
from rows import actor

from bridge.config.remembered import from_kept, to_kept
from bridge.errors import BridgeError, IdentityChanged
from bridge.identity import witness
from bridge.identity.establish import MARKER, count_on, establish, unguarded
from bridge.identity.witness import fingerprint
from bridge.services import open_services
from bridge.store import followers, identity, open_store, schema
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
    assert {name: marker[name] for name in ("base_url", "sites")} == {
        "base_url": "https://cafe.example",
        "sites": {"cafe": "@cafe@cafe.example"},
    }


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
    follow(make_services())
    said = refusal(make_services, base_url=url, handle=handle)
    assert "https://cafe.example at the first run" in said
    assert f"{url} now" in said
    assert "set it back" in said


@pytest.mark.parametrize("handle", ["@coffee@cafe.example", "@cafe@other.example"])
def test_another_handle_is_refused_with_the_old_and_the_new_one(make_services, handle):
    follow(make_services(base_url="https://social.cafe.example"))
    said = refusal(make_services, base_url="https://social.cafe.example", handle=handle)
    assert "@cafe@cafe.example" in said
    assert handle in said
    assert "sites.cafe" in said


@pytest.mark.parametrize("changed", [{"base_url": "https://b.example"}, {"handle": "@b@cafe.example"}])
def test_who_has_followers_is_told_how_many_would_be_lost(make_services, changed):
    follow(make_services(sources=FEED + SECOND_SITE), "bakery")
    assert "would lose 1 follower" in refusal(make_services, sources=FEED + SECOND_SITE, **changed)


def test_another_key_for_the_same_handle_is_refused_with_the_old_and_the_new_one(
    make_services, tmp_path, clock
):
    services = make_services()
    follow(services)
    renamed = replace(services.config, sites={"coffee": services.config.sites["cafe"]})
    with pytest.raises(IdentityChanged) as refused:
        establish(services.store, renamed, now=clock.now())
    assert "'cafe'" in str(refused.value)
    assert "'coffee'" in str(refused.value)
    assert "[sites.cafe]" in str(refused.value)


def test_a_refused_start_changes_nothing(make_services):
    services = make_services()
    follow(services)
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
    for path in services.witnesses:
        assert f"delete {path}" in refusal(make_services)
        path.unlink()
    assert keys_of(make_services()) != {}


def test_a_database_that_was_begun_but_never_given_an_identity_gets_one(
    make_services, sqlite_template, tmp_path
):
    path = tmp_path / "begun.db"
    open_store(f"sqlite:///{path}").close()
    services = make_services(database=f"sqlite:///{path}")
    assert len(keys_of(services)) == 4


# ── a guard outside the data folder ──────────────────────────────────────────────────────────────


def guard_of(services):
    (guard,) = (path for path in services.witnesses if path.name == ".config.toml.identity")
    return guard


def unmount(services):
    """Leave an empty folder where the data was, as a disk does that is not mounted."""
    services.close()
    away = services.config.data.with_name("away")
    services.config.data.rename(away)
    services.config.data.mkdir()
    return away


def marked(services):
    with services.store.read() as tx:
        return fingerprint(dict(identity.private_keys(tx))["", "rsa"])


def test_a_data_folder_that_is_not_mounted_is_refused_every_time(make_services):
    services = make_services()
    away = unmount(services)
    for _ in range(2):
        said = refusal(make_services)
        for word in ("@cafe@cafe.example", "mounted", str(services.config.data), str(guard_of(services))):
            assert word in said
    shutil.rmtree(services.config.data)
    away.rename(services.config.data)
    assert keys_of(make_services()) == keys_of(services)


def test_a_data_folder_may_be_moved(make_services, make_config):
    services = make_services()
    before = keys_of(services)
    away = unmount(services)
    assert keys_of(make_services(top=f'data = "{away}"')) == before


def test_who_deletes_the_guard_may_begin_anew_on_an_empty_data_folder(make_services, caplog):
    services = make_services()
    before = keys_of(services)
    unmount(services)
    assert f"delete {guard_of(services)}" in refusal(make_services)
    guard_of(services).unlink()
    caplog.clear()
    anew = make_services()
    assert "New keys were made for @cafe@cafe.example." in caplog.text
    assert keys_of(anew).keys() == before.keys()
    assert json.loads(guard_of(services).read_text())["identity"] == marked(anew)


@pytest.fixture
def sealed(monkeypatch):
    """Let nothing be written beside config.toml, as in a container. (Tests that run as root may write.)"""
    write = witness._put_in_place

    def put(draft, path):
        if path.name != MARKER:
            draft.unlink()
            raise PermissionError(13, "x")
        write(draft, path)

    monkeypatch.setattr(witness, "_put_in_place", put)


def test_where_no_guard_can_be_written_the_owner_is_given_a_line_for_config_toml(
    make_services, sealed, caplog
):
    services = make_services()
    line = f'identity = "{marked(services)}"'
    assert line in caplog.text
    with services.store.read() as tx:
        assert unguarded(tx, services.config, services.witnesses) == marked(services)
    make_services(top=line)
    unmount(services)
    for _ in range(2):
        said = refusal(make_services, top=line)
        assert "mounted" in said
        assert "take `identity` out of config.toml" in said
    caplog.clear()
    make_services()  # without the line it is a first start, and said to be one
    assert "New keys were made" in caplog.text


def test_keys_that_are_not_those_of_the_config_or_of_a_witness_are_refused(make_services, tmp_path):
    one, two = (f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two"))
    first = make_services(database=one)
    said = refusal(make_services, database=one, top='identity = "0123456789abcdef"')
    assert f"holds the keys {marked(first)}, but this bridge has the keys 0123456789abcdef" in said
    for path in first.witnesses:
        path.unlink()
    make_services(database=two)
    assert f"holds the keys {marked(first)}" in refusal(make_services, database=one)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"generation": -3, "sites": 7}'])
def test_a_guard_that_cannot_be_read_still_says_that_there_was_one(make_services, content):
    services = make_services()
    guard_of(services).write_bytes(content)
    make_services()  # beside a good database it is mended
    assert json.loads(guard_of(services).read_text())["identity"] == marked(services)
    guard_of(services).write_bytes(content)
    unmount(services)
    assert "mounted" in refusal(make_services)


def test_the_guard_says_nothing_secret(services):
    told = guard_of(services).read_text() + str(marked(services))
    for pem in keys_of(services).values():
        assert not any(line in told for line in pem.splitlines()[1:-1])


# ── an older copy ────────────────────────────────────────────────────────────────────────────────


def copy_of(services, tmp_path):
    """Copy the database, and what lies beside it, as it is now."""
    services.store.fold_log()
    copy = tmp_path / "copy.db"
    shutil.copyfile(services.config.database.removeprefix("sqlite:///"), copy)
    return copy


def put_back(services, copy):
    lose_database(services)
    shutil.copyfile(copy, services.config.database.removeprefix("sqlite:///"))


def told_of(services):
    with services.store.read() as tx:
        return identity.older_copy(tx)


def test_an_older_copy_of_the_database_is_said_until_it_is_noted(make_services, tmp_path, caplog):
    services = make_services()
    count_on(services.store, services.witnesses)
    copy = copy_of(services, tmp_path)
    assert told_of(make_services()) is None
    count_on(services.store, services.witnesses)
    put_back(services, copy)
    caplog.clear()
    restored = make_services()
    assert "older copy" in told_of(restored)
    assert "have to follow again" in caplog.text
    caplog.clear()
    again = make_services()
    assert told_of(again) == told_of(restored)
    assert "older copy" not in caplog.text, "it is noticed once; `status` goes on saying it"
    with again.store.write() as tx:
        identity.forget_older_copy(tx)
    count_on(again.store, again.witnesses)
    assert told_of(make_services()) is None


def test_a_whole_data_folder_that_is_older_is_noticed_by_the_guard(make_services):
    services = make_services()
    services.store.fold_log()
    older = services.config.data.with_name("older")
    shutil.copytree(services.config.data, older)
    count_on(services.store, services.witnesses)
    unmount(services)
    shutil.rmtree(services.config.data)
    older.rename(services.config.data)
    assert str(guard_of(services)) in told_of(make_services())


def test_a_copy_without_its_log_is_noticed(make_services, tmp_path):
    """What SQLite had not written into the file yet is lost with the -wal file."""
    services = make_services()
    services.store.fold_log()
    count_on(services.store, services.witnesses)
    database = Path(services.config.database.removeprefix("sqlite:///"))
    torn = tmp_path / "torn.db"
    shutil.copyfile(database, torn)  # and not the log beside it
    put_back(services, torn)
    assert "older copy" in told_of(make_services())


def test_an_older_copy_of_either_database_is_noticed(make_services, database):
    services = make_services(database=database)
    for _ in range(3):
        count_on(services.store, services.witnesses)
    with services.store.write() as tx:
        assert identity.generation(tx) == 3
        identity.set_meta(tx, "generation", "2")
    again = make_services(database=database)
    assert "older copy" in told_of(again)
    with again.store.read() as tx:
        assert identity.generation(tx) == 4


def test_a_database_that_is_ahead_of_its_witnesses_is_no_older_copy(make_services):
    services = make_services()
    with services.store.write() as tx:
        for _ in range(12):
            identity.count_on(tx)
    assert told_of(make_services()) is None


def test_processes_that_count_while_others_start_raise_no_alarm(make_config, clock, generators, database):
    config = make_config(database=database)
    first = open_services(config, now=clock.now, generators=generators)

    def start():
        for _ in range(5):
            count_on(first.store, first.witnesses)
            open_services(config, now=clock.now, generators=generators).close()

    at_once(3, start)
    assert told_of(first) is None
    first.close()


# ── garbage in what says who we are ──────────────────────────────────────────────────────────────

SPOILT = [
    f"UPDATE {table} SET {column} = {value} WHERE {where}"
    for table, columns, where in (
        ("meta", ("key", "value"), "key = 'base_url'"),
        ("meta", ("value",), "key = 'generation'"),
        ("sites", tuple(column.name for column in schema.sites.columns), "key = 'cafe'"),
        ("keys", tuple(column.name for column in schema.keys.columns), "owner = '' AND algorithm = 'rsa'"),
        ("keys", ("private_pem", "created_at"), "algorithm = 'post-ids'"),
        ("keys", ("private_pem",), "owner = 'cafe' AND algorithm = 'ed25519'"),
        ("alembic_version", ("version_num",), "1 = 1"),
    )
    for column in columns
    for value in ("'garbage'", "x'ff00'", "7", "''", "'{'")
]


@pytest.mark.parametrize("statement", SPOILT)
def test_garbage_in_what_says_who_we_are_is_refused_with_a_sentence(make_services, statement):
    """Or it does no harm; there is no traceback."""
    services = make_services()
    count_on(services.store, services.witnesses)
    with services.store.maintenance() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        try:
            connection.exec_driver_sql(statement)
        except Exception as error:
            assert "constraint" in str(error), error
    services.close()
    try:
        again = make_services()
    except BridgeError as refused:
        assert str(refused).endswith(".")
        return
    assert again.keys.of_site("cafe")
    assert again.keys.instance
    assert again.keys.public("cafe")
