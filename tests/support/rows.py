"""Rows for store tests: the smallest sites, posts, people and news that a test can begin with."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.model import Delivery, Post, PostState, RemoteActor
from bridge.store import Tx, deliveries, followers, identity, outgoing, posts, sources
from bridge.store.followers import NewFollower
from bridge.store.inbox import Arrival
from bridge.store.outgoing import NewActivity
from bridge.store.posts import NewPost

OBJECT = "https://cafe.example/ap/cafe/posts/p1"
INTERVAL = timedelta(minutes=15)


def add_site(tx: Tx, key: str = "cafe", *, now: datetime) -> None:
    """A site with one source, `blog`."""
    identity.add_site(tx, key, f"@{key}@cafe.example", now=now)
    wanted = [(s.site, s.name, s.kind, s.location) for s in sources.all_sources(tx)]
    feed = (key, "blog", "feed", f"https://{key}.example/feed.xml")
    sources.sync(tx, [*wanted, feed], interval=INTERVAL, now=now)


def source_of(tx: Tx, site: str = "cafe") -> int:
    return next(source.id for source in sources.all_sources(tx) if source.site == site)


def post(post_id: str = "p1", *, now: datetime, site: str = "cafe", **changed: object) -> Post:
    plain = Post(
        site=site,
        id=post_id,
        state=PostState.PUBLISHED,
        page_url=f"https://cafe.example/{post_id}/",
        note={"type": "Note", "content": f"<p>{post_id}</p>"},
        content_hash=f"hash of {post_id}",
        published_at=now,
    )
    return replace(plain, **changed)


def new_post(tx: Tx, written: Post, *keys: str) -> NewPost:
    names = keys or (f"guid:{written.id}",)
    return NewPost(written, 1, names[0], names, source_of(tx, written.site), {"title": written.id})


def add_post(tx: Tx, post_id: str = "p1", *, now: datetime, site: str = "cafe", **changed: object) -> int:
    pk = posts.add(tx, new_post(tx, post(post_id, now=now, site=site, **changed)), now=now)
    assert pk is not None
    return pk


def actor(name: str, host: str = "one.example", *, shared: bool = True) -> RemoteActor:
    return RemoteActor(
        id=f"https://{host}/users/{name}",
        type="Person",
        handle=f"@{name}@{host}",
        inbox=f"https://{host}/users/{name}/inbox",
        shared_inbox=f"https://{host}/inbox" if shared else None,
    )


def add_follower(
    tx: Tx,
    name: str,
    host: str = "one.example",
    *,
    now: datetime,
    shared: bool = True,
    site: str = "cafe",
    state: str = followers.ACCEPTED,
) -> RemoteActor:
    who = actor(name, host, shared=shared)
    followers.save(tx, NewFollower(site, who, host, state, f"{who.id}#follow"), now=now)
    return who


def news(
    kind: str = "Create", object_uri: str = OBJECT, *, post_pk: int | None = None, version: str = ""
) -> NewActivity:
    uri = f"{object_uri}#{kind.lower()}{version}"
    return NewActivity("cafe", uri, kind, object_uri, f"{kind}{version}".encode(), post_pk)


def publish(tx: Tx, new: NewActivity, *, now: datetime, leave_out: Iterable[str] = ()) -> int:
    """Store an activity and fan it out; return the number of deliveries."""
    activity_pk = outgoing.add_activity(tx, new, now=now)
    return outgoing.fan_out(tx, activity_pk, new, now=now, leave_out=list(leave_out))


def queue(tx: Tx, inbox: str, new: NewActivity | None = None, *, now: datetime) -> None:
    """Queue an activity for one inbox."""
    sent = new or news()
    host = inbox.split("/")[2]
    activity_pk = outgoing.add_activity(tx, sent, now=now)
    assert outgoing.deliver_to(tx, activity_pk, sent, inbox, host, now=now) == 1


def claim(
    tx: Tx,
    limit: int = 100,
    *,
    now: datetime,
    lane: str = deliveries.FAST,
    busy: Iterable[str] = (),
    per_host: int = 100,
) -> list[Delivery]:
    return deliveries.claim(tx, limit, lane=lane, busy=list(busy), per_host=per_host, now=now)


def arrival(number: int = 1, *, verified: bool = True) -> Arrival:
    return Arrival(
        signature_hash=f"hash {number}",
        activity_id=f"https://one.example/a/{number}",
        type="Follow",
        actor_id="https://one.example/users/ann",
        key_id="https://one.example/users/ann#main-key",
        host="one.example",
        verified=verified,
        request={"method": "POST", "target": "/ap/inbox", "headers": {"host": "cafe.example"}},
        body=b"\x00{}\xff",
    )
