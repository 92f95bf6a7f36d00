"""Complaints (Flag) about our posts and sites: kept for the owner, and shown in `fedibridge status`."""

from bridge.activitypub.values import get_text
from bridge.addresses import host_of
from bridge.receive.incoming import Incoming, in_one_spelling, post_of, site_of
from bridge.services import Services
from bridge.store import Tx, reports
from bridge.store.reports import Report

MAX_WORDS = 1_000  # characters
MAX_ABOUT = 20  # addresses: Mastodon names the account and each post


def keep_complaint(tx: Tx, services: Services, incoming: Incoming) -> str:
    """Keep a complaint that names a site or a post of ours."""
    named = [uri for uri in incoming.activity.object_ids if _is_ours(services, uri)]
    about = tuple(dict.fromkeys(in_one_spelling(services, uri) or uri for uri in named))[:MAX_ABOUT]
    if not about:
        return "not about us"
    words = get_text(incoming.activity.raw.get("content"), MAX_WORDS)
    reports.add(tx, Report(incoming.signer, host_of(incoming.signer), about, words), now=incoming.now)
    return "a complaint, kept for the owner"


def _is_ours(services: Services, uri: str) -> bool:
    return site_of(services, uri) is not None or post_of(services, uri) is not None
