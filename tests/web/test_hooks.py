import hmac
import json

import pytest
from hook_calls import DAY, SECRET, is_due, tomorrow
from web_visitor import Visitor
from werkzeug.test import TestResponse

from bridge.errors import ConfigError, SignatureError
from bridge.services import Services
from bridge.store import sources, subscriptions
from bridge.web import build_calls, create_app, create_wsgi
from bridge.web.hooks import expects

URL = "https://cafe.example/ap/hooks/poll/cafe"
TOPIC = "https://cafe.example/feed.xml"


@pytest.fixture
def services(make_services) -> Services:
    """A café with a hook, whose source is due tomorrow."""
    services = make_services(site=f'hook_secret = "{SECRET}"')
    tomorrow(services)
    return services


@pytest.fixture
def visitor(services) -> Visitor:
    return Visitor(create_app(services))


def signed(services: Services, body: bytes = b"{}", *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    timestamp = str(int(services.now().timestamp()) - age)
    return {
        build_calls.TIMESTAMP: timestamp,
        build_calls.SIGNATURE: build_calls.sign(secret, timestamp, body),
    }


def bearer(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# ── a build calls ──


@pytest.mark.parametrize("path", ["/ap/hooks/poll/cafe", "/hooks/poll/cafe"])
def test_a_signed_call_makes_the_site_due_and_is_answered_at_once(services, visitor, path):
    answer = visitor.post(f"https://cafe.example{path}", b"{}", signed(services))
    assert (answer.status_code, answer.get_data()) == (202, b"")
    assert is_due(services)


@pytest.mark.parametrize(
    "headers", [bearer(), {"Authorization": f"bearer  {SECRET}"}, {"CF-Webhook-Auth": SECRET}]
)
def test_services_that_cannot_sign_send_the_secret(services, visitor, headers):
    assert visitor.post(URL, b"", headers).status_code == 202
    assert is_due(services)


GHOST_BODY = b'{"post":{"current":{"title":"Plum cake"}}}'


def ghost(services: Services, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """Sign as Ghost 6 does: the body, then the milliseconds."""
    time = str(int(services.now().timestamp() - age) * 1000)
    digest = hmac.new(secret.encode(), GHOST_BODY + time.encode(), "sha256").hexdigest()
    return {"X-Ghost-Signature": f"sha256={digest}, t={time}"}


def test_ghost_signs_in_its_own_way(services, visitor):
    assert visitor.post(URL, GHOST_BODY, ghost(services)).status_code == 202
    assert is_due(services)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"secret": "x" * 30}, "does not match"),
        ({"age": 301}, "five minutes"),
        ({"age": -301}, "five minutes"),
    ],
)
def test_a_call_of_ghosts_is_believed_only_when_it_is_fresh_and_fits(services, visitor, changed, says):
    _refused(visitor.post(URL, GHOST_BODY, ghost(services, **changed)), services, says)


@pytest.mark.parametrize("header", ["", "sha256=00", "sha256=00, t=", "sha256=00, t=soon", "t=1", "ü, t=1"])
def test_what_ghost_would_not_write_is_refused(services, header):
    with pytest.raises(SignatureError):
        build_calls.check({"x-ghost-signature": header}, b"", SECRET, now=services.now())


def test_a_notification_of_cloudflares_is_believed_for_its_secret(services, visitor):
    body = {
        "name": "Café deployed",
        "text": "Deployment succeeded",
        "data": {},
        "ts": 1772366400,
        "account_id": "0" * 32,
        "policy_id": "00000000-0000-0000-0000-000000000000",
        "alert_type": "pages_event_alert",
    }
    headers = {"Content-Type": "application/json", "cf-webhook-auth": SECRET}
    assert visitor.post(URL, json.dumps(body).encode(), headers).status_code == 202
    assert is_due(services)


def test_vercel_signs_the_body_alone(services, visitor):
    body = b'{"type":"deployment.succeeded"}'
    digest = hmac.new(SECRET.encode(), body, "sha1").hexdigest()
    _refused(visitor.post(URL, body + b" ", {"x-vercel-signature": digest}), services, "does not match")
    assert visitor.post(URL, body, {"x-vercel-signature": digest}).status_code == 202
    assert is_due(services)


def _refused(answer: TestResponse, services: Services, says: str) -> None:
    assert answer.status_code == 401
    assert says in answer.get_json()["error"]
    assert not is_due(services)


def test_a_call_without_any_proof_is_refused(services, visitor):
    _refused(visitor.post(URL, b"", {}), services, "Prove who you are")


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET + "x", "ü"])
def test_a_wrong_secret_is_refused(services, visitor, secret):
    answer = visitor.post(URL, b"", bearer(secret))
    assert answer.status_code == 401
    assert not is_due(services)


def test_a_signature_holds_for_its_own_body_only(services, visitor):
    _refused(visitor.post(URL, b"{} ", signed(services)), services, "does not match")


def test_a_signature_with_another_secret_is_refused(services, visitor):
    _refused(visitor.post(URL, b"{}", signed(services, secret="x" * 30)), services, "does not match")


@pytest.mark.parametrize("age", [301, -301, 10**9])
def test_a_signature_holds_for_five_minutes(services, visitor, age):
    _refused(visitor.post(URL, b"{}", signed(services, age=age)), services, "five minutes")


@pytest.mark.parametrize("age", [299, -299])
def test_clocks_may_differ_a_little(services, visitor, age):
    assert visitor.post(URL, b"{}", signed(services, age=age)).status_code == 202


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", "9" * 13, "9" * 400, "٣"])
def test_a_timestamp_is_a_plain_number(services, timestamp):
    headers = {build_calls.TIMESTAMP.lower(): timestamp, build_calls.SIGNATURE.lower(): "sha256=00"}
    with pytest.raises(SignatureError):
        build_calls.check(headers, b"", SECRET, now=services.now())


def test_a_signed_call_is_judged_by_its_signature_whatever_else_it_brings(services, visitor):
    wrong = {**signed(services, secret="x" * 30), **bearer()}
    assert visitor.post(URL, b"{}", wrong).status_code == 401


def test_a_site_without_a_secret_has_no_hook(make_services):
    visitor = Visitor(create_app(make_services()))
    assert visitor.post(URL, b"", bearer()).status_code == 404
    assert visitor.post(URL, b"", bearer("")).status_code == 404


def test_a_site_there_is_not_has_no_hook(visitor):
    assert visitor.post(URL + "x", b"", bearer()).status_code == 404


def test_a_build_gone_wild_is_slowed_down(services, visitor):
    answers = [visitor.post(URL, b"", bearer()) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [202] * 6 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_strangers_cannot_use_up_the_owners_calls(services, visitor):
    for _ in range(20):
        visitor.post(URL, b"", bearer("guessed"))
    assert visitor.post(URL, b"", bearer()).status_code == 202


def test_a_call_has_a_size(visitor):
    assert visitor.post(URL, b"x" * (1024 * 1024 + 1), bearer()).status_code == 413


def test_only_the_called_site_becomes_due(make_services):
    bakery = (
        '\n[sites.bakery]\nhandle = "@bakery@cafe.example"\nwebsite = "https://bakery.example/"\n'
        'name = "Bakery"\n[[sites.bakery.sources]]\nfeed = "https://bakery.example/feed.xml"\n'
    )
    feed = '[[sites.cafe.sources]]\nname = "blog"\nfeed = "https://cafe.example/feed.xml"\n'
    services = make_services(site=f'hook_secret = "{SECRET}"', sources=feed + bakery)
    tomorrow(services)
    Visitor(create_app(services)).post(URL, b"", bearer())
    with services.store.read() as tx:
        due = {source.site: source.due_at <= services.now() for source in sources.all_sources(tx)}
    assert due == {"bakery": False, "cafe": True}


def test_a_hook_is_called_not_looked_at(visitor):
    assert visitor.get(URL).status_code == 405


@pytest.mark.parametrize("secret", ["short", "with a space in the middle of it", "ü" * 30])
def test_a_secret_that_could_be_guessed_is_refused_by_the_config(make_config, secret):
    with pytest.raises(ConfigError, match="openssl rand -hex 32") as refused:
        make_config(site=f'hook_secret = "{secret}"')
    assert secret not in str(refused.value)


# ── a hub asks ──


def callback(services: Services, *, active: bool = False) -> str:
    """Subscribe, and return the callback's URL."""
    with services.store.write() as tx:
        source = sources.all_sources(tx)[0].id
        subscriptions.advertise(tx, source, ("https://hub.example/", TOPIC), now=services.now())
        if active:
            until = services.now() + DAY
            subscriptions.confirm(tx, source, lease_until=until, renew_at=until)
        (known,) = subscriptions.listing(tx)
    return services.ids.websub(known.token)


QUESTION = f"hub.mode=subscribe&hub.topic={TOPIC}&hub.challenge=abc&hub.lease_seconds=3600"


def test_a_challenge_is_echoed_as_something_no_browser_runs(services, visitor):
    answer = visitor.get(f"{callback(services)}?{QUESTION}", accept="text/html")
    assert (answer.status_code, answer.get_data()) == (200, b"abc")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_challenges_are_not_remembered_in_front_of_flask(services):
    visitor = Visitor(create_wsgi(services))
    url = callback(services)
    for challenge in ("one", "two"):
        answer = visitor.get(f"{url}?{QUESTION.replace('abc', challenge)}")
        assert answer.get_data() == challenge.encode()


@pytest.mark.parametrize(
    "changed",
    [
        ("hub.mode=subscribe", "hub.mode=unsubscribe"),
        ("hub.mode=subscribe", "hub.mode=publish"),
        ("hub.mode=subscribe", "x=y"),
        (TOPIC, "https://cafe.example/other.xml"),
        (f"hub.topic={TOPIC}&", ""),
        ("hub.challenge=abc", "hub.challenge="),
    ],
)
def test_what_we_did_not_ask_for_is_not_confirmed(services, visitor, changed):
    answer = visitor.get(f"{callback(services)}?{QUESTION.replace(*changed)}")
    assert answer.status_code == 404
    with services.store.read() as tx:
        assert subscriptions.listing(tx)[0].state == subscriptions.ASKED


def test_a_token_there_is_not_confirms_nothing(services, visitor):
    assert visitor.get(f"{services.ids.websub('guessed')}?{QUESTION}").status_code == 404


@pytest.mark.parametrize("token", ["guessed", "%00", "x" * 5_000, "ü"])
def test_a_push_with_a_token_that_was_never_given_out_finds_nothing(services, visitor, token):
    callback(services, active=True)
    assert visitor.post(services.ids.websub(token), b"<rss/>", {}).status_code == 404


def test_a_push_that_we_do_not_want_now_is_told_to_stop(services, visitor):
    assert visitor.post(callback(services), b"<rss/>", {}).status_code == 410


def test_only_a_push_that_is_wanted_is_worth_its_body(services):
    def is_expected(token: str) -> bool:
        return expects(services, f"/ap/about/websub/{token}")

    assert not is_expected("guessed")
    assert not is_expected(callback(services).rpartition("/")[2])
    assert is_expected(callback(services, active=True).rpartition("/")[2])


def test_a_push_without_a_signature_is_dropped_silently(services, visitor):
    url = callback(services, active=True)
    answer = visitor.post(url, b"<rss/>", {"Content-Type": "application/rss+xml"})
    assert (answer.status_code, answer.get_data()) == (202, b"")
    assert not is_due(services)
    with services.store.read() as tx:
        assert subscriptions.waiting_pushes(tx) == 0


def test_a_push_has_a_size(services, visitor):
    url = callback(services, active=True)
    assert visitor.post(url, b"x" * (10 * 1024 * 1024 + 1), {}).status_code == 413
