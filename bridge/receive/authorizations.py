"""Our word that a quote (FEP-044f) or a listing of our actor (FEP-7aa9) is welcome: given, and taken back.

Posts and actors say that everyone may; Mastodon shows neither without a stamp that it can fetch.
"""

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.activitypub.values import Document
from bridge.addresses import host_of, same_origin
from bridge.model import RemoteActor
from bridge.receive.admission import admitted
from bridge.receive.incoming import Incoming, act_key, post_of, site_of
from bridge.services import Services
from bridge.store import Tx, identity, inbox, interactions, outgoing, posts
from bridge.store.interactions import LISTING, QUOTE, NewInteraction
from bridge.store.outgoing import NewActivity


def welcome_quote(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Welcome a quote of a post of ours (a QuoteRequest)."""
    activity, actor = incoming.activity, incoming.actor
    where, quote = post_of(services, activity.object_id), _theirs(incoming)
    pk = posts.public_row_of(tx, *where) if where else None
    if where is None or pk is None or actor is None or quote is None:
        return "not a quote of a post of ours"
    if _taken_back(tx, incoming, quote):
        return "undone before it came"
    site, quoted = where[0], services.ids.post(*where)
    stamp = mint_activity_id(site, "QuoteAuthorization", quoted, quote)
    new = NewInteraction(
        site=site,
        post_pk=pk,
        kind=QUOTE,
        actor_id=incoming.signer,
        object_key=quote,
        activity_id=activity.id,
        public=True,
        stamp=stamp,
    )
    interactions.save(tx, new, now=incoming.now)
    accept = activities.accept(
        services.ids,
        site,
        activity.raw,
        activity_id=mint_activity_id(site, "Accept", quote, stamp),
        result=services.ids.authorization(site, stamp),
    )
    _answer(tx, services, site, quote, accept, actor, incoming)
    return f"quote by {incoming.signer}"


def welcome_listing(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Welcome being listed in someone's collection of accounts (a FeatureRequest)."""
    activity, actor = incoming.activity, incoming.actor
    site, collection = site_of(services, activity.object_id), _theirs(incoming)
    is_ours = site is not None and not identity.is_closed(tx, site)
    if site is None or not is_ours or actor is None or collection is None or activity.id is None:
        return "not a listing of a site of ours"
    if _taken_back(tx, incoming, collection):
        return "undone before it came"
    stamp = mint_activity_id(site, "FeatureAuthorization", collection)
    result = services.ids.authorization(site, stamp)
    new = NewInteraction(
        site=site,
        post_pk=None,
        kind=LISTING,
        actor_id=incoming.signer,
        object_key=result,  # a collection may list several of our sites
        activity_id=activity.id,
        public=True,
        stamp=stamp,
        url=collection,
    )
    interactions.save(tx, new, now=incoming.now)
    accept_id = mint_activity_id(site, "Accept", activity.id)
    accept = activities.accept_feature(
        services.ids, site, activity.id, incoming.signer, activity_id=accept_id, result=result
    )
    _answer(tx, services, site, collection, accept, actor, incoming)
    return f"listed by {incoming.signer}"


def withdraw(tx: Tx, signer: str, object_id: str) -> int:
    """Take back what was given for a quote or a collection that is gone; return for how many."""
    return interactions.remove(tx, QUOTE, signer, object_id) + interactions.remove_listings(
        tx, signer, object_id
    )


def _theirs(incoming: Incoming) -> str | None:
    """Return the quote or collection asked for, if it is on the server of who asks."""
    instrument = incoming.activity.instrument
    return instrument if instrument and same_origin(instrument, incoming.signer) else None


def _taken_back(tx: Tx, incoming: Incoming, instrument: str) -> bool:
    undone = (incoming.activity.id, instrument)
    return any(inbox.was_undone(tx, act_key(incoming.signer, uri)) for uri in undone if uri)


def _answer(
    tx: Tx,
    services: Services,
    site: str,
    about: str,
    accept: Document,
    actor: RemoteActor,
    incoming: Incoming,
) -> None:
    """Queue our word for whoever asked, if they name an inbox that we can deliver to."""
    identity.touch(tx)
    reached = admitted(tx, services, actor, now=incoming.now)
    if isinstance(reached, str):
        return
    new = NewActivity(site, accept["id"], "Accept", about, documents.encode(accept))
    activity_pk = outgoing.add_activity(tx, new, now=incoming.now)
    outgoing.deliver_to(tx, activity_pk, new, actor.inbox, host_of(actor.inbox), now=incoming.now)
