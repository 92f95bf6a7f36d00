"""The peers understand one another without us: what they then say about the bridge can be believed."""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from peers import (
    CA,
    Peer,
    PeerError,
    Scheme,
    eventually,
    free_port,
    start_fedify,
    start_pubby,
    start_tls_front,
    why_missing,
)

MISSING = why_missing()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(MISSING is not None, reason=MISSING or "")]

AS2 = "application/activity+json"


@pytest.fixture(params=["alice of Fedify to bob of pubby", "bob of pubby to alice of Fedify"])
def pair(request: pytest.FixtureRequest, fedify: Peer, pubby: Peer) -> tuple[Peer, Peer]:
    """Name who does and who is done to."""
    return (fedify, pubby) if request.param.startswith("alice") else (pubby, fedify)


@pytest.fixture
def secure(ca: CA, tmp_path: Path) -> Iterator[Peer]:
    with start_fedify(ca, tmp_path, authorized_fetch=True) as peer:
        yield peer


def follow(follower: Peer, author: Peer) -> None:
    follower.do("follow", target=author.handle)
    eventually(lambda: follower.state()["following"].get(author.actor_id) == "accepted")


def request(ca: CA, peer: Peer, method: str, url: str, body: str | None = None) -> tuple[int, bytes]:
    trust = ssl.create_default_context(cafile=ca.ca_file)
    connection = http.client.HTTPSConnection(url.split("/")[2], context=trust, timeout=10)
    connection.request(method, url.removeprefix(peer.origin), body, {"Accept": AS2, "Content-Type": AS2})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


# ── the peers ────────────────────────────────────────────────────────────────────────────────────


def test_a_follow_is_accepted(pair: tuple[Peer, Peer]) -> None:
    follower, author = pair
    follow(follower, author)
    assert follower.actor_id in author.state()["followers"]


def test_an_unfollow_is_noticed(pair: tuple[Peer, Peer]) -> None:
    follower, author = pair
    follow(follower, author)
    follower.do("unfollow", target=author.handle)
    eventually(lambda: follower.actor_id not in author.state()["followers"])
    assert author.actor_id not in follower.state()["following"]


def test_a_post_its_edit_and_its_end_reach_a_follower(pair: tuple[Peer, Peer]) -> None:
    follower, author = pair
    follow(follower, author)
    note = author.do("post", content="<p>Fresh bread</p>")["object"]
    (created,) = eventually(lambda: follower.received("Create", note))
    assert created["object"]["content"] == "<p>Fresh bread</p>"
    assert created["object"]["attributed_to"] == created["actor"] == author.actor_id

    author.do("edit", object=note, content="<p>Sold out</p>")
    (updated,) = eventually(lambda: follower.received("Update", note))
    assert updated["object"]["content"] == "<p>Sold out</p>"
    assert follower.do("lookup", target=note)["content"] == "<p>Sold out</p>"

    author.do("delete", object=note)
    eventually(lambda: follower.received("Delete", note))
    with pytest.raises(PeerError):
        follower.do("lookup", target=note)


@pytest.mark.parametrize(("verb", "activity_type"), [("like", "Like"), ("announce", "Announce")])
def test_a_reaction_and_its_undo_reach_the_author(
    pair: tuple[Peer, Peer], verb: str, activity_type: str
) -> None:
    reader, author = pair
    note = author.do("post", content="Hello")["object"]
    reaction = reader.do(verb, object=note)["activity"]
    (received,) = eventually(lambda: author.received(activity_type, note))
    assert (received["id"], received["actor"]) == (reaction, reader.actor_id)
    reader.do("undo", activity=reaction)
    (undone,) = eventually(lambda: author.received("Undo", reaction))
    assert undone["actor"] == reader.actor_id


def test_a_reply_reaches_the_author(pair: tuple[Peer, Peer]) -> None:
    reader, author = pair
    note = author.do("post", content="Hello")["object"]
    reply = reader.do("reply", object=note, content="<p>Hello yourself</p>")["object"]
    (received,) = eventually(lambda: author.received("Create", reply))
    assert received["object"]["in_reply_to"] == note
    assert received["object"]["content"] == "<p>Hello yourself</p>"


def test_fedify_chooses_the_inbox_it_is_told_to(fedify: Peer, secure: Peer) -> None:
    note = secure.do("post", content="Hello")["object"]
    fedify.do("like", object=note, shared=True)
    fedify.do("like", object=note, shared=False)
    eventually(lambda: {like["shared"] for like in secure.received("Like", note)} == {True, False})


@pytest.mark.parametrize("start", [start_fedify, start_pubby], ids=["alice of Fedify", "bob of pubby"])
def test_an_actor_that_deleted_itself_is_gone(
    ca: CA, tmp_path: Path, fedify: Peer, start: Callable[[CA, Path], Peer]
) -> None:
    with start(ca, tmp_path) as leaver:
        follow(leaver, fedify)
        leaver.do("delete-actor")
        eventually(lambda: fedify.received("Delete", leaver.actor_id))
        assert request(ca, leaver, "GET", leaver.actor_id)[0] == 410


def test_what_is_not_signed_is_refused_and_told_apart(pair: tuple[Peer, Peer], ca: CA) -> None:
    victim, supposed = pair
    forged = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": f"{supposed.origin}/forged",
        "type": "Like",
        "actor": supposed.actor_id,
        "object": victim.actor_id,
    }
    status, _ = request(ca, victim, "POST", victim.state()["actor"]["inbox"], json.dumps(forged))
    assert status == 401
    assert not [like for like in victim.received("Like") if like["id"] == forged["id"]]
    assert forged["id"] in [refused["id"] for refused in victim.state()["unverified"]]


def test_a_peer_says_why_it_cannot_do_what_it_is_asked(pair: tuple[Peer, Peer]) -> None:
    peer, _ = pair
    with pytest.raises(PeerError, match="nowhere"):
        peer.do("undo", activity="https://localhost/nowhere")
    with pytest.raises(PeerError, match="no control"):
        peer.do("juggle")


# ── signatures ───────────────────────────────────────────────────────────────────────────────────


def test_secure_alice_shows_herself_to_signed_requests_only(ca: CA, fedify: Peer, secure: Peer) -> None:
    assert request(ca, secure, "GET", secure.actor_id)[0] == 401
    assert request(ca, secure, "GET", f"{secure.origin}/users/instance")[0] == 200
    follow(fedify, secure)
    assert fedify.do("lookup", target=secure.actor_id)["username"] == "alice"


def test_fedify_knocks_with_rfc9421_and_then_with_cavage(ca: CA, tmp_path: Path, pubby: Peer) -> None:
    with start_fedify(ca, tmp_path) as fresh:
        follow(fresh, pubby)
        posts = [r for r in fresh.state()["sent"] if r["method"] == "POST"]
    assert [(r["scheme"], r["status"]) for r in posts] == [("rfc9421", 401), ("cavage", 202)]


@pytest.mark.parametrize("scheme", ["rfc9421", "cavage"])
def test_fedify_can_be_made_to_accept_one_scheme_only(ca: CA, tmp_path: Path, scheme: Scheme) -> None:
    other: Scheme = "cavage" if scheme == "rfc9421" else "rfc9421"
    with (
        start_fedify(ca, tmp_path, accepts=scheme) as picky,
        start_fedify(ca, tmp_path, first_knock=other) as knocking,
    ):
        follow(knocking, picky)
        posts = [r for r in knocking.state()["sent"] if r["method"] == "POST"]
        assert posts[-1] | {"url": ""} == {"method": "POST", "url": "", "scheme": scheme, "status": 202}
        seen = picky.state()["received"]
    assert {r["status"] for r in seen if r["scheme"] == other} == {401}


def test_pubby_speaks_cavage_only(fedify: Peer, pubby: Peer) -> None:
    follow(pubby, fedify)
    assert {r["scheme"] for r in pubby.state()["sent"] if r["method"] == "POST"} == {"cavage"}


# ── the TLS front ────────────────────────────────────────────────────────────────────────────────


class Echo(BaseHTTPRequestHandler):
    """Answers with the request line, the Host and the body it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.requestline} {self.headers['Host']} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield server.server_port
        server.shutdown()


def connect(ca: CA, port: int) -> http.client.HTTPSConnection:
    trust = ssl.create_default_context(cafile=ca.ca_file)
    return http.client.HTTPSConnection("localhost", port, context=trust, timeout=5)


def test_the_tls_front_passes_every_byte_on_and_keeps_connections_open(ca: CA, echo_port: int) -> None:
    port = free_port()
    with start_tls_front(ca, port, echo_port) as origin:
        assert origin == f"https://localhost:{port}"
        connection = connect(ca, port)
        for body in (b"x", bytes(range(256)) * 2000):
            connection.request("POST", "/a%20b?c=%C3%A4", body)
            expected = f"POST /a%20b?c=%C3%A4 HTTP/1.1 localhost:{port} ".encode() + body
            assert connection.getresponse().read() == expected
        # The front ends here although a connection is still open.
    connection.close()


def test_the_tls_front_outlives_an_upstream_that_is_down(ca: CA, echo_port: int) -> None:
    front_port, upstream_port = free_port(), free_port()
    with start_tls_front(ca, front_port, upstream_port):
        connection = connect(ca, front_port)
        with pytest.raises((http.client.RemoteDisconnected, OSError)):
            connection.request("POST", "/", b"x")
            connection.getresponse()
        connection.close()
        with ThreadingHTTPServer(("127.0.0.1", upstream_port), Echo) as server:
            threading.Thread(target=server.serve_forever, args=[0.01]).start()
            connection = connect(ca, front_port)
            connection.request("POST", "/", b"x")
            assert connection.getresponse().status == 200
            connection.close()
            server.shutdown()


def test_the_tls_front_frees_its_port_when_it_ends(ca: CA, echo_port: int) -> None:
    port = free_port()
    for _ in range(2):
        with start_tls_front(ca, port, echo_port), socket.create_connection(("localhost", port)):
            pass
