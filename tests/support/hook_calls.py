"""The secret of a hook, and sources that it makes due."""

from datetime import timedelta

from bridge.services import Services
from bridge.store import sources

SECRET = "a secret that nobody can guess".replace(" ", "-")
DAY = timedelta(days=1)


def tomorrow(services: Services) -> None:
    later = sources.SourceForUpdate(services.now() + DAY, DAY, 0)
    with services.store.write() as tx:
        for source in sources.claim_due(tx, 9, now=services.now()):
            sources.settle(tx, source.id, later, now=services.now())


def is_due(services: Services) -> bool:
    with services.store.read() as tx:
        return all(source.due_at <= services.now() for source in sources.all_sources(tx))
