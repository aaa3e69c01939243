"""The doctor says what is well, what is wrong and what to do, and changes nothing."""

import json
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bed import SCENARIO, Bed, init, make_bed
from commonwatt.chain.connection import Rpc
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.serve import RpcServer
from commonwatt.cli.audit import run_audit
from commonwatt.cli.doctor import run_doctor
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.founding import FOUNDING_GAS
from commonwatt.node.service import checks_machine, checks_memory
from commonwatt.node.service.checks import CHECKS, examine
from commonwatt.node.service.checks_chain import chain, close_gas, ether, founding_gas
from commonwatt.node.service.checks_machine import (
    address,
    clock,
    disk,
    keys,
    library_fault,
    programs,
)
from commonwatt.node.service.checks_memory import broker, database
from commonwatt.node.service.checks_work import work
from commonwatt.node.service.finding import Finding, Patient
from commonwatt.node.service.outlook import DatabasePeek
from commonwatt.node.store import Store
from mosquitto import running_mosquitto
from postgres import PostgresServer, on_postgres, postgres

__all__ = ["postgres"]

GAS = json.loads((Path(__file__).parents[2] / "contracts" / "gas.json").read_text())
INTERVALS = 2
PASSWORD = "0ver-the-hills"


@dataclass
class Lived:
    """A test bed that has closed some intervals and was stopped."""

    folder: Path
    end: int
    """UTC second at which its last interval ended."""


@pytest.fixture(scope="module")
def _lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = make_bed(tmp_path_factory.mktemp("bed") / "bed")
    bed = Bed(folder)
    try:
        forged = SignedRecord(bed.fleet.registrations[0].opening.record, bytes(64))
        # Signed by a meter of the community, of a time that has not come.
        device = bed.fleet._devices[0]
        opening = Record.decode(bed.fleet.registrations[0].opening.record)
        ahead = opening._replace(sequence=9, time_end=bed.start + 86_400).encode()
        bed.interval([forged, device.key.sign(ahead)])
        bed.interval()
    finally:
        bed.close()
    return Lived(folder, bed.start + INTERVALS * bed.interval_s)


@pytest.fixture
def lived(_lived: Lived, tmp_path: Path) -> Lived:
    """A copy of it, to be spoilt."""
    shutil.copytree(_lived.folder, tmp_path / "bed")
    return Lived(tmp_path / "bed", _lived.end)


def change(folder: Path, old: str, new: str, file: str = "node.toml") -> None:
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def say(folder: Path, line: str) -> None:
    """A line more at the top of `node.toml`."""
    (folder / "node.toml").write_text(f"{line}\n" + (folder / "node.toml").read_text())


def by_the_machines_clock(lived: Lived) -> Lived:
    change(lived.folder, 'clock = "records"', 'clock = "system"')
    return lived


def found_by(
    check: Callable[[Patient], Iterator[Finding]], folder: Path, now: float | None = None
) -> list[Finding]:
    patient = Patient(folder, time.time if now is None else lambda: now)
    try:
        return list(check(patient))
    finally:
        patient.close()


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


def named(findings: list[Finding], check: str) -> Finding:
    return only([finding for finding in findings if finding.check == check])


def spoil(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "commonwatt.sqlite")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


# All of it


def test_a_healthy_node_is_well_in_everything_and_nothing_of_it_changes(lived: Lived) -> None:
    def digests() -> dict[str, str]:
        return {
            str(path): sha256(path.read_bytes()).hexdigest()
            for path in lived.folder.rglob("*")
            if path.is_file()
        }

    change(lived.folder, "127.0.0.1:8080", "127.0.0.1:0")
    before = digests()
    findings = list(examine(lived.folder))
    assert digests() == before
    # A record of its own meter is in quarantine, but will come again.
    assert not [finding for finding in findings if not finding.is_well]
    assert [finding.check for finding in findings] == [
        "settings", "programs", "keys", "disk", "database", "book", "clock", "broker", "address",
        "contracts", "ether", "funds", "head", "meters", "intervals", "quarantine",
    ]  # fmt: skip
    says = {finding.check: finding.says for finding in findings}
    assert re.search(r"[1-9]\d* of its journal's entries verified", says["database"])
    assert says["intervals"] == "closed up to 2016-06-20T23:30:00Z"
    assert says["meters"] == "31 of 31 meters have spoken since the beginning"
    assert "closes, issues and operates" in says["contracts"]


def test_a_new_node_is_told_what_it_lacks(tmp_path: Path) -> None:
    init(tmp_path / "elm", listen="127.0.0.1:0")
    findings = list(examine(tmp_path / "elm"))
    wrong = only([finding for finding in findings if not finding.is_well])
    assert (wrong.check, wrong.community) == ("members", "elm")
    assert wrong.says == "no meter is in it"
    assert wrong.do == f"add each with commonwatt init {tmp_path / 'elm'} --meter FILE.json"
    assert not (tmp_path / "elm" / "commonwatt.sqlite").exists()


def test_without_settings_nothing_else_is_looked_at(tmp_path: Path) -> None:
    finding = only(list(examine(tmp_path)))
    assert not finding.is_well
    assert "commonwatt init" in finding.says


def test_the_settings_of_the_api_are_looked_at_where_there_are_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path / "elm", listen="127.0.0.1:0")
    for text, said in (('origin = "https://elm.example"', "api.toml is read"),
                       ('operators = "x"', "operators")):  # fmt: skip
        (tmp_path / "elm" / "api.toml").write_text(f"{text}\n")
        assert run_doctor(tmp_path / "elm", as_json=True) == 1  # it has no meter yet
        answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        about = answer["checks"][1]
        assert (about["check"], about["well"]) == ("settings", said == "api.toml is read")
        assert said in about["says"]


def test_what_keeps_one_check_from_looking_does_not_keep_the_others(lived: Lived) -> None:
    (lived.folder / "operator.key").unlink()
    findings = list(examine(lived.folder))
    assert "cannot be read" in named(findings, "keys").says
    assert named(findings, "database").is_well
    assert len({finding.check for finding in findings}) >= len(CHECKS) - 1


def test_every_check_is_explained_and_no_other() -> None:
    source = Path(checks_memory.__file__).parent
    text = "".join(path.read_text() for path in source.glob("checks*.py"))
    page = Path(__file__).parents[3] / "docs" / "service.md"
    chapter = page.read_text().partition("## Is all well\n")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| `(\w+)`", chapter, re.MULTILINE))
    assert explained == set(re.findall(r"Finding\(\s*\"(\w+)\"", text))


# The machine


def test_programs_are_as_the_package_asks(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(found_by(programs, lived.folder)).is_well
    monkeypatch.setattr(checks_machine, "requires", lambda _: ["msgspec<0.1", "no-such-thing>=1"])
    finding = only(found_by(programs, lived.folder))
    assert re.fullmatch(
        r"msgspec is [\d.]+, needed is <0.1; no-such-thing is missing", finding.says
    )
    assert "pip install" in finding.do


@pytest.mark.parametrize(
    ("requirement", "fits"),
    [
        ("msgspec", True),
        ("msgspec>=0.20,<0.23", True),
        ("msgspec>=99", False),
        ("msgspec==0.1", False),
        ("msgspec!=0.1", True),
        ("msgspec~=0.1", True),
        ("msgspec[toml]~=0.0.1; python_version > '3'", False),
        ("msgspec>0.1,<=0.1", False),
        ("no-such-thing>=1; extra == 'dev'", True),
    ],
)
def test_the_version_of_a_library_is_compared_with_its_bounds(
    requirement: str, *, fits: bool
) -> None:
    assert (library_fault(requirement) == "") is fits


def test_a_key_that_others_can_read_is_named(lived: Lived) -> None:
    assert only(found_by(keys, lived.folder)).is_well
    (lived.folder / "operator.key").chmod(0o640)
    finding = only(found_by(keys, lived.folder))
    assert "others on this machine can read it" in finding.says
    assert "chmod 600" in finding.do


def test_a_file_of_settings_with_a_password_in_it_is_for_its_owner(lived: Lived) -> None:
    say(lived.folder, f'mqtt = "mqtt://node:{PASSWORD}@127.0.0.1"')
    (lived.folder / "node.toml").chmod(0o600)
    assert only(found_by(keys, lived.folder)).is_well
    (lived.folder / "node.toml").chmod(0o644)
    assert "node.toml" in only(found_by(keys, lived.folder)).says


def test_a_full_disk_a_slow_one_and_one_that_takes_nothing_are_told_apart(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = only(found_by(disk, lived.folder))
    assert finding.is_well
    # 31 meters of 96 quarter hours at 6,000 bytes
    assert "a day takes about 18 MB" in finding.says
    usage = shutil.disk_usage(lived.folder)._replace(free=90_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(checks_machine.shutil, "disk_usage", lambda _: usage)
        assert "enough for 5 days" in only(found_by(disk, lived.folder)).says
    with monkeypatch.context() as patch:
        patch.setattr(checks_machine, "sync_seconds", lambda _: 0.3)
        finding = only(found_by(disk, lived.folder))
        assert "300.0 ms" in finding.says
        assert "not a network's" in finding.do

    def refuse(_: Path) -> float:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checks_machine, "sync_seconds", refuse)
    assert "No space left" in only(found_by(disk, lived.folder)).says


def test_a_clock_that_was_set_back_is_noticed(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(found_by(clock, lived.folder)).says == "a test bed: the records drive the time"
    by_the_machines_clock(lived)
    assert only(found_by(clock, lived.folder)).says == "agrees with what the node wrote"
    hour_ago = int((time.time() - 3_600) * 1_000)
    monkeypatch.setattr(checks_machine, "now_ms", lambda _: hour_ago)
    finding = only(found_by(clock, lived.folder))
    assert re.match(r"3,[56]\d\d s behind what the node has written: it was set back", finding.says)
    assert not finding.is_well


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class NodeAtWork(BaseHTTPRequestHandler):
    body = b'{"communities": [{"name": "village"}]}'

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/health" else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


class NodeWithoutCommunities(NodeAtWork):
    body = b'{"communities": []}'


class AnotherNode(NodeAtWork):
    body = b'{"communities": [{"name": "village"}, {"name": "mill"}]}'


class SomethingElse(NodeAtWork):
    body = b"<html>welcome</html>"


def test_who_has_the_address_is_told(lived: Lived) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    change(lived.folder, "127.0.0.1:8080", f"127.0.0.1:{port}")
    assert only(found_by(address, lived.folder)).says.endswith("is free; no node runs there")
    for handler, says, is_well in (
        (NodeAtWork, "a node answers at {}, with village", True),
        (NodeWithoutCommunities, "a node answers at {}, with no community for now", True),
        (AnotherNode, "another program listens at {}, a node with 'mill, village'", False),
        (SomethingElse, "another program listens at {}", False),
    ):
        with listening(handler) as taken:
            change(lived.folder, f"127.0.0.1:{port}", f"127.0.0.1:{taken}")
            port = taken
            finding = only(found_by(address, lived.folder))
            assert finding.says == says.format(f"127.0.0.1:{port}")
            assert finding.is_well is is_well
    change(lived.folder, f"127.0.0.1:{port}", "192.0.2.1:80")
    assert "cannot listen there" in only(found_by(address, lived.folder)).says


# Database and broker


def test_a_database_is_tried_and_left_as_it_was(lived: Lived) -> None:
    finding = only(found_by(database, lived.folder))
    assert finding.is_well
    connection = sqlite3.connect(lived.folder / "commonwatt.sqlite")
    query = "SELECT count(*) FROM note WHERE community = ?"
    assert connection.execute(query, (checks_memory.NOBODY,)).fetchone() == (0,)
    connection.close()


def test_a_record_changed_behind_the_nodes_back_is_found(lived: Lived) -> None:
    spoil(
        lived.folder,
        "DROP TRIGGER record_refuses_update",
        "UPDATE record SET signature = zeroblob(64)",
    )
    finding = only(found_by(database, lived.folder))
    assert finding.community == SCENARIO
    assert "go back to the last backup" in finding.do


def test_databases_older_newer_and_broken_are_told_apart(lived: Lived) -> None:
    spoil(lived.folder, "UPDATE schema_version SET version = 1")
    finding = only(found_by(database, lived.folder))
    assert finding.is_well
    assert "of version 1; commonwatt serve brings it to" in finding.says
    spoil(lived.folder, "UPDATE schema_version SET version = 99")
    finding = only(found_by(database, lived.folder))
    assert "version 99" in finding.says
    assert "newer release" in finding.do
    (lived.folder / "commonwatt.sqlite").write_bytes(b"nothing of the kind" * 100)
    broken = [found for found in examine(lived.folder) if found.check == "database"]
    assert "file is not a database" in only(broken).says
    (lived.folder / "commonwatt.sqlite").unlink()
    assert "not there yet" in only(found_by(database, lived.folder)).says
    assert not (lived.folder / "commonwatt.sqlite").exists()


@on_postgres
def test_a_database_on_a_server_is_looked_at_and_its_clock_compared(
    lived: Lived, postgres: PostgresServer
) -> None:
    by_the_machines_clock(lived)
    url = postgres.new_schema()
    say(lived.folder, f'database = "{url}"')
    assert "empty" in only(found_by(database, lived.folder)).says
    Store(url).close()
    assert only(found_by(database, lived.folder)).is_well
    said = only(found_by(clock, lived.folder)).says
    assert said == "agrees with the database server's"
    for away, where in ((-100, "behind"), (100, "ahead of")):
        finding = only(found_by(clock, lived.folder, time.time() + away))
        assert re.match(rf"(99\.\d|100\.\d) s {where} the database server's", finding.says)
    change(lived.folder, f":{postgres.port}", ":9")
    change(lived.folder, "commonwatt@", f"commonwatt:{PASSWORD}@")
    findings = [f for f in examine(lived.folder) if f.check in ("database", "clock", "members")]
    assert [finding.is_well for finding in findings][:2] == [False, False]
    assert PASSWORD not in str(findings)


def test_a_broker_that_gives_back_is_well_and_any_other_is_not(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(found_by(broker, lived.folder)).says == "none named; records come over HTTP"
    with running_mosquitto() as running:
        say(lived.folder, f'mqtt = "mqtt://node:{PASSWORD}@127.0.0.1:{running.port}"')
        finding = only(found_by(broker, lived.folder))
        assert finding.is_well
        assert re.match(r"mqtt://127.0.0.1:\d+: a message is back after \d+ ms", finding.says)
        # One that takes messages and gives none back, as where a user may not listen.
        with monkeypatch.context() as patch:
            patch.setattr(checks_memory, "ECHO_S", 0.2)
            patch.setattr(checks_memory, "ECHO_TOPIC", "$SYS/none")
            assert "no message came back" in only(found_by(broker, lived.folder)).says
    finding = only(found_by(broker, lived.folder))
    assert "is the broker running" in finding.do
    assert PASSWORD not in str(finding)


# The chain


class Dear:
    """A chain on which gas has a price, and everybody has so much ether."""

    def __init__(self, chain: Rpc, wei: int) -> None:
        self._chain, self._wei = chain, wei

    def make_request(self, method: str, params: Any) -> dict[str, Any]:
        told = {"eth_gasPrice": 10**9, "eth_getBalance": self._wei}
        if method in told:
            return {"jsonrpc": "2.0", "id": 1, "result": hex(told[method])}
        return self._chain.make_request(method, params)


@contextmanager
def answering(lived: Lived, rpc: Callable[[Rpc], Rpc] = lambda chain: chain) -> Iterator[None]:
    """The test bed's chain behind a URL, which the node's settings name."""
    embedded = EmbeddedChain(lived.folder / SCENARIO / "node" / "chain.sqlite")
    server = RpcServer(rpc(embedded), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        change(lived.folder, "[chain]", f'[chain]\nurl = "{server.url}"')
        yield
    finally:
        server.stop()
        thread.join()
        embedded.close()


def test_a_chain_behind_a_url_is_looked_at(lived: Lived) -> None:
    with answering(lived):
        findings = found_by(chain, lived.folder, lived.end + 100)
        assert all(finding.is_well for finding in findings)
        assert [f.check for f in findings] == ["chain", "contracts", "ether", "funds", "head"]
        assert re.match(r"http://127.0.0.1:\d+, id 20206, block \d+, \d+ s old", findings[0].says)
        stale = only(found_by(chain, lived.folder, lived.end + 10_000))
        assert re.search(r"is [\d,]+ s old", stale.says)
        assert "caught up" in stale.do
        early = only(found_by(chain, lived.folder, lived.end - 1_000))
        assert early.check == "clock"
        assert re.match(r"[\d,]+ s behind block \d+", early.says)


@pytest.mark.parametrize(("wei", "is_well"), [(10**16, True), (10**15, False)])
def test_ether_must_last_for_a_day(wei: int, *, is_well: bool, lived: Lived) -> None:
    with answering(lived, lambda found: Dear(found, wei)):
        finding = named(found_by(chain, lived.folder, lived.end + 100), "ether")
        assert finding.is_well is is_well
        assert f"{ether(wei)} ether, a day of closes takes about 0.0" in finding.says


def test_another_key_than_the_founders_is_found(lived: Lived) -> None:
    (lived.folder / "operator.key").write_text("01" * 32)
    finding = named(found_by(chain, lived.folder), "contracts")
    assert "was founded by another account than 0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1" in (
        finding.says
    )
    assert "name the key it was founded with" in finding.do


def test_another_chain_than_the_founded_one_is_found(lived: Lived) -> None:
    path = lived.folder / SCENARIO / "node" / "chain.sqlite"
    path.unlink()
    EmbeddedChain(path).close()
    finding = named(found_by(chain, lived.folder), "contracts")
    assert "no contract at" in finding.says
    assert "name the chain it was founded on" in finding.do


def test_roles_that_were_given_away_are_named(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "closer", lambda _: bytes(20))
    finding = named(found_by(chain, lived.folder), "contracts")
    assert "but the closer is 0x0000000000000000000000000000000000000000" in finding.says


def test_a_chain_that_is_away_is_told_without_its_secrets(lived: Lived) -> None:
    change(lived.folder, "[chain]", f'[chain]\nurl = "http://a:{PASSWORD}@127.0.0.1:9/{PASSWORD}"')
    finding = only(found_by(chain, lived.folder))
    assert finding.says.startswith("http://127.0.0.1:9/***: no chain answers")
    assert PASSWORD not in str(finding)


def test_a_running_node_has_its_embedded_chain_open(lived: Lived) -> None:
    embedded = EmbeddedChain(lived.folder / SCENARIO / "node" / "chain.sqlite")
    try:
        finding = only(found_by(chain, lived.folder))
    finally:
        embedded.close()
    assert finding.is_well
    assert "open in the running node" in finding.says


def test_an_audit_beside_a_running_node_says_to_stop_it(lived: Lived) -> None:
    community = lived.folder / SCENARIO
    with (
        EmbeddedChain(community / "node" / "chain.sqlite"),
        pytest.raises(FolderUnusable, match="stop it with Ctrl-C"),
    ):
        run_audit(community, None, certificates=False, as_json=True)


def test_lanes_must_last_for_a_day_like_the_last_one(
    lived: Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_the_machines_clock(lived)
    assert named(found_by(chain, lived.folder), "funds").is_well
    full = Ledger.balances

    def emptied(ledger: Ledger) -> tuple[int, ...]:
        return (0, *full(ledger)[1:])

    monkeypatch.setattr(Ledger, "balances", emptied)
    finding = named(found_by(chain, lived.folder), "funds")
    assert "the lanes of members 0 do not last" in finding.says
    assert "pay in" in finding.do


def test_members_who_owe_are_told(tmp_path: Path) -> None:
    folder = make_bed(tmp_path / "bed")
    path = folder / "community.toml"
    path.write_text(re.sub(r'(?m)^advance = ".*"$', 'advance = "0"', path.read_text()))
    bed = Bed(folder)
    try:
        bed.interval()
    finally:
        bed.close()
    change(folder, 'clock = "records"', 'clock = "system"')
    finding = named(found_by(chain, folder), "funds")
    assert finding.says.startswith("0.00 EUR in 13 lanes, ")
    assert re.search(r"; members owe [0-9.]*[1-9][0-9.]*$", finding.says)
    assert not finding.is_well


def test_gas_is_reckoned_from_what_was_measured(lived: Lived) -> None:
    for members in (6, 43, 300, 1_000):
        measured = GAS[f"close, {members} participants"]
        assert measured <= close_gas(members) <= 1.3 * measured
    patient = Patient(lived.folder)
    kept = patient.database.note(SCENARIO, FOUNDING_GAS)
    patient.close()
    used = int.from_bytes(kept or b"")
    assert used < founding_gas(patient.files[0]) < 1.1 * used


# Its work


def test_meters_that_stopped_speaking_are_listed(lived: Lived) -> None:
    by_the_machines_clock(lived)
    said = named(found_by(work, lived.folder, lived.end + 900), "meters").says
    assert said == "31 of 31 meters have spoken since the beginning"
    later = lived.end + 3_000
    assert named(found_by(work, lived.folder, later), "meters").says == "all 31 speak"
    spoil(
        lived.folder,
        "DROP TRIGGER record_refuses_delete",
        "DELETE FROM record WHERE meter = (SELECT min(meter) FROM record)",
    )
    finding = named(found_by(work, lived.folder, later), "meters")
    assert re.match(r"1 of 31 silent since 2016-06-20T23:19:00Z: [0-9a-f]{40}$", finding.says)
    finding = named(found_by(work, lived.folder), "meters")
    assert finding.says.startswith("31 of 31 silent since")
    assert finding.says.endswith(", ...")


def test_intervals_that_wait_for_the_chain_are_counted(lived: Lived) -> None:
    spoil(lived.folder, 'UPDATE statement SET "transaction" = NULL')
    finding = named(found_by(work, lived.folder), "intervals")
    assert finding.is_well
    assert finding.says == "closed up to 2016-06-20T23:30:00Z, 2 on the way to the chain"
    spoil(
        lived.folder,
        "INSERT INTO statement SELECT community, start + 900 * 4, header, inputs, anchor, "
        '"transaction", gas, seconds FROM statement',
    )
    finding = named(found_by(work, lived.folder), "intervals")
    assert finding.says == "4 wait for the chain, the first from 2016-06-20T23:00:00Z"
    assert not finding.is_well
    # Above all while the chain is away.
    change(lived.folder, "[chain]", '[chain]\nurl = "http://127.0.0.1:9"')
    assert named(found_by(work, lived.folder), "intervals") == finding


def test_quarantine_tells_the_communitys_own_records_from_strangers(lived: Lived) -> None:
    finding = named(found_by(work, lived.folder), "quarantine")
    assert finding.is_well, "what passes with time is nobody's to decide"
    assert finding.says == (
        "1 record that no meter of the community signed; 1 record to be sent again: 1 IN_THE_FUTURE"
    )
    spoil(
        lived.folder,
        "INSERT INTO refused SELECT community, start, number + 9, record, signature, 'BACKDATED', "
        "entry FROM refused WHERE reason = 'IN_THE_FUTURE'",
    )
    finding = named(found_by(work, lived.folder), "quarantine")
    assert finding.says == "1 record of the community's meters: 1 BACKDATED"
    assert not finding.is_well
    spoil(
        lived.folder,
        "INSERT INTO decision SELECT community, start, 1, number, 'REJECTED', 'operator', 0, '', "
        "entry FROM refused WHERE reason = 'BACKDATED'",
    )
    finding = named(found_by(work, lived.folder), "quarantine")
    assert finding.is_well
    assert finding.says == (
        "1 record that no meter of the community signed; 1 record to be sent again: 1 IN_THE_FUTURE"
    )


def test_a_record_of_before_the_first_interval_needs_no_decision(lived: Lived) -> None:
    spoil(
        lived.folder,
        "INSERT INTO refused SELECT community, start, number + 9, CAST(substr(record, 1, 40) || "
        "x'0000000000000384' || substr(record, 49) AS BLOB), signature, 'TOO_LATE', entry "
        "FROM refused WHERE reason = 'IN_THE_FUTURE'",
        "INSERT INTO decision SELECT community, start, 1, number, 'REJECTED', 'operator', 0, '', "
        "entry FROM refused WHERE reason = 'IN_THE_FUTURE'",
    )
    finding = named(found_by(work, lived.folder), "quarantine")
    assert finding.is_well
    assert finding.says == (
        "1 record of before the first interval; 1 record that no meter of the community signed"
    )


def test_a_community_founded_without_meters_is_wrong_unless_it_is_a_test_bed(lived: Lived) -> None:
    file = lived.folder / "community.toml"
    file.write_text(file.read_text().partition("[[meters]]")[0])
    assert named(found_by(work, lived.folder), "meters").is_well
    finding = named(found_by(work, by_the_machines_clock(lived).folder), "meters")
    assert finding.says.startswith("no meter is in it")
    assert f"commonwatt init {lived.folder} --name NAME" in finding.do


def test_before_the_founding_a_start_long_past_is_named(tmp_path: Path) -> None:
    init(tmp_path / "elm", first_start="2026-01-01T00:00:00Z")
    findings = found_by(work, tmp_path / "elm", 1_767_225_600 + 7 * 86_400)
    assert "672 intervals would be closed without records" in findings[-1].says
    assert "later first_start" in findings[-1].do


def test_looking_at_a_database_makes_none(tmp_path: Path) -> None:
    init(tmp_path / "elm")
    patient = Patient(tmp_path / "elm")
    assert isinstance(patient.database, DatabasePeek)
    assert (patient.database.version(), patient.database.note("elm", "x")) == (0, None)
    patient.close()
    assert not (tmp_path / "elm" / "commonwatt.sqlite").exists()
