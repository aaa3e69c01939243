"""Records over MQTT: each answered once it is durable, whatever else comes through the broker."""

import socket
from random import Random
from threading import Event

import pytest

from commonwatt.meter.acceptance import Accepted
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.mqtt.intake import MqttIntake
from commonwatt.node.mqtt.limits import RECORDS_PER_MESSAGE_MAX, IntakeLimits
from commonwatt.node.mqtt.topics import records_topic
from mosquitto import Broker
from node.mqtt.parts import (
    COMMUNITY,
    RETRY_S_MAX,
    Sender,
    address_of,
    batch_of,
    name_of,
    until,
)
from node.service.parts import Town
from street import SimulatedMeter

INTERVALS = 6


def in_database(town: Town) -> list[bytes]:
    """Every record that was acknowledged, of all intervals."""
    first, step = town.street.start.end, town.street.start.duration
    ends = [first + step * index for index in range(INTERVALS + 1)]
    return [signed.record for end in ends for signed in town.database.records(end)]


def test_every_record_is_answered_once_and_only_after_it_is_durable(
    town: Town, intake: MqttIntake, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [signed for index in range(INTERVALS) for signed in town.records(index)]
    take, answered_too_early, earlier = town.hosted.take, [], []

    def watched(batch):
        verdicts = take(batch)
        kept = {bytes(record) for record in in_database(town)}
        answered_too_early.extend(s for s in batch if s.record not in kept)
        # Answers to what was taken before may still be on their way; to this batch there is none.
        answered_too_early.extend(sender.results()[len(earlier) :])
        earlier.extend(batch)
        return verdicts

    monkeypatch.setattr(town.hosted, "take", watched)
    for signed in records:
        sender.send(signed)
    until(lambda: len(sender.results()) >= len(records))
    assert sender.verdicts() == {name_of(signed): ["accepted"] for signed in records}
    assert answered_too_early == []
    assert sorted(in_database(town)) == sorted(signed.record for signed in records)
    counts = intake.counts
    assert (counts.messages, counts.records, counts.unanswered) == (len(records),) * 2 + (0,)


def test_results_stand_in_the_order_of_the_message_and_of_other_meters_none_is_judged(
    town: Town, intake: MqttIntake, sender: Sender
) -> None:
    first, second, *_ = town.records()
    later = town.records(1)[0]
    meter = first.record[12:32]
    sender.send(later, second, first, later)
    until(lambda: sender.answers(meter))
    [answer] = sender.answers(meter)
    said = [(r["meter"], r["sequence"], r["reason"] or r["verdict"]) for r in answer["results"]]
    assert said == [
        (*name_of(later), "accepted"),
        (*name_of(second), "METER_OF_ANOTHER_TOPIC"),
        (*name_of(first), "accepted"),
        (*name_of(later), "duplicate"),
    ]
    assert sorted(in_database(town)) == sorted([first.record, later.record])
    assert intake.counts.misplaced == 1
    sender.send(second)
    until(lambda: sender.answers(second.record[12:32]))
    assert sender.results(second.record[12:32])[0]["verdict"] == "accepted"


@pytest.mark.usefixtures("intake")
def test_duplicated_and_reordered_messages_count_once(town: Town, sender: Sender) -> None:
    records = [signed for index in range(INTERVALS) for signed in town.records(index)]
    chance = Random(5)
    own = [signed for signed in records if signed.record[12:32] == records[0].record[12:32]]
    others = [signed for signed in records if signed not in own]
    # One meter's come in any order: what follows none that is known yet is told so, and sent again.
    messages = [*others, *others, *own]
    chance.shuffle(messages)
    messages.sort(
        key=lambda signed: int.from_bytes(signed.record[32:40]) if signed in others else 9
    )
    chance.shuffle(own)
    for signed in messages:
        sender.send(signed)
    until(lambda: len(sender.results()) >= len(messages))
    for signed in own:
        sender.send(signed)
    until(lambda: len(sender.results()) >= len(messages) + len(own))
    kept = in_database(town)
    assert len(kept) == len(set(kept))
    for signed in others:
        assert sorted(sender.verdicts()[name_of(signed)]) == ["accepted", "duplicate"]
    accepted = {record for record in kept if record[12:32] == own[0].record[12:32]}
    for signed in own:
        said = sender.verdicts()[name_of(signed)]
        assert ("accepted" in said) == (signed.record in accepted)
        assert said.count("accepted") <= 1


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", "NO_BATCH"),
        (b"x", "NO_BATCH"),
        (b'{"records": []}', "NO_BATCH"),
        (b"\x00" * 163, "NO_BATCH"),
        (b"\xff" * 165, "NO_BATCH"),
        (b"\x00" * 164 * (RECORDS_PER_MESSAGE_MAX + 1), "TOO_LARGE"),
        (b"\x00" * 200_000, "TOO_LARGE"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_is_no_batch_is_counted_and_told_and_the_next_is_taken(
    payload: bytes, error: str, town: Town, intake: MqttIntake, sender: Sender
) -> None:
    good, *_ = town.records()
    meter = good.record[12:32]
    sender.send_raw(meter, payload)
    sender.send(good)
    until(lambda: len(sender.answers(meter)) == 2)
    refused, taken = sender.answers(meter)
    assert (refused["results"], refused["error"]) == ([], error)
    assert taken["results"][0]["verdict"] == "accepted"
    assert (intake.counts.no_batch, intake.counts.too_large) == (
        (1, 0) if error == "NO_BATCH" else (0, 1)
    )


@pytest.mark.usefixtures("intake")
def test_random_bytes_of_a_records_length_are_judged_like_any_record(
    town: Town, sender: Sender
) -> None:
    chance, meter = Random(7), town.street.grid[0].key.meter
    for _ in range(50):
        junk = bytearray(chance.randbytes(164))
        junk[12:32] = meter
        sender.send_raw(meter, bytes(junk))
    until(lambda: len(sender.results(meter)) == 50)
    assert {result["verdict"] for result in sender.results(meter)} == {"refused"}
    assert in_database(town) == []


def test_a_topic_that_names_no_meter_is_counted_and_nobody_is_answered(
    town: Town, intake: MqttIntake, sender: Sender
) -> None:
    good, *_ = town.records()
    for level in ("me", "AB" * 20, "é" * 20, " ", good.record[12:32].hex().upper()):
        sender.publish(f"commonwatt/{COMMUNITY}/records/{level}", batch_of([good]))
    sender.send(good)
    until(sender.results)
    assert len(sender.answers()) == 1
    assert intake.counts.off_topic == 5


@pytest.mark.usefixtures("intake")
def test_a_meter_nobody_registered_is_told_so(town: Town, sender: Sender) -> None:
    stranger = SimulatedMeter("stranger", town.street.start.start)
    sender.send(stranger.measure(town.street.start.end, 1_000))
    until(sender.results)
    assert sender.results()[0]["reason"] == "METER_UNKNOWN"


def test_more_than_a_topic_may_bring_is_told_and_other_meters_do_not_wait(
    town: Town, broker: Broker, sender: Sender
) -> None:
    limits = IntakeLimits(records_per_s=1, records_burst=3)
    records = [town.records(index) for index in range(5)]
    now = [0.0]
    intake = MqttIntake(town.hosted, address_of(broker), limits, clock=lambda: now[0])
    intake.start()
    try:
        until(lambda: intake.is_connected)
        first = [batch[0] for batch in records]
        meter = first[0].record[12:32]
        for signed in first:
            sender.send(signed)
        sender.send(records[0][1])
        until(lambda: len(sender.answers()) == 6)
        assert [
            verdict for signed in first for verdict in sender.verdicts().get(name_of(signed), [])
        ] == ["accepted"] * 3
        told = [answer for answer in sender.answers(meter) if not answer["results"]]
        assert [(answer["error"], answer["retry_after_s"]) for answer in told] == [
            ("TOO_FAST", 2)
        ] * 2
        assert sender.results(records[0][1].record[12:32])[0]["verdict"] == "accepted"
        now[0] = 2.0
        for signed in first[3:]:
            sender.send(signed)
        until(lambda: len(sender.results(meter)) == 5)
        assert {r["verdict"] for r in sender.results(meter)} == {"accepted"}
        assert intake.counts.too_fast == 2
    finally:
        intake.stop()


def test_strangers_share_one_allowance_however_many_topics_they_use(
    town: Town, broker: Broker, sender: Sender
) -> None:
    limits = IntakeLimits(records_per_s=1, records_burst=2)
    intake = MqttIntake(town.hosted, address_of(broker), limits, clock=lambda: 0.0)
    intake.start()
    try:
        until(lambda: intake.is_connected)
        for index in range(20):
            sender.send_raw(index.to_bytes(20), b"junk")
        until(lambda: len(sender.answers()) == 20)
        assert (intake.counts.no_batch, intake.counts.too_fast) == (2, 18)
        assert len(intake._allowances) == 1
    finally:
        intake.stop()


@pytest.mark.usefixtures("intake")
def test_records_wait_for_a_database_that_is_away_and_are_answered_when_it_is_back(
    town: Town, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, tried, is_back = town.hosted.take, [], Event()

    def without_database(batch):
        tried.append(len(batch))
        if not is_back.is_set():
            raise DatabaseUnusable("node.sqlite", "database or disk is full")
        return take(batch)

    monkeypatch.setattr(town.hosted, "take", without_database)
    records = town.records()
    for signed in records:
        sender.send(signed)
    until(lambda: len(tried) >= 3)
    assert sender.answers() == []
    is_back.set()
    until(lambda: len(sender.results()) >= len(records))
    assert sender.verdicts() == {name_of(signed): ["accepted"] for signed in records}


def test_one_message_the_node_fails_on_holds_up_no_other(
    town: Town, intake: MqttIntake, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = town.records()
    take = town.hosted.take

    def fails(batch):
        if second in batch:
            raise KeyError("a defect")
        return take(batch)

    monkeypatch.setattr(town.hosted, "take", fails)
    sender.send(second)
    sender.send(first)
    until(lambda: len(sender.answers()) == 2)
    assert sender.answers(second.record[12:32])[0]["error"] == "FAILED"
    assert sender.results(first.record[12:32])[0]["verdict"] == "accepted"
    assert intake.counts.failed == 1


def test_without_quality_of_service_only_so_many_messages_wait(
    town: Town, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = IntakeLimits(queue_messages_max=4)
    goes_on = Event()
    take = town.hosted.take
    monkeypatch.setattr(town.hosted, "take", lambda batch: goes_on.wait(10) and take(batch))
    intake = MqttIntake(town.hosted, address_of(broker), limits)
    intake.start()
    try:
        until(lambda: intake.is_connected)
        first, second, *_ = town.records()
        sender.send(first)
        until(lambda: intake.counts.messages)
        for _ in range(30):
            sender.send(first, qos=0)
        sender.send(second)
        until(lambda: intake.counts.dropped == 26)
        goes_on.set()
        until(lambda: len(sender.results()) == 6)
        assert sender.results(second.record[12:32])[0]["verdict"] == "accepted"
    finally:
        goes_on.set()
        intake.stop()


def test_a_retained_record_is_taken_once_and_not_at_every_start(
    town: Town, intake: MqttIntake, broker: Broker, sender: Sender
) -> None:
    first, second, *_ = town.records()
    topic = records_topic(COMMUNITY, first.record[12:32])
    sender.publish(topic, batch_of([first]), retain=True)
    try:
        until(lambda: name_of(first) in sender.verdicts())
        intake.stop()
        successor = MqttIntake(town.hosted, address_of(broker), retry_s_max=RETRY_S_MAX)
        successor.start()
        sender.send(second)
        until(lambda: name_of(second) in sender.verdicts())
        successor.stop()
        assert successor.counts.messages == 1
        assert sender.verdicts()[name_of(first)] == ["accepted"]
    finally:
        sender.publish(topic, b"", retain=True)


def test_what_came_while_the_node_was_away_is_answered_when_it_is_back(
    town: Town, intake: MqttIntake, broker: Broker, sender: Sender
) -> None:
    records = [signed for index in range(INTERVALS) for signed in town.records(index)]
    intake.stop()
    for signed in records:
        sender.send(signed)
    successor = MqttIntake(town.hosted, address_of(broker), retry_s_max=RETRY_S_MAX)
    successor.start()
    try:
        until(lambda: len(sender.results()) >= len(records))
        assert sender.verdicts() == {name_of(signed): ["accepted"] for signed in records}
    finally:
        successor.stop()


def test_a_node_that_takes_over_a_community_is_given_what_the_other_one_did_not_answer(
    town: Town, broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with two nodes on one database: the first one hangs, the second one has the lease."""
    records, hangs, goes_on = town.records(), Event(), Event()
    take = town.hosted.take

    def hanging(batch):
        if not goes_on.is_set():
            hangs.set()
            goes_on.wait(10)
            raise DatabaseUnusable("database", "the lease is another's")
        return take(batch)

    with monkeypatch.context() as first_node:
        first_node.setattr(town.hosted, "take", hanging)
        first = MqttIntake(town.hosted, address_of(broker), retry_s_max=60)
        first.start()
        until(lambda: first.is_connected)
        for signed in records:
            sender.send(signed)
        until(hangs.is_set)
    second = MqttIntake(town.hosted, address_of(broker), retry_s_max=RETRY_S_MAX)
    second.start()
    try:
        until(lambda: len(sender.results()) >= len(records))
        assert sender.verdicts() == {name_of(signed): ["accepted"] for signed in records}
        until(lambda: "broke" in first.trouble or "taken over" in first.trouble)
    finally:
        goes_on.set()
        first.stop()
        second.stop()


def test_what_waited_when_the_connection_broke_is_answered_once(
    town: Town, intake: MqttIntake, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker gives it again, so it must not wait in memory as well."""
    goes_on = Event()
    take = town.hosted.take
    monkeypatch.setattr(town.hosted, "take", lambda batch: goes_on.wait(10) and take(batch))
    first, *others = town.records()
    sender.send(first)
    until(lambda: intake.counts.messages)
    for signed in others:
        sender.send(signed)
    until(lambda: len(intake._queue) == len(others))
    before = intake._connection._client
    before._sock.shutdown(socket.SHUT_RDWR)
    until(lambda: intake.is_connected and intake._connection._client is not before)
    until(lambda: len(intake._queue) == 1 + len(others))
    goes_on.set()
    until(lambda: len(sender.results()) == 2 + len(others))
    said = sender.verdicts()
    assert said.pop(name_of(first)) == ["accepted", "duplicate"]
    assert set(map(tuple, said.values())) == {("accepted",)}


def test_it_starts_before_the_broker_and_says_why_it_waits(
    town: Town,
) -> None:
    nowhere = BrokerAddress("127.0.0.1", 1, tls=False, user="node", password="very secret")
    intake = MqttIntake(town.hosted, nowhere, retry_s_max=RETRY_S_MAX)
    intake.start()
    until(lambda: "refused" in intake.trouble)
    assert not intake.is_connected
    assert "secret" not in repr(nowhere) + intake.trouble
    intake.stop()


@pytest.mark.usefixtures("intake")
def test_verdicts_of_the_community_reach_the_sender_unchanged(town: Town, sender: Sender) -> None:
    first = town.records()[0]
    broken = first._replace(signature=bytes(64))
    sender.send(broken)
    until(sender.results)
    assert sender.results()[0]["reason"] == "SIGNATURE_WRONG"
    [verdict] = town.hosted.take([first])
    assert isinstance(verdict, Accepted)
    sender.send(first)
    until(lambda: len(sender.results()) == 2)
    assert sender.results()[1] == {
        "record": first.digest.hex(),
        "meter": first.meter.hex(),
        "sequence": 1,
        "verdict": "duplicate",
        "reason": None,
    }
