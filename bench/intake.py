"""A service's intake and close for a community of a thousand homes, without a chain."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from bench.figure import Figure, Section
from bench.meter import INTERVAL_S, Meter
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.acceptance import Accepted
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import NO_SOURCE, SOLAR_ROOFTOP, Registration, Role
from commonwatt.node.folder import Publisher
from commonwatt.node.lanes import LaneFunds, Payment
from commonwatt.node.pipeline import Node, Terms
from commonwatt.node.plan import EURO, TARIFF
from commonwatt.node.store import Store, file_url
from commonwatt.quantity import SECONDS_PER_DAY, Currency
from commonwatt.statement.community import ChainAddress, Community
from commonwatt.statement.header import anchor_of

HOMES, ROOFS, INTERVALS = 1_000, 300, 20
QUICK_INTERVALS = 4
START, GRACE_S = 1_466_510_400, 60
RECORDS_MIN = 7_000
CLOSE_S_MAX = 2.0
LANE = EURO.amount("100")
CHAIN = ChainAddress(31_337, *(bytes([n]) * 20 for n in range(1, 7)))


class Lanes:
    """A chain that agrees with everything."""

    def __init__(self) -> None:
        self._funds = LaneFunds(HOMES + 1, (LANE,) * HOMES, 1_000 * LANE)

    def funds(self, known: LaneFunds | None) -> LaneFunds:
        """Always the same."""
        return known or self._funds

    def pay(self, header: bytes, _deltas: Sequence[bytes]) -> Payment:
        """Whatever it is."""
        return Payment(anchor_of(header), 0)

    def paid(self, _start: int, _anchor: bytes) -> None:
        """Nothing was paid without our knowing."""


class Registered(Meter):
    """A meter of one of the homes."""

    def __init__(self, name: str, member: int, role: Role, step: tuple[int, int]) -> None:
        """Register it with its member."""
        super().__init__(name, CHAIN.ledger, step, START)
        self.registration = Registration(
            public_key=self.key.public_key,
            member=member,
            role=role,
            source=SOLAR_ROOFTOP if role is Role.GENERATION else NO_SOURCE,
            rated_w=30_000,
            first_day=START // SECONDS_PER_DAY,
            zone="DE-LU",
            direct=False,
            opening=self.opening,
        )


def main(*, quick: bool) -> list[Section]:
    """Rates of the intake, times of the close."""
    intervals = QUICK_INTERVALS if quick else INTERVALS
    meters = [
        Registered(f"grid {n}", n, Role.GRID, (0, 600_000) if n < ROOFS else (300_000, 0))
        for n in range(HOMES)
    ]
    meters += [Registered(f"roof {n}", n, Role.GENERATION, (0, 800_000)) for n in range(ROOFS)]
    batches = [
        [meter.sign(START + (n + 1) * INTERVAL_S) for meter in meters] for n in range(intervals)
    ]
    with tempfile.TemporaryDirectory(prefix="commonwatt-bench-") as folder:
        rates, closes = _run(Path(folder), _community(meters), batches)
    meant = f"{HOMES:,} homes, {ROOFS} roofs, {intervals} intervals"
    return [
        Section(
            f"intake and close of {meant}",
            (
                Figure(
                    name="records_per_cpu_second",
                    what="records judged and on the disk",
                    unit="/ CPU s",
                    target=RECORDS_MIN,
                    at_least=True,
                    runs=tuple(rates),
                    digits=0,
                ),
                Figure(
                    name="close_of_a_thousand_p99_seconds",
                    what="close without chain, 99 of 100 within",
                    unit="s",
                    target=CLOSE_S_MAX,
                    runs=(sorted(closes)[len(closes) * 99 // 100],),
                    digits=2,
                ),
            ),
        )
    ]


def _community(meters: Sequence[Registered]) -> Community:
    return Community(
        chain=CHAIN,
        currency=Currency(),
        interval_s=INTERVAL_S,
        grace_s=GRACE_S,
        market=MarketSettings(),
        accounts=tuple(sha256(b"account %d" % n).digest()[:20] for n in range(HOMES)),
        registrations=tuple(meter.registration for meter in meters),
        supplier=b"S" * 20,
        grid_operator=b"G" * 20,
        first_start=START,
    )


def _run(
    folder: Path, community: Community, batches: Sequence[Sequence[SignedRecord]]
) -> tuple[list[float], list[float]]:
    store = Store(file_url(folder / "node.sqlite"))
    node = Node(
        community,
        b"secret",
        database=store.database(bytes(20)),
        treasury=Lanes(),
        publisher=Publisher(folder),
        now=lambda: START + SECONDS_PER_DAY,
    )
    rates, closes = [], []
    for batch in batches:
        began = time.process_time()
        verdicts = node.receive(batch)
        rates.append(len(batch) / (time.process_time() - began))
        if not all(isinstance(verdict, Accepted) for verdict in verdicts):
            raise ValueError("a record was not accepted")
        began = time.perf_counter()
        node.close(Terms(TARIFF))
        closes.append(time.perf_counter() - began)
    store.close()
    return rates, closes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.intake", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer intervals")
    sys.stdout.buffer.write(msgspec.json.encode(main(quick=parser.parse_args().quick)))
