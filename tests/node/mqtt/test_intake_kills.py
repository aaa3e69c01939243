"""Nothing that was answered is lost, and nothing counts twice, whoever is killed and when."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from commonwatt.meter.record import SignedRecord
from commonwatt.node.mqtt.intake import MqttIntake
from mosquitto import Broker, running_mosquitto
from node.lanes import NodeFile
from node.mqtt.parts import RETRY_S_MAX, Sender, address_of, name_of, until
from node.service.parts import MEMBERS, Hands, Town
from street import MIDSUMMER_NOON, Street

TESTS = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("node_process.py")
INTERVALS = 12
ENDS = [MIDSUMMER_NOON.end + 900 * index for index in range(INTERVALS)]


def records_of_a_street() -> list[SignedRecord]:
    street = Street(members=MEMBERS, producers=1, batteries=1, storage_permille=900)
    records = []
    for index in range(INTERVALS):
        records += street.measure([0, 300 + index, 500], [700, 0, 0], [800 + index], [0])
        street.interval = street.interval.next
    return records


def kept_in(folder: Path) -> list[bytes]:
    database = NodeFile(folder / "node" / "node.sqlite")
    try:
        return [signed.record for end in ENDS for signed in database.records(end)]
    finally:
        database.close()


@contextmanager
def node(folder: Path, broker: Broker, *dies: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, PROGRAM, folder, str(broker.port), *dies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_all_answered(sender: Sender, records: Sequence[SignedRecord], folder: Path) -> None:
    said = sender.verdicts()
    assert set(said) == {name_of(signed) for signed in records}
    assert {verdict for verdicts in said.values() for verdict in verdicts} <= {
        "accepted",
        "duplicate",
    }
    assert Counter(kept_in(folder)) == Counter(signed.record for signed in records)


def test_a_node_killed_between_delivery_and_answer_is_given_the_records_again(
    tmp_path: Path,
) -> None:
    """The sender sends once: what the broker had handed over must come back from the broker."""
    records = records_of_a_street()
    with running_mosquitto() as broker:
        sender = Sender(broker)
        with node(tmp_path, broker, "before", "2") as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "started\n"
            until(lambda: _listens(sender))
            for signed in records:
                sender.send(signed)
            until(lambda: first.poll() is not None)
        assert len(sender.results()) < len(records)
        for dies in (("after", "3"), ("before", "1"), ("after", "2")):
            with node(tmp_path, broker, *dies) as again:
                until(lambda: again.poll() is not None)
        with node(tmp_path, broker):
            until(lambda: len(sender.verdicts()) == len(records))
        sender.stop()
    assert_all_answered(sender, records, tmp_path)


def _listens(sender: Sender) -> bool:
    """Whether a node listens already: a broker without one says that nobody does."""
    nobody = 0x10
    sender.refusals.clear()
    sender.send_raw(bytes(20), b"is anybody there")
    until(lambda: sender.refusals)
    return sender.refusals[-1] != nobody


def test_a_killed_broker_forgets_and_senders_who_wait_for_an_answer_send_again(
    tmp_path: Path,
) -> None:
    records = records_of_a_street()
    town = Town(tmp_path, Hands(MIDSUMMER_NOON.start + 86_400))
    with running_mosquitto() as broker:
        intake = MqttIntake(town.hosted, address_of(broker), retry_s_max=RETRY_S_MAX)
        intake.start()
        until(lambda: intake.is_connected)
        sender = Sender(broker)
        for cut in (20, len(records)):
            for signed in records[:cut]:
                if name_of(signed) not in sender.verdicts():
                    sender.send(signed)
            broker.kill()
            broker.start()
            until(lambda: intake.is_connected and sender.client.is_connected())

        def all_answered() -> bool:
            missing = [signed for signed in records if name_of(signed) not in sender.verdicts()]
            for signed in missing:
                sender.send(signed)
            time.sleep(0.2)
            return not missing

        until(all_answered)
        sender.stop()
        intake.stop()
    town.close()
    assert_all_answered(sender, records, tmp_path)
