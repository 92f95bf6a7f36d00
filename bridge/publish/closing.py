"""Closes an account for good: everyone who knows it is told, and its addresses answer 410 from now on."""

from datetime import datetime

from bridge.activitypub import activities, documents
from bridge.activitypub.ids import mint_activity_id
from bridge.services import Services
from bridge.store import (
    Tx,
    deliveries,
    followers,
    holds,
    identity,
    interactions,
    outgoing,
    posts,
    sources,
    subscriptions,
)
from bridge.store.outgoing import NewActivity


def close(tx: Tx, services: Services, site: str, *, now: datetime) -> int:
    """Close a site; return how many inboxes are told.

    Its keys stay, because the Deletes have to be signed, and its row does, so that nobody is called like it.
    """
    actor_uri = services.ids.actor(site)
    activity_id = mint_activity_id(site, "Delete", actor_uri)
    document = activities.delete_actor(services.ids, site, activity_id=activity_id)
    new = NewActivity(site, document["id"], "Delete", actor_uri, documents.encode(document))
    deliveries.give_up_site(tx, site, "the account was closed", now=now)
    told = outgoing.bid_farewell(tx, outgoing.add_activity(tx, new, now=now), new, now=now)
    posts.bury_all(tx, site, now=now)
    holds.forget_site(tx, site)
    interactions.forget_site(tx, site)
    followers.forget_site(tx, site)
    sources.retire(tx, site)
    subscriptions.follow_config(tx, now=now)
    identity.close_site(tx, site, now=now)
    return told
