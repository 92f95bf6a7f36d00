"""How values are stored, alike on both databases: moments, JSON, bytes, and text that an index can hold."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    text,
)

from bridge.model import MAX_ID_BYTES

PENDING = text("state = 'pending'")
"""The condition of SQLite's partial indexes. PostgreSQL's have the same, in the migrations: said here it
would load SQLAlchemy's part for PostgreSQL, 2 MB, into every process on SQLite."""

ACCEPTS = text("state = 'pending' AND type = 'Accept'")
"""The same, of the index in which claims look for Accepts."""

STRANGERS = text("state = 'pending' AND verified = 0")
"""And of the index in which strangers wait."""


class Unreadable:
    """What stands for a stored value that its column cannot hold: text in a date, JSON that is none."""

    def __init__(self, stored: object) -> None:
        self._stored = stored

    def __repr__(self) -> str:
        return repr(self._stored)


class _Lenient:
    """A type whose values are read one by one: what is wrong with one of them is no error for all rows."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        inner = super().result_processor(dialect, coltype)  # type: ignore[misc]

        def read(value: Any) -> Any:
            try:
                return inner(value) if inner else value
            except (ValueError, TypeError, AttributeError, OverflowError):
                return Unreadable(value)

        return read


class Bytes(_Lenient, TypeDecorator[bytes]):
    """Bytes as they came or are sent."""

    impl = LargeBinary
    cache_ok = True


class Moment(_Lenient, TypeDecorator[datetime]):
    """An aware UTC datetime on both databases (SQLite has no zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(_Lenient, TypeDecorator[Any]):
    """Plain data as JSON text, the same bytes on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


class Folded(TypeDecorator[str]):
    """Text that an index holds: what has more than `most` bytes is cut, and told apart by its hash.

    A row of a PostgreSQL index has room for 2,704 bytes, and refuses what is longer. Folding happens where
    values are bound, so that what is looked for is folded as what is stored was.
    """

    impl = Text
    cache_ok = True

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return fold(value, self.most) if isinstance(value, str) else value  # garbage is deleted by what it is


class Hashed(TypeDecorator[str]):
    """Text of strangers that is only ever looked for, never read: kept as its SHA-256, in hex."""

    impl = Text
    cache_ok = True
    most = 64

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else digest(value)


def fold(text: str, most: int) -> str:
    """Return a text of at most `most` bytes that stands for this one and no other."""
    whole = text.encode(errors="surrogatepass")
    if len(whole) <= most:
        return text
    kept = whole[: most - 72].decode(errors="ignore")  # room for the hash and its mark
    return f"{kept}#sha256:{digest(text)}"


def digest(text: str) -> str:
    """Return a text's SHA-256, in hex."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


Id = Folded(MAX_ID_BYTES)  # never folded: what reads documents lets no longer one in

Name = Folded(1_024)  # addresses and guids of the owner's own site, of whatever length

RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite only numbers INTEGER keys by itself

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
