"""The operator's: refused records, webhooks, and what is told to them."""

import hmac
import json
import logging
import socket
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.node.errors import DatabaseUnusable
from commonwatt.node.service.members import community_key
from commonwatt.web.api import delivery as delivery_module
from commonwatt.web.api.delivery import HOOKS_S, RETRY_S, Deliverer
from commonwatt.web.api.hooks import HOOKS_MAX, Hooks
from commonwatt.web.api.receiver import Receiver, ReceiverUnusable, address_of, post, receiver_of
from web.api.parts import HERE, NAME, NOON, TOKENS, Moments, People, Station, as_json

OPERATOR = TOKENS["operator"]
HOOKS = f"{HERE}/webhooks"


def refuse(station: Station, people: People, many: int = 1) -> None:
    opening = station.street.grid[0].opening
    forged = [SignedRecord(opening.record, bytes([n]) * 64) for n in range(many)]
    answer = people.post(f"{HERE}/records", json=as_json(forged))
    assert answer.status_code == 200


# Quarantine


def test_a_refused_record_is_listed_and_released_or_rejected_with_a_log(
    people: People, station: Station
) -> None:
    refuse(station, people, 3)
    found = people.get(f"{HERE}/quarantine", OPERATOR).json()["items"]
    assert [one["reason"] for one in found] == ["SIGNATURE_WRONG"] * 3
    assert found[0]["meter"] == station.street.grid[0].key.meter.hex()
    for number, ruling in ((1, "released"), (2, "rejected")):
        answer = people.post(
            f"{HERE}/quarantine/{number}/decisions",
            OPERATOR,
            json={"ruling": ruling, "remark": f"as the meter's maker says, {number}"},
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["decision"]["by"] == "token:operator"
    waiting = people.get(f"{HERE}/quarantine", OPERATOR).json()["items"]
    assert [one["number"] for one in waiting] == [3]
    released = people.get(f"{HERE}/quarantine?state=released", OPERATOR).json()["items"]
    assert [(one["number"], one["ruling"]) for one in released] == [(1, "released")]
    every = people.get(f"{HERE}/quarantine?state=all", TOKENS["auditor"]).json()["items"]
    assert [one["ruling"] for one in every] == ["released", "rejected", None]
    log = people.get(f"{HERE}/decisions", OPERATOR).json()["items"]
    assert [(one["refusal"], one["ruling"]) for one in log] == [(1, "released"), (2, "rejected")]
    assert people.get(f"{HERE}/quarantine/2", OPERATOR).json()["decided_by"] == "token:operator"


def test_pages_of_the_quarantine_are_all_of_it(people: People, station: Station) -> None:
    refuse(station, people, 5)
    found, cursor = [], ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        page = people.get(f"{HERE}/quarantine?limit=2{after}", OPERATOR).json()
        found += [one["number"] for one in page["items"]]
        cursor = page["next"]
    assert found == [1, 2, 3, 4, 5]


def test_a_decision_with_a_key_is_made_once(people: People, station: Station) -> None:
    refuse(station, people)
    path, body = f"{HERE}/quarantine/1/decisions", {"ruling": "rejected", "remark": "twice"}
    for _ in range(3):
        answer = people.post(path, OPERATOR, json=body, headers={"idempotency-key": "k1"})
        assert answer.status_code == 201
    assert len(people.get(f"{HERE}/decisions", OPERATOR).json()["items"]) == 1


@pytest.mark.parametrize(
    ("number", "body", "status"),
    [
        (1, {"ruling": "forgotten"}, 422),
        (1, {}, 422),
        (1, {"$.ruling.x": "released"}, 422),
        (1, {"$.x": "released"}, 422),
        (1, {"ruling": "rejected", "remark": "x" * 501}, 422),
        (1, {"ruling": "rejected", "remark": "\0"}, 422),
        (1, {"ruling": "rejected", "remark": "'); DROP TABLE decision; --"}, 201),
        (2, {"ruling": "rejected"}, 404),
        (10**18, {"ruling": "rejected"}, 404),
        (10**18 - 1, {"ruling": "rejected"}, 404),
    ],
)
def test_a_decision_is_about_one_record_in_two_words(
    people: People, station: Station, number: int, body: dict[str, str], status: int
) -> None:
    refuse(station, people)
    answer = people.post(f"{HERE}/quarantine/{number}/decisions", OPERATOR, json=body)
    assert answer.status_code == status, answer.text
    if body.get("ruling") == "forgotten":
        assert "; write rejected or released" in answer.json()["detail"]
    log = people.get(f"{HERE}/decisions", OPERATOR).json()["items"]
    assert [one["remark"] for one in log] == ([body["remark"]] if status == 201 else [])


def test_a_released_record_counts_unless_more_than_its_rated_power_is_against_it(
    people: People, station: Station
) -> None:
    street = station.street
    batch = [
        meter.measure(street.interval.end, surge)
        for meter, surge in zip(street.grid, (10**9, 0, 0), strict=True)
    ]
    station.clock.now = street.interval.end
    forged = SignedRecord(batch[1].record, bytes(64))
    station.hosted.take([batch[0], forged])
    found = items_of(people.get(f"{HERE}/quarantine", OPERATOR))
    assert {one["reason"] for one in found} == {"OVER_CAPACITY", "SIGNATURE_WRONG"}
    made = {}
    for one in found:
        path = f"{HERE}/quarantine/{one['number']}/decisions"
        answer = people.post(path, OPERATOR, json={"ruling": "released", "remark": "seen"})
        assert answer.status_code == 201
        made[one["reason"]] = answer.json()
    surge, other = made["OVER_CAPACITY"], made["SIGNATURE_WRONG"]
    assert (surge["readmitted"], surge["reason"]) == (street.start.start, None)
    assert (other["readmitted"], other["reason"]) == (None, "SIGNATURE_WRONG")
    assert surge["decision"]["ruling"] == other["decision"]["ruling"] == "released"
    station.hosted.take(batch[1:])
    station.hosted.conclude()
    station.hosted.settle()
    [line] = station.hosted.lines("members/000/2016-06-21.jsonl")
    assert batch[0].record.hex().encode() in line


def items_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_what_was_accepted_after_all_can_be_decided_no_more(
    people: People, station: Station
) -> None:
    refuse(station, people)
    station.store.database(community_key(NAME)).acknowledge(NOON, [], [], readmitted=[1])
    answer = people.post(f"{HERE}/quarantine/1/decisions", OPERATOR, json={"ruling": "rejected"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/v1/problems/decided")
    assert people.get(f"{HERE}/quarantine/1", OPERATOR).json()["readmitted"] == NOON


def test_a_record_that_was_refused_for_a_time_waits_for_nobody(
    people: People, station: Station
) -> None:
    early = station.street.grid[0].measure(station.street.interval.end, 0)
    database = station.store.database(community_key(NAME))
    database.acknowledge(NOON, [], [Refused(early, Reason.CORRECTS_NOTHING)])
    assert items_of(people.get(f"{HERE}/quarantine", OPERATOR)) == []
    assert len(items_of(people.get(f"{HERE}/quarantine?state=all", OPERATOR))) == 1
    station.clock.now = station.street.interval.end
    station.hosted.take([early])
    answer = people.post(f"{HERE}/quarantine/1/decisions", OPERATOR, json={"ruling": "released"})
    assert answer.status_code == 409
    assert "sent again and has been accepted" in answer.json()["detail"]
    assert items_of(people.get(f"{HERE}/decisions", OPERATOR)) == []


# Webhooks


def register(people: People, url: str = "http://localhost:9/hook", **more: Any) -> dict[str, Any]:
    answer = people.post(HOOKS, OPERATOR, json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_webhook_is_registered_listed_without_its_secret_and_removed(people: People) -> None:
    made = register(people, kinds=["interval", "chain", "interval"])
    assert made["secret"].startswith("whsec_")
    assert made["kinds"] == ["interval", "chain"]
    listed = people.get(HOOKS, OPERATOR)
    assert made["secret"] not in listed.text
    assert [one["number"] for one in listed.json()["items"]] == [1]
    assert people.ask("DELETE", f"{HOOKS}/1", OPERATOR).status_code == 204
    assert people.get(HOOKS, OPERATOR).json()["items"] == []
    assert people.ask("DELETE", f"{HOOKS}/1", OPERATOR).status_code == 404
    assert people.ask("DELETE", f"{HOOKS}/{10**17}", OPERATOR).status_code == 404
    assert register(people)["number"] == 2


def test_a_community_has_only_so_many_webhooks(people: People) -> None:
    for _ in range(HOOKS_MAX):
        register(people)
    answer = people.post(HOOKS, OPERATOR, json={"url": "http://localhost/"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/v1/problems/full")


def test_two_that_register_at_once_get_numbers_of_their_own(station: Station) -> None:
    database = station.store.database(community_key(NAME))
    ones, others = Hooks(database), Hooks(database)
    first = ones.register("http://localhost/1", ("interval",), "one", NOON)
    # The other has counted before the first one was kept.
    others._ever = lambda: iter(())  # type: ignore[method-assign]
    second = others.register("http://localhost/2", ("interval",), "other", NOON)
    assert (first.number, second.number) == (1, 2)
    assert [hook.url for hook in Hooks(database).all()] == [first.url, second.url]


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/", "ftp://receiver.example/", "https://", "https:///x",
        "https://user:word@receiver.example/", "https://receiver.example/#x", "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data", "https://[fd00::1]/", "https://[::ffff:10.0.0.1]/",
        "http://127.0.0.2/", "https://192.168.1.1/", "https://receiver.example/\r\nX: y",
        "https://receiver.example:99999/", "https://0.0.0.0/", "https://[::]/",
        "javascript:alert(1)",         "https://rec\u0435iver.example/", "file:///etc/passwd", "https://224.0.0.1/",
        "https://[2002:0a00:0001::]/", "http://localhost.evil.example/",
        "https://receiver.example/ x",
    ],
)  # fmt: skip
def test_no_message_goes_to_an_address_that_is_not_public(people: People, url: str) -> None:
    answer = people.post(HOOKS, OPERATOR, json={"url": url})
    assert answer.status_code == 422, answer.text
    assert people.get(HOOKS, OPERATOR).json()["items"] == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://receiver.example", ("receiver.example", 443, "/", True)),
        ("https://receiver.example:8443/a?b=c", ("receiver.example", 8443, "/a?b=c", True)),
        ("http://localhost:8080/x", ("localhost", 8080, "/x", False)),
        ("https://8.8.8.8/x", ("8.8.8.8", 443, "/x", True)),
    ],
)
def test_a_receiver_is_what_its_address_says(url: str, expected: tuple[Any, ...]) -> None:
    found = receiver_of(url)
    assert (found.host, found.port, found.target, found.is_secure) == expected


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1", "fe80::1"])
def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]
    found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ReceiverUnusable, match="no public address"):
        address_of(receiver_of("https://receiver.example/"))
    with pytest.raises(ReceiverUnusable, match="no public address"):
        address_of(Receiver("localhost", 80, "/", is_secure=False, is_local=True))


def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ReceiverUnusable, match="has no address"):
        address_of(receiver_of("https://receiver.example/"))


class Inbox(BaseHTTPRequestHandler):
    """A receiver on this machine."""

    got: list[tuple[dict[str, str], bytes]]
    status = 204
    location = ""
    drips = False

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.got.append((dict(self.headers.items()), self.rfile.read(length)))
        if self.drips:
            self.drip()
            return
        self.send_response(self.status)
        if self.location:
            self.send_header("location", self.location)
        self.end_headers()

    def drip(self) -> None:
        """A byte of an answer now and then."""
        try:
            for _ in range(40):
                self.wfile.write(b"H")
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def inbox() -> Iterator[tuple[type[Inbox], str]]:
    own = type("Own", (Inbox,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield own, f"http://localhost:{server.server_port}/hook?x=1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def deliverer(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deliverer]:
    # What failed is due again at once: the database's clock is not the test's to set.
    monkeypatch.setattr(delivery_module, "RETRY_S", (0, 0, 0))
    found = Deliverer(station, clock=Moments())
    yield found
    found.stop()


def test_an_interval_is_told_signed_and_once(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    made = register(people, url)
    station.live(2)
    for _ in range(3):
        deliverer.step()
    told = [json.loads(body) for _, body in receiver.got]
    assert sorted(one["data"]["start"] for one in told) == [NOON, NOON + 900]
    assert {(one["community"], one["kind"]) for one in told} == {(NAME, "interval")}
    for headers, body in receiver.got:
        lower = {name.lower(): text for name, text in headers.items()}
        text = f"{lower['webhook-id']}.{lower['webhook-timestamp']}.".encode() + body
        key = b64decode(made["secret"].removeprefix("whsec_"))
        expected = "v1," + b64encode(hmac.digest(key, text, "sha256")).decode()
        assert hmac.compare_digest(lower["webhook-signature"], expected)
        assert lower["host"].startswith("localhost:")
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2


def test_the_node_that_takes_over_tells_no_interval_again(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    register(people, url)
    station.live(2)
    deliverer.step()
    assert len(receiver.got) == 2
    events = station.hosted.events
    told = [(e.kind, dict(e.data)) for e in events.after(0) if e.kind == "interval"]
    other = Deliverer(station)
    for kind, data in told:  # as after a restart: the last day is told again under new numbers
        events.add(station.clock.now, kind, **data)
    other.step()
    other.stop()
    assert len(receiver.got) == 2


def test_what_happened_before_it_was_registered_and_kinds_not_wanted_are_not_told(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    station.live(2)
    station.clock.now += 100
    register(people, url, kinds=["refused"])
    refuse(station, people, 7)
    station.live(1)
    deliverer.step()
    [(_, body)] = receiver.got
    assert json.loads(body)["data"] == {"count": 7, "reasons": {"SIGNATURE_WRONG": 7}}


def test_why_a_chain_is_away_is_not_told_since_it_may_name_a_key(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    register(people, url, kinds=["chain"])
    station.hosted.events.add(NOON, "chain", state="no chain at https://rpc.example/v3/secret-key")
    deliverer.step()
    [(_, body)] = receiver.got
    assert json.loads(body)["data"] == {"state": "away"}


def test_a_message_is_tried_again_and_in_the_end_given_up(
    people: People,
    station: Station,
    inbox: tuple[type[Inbox], str],
    deliverer: Deliverer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver, url = inbox
    made = register(people, url)
    receiver.status = 500
    station.live(1)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            deliverer.step()
        assert len(receiver.got) == 3
        receiver.status = 302
        receiver.location = "http://localhost:1/elsewhere"
        for _ in range(3):
            deliverer.step()
    assert len(receiver.got) == 4
    [(given_up, why)] = station.store.deliveries(community_key(NAME)).given_up()
    assert (given_up.failures, why) == (4, "answered 302")
    assert "given up" in caplog.text
    assert made["secret"] not in caplog.text


def test_a_message_that_fails_at_first_arrives_later(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    register(people, url)
    receiver.status = 503
    station.live(1)
    deliverer.step()
    receiver.status = 200
    deliverer.step()
    deliverer.step()
    assert len(receiver.got) == 2
    assert receiver.got[0][1] == receiver.got[1][1]
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def test_messages_of_a_removed_webhook_are_not_sent(
    people: People, station: Station, inbox: tuple[type[Inbox], str], deliverer: Deliverer
) -> None:
    receiver, url = inbox
    register(people, url)
    receiver.status = 500
    station.live(1)
    deliverer.step()
    people.ask("DELETE", f"{HOOKS}/1", OPERATOR)
    deliverer._clock.now += HOOKS_S
    deliverer.step()
    assert len(receiver.got) == 1


def test_a_database_that_is_away_loses_no_message(
    people: People,
    station: Station,
    inbox: tuple[type[Inbox], str],
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receiver, url = inbox
    register(people, url)
    station.live(1)
    with monkeypatch.context() as patch:

        def fail(*_: object, **__: object) -> None:
            raise DatabaseUnusable("node.sqlite", "disk full")

        patch.setattr("commonwatt.node.store.deliveries.Deliveries.add", fail)
        deliverer.step()
        assert receiver.got == []
    deliverer.step()
    assert len(receiver.got) == 1


def test_a_receiver_that_answers_a_byte_now_and_then_is_cut_off(
    inbox: tuple[type[Inbox], str],
) -> None:
    receiver, url = inbox
    receiver.drips = True
    with pytest.raises(OSError, match="HTTP"):
        post(receiver_of(url), b"{}", {}, timeout=0.3)
    receiver.drips = False
    assert post(receiver_of(url), b"{}", {}) == 204


def test_a_receiver_that_does_not_speak_tls_gets_nothing(inbox: tuple[type[Inbox], str]) -> None:
    receiver, url = inbox
    with pytest.raises((ssl.SSLError, OSError)):
        post(receiver_of(url.replace("http://", "https://")), b"{}", {}, timeout=2)
    assert receiver.got == []


def test_it_works_in_a_thread_of_its_own(
    people: People, station: Station, inbox: tuple[type[Inbox], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(delivery_module, "LOOK_S", 0.01)
    receiver, url = inbox
    register(people, url)
    worker = Deliverer(station)
    worker.start()
    station.live(1)
    for _ in range(500):
        if receiver.got:
            break
        worker._stopping.wait(0.01)
    worker.stop()
    assert len(receiver.got) == 1


def test_messages_are_tried_for_about_a_day() -> None:
    assert 20 * 3_600 < sum(RETRY_S) < 30 * 3_600
    assert list(RETRY_S) == sorted(RETRY_S)
