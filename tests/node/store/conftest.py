"""The same tests over SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt.node.store import Store, file_url
from postgres import on_postgres, postgres

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=on_postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database with nothing in it."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_schema()
    return str(file_url(tmp_path / "store.sqlite"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
