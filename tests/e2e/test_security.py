"""A node in a process of its own, and people who mean it harm: nothing breaks, nothing leaks.

What each rule of the interface does is tested in `tests/web/api`; here it is the program as it is
started, with its real server, database, key files and log.
"""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as looking
from schemathesis import GenerationMode, checks

from commandline import commonwatt
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record, SignedRecord
from commonwatt.node.keystore import read_account
from commonwatt.web.api.limits import RECORD_BYTES_MAX
from commonwatt.web.api.route import EVENTS, Route
from commonwatt.web.api.table import ROUTES

pytestmark = pytest.mark.xdist_group("security")  # one node for all that is asked of it

NAME, QUARTER = "elm-street", 900
PASSWORD = "0ver-the-hills-and-far"
ROLES = ("operator", "issuer", "auditor", "participant")
TOKENS = {role: f"cw_{role}-8c1f0e5d7a" for role in ROLES}
EXAMPLES = 40 if os.environ.get("COMMONWATT_SOAK") else 2
START_S, ANSWER_S = 60.0, 30.0
BINARY = {"content-type": "application/octet-stream"}
HARM = (
    "'; DROP TABLE record; --",
    "' OR '1'='1",
    "1) UNION SELECT value FROM note --",
    '"; DELETE FROM statement; --',
    "\\'; --\n%s :name ?",
)
LEAKS = re.compile(r"sqlite|syntax error|sqlalchemy|Traceback|no such column", re.IGNORECASE)
ADDRESSES = {
    "name": NAME, "kind": "unknown", "member": 0, "number": 1, "part": "inputs", "start": 0,
    "day": "2016-06-21", "meter": "00" * 20, "account": "00" * 20,
}  # fmt: skip


class Meter:
    """A meter of the test's own, that signs."""

    def __init__(self, role: str, ledger: bytes, opened_at: int) -> None:
        self.key, self.role = MeterKey.from_seed(role.encode()), role
        self.last = Record(
            version=1, kind=Kind.REGISTERS, quality=Quality.MEASURED, ledger=ledger,
            meter=self.key.meter, sequence=0, time_end=opened_at, duration=QUARTER, import_mwh=0,
            export_mwh=0, previous=NO_PREVIOUS,
        )  # fmt: skip

    def signed(self) -> SignedRecord:
        return self.key.sign(self.last.encode())

    def next(self) -> SignedRecord:
        """Its record of the next quarter hour: 100 Wh one way."""
        last, out = self.last, self.role == "generation"
        self.last = last._replace(
            sequence=last.sequence + 1, time_end=last.time_end + QUARTER,
            import_mwh=last.import_mwh + (0 if out else 100_000),
            export_mwh=last.export_mwh + (100_000 if out else 0),
            previous=sha256(last.encode()).digest(),
        )  # fmt: skip
        return self.signed()


class Node:
    """A node with a community of one member, that has lived through three quarter hours."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log_file = folder / "node", folder / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        now = int(time.time())
        begin = now - now % QUARTER - 4 * QUARTER
        self.client = httpx.Client(base_url=self.url, timeout=ANSWER_S)
        self._found(begin)
        self._serve()
        try:
            self._live(begin)
        except BaseException:
            self.kill()
            raise

    def _found(self, begin: int) -> None:
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
        self._do("init", self.folder, "--name", NAME, "--members", 1, "--yes", "--first-start",
                 start, "--listen", self.url.removeprefix("http://"))  # fmt: skip
        shown = commonwatt("init", self.folder, "--show", "--json", **self._secret)
        ledger = bytes.fromhex(shown.json["ledger"])
        self.meters = [Meter(role, ledger, begin) for role in ("grid", "generation")]
        for meter in self.meters:
            signed, file = meter.signed(), self.folder.parent / f"{meter.role}.json"
            told = {
                "public_key": meter.key.public_key.hex(),
                "role": meter.role,
                "opening": signed.record.hex(),
                "signature": signed.signature.hex(),
            }
            file.write_text(json.dumps(told))
            self._do("init", self.folder, "--meter", file, "--member", 0, "--rated-w", 9_000)
        rates = (
            "requests_per_s", "requests_at_once", "actor_per_s", "actor_at_once", "refused_per_s",
            "refused_at_once", "sign_ins_per_s", "sign_ins_at_once",
        )  # fmt: skip
        lines = ["[rates]", *(f"{name} = 1000000" for name in rates)]
        for role, token in TOKENS.items():
            lines += ["[[tokens]]", f'name = "{role}"', f'role = "{role}"',
                      f'sha256 = "{sha256(token.encode()).hexdigest()}"']  # fmt: skip
        lines += [f'community = "{NAME}"', "member = 0"]
        (self.folder / "api.toml").write_text("\n".join(lines) + "\n")

    @property
    def _secret(self) -> dict[str, str]:
        return {"COMMONWATT_PASSWORD": PASSWORD}

    def _do(self, *words: object) -> None:
        done = commonwatt(*words, **self._secret)
        assert done.code == 0, done.err

    def _serve(self) -> None:
        words = ["serve", str(self.folder), "--log-json", "--log-level", "debug"]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "commonwatt.cli.main", *words],
                stdout=log, stderr=log, env={**os.environ, **self._secret},
            )  # fmt: skip
        until = time.monotonic() + START_S
        while "listening on" not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    def _live(self, begin: int) -> None:
        for _ in range(3):
            self.sent = [meter.next() for meter in self.meters]
            assert self.send(*self.sent) == ["accepted"] * 2
        until = time.monotonic() + START_S
        while (self.status()["open_interval"]) < begin + 3 * QUARTER:
            assert time.monotonic() < until, self.log
            time.sleep(0.1)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def status(self) -> dict[str, Any]:
        answer = self.client.get("/v1/health")
        assert answer.status_code == 200, answer.text
        [found] = answer.json()["communities"]
        return dict(found)

    def send(self, *records: SignedRecord) -> list[str]:
        """Send a batch; the verdict of each, or why it was refused."""
        body = b"".join(one.record + one.signature for one in records)
        answer = self.client.post(f"/v1/communities/{NAME}/records", content=body, headers=BINARY)
        assert answer.status_code == 200, answer.text
        return [one["reason"] or one["verdict"] for one in answer.json()["results"]]

    def kept(self) -> dict[str, int]:
        """How much the database has of what may never change or vanish."""
        connection = sqlite3.connect(f"file:{self.folder / 'commonwatt.sqlite'}?mode=ro", uri=True)
        try:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
            rows = {
                name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                for name in ("record", "statement", "note")
            }
        finally:
            connection.close()
        return {**dict.fromkeys(names, 0), **rows}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, self.log


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("harm"))
    try:
        yield node
        node.stop()
    finally:
        node.kill()


def is_asked(route: Route) -> bool:
    """Streams do not end; an address that was made up would be called by a webhook."""
    return EVENTS not in route.media and (route.method, route.tag) != ("POST", "webhooks")


def test_whatever_the_description_allows_or_forbids_is_never_a_defect(node: Node) -> None:
    document = node.client.get("/v1/openapi.json").json()
    schema: Any = schemathesis.openapi.from_dict(document)
    asked = 0

    def look(route: Route, mode: GenerationMode) -> None:
        operation = schema[route.path][route.method]
        token = TOKENS["issuer" if "energytag" in route.path else "operator"]

        @given(case=operation.as_strategy(generation_mode=mode))
        @looking(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            if "name" in (case.path_parameters or {}):
                case.path_parameters["name"] = NAME
            if case.headers:
                case.headers.pop("Authorization", None)
            case.call_and_validate(
                base_url=node.url,
                headers={"Authorization": f"Bearer {token}"},
                checks=[checks.not_a_server_error, checks.status_code_conformance],
            )

        ask()

    for route in filter(is_asked, ROUTES):
        look(route, GenerationMode.POSITIVE)
        if route.body or "{" in route.path or route.is_list:
            look(route, GenerationMode.NEGATIVE)
    assert asked >= len(ROUTES)
    assert node.process.poll() is None
    assert node.status()["chain"] == "ok"


def with_harm(document: Any, harm: str) -> Iterator[Any]:
    """The document once for each of its texts, with that one replaced."""
    if isinstance(document, str):
        yield harm
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from ({**document, key: bad} for bad in with_harm(value, harm))
    elif isinstance(document, list | tuple):
        for place, value in enumerate(document):
            rest = list(document)
            yield from ([*rest[:place], bad, *rest[place + 1 :]] for bad in with_harm(value, harm))


def asked_with(node: Node, route: Route, harm: str) -> Iterator[httpx.Response]:
    """The route with harm in each part of its path, its query and its body."""
    role = "issuer" if "energytag" in route.path else "operator"
    headers = {"authorization": f"Bearer {TOKENS[role]}"}
    whole = route.path.format(**ADDRESSES)
    sent = {"json": route.sent} if route.body is not None and route.sent is not None else {}
    for part in re.findall(r"{(\w+)}", route.path):
        path = route.path.format(**{**ADDRESSES, part: quote(harm, safe="")})
        yield node.client.request(route.method, path, headers=headers, **sent)
    for field in route.query.__struct_fields__:
        yield node.client.request(
            route.method, whole, params={field: harm}, headers=headers, **sent
        )
    for document in with_harm(route.sent, harm) if sent else ():
        yield node.client.request(route.method, whole, json=document, headers=headers)
    yield node.client.request(
        route.method, whole, headers={**headers, "idempotency-key": harm.replace("\n", " ")}, **sent
    )


def test_sql_in_any_text_of_any_route_is_a_text_and_nothing_else(node: Node) -> None:
    before, asked = node.kept(), 0
    for route in filter(is_asked, ROUTES):
        if route.name == "sign_out":
            continue
        for harm in HARM:
            for answer in asked_with(node, route, harm):
                asked += 1
                assert answer.status_code < 500, (route.name, answer.text)
                assert not LEAKS.search(answer.text), (route.name, answer.text)
    assert asked > 5 * len(ROUTES)
    after = node.kept()
    assert after == before
    assert {"record", "statement", "quarantine"} & after.keys() >= {"record", "statement"}
    assert after["record"] >= 6


def test_a_record_counts_once_and_only_with_its_meters_signature(node: Node) -> None:
    assert node.send(*node.sent) == ["duplicate"] * 2
    forged = SignedRecord(node.meters[0].last.encode(), bytes(64))
    fresh = Meter("forger", node.meters[0].last.ledger, node.meters[0].last.time_end)
    assert node.send(forged, fresh.signed()) == ["SIGNATURE_WRONG", "METER_UNKNOWN"]
    before = node.kept()
    large = node.client.post(
        f"/v1/communities/{NAME}/records", content=b"x" * (RECORD_BYTES_MAX + 1), headers=BINARY
    )
    assert large.status_code == 413
    assert node.kept()["record"] == before["record"]


def test_the_nodes_figures_are_for_the_machine_and_for_operators(node: Node) -> None:
    def status(role: str | None = None, **headers: str) -> int:
        if role is not None:
            headers["authorization"] = f"Bearer {TOKENS[role]}"
        answer = node.client.get("/metrics", headers=headers)
        assert ("commonwatt_meters" in answer.text) == (answer.status_code == 200)
        return answer.status_code

    assert status() == 200
    assert status(**{"x-forwarded-for": "192.0.2.1"}) == 401, "it came through a proxy"
    assert [status(role) for role in ROLES] == [200, 403, 403, 403]


def test_no_secret_is_in_the_log_of_a_node_that_was_asked_all_this(node: Node) -> None:
    hooks = f"/v1/communities/{NAME}/webhooks"
    headers = {"authorization": f"Bearer {TOKENS['operator']}"}
    made = node.client.post(hooks, json={"url": "http://localhost:9/hook"}, headers=headers)
    assert made.status_code == 201, made.text
    for role, token in TOKENS.items():
        answer = node.client.get("/v1/session", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200, role
    os.environ["COMMONWATT_PASSWORD"] = PASSWORD
    try:
        keys = [
            read_account(path).key.hex()
            for path in (node.folder / "operator.key", *(node.folder / "keys").iterdir())
        ]
    finally:
        del os.environ["COMMONWATT_PASSWORD"]
    secrets = [PASSWORD, *TOKENS.values(), *keys, made.json()["secret"]]
    assert all(len(secret) > 12 for secret in secrets)
    log = node.log
    assert '"interval_closed"' in log, "it was talkative"
    assert log.count("\n") > 10
    for secret in secrets:
        assert secret not in log
    assert "Traceback" not in log
    assert '"level": "error"' not in log
