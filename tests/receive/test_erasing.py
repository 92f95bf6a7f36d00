"""Who is gone, or wants nothing to do with us, is erased: from every table, the file, and its log."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_peer import PUBLIC, Person
from http_signing import rsa_key
from lab import BAKERY, CAFE, INBOX, SHARED_INBOX, Lab
from rows import add_follower, add_post, arrival, queue
from sqlalchemy import select, text

from bridge.cli.supervisor import only_one
from bridge.model import RemoteKey
from bridge.receive.effects import MAX_REPLY, shown_reply
from bridge.store import aside, deliveries, erasure, inbox, inboxes, interactions, remote, reports, schema
from bridge.store.inboxes import Inbox
from bridge.store.interactions import LIKE, NewInteraction

WORDS = "Wallpaper-of-secrets"


@pytest.fixture
def lab(make_services, clock, database) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as lab:
        yield lab


def does_everything(lab: Lab, alice: Person) -> None:
    """Do whatever leaves a trace, in every state: taken, refused, waiting, answered, delivered."""
    post = lab.publish()
    uri = lab.uri(post)
    lab.follow(alice)
    note = alice.note(uri, f"{WORDS} in a reply")
    for said in (
        alice.like(uri), alice.like(uri, type="EmojiReact", content=":secrets:"), alice.boost(uri),
        alice.create(note), alice.quote_request(uri, f"{alice.id}/statuses/quote"),
        alice.feature_request(CAFE, f"{alice.id}/collections/1"), alice.block("https://other.example/x"),
        alice.undo(alice.like(uri)), alice.like(uri, type="Flag", object=[CAFE, uri], content=WORDS),
        alice.like(CAFE, content=WORDS), alice.create(alice.note("https://other.example/", WORDS)),
    ):  # fmt: skip
        alice.send(said, SHARED_INBOX)
        lab.work()
    alice.send(alice.like(uri), INBOX, key=rsa_key(2))  # refused: not their signature
    alice.peer.shared, alice.peer.inbox_status = None, 500
    lab.publish("Another post")
    lab.work()
    bob = lab.peer("bob.example").person("bob", rsa_key(1))
    bob.send(bob.create(bob.note(note["id"], "An answer")), INBOX)
    lab.work()
    stands_in_what_others_have(lab, alice, bob)
    alice.peer.inbox_status = 202


def stands_in_what_others_have(lab: Lab, alice: Person, bob: Person) -> None:
    """Put her where only another's doing, or a fault of ours, would."""
    with lab.store.write() as tx:
        columns = schema.remote_actors.c
        aliases = {"moved_to": alice.id, "also_known_as": ["https://x.example/", alice.id]}
        tx.execute(schema.remote_actors.update().where(columns.id == bob.id).values(aliases))
        aside.put(tx, columns.due_at, alice.id, "it failed", now=lab.clock.now())
        aside.put(tx, deliveries.DUE, 7, f"KeyError: {alice.inbox}", now=lab.clock.now(), put_off=False)
        words = f"{alice.handle} ({alice.id}) is rude"
        reports.add(tx, reports.Report(bob.id, "bob.example", (CAFE,), words), now=lab.clock.now())


def plain(value: object) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else str(value)


def traces(lab: Lab, alice: Person) -> list[str]:
    """Look through every table, and on SQLite through the file and its log."""
    names = [alice.id, alice.handle, alice.inbox, WORDS, ":secrets:"]
    found = []
    with lab.store.read() as tx:
        for table in schema.metadata.sorted_tables:
            for row in tx.exec_driver_sql(f"SELECT * FROM {table.name}"):
                shown = " ".join(plain(value) for value in row)
                found += [f"{table.name}: {name}: {shown[:300]}" for name in names if name in shown]
    if lab.store.is_sqlite:
        lab.store.fold_log()
        path = Path(lab.services.config.database.removeprefix("sqlite:///"))
        for file in path.parent.glob(path.name + "*"):
            content = file.read_bytes()
            found += [f"{file}: {name}" for name in names if name.encode() in content]
    return found


def deletes_the_account(lab: Lab, alice: Person) -> None:
    alice.send(alice.delete(alice.id), SHARED_INBOX)


def is_gone(lab: Lab, alice: Person) -> None:
    alice.status = 410
    lab.wait(hours=2)
    alice.send(alice.update(alice.document()), SHARED_INBOX)


def blocks_us(lab: Lab, alice: Person) -> None:
    alice.send(alice.block(CAFE), SHARED_INBOX)


@pytest.mark.parametrize("ends", [deletes_the_account, is_gone, blocks_us])
def test_nothing_is_left_of_who_is_gone(lab: Lab, ends) -> None:
    alice = lab.peer().person("alice-in-wonderland")
    does_everything(lab, alice)
    assert traces(lab, alice)
    ends(lab, alice)
    lab.work()
    assert traces(lab, alice) == []
    with lab.store.read() as tx:  # what others said stays
        assert tx.exec_driver_sql("SELECT count(*) FROM interactions").scalar() == 1
        assert tx.scalar(select(schema.remote_actors.c.also_known_as)) == ["https://x.example/"]
        assert [one.words for _, one in reports.newest(tx)] == ["… (…) is rude"]


OURS = {
    *("meta", "sites", "keys", "sources", "posts", "entry_keys", "holds", "subscriptions"),
    *("pushes", "pictures", "ignored", "heartbeats", "reaction_counts", "faded_reactions"),
}
"""Tables that hold what we, our sites and their hubs say, or numbers alone."""
THEIRS = {"activities", "deliveries", "peers", "inboxes", "followers", "remote_actors", "remote_keys",
          "inbox", "interactions", "reports", "set_aside"}  # fmt: skip
HASHED = {"seen", "undone"}
"""What refuses once more what came before."""


def test_every_table_is_known_to_hold_names_of_others_or_not(lab: Lab) -> None:
    """A new table is put into one of the sets; what may hold names is what erasing has to look through."""
    tables = {table.name for table in schema.metadata.sorted_tables}
    assert tables == OURS | THEIRS | HASHED
    for name in HASHED:
        (key,) = schema.metadata.tables[name].primary_key.columns
        assert isinstance(key.type, schema.Hashed)
    alice = lab.peer().person("alice-in-wonderland")
    does_everything(lab, alice)
    assert {trace.partition(":")[0] for trace in traces(lab, alice) if not trace.startswith("/")} <= THEIRS


def test_whatever_names_someone_who_is_gone_goes_with_them(cafe, clock) -> None:
    """Arrivals that name them by a key or a reason, what has faded, and what is for their inbox alone."""
    now = clock.now()
    with cafe.write() as tx:
        alice = add_follower(tx, "alice", shared=False, now=now)
        remote.save_actor(tx, alice, "one.example", now=now)
        key = RemoteKey("https://one.example/keys/7", alice.id, "PEM")
        remote.save_key(tx, key, now=now, fresh_for=timedelta(hours=1))
        nameless = replace(arrival(1), actor_id="", key_id=key.id, activity_id=None)
        inbox.store(tx, nameless, now=now)
        inbox.store(tx, replace(arrival(2), actor_id="https://two.example/u"), now=now)
        tx.execute(text("UPDATE inbox SET reason = :why WHERE id = 2"), {"why": f"it names {alice.id}"})
        inboxes.save(tx, Inbox(alice.inbox, "one.example", failures=1), now=now)
        queue(tx, alice.inbox, now=now)
        post = add_post(tx, now=now)
        like = NewInteraction("cafe", post, LIKE, alice.id, "https://cafe.example/p1", None, public=True)
        interactions.save(tx, like, now=now)
        interactions.fade(tx, list(tx.scalars(text("SELECT id FROM interactions"))))
        assert interactions.counts(tx, post) == {LIKE: 1}
        erasure.erase(tx, alice.id, "their account is gone", now=now)
        assert interactions.counts(tx, post) == {}
        left = tx.execute(text("SELECT key_id, reason FROM inbox ORDER BY id")).all()
        assert left[0].key_id == "" and alice.id not in str(left[1].reason)
        for table in ("deliveries", "inboxes", "faded_reactions", "remote_keys", "remote_actors"):
            assert tx.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


def test_what_was_sent_by_who_is_gone_is_refused_when_it_comes_again(lab: Lab) -> None:
    alice = lab.peer().person()
    uri = lab.uri(lab.publish())
    early = [alice.follow(CAFE), alice.create(alice.note(uri, WORDS))]
    lab.follow(alice)
    for said in early:
        alice.send(said, INBOX)
    lab.work()
    alice.send(alice.delete(alice.id), INBOX)
    lab.work()
    for said in early:
        alice.send(said, INBOX)  # the very same requests; the last one's key is fetched anew
    late = alice.like(uri)
    alice.send(late, INBOX)  # signed no later than the account's end
    lab.work()
    assert (lab.followers(), lab.interactions()) == ([], [])


def test_a_block_of_one_site_leaves_the_other(make_services, clock, database) -> None:
    with Lab(make_services, clock, more=BAKERY, database=database) as lab:
        alice = lab.peer().person()
        for site in (CAFE, lab.ids.actor("bakery")):
            lab.follow(alice, site)
        alice.send(alice.like(lab.uri(lab.publish())), INBOX)
        alice.send(alice.block(CAFE), INBOX)
        lab.work()
        assert lab.interactions() == []
        assert [(one.site, one.actor_id, one.handle) for one in lab.followers(None)] == [
            ("bakery", alice.id, alice.handle)
        ]


def test_what_waits_when_its_actor_is_erased_has_no_effect(lab: Lab) -> None:
    alice = lab.peer().person()
    lab.follow(alice)
    uri = lab.uri(lab.publish())
    alice.send(alice.delete(alice.id), INBOX)
    alice.send(alice.like(uri), INBOX)
    lab.work()
    assert lab.interactions() == []


def test_the_lock_is_for_its_owner_alone(services) -> None:
    lock = services.config.data / "worker.lock"
    lock.touch(mode=0o644)
    with only_one(services):
        assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    with only_one(services):
        assert lock.stat().st_mode & 0o777 == 0o600


# ── complaints ────────────────────────────────────────────────────────────────────────────────────


def test_a_complaint_is_kept_and_shown(lab: Lab) -> None:
    moderator = lab.peer().person("mod", type="Application")
    uri = lab.uri(lab.publish())
    words = "Spam <b>\u202e and more</b>\n\n" + "x" * 2000
    flag = {"type": "Flag", "object": [CAFE, f"{uri}/", uri, "https://other.example/1"], "content": words}
    assert moderator.send(moderator.like(CAFE) | flag, SHARED_INBOX) == 202
    assert moderator.send(moderator.like(CAFE) | flag | {"object": "https://other.example/1"}, INBOX) == 202
    lab.work()
    with lab.store.read() as tx:
        ((_, report),) = reports.newest(tx)
    assert report.actor_id == moderator.id
    assert report.about == (CAFE, uri)
    assert report.words.startswith("Spam <b> and more</b> xxx")
    assert len(report.words) == 1000


def test_complaints_are_bounded_and_none_can_push_out_the_others(lab: Lab) -> None:
    with lab.store.write() as tx:
        reports.add(
            tx, reports.Report("https://a.example/a", "a.example", (CAFE,), "genuine"), now=lab.clock.now()
        )
        for number in range(50):
            new = reports.Report("https://b.example/b", "b.example", (CAFE,), str(number))
            reports.add(tx, new, now=lab.clock.now())
        assert reports.count(tx) == 21
        assert [one.words for _, one in reports.newest(tx, limit=30)][::20] == ["49", "genuine"]


# ── cleaned first, cut after ──────────────────────────────────────────────────────────────────────


class Balance(HTMLParser):
    """Fails on a tag that is not closed, or not whole."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.rawdata, f"it ends inside a tag: {self.rawdata[-50:]}"
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


LINK = '<a href="https://example.org/{}">word</a> '


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "word " * 5000 + "</p>",
        "<p>" + "x" * 30_000 + "</p>",
        "<p>" + "語" * 30_000 + "</p>",
        "<p>" + "&amp;&lt;b&gt;" * 4000 + "</p>",
        "<p>" + "".join(LINK.format("x" * n) for n in range(1, 400)) + "</p>",
        "<blockquote><ul>" + "<li><b><i>text</i></b></li>" * 2000 + "</ul></blockquote>",
        "<p>a</p>" * 5000,
        "x" * 9_990 + '<a href="https://example.org/">end</a>',
        "<p>" + "<br>" * 9000 + "</p>",
        "<b>" * 300 + "deep " * 4000,
        f'<p>short <a href="https://example.org/{"y" * 2000}">link</a></p>' * 6,
        "<p>" + "🏳️‍🌈" * 9000 + "</p>",
    ],
)
def test_a_long_reply_is_cut_outside_of_tags(html: str) -> None:
    shown = shown_reply(html)
    assert 0 < len(shown) <= MAX_REPLY
    assert Balance(shown).text
    assert "…" in shown


@pytest.mark.parametrize("html", ["<p>Yum</p>", "", "<p>a <a href='https://example.org/'>b</a></p>", PUBLIC])
def test_a_short_reply_is_only_cleaned(html: str) -> None:
    assert "…" not in shown_reply(html)
