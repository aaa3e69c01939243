"""A small real node for the tests of a gateway: it judges, syncs to a file, and answers.

What it acknowledged is in its file, so that it can be looked at after everything was killed. It
keeps a community's rules as `meter.acceptance` has them, and tells the replay of an older record
apart from a second one under its number, as a node does.
"""

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from commonwatt.meter.acceptance import (
    Accepted,
    Duplicate,
    Gate,
    Late,
    Reason,
    Refused,
    Standing,
    Verdict,
    judge,
    opening_standing,
)
from commonwatt.meter.correction import Around, around_of, is_correction, judge_correction
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from commonwatt.quantity import SECONDS_PER_DAY, Interval

ENTRY = 164
LEDGER = bytes.fromhex("00112233445566aa")
COMMUNITY = "street"
FAR_FUTURE = 2**36


class StubNode:
    """A community's records."""

    def __init__(self, path: Path, interval_s: int = 900) -> None:
        """Keep what is acknowledged in a file."""
        self.interval_s = interval_s
        self.now = FAR_FUTURE
        """By its clock."""
        self.syncs = True
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self._registrations: dict[bytes, Registration] = {}
        self._standings: dict[bytes, Standing] = {}
        self.records: dict[bytes, list[Record]] = {}
        """Accepted, by meter, in order."""
        self._known: set[bytes] = set()
        self.verdicts: Counter[str] = Counter()
        self.versions: dict[bytes, list[list[SignedRecord]]] = {}
        """Each accepted record with its corrections, by meter."""
        self.open_from = FAR_FUTURE
        """Records until before then are settled, and can be corrected."""

    def register(self, entry: dict[str, str]) -> bytes:
        """Register a meter as `commonwatt gateway init` prints it."""
        opening = SignedRecord(bytes.fromhex(entry["opening"]), bytes.fromhex(entry["signature"]))
        registration = Registration(
            public_key=bytes.fromhex(entry["public_key"]),
            member=0,
            role=Role[entry["role"].upper()],
            source=NO_SOURCE,
            rated_w=1_000_000,
            first_day=Record.decode(opening.record).time_end // SECONDS_PER_DAY,
            zone="TEST",
            direct=False,
            opening=opening,
        )
        self.enter(registration)
        return registration.meter

    def enter(self, registration: Registration) -> None:
        """Register a meter."""
        with self._lock:
            self._registrations[registration.meter] = registration
            self._standings[registration.meter] = opening_standing(registration)
            self.records[registration.meter] = []

    def take(self, batch: Iterable[SignedRecord]) -> list[dict[str, object]]:
        """Judge records and keep them; what is accepted is on the disk on return."""
        with self._lock:
            verdicts = [self._judge(signed) for signed in batch]
            kept = b"".join(
                v.signed.record + v.signed.signature for v in verdicts if isinstance(v, Accepted)
            )
            self._file.write(kept)
            self._file.flush()
            if self.syncs:
                os.fsync(self._file.fileno())
            return [self._said(verdict) for verdict in verdicts]

    def _judge(self, signed: SignedRecord) -> Verdict:
        meter = signed.record[12:32]
        if is_correction(signed):
            return self._judge_correction(signed)
        gate = Gate(LEDGER, Interval(0, self.interval_s), self.now)
        verdict = judge(signed, self._registrations.get(meter), self._standings.get(meter), gate)
        if isinstance(verdict, Accepted):
            self._standings[meter] = Standing(verdict.record, verdict.digest)
            self.records[meter].append(verdict.record)
            self._known.add(verdict.digest)
            self.versions.setdefault(meter, []).append([signed])
        elif isinstance(verdict, Refused) and verdict.reason is Reason.SEQUENCE_USED:
            return Duplicate(signed) if signed.digest in self._known else verdict
        return verdict

    def _judge_correction(self, signed: SignedRecord) -> Verdict:
        gate = Gate(LEDGER, Interval(0, self.interval_s), self.now, since=0)
        registration = self._registrations.get(signed.meter)
        verdict = judge_correction(signed, registration, gate, self)
        if isinstance(verdict, Late):
            sequence = Record.decode(signed.record).sequence
            for versions in self.versions[signed.meter]:
                if Record.decode(versions[0].record).sequence == sequence:
                    versions.append(signed)
        return verdict

    def around(self, meter: bytes, time_end: int, *, settled: bool) -> Around:
        """Records next to an end; the open interval's only where not only settled ones count."""
        found = around_of(self.versions.get(meter, []), time_end)
        return found._replace(at=None) if settled and time_end >= self.open_from else found

    def newest(self, meter: bytes) -> list[Record]:
        """The newest version of each record, in order."""
        return [Record.decode(versions[-1].record) for versions in self.versions[meter]]

    def _said(self, verdict: Verdict) -> dict[str, object]:
        said = "accepted" if isinstance(verdict, Late) else type(verdict).__name__.lower()
        reason = verdict.reason.name if isinstance(verdict, Refused) else None
        self.verdicts[reason or said] += 1
        return {
            "record": verdict.signed.digest.hex(),
            "meter": verdict.signed.meter.hex(),
            "sequence": int.from_bytes(verdict.signed.record[32:40]),
            "verdict": said,
            "reason": reason,
        }

    def about(self) -> dict[str, object]:
        """What `GET /v1/communities/NAME` answers."""
        return {
            "name": COMMUNITY,
            "ledger": LEDGER.hex(),
            "interval_s": self.interval_s,
            "grace_s": 60,
            "meters": [
                {"meter": meter.hex(), "member": 0, "role": "grid"} for meter in self.records
            ],
        }

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def entries(body: bytes) -> list[SignedRecord]:
    """A binary batch."""
    assert len(body) % ENTRY == 0
    return [
        SignedRecord(body[at : at + 100], body[at + 100 : at + ENTRY])
        for at in range(0, len(body), ENTRY)
    ]


class Weather:
    """What the network and the node are like; changed while they run."""

    def __init__(self) -> None:
        self.mood = "fine"
        """fine, silent, 503, 404, 307, cut, cut early, garbage, others, forgetful or slow."""
        self.records_max = 10_000
        self.requests = 0
        self.location = ""
        """With the mood 307: where requests are sent on to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave together
    node: StubNode
    weather: Weather
    stopping: threading.Event

    def do_GET(self) -> None:
        if self.weather.mood == "307":
            self._answer(307, b"{}", {"Location": self.weather.location})
        elif self.path == f"/v1/communities/{COMMUNITY}":
            self._answer(200, json.dumps(self.node.about()).encode())
        else:
            self._answer(404, b'{"title": "Not Found", "detail": "no such community"}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == f"/v1/communities/{COMMUNITY}/records", self.path
        assert self.headers["Content-Type"] == "application/octet-stream"
        self.weather.requests += 1
        mood = self.weather.mood
        if mood == "silent":
            self.stopping.wait(60)
            self.close_connection = True
            return
        if mood == "cut early":
            self.close_connection = True
            return
        if mood in ("503", "404", "307"):
            headers = {"Retry-After": "1", "Location": self.weather.location}
            self._answer(int(mood), b'{"title": "Service Unavailable"}', headers)
            return
        if len(body) // ENTRY > self.weather.records_max:
            self._answer(413, b"{}")
            return
        answer = json.dumps({"results": self.node.take(entries(body))}).encode()
        if mood == "cut":
            # All is kept, and nobody hears of it.
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        if mood == "slow":
            time.sleep(0.05)
        if mood == "garbage":
            answer = b"<html>captive portal</html>"
        if mood == "others":
            other = {"record": "00" * 32, "meter": "00" * 20, "sequence": 1}
            results = [{**other, "verdict": "accepted", "reason": None}]
            answer = json.dumps({"results": results}).encode()
        if mood == "forgetful":
            results = json.loads(answer)["results"]
            answer = json.dumps({"results": results[1::2] * 2}).encode()
        self._answer(200, answer)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, *_: object) -> None:
        """A connection that the other side dropped is what these tests are about."""


@contextmanager
def over_http(node: StubNode, port: int = 0) -> Iterator[tuple[str, Weather]]:
    """The node behind HTTP while inside; gives its address and the weather there."""
    weather, stopping = Weather(), threading.Event()
    handler = type("Handler", (_Handler,), {"node": node, "weather": weather, "stopping": stopping})
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", weather
    finally:
        stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class OverMqtt:
    """The node behind a broker; answers as often and in the order that it is told to."""

    def __init__(self, node: StubNode, port: int) -> None:
        self._node = node
        self.answer: Callable[[str, bytes], Iterable[tuple[str, bytes]]] = lambda *one: [one]
        """What is published for an answer: topic and payload, any number of times."""
        self.messages = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(0.05, 0.2)
        self._client.on_connect = lambda client, *_: client.subscribe(
            f"commonwatt/{COMMUNITY}/records/+", 1
        )
        self._client.on_message = self._take
        self._client.on_socket_open = lambda *words: words[-1].setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self.messages += 1
        results = self._node.take(entries(message.payload))
        topic = message.topic.replace("/records/", "/acks/")
        for one in self.answer(topic, json.dumps({"results": results}).encode()):
            client.publish(*one, qos=1)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()


def assert_once_and_in_order(records: list[Record], *, opening: Record) -> None:
    """Every record follows the one before, and no interval comes twice."""
    before = opening
    for record in records:
        assert record.sequence == before.sequence + 1
        assert record.time_end > before.time_end
        before = record
