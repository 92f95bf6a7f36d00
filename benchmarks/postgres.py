"""A database of its own on the PostgreSQL that the environment names."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

POSTGRES = "FEDIBRIDGE_TEST_POSTGRES"


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Make a database and yield its URL; it is dropped afterwards."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
