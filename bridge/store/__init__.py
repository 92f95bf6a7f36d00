"""The database: functions named by intent, dataclasses in and out [the only home of SQLAlchemy].

Every function takes the open transaction first (`with store.write() as tx: posts.add(tx, …)`), so that a
caller decides what is committed together; no row and no connection is used outside this package.
"""

from bridge.store.engine import Store, Tx, open_store
from bridge.store.migrate import migrate, require_current

__all__ = ["Store", "Tx", "migrate", "open_store", "require_current"]
