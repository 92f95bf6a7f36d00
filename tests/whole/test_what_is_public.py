"""Every state of a post × every public route and every effect: only what is public can be seen or touched.

A state or a route that is added and missing here fails.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from web_visitor import AS2, BROWSER, CAFE, Stranger, Visitor

from bridge.activitypub import activities
from bridge.activitypub.documents import encode
from bridge.activitypub.ids import mint_activity_id
from bridge.activitypub.parse import parse_activity
from bridge.compose import compose_note
from bridge.look.own_files import copies_folder
from bridge.model import PUBLIC, Entry, Image, Post, PostState
from bridge.pictures import keep_copy
from bridge.receive.effects import EFFECTS, concerns_us, take_effect
from bridge.receive.incoming import Incoming
from bridge.services import Services
from bridge.store import identity, interactions, outgoing, posts, remote, sources
from bridge.store.entries import to_stored
from bridge.store.interactions import BOOST, LIKE, QUOTE, REPLY, NewInteraction
from bridge.store.outgoing import NewActivity
from bridge.store.posts import NewPost
from bridge.web import create_app, create_wsgi

WORD = "Zwetschgendatschi"
SEEN, HIDDEN, GONE = "seen", "hidden", "gone"

STATES = {
    PostState.BASELINE: SEEN,
    PostState.PUBLISHED: SEEN,
    PostState.SCHEDULED: HIDDEN,
    PostState.HELD: HIDDEN,
    PostState.IGNORED: HIDDEN,
    PostState.WITHDRAWN: GONE,
    PostState.DELETED: GONE,
}

# Endpoint → its addresses. Of one post: what they answer where it is seen, hidden and gone.
ABOUT_A_POST = {
    "actors.post": (["{post}"], (200, 404, 410)),
    "actors.post_collection": (
        ["{post}/likes", "{post}/shares", "{post}/replies", "{post}/context"],
        (200, 404, 410),
    ),
    "actors.activity": (["{create}", "{update}"], (200, 404, 410)),
    "actors.authorization": (["{stamp}"], (200, 404, 404)),
    "pages.page": (["/r/{id}"], (302, 404, 302)),  # servers are sent on to the document, and its 410
    "media.folder_picture": (["{picture}"], (200, 404, 404)),
    "media.copy": (["{copy}"], (200, 404, 404)),
}
ABOUT_A_SITE = {
    "actors.actor": ["/ap/cafe"],
    "actors.outbox": ["/ap/cafe/outbox"],
    "actors.outbox_page": ["/ap/cafe/outbox/pages/1"],
    "actors.followers_total": ["/ap/cafe/followers"],
    "actors.followers_page": ["/ap/cafe/followers/pages/1"],
    "actors.following": ["/ap/cafe/following"],
    "actors.featured": ["/ap/cafe/featured"],
    "actors.tags": ["/ap/cafe/tags"],
    "actors.instance": ["/ap/instance"],
    "actors.instance_collection": ["/ap/instance/outbox", "/ap/instance/followers"],
    "pages.front": ["/"],
    "pages.profile": ["/@cafe"],
    "pages.feed": ["/ap/cafe/feed"],
    "pages.tagged": ["/ap/cafe/tagged/{tag}"],
    "pages.privacy": ["/ap/about/privacy"],
    "discovery.webfinger": ["/.well-known/webfinger?resource=acct:cafe@cafe.example"],
    "discovery.host_meta": ["/.well-known/host-meta"],
    "discovery.host_meta_json": ["/.well-known/host-meta.json"],
    "discovery.nodeinfo_links": ["/.well-known/nodeinfo"],
    "discovery.nodeinfo": ["/nodeinfo/2.0", "/nodeinfo/2.1"],
    "health.alive": ["/healthz"],
    "health.ready": ["/readyz"],
    "media.profile_picture": ["/ap/cafe/pictures/icon-1.png"],
    "static": ["/ap/about/static/style.css"],
}
ASK_NOTHING = {  # nothing of a post can be asked there; what arrives in an inbox is tried below
    "inbox.shared_inbox",
    "inbox.own_inbox",
    "inbox.unreadable",
    "hooks.question",
    "hooks.push",
    "hooks.poll_now",
}
LISTS = {"actors.outbox_page", "actors.featured", "pages.feed", "pages.tagged"}

TOUCH_POSTS = {"Like", "EmojiReact", "Announce", "QuoteRequest", "Create"}
TOUCH_OTHERS = {"Follow", "Undo", "Block", "FeatureRequest", "Update", "Delete", "Remove", "Move", "Flag"}


@dataclass
class Written:
    """A post in some state, with all that was ever stored about it, and where each of that is."""

    services: Services
    post: Post
    pk: int
    addresses: dict[str, str]

    def url(self, address: str) -> str:
        return address.format(**self.addresses)


@pytest.fixture
def write(make_services, database, tmp_path) -> Iterator[Callable[[PostState], Written]]:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "bun.png").write_bytes(b"a picture")
    folder = f'[[sites.cafe.sources]]\nname = "notes"\nfolder = "{tmp_path}/notes"\n'
    services = make_services(database=database, sources=folder)
    copy = keep_copy(copies_folder(services.config), b"a picture", "image/png")

    def in_state(state: PostState) -> Written:
        return _write(services, state, copy)

    return in_state


def _write(services: Services, state: PostState, copy: str) -> Written:
    ids, now, post_id = services.ids, services.now(), "hiddenid12345678"
    picture = ids.media("cafe", "notes/bun.png")
    entry = Entry(
        "a", "https://cafe.example/a/", WORD, f"<p>{WORD}</p>", tags=("plums",), images=(Image(picture),)
    )
    note = {**compose_note(services, "cafe", post_id, entry, published_at=now)}
    shown = {"type": "Document", "mediaType": "image/png", "name": ""}
    note["attachment"] = [{**shown, "url": picture}, {**shown, "url": ids.copy(copy)}]
    post = Post("cafe", post_id, state, entry.link, note, "hash", now)
    stamp = mint_activity_id("cafe", "QuoteAuthorization", note["id"], "https://one.example/q")
    create, update = "create-1", "update-1"
    with services.store.write() as tx:
        source = sources.all_sources(tx)[0].id
        pk = posts.add(tx, NewPost(post, 1, "guid:a", ("guid:a",), source, to_stored(entry)), now=now)
        for document in (
            activities.create(ids, "cafe", note, activity_id=create),
            activities.update(ids, "cafe", note, activity_id=update, at=now),
        ):
            new = NewActivity("cafe", document["id"], document["type"], note["id"], encode(document), pk)
            outgoing.add_activity(tx, new, now=now)
        for kind, key in ((LIKE, "l"), (BOOST, "b"), (REPLY, "https://one.example/r"), (QUOTE, "q")):
            done = NewInteraction(
                "cafe", pk, kind, "https://one.example/users/old", key, None, public=True,
                content=f"<p>{WORD}</p>", stamp=stamp if kind == QUOTE else None,
            )  # fmt: skip
            interactions.save(tx, done, now=now)
        if STATES[state] is GONE:
            posts.bury(tx, pk, state=state, now=now)
        identity.touch(tx)
    addresses = {
        "post": note["id"],
        "id": post_id,
        "create": ids.activity("cafe", create),
        "update": ids.activity("cafe", update),
        "stamp": ids.authorization("cafe", stamp),
        "tag": "plums",
        "picture": picture,
        "copy": ids.copy(copy),
    }
    return Written(services, post, pk, addresses)


def test_every_state_says_whether_it_is_public() -> None:
    assert set(STATES) == set(PostState)
    for state, expected in STATES.items():
        assert (state.is_public, state.is_tombstone) == (expected is SEEN, expected is GONE), state


def test_every_route_is_in_the_table(services) -> None:
    known = {*ABOUT_A_POST, *ABOUT_A_SITE, *ASK_NOTHING}
    assert {rule.endpoint for rule in create_app(services).url_map.iter_rules()} == known


def test_every_activity_is_in_the_table() -> None:
    assert set(EFFECTS) <= TOUCH_POSTS | TOUCH_OTHERS


@pytest.mark.parametrize("state", PostState)
def test_no_route_shows_or_counts_what_is_not_public(write, state: PostState) -> None:
    """Asked twice: the second answer comes from memory."""
    written, place = write(state), (SEEN, HIDDEN, GONE).index(STATES[state])
    visitor = Visitor(create_wsgi(written.services))
    for endpoint, (addresses, expected) in ABOUT_A_POST.items():
        for url in [written.url(address) for address in addresses] * 2:
            answer = visitor.get(url, AS2)
            assert answer.status_code == expected[place], (endpoint, url)
            _says_nothing(answer, written)
            _says_nothing(visitor.get(url, BROWSER), written)
    for endpoint, addresses in ABOUT_A_SITE.items():
        for url in [written.url(address) for address in addresses] * 2:
            for accept in (AS2, BROWSER):
                answer = visitor.get(url, accept)
                _says_nothing(answer, written)
                if endpoint in LISTS:
                    said = answer.get_data(as_text=True)
                    assert (WORD in said or written.post.id in said) == state.is_public, url


def _says_nothing(answer, written: Written) -> None:
    said = answer.get_data(as_text=True) + str(answer.headers)
    if not written.post.state.is_public:
        assert WORD not in said
        assert "a picture" not in said
        # A tombstone names what is gone; of what is hidden not even that is said.
        assert written.post.state.is_tombstone or written.post.id not in said


@pytest.mark.parametrize("state", PostState)
def test_no_number_counts_what_is_not_public(write, state: PostState) -> None:
    written = write(state)
    visitor, number = Visitor(create_wsgi(written.services)), int(state.is_public)
    assert visitor.read("/ap/cafe/outbox")["totalItems"] == number
    assert visitor.read("/ap/cafe/featured")["totalItems"] == number
    assert visitor.read("/ap/cafe/tags")["totalItems"] == number
    usage = visitor.read("/nodeinfo/2.1")["usage"]
    assert (usage["localPosts"], usage["users"]["activeMonth"]) == (number, number)


def _says(written: Written, kind: str, target: str) -> Incoming:
    ann = Stranger("ann")
    note: object = target
    more: dict[str, object] = {}
    if kind == "Create":
        mine = {"id": f"{ann.id}/notes/1", "type": "Note", "attributedTo": ann.id, "content": "Yum"}
        note = {**mine, "inReplyTo": target, "to": [PUBLIC]}
    if kind == "QuoteRequest":
        more["instrument"] = f"{ann.id}/quotes/1"
    said = ann.says(kind, note, to=[PUBLIC], **more)
    now = written.services.now()
    return Incoming(parse_activity(encode(said)), ann.id, ann.actor, 1, now)


@pytest.mark.parametrize("target", ["post", "its reply"])
@pytest.mark.parametrize("kind", sorted(TOUCH_POSTS))
@pytest.mark.parametrize("state", PostState)
def test_only_what_is_public_is_liked_boosted_quoted_or_answered(
    write, state: PostState, kind: str, target: str
) -> None:
    """Whoever tries otherwise learns nothing: it is as if there were no such post."""
    if target == "its reply" and kind != "Create":
        return
    written = write(state)
    uri = written.addresses["post"] if target == "post" else "https://one.example/r"
    incoming = _says(written, kind, uri)
    unknown = _says(written, kind, f"{CAFE}/posts/unknown")
    with written.services.store.write() as tx:
        remote.save_actor(tx, Stranger("ann").actor, "one.example", now=incoming.now)
        before = sum(interactions.totals(tx).values())
        concerns = concerns_us(tx, written.services, incoming.activity)
        did = take_effect(tx, written.services, incoming)
        stored = sum(interactions.totals(tx).values()) - before
        nothing = take_effect(
            tx, written.services, dataclasses.replace(unknown, activity=_renamed(unknown.activity))
        )
        assert not concerns_us(tx, written.services, unknown.activity)
    assert (concerns, stored) == (state.is_public, int(state.is_public))
    assert (did == nothing) == (not state.is_public)


def _renamed(activity):
    return dataclasses.replace(activity, id=f"{activity.id}-again")


def test_an_edit_takes_back_what_the_create_said_before(write) -> None:
    written = write(PostState.PUBLISHED)
    with written.services.store.write() as tx:
        note = {**written.post.note, "content": "<p>Nothing to see.</p>", "updated": "2026-03-01T12:30:00Z"}
        post = dataclasses.replace(written.post, note=note)
        posts.revise(tx, written.pk, post, {}, now=written.services.now())
        identity.touch(tx)
    visitor = Visitor(create_wsgi(written.services))
    for kind in ("create", "update"):
        said = visitor.read(written.addresses[kind])
        assert said["object"]["content"] == "<p>Nothing to see.</p>"
        assert ("updated" in said["object"]) == (kind == "update")  # Mastodon shows such a Create as edited


def test_a_post_that_ceases_to_be_public_ceases_at_once(write) -> None:
    written = write(PostState.PUBLISHED)
    app = create_wsgi(written.services)
    assert Visitor(app).get(written.addresses["post"]).status_code == 200
    with written.services.store.write() as tx:
        posts.bury(tx, written.pk, state=PostState.WITHDRAWN, now=written.services.now())
        identity.touch(tx)
    app._asked_at = float("-inf")  # a second later
    assert Visitor(app).get(written.addresses["post"]).status_code == 410
