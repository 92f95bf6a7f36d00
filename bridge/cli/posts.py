"""`fedibridge publish`, `fedibridge unpublish`, `fedibridge resend`: the owner's word on one post."""

from pathlib import Path

import click

from bridge.changes.keys import canonical_link
from bridge.cli.once import run_once
from bridge.cli.output import console, say
from bridge.cli.settings import Settings
from bridge.config import FolderSource
from bridge.counted import counted
from bridge.errors import StoreError
from bridge.model import Post, PostState
from bridge.publish import posts as publishing
from bridge.publish.drafts import describe
from bridge.publish.late_pictures import SecondLooker
from bridge.services import Services
from bridge.store import posts


@click.command()
@click.argument("what")
@click.pass_obj
def publish(settings: Settings, what: str) -> None:
    """Send one post to all followers now: one from before the bridge, on hold or scheduled.

    WHAT is the address of its page, or its Markdown file.
    """
    services = settings.look()
    post = find_post(services, what)
    if post.state is PostState.PUBLISHED or post.state.is_tombstone:
        hint = (
            "`fedibridge resend` sends it again"
            if post.state is PostState.PUBLISHED
            else "its id cannot come back"
        )
        raise StoreError(f"{what} is already {post.state}; {hint}.")
    with console().status("Examining its pictures …"):
        run_once(services, lambda client, _: SecondLooker(services, client).look_now(post))
    with services.store.write() as tx:
        post = posts.find(tx, post.site, post.id) or post
        sent = publishing.publish_now(tx, services, post, now=services.now())
    say(f"“{describe(post)}” is on its way to {counted(sent, 'inbox', 'inboxes')}.")


@click.command()
@click.argument("what")
@click.pass_obj
def unpublish(settings: Settings, what: str) -> None:
    """Delete a post on all servers, for good; its page or file may stay.

    WHAT is the address of its page, or its Markdown file.
    """
    services = settings.look()
    post = find_post(services, what, exactly=True)
    if post.deleted_at is not None:
        raise StoreError(f"{what} was already deleted, on {post.deleted_at:%d %b %Y}.")
    with services.store.write() as tx:
        sent = publishing.delete_post(tx, services, post, state=PostState.WITHDRAWN, now=services.now())
    say(f"Deleted. Telling {counted(sent, 'inbox', 'inboxes')}.")


@click.command()
@click.argument("what")
@click.pass_obj
def resend(settings: Settings, what: str) -> None:
    """Send a published post again to everyone who follows now; servers that have it show it once.

    WHAT is the address of its page, or its Markdown file.
    """
    services = settings.look()
    post = find_post(services, what)
    if post.state is not PostState.PUBLISHED:
        raise StoreError(f"{what} has not been sent yet (it is {post.state}): `fedibridge publish` sends it.")
    with services.store.write() as tx:
        sent = publishing.resend(tx, services, post, now=services.now())
    say(f"“{describe(post)}” is on its way again to {counted(sent, 'inbox', 'inboxes')}.")


def find_post(services: Services, what: str, *, exactly: bool = False) -> Post:
    """Find the one post an owner means; raise `StoreError` that says what there is instead.

    `exactly`: a part of its address is not enough, for what cannot be taken back.
    """
    with services.store.read() as tx:
        names = _names(services, what)
        for name in names:
            found = posts.by_name(tx, name)
            if len(found) == 1 and exactly and not posts.is_called(tx, found[0], names):
                address = found[0].page_url or services.ids.page(found[0].id)
                raise StoreError(f"{what!r} is only part of a name; for this post, give {address}")
            if len(found) == 1:
                return found[0]
            if found:
                listed = "\n  ".join(post.page_url or post.id for post in found)
                raise StoreError(f"Several posts match {what!r}; say which:\n  {listed}")
    raise StoreError(f"No post of {what!r} is known. `fedibridge poll` reads what is new; then try again.")


def _names(services: Services, what: str) -> list[str]:
    """Return what a post may be called: its file's key, its page's key, its id or a part of its address."""
    path = Path(what).resolve()
    names = []
    for site in services.config.sites.values():
        for source in site.sources:
            if isinstance(source, FolderSource) and path.is_relative_to(source.folder):
                relative = path.relative_to(source.folder).with_suffix("").as_posix()
                names.append(f"guid:{relative.removesuffix('/index')}")
    if "://" in what:
        names.append(f"link:{canonical_link(what)}")
    return [*names, name_in(services, what)]


def name_in(services: Services, what: str) -> str:
    """Return the id in a post's address at the bridge, whole or as `fedibridge deliveries` shows it."""
    path = what.removeprefix(services.ids.base_url).rstrip("/")
    return path.rpartition("/")[2] if path.startswith(("/ap/", "/r/")) else what
