"""The main job through the real command line."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commandline import Answer, anchors, commonwatt
from commonwatt.node.folder import PUBLISHED

VECTORS = Path(__file__).parents[1] / "vectors" / "days.json"
SHARED_HOMES = Path(__file__).parents[3] / "shared" / "data" / "citylearn2022_17homes_hourly.csv.gz"
PROMISED = {
    "scenario", "rule", "key", "participants", "meters", "intervals", "records", "rejected",
    "generation_wh", "consumption_wh", "exported_wh", "imported_wh", "local_wh",
    "certificates_issued_wh", "certificates_retired_wh", "certificates_stored_wh",
    "certificates_free_wh", "book_entries", "book_posted", "book_head", "paid_total",
    "transactions", "gas_total", "close_seconds_p50", "close_seconds_p99", "cpu_seconds",
    "peak_rss_mb", "root", "audit",
}  # fmt: skip


@pytest.mark.xdist_group("village")
def test_json_prints_one_object_with_every_promised_figure(village: tuple[Path, Answer]) -> None:
    _, answer = village
    summary = answer.json
    assert set(summary) >= PROMISED
    assert summary["audit"] == "ok"
    assert summary["participants"] == 13
    assert summary["records"] == summary["meters"] * summary["intervals"]


@pytest.mark.xdist_group("village")
def test_certificates_are_issued_once_and_never_beyond_sun_or_export(
    village: tuple[Path, Answer],
) -> None:
    summary = village[1].json
    issued, stored = summary["certificates_issued_wh"], summary["certificates_stored_wh"]
    left = summary["certificates_retired_wh"] + summary["certificates_free_wh"]
    assert issued == left + stored
    assert 0 < left <= min(summary["generation_wh"], summary["exported_wh"])
    assert 0 < stored <= summary["generation_wh"]
    assert summary["certificates_retired_wh"] <= summary["local_wh"]


def test_the_summary_for_a_person_ends_with_the_report(tmp_path: Path, street_file: Path) -> None:
    answer = commonwatt("demo", "--homes", street_file, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert re.search(r"^audit +ok$", answer.out, re.MULTILINE)
    report = re.search(r"^report +(\S+)$", answer.out, re.MULTILINE)
    assert report is not None
    page = Path(report[1]).read_text()
    assert "Home 01" in page
    assert "이웃" in page


def demo_of(street_file: Path) -> list[str]:
    return [sys.executable, "-m", "commonwatt.cli.main", "demo", "--homes", str(street_file)]


def run_in(folder: Path, street_file: Path) -> Answer:
    command = [*demo_of(street_file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_a_second_run_without_out_replaces_the_first_and_nothing_else(
    tmp_path: Path, street_file: Path
) -> None:
    first = run_in(tmp_path, street_file)
    thesis = tmp_path / "commonwatt-demo" / "thesis.txt"
    thesis.write_text("years of work")
    second = run_in(tmp_path, street_file)
    assert (first.code, second.code) == (0, 0), second.err
    assert first.json["root"] == second.json["root"]
    assert thesis.read_text() == "years of work"


def test_a_run_that_is_going_on_is_not_replaced(tmp_path: Path, street_file: Path) -> None:
    journal = tmp_path / "commonwatt-demo" / "node" / "chain.sqlite"
    with subprocess.Popen(
        demo_of(street_file), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as going:
        while not journal.exists() or not journal.stat().st_size:
            time.sleep(0.01)
        going.send_signal(signal.SIGSTOP)
        second = run_in(tmp_path, street_file)
        going.send_signal(signal.SIGCONT)
        said, _ = going.communicate(timeout=60)
    assert second.code == 2
    assert "open in another process" in second.err
    assert going.returncode == 0
    assert b"audit                 ok" in said


def test_records_in_another_order_in_another_process_give_the_same_roots(
    tmp_path: Path, street_run: Path
) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from commonwatt.node.demo import Demonstration\n"
        "from commonwatt.node.plan import load_plan, save_plan\n"
        "plan = load_plan(Path(sys.argv[1]))\nout = Path(sys.argv[2])\n"
        "save_plan(plan, out)\n"
        "Demonstration(plan, out).run(shuffled_by=2016)\n"
    )
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-c", program, street_run, other], check=True)
    assert anchors(other) == anchors(street_run)
    published = [p for top in PUBLISHED for p in (other / top).rglob("*.json*")]
    assert len(published) > 8
    for path in published:
        assert path.read_bytes() == (street_run / path.relative_to(other)).read_bytes()


QUICK_DAYS = {"suburb", "town_by_auction"}
"""The other rules' days are for the soak."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK_DAYS else pytest.mark.soak)
        for name in json.loads(VECTORS.read_text())
    ],
)
def test_reference_days_keep_their_roots(tmp_path: Path, name: str) -> None:
    day = json.loads(VECTORS.read_text())[name]
    # Files are named as they are beside the vectors.
    options = [VECTORS.parent / word if word.endswith(".toml") else word for word in day["options"]]
    answer = commonwatt("demo", *options, "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["audit"] == "ok"
    found = anchors(tmp_path / "run")
    assert {str(start): anchor for start, anchor in found.items()} == day["anchors"]


def test_seventeen_real_homes_trade_by_the_hour(tmp_path: Path) -> None:
    if not SHARED_HOMES.exists():
        pytest.skip("the 17 real homes are not beside this checkout")
    answer = commonwatt(
        "demo", "--homes", SHARED_HOMES, "--start", "2016-08-02", "--days", "1",
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    summary = answer.json
    assert (summary["participants"], summary["intervals"], summary["interval_s"]) == (17, 24, 3600)
    assert summary["audit"] == "ok"
    assert summary["local_wh"] > 0
