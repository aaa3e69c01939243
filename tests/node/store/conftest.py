"""The same tests over SQLite and PostgreSQL."""

from collections.abc import Iterator

import pytest

from commonwatt.node.store import Store
from databases import url
from postgres import postgres

__all__ = ["postgres", "url"]


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
