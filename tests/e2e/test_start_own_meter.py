"""The chapter about one's own meter, as somebody follows it: its commands, with real processes.

Only what differs from house to house is put in its place: where meter and broker are, the port,
the ledger. A P1 telegram and a Shelly's messages come over a socket and over Mosquitto. In the
short run the devices tell of the quarter of an hour before, faster than it passed; in the soak they
and everything else go by the machine's clock.
"""

import doctest
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from paho.mqtt import client as mqtt

from commandline import commonwatt
from commonwatt.meter.driver.p1 import crc16
from commonwatt.quantity import time_text
from mosquitto import Broker, running_mosquitto
from node.gateway.p1_device import telegram

ROOT = Path(__file__).parents[2]
CHAPTER = ROOT / "docs" / "start-own-meter.md"
VECTORS = ROOT.parent / "shared" / "vectors" / "dsmr.json"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLY = "shellypro3em-0cb815fd0123"
PLUG = "shellyplusplugs-c4d8d5510000"
START_S = 60.0


class Street:
    """Two devices that tell their registers, at a time that is given to them."""

    def __init__(self, begin: int, broker: Broker, *, is_live: bool) -> None:
        """Stand at a time until told to go; live devices go by the clock from the beginning."""
        self.begin = self.now = begin
        self.broker, self.is_live = broker, is_live
        self.going, self._stopping = threading.Event(), threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self.p1 = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        vectors = json.loads(VECTORS.read_text()) if VECTORS.is_file() else []
        texts = {one["id"]: one["telegram"] for one in vectors}
        self._genuine = texts.get("dsmr-telegram_v5")

    def __enter__(self) -> Self:
        self._mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._mqtt.connect("127.0.0.1", self.broker.port)
        self._mqtt.loop_start()
        self._threads = [
            threading.Thread(target=work) for work in (self._pass, self._port, self._plug)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._mqtt.disconnect()
        self._mqtt.loop_stop()
        self._server.close()

    def _pass(self) -> None:
        while not self._stopping.wait(0.1):
            if self.is_live:
                self.now = int(time.time())
            elif self.going.is_set():
                self.now = min(self.now + 20, int(time.time()))

    def _telegram(self) -> bytes:
        """What the house's meter says: it takes one watt-hour a second."""
        now, wh = self.now, 4_426 + self.now - self.begin
        if self._genuine is None:
            return telegram(now, wh * 1_000)
        stamp = datetime.fromtimestamp(now + 3_600, UTC)
        text = re.sub(r"(0-0:1\.0\.0)\(\w+\)", rf"\1({stamp:%y%m%d%H%M%S}W)", self._genuine)
        shown = f"{wh // 1_000:06d}.{wh % 1_000:03d}*kWh"
        text = re.sub(r"(1-0:1\.8\.1)\([^)]*\)", rf"\g<1>({shown})", text)
        body = text[: text.index("!") + 1].encode()
        return body + f"{crc16(body):04X}\r\n".encode()

    def _port(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            with client, suppress(OSError):
                client.sendall(self._telegram()[200:])  # it was in the middle of one
                while not self._stopping.wait(1.0 if self.is_live else 0.1):
                    client.sendall(self._telegram())

    def _plug(self) -> None:
        """What the flat's device says: it gives a fifth of that."""
        while not self._stopping.wait(20.0 if self.is_live and self.going.is_set() else 0.1):
            now, given = self.now + 7, round(906.1 + (self.now + 7 - self.begin) / 5, 3)
            if self.is_live:
                counts = {"aenergy": {"total": given + 300}, "ret_aenergy": {"total": given}}
                topic, said = f"{PLUG}/status/switch:0", {"id": 0, "output": True, **counts}
            else:
                energy = {"id": 0, "total_act": 300.0, "total_act_ret": given}
                event = {"ts": float(min(now, int(time.time()))), "emdata:0": energy}
                said = {"src": SHELLY, "method": "NotifyStatus", "params": event}
                topic = f"{SHELLY}/events/rpc"
            self._mqtt.publish(topic, json.dumps(said))


class Newcomer:
    """Somebody with the chapter in one hand."""

    def __init__(self, folder: Path, street: Street, interval_s: int) -> None:
        self.folder, self.street, self.interval_s = folder, street, interval_s
        beside = Path(sys.executable).parent
        if shutil.which("commonwatt", path=str(beside)) is None:
            pytest.skip("the command commonwatt is not installed beside this Python")
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.ledger, self.running = "", {}

    def mine(self, text: str) -> str:
        """A command or an answer with one's own addresses in it."""
        first = f"--yes --first-start {time_text(self.street.begin)}"
        to = f"--listen 127.0.0.1:{self.port}"
        wait = "--name flat --wait 1"
        own = {
            "127.0.0.1:8080": f"127.0.0.1:{self.port}",
            "/dev/ttyUSB0": self.street.p1,
            "mqtt://192.168.1.2:1883": self.street.broker.url,
            "--interval 300": f"--interval {self.interval_s}",
            "of 300 s": f"of {self.interval_s} s",
            ", 300 s": f", {self.interval_s} s",
            "LEDGER": self.ledger,
            "START": time_text(self.street.begin),
            "--yes": f"--yes {to}" if self.street.is_live else f"{first} {to}",
            "--name flat": wait if not self.street.is_live else "--name flat --wait 20",
        }
        for shown, meant in own.items():
            text = text.replace(shown, meant)
        return text

    def type(self, command: str) -> str:
        """Give a command and read its answer."""
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> None:
        """Give a command in a terminal of its own."""
        words = command.split()
        with (self.folder / f"{words[1]}.log").open("wb") as log:
            self.running[words[1]] = subprocess.Popen(
                [shutil.which(words[0], path=self.environment["PATH"]), *words[1:]],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def await_in_log(self, name: str, text: str, seconds: float = START_S) -> None:
        until = time.monotonic() + seconds
        while text not in self.log(name):
            assert self.running[name].poll() is None, self.log(name)
            assert time.monotonic() < until, self.log(name)
            time.sleep(0.1)

    def intervals(self) -> list[dict]:
        url = f"http://127.0.0.1:{self.port}/v1/communities/our-street/intervals"
        with suppress(URLError, OSError), urlopen(url, timeout=5) as answer:
            return json.load(answer)["items"]
        return []

    def await_settled(self, count: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while len(self.intervals()) < count:
            assert time.monotonic() < until, self.log("serve") + self.log("gateway")
            time.sleep(0.2)

    def stop(self) -> None:
        """Ctrl-C in both terminals."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.running.values():
            assert process.wait(timeout=60) == 0


@contextmanager
def following(folder: Path, interval_s: int, *, is_live: bool) -> Iterator[Newcomer]:
    now = int(time.time())
    begin = now - now % interval_s - (0 if is_live else 3 * interval_s)
    with (
        running_mosquitto() as broker,
        Street(begin, broker, is_live=is_live) as street,
    ):
        newcomer = Newcomer(folder, street, interval_s)
        try:
            yield newcomer
        finally:
            for process in newcomer.running.values():
                process.kill()
                process.wait()


def follow(newcomer: Newcomer, settled: int, seconds: float) -> dict[str, str]:
    """Do all that the chapter says, in its order; gives the answers by command."""
    answers: dict[str, str] = {}
    checker = doctest.OutputChecker()
    for kind, body in FENCE.findall(CHAPTER.read_text()):
        if kind == "sh" and body.startswith("commonwatt "):
            newcomer.start(newcomer.mine(body))
            if "serve" in body:
                newcomer.await_in_log("serve", "listening on")
            else:
                newcomer.await_in_log("gateway", "gateway_started")
                newcomer.street.going.set()
                newcomer.await_settled(settled, seconds)
        if kind != "console":
            continue
        for entry in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, expected = entry.partition("\n")
            if command.startswith("commonwatt audit"):
                newcomer.stop()
            if command.startswith("curl") and shutil.which("curl") is None:
                continue
            told = newcomer.type(newcomer.mine(command))
            want = newcomer.mine(expected)
            assert checker.check_output(want, told + "\n", doctest.ELLIPSIS) or (
                checker.check_output(want, told, doctest.ELLIPSIS)
            ), f"$ {command}\n{told}"
            answers[command] = told
            found = re.search(r"^ledger +(\w+)$", told, re.MULTILINE)
            newcomer.ledger = found[1] if found else newcomer.ledger
    return answers


def require_settled(newcomer: Newcomer, answers: dict[str, str], at_least: int) -> None:
    audit = next(told for command, told in answers.items() if " audit " in command)
    found = re.search(r"ok: (\d+) intervals and (\d+) records", audit)
    assert found is not None
    assert int(found[1]) >= at_least
    assert int(found[2]) >= 2 * at_least - 1
    assert " no_record " not in newcomer.log("gateway")


def test_the_chapter_leads_to_ones_own_readings_settled(tmp_path: Path) -> None:
    with following(tmp_path, 300, is_live=False) as newcomer:
        answers = follow(newcomer, settled=2, seconds=30)
        require_settled(newcomer, answers, at_least=2)
        told = answers["commonwatt verify mine.json"]
    assert "energy    300 Wh taken, 0 Wh given" in told
    assert "neighbours 59 Wh bought" in told, told
    assert "OVER_CAPACITY" not in newcomer.log("serve")


@pytest.mark.soak
def test_the_chapter_by_the_clock_of_the_wall(tmp_path: Path) -> None:
    """A telegram a second and a plug three times a minute, in intervals of a minute."""
    with following(tmp_path, 60, is_live=True) as newcomer:
        newcomer.street.begin = int(time.time()) // 60 * 60 + 60
        answers = follow(newcomer, settled=2, seconds=300)
        require_settled(newcomer, answers, at_least=2)


def test_what_is_tried_too_early_or_at_the_wrong_place_is_said_in_one_line(tmp_path: Path) -> None:
    made = commonwatt("init", tmp_path / "elm", "--yes")
    assert made.code == 0, made.err
    (tmp_path / "elm" / "elm" / "node").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        silent = commonwatt(
            "gateway", "init", tmp_path / "meters", "--source", "p1", "--at", nobody, "--community",
            "elm", "--ledger", "00" * 8, "--to", "http://127.0.0.1:9", "--wait", 1,
        )  # fmt: skip
    for answer, told in (
        (commonwatt("audit", tmp_path / "elm"), f"name a community in it, as {tmp_path}/elm/NAME"),
        (commonwatt("audit", tmp_path / "elm" / "elm"), "a node publishes once a day"),
        (silent, "no reading came (Connect call failed"),
    ):
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err.splitlines()[-1]


def test_no_command_of_the_chapter_is_left_out() -> None:
    kinds = {kind for kind, _ in FENCE.findall(CHAPTER.read_text())}
    assert kinds == {"sh", "console", "text"}
    for command in ("commonwatt serve our-street", "commonwatt gateway run meters"):
        assert f"```sh\n{command}\n```" in CHAPTER.read_text()
