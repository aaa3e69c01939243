"""Bad input through the real command line: one line that says what, where and what to do."""

import gzip
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commandline import Answer, anchors, commonwatt

HEAD = "home,interval_start,load_kwh,pv_kwh\n"


def rows(*texts: str) -> bytes:
    return (HEAD + "\n".join(texts) + "\n").encode()


GOOD = [f"1,2016-06-21T{hour:02d}:00:00Z,0.5,0.1" for hour in range(24)]

FILES: dict[str, tuple[bytes, str]] = {
    "wrong columns": (b"home;start;load\n1;2;3\n", "column"),
    "empty": (b"", "empty"),
    "no rows": (HEAD.encode(), "row"),
    "not a number": (rows("1,2016-06-21T00:00:00Z,lots,0"), "lots"),
    "negative": (rows("1,2016-06-21T00:00:00Z,-0.5,0"), "-0.5"),
    "NaN": (rows("1,2016-06-21T00:00:00Z,nan,0"), "nan"),
    "a gap": (rows(*GOOD[:5], *GOOD[6:]), "2016-06-21T05"),
    "a duplicate": (rows(*GOOD[:5], GOOD[4], *GOOD[5:]), "2016-06-21T04"),
    "two lengths": (rows(*GOOD[:5], "1,2016-06-21T04:30:00Z,0.5,0.1", *GOOD[5:]), "1800 s"),
    "a clock change": (
        rows(*(f"1,2016-03-27T{h:02d}:00:00+0{1 if h < 2 else 2}:00,1,0" for h in range(24))),
        "2016-03-27",
    ),
    "no time zone": (rows("1,2016-06-21T00:00:00,0.5,0.1"), "2016-06-21T00:00:00"),
    "not text": (b"\xff\xfe\x00\x01" * 40, "homes.csv"),
    "too much energy": (rows("1,2016-06-21T00:00:00Z,1e30,0"), "1e30"),
}


def assert_one_line(answer: Answer, *words: object) -> None:
    assert answer.code == 2, (answer.code, answer.out, answer.err)
    lines = answer.err.strip().splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("commonwatt: ")
    assert "Traceback" not in answer.err
    for word in words:
        assert str(word) in lines[0], lines[0]


@pytest.mark.parametrize("fault", FILES)
def test_a_bad_homes_file_is_refused_before_anything_is_written(tmp_path: Path, fault: str) -> None:
    content, word = FILES[fault]
    path = tmp_path / "homes.csv"
    path.write_bytes(content)
    answer = commonwatt("demo", "--homes", path, "--out", tmp_path / "run")
    assert_one_line(answer, "homes.csv", word)
    assert not (tmp_path / "run").exists()


def test_a_missing_file_a_folder_and_a_false_gzip_are_named(tmp_path: Path) -> None:
    assert_one_line(commonwatt("demo", "--homes", tmp_path / "no.csv"), "no.csv")
    assert_one_line(commonwatt("demo", "--homes", tmp_path), tmp_path)
    false = tmp_path / "homes.csv.gz"
    false.write_bytes(rows(*GOOD))
    assert_one_line(commonwatt("demo", "--homes", false), "homes.csv.gz")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(rows(*GOOD))[:60])
    assert_one_line(commonwatt("demo", "--homes", cut), "cut.csv.gz")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--scenario", "metropolis"], ["metropolis", "village"]),
        (["--rule", "barter"], ["barter", "mid_market_rate"]),
        (["--rule", "fixed_price"], ["fixed_price needs a price"]),
        (["--rule", "hourly_minimum"], ["900 s", "3600 s"]),
        (["--rule", "static", "--market", "m.toml"], ["--rule", "--market", "two rules"]),
        (["--market", "nowhere.toml"], ["nowhere.toml", "cannot be read"]),
        (["--days", "0"], ["--days 0"]),
        (["--days", "two"], ["two"]),
        (["--days", "9999"], ["9999"]),
        (["--start", "midsummer"], ["midsummer"]),
        (["--start", "1999-01-01"], ["1999-01-01", "2016"]),
        (["--chain", "http://127.0.0.1:9"], ["--key"]),
        (["--key", "/tmp/key"], ["--chain"]),
        (["--resume", "/nowhere/at/all"], ["/nowhere/at/all"]),
        (["--resume", "/nowhere", "--rule", "uniform_price"], ["--resume"]),
        (["--resume", "/nowhere", "--market", "m.toml"], ["--resume"]),
        (["--homes", "homes.csv", "--scenario", "town"], ["--homes", "--scenario"]),
        (["--colour", "green"], ["--colour"]),
    ],
)
def test_bad_options_are_named(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    out = [] if "--resume" in words else ["--out", tmp_path / "run"]
    assert_one_line(commonwatt("demo", *words, *out), *expected)
    assert not (tmp_path / "run").exists()


def test_an_unreachable_chain_and_a_wrong_key_are_named(tmp_path: Path, street_file: Path) -> None:
    key = tmp_path / "operator.key"
    key.write_text("12" * 32)
    words = ("demo", "--homes", street_file, "--chain", "http://127.0.0.1:9", "--out")
    assert_one_line(commonwatt(*words, tmp_path / "a", "--key", key), "127.0.0.1:9")
    key.write_text("secret")
    answer = commonwatt(*words, tmp_path / "b", "--key", key)
    assert_one_line(answer, "operator.key", "64 hex digits")
    assert "secret" not in answer.err.replace("operator.key", "")
    assert_one_line(commonwatt(*words, tmp_path / "c", "--key", tmp_path / "no.key"), "no.key")


def test_what_somebody_keeps_is_never_written_over(tmp_path: Path, street_run: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work")
    assert_one_line(commonwatt("demo", "--out", kept), kept)
    assert (kept / "thesis.txt").read_text() == "years of work"
    assert_one_line(commonwatt("demo", "--out", street_run), "--resume")
    file = tmp_path / "file"
    file.write_text("x")
    assert_one_line(commonwatt("demo", "--out", file), file)


def test_a_run_that_died_at_its_first_file_can_be_begun_again(
    tmp_path: Path, street_file: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json.part").write_text("{")
    answer = commonwatt("demo", "--homes", street_file, "--out", run, "--json")
    assert (answer.code, answer.json["audit"]) == (0, "ok"), answer.err


def test_an_unwritable_directory_is_named() -> None:
    # Not even root can make a directory there.
    assert_one_line(commonwatt("demo", "--out", "/proc/run"), "/proc/run")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert_one_line(commonwatt("demo", "--out", tmp_path / "file" / "run"), "file")


@pytest.mark.parametrize("limit_kb", [24, 120, 700])
def test_a_full_disk_is_named_and_the_run_goes_on_afterwards(
    tmp_path: Path, street_file: Path, street_run: Path, limit_kb: int
) -> None:
    run = tmp_path / "run"
    answer = _with_limit(limit_kb, "demo", "--homes", street_file, "--out", run)
    assert_one_line(answer, str(tmp_path))
    words = ("--resume", run) if (run / "run.json").exists() else (
        "--homes", street_file, "--out", run,
    )  # fmt: skip
    again = commonwatt("demo", *words, "--json")
    assert again.code == 0, again.err
    assert anchors(run) == anchors(street_run)


def _with_limit(limit_kb: int, *words: object) -> Answer:
    """Run with a limit on the size of files: writing on fails as it does on a full disk."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kb * 1024, limit_kb * 1024))

    command = [sys.executable, "-m", "commonwatt.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        lambda path: ("audit", path),
        lambda path: ("audit", path / "nothing"),
        lambda path: ("proof", path, "--member", 0, "--at", "2016-06-21T12:00:00Z"),
        lambda path: ("proof", path, "--member", -1, "--at", "2016-06-21T12:00:00Z"),
        lambda path: ("proof", path, "--member", 0, "--at", "noon"),
        lambda path: ("anchor", path, "--at", "2016-06-21T12:00:00Z"),
        lambda path: ("anchor", path, "--at", "noon"),
        lambda path: ("verify", path),
        lambda path: ("meter", "verify", path),
        lambda path: ("meter", "keygen", path),
    ],
)
def test_every_other_command_names_what_it_cannot_use(
    tmp_path: Path, words: Callable[[Path], tuple[object, ...]]
) -> None:
    assert_one_line(commonwatt(*words(tmp_path)))


def test_a_reader_that_goes_away_is_no_error_of_ours(street_run: Path) -> None:
    command = f"{sys.executable} -m commonwatt.cli.main audit {street_run} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_an_interrupted_run_says_how_it_goes_on(tmp_path: Path, street_file: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "commonwatt.cli.main", "demo", "--homes", str(street_file)]
    with subprocess.Popen(
        [*command, "--out", str(run)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        while not (run / "node").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1].startswith("commonwatt: interrupted")
    assert "Traceback" not in said
