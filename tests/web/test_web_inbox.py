"""What arrives in an inbox: refused for a reason, dropped without work, or stored and then acknowledged."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from http_signing import CAVAGE, RFC9421, rsa_key
from web_visitor import CAFE, INBOX, SHARED_INBOX, Document, Stranger, Visitor, publish, waiting

from bridge.activitypub.keys import load_public_key
from bridge.activitypub.parse import parse_activity
from bridge.activitypub.signatures import parse, verify
from bridge.receive.effects import EFFECTS
from bridge.receive.receiver import stored_request
from bridge.store import Store, Tx, inbox, remote, strangers
from bridge.web import create_wsgi
from bridge.web import inbox as web_inbox

ALICE = Stranger()
MALLORY = Stranger("mallory", "evil.example", rsa_key(1))


@pytest.fixture
def web(services) -> Visitor:
    return Visitor(create_wsgi(services))


@pytest.fixture
def send(services, web: Visitor) -> Callable[..., int]:
    """Sign something as someone, send it, and return the status."""

    def send(said: Document | bytes, who: Stranger = ALICE, url: str = INBOX, **headers: str) -> int:
        body, signed = who.sign(said, services.now(), url)
        return web.post(url, body, signed | {k.replace("_", "-"): v for k, v in headers.items()}).status_code

    return send


def arrivals(services) -> list[inbox.Received]:
    with services.store.write() as tx:
        return inbox.claim_due(tx, 1000, now=services.now())


# ── taken ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", [CAVAGE, RFC9421])
@pytest.mark.parametrize("url", [INBOX, SHARED_INBOX, "https://cafe.example/ap/instance/inbox"])
@pytest.mark.parametrize("known", [True, False])
def test_a_signed_follow_is_stored_and_acknowledged(services, web: Visitor, scheme, url, known) -> None:
    if known:
        ALICE.is_known(services)
    body, headers = ALICE.sign(ALICE.says("Follow", CAFE), services.now(), url, scheme=scheme)
    answer = web.post(url, body, headers)
    assert (answer.status_code, answer.get_data()) == (202, b"")
    (received,) = arrivals(services)
    assert received.verified is known
    assert received.body == body
    assert (received.actor_id, received.key_id, received.type) == (ALICE.id, ALICE.key_id, "Follow")


@pytest.mark.parametrize("scheme", [CAVAGE, RFC9421])
def test_what_is_stored_of_a_stranger_can_be_verified_later(services, web: Visitor, scheme: str) -> None:
    body, headers = ALICE.sign(ALICE.says("Follow", CAFE), services.now(), INBOX, scheme=scheme)
    web.post(INBOX, body, headers)
    (received,) = arrivals(services)
    request = stored_request(received)
    ALICE.is_known(services)
    with services.store.read() as tx:
        key = remote.key(tx, ALICE.key_id)
    verify(request, parse(request), load_public_key(key.pem), base_urls=["https://cafe.example"])


def test_nothing_about_the_connection_is_stored(services, send) -> None:
    """No addresses, no cookies: only what the signature covers is kept until the key is there."""
    headers = {
        "X_Forwarded_For": "8.8.8.8", "X_Real_IP": "8.8.8.8", "Cookie": "secret=1", "Authorization": "secret",
        "Forwarded": "for=8.8.8.8", "CF_Connecting_IP": "8.8.8.8", "User_Agent": "secret",
    }  # fmt: skip
    assert send(ALICE.says("Follow", CAFE), **headers) == 202
    (received,) = arrivals(services)
    assert "8.8.8.8" not in str(received.request)
    assert "secret" not in str(received.request)


class FullDisk:
    """A store that fails at the very end of every transaction that writes."""

    def __init__(self, store: Store) -> None:
        self.read = store.read
        self._store = store

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with self._store.write() as tx:
            yield tx
            raise OSError("no space left on device")


def test_nothing_is_acknowledged_that_was_not_committed(services) -> None:
    web = Visitor(create_wsgi(replace(services, store=FullDisk(services.store))))
    answer = web.post(INBOX, *ALICE.sign(FOLLOW, services.now()))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "space" not in answer.get_data(as_text=True)
    assert waiting(services) == 0


def test_the_same_bytes_a_hundred_times_at_once_are_one_row(services) -> None:
    ALICE.is_known(services)
    app = create_wsgi(services)
    body, headers = ALICE.sign(ALICE.says("Follow", CAFE), services.now())
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: Visitor(app).post(INBOX, body, headers).status_code, range(100)))
    assert set(statuses) == {202}
    assert waiting(services) == 1


def test_an_activity_that_took_effect_is_not_stored_again(services, clock, send) -> None:
    ALICE.is_known(services)
    like = ALICE.says("Like", publish(services).note["id"])
    with services.store.write() as tx:
        inbox.see(tx, like["id"], now=services.now())
    clock.tick(timedelta(minutes=1))
    assert send(like) == 202
    assert waiting(services) == 0


# ── refused, cheap before dear ───────────────────────────────────────────────────────────────────


def _signed(services, body: bytes = b"", **changed: str | None) -> dict[str, str]:
    _, headers = ALICE.sign(body, services.now())
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}


FOLLOW = json.dumps(ALICE.says("Follow", CAFE)).encode()
BIG = b"x" * (web_inbox.MAX_BODY + 1)
PLAIN = {"Content-Type": "application/activity+json"}


def test_each_check_comes_before_the_dearer_ones(services, web: Visitor) -> None:
    """A request that is wrong in every way is told the cheapest reason first."""
    assert web.get(INBOX, method="PUT").status_code == 405
    assert web.post(INBOX, BIG, {"Content-Type": "text/html"}).status_code == 413
    assert web.post(INBOX, b"x", {"Content-Type": "text/html"}).status_code == 415
    assert web.post(INBOX, b"x", PLAIN).status_code == 401
    assert web.post(INBOX, b"x", PLAIN | {"Signature": "garbage"}).status_code == 401
    stale = _signed(services, b"x", Date="Sun, 01 Mar 2026 10:00:00 GMT")
    assert web.post(INBOX, b"x", stale).status_code == 401
    assert web.post(INBOX, b"not json", _signed(services, b"other")).status_code == 401
    assert web.post(INBOX, b"not json", _signed(services, b"not json")).status_code == 400
    assert web.post(INBOX, FOLLOW, _signed(services, FOLLOW)).status_code == 202


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/activity+json", 202),
        ("application/activity+json; charset=utf-8", 202),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams"', 202),
        ("application/ld+json", 202),
        ("Application/JSON", 202),
        ("text/html", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/html; application/activity+json", 415),
        ("application/activity+json, text/html", 415),
        (";" * 1000, 202),
        ("a" * 5000, 415),
    ],
)
def test_the_content_type_must_be_json_of_some_kind(services, web, content_type: str, status: int) -> None:
    headers = _signed(services, FOLLOW, Content_Type=content_type)
    assert web.post(INBOX, FOLLOW, headers).status_code == status


def test_an_activity_of_the_largest_size_is_read_and_one_byte_more_is_not(services, web: Visitor) -> None:
    ALICE.is_known(services)
    said = ALICE.says("Create", {"id": f"{ALICE.id}/1", "type": "Note", "attributedTo": ALICE.id})
    for size, status in ((web_inbox.MAX_BODY, 202), (web_inbox.MAX_BODY + 1, 413)):
        body = json.dumps(said).encode().ljust(size)
        _, headers = ALICE.sign(body, services.now())
        assert web.post(INBOX, body, headers).status_code == status


def test_strangers_may_leave_less(services, web: Visitor) -> None:
    for size, status in ((web_inbox.MAX_UNVERIFIED_BODY, 202), (web_inbox.MAX_UNVERIFIED_BODY + 1, 413)):
        body = FOLLOW.ljust(size)
        _, headers = ALICE.sign(body, services.now())
        assert web.post(INBOX, body, headers).status_code == status


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"Signature": None},
        {"Signature": ""},
        {"Signature": "x" * 9000},
        {"Signature": 'keyId="https://one.example/k"'},
        {"Signature": 'keyId="javascript:alert(1)",signature="YQ=="'},
        {"Signature": 'keyId="http://one.example/k",headers="date digest",signature="YQ=="'},
        {"Signature": 'keyId="https://u:p@one.example/k",headers="date",signature="YQ=="'},
        {"Signature-Input": "sig1=()", "Signature": "sig1=:YQ==:"},
        {"Signature-Input": "garbage"},
        {"Signature-Input": "\xff\xfe"},
        {"Date": None},
        {"Date": "yesterday"},
        {"Date": "Sun, 01 Mar 2026 10:59:00 GMT"},
        {"Date": "Sun, 01 Mar 2026 12:06:00 GMT"},
        {"Date": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"Digest": None},
        {"Digest": "SHA-256=" + base64.b64encode(hashlib.sha256(b"other").digest()).decode()},
        {"Digest": "MD5=YQ=="},
        {"Digest": "garbage"},
    ],
    ids=str,
)
def test_a_signature_that_proves_nothing_is_a_401(
    services, web, change: dict[str, str | None], known
) -> None:
    if known:
        ALICE.is_known(services)
    headers = {n: v for n, v in (_signed(services, FOLLOW) | change).items() if v is not None}
    answer = web.post(INBOX, FOLLOW, headers)
    assert answer.status_code == 401
    assert answer.json["error"]
    assert waiting(services) == 0


@pytest.mark.parametrize("left_out", ["(request-target)", "host", "date", "digest"])
def test_a_signature_must_cover_what_ties_it_to_us(services, web: Visitor, left_out: str) -> None:
    headers = _signed(services, FOLLOW)
    covered = re.search('headers="([^"]*)"', headers["Signature"])[1]
    fewer = " ".join(name for name in covered.split(" ") if name != left_out)
    headers["Signature"] = headers["Signature"].replace(covered, fewer)
    assert web.post(INBOX, FOLLOW, headers).status_code == 401
    assert waiting(services) == 0


def test_a_flipped_bit_anywhere_in_the_body_is_a_401(services, web: Visitor) -> None:
    ALICE.is_known(services)
    headers = _signed(services, FOLLOW)
    for place in range(0, len(FOLLOW), 11):
        changed = bytearray(FOLLOW)
        changed[place] ^= 1
        assert web.post(INBOX, bytes(changed), headers).status_code == 401
    assert waiting(services) == 0


@pytest.mark.parametrize(
    "target", ["/ap/inbox", "/ap/cafe/inbox?x=1", "/ap/%63afe/inbox", "/ap/cafe/inbox/", "/ap/instance/inbox"]
)
def test_a_signature_for_one_address_is_worth_nothing_at_another(services, web: Visitor, target: str) -> None:
    ALICE.is_known(services)
    _, headers = ALICE.sign(FOLLOW, services.now(), f"https://cafe.example{target}")
    assert web.post(INBOX, FOLLOW, headers).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "cafe.example.evil.example", "localhost"])
def test_a_signature_for_another_server_is_worth_nothing_here(services, web: Visitor, host: str) -> None:
    """Whatever the Host header says: what counts is whom the signature names."""
    ALICE.is_known(services)
    body, headers = ALICE.sign(FOLLOW, services.now(), f"https://{host}/ap/cafe/inbox")
    assert web.post(INBOX, body, headers).status_code == 401
    headers["X-Forwarded-Host"] = "cafe.example"
    assert web.post(INBOX, body, headers).status_code == 401


def test_a_proxy_may_replace_the_host_we_see(services, web: Visitor) -> None:
    ALICE.is_known(services)
    body, headers = ALICE.sign(FOLLOW, services.now())
    assert web.post(INBOX, body, headers | {"Host": "127.0.0.1:8000"}).status_code == 202


@pytest.mark.parametrize("name", ["Signature", "Digest", "Date", "Host"])
def test_a_header_that_comes_twice_proves_nothing(services, web: Visitor, name: str) -> None:
    ALICE.is_known(services)
    headers = _signed(services, FOLLOW)
    doubled = headers | {name: f"{headers[name]}, {headers[name]}"}
    status = web.post(INBOX, FOLLOW, doubled).status_code
    # It is our own name that the signature is checked against, whatever Host says.
    assert status == (202 if name == "Host" else 401)


def test_an_inbox_of_no_site_is_a_404(services, send) -> None:
    assert send(FOLLOW, url="https://cafe.example/ap/nobody/inbox") == 404
    assert send(FOLLOW, url="https://cafe.example/ap//cafe/inbox") == 404


# ── whose word it is ─────────────────────────────────────────────────────────────────────────────


def _victim_says(kind: str) -> Document:
    post = "https://cafe.example/ap/cafe/posts/p"
    note = {
        "id": f"{ALICE.id}/notes/1",
        "type": "Note",
        "attributedTo": ALICE.id,
        "inReplyTo": post,
        "content": "x",
    }
    objects = {
        "Create": note,
        "Update": note,
        "Delete": note["id"],
        "Move": ALICE.id,
        "Undo": f"{ALICE.id}#f",
    }
    more = {"target": MALLORY.id} if kind == "Move" else {}
    return ALICE.says(kind, objects.get(kind, CAFE), **more)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", EFFECTS)
def test_nobody_speaks_for_someone_else(services, send, kind: str, known: bool) -> None:
    """Every activity that has an effect is tried, also those that will be added one day."""
    ALICE.follows(services)
    if known:
        MALLORY.is_known(services)
        ALICE.is_known(services)
    assert send(_victim_says(kind), MALLORY) == 401
    assert waiting(services) == 0


@pytest.mark.parametrize("kind", EFFECTS)
def test_a_neighbour_on_the_same_server_speaks_for_nobody_else_either(services, send, kind: str) -> None:
    bob = Stranger("bob", ALICE.host, rsa_key(1))
    bob.is_known(services)
    ALICE.follows(services)
    assert send(_victim_says(kind), bob) == 401
    assert waiting(services) == 0


NOBODY = (
    *(None, "", 7, True, {}, {"id": None}, [ALICE.id, MALLORY.id], "alice", "https:///"),
    *("https://EVIL.example:444/users/mallory", "https://evil.example@one.example/", ALICE.id),
)


@pytest.mark.parametrize("kind", EFFECTS)
def test_an_actor_who_cannot_be_told_is_nobody(services, send, kind: str) -> None:
    MALLORY.is_known(services)
    for actor in NOBODY:
        if actor is None and kind == "FeatureRequest":
            continue  # whoever signs it asks (FEP-7aa9)
        assert send({**MALLORY.says(kind, CAFE), "actor": actor}, MALLORY) in (400, 401), actor
    assert waiting(services) == 0


@pytest.mark.parametrize("kind", EFFECTS)
def test_an_id_on_another_server_is_not_ours_to_believe(services, send, kind: str) -> None:
    MALLORY.is_known(services)
    MALLORY.follows(services)
    said = {**_victim_says(kind), "actor": MALLORY.id}
    assert send(said, MALLORY) == 401
    assert waiting(services) == 0


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
@pytest.mark.parametrize(
    "obj",
    [
        {"id": f"{ALICE.id}/1", "type": "Note", "attributedTo": MALLORY.id},
        {"id": f"{MALLORY.id}/1", "type": "Note", "attributedTo": ALICE.id},
        {"id": f"{MALLORY.id}/1", "type": "Note", "attributedTo": [MALLORY.id, ALICE.id]},
        {"id": "no-host", "type": "Note", "attributedTo": MALLORY.id},
        {"id": "https://evil.example:444/1", "type": "Note", "attributedTo": MALLORY.id},
        {"id": "https://mallory@evil.example/1", "type": "Note", "attributedTo": MALLORY.id},
    ],
    ids=str,
)
def test_nobody_touches_what_someone_else_wrote(services, send, kind: str, obj: Document) -> None:
    """It is refused before anything is stored."""
    MALLORY.is_known(services)
    assert send(MALLORY.says(kind, obj), MALLORY) == 401
    assert waiting(services) == 0


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


def _forged(services) -> tuple[bytes, dict[str, str]]:
    """Alice's words under Alice's key id, signed by someone else's key."""
    return Stranger(ALICE.name, ALICE.host, rsa_key(1)).sign(FOLLOW, services.now())


def test_a_wrong_signature_is_refused_where_the_key_was_fetched_lately(services, web: Visitor) -> None:
    ALICE.is_known(services)
    assert web.post(INBOX, *_forged(services)).status_code == 401
    assert waiting(services) == 0


def test_a_wrong_signature_may_be_a_new_key_where_the_one_we_hold_is_old(services, web: Visitor) -> None:
    ALICE.is_known(services, fresh=False)
    assert web.post(INBOX, *_forged(services)).status_code == 202
    assert waiting(services, verified=False) == 1


def test_a_key_that_could_not_be_had_lately_is_not_asked_for_again(services, clock, web: Visitor) -> None:
    with services.store.write() as tx:
        remote.save_missing_key(
            tx, ALICE.key_id, None, "404", now=services.now(), pause=timedelta(minutes=10)
        )
    assert web.post(INBOX, *ALICE.sign(FOLLOW, services.now())).status_code == 401
    clock.tick(timedelta(minutes=11))
    assert web.post(INBOX, *ALICE.sign(FOLLOW, services.now())).status_code == 202


def test_a_key_of_someone_else_on_the_same_server_is_no_key_of_the_actor(services, send) -> None:
    ALICE.is_known(services)
    bob = Stranger("bob", ALICE.host)
    assert send({**ALICE.says("Follow", CAFE), "actor": bob.id}, ALICE) == 401


# ── floods ───────────────────────────────────────────────────────────────────────────────────────


def test_a_flood_of_deletes_from_people_we_never_heard_of_leaves_nothing(services, web: Visitor) -> None:
    """Every deleted account is announced everywhere, when its key is gone already (fedify-dev/fedify#472)."""
    for number in range(2000):
        who = Stranger(f"user{number}")
        delete = json.dumps(who.says("Delete", who.id)).encode()
        digest = base64.b64encode(hashlib.sha256(delete).digest()).decode()
        headers = {
            "Content-Type": "application/activity+json",
            "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
            "Digest": f"SHA-256={digest}",
            "Signature": f'keyId="{who.key_id}",headers="(request-target) host date digest",signature="YQ=="',
        }
        assert web.post(INBOX, delete, headers).status_code == 202
    assert waiting(services) == 0
    with services.store.read() as tx:
        assert remote.key(tx, Stranger("user0").key_id) is None


def test_the_delete_of_a_follower_is_kept(services, send) -> None:
    ALICE.follows(services)
    assert send(ALICE.says("Delete", ALICE.id)) == 202
    assert waiting(services) == 1


@pytest.mark.parametrize("kind", ["View", "Listen", "Travel", "ChatMessage", "Add", "x" * 90])
def test_what_we_take_no_interest_in_is_accepted_and_dropped(services, send, kind: str) -> None:
    assert kind not in EFFECTS
    assert send(ALICE.says(kind, CAFE)) == 202
    assert waiting(services) == 0


def test_when_too_many_strangers_wait_new_ones_come_back_later_but_friends_come_in(
    services, web: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 5)
    for number in range(5):
        who = Stranger(f"user{number}")
        assert web.post(INBOX, *who.sign(who.says("Follow", CAFE), services.now())).status_code == 202
    answer = web.post(INBOX, *ALICE.sign(FOLLOW, services.now()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    ALICE.is_known(services)
    assert web.post(INBOX, *ALICE.sign(FOLLOW, services.now())).status_code == 202


def test_one_public_address_that_asks_too_often_is_told_to_wait(
    services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_inbox, "POSTS_PER_5_MINUTES", 3)
    web = Visitor(create_wsgi(services))
    statuses = [web.post(INBOX, b"", PLAIN, address="8.8.8.8").status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert web.post(INBOX, b"", PLAIN, address="9.9.9.9").status_code == 401
    limited = web.post(INBOX, b"", PLAIN, address="8.8.8.8")
    assert limited.headers["Retry-After"] == "60"


@pytest.mark.parametrize("address", ["127.0.0.1", "172.17.0.1", "10.0.0.1", "::1", "fd00::1", "100.64.0.1"])
def test_a_proxy_behind_which_everyone_is_does_not_run_into_the_limit(
    services, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(web_inbox, "POSTS_PER_5_MINUTES", 3)
    web = Visitor(create_wsgi(services))
    assert {web.post(INBOX, b"", PLAIN, address=address).status_code for _ in range(10)} == {401}


def test_an_undo_without_an_id_is_taken(services, send) -> None:
    """GoToSocial and others leave it out; saying it twice is harmless."""
    ALICE.is_known(services)
    undo = ALICE.says("Undo", ALICE.says("Follow", CAFE))
    del undo["id"]
    assert send(undo) == 202
    assert parse_activity(arrivals(services)[0].body).id is None
