"""Ctrl-C is one line; only of a demonstration it says how to go on, for nothing else does so."""

from pathlib import Path

import pytest

from commonwatt.cli import demo, main
from commonwatt.cli import meter as meter_command


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> str:
    """What a command line says that ends by Ctrl-C."""
    app = main.app
    with monkeypatch.context() as patch:
        patch.setattr(main, "app", lambda **options: app([*map(str, words)], **options))
        with pytest.raises(SystemExit) as ended:
            main.run()
    assert ended.value.code == 130
    return capsys.readouterr().err


def test_a_demonstration_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "run_demo", interrupt)
    begun = tmp_path / "my town"
    begun.mkdir()
    said = interrupted(monkeypatch, capsys, "demo", "--out", begun)
    assert said.endswith(f"commonwatt demo --resume '{begun}'\n")
    said = interrupted(monkeypatch, capsys, "demo", "--out", tmp_path / "not begun")
    assert said == "commonwatt: interrupted\n"


def test_any_other_command_only_says_that_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(meter_command, "run_keygen", interrupt)
    said = interrupted(monkeypatch, capsys, "meter", "keygen", tmp_path / "key")
    assert said == "commonwatt: interrupted\n"
