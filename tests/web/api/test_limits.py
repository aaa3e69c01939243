"""What a stranger may use up: rates, bodies, places, and settings of all that."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from commonwatt.web.api.body import Received
from commonwatt.web.api.limits import Buckets, Limits, Shares, address_name
from commonwatt.web.api.problem import Problem
from commonwatt.web.api.settings import (
    API_FILE,
    ApiFileUnusable,
    ApiSettings,
    Rates,
    StaticToken,
    checked,
    read_api_settings,
)
from web.api.parts import BINARY, HERE, NAME, TOKENS, Moments, People, Station, settings

# Buckets


def test_a_bucket_empties_and_fills_again() -> None:
    clock = Moments()
    buckets = Buckets(per_s=2, size=4, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0.0] * 4
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0.0
    clock.now += 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == 0.5
    clock.now += 100
    assert [buckets.take("a") > 0 for _ in range(5)] == [False] * 4 + [True]


def test_what_is_larger_than_a_bucket_passes_once_it_is_full_and_is_paid_for() -> None:
    clock = Moments()
    buckets = Buckets(per_s=1, size=10, clock=clock)
    assert buckets.take("a", 30) == 0.0
    assert buckets.take("a", 30) == 30.0
    clock.now += 30
    assert buckets.take("a", 30) == 0.0


def test_what_is_charged_afterwards_is_waited_for() -> None:
    clock = Moments()
    buckets = Buckets(per_s=1, size=5, clock=clock)
    assert buckets.wait_for("a") == 0.0
    buckets.charge("a", 8)
    assert buckets.wait_for("a") == 3.0
    clock.now += 3
    assert buckets.wait_for("a") == 0.0


def test_only_so_many_buckets_are_remembered() -> None:
    buckets = Buckets(per_s=1, size=1, clock=Moments(), kept_max=100)
    for number in range(10_000):
        buckets.take(number)
    assert len(buckets._left) <= 100


def test_shares_are_for_all_and_for_each() -> None:
    shares = Shares(10, 6)
    assert shares.take("a", 6)
    assert not shares.take("a")
    assert not shares.take("b", 5)
    assert shares.take("b", 4)
    assert not shares.take("c")
    shares.give_back("a", 6)
    assert shares.take("c", 6)
    shares.give_back("b", 4)
    shares.give_back("c", 6)
    assert shares.names == 0


def test_an_ipv6_network_is_one_address() -> None:
    assert address_name("2001:db8::1") == address_name("2001:db8::ffff:2")
    assert address_name("2001:db8::1") != address_name("2001:db8:0:1::1")
    assert address_name("::ffff:192.0.2.7") == "192.0.2.7"
    assert address_name("fe80::1%eth0") == "fe80::"
    assert address_name("a socket") == "a socket"


# Rates


def still(people: People) -> None:
    """Take back the time that a question lets pass."""
    people.clock.now -= 2


def test_an_address_that_asks_too_often_waits(lived: Station) -> None:
    people = People(lived, settings(rates=Rates(requests_per_s=1, requests_at_once=3)))
    codes = []
    for path in ("/v1/health", "/v1/nothing", HERE, HERE):
        answer = people.get(path)
        still(people)
        codes.append(answer.status_code)
    assert codes == [200, 404, 200, 429]
    assert answer.headers["content-type"] == "application/problem+json"
    assert "nosniff" in answer.headers["x-content-type-options"]
    people.clock.now += int(answer.headers["retry-after"])
    assert people.get(HERE).status_code == 200
    people.close()


def test_an_actor_that_asks_too_often_waits_wherever_it_is(lived: Station) -> None:
    few = settings(rates=Rates(actor_per_s=1, actor_at_once=2))
    people = People(lived, few)
    codes = []
    for _ in range(3):
        codes.append(people.get("/v1/session", TOKENS["auditor"]).status_code)
        still(people)
    assert codes == [200, 200, 429]
    assert people.get("/v1/session", TOKENS["operator"]).status_code == 200
    assert people.get(HERE).status_code == 200
    people.close()


def test_as_many_requests_as_can_be_worked_on_are_taken(lived: Station) -> None:
    people = People(lived, limits=Limits(requests_at_once=0))
    answer = people.get("/v1/health")
    assert (answer.status_code, answer.json()["type"]) == (503, "/v1/problems/busy")
    assert answer.headers["retry-after"] == "1"
    people.close()


# Bodies


def test_bodies_share_the_memory_and_let_it_go(lived: Station) -> None:
    people = People(lived, limits=Limits(bodies_bytes=1_000, bodies_bytes_per_address=800))
    one = Received(people.api, "192.0.2.1")
    one.add(b"x" * 800)
    with pytest.raises(Problem):
        one.add(b"x")
    other = Received(people.api, "192.0.2.2")
    with pytest.raises(Problem):
        other.add(b"x" * 201)
    other.add(b"x" * 200)
    one.let_go()
    one.let_go()
    other.add(b"x" * 600)
    assert len(other.whole()) == len(other) == 800
    other.let_go()
    path = f"{HERE}/records"
    assert people.post(path, content=b"x" * 900, headers=BINARY).status_code == 503
    for _ in range(3):
        assert people.post(path, content=b"x" * 700, headers=BINARY).status_code == 422
    assert people.api.bodies.names == 0
    people.close()


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/v1/session", 4_097),
        (f"{HERE}/webhooks", 65_537),
        (f"{HERE}/certificates/actions", 65_537),
        (f"{HERE}/energytag/certificate/transfer", 65_537),
    ],
)
def test_each_route_has_a_limit_of_its_own(askers: People, path: str, size: int) -> None:
    headers = {"content-type": "application/json"}
    large = askers.post(path, TOKENS["operator"], content=b" " * size, headers=headers)
    assert large.status_code == 413
    less = askers.post(path, TOKENS["operator"], content=b" " * (size - 1), headers=headers)
    assert less.status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/v1/session", f"{HERE}/webhooks", f"{HERE}/certificates/actions",
     f"{HERE}/energytag/certificate/query", f"{HERE}/energytag/certificate/cancel"],
)  # fmt: skip
@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 4_000,
        b'{"a":' * 800,
        b'{"url": ' + b"[" * 3_000,
        b'"' + b"\\u0000" * 600 + b'"',
        b"1e999999999",
        b'{"certificate_bundle_percentage": 1e999999}',
        b'{"nonce": ' + b"9" * 3_900 + b"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{}",
        b"NaN",
        b"",
    ],
    ids=lambda bomb: repr(bomb[:12]),
)
def test_documents_that_mean_harm_are_refused_and_nothing_else_happens(
    askers: People, path: str, bomb: bytes
) -> None:
    headers = {"content-type": "application/json"}
    answer = askers.post(path, TOKENS["operator"], content=bomb, headers=headers)
    assert answer.status_code in {403, 422}, answer.text
    assert len(answer.content) < 2_000


async def _asgi(people: People, path: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """A request whose body comes as told, and then nothing."""
    answered: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        answered.update(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "scheme": "http",
        "headers": [(b"content-type", b"application/octet-stream"), (b"content-length", b"164")],
        "client": ("192.0.2.1", 1), "server": ("node", 80), "root_path": "",
    }  # fmt: skip
    await people.app(scope, receive, send)
    return answered


def test_a_body_that_does_not_come_is_not_waited_for(lived: Station) -> None:
    people = People(lived, limits=Limits(body_s=0.05))
    part = {"type": "http.request", "body": b"x" * 100, "more_body": True}
    answered = people.run(_asgi(people, f"{HERE}/records", [part]))
    assert answered["status"] == 408
    assert (b"connection", b"close") in answered["headers"]
    assert people.api.bodies.names == 0
    people.close()


def test_more_of_a_body_than_its_length_says_is_not_taken(lived: Station) -> None:
    people = People(lived)
    part = {"type": "http.request", "body": b"x" * 1_048_577, "more_body": True}
    answered = people.run(_asgi(people, f"{HERE}/records", [dict(part) for _ in range(9)]))
    assert answered["status"] == 413
    gone = [{"type": "http.disconnect"}]
    assert people.run(_asgi(people, f"{HERE}/records", gone))["status"] == 408
    assert people.api.bodies.names == 0
    people.close()


# Answers that do not come


def test_an_answer_that_takes_too_long_is_not_waited_for(
    lived: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(lived, limits=Limits(answer_s=0.02))
    done = Event()
    monkeypatch.setattr(people.api, "status", lambda _: done.wait(5))
    answer = people.get("/v1/health")
    done.set()
    assert (answer.status_code, answer.json()["type"]) == (503, "/v1/problems/too-slow")
    people.close()


def test_a_defect_is_told_by_a_number_and_logged_with_it(
    lived: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    people = People(lived)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("what nobody thought of")

    monkeypatch.setattr(people.api, "status", fail)
    answer = people.get("/v1/health")
    assert answer.status_code == 500
    assert "nobody thought" not in answer.text
    number = answer.json()["detail"].split()[1].rstrip(".")
    assert number in caplog.text
    assert "nobody thought" in caplog.text
    people.close()


def test_files_of_an_audit_are_sent_a_few_at_a_time(lived: Station) -> None:
    people = People(lived, limits=Limits(big_answers=0))
    answer = people.get(f"{HERE}/register", TOKENS["auditor"])
    assert answer.status_code == 503
    people.close()


def test_the_disk_that_cannot_be_read_is_told_without_its_paths(
    lived: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(lived)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", str(lived.folder))

    monkeypatch.setattr(lived.hosted, "lines", fail)
    answer = people.get(f"{HERE}/intervals")
    assert answer.status_code == 503
    assert str(lived.folder) not in answer.text
    people.close()


# Settings


def write(folder: Path, text: str) -> Path:
    (folder / API_FILE).write_text(text)
    return folder


def test_without_a_file_the_defaults_count(tmp_path: Path) -> None:
    assert read_api_settings(tmp_path) == ApiSettings()
    assert ApiSettings().domain == "127.0.0.1:8080"


def test_the_file_on_the_page_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    found = read_api_settings(write(tmp_path, text))
    assert found.domain == "node.example.org"
    assert found.tokens[0].member == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("origin = 5", "origin"),
        ('origin = "https://node.example.org/api"', "no path"),
        ('origin = "node.example.org"', "origin"),
        ('origin = "https://u@node.example.org"', "origin"),
        ('operators = ["me"]', "operators"),
        ('operators = ["0x' + "00" * 20 + '\\n"]', "operators"),
        ("more = 1", "more"),
        ("[rates]\nrequests_per_s = 0", "requests_per_s"),
        ("[rates", "not TOML"),
        ("\x00", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_entry(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(ApiFileUnusable, match=why) as refusal:
        read_api_settings(write(tmp_path, text))
    assert API_FILE in str(refusal.value)


def test_a_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / API_FILE).mkdir()
    with pytest.raises(ApiFileUnusable, match="cannot be read"):
        read_api_settings(tmp_path)


def test_tokens_must_go_together() -> None:
    digest = "ab" * 32
    with pytest.raises(ApiFileUnusable, match="community and member"):
        checked(ApiSettings(tokens=(StaticToken("a", digest, "participant", NAME),)))
    with pytest.raises(ApiFileUnusable, match="only a participant"):
        checked(ApiSettings(tokens=(StaticToken("a", digest, "auditor", NAME, 1),)))
    twice = (StaticToken("a", digest, "auditor"), StaticToken("a", digest, "operator"))
    with pytest.raises(ApiFileUnusable, match="name of its own"):
        checked(ApiSettings(tokens=twice))
