"""What `Ids` mints is what the web process answers at, and none of it is a site's."""

import inspect

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from bridge.activitypub.ids import Ids
from bridge.config.values import RESERVED_SITE_KEYS, read_site_key
from bridge.web import create_app

# What an argument of a method that mints may be.
EXAMPLES = {
    "site": "cafe",
    "post_id": "loxujdqycich3kxk",
    "activity_id": "create-x",
    "authorization_id": "x",
    "collection": "/ap/cafe/outbox",
    "number": 1,
    "user": "cafe",
    "name": "x",
    "path": "source/a.png",
    "token": "x",
}
NOT_MINTING = {"parts", "host", "instance_user", "base_url", "rsa_key", "ed25519_key"}


def minted() -> dict[str, str]:
    """Every address that `Ids` can mint, by the name of what mints it."""
    ids, found = Ids(""), {}
    for name, member in vars(Ids).items():
        if name.startswith("_") or name in NOT_MINTING:
            continue
        if isinstance(member, property):
            found[name] = getattr(ids, name)
        elif inspect.isfunction(member):
            wanted = list(inspect.signature(member).parameters)[1:]
            found[name] = member(ids, **{argument: EXAMPLES[argument] for argument in wanted})
    return found


@pytest.fixture
def rules(services):
    return create_app(services).url_map


@pytest.mark.parametrize("name", minted())
def test_whatever_is_minted_is_answered(rules, name):
    path, routes = minted()[name], rules.bind("cafe.example")
    for method in ("GET", "POST"):
        try:
            assert routes.match(path, method)
        except (MethodNotAllowed, RequestRedirect):
            continue
        except NotFound:
            pytest.fail(f"nothing answers at {path}")


def test_whatever_stands_beside_the_sites_can_be_no_site(rules):
    beside = {rule.rule.split("/")[2] for rule in rules.iter_rules() if rule.rule.startswith("/ap/")}
    beside = {part for part in beside if not part.startswith("<")}
    assert {"about", "hooks", "inbox", "instance"} <= beside <= RESERVED_SITE_KEYS


@pytest.mark.parametrize("key", sorted(RESERVED_SITE_KEYS))
def test_the_config_refuses_every_key_that_is_not_free(key):
    with pytest.raises(ValueError, match="choose another key"):
        read_site_key(key)


@pytest.mark.parametrize("name", minted())
def test_every_address_is_read_back_as_it_was_minted(name):
    ids = Ids("https://cafe.example/below")
    assert ids.parts(ids.base_url + minted()[name]) == tuple(
        part for part in minted()[name].split("/") if part
    )
