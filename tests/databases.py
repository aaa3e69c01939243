"""Databases with nothing in them, for tests that run over SQLite and over PostgreSQL."""

from pathlib import Path

import pytest
from sqlalchemy import text

from commonwatt.node.store import Store, file_url
from postgres import on_postgres


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=on_postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database with nothing in it; import it beside the fixture `postgres`."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_schema()
    return str(file_url(tmp_path / "store.sqlite"))


def unguard(store: Store, *tables: str) -> None:
    """Take away what keeps tables from being changed: nobody should."""
    with store.transactions.writing() as connection:
        for table in tables:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
            else:
                for change in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER {table}_refuses_{change}"))
