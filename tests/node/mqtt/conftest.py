"""A broker and a community at work for each test.

A broker gives again what was not acknowledged, so tests that shared one would share messages.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commonwatt.node.mqtt.intake import MqttIntake
from mosquitto import Broker, running_mosquitto
from node.mqtt.parts import HASTY, RETRY_S_MAX, Sender, address_of, until
from node.service.parts import Hands, Town
from street import MIDSUMMER_NOON

NOON = MIDSUMMER_NOON.start


@pytest.fixture
def broker() -> Iterator[Broker]:
    with running_mosquitto() as running:
        yield running


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Its clock is a day ahead, so that records of many intervals can be sent at once."""
    town = Town(tmp_path / "town", Hands(NOON + 86_400))
    yield town
    town.close()


@pytest.fixture
def intake(town: Town, broker: Broker) -> Iterator[MqttIntake]:
    intake = MqttIntake(town.hosted, address_of(broker), HASTY, retry_s_max=RETRY_S_MAX)
    intake.start()
    until(lambda: intake.is_connected)
    yield intake
    intake.stop()


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    sender = Sender(broker)
    yield sender
    sender.stop()
