"""A small street's demonstration by every rule, every key, and a market of its own."""

import json
from pathlib import Path

import pytest

from commandline import Answer, commonwatt
from commonwatt.market.catalogue import RULES
from commonwatt.market.keys import KEYS

NAMES = sorted({*RULES, *KEYS} - {"fixed_price"})
"""What `--rule` takes; a fixed price needs a file that says which."""
HOMES, INTERVALS = 4, 6


def homes_file(path: Path, minutes: int) -> Path:
    """One roof: more than all need at first, then less than that."""
    lines = ["home,interval_start,load_kwh,pv_kwh"]
    for home in range(HOMES):
        for index in range(INTERVALS):
            hour, minute = divmod(12 * 60 + index * minutes, 60)
            sun = 0.0 if home else 1.6 - 0.25 * index
            when = f"2016-06-21T{hour:02d}:{minute:02d}:00Z"
            lines.append(f"{home + 1},{when},{0.1 + 0.15 * home:.2f},{sun:.2f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return homes_file(tmp_path_factory.mktemp("homes") / "quarters.csv", 15)


@pytest.fixture(scope="session")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return homes_file(tmp_path_factory.mktemp("homes") / "hours.csv", 60)


@pytest.mark.parametrize("name", NAMES)
def test_a_day_by_any_rule_or_key_is_settled_and_audited(
    tmp_path: Path, quarters: Path, hours: Path, name: str
) -> None:
    homes = hours if name == "hourly_minimum" else quarters
    answer = commonwatt(
        "demo", "--homes", homes, "--rule", name, "--out", tmp_path / "run", "--json"
    )
    assert answer.code == 0, answer.err
    summary = answer.json
    assert summary["audit"] == "ok"
    assert 0 < summary["local_wh"] <= summary["imported_wh"]
    assert summary["rule"] == (name if name in RULES else "mid_market_rate")
    auction = name in RULES and RULES[name].needs_limits
    assert summary["key"] == (None if auction else name if name in KEYS else "dynamic")
    assert "Home" in (tmp_path / "run" / "report.html").read_text()


SHARED = """
rule = "fixed_price"
price = "0.15"
key = "static"

[grid]
levels = [{ name = "building", fee = "0.005" }, { name = "transformer", reduction_percent = 57 }]
windows = [{ start = "12:30", end = "13:00", factor_percent = 80 }]

[[contracts]]
seller = 0
buyer = 3
price = "0.12"
start = "2016-06-21T12:15:00Z"
end = "2016-06-21T13:15:00Z"
volume_wh = 50

[[members]]
member = 0
place = ["north", "one"]
participation_percent = 90

[[members]]
member = 1
place = ["north", "one"]
share = "0.2"

[[members]]
member = 2
place = ["north", "two"]
share = "0.3"

[[members]]
member = 3
place = ["south", "one"]
share = "0.4"
"""
BID_FOR = """
rule = "pay_as_bid"
split = "0.3"
building_level = "building"

[grid]
levels = [{ name = "building", fee = "0.005" }, { name = "transformer", reduction_percent = 57 }]

[[contracts]]
seller = 0
buyer = 3
price = "0.12"
start = "2016-06-21T12:15:00Z"
end = "2016-06-21T13:15:00Z"
share = "0.1"

[[members]]
member = 0
place = ["north", "one"]
sells = "green"

[[members]]
member = 1
place = ["north", "one"]

[[members]]
member = 2
place = ["north", "two"]
quality = "green"
premium = "0.02"

[[members]]
member = 3
place = ["south", "one"]
partners = [0]
takes_rest = false
"""
MARKETS = {"shared": SHARED, "bid for": BID_FOR}


def demo(homes: Path, market: str, folder: Path) -> Answer:
    file = folder / "market.toml"
    file.write_text(market)
    return commonwatt(
        "demo", "--homes", homes, "--market", file, "--out", folder / "run", "--json"
    )  # fmt: skip


@pytest.mark.parametrize("name", MARKETS)
def test_a_market_of_ones_own_is_published_gone_on_with_and_audited(
    tmp_path: Path, quarters: Path, name: str
) -> None:
    answer = demo(quarters, MARKETS[name], tmp_path)
    assert answer.code == 0, answer.err
    assert answer.json["audit"] == "ok"
    assert answer.json["local_wh"] > 0
    run = tmp_path / "run"
    published = json.loads((run / "audit" / "market.json").read_text())
    assert published["contracts"][0]["buyer"] == 3
    assert [member["place"][0] for member in published["members"]] == ["north"] * 3 + ["south"]
    # What was run is written down with the run: the file may change, or go, afterwards.
    (tmp_path / "market.toml").unlink()
    again = commonwatt("demo", "--resume", run, "--json")
    assert (again.code, again.json["root"]) == (0, answer.json["root"]), again.err
    path = run / "audit" / "market.json"
    path.write_bytes(path.read_bytes().replace(b'"0.12"', b'"0.13"'))
    audited = commonwatt("audit", run)
    assert audited.code == 1
    assert audited.out.startswith("different: public/community.json: does not name these files")


@pytest.mark.parametrize(
    ("market", "why"),
    [
        ('rule = "fixed_price"', "fixed_price needs a price"),
        ('key = "hourly_minimum"', "use intervals of 3600 s"),
        ("[[members]]\nmember = 4", "settings for member 4: there are members 0 to 3"),
        ('colour = "green"', "unknown field `colour`; see docs/market.md"),
        ("rule", "market.toml: not TOML"),
    ],
)
def test_a_market_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, quarters: Path, market: str, why: str
) -> None:
    answer = demo(quarters, market, tmp_path)
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert why in line
    assert not (tmp_path / "run").exists()
