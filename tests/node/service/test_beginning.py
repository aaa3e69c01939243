"""What keeps a node from beginning is known before anything is founded or taken from another."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bed import SCENARIO, init, make_bed
from commonwatt.cli import serve
from commonwatt.cli.serve_workers import run_workers
from commonwatt.errors import InputError
from commonwatt.node.service.service import Service, ServiceUnusable
from commonwatt.node.service.sole import NodeBusy, alone_in
from commonwatt.web.api.settings import ApiFileUnusable
from commonwatt.web.listening import CannotListen, bound


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log and the signals stay the tests'."""
    monkeypatch.setattr(serve, "configure_logs", lambda *_, **__: None)
    monkeypatch.setattr(serve.signal, "signal", lambda *_: None)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 where somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bed(tmp_path / "bed", listen="127.0.0.1:0")


def refused(folder: Path, error: type[InputError]) -> str:
    """What `commonwatt serve` says to it; nothing has begun."""
    with pytest.raises(error) as found:
        serve.run_serve(folder, "info", as_json=False)
    assert not (folder / "commonwatt.sqlite").exists()
    assert not (folder / SCENARIO).exists()
    return str(found.value)


def test_a_second_process_in_the_directory_takes_nothing_from_the_first(folder: Path) -> None:
    with alone_in(folder):
        assert "another commonwatt serve works here" in refused(folder, NodeBusy)
        with pytest.raises(NodeBusy):
            run_workers(folder, "info", as_json=False, workers=1)
    with alone_in(folder):
        pass  # whoever has left lets others in


def test_where_the_port_is_taken_nothing_is_founded(tmp_path: Path, taken: int) -> None:
    folder = make_bed(tmp_path / "bed", listen=f"127.0.0.1:{taken}")
    assert refused(folder, CannotListen).startswith(f"127.0.0.1:{taken}: another program listens")


def test_a_port_of_the_last_worker_counts_as_well(tmp_path: Path, taken: int) -> None:
    folder = make_bed(tmp_path / "bed", listen=f"127.0.0.1:{taken - 1}")
    init(folder, name="mill")
    with pytest.raises(CannotListen, match=f"127.0.0.1:{taken}: "):
        run_workers(folder, "info", as_json=False, workers=2)


def test_settings_of_the_api_are_read_before_the_founding(folder: Path) -> None:
    (folder / "api.toml").write_text('operators = "x"\n')
    assert "operators" in refused(folder, ApiFileUnusable)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:8080: cannot be listened on"):  # noqa: SIM117
        with bound("192.0.2.1", 8080):
            pass


def test_a_community_without_meters_is_not_founded(tmp_path: Path) -> None:
    folder = tmp_path / "elm"
    init(folder)
    service = Service(folder)
    with pytest.raises(ServiceUnusable, match=f"commonwatt init {folder} --name elm --meter"):
        service.open()
    assert not (folder / "elm").exists()
    again = Service(folder)
    with pytest.raises(ServiceUnusable, match="no meter is in it"):
        again.open()  # the lease was given back
