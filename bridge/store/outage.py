"""A database that cannot be used: told apart from mistakes of ours, and said once, as is its return."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from bridge.errors import StoreDamaged, StoreUnavailable

log = logging.getLogger(__name__)

CALM, CALM_WHEN_FULL = 1.0, 60.0
"""Seconds without a failure until it is over. A full disk lets small changes through between large ones."""

_SQLITE = (
    *("database or disk is full", "disk I/O error", "unable to open database file"),
    *("attempt to write a readonly database", "database is locked"),
)
_POSTGRESQL = ("08", "53", "57P", "58", "25006")
"""SQLSTATEs: connections, resources, shutdown, the system's errors, a standby that only reads. Whatever else
a server says is about the statement: it is a mistake of ours or a bound, which waiting never mends."""
_SILENT = ("no answer", "timeout", "timed out", _ALL_BUSY := "all connections to it are in use")
"""What is said when nobody answered: whoever asks next would wait as long, so only one at a time does."""

_DAMAGED = (
    *("database disk image is malformed", "file is not a database", "malformed database schema"),
    *("unsupported file format",),
)
_POSTGRESQL_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted

_FULL = ("is full", "disk I/O error", "No space left")


@dataclass
class Outage:
    """An outage under way, in seconds of the clock."""

    began: float
    last_failure: float
    full: bool
    silent: bool
    sentence: str


class Watch:
    """Watches what one process does with its database; failures of an outage become `StoreUnavailable`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outage: Outage | None = None
        self._asking = threading.Lock()
        self.damage: str | None = None
        self._said = ""

    @contextmanager
    def over(self, *, writing: bool, unless: str | None = None) -> Iterator[None]:
        """Watch over one transaction; `unless` says why there can be none.

        While the database is silent one at a time asks whether it is back; the others hear at once that it is
        not, or every thread there is would wait for the same. A damaged one is not written any more.
        """
        if unless is not None:
            self._say_once(unless)
            raise StoreUnavailable(unless)
        if writing and self.damage is not None:
            raise StoreDamaged(self.damage)
        outage = self._outage
        if outage is None or not outage.silent:
            with self._watch(writing=writing):
                yield
        elif self._asking.acquire(blocking=False):
            try:
                with self._watch(writing=writing):
                    yield
            finally:
                self._asking.release()
        else:
            raise StoreUnavailable(outage.sentence)

    @contextmanager
    def _watch(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, NoneFree) as error:
            if isinstance(error, DBAPIError) and is_damage(error):
                raise StoreDamaged(self.damaged(_first_line(error))) from error
            why = explain(error) if isinstance(error, DBAPIError) else _ALL_BUSY
            if why is None:
                raise
            full = any(sign in why for sign in _FULL)
            advice = "Make room on its disk" if full else "What needs it waits until it answers"
            sentence = f"The database cannot be used: {why}. {advice}; nothing is lost."
            self._failed(sentence, full=full)
            raise StoreUnavailable(sentence) from error
        if self._outage is not None:
            self._succeeded(writing=writing)

    def damaged(self, why: str) -> str:
        """Note that the database is damaged, whatever comes of other questions; return the sentence."""
        if self.damage is None:
            self.damage = damaged(why)
        self._say_once(self.damage)
        return self.damage

    def _say_once(self, sentence: str) -> None:
        with self._lock:
            is_news, self._said = sentence != self._said, sentence
        if is_news:
            log.error("%s", sentence)

    def _failed(self, sentence: str, *, full: bool) -> None:
        with self._lock:
            now = self._clock()
            if self._outage is None:
                log.error("%s", sentence)
                self._outage = Outage(now, now, full, silent=False, sentence=sentence)
            self._outage.last_failure = now
            self._outage.silent = any(sign in sentence for sign in _SILENT)

    def _succeeded(self, *, writing: bool) -> None:
        with self._lock:
            outage, now = self._outage, self._clock()
            if outage is None or (outage.full and not writing):
                return
            if now - outage.last_failure >= (CALM_WHEN_FULL if outage.full else CALM):
                log.warning("The database can be used again, after %d s.", now - outage.began)
                self._outage = None


def explain(error: DBAPIError) -> str | None:
    """Say in a line why the database cannot be used; `None` when it can, and the statement was wrong."""
    why = _first_line(error)
    if type(error.orig).__module__.startswith("psycopg"):
        state = getattr(error.orig, "sqlstate", None)
        if state is None:  # no server had a say: the connection was refused or broke
            return why if isinstance(error, OperationalError | InterfaceError) else None
        return why if state.startswith(_POSTGRESQL) else None
    return why if why.startswith(_SQLITE) else None


def damaged(why: str) -> str:
    """Say that the database is damaged, and what to do."""
    return (
        f"The database is damaged: {' '.join(why.split())[:200]}. Stop the bridge and restore the newest "
        "backup (docs/operations.md says how)."
    )


def is_damage(error: DBAPIError) -> bool:
    """Say whether what the database holds is broken, not what was asked of it."""
    if type(error.orig).__module__.startswith("psycopg"):
        return getattr(error.orig, "sqlstate", None) in _POSTGRESQL_DAMAGED
    return _first_line(error).startswith(_DAMAGED)


def _first_line(error: DBAPIError) -> str:
    return " ".join(str(error.orig).partition("\n")[0].split())[:200]
