"""PostgreSQL, which may be far away: no statement and no answer is waited for without end.

The server ends statements that take too long, the kernel connections whose other end is silent. Neither helps
where something in between (a balancer, a proxy) takes what we send and throws it away: so we keep time, too.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

RV = TypeVar("RV")

PING_SECONDS = 1.5  # for a connection that rested to show that it is still one
KEPT_ALIVE = {"keepalives": 1, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED = 15_000  # milliseconds that what we sent may stay unacknowledged (Linux alone knows this)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a process waits for its database, in seconds; PostgreSQL ends the `statement` itself."""

    connect: int
    statement: float
    pool: float  # for a connection, when all are in use

    @property
    def answer(self) -> float:
        """Return how long we wait for an answer: a little longer than the server may take for it."""
        return self.statement + min(1.0, self.statement / 4)


PATIENT = Timeouts(connect=5, statement=30.0, pool=10.0)
PROMPT = Timeouts(connect=2, statement=3.0, pool=2.0)
"""For the web process, which has to answer within five seconds: a sender that hears 503 comes again."""


class Connection(psycopg.Connection[Any]):
    """A connection that is given up when no answer comes; `seconds` says when, `None`: never."""

    seconds: float | None = PATIENT.answer

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server.

        Raises:
            OperationalError: it did not answer in time; the connection is closed.
        """
        limit = self.seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from PostgreSQL in {limit:g} s") from None


def engine(url: URL, timeouts: Timeouts) -> Engine:
    """Make an engine; the URL's own options win over ours."""
    ours = {"connect_timeout": timeouts.connect, "tcp_user_timeout": UNACKNOWLEDGED, **KEPT_ALIVE}
    made = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=5,
        max_overflow=10,
        pool_timeout=timeouts.pool,
        pool_pre_ping=True,
        connect_args={name: value for name, value in ours.items() if name not in url.query},
        # SQLAlchemy only keeps the count of rows an INSERT made when it is asked to.
        execution_options={"preserve_rowcount": True},
    )
    event.listen(made, "do_connect", _connect)
    event.listen(made, "connect", _limit(timeouts))
    event.listen(made, "checkin", _rest)
    event.listen(made, "checkout", _begin(timeouts))
    return made


def without_limit(tx: Any) -> None:
    """Let a transaction take as long as it does: a migration of a large table is no stalled one."""
    connection = tx.connection.driver_connection
    assert isinstance(connection, Connection)
    connection.seconds = None  # until it is given back
    tx.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Connection:
    return Connection.connect(*arguments, **options)


def _limit(timeouts: Timeouts):  # type: ignore[no-untyped-def]  # SQLAlchemy's listeners are untyped
    def limit(connection: Connection, _record: Any) -> None:
        connection.seconds = timeouts.answer
        # Not among the options of the connection: PgBouncer refuses those it does not know.
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {int(timeouts.statement * 1000)}")
        connection.commit()

    return limit


def _rest(connection: Connection | None, _record: Any) -> None:
    if connection is not None:
        connection.seconds = PING_SECONDS  # the next it is asked is whether it is there


def _begin(timeouts: Timeouts):  # type: ignore[no-untyped-def]
    def begin(connection: Connection, _record: Any, _proxy: Any) -> None:
        connection.seconds = timeouts.answer

    return begin
