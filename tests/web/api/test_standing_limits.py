"""Participants set their own limit prices, the operator anybody's, and all of it can be told."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import NEIGHBOUR, PRODUCER
from commonwatt.node.store import LIMIT_CHANGES_PER_INTERVAL_MAX
from node.service.parts import AUCTION
from web.api.parts import (
    HERE,
    MEMBER_TOKEN,
    NEIGHBOURS,
    NOON,
    OPERATOR,
    PRODUCERS,
    QUARTER_S,
    TOKENS,
    People,
    Station,
    address,
)

MINE, YOURS = (f"{HERE}/participants/{member}/limits" for member in (PRODUCERS, NEIGHBOURS))
WANTED = {"bid": "0.21500", "ask": "0.20000"}
OF_FILE = {"bid": "0.24000", "ask": "0.08000"}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path, AUCTION)
    yield station
    station.close()


@pytest.fixture
def people(station: Station) -> Iterator[People]:
    people = People(station)
    yield people
    people.close()


@pytest.fixture
def producer(people: People) -> str:
    return people.token_of(PRODUCER)


def put(
    people: People, path: str, token: str | None, wanted: Any = WANTED, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return people.ask("PUT", path, token, json=wanted, headers=named)


def prices_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {name: answer.json()[name] for name in ("bid", "ask")}


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_a_participant_sees_and_sets_its_own_limits(
    station: Station, people: People, producer: str
) -> None:
    before = people.get(MINE, producer)
    assert before.json() == {
        "member": PRODUCERS, **OF_FILE, "source": "file", "start": None, "set_by": None,
        "set_at": None,
    }  # fmt: skip
    station.live()
    done = put(people, MINE, producer, {"bid": "0.215", "ask": "0.2"})
    told = done.json()
    assert prices_of(done) == WANTED
    assert (told["source"], told["start"]) == ("set", NOON + QUARTER_S)
    assert told["set_by"] == PRODUCER.address.lower()
    assert told["set_at"] > 1_700_000_000
    assert people.get(MINE, producer).json() == told
    station.live()
    [first, second] = people.get(f"{HERE}/prices?day=2016-06-21").json()["items"]
    assert (first["local_price"], second["local_price"]) == ("0.16000", "0.22000")


def test_a_participants_token_and_the_operator_set_limits_too(
    people: People, producer: str
) -> None:
    assert prices_of(put(people, YOURS, MEMBER_TOKEN)) == WANTED
    done = put(people, YOURS, TOKENS["operator"], {"bid": "0.1", "ask": "0.09"})
    assert prices_of(done) == {"bid": "0.10000", "ask": "0.09000"}
    assert done.json()["set_by"] == "token:operator"
    assert prices_of(put(people, YOURS, people.token_of(OPERATOR))) == WANTED
    assert prices_of(people.get(MINE, producer)) == OF_FILE


def test_neighbours_auditors_and_strangers_neither_see_nor_set_them(
    people: People, producer: str
) -> None:
    for token, status in (
        (None, 401), (producer, 403), (TOKENS["auditor"], 403),
        (TOKENS["issuer"], 403),
    ):  # fmt: skip
        for method in ("GET", "PUT", "DELETE"):
            options = {"json": WANTED} if method == "PUT" else {}
            assert people.ask(method, YOURS, token, **options).status_code == status
        assert people.get(f"{YOURS}/changes", token).status_code == status
    assert prices_of(people.get(YOURS, MEMBER_TOKEN)) == OF_FILE


def test_who_goes_back_has_the_limits_of_the_communitys_file(people: People, producer: str) -> None:
    put(people, MINE, producer)
    back = people.ask("DELETE", MINE, producer)
    assert prices_of(back) == OF_FILE
    assert (back.json()["source"], back.json()["start"]) == ("file", NOON)
    assert people.get(MINE, producer).json() == back.json()
    assert prices_of(people.ask("DELETE", MINE, producer)) == OF_FILE


def test_it_can_be_told_who_set_what_and_when(people: People, producer: str) -> None:
    operator, path = TOKENS["operator"], f"{MINE}/changes"
    put(people, MINE, producer)
    put(people, MINE, operator, {"bid": "0.1", "ask": "0.1"})
    put(people, YOURS, operator)
    people.ask("DELETE", MINE, operator)
    told = people.get(path, producer).json()["items"]
    assert [(one["number"], one["bid"], one["set_by"]) for one in told] == [
        (1, "0.21500", PRODUCER.address.lower()),
        (2, "0.10000", "token:operator"),
        (4, None, "token:operator"),
    ]
    assert {one["start"] for one in told} == {NOON}
    first = people.get(f"{path}?limit=2", producer).json()
    assert (first["items"], first["next"]) == (told[:2], "2")
    assert people.get(f"{path}?limit=2&cursor=2", producer).json()["items"] == told[2:]
    table = people.get(path, producer, headers={"accept": "text/csv"}).text.splitlines()
    assert table[0] == "number,member,start,bid,ask,set_by,set_at"
    assert len(table) == 4


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"bid": "0.2"}, "ask"),
        ({**WANTED, "premium": "1"}, "premium"),
        ({"bid": 0.2, "ask": "0.1"}, "bid"),
        ({"bid": "-0.2", "ask": "0.1"}, "bid"),
        ({"bid": "0,2", "ask": "0.1"}, "bid.*; write it like 0.24000"),
        ({"bid": "0.2", "ask": "1e3"}, "ask"),
        ({"bid": "0.2", "ask": "NaN"}, "ask"),
        ({"bid": "0.2", "ask": "٣"}, "ask"),
        ({"bid": "0.2", "ask": "'); DROP TABLE standing_limit; --"}, "ask"),
        ({"bid": "0.2", "ask": "0.000001"}, "ask: a price per kWh.*more than 5 decimals"),
        ({"bid": "10000.00001", "ask": "0.1"}, "bid: a price per kWh.*outside 0 to 10000.00000"),
    ],
)
def test_what_no_market_takes_is_refused_with_what_is_wrong(
    people: People, producer: str, wanted: Any, said: str
) -> None:
    answer = put(people, MINE, producer, wanted)
    assert kind_of(answer) == (422, "input-unusable")
    assert re.search(said, answer.json()["detail"])
    assert prices_of(people.get(MINE, producer)) == OF_FILE


def test_a_key_gives_the_first_answer_again_and_sets_nothing_twice(
    people: People, producer: str
) -> None:
    first = put(people, MINE, producer, idempotency_key="tonight")
    put(people, MINE, producer, OF_FILE)
    again = put(people, MINE, producer, idempotency_key="tonight")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert prices_of(people.get(MINE, producer)) == OF_FILE
    other = put(people, MINE, producer, OF_FILE, idempotency_key="tonight")
    assert kind_of(other) == (422, "key-taken")
    assert len(people.get(f"{MINE}/changes", producer).json()["items"]) == 2


def test_who_says_what_it_saw_changes_nothing_that_somebody_changed_meanwhile(
    people: People, producer: str
) -> None:
    seen = people.get(MINE, producer).headers["etag"]
    assert seen.startswith('"'), "If-Match compares strong tags only"
    unchanged = people.get(MINE, producer, headers={"if-none-match": seen})
    assert unchanged.status_code == 304
    done = put(people, MINE, producer, if_match=seen)
    assert prices_of(done) == WANTED
    assert done.headers["etag"] == people.get(MINE, producer).headers["etag"] != seen
    for method in ("PUT", "DELETE"):
        options = {"json": OF_FILE} if method == "PUT" else {}
        late = people.ask(method, MINE, producer, headers={"if-match": seen}, **options)
        assert kind_of(late) == (412, "changed")
    assert prices_of(people.get(MINE, producer)) == WANTED
    several = f'"other", W/{done.headers["etag"]}'
    assert prices_of(put(people, MINE, producer, OF_FILE, if_match=several)) == OF_FILE
    assert prices_of(put(people, MINE, producer, if_match="*")) == WANTED


def test_who_changes_its_limits_all_the_time_waits_for_the_next_interval(
    station: Station, people: People, producer: str
) -> None:
    for at in range(LIMIT_CHANGES_PER_INTERVAL_MAX):
        done = put(people, MINE, producer, {"bid": f"0.1{at:02}", "ask": "0"})
        assert done.status_code == 200
    refused = put(people, MINE, producer)
    assert kind_of(refused) == (429, "too-many")
    assert 0 < int(refused.headers["retry-after"]) <= QUARTER_S + 60
    station.live()
    assert prices_of(put(people, MINE, producer)) == WANTED


def test_there_are_limits_of_members_only(people: People) -> None:
    for method in ("GET", "PUT", "DELETE"):
        path = f"{HERE}/participants/3/limits"
        options = {"json": WANTED} if method == "PUT" else {}
        answer = people.ask(method, path, TOKENS["operator"], **options)
        assert kind_of(answer) == (404, "unknown")
    assert people.ask("POST", MINE, TOKENS["operator"], json=WANTED).headers["allow"] == (
        "DELETE, GET, HEAD, PUT"
    )


def test_a_market_without_limits_says_so(tmp_path: Path) -> None:
    station = Station(tmp_path)
    people = People(station)
    token = people.token_of(NEIGHBOUR)
    told = people.get(YOURS, token).json()
    assert (told["bid"], told["ask"], told["source"]) == (None, None, "rule")
    for method in ("PUT", "DELETE"):
        options = {"json": WANTED} if method == "PUT" else {}
        answer = people.ask(method, YOURS, token, **options)
        assert kind_of(answer) == (409, "no-limits")
        assert "mid_market_rate" in answer.json()["detail"]
    assert people.get(f"{YOURS}/changes", token).json() == {"items": [], "next": None}
    people.close()
    station.close()


def test_what_was_set_is_there_after_a_restart(tmp_path: Path) -> None:
    station = Station(tmp_path, AUCTION)
    people = People(station)
    told = put(people, MINE, people.token_of(PRODUCER)).json()
    assert told["set_by"] == f"0x{address(PRODUCER)}"
    people.close()
    station.close()
    station = Station(tmp_path, AUCTION)
    people = People(station)
    assert people.get(MINE, people.token_of(PRODUCER)).json() == told
    people.close()
    station.close()
