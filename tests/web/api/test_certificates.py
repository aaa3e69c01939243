"""The book over HTTP: signed actions, EnergyTag's names for them, and nothing done twice."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec
import pytest

from certificates import FORGER, ISSUER, NEIGHBOUR, PRODUCER
from commonwatt.certificate.actions import Retire, Transfer
from commonwatt.certificate.bundle import Bundle, Status
from commonwatt.certificate.energytag import BundleDocument
from commonwatt.certificate.log import read_line
from commonwatt.certificate.retirement import differences
from commonwatt.node.store import Answers
from web.api.parts import DAY, HERE, LODGER, NOON, TOKENS, People, Station, address

ACTIONS = f"{HERE}/certificates/actions"
TAG = f"{HERE}/energytag/certificate"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path / "node")
    station.live(3)
    yield station
    station.close()


def active(station: Station) -> list[Bundle]:
    held = station.hosted.book.held(PRODUCER.address_bytes)
    return [bundle for bundle in held if bundle.status is Status.ACTIVE]


def holdings(station: Station, who: bytes) -> int:
    book = station.hosted.book
    return sum(b.wh for b in book.held(who) if b.status is not Status.SPLIT)


# Signed actions


def test_a_signed_transfer_moves_units_and_is_on_the_disk(people: People, station: Station) -> None:
    [bundle, *_] = active(station)
    signed = station.sign(PRODUCER, Transfer(bundle.number, 30, address(NEIGHBOUR)))
    answer = people.post(ACTIONS, json=signed)
    assert answer.status_code == 201, answer.text
    assert holdings(station, NEIGHBOUR.address_bytes) == 30
    told = answer.json()
    assert told["entries"] == station.hosted.book.log.book.entries
    assert [one["wh"] for one in told["bundles"]] == [30]
    line = list(station.hosted.book.lines(told["entries"] - 1))
    assert read_line(line[0], 0).actor == address(PRODUCER)


def test_the_same_action_sent_twice_is_done_once(people: People, station: Station) -> None:
    [bundle, *_] = active(station)
    signed = station.sign(PRODUCER, Transfer(bundle.number, 30, address(NEIGHBOUR)))
    assert people.post(ACTIONS, json=signed).status_code == 201
    again = people.post(ACTIONS, json=signed)
    assert (again.status_code, again.json()["rule"]) == (409, "R5")
    assert holdings(station, NEIGHBOUR.address_bytes) == 30


def test_with_a_key_the_second_time_is_answered_as_the_first(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    signed = station.sign(PRODUCER, Transfer(bundle.number, 30, address(NEIGHBOUR)))
    key = {"idempotency-key": "order-7"}
    first = people.post(ACTIONS, json=signed, headers=key)
    again = people.post(ACTIONS, json=signed, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    other = station.sign(PRODUCER, Transfer(active(station)[0].number, 5, address(NEIGHBOUR)))
    taken = people.post(ACTIONS, json=other, headers=key)
    assert (taken.status_code, taken.json()["type"]) == (422, "/v1/problems/key-taken")


def test_a_key_is_an_actors_own_and_what_was_refused_may_be_asked_again(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    key = {"idempotency-key": "mine"}
    refused = station.sign(NEIGHBOUR, Transfer(bundle.number, 30, address(LODGER)))
    for _ in range(2):
        assert people.post(ACTIONS, json=refused, headers=key).status_code == 409
    signed = station.sign(PRODUCER, Transfer(bundle.number, 30, address(NEIGHBOUR)))
    assert people.post(ACTIONS, json=signed, headers=key).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "x" * 101, "a b", "caf\xe9"])
def test_a_key_that_is_none_is_refused(people: People, station: Station, key: str) -> None:
    signed = station.sign(PRODUCER, Transfer(0, 1, address(NEIGHBOUR)))
    headers = {"idempotency-key": key.encode("latin-1")}
    assert people.post(ACTIONS, json=signed, headers=headers).status_code == 422


def test_while_a_request_is_carried_out_its_key_is_busy(people: People, station: Station) -> None:
    answers: Answers = people.api.answers("linden-street")
    signed = station.sign(PRODUCER, Transfer(active(station)[0].number, 1, address(NEIGHBOUR)))
    body = msgspec.json.encode(signed)
    asked = sha256(f"POST {ACTIONS}\n\n\n".encode() + body).digest()
    answers.begin(f"0x{address(PRODUCER)}", "slow", asked, 60)
    headers = {"idempotency-key": "slow", "content-type": "application/json"}
    answer = people.post(ACTIONS, content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (409, "/v1/problems/running")


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "00" * 65}, {"signature": "zz"}, {"nonce": -1}, {"nonce": 10**30},
        {"actor": "00" * 20}, {"actor": address(FORGER)}, {"more": 1},
        {"action": {"action": "transfer", "bundle": 0, "wh": 1, "to": "' OR 1=1 --"}},
        {"action": {"action": "steal"}}, {"action": None}, {"action": {"action": "claim"}},
    ],
)  # fmt: skip
def test_what_is_not_signed_as_it_stands_changes_nothing(
    people: People, station: Station, change: dict[str, object]
) -> None:
    before = station.hosted.book.log.head
    signed = station.sign(PRODUCER, Transfer(active(station)[0].number, 30, address(NEIGHBOUR)))
    answer = people.post(ACTIONS, json={**signed, **change})
    assert answer.status_code in {409, 422}, answer.text
    assert station.hosted.book.log.head == before


@pytest.mark.parametrize("text", ["'; DROP TABLE bundle; --", "\0", "a" * 60_000, "\u202e\ud7ff"])
def test_texts_are_kept_as_they_are_or_refused_and_never_believed(
    people: People, station: Station, text: str
) -> None:
    [bundle, *_] = active(station)
    signed = station.sign(PRODUCER, Retire(bundle.number, 1, address(PRODUCER), text))
    answer = people.post(ACTIONS, json=signed)
    assert answer.status_code in {201, 409}, answer.text
    assert len(active(station)) >= 1
    assert people.get(f"{HERE}/certificates", TOKENS["issuer"]).status_code == 200


# Questions


def test_bundles_are_listed_by_account_by_day_and_by_status(
    people: People, station: Station
) -> None:
    token = people.token_of(PRODUCER)
    mine = people.get(f"{HERE}/certificates", token).json()["items"]
    assert {one["holder"] for one in mine} == {address(PRODUCER)}
    of_day = people.get(f"{HERE}/certificates?day={DAY}", TOKENS["auditor"]).json()["items"]
    assert sorted(one["number"] for one in of_day) == sorted(one["number"] for one in mine)
    assert people.get(f"{HERE}/certificates?day=2016-06-22", token).json()["items"] == []
    some = people.get(f"{HERE}/certificates?status=active", token).json()["items"]
    assert {one["number"] for one in some} == {bundle.number for bundle in active(station)}
    assert people.get(f"{HERE}/certificates?account={'00' * 20}", token).status_code == 422
    asked = f"{HERE}/certificates?account={address(NEIGHBOUR)}"
    assert people.get(asked, token).status_code == 403
    assert people.get(asked, TOKENS["issuer"]).json()["items"] == []


@pytest.mark.parametrize("query", ["", f"&day={DAY}", f"&account={address(PRODUCER)}"])
@pytest.mark.parametrize("role", ["issuer", None])
def test_pages_of_bundles_together_are_all_of_them(
    people: People, station: Station, query: str, role: str | None
) -> None:
    for wh in (1, 2, 3):
        [bundle, *_] = active(station)
        signed = station.sign(PRODUCER, Transfer(bundle.number, wh, address(NEIGHBOUR)))
        assert people.post(ACTIONS, json=signed).status_code == 201
    token = people.token_of(PRODUCER) if role is None else TOKENS[role]
    found, cursor = [], ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        page = people.get(f"{HERE}/certificates?limit=2{query}{after}", token).json()
        assert len(page["items"]) <= 2
        found += [one["number"] for one in page["items"]]
        cursor = page["next"]
    whole = people.get(f"{HERE}/certificates?limit=1000{query}", token).json()
    assert found == [one["number"] for one in whole["items"]]
    held = list(station.hosted.book.held(PRODUCER.address_bytes))
    if role == "issuer" and "account" not in query:
        held += station.hosted.book.held(NEIGHBOUR.address_bytes)
    assert sorted(found) == sorted(b.number for b in held if b.status is not Status.SPLIT)


def test_a_retirement_has_a_statement_that_the_book_agrees_with(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    signed = station.sign(PRODUCER, Retire(bundle.number, 20, address(LODGER), "cooking"))
    [made] = people.post(ACTIONS, json=signed).json()["bundles"]
    path = f"{HERE}/certificates/{made['number']}"
    answer = people.get(f"{path}/retirement", people.token_of(PRODUCER))
    lines = list(station.hosted.book.lines())
    told = answer.json()
    issued, retired = (read_line(lines[told[key]["number"]], 0) for key in ("issued", "retired"))
    state = station.hosted.book.log.book.state
    assert differences(answer.content, state, issued, retired) == ()
    # Whom it was retired for sees it, too, although another account holds it.
    assert people.get(path, people.token_of(LODGER)).status_code == 200
    assert people.get(path, people.token_of(NEIGHBOUR)).status_code == 403
    open_one = active(station)[0].number
    token = people.token_of(PRODUCER)
    answer = people.get(f"{HERE}/certificates/{open_one}/retirement", token)
    assert answer.status_code == 404


def test_units_past_their_time_are_told_as_expired(people: People, station: Station) -> None:
    [bundle, *_] = active(station)
    path = f"{HERE}/certificates/{bundle.number}"
    assert people.get(path, TOKENS["issuer"]).json()["is_expired"] is False
    station.clock.now += station.hosted.book.log.book.scheme.lifetime_s
    assert people.get(path, TOKENS["issuer"]).json()["is_expired"] is True


def test_an_account_learns_its_next_action_and_nobody_elses(
    people: People, station: Station
) -> None:
    path = f"{HERE}/book/accounts/{address(PRODUCER)}"
    token = people.token_of(PRODUCER)
    assert people.get(path, token).json()["next_action"] == 0
    signed = station.sign(PRODUCER, Transfer(active(station)[0].number, 1, address(NEIGHBOUR)))
    people.post(ACTIONS, json=signed)
    assert people.get(path, token).json()["next_action"] == 1
    assert people.get(path, people.token_of(NEIGHBOUR)).status_code == 403
    told = people.get(f"{HERE}/book").json()
    assert told["head"] == station.hosted.book.log.head.hex()
    assert told["identity"] == station.hosted.book.log.identity.hex()


# EnergyTag


def ask_tag(people: People, kind: str, token: str, document: dict[str, object],
            **headers: str) -> httpx.Response:  # fmt: skip
    return people.post(f"{TAG}/{kind}", token, json=document, headers=headers)


def signed_tag(people: People, who: object, kind: str, document: dict[str, object]):
    """The way of an EnergyTag action: ask for the text, sign it, send it again."""
    token = people.token_of(who)
    asked = ask_tag(people, kind, token, document)
    if asked.status_code != 428:
        return asked
    problem = asked.json()
    headers = {
        "commonwatt-action-number": str(problem["number"]),
        "commonwatt-action-signature": who.sign_text(problem["text"].encode()).hex(),
    }
    return ask_tag(people, kind, token, document, **headers)


def test_energytags_documents_and_ours_tell_the_same(people: People) -> None:
    token = people.token_of(PRODUCER)
    query = {"source_id": address(PRODUCER), "user_id": address(PRODUCER)}
    told = people.post(f"{TAG}/query", token, json=query).json()
    found = told["granular_certificate_bundles"]
    ours = people.get(f"{HERE}/certificates", token).json()["items"]
    assert [one["id"] for one in found] == [one["number"] for one in ours]
    assert told["total_certificate_volume"] == sum(one["wh"] for one in ours)
    [document, *_] = found
    one = people.get(f"{TAG}/{document['id']}", token)
    assert one.json() == document
    msgspec.json.decode(one.content, type=BundleDocument)


@pytest.mark.parametrize(
    ("asked", "many"),
    [
        ({"certificate_bundle_status": "Active"}, 3),
        ({"certificate_bundle_status": "Cancelled"}, 3),
        ({"certificate_bundle_status": "Claimed"}, 0),
        ({"energy_source": "solar_pv"}, 6),
        ({"energy_source": "wind"}, 0),
        ({"certificate_period_start": "2016-06-21T12:15:00Z"}, 4),
        ({"certificate_period_end": "2016-06-21T12:15:00Z"}, 2),
        ({"device_id": "ab" * 20}, 0),
    ],
)
def test_energytags_query_filters(people: People, asked: dict[str, str], many: int) -> None:
    token = people.token_of(PRODUCER)
    names = {"source_id": address(PRODUCER), "user_id": address(PRODUCER)}
    told = people.post(f"{TAG}/query", token, json={**names, **asked})
    assert len(told.json()["granular_certificate_bundles"]) == many
    pages = people.post(f"{TAG}/query?limit=1", token, json={**names, **asked}).json()
    assert len(pages["granular_certificate_bundles"]) == min(many, 1)
    assert (pages["next"] is None) == (many <= 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"certificate_bundle_status": "'; DROP TABLE bundle; --"},
        {"certificate_period_start": "noon"},
        {"certificate_period_start": "2016-06-21T12:15:00"},
        {"issuance_ids": ["x"], "certificate_period_start": "2016-06-21T12:15:00Z"},
        {"source_id": "00" * 20},
        {"limit": 5},
    ],
)
def test_what_energytags_query_cannot_mean_is_named(
    people: People, asked: dict[str, object]
) -> None:
    names = {"source_id": address(PRODUCER), "user_id": address(PRODUCER)}
    answer = people.post(f"{TAG}/query", TOKENS["issuer"], json={**names, **asked})
    assert answer.status_code == 422, answer.text


def test_a_transfer_in_energytags_names_is_signed_and_done(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    document = {
        "source_id": address(PRODUCER),
        "user_id": address(PRODUCER),
        "granular_certificate_bundle_ids": [bundle.number],
        "certificate_bundle_percentage": 0.25,
        "target_id": address(NEIGHBOUR),
    }
    answer = signed_tag(people, PRODUCER, "transfer", document)
    assert answer.status_code == 201, answer.text
    assert holdings(station, NEIGHBOUR.address_bytes) == bundle.wh // 4
    told = answer.json()
    assert told["action"]["action_type"] == "transfer"
    assert told["action"]["action_completed_datetime"].endswith("Z")
    assert told["granular_certificate_bundles"][0]["account_id"] == address(NEIGHBOUR)


def test_cancel_and_claim_go_from_holder_to_beneficiary(people: People, station: Station) -> None:
    [bundle, *_] = active(station)
    document = {
        "source_id": address(PRODUCER),
        "user_id": address(PRODUCER),
        "granular_certificate_bundle_ids": [bundle.number],
        "beneficiary": address(LODGER),
    }
    cancelled = signed_tag(people, PRODUCER, "cancel", document)
    assert cancelled.status_code == 201, cancelled.text
    [made] = cancelled.json()["granular_certificate_bundles"]
    claim = {
        "source_id": address(PRODUCER),
        "user_id": address(LODGER),
        "granular_certificate_bundle_ids": [made["id"]],
    }
    claimed = signed_tag(people, LODGER, "claim", claim)
    assert claimed.status_code == 201, claimed.text
    [now] = claimed.json()["granular_certificate_bundles"]
    assert now["certificate_bundle_status"] == "Claimed"


def test_a_reservation_names_its_end_and_the_issuer_withdraws(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    document = {
        "source_id": address(PRODUCER),
        "user_id": address(PRODUCER),
        "granular_certificate_bundle_ids": [bundle.number],
        "target_id": address(NEIGHBOUR),
    }
    assert signed_tag(people, PRODUCER, "reserve", document).status_code == 422
    until = {"reserved_until": "2016-07-01T00:00:00Z"}
    assert signed_tag(people, PRODUCER, "reserve", document | until).status_code == 201
    other = active(station)[0]
    withdrawal = {
        "source_id": address(PRODUCER),
        "user_id": address(ISSUER),
        "granular_certificate_bundle_ids": [other.number],
        "reason": "the meter was wrong",
    }
    answer = signed_tag(people, ISSUER, "withdraw", withdrawal)
    assert answer.status_code == 201, answer.text
    assert station.hosted.book.bundle(other.number).status is Status.WITHDRAWN


def test_without_its_own_signature_an_energytag_action_is_not_done(
    people: People, station: Station
) -> None:
    [bundle, *_] = active(station)
    token = people.token_of(PRODUCER)
    document = {
        "source_id": address(PRODUCER),
        "user_id": address(PRODUCER),
        "granular_certificate_bundle_ids": [bundle.number],
        "target_id": address(FORGER),
    }
    asked = ask_tag(people, "transfer", token, document)
    text = asked.json()["text"]
    assert text.startswith("Commonwatt certificate book ")
    forged = {
        "commonwatt-action-number": "0",
        "commonwatt-action-signature": FORGER.sign_text(text.encode()).hex(),
    }
    assert ask_tag(people, "transfer", token, document, **forged).status_code == 409
    half = {"commonwatt-action-number": "0"}
    assert ask_tag(people, "transfer", token, document, **half).status_code == 422
    assert holdings(station, FORGER.address_bytes) == 0
    assert people.get(f"{TAG}/query", token).status_code == 404
    assert bundle.origin.start == NOON
