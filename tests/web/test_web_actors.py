"""What servers read of us: the actor, its collections, its posts and what stands where they were."""

from datetime import timedelta

import pytest
from fake_peer import PUBLIC
from web_visitor import AS2, BROWSER, CAFE, SPLIT, Stranger, Visitor, publish

from bridge.activitypub.documents import OUTBOX_PAGE_SIZE, timestamp
from bridge.activitypub.ids import mint_activity_id
from bridge.model import PostState
from bridge.publish.posts import delete_post
from bridge.publish.profile import announce_profile
from bridge.receive.effects import queue_answer
from bridge.store import interactions, outgoing, posts
from bridge.store.interactions import BOOST, LIKE, REPLY, NewInteraction
from bridge.web import create_wsgi


@pytest.fixture
def web(services) -> Visitor:
    return Visitor(create_wsgi(services))


def test_the_actor_is_what_every_server_can_read(web: Visitor) -> None:
    answer = web.get("/ap/cafe")
    assert answer.headers["Content-Type"] == "application/activity+json; charset=utf-8"
    actor = answer.json
    assert actor["id"] == CAFE
    assert actor["type"] == "Service"
    assert (actor["preferredUsername"], actor["webfinger"]) == ("cafe", "cafe@cafe.example")
    assert actor["url"] == "https://cafe.example/"
    assert actor["publicKey"]["owner"] == CAFE
    assert actor["publicKey"]["id"] == f"{CAFE}#main-key"
    assert "PRIVATE" not in answer.get_data(as_text=True)
    for name in ("inbox", "outbox", "followers", "following", "featured", "featuredTags"):
        assert actor[name].startswith(f"{CAFE}/")
    assert actor["endpoints"]["sharedInbox"] == "https://cafe.example/ap/inbox"
    assert actor["manuallyApprovesFollowers"] is False
    assert isinstance(actor["summary"], str)


def test_in_the_split_layout_the_profile_stays_on_the_host_of_the_id(make_services) -> None:
    """Mastodon drops a `url` on another host; ours redirects people to the website."""
    web = Visitor(create_wsgi(make_services(base_url=SPLIT)))
    actor = web.read("/ap/cafe")
    assert actor["id"] == "https://social.cafe.example/ap/cafe"
    assert actor["url"] == "https://social.cafe.example/@cafe"
    assert actor["webfinger"] == "cafe@cafe.example"
    assert web.get("/@cafe", BROWSER).headers["Location"] == "https://cafe.example/"
    assert web.get("/@cafe", AS2).headers["Location"] == actor["id"]


def test_a_split_posts_page_leads_people_to_the_website_and_servers_to_the_object(make_services) -> None:
    services = make_services(base_url=SPLIT)
    post = publish(services, "Buns")
    web = Visitor(create_wsgi(services))
    assert post.note["url"] == f"https://social.cafe.example/r/{post.id}"
    assert web.get(post.note["url"], BROWSER).headers["Location"] == "https://cafe.example/buns/"
    asked = web.get(post.note["url"], AS2)
    assert (asked.status_code, asked.headers["Location"]) == (302, post.note["id"])
    assert "Accept" in asked.headers["Vary"]


@pytest.mark.parametrize("signed", [False, True])
def test_the_instance_actor_answers_whoever_asks(services, clock, web: Visitor, signed: bool) -> None:
    """A server that wants signed GETs fetches our key while we fetch its."""
    headers = {"Signature": 'keyId="x"'} if signed else {}
    actor = web.get("/ap/instance", **headers).json
    assert actor["id"] == "https://cafe.example/ap/instance"
    assert actor["type"] == "Application"
    assert actor["publicKey"]["owner"] == actor["id"]
    for collection in ("outbox", "followers", "following"):
        assert web.read(f"/ap/instance/{collection}")["totalItems"] == 0
    assert web.get("/ap/instance/featured").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/ap/nobody",
        "/ap/nobody/outbox",
        "/ap/nobody/followers",
        "/ap/nobody/posts/1",
        "/ap/nobody/activities/1",
        "/ap/nobody/pictures/icon.png",
        "/ap/nobody/feed",
        "/ap/nobody/tagged/bun",
        "/ap/cafe/posts/unknown",
        "/ap/cafe/posts/unknown/replies",
        "/ap/cafe/activities/unknown",
        "/ap/cafe/nothing",
        "/ap/cafe/posts/%00",
        "/ap/cafe/posts/%ff%fe",
        "/ap/cafe/posts/..%2f..%2fetc",
        "/ap/%00",
        "/ap/" + "a" * 5000,
        "/ap//cafe",
        "//ap/cafe",
        "/r/unknown",
        "/@nobody",
        "/ap",
        "/nothing",
    ],
)
@pytest.mark.parametrize("accept", [AS2, BROWSER], ids=["server", "browser"])
def test_what_is_not_there_is_a_404(web: Visitor, path: str, accept: str) -> None:
    answer = web.get(path, accept)
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


# ── collections ──────────────────────────────────────────────────────────────────────────────────


def test_the_outbox_can_be_read_to_its_end(services, clock, web: Visitor) -> None:
    ids = []
    for number in range(2 * OUTBOX_PAGE_SIZE + 5):
        clock.tick(timedelta(minutes=1))
        ids.append(publish(services, f"Post {number}").note["id"])
    outbox = web.read(f"{CAFE}/outbox")
    assert outbox["totalItems"] == len(ids)
    found, page_url, previous = [], outbox["first"], None
    while page_url:
        page = web.read(page_url)
        assert page["id"] == page_url
        assert page["partOf"] == outbox["id"]
        assert page.get("prev") == previous
        assert len(page["orderedItems"]) <= OUTBOX_PAGE_SIZE
        found += page["orderedItems"]
        previous, page_url = page_url, page.get("next")
    assert previous == outbox["last"]
    assert [create["object"]["id"] for create in found] == ids[::-1]
    assert {create["type"] for create in found} == {"Create"}
    assert all(create["to"] == create["object"]["to"] == [PUBLIC] for create in found)


def test_an_empty_outbox_has_one_empty_page(web: Visitor) -> None:
    outbox = web.read(f"{CAFE}/outbox")
    assert (outbox["totalItems"], outbox["first"]) == (0, outbox["last"])
    assert web.read(outbox["first"])["orderedItems"] == []


@pytest.mark.parametrize("number", ["0", "2", "-1", "1e3", "x", "٢", "999999999", "9" * 30, "9" * 5000])
def test_the_outbox_has_no_other_pages(services, web: Visitor, number: str) -> None:
    publish(services)
    assert web.get(f"{CAFE}/outbox/pages/{number}").status_code == 404


def test_followers_are_a_number_and_never_a_name(services, clock, web: Visitor) -> None:
    alice = Stranger()
    alice.follows(services)
    alice.is_known(services)
    page = web.read(f"{CAFE}/followers")
    assert page["totalItems"] == 1
    assert web.read(page["first"])["orderedItems"] == []
    _, signed = alice.sign(b"", clock.now(), f"{CAFE}/followers")
    paths = ("", "/followers", "/followers/pages/1", "/following", "/outbox", "/featured", "/feed")
    for path in paths:
        for headers in ({}, signed):
            answer = web.get(f"{CAFE}{path}", **{k.replace("-", "_"): v for k, v in headers.items()})
            assert answer.status_code == 200
            assert "alice" not in answer.get_data(as_text=True), path


def test_an_accept_that_names_a_follower_is_for_that_follower_only(services, web: Visitor) -> None:
    alice = Stranger()
    follow = alice.says("Follow", CAFE)
    with services.store.write() as tx:
        queue_answer(tx, services, "Accept", "cafe", alice.actor, follow, version="1", now=services.now())
        uri = services.ids.activity("cafe", mint_activity_id("cafe", "Accept", follow["id"], "1"))
        assert b"alice" in outgoing.activity_body(tx, uri)
    assert web.get(uri).status_code == 404


@pytest.mark.parametrize("state", [PostState.BASELINE, PostState.PUBLISHED])
def test_newcomers_find_the_newest_posts_pinned_even_right_after_the_baseline(
    services, clock, web: Visitor, state: PostState
) -> None:
    ids = []
    for number in range(services.site("cafe").pinned + 2):
        clock.tick(timedelta(hours=1))
        ids.append(publish(services, f"Post {number}", state=state).note["id"])
    featured = web.read(f"{CAFE}/featured")
    assert featured["type"] == "OrderedCollection"
    assert featured["orderedItems"] == ids[::-1][: services.site("cafe").pinned]
    for post_id in featured["orderedItems"]:
        assert web.read(post_id)["type"] == "Note"


def test_the_profile_shows_the_hashtags_of_the_newest_posts(services, clock, web: Visitor) -> None:
    publish(services, "One", tags=("bun", "cafe"))
    clock.tick(timedelta(hours=1))
    publish(services, "Two", tags=("tea", "bun"))
    tags = web.read(f"{CAFE}/tags")
    assert [tag["name"] for tag in tags["items"]] == ["#tea", "#bun", "#cafe"]
    assert tags["totalItems"] == 3
    for tag in tags["items"]:
        assert web.get(tag["href"], BROWSER).status_code == 200


# ── posts ────────────────────────────────────────────────────────────────────────────────────────


def test_a_post_is_served_under_its_id_with_todays_counts(services, web: Visitor) -> None:
    post = publish(services, "Buns")
    kinds = {
        LIKE: "https://one.example/likes/1",
        BOOST: "https://one.example/boosts/1",
        REPLY: "https://one.example/notes/1",
    }
    with services.store.write() as tx:
        pk = posts.row_of(tx, "cafe", post.id)
        for kind, key in kinds.items():
            new = NewInteraction(
                "cafe", pk, kind, "https://one.example/users/alice", key, f"{key}#a", public=True
            )
            interactions.save(tx, new, now=services.now())
        hidden = NewInteraction(
            "cafe", pk, REPLY, "https://one.example/users/bob", "https://one.example/dm", None, public=False
        )
        interactions.save(tx, hidden, now=services.now())
    note = web.read(post.note["id"])
    assert note["id"] == post.note["id"]
    assert (note["likes"]["totalItems"], note["shares"]["totalItems"]) == (1, 1)
    assert note["replies"]["first"]["items"] == ["https://one.example/notes/1"]
    assert web.read(note["likes"]["id"])["totalItems"] == 1
    assert web.read(note["shares"]["id"])["totalItems"] == 1
    replies = web.read(note["replies"]["id"])
    assert replies["items"] == ["https://one.example/notes/1"]
    assert web.read(note["context"])["items"] == [note["id"], "https://one.example/notes/1"]
    assert web.get(f"{note['id']}/nothing").status_code == 404


@pytest.mark.parametrize("state", [PostState.BASELINE, PostState.PUBLISHED])
def test_a_posts_create_can_be_read_again(services, web: Visitor, state: PostState) -> None:
    post = publish(services, state=state)
    (create,) = web.read(f"{CAFE}/outbox/pages/1")["orderedItems"]
    again = web.read(create["id"])
    assert again["id"] == create["id"]
    assert again["object"]["id"] == post.note["id"]
    assert again["@context"]


def test_a_deleted_post_leaves_a_tombstone_and_nothing_else(services, clock, web: Visitor) -> None:
    post = publish(services, "A secret slipped out", html="<p>password: hunter2</p>")
    (create,) = web.read(f"{CAFE}/outbox/pages/1")["orderedItems"]
    clock.tick(timedelta(hours=1))
    with services.store.write() as tx:
        delete_post(tx, services, post, now=clock.now())
    web = Visitor(create_wsgi(services))
    for url in (post.note["id"], f"{post.note['id']}/replies", create["id"]):
        gone = web.get(url)
        assert gone.status_code == 410
        assert gone.headers["Content-Type"] == AS2 + "; charset=utf-8"
        assert gone.json == {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": post.note["id"],
            "type": "Tombstone",
            "formerType": "Note",
            "deleted": "2026-03-01T13:00:00Z",
        }
        assert web.get(url, BROWSER).status_code == 410
    assert web.get(f"/r/{post.id}", BROWSER).status_code == 410
    delete = mint_activity_id("cafe", "Delete", post.note["id"])
    assert web.read(services.ids.activity("cafe", delete))["type"] == "Delete"
    for path in ("/outbox", "/outbox/pages/1", "/featured", "/feed", "/tags"):
        assert "hunter2" not in web.get(CAFE + path).get_data(as_text=True)


def test_a_scheduled_post_is_nowhere_to_be_seen(services, clock, web: Visitor) -> None:
    later = clock.now() + timedelta(days=1)
    post = publish(services, "Surprise", state=PostState.SCHEDULED, at=later, tags=("bun",))
    for accept in (AS2, BROWSER):
        for url in (post.note["id"], f"{post.note['id']}/likes", f"/r/{post.id}"):
            assert web.get(url, accept).status_code == 404
        for path in ("/outbox", "/outbox/pages/1", "/featured", "/feed", "/tags", "/tagged/bun"):
            answer = web.get(CAFE + path, accept)
            assert answer.status_code == 200
            assert "urprise" not in answer.get_data(as_text=True), path
    assert web.read(f"{CAFE}/outbox")["totalItems"] == 0


def test_a_changed_profile_is_announced_by_an_update_that_can_be_read(services, web: Visitor) -> None:
    with services.store.write() as tx:
        announce_profile(tx, services, "cafe", now=services.now())
    object.__setattr__(services.site("cafe"), "name", "Café Wren")
    with services.store.write() as tx:
        assert announce_profile(tx, services, "cafe", now=services.now())
    update = mint_activity_id("cafe", "Update", CAFE, timestamp(services.now()))
    assert web.read(services.ids.activity("cafe", update))["object"]["name"] == "Café Wren"


# ── browsers ─────────────────────────────────────────────────────────────────────────────────────


def test_a_browser_is_sent_on_to_the_page_for_people(services, web: Visitor) -> None:
    post = publish(services, "Buns")
    for url, page in ((CAFE, "https://cafe.example/"), (post.note["id"], "https://cafe.example/buns/")):
        answer = web.get(url, BROWSER)
        assert (answer.status_code, answer.headers["Location"]) == (302, page)
        assert "Accept" in answer.headers["Vary"]
        assert "public" not in answer.headers["Cache-Control"]
        assert web.get(url, "*/*").status_code == 200
        assert web.get(url, f"{AS2}, text/html").status_code == 200
    assert web.get("/ap/instance", BROWSER).headers["Location"] == "https://cafe.example/"


def test_browsers_and_servers_take_turns_without_getting_the_others_answer(services, web: Visitor) -> None:
    post = publish(services, "Buns")
    for _ in range(3):
        assert web.get(post.note["id"], BROWSER).status_code == 302
        assert web.get(post.note["id"], AS2).json["type"] == "Note"


def test_every_url_in_our_documents_answers(services, web: Visitor) -> None:
    """What we tell the world is there, is there."""
    publish(services, "Buns", tags=("bun",))
    seen, queue = set(), [CAFE, "https://cafe.example/ap/instance"]
    while queue:
        url = queue.pop().partition("#")[0]
        if url in seen or not url.startswith("https://cafe.example/ap/") or url.endswith("inbox"):
            continue
        seen.add(url)
        answer = web.get(url)
        assert answer.status_code == 200, url
        if answer.mimetype == AS2:
            queue += _strings(answer.json)
    assert len(seen) > 15


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inside for text in _strings(item)]
