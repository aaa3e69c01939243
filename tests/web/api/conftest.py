"""A node that has lived through an hour, and people who ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from web.api.parts import People, Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path / "node")
    yield station
    station.close()


@pytest.fixture
def people(station: Station) -> Iterator[People]:
    people = People(station)
    yield people
    people.close()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A node after four intervals, for tests that change nothing of them."""
    station = Station(tmp_path_factory.mktemp("lived"))
    station.live(4)
    station.hosted.publish()
    yield station
    station.close()


@pytest.fixture(scope="module")
def askers(lived: Station) -> Iterator[People]:
    people = People(lived)
    yield people
    people.close()
