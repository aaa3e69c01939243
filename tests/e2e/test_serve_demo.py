"""`commonwatt serve --demo`: a village on one machine, by one command."""

import json
import signal
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from commandline import commonwatt
from commonwatt.cli import serve_demo
from commonwatt.node.service.additions import places_of
from served import await_that, free_port, start


def test_a_village_is_made_served_heard_stopped_and_audited(tmp_path: Path) -> None:
    folder, log, port = tmp_path / "bed", tmp_path / "log", free_port()
    made = commonwatt(
        "init", folder, "--scenario", "village", "--days", serve_demo.DAYS, "--yes",
        "--listen", f"127.0.0.1:{port}",
    )  # fmt: skip
    assert made.code == 0, made.err
    process = start("serve", folder, "--demo", log=log)
    try:
        await_that(lambda: "closed so far" in log.read_text(), log.read_text, 60)
        place = f"http://127.0.0.1:{port}/v1/communities/village/intervals"

        def is_closing() -> bool:
            with urlopen(place, timeout=5) as answer:
                return len(json.load(answer)["items"]) >= 2

        await_that(is_closing, log.read_text, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    found = commonwatt("audit", folder / "village", "--certificates", "--json")
    assert found.code == 0, found.out + found.err
    assert found.json["intervals"] >= 2
    assert found.json["refused"] == 0


def test_a_new_directory_becomes_the_village(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_demo, "_answers", lambda *_: False)
    assert serve_demo._prepared(tmp_path / "bed") == ("127.0.0.1", 8080)
    assert list(places_of(tmp_path / "bed")) == ["village"]


def test_something_else_is_not_taken_for_the_village(tmp_path: Path) -> None:
    made = commonwatt("init", tmp_path / "own", "--name", "own", "--members", 2, "--yes")
    assert made.code == 0
    found = commonwatt("serve", tmp_path / "own", "--demo")
    assert (found.code, found.out) == (2, "")
    assert "keeps something else than the simulated village" in found.err
    found = commonwatt("serve", tmp_path / "bed", "--demo", "--workers", 2)
    assert (found.code, found.out) == (2, "")
    assert "leave --workers" in found.err


def test_an_address_where_somebody_answers_is_not_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        words = ("--scenario", "village", "--yes", "--listen", listen)
        assert commonwatt("init", tmp_path / "bed", *words).code == 0
        found = commonwatt("serve", tmp_path / "bed", "--demo")
    assert (found.code, found.out) == (2, "")
    assert f"{listen}: something answers there already" in found.err
