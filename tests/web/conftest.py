"""A neighbourhood with sums that add up, for the pages to show."""

from collections.abc import Callable
from math import cos, exp, pi
from random import Random

import pytest

from commonwatt.quantity import split_exactly
from commonwatt.web.report import MemberLine, ReportData, Text

RETAIL, FEED_IN, FEE_LOCAL, FEE_SUPPLIER = 30_000, 8_000, 3_000, 7_500
MIDSUMMER = 1_466_460_000
"""2016-06-20T22:00:00Z: midnight at UTC+2."""
QUARTER_S = 900
HOUR = 4
"""Quarters."""

MakeReport = Callable[..., ReportData]


class Household:
    """One participant while the neighbourhood is being simulated."""

    def __init__(self, index: int, chance: Random) -> None:
        """Decide what it has: every third a roof, every sixth a battery too."""
        self.name = f"Linden Street {index + 1}"
        self.roof_w = chance.randrange(4_000, 11_000) if index % 3 == 1 else 0
        self.battery_wh = 8_000 if index % 6 == 1 else 0
        self.base_w = chance.randrange(150, 500)
        self.charge_wh = 0
        self.sums = dict.fromkeys(
            ("made", "used", "bought", "sold", "grid_in", "grid_out", "green", "with", "without"), 0
        )

    @property
    def kind(self) -> str:
        """Its codes."""
        return "home" + "+sun" * bool(self.roof_w) + "+battery" * bool(self.battery_wh)

    def flows(self, hour: float, cloud: float, chance: Random) -> dict[str, int]:
        """Wh of one quarter hour, before anything is traded."""
        sun = max(0.0, cos((hour - 13.2) / 15.5 * pi)) ** 1.3 if 5 < hour < 21.5 else 0.0
        made = int(self.roof_w * 0.8 * sun * cloud / HOUR)
        shape = 1 + 1.6 * exp(-((hour - 7.5) ** 2) / 2) + 3.2 * exp(-((hour - 19.3) ** 2) / 5)
        kettle = 1_800 if chance.random() < 0.06 else 0
        used = int((self.base_w * shape * chance.uniform(0.7, 1.3) + kettle) / HOUR)
        own_sun = min(made, used)
        into = min(made - own_sun, self.battery_wh - self.charge_wh, 1_000)
        out = min(used - own_sun, self.charge_wh, 700)
        self.charge_wh += into - out
        self.sums["made"] += made
        self.sums["used"] += used
        self.sums["green"] += own_sun + out
        return {
            "own_sun": own_sun,
            "own_battery": out,
            "to_battery": into,
            "left": made - own_sun - into,
            "lacks": used - own_sun - out,
        }

    def settle(self, bought: int, lacks: int, sold: int, left: int, price: int) -> None:
        """Put one quarter hour on the bill."""
        sums = self.sums
        sums["bought"] += bought
        sums["grid_in"] += lacks - bought
        sums["sold"] += sold
        sums["grid_out"] += left - sold
        sums["green"] += bought
        supplier = (lacks - bought) * (RETAIL + FEE_SUPPLIER) - (left - sold) * FEED_IN
        sums["with"] += supplier + bought * (price + FEE_LOCAL) - sold * price
        sums["without"] += lacks * (RETAIL + FEE_SUPPLIER) - left * FEED_IN

    def line(self) -> MemberLine:
        """Its line in the report."""
        sums = self.sums
        return MemberLine(
            name=self.name,
            kind=self.kind,
            generation_wh=sums["made"],
            consumption_wh=sums["used"],
            bought_local_wh=sums["bought"],
            sold_local_wh=sums["sold"],
            bought_supplier_wh=sums["grid_in"],
            sold_supplier_wh=sums["grid_out"],
            green_wh=sums["green"],
            bill_with=sums["with"],
            bill_without=sums["without"],
            debt=0,
            certificates_issued_wh=sums["sold"] + sums["grid_out"],
            certificates_retired_wh=sums["sold"],
            certificates_stored_wh=0,
            certificates_free_wh=sums["grid_out"],
        )


def neighbourhood(
    *, members: int = 43, quarters: int = 96, seed: int = 7, **changes: object
) -> ReportData:
    """Simulate a neighbourhood; `changes` replace fields of the result."""
    chance = Random(seed)
    homes = [Household(index, chance) for index in range(members)]
    names = ("own_sun", "own_battery", "from_neighbours", "from_supplier")
    names += ("to_neighbours", "to_supplier", "to_battery", "price", "issued")
    series: dict[str, list[int]] = {name: [] for name in names}
    for quarter in range(quarters):
        cloud = 0.85 + 0.15 * chance.random() - 0.4 * (chance.random() < 0.1)
        flows = [home.flows(quarter % 96 / HOUR, cloud, chance) for home in homes]
        lacks, left = [f["lacks"] for f in flows], [f["left"] for f in flows]
        traded = min(sum(lacks), sum(left))
        scarce = traded * 1_000 // max(sum(left), 1)
        price = FEED_IN + (RETAIL - FEED_IN) * scarce // 1_000 // 10 * 10 if traded else 0
        bought, sold = split_exactly(traded, lacks), split_exactly(traded, left)
        for home, b, need, s, rest in zip(homes, bought, lacks, sold, left, strict=True):
            home.settle(b, need, s, rest, price)
        for name in ("own_sun", "own_battery", "to_battery"):
            series[name].append(sum(f[name] for f in flows))
        series["from_neighbours"].append(traded)
        series["from_supplier"].append(sum(lacks) - traded)
        series["to_neighbours"].append(traded)
        series["to_supplier"].append(sum(left) - traded)
        series["price"].append(price)
        series["issued"].append(sum(left))
    fields: dict[str, object] = {
        "title": Text(ko="이웃이 전기를 나눈 여름 하루", en="A summer day of shared electricity"),
        "scenario": Text(
            ko="독일 교외 주택가의 6월 하루입니다. 세 집 가운데 한 집에 태양광이 있습니다.",
            en="A day in June in a German suburb; every third home has a roof that makes power.",
        ),
        "source": Text(
            ko="하루치 부하 곡선은 시험용으로 만든 값입니다.",
            en="The load curves of this day are made up for a test.",
        ),
        "rule": Text(
            ko="15분마다 모든 거래에 하나의 가격", en="one price for all trades of a quarter hour"
        ),
        "currency": "EUR",
        "decimals": 8,
        "interval_s": QUARTER_S,
        "utc_offset_s": 7_200,
        "starts": tuple(MIDSUMMER + QUARTER_S * quarter for quarter in range(quarters)),
        **{f"{name}_wh": tuple(series[name]) for name in names[:7]},
        "local_price": tuple(series["price"]),
        "retail": RETAIL,
        "feed_in": FEED_IN,
        "fee_local": FEE_LOCAL,
        "fee_supplier": FEE_SUPPLIER,
        "certificates_issued_wh": tuple(series["issued"]),
        "certificates_retired_wh": tuple(series["to_neighbours"]),
        "certificates_stored_wh": (0,) * quarters,
        "certificates_free_wh": tuple(series["to_supplier"]),
        "members": tuple(home.line() for home in homes),
        "grace_s": 60,
        "close_seconds": tuple(0.08 + 0.09 * chance.random() for _ in range(quarters)),
        "audit": "ok",
        "transactions": quarters + 57,
        "gas_total": quarters * 121_345 + 3_000_000,
        "records": quarters * members,
        "rejected": 3,
        "root": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "chain": "embedded",
    }
    return ReportData(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """Make a run of any size: `make_report(members=1, quarters=4, audit="...")`."""
    return neighbourhood


@pytest.fixture(scope="session")
def suburb() -> ReportData:
    """A suburb's day: 43 participants, 96 quarter hours."""
    return neighbourhood()
