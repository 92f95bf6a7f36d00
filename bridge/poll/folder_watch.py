"""Watches folders between polls: one whose files changed and stand still now is due at once."""

from bridge.config import FolderSource
from bridge.errors import BridgeError
from bridge.look.own_files import folder_of
from bridge.services import Services
from bridge.sources.folders.folder import Folder, fingerprint, scan
from bridge.store import sources
from bridge.store.sources import Source

_UNREADABLE = ""
"""Stands for the fingerprint of a folder that cannot be read."""


class FolderWatch:
    """Watches for one worker process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._seen: dict[int, str] = {}  # what each folder was like the last time
        self._restless: set[int] = set()  # folders that had changed since the time before
        self._offered: dict[int, str] = {}  # and when it was last made due

    def watch(self) -> int:
        """Make folders due whose files changed since they were last read; return how many.

        One that changes is made due the first time it is found as it was the time before.
        """
        with self._services.store.read() as tx:
            folders = [source for source in sources.all_sources(tx) if source.kind == "folder"]
        changed = [source.id for source in folders if self._has_changed(source)]
        if changed:
            with self._services.store.write() as tx:
                sources.make_due(tx, changed, now=self._services.now())
        return len(changed)

    @property
    def is_restless(self) -> bool:
        """Say whether watching again, soon, would tell whether what changes stands still now."""
        return bool(self._restless)

    def _has_changed(self, source: Source) -> bool:
        """Say whether files changed, and stand still since: what is half written is not read."""
        self._restless.discard(source.id)
        try:
            current = fingerprint(scan(folder_configured(self._services, source)))
        except BridgeError:
            # The poll itself says what is wrong; one that vanished is due at once, and only once.
            is_news, self._seen[source.id] = self._seen.get(source.id) != _UNREADABLE, _UNREADABLE
            return is_news and not source.error
        before, self._seen[source.id] = self._seen.get(source.id), current
        if current == source.body_hash:
            return source.error is not None and before == _UNREADABLE  # it is back: said at once
        if current != before:
            self._restless.add(source.id)
            return False
        is_offered, self._offered[source.id] = self._offered.get(source.id) == current, current
        return not is_offered


def folder_configured(services: Services, source: Source) -> Folder:
    """Return a source's folder as `config.toml` has it."""
    configured = services.source(source.site, source.name)
    assert isinstance(configured, FolderSource)
    return folder_of(services, source.site, configured)
