"""What `Ids` mints is what the web process answers at, and none of it is a site's."""

import pytest
from minted import minted
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from bridge.activitypub.ids import Ids
from bridge.config.values import RESERVED_SITE_KEYS, read_site_key
from bridge.web import create_app


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
