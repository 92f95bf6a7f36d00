"""Ids of posts: derived with a secret that is kept with the keys, and the same again whatever is lost."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from lab import Lab
from sqlalchemy import text

from bridge.activitypub.ids import mint_post_id
from bridge.identity.establish import MARKER
from bridge.services import Services
from bridge.store import migrate, open_store


@pytest.fixture
def lab(make_services: Callable[..., Services], clock, database: str) -> Iterator[Lab]:
    with Lab(make_services, clock, database=database) as opened:
        yield opened


def ids(lab: Lab) -> set[str]:
    return {post.id for post in lab.posts()}


def plain_ids(lab: Lab) -> set[str]:
    """What anyone computes who reads the feed."""
    with lab.store.read() as tx:
        return {mint_post_id("cafe", key) for key in tx.scalars(text("SELECT key FROM entry_keys"))}


def begin_without_a_secret(lab: Lab) -> None:
    """Be an installation of the first releases, with posts, that is brought up to date a day later."""
    with lab.store.write() as tx:
        tx.execute(text("DELETE FROM keys WHERE algorithm = 'post-ids'"))
        for pk, identity in tx.execute(text("SELECT pk, identity FROM posts")).all():
            values = {"id": mint_post_id("cafe", identity), "pk": pk}
            tx.execute(text("UPDATE posts SET id = :id WHERE pk = :pk"), values)
    lab.wait(days=1)


def lose_all_but_the_keys(lab: Lab, tmp_path: Path) -> None:
    """Start again from the feed, with an empty database into which only the keys were put back."""
    with lab.store.read() as tx:
        kept = [dict(row._mapping) for row in tx.execute(text("SELECT * FROM keys"))]
    url = f"sqlite:///{tmp_path}/afresh.db"
    fresh = open_store(url)
    migrate(fresh, now=lab.services.now(), backups=tmp_path / "backups")
    with fresh.write() as tx:
        columns = "owner, algorithm, private_pem, created_at"
        for row in kept:
            values = row | {"created_at": str(row["created_at"]).replace("+00:00", "")}
            tx.execute(
                text(f"INSERT INTO keys ({columns}) VALUES (:owner, :algorithm, :private_pem, :created_at)"),
                values,
            )
    fresh.close()
    (lab.services.config.data / MARKER).unlink()
    lab.change_config(database=url)
    lab.store = lab.services.store
    lab.poll()


def test_nobody_computes_an_id_from_what_is_public(lab: Lab) -> None:
    lab.poll()
    lab.publish("One")
    lab.publish("Two")
    assert len(ids(lab)) >= 2
    assert not ids(lab) & plain_ids(lab)


def test_a_lost_database_yields_the_same_ids_if_the_keys_are_put_back(lab: Lab, tmp_path) -> None:
    lab.blog.post("Before", "there was a bridge", lab.clock.now() - timedelta(days=9))
    lab.poll()
    lab.wait(days=1)
    lab.publish("After")
    before = ids(lab)
    lose_all_but_the_keys(lab, tmp_path)
    assert ids(lab) == before


def test_posts_of_the_first_releases_keep_their_ids(lab: Lab, tmp_path) -> None:
    lab.blog.post("Before", "there was a secret", lab.clock.now() - timedelta(days=9))
    lab.poll()
    begin_without_a_secret(lab)
    old = ids(lab)
    lab.change_config(database=lab.services.config.database)
    lab.edit("Edited after the upgrade.")
    lab.poll()
    assert ids(lab) == old
    assert old <= plain_ids(lab)
    lab.publish("After")
    assert not (ids(lab) - old) & plain_ids(lab)
    before = ids(lab)
    lose_all_but_the_keys(lab, tmp_path)
    assert ids(lab) == before
