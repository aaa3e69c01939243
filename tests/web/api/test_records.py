"""Records in over HTTP: judged, on the disk, answered in their order."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from commonwatt.meter.keys import other_form
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.web.api.limits import RECORD_BYTES_MAX
from commonwatt.web.api.routes.records import ENTRY_BYTES
from commonwatt.web.api.settings import Rates
from web.api.parts import BINARY, HERE, NOON, People, Station, as_json, binary, settings

PATH = f"{HERE}/records"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path / "node")
    station.clock.now = NOON + 900
    yield station
    station.close()


def verdicts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["verdict"] for result in answer.json()["results"]]


def test_a_binary_batch_is_accepted_and_a_second_copy_is_a_duplicate(
    people: People, station: Station
) -> None:
    batch = station.records()
    answer = people.post(PATH, content=binary(batch), headers=BINARY)
    assert verdicts(answer) == ["accepted"] * 5
    first = answer.json()["results"][0]
    assert first == {
        "record": batch[0].digest.hex(),
        "meter": batch[0].meter.hex(),
        "sequence": 1,
        "verdict": "accepted",
        "reason": None,
    }
    again = people.post(PATH, content=binary(batch), headers=BINARY)
    assert verdicts(again) == ["duplicate"] * 5
    assert station.hosted.status().accepted == 5


def test_json_says_the_same_as_binary(people: People, station: Station) -> None:
    batch = station.records()
    assert verdicts(people.post(PATH, json=as_json(batch[:2]))) == ["accepted"] * 2
    rest = people.post(PATH, content=binary(batch), headers=BINARY)
    assert verdicts(rest) == ["duplicate"] * 2 + ["accepted"] * 3


def test_results_come_in_the_order_of_the_batch(people: People, station: Station) -> None:
    batch = station.records()[::-1]
    results = people.post(PATH, json=as_json(batch)).json()["results"]
    assert [r["meter"] for r in results] == [one.record[12:32].hex() for one in batch]


def test_the_other_form_of_a_signature_counts_as_the_same_record(
    people: People, station: Station
) -> None:
    batch = station.records()
    other = [SignedRecord(one.record, other_form(one.signature)) for one in batch]
    assert verdicts(people.post(PATH, json=as_json(other))) == ["accepted"] * 5
    assert verdicts(people.post(PATH, json=as_json(batch + other))) == ["duplicate"] * 10


def test_a_refused_record_is_answered_with_its_reason_and_the_others_count(
    people: People, station: Station
) -> None:
    batch = station.records()
    batch[2] = SignedRecord(batch[2].record, batch[1].signature)
    answer = people.post(PATH, json=as_json(batch))
    assert verdicts(answer) == ["accepted", "accepted", "refused", "accepted", "accepted"]
    assert answer.json()["results"][2]["reason"] == "SIGNATURE_WRONG"


def test_an_empty_batch_has_no_results(people: People) -> None:
    assert people.post(PATH, content=b"", headers=BINARY).json() == {"results": []}
    assert people.post(PATH, json={"records": []}).json() == {"results": []}


RECORD, SIGNATURE = "01" * 100, "02" * 64


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"records": [{}]}',
        b'{"records": [], "more": 1}',
        msgspec.json.encode({"records": [{"record": RECORD, "signature": SIGNATURE[2:]}]}),
        msgspec.json.encode({"records": [{"record": RECORD + "00", "signature": SIGNATURE}]}),
        msgspec.json.encode({"records": [{"record": "zz" * 100, "signature": SIGNATURE}]}),
        msgspec.json.encode({"records": [{"record": RECORD[:-1] + "\n", "signature": SIGNATURE}]}),
        msgspec.json.encode({"records": [{"record": "AA" * 100, "signature": SIGNATURE}]}),
        b'{"records": "' + b"\xff" * 10 + b'"}',
        b'{"records": ' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x00" * 400,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_batch_is_named_as_such(people: People, body: bytes) -> None:
    answer = people.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/v1/problems/batch-unusable"


@pytest.mark.parametrize("size", [1, ENTRY_BYTES - 1, ENTRY_BYTES + 1])
def test_a_binary_body_that_ends_in_the_middle_is_no_batch(people: People, size: int) -> None:
    answer = people.post(PATH, content=b"x" * size, headers=BINARY)
    assert (answer.status_code, answer.json()["type"]) == (422, "/v1/problems/batch-unusable")


def test_too_large_a_body_is_not_even_read(people: People) -> None:
    answer = people.post(PATH, content=b"x" * (RECORD_BYTES_MAX + 1), headers=BINARY)
    assert answer.status_code == 413
    # The rest of the body is of no use to anybody.
    assert answer.headers["connection"] == "close"


def test_a_body_of_unknown_length_type_or_packing_is_refused(people: People) -> None:
    def parts() -> Iterator[bytes]:
        yield b"x"

    async def chunked():
        yield b"x" * ENTRY_BYTES

    assert people.post(PATH, content=chunked(), headers=BINARY).status_code == 411
    assert people.post(PATH, content=b"x", headers={"content-type": "text/xml"}).status_code == 415
    assert people.post(PATH, content=b"").status_code == 415
    packed = {**BINARY, "content-encoding": "gzip"}
    assert people.post(PATH, content=b"x" * ENTRY_BYTES, headers=packed).status_code == 415


def test_while_the_node_cannot_store_it_says_so_and_nothing_of_its_disk(
    people: People, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = station.records()
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise DatabaseUnusable(station.folder, "disk full")

        patch.setattr(station.hosted._node._database, "acknowledge", fail)
        answer = people.post(PATH, json=as_json(batch))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert str(station.folder) not in answer.text
    assert "disk" not in answer.json()["detail"]
    assert verdicts(people.post(PATH, json=as_json(batch))) == ["accepted"] * 5


def test_many_senders_at_once_each_hear_of_their_own_records(
    people: People, station: Station
) -> None:
    batch = station.records()

    async def send(one: SignedRecord) -> list[dict[str, object]]:
        answer = await people.client.post(PATH, content=binary([one]), headers=BINARY)
        return answer.json()["results"]

    async def together() -> list[list[dict[str, object]]]:
        return await asyncio.gather(*(send(batch[n % 5]) for n in range(40)))

    answers = people.run(together())
    for number, [result] in enumerate(answers):
        assert result["meter"] == batch[number % 5].record[12:32].hex()
    assert sum(result["verdict"] == "accepted" for [result] in answers) == 5


def test_a_community_this_node_does_not_work_for_is_not_there(people: People) -> None:
    for name in ("elm-street", "..", "%2e%2e", "Linden-Street", "linden-street%00", "x" * 200):
        answer = people.post(f"/v1/communities/{name}/records", content=b"", headers=BINARY)
        assert answer.status_code == 404, name


# How often


def test_who_sends_records_that_are_refused_has_to_wait_and_others_have_not(
    station: Station,
) -> None:
    few = Rates(refused_per_s=1, refused_at_once=10)
    people = People(station, settings(rates=few))
    batch = station.records()
    bad = [SignedRecord(batch[0].record, bytes(64))] * 20
    assert verdicts(people.post(PATH, json=as_json(bad))) == ["refused"] * 20
    answer = people.post(PATH, json=as_json(batch))
    assert answer.status_code == 429
    people.clock.now += int(answer.headers["retry-after"])
    assert verdicts(people.post(PATH, json=as_json(batch))) == ["accepted"] * 5
    people.close()


def test_more_records_than_a_second_has_room_for_must_wait(station: Station) -> None:
    people = People(station, settings(rates=Rates(records_per_s=10, records_at_once=5)))
    batch = station.records()
    assert verdicts(people.post(PATH, json=as_json(batch))) == ["accepted"] * 5
    people.clock.now -= 2
    assert people.post(PATH, json=as_json(batch)).status_code == 429
    people.clock.now += 10
    assert verdicts(people.post(PATH, json=as_json(batch))) == ["duplicate"] * 5
    people.close()


def test_threads_write_together(station: Station) -> None:
    """Group commit needs several records to wait at the same time, so routes answer in threads."""
    people = People(station)
    assert isinstance(people.api.workers, ThreadPoolExecutor)
    assert people.api.workers._max_workers > 8
    people.close()
