"""A child: the gas of closing and claiming, exact on every machine, and the contracts' sizes.

Prints the sections as JSON.
"""

import json
import random
import sys
import time

import msgspec

from bench.community import FIRST_START, Closer, found
from bench.figure import Figure, Section, median_of
from commonwatt.audit.facts import RegisteredMeter
from commonwatt.certificate.issue import Certificate
from commonwatt.chain.abi import ARTEFACTS, CONTRACTS
from commonwatt.chain.connection import Account
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import RUN_MAX, Production
from commonwatt.merkle import Tree
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Kind, Quality, Record, SignedRecord
from commonwatt.meter.registration import SOLAR_ROOFTOP, Role
from commonwatt.statement.header import SectionRoot, seal_of

CLOSES = 5
CLOSE_EACH_GAS_MAX, CLOSE_TOTAL_GAS_MAX = 1_080, 120_000
LARGE, SMALL = 1_000, 43
CLAIM_GAS_MAX, CLAIM_RUN_EACH_GAS_MAX = 110_000, 40_000
LEAVES, CLAIMS, CLAIM_RUNS = 64, 12, 2
CONTRACT_BYTES_MAX = 24_576
"""EIP-170: no chain takes a larger one."""

RATED_W, MOST_MADE_WH = 10_000, 2_500
SECONDS_PER_DAY = 86_400
LEAF_BYTES = 76


def main() -> list[Section]:
    """All of it."""
    return [
        Section(
            "gas of close: anchor a statement and pay everybody, random amounts, steady state",
            (_close_large(), _close_small()),
        ),
        Section(
            f"gas of claim: free units become tokens; trees of {LEAVES} certificates",
            (*_claims(),),
        ),
        Section("contracts, as deployed", tuple(map(_size, CONTRACTS))),
    ]


def _close_gas(members: int) -> tuple[list[float], float]:
    """Gas of each of a few closes, after the first two; and the CPU seconds of all."""
    began = time.process_time()
    with EmbeddedChain() as chain:
        closer = Closer(*found(chain, members))
        closer.advance()
        closer.close()  # the grid operator's lane is above zero from here on
        gas = [float(closer.close()[1].gas_used) for _ in range(CLOSES)]
    return gas, time.process_time() - began


def _close_large() -> Figure:
    gas, seconds = _close_gas(LARGE)
    return Figure(
        name="close_gas_each_large",
        what=f"close, {LARGE:,} participants, for each",
        unit="gas",
        target=CLOSE_EACH_GAS_MAX,
        digits=0,
        cpu_seconds=seconds,
        **median_of(gas, lambda total: total / LARGE),
    )


def _close_small() -> Figure:
    gas, seconds = _close_gas(SMALL)
    return Figure(
        name="close_gas_small",
        what=f"close, {SMALL} participants, in total",
        unit="gas",
        target=CLOSE_TOTAL_GAS_MAX,
        digits=0,
        cpu_seconds=seconds,
        **median_of(gas),
    )


class Generator:
    """A roof that signs, is certified among 63 others, and remembers what claims need."""

    def __init__(self, ledger: Ledger, account: Account) -> None:
        """Install it at the first member's house."""
        self._ledger = ledger
        self._random = random.Random(0)  # noqa: S311 - amounts, not secrets
        self._key = MeterKey.from_seed(b"bench/roof")
        self._time_end, self._sequence, self._export_mwh = FIRST_START, 0, 1_234_567_890
        self.signed = [self._sign(NO_PREVIOUS)]
        self.productions: list[Production] = []
        meter = RegisteredMeter(
            public_key=self._key.public_key,
            member=0,
            role=Role.GENERATION,
            source=SOLAR_ROOFTOP,
            rated_w=RATED_W,
            first_day=FIRST_START // SECONDS_PER_DAY,
            zone=b"DE-LU".ljust(16, b"\0"),
            direct=False,
            opening=self.signed[0].digest,
        )
        ledger.register_meters([meter], operator=account, issuer=account)

    def produce(self, closer: Closer) -> None:
        """Sign one interval and have it closed."""
        draw = self._random
        made_wh = draw.randrange(2, MOST_MADE_WH)
        retired_wh = draw.randrange(made_wh)
        self._sequence += 1
        self._time_end += closer.duration
        self._export_mwh += made_wh * 1_000
        signed = self._sign(self.signed[-1].digest)
        leaf = Certificate(
            self._key.meter, 0, made_wh, retired_wh, made_wh - retired_wh, signed.digest
        )
        leaves = [draw.randbytes(LEAF_BYTES) for _ in range(LEAVES)]
        index = draw.randrange(LEAVES)
        leaves[index] = leaf.encode()
        tree = Tree(leaves)
        header, _ = closer.close(SectionRoot(tree.size, tree.root))
        self.signed.append(signed)
        self.productions.append(
            Production(
                record=signed.record,
                seal=seal_of(header),
                index=index,
                path=tuple(tree.path(index)),
                issued_wh=made_wh,
                free_wh=made_wh - retired_wh,
            )
        )

    def _sign(self, previous: bytes) -> SignedRecord:
        record = Record(
            version=1,
            kind=Kind.REGISTERS,
            quality=Quality.MEASURED,
            ledger=self._ledger.ledger_id,
            meter=self._key.meter,
            sequence=self._sequence,
            time_end=self._time_end,
            duration=900,
            import_mwh=self._random.randrange(10**9),
            export_mwh=self._export_mwh,
            previous=previous,
        )
        return self._key.sign(record.encode())


def _claims() -> list[Figure]:
    """Some intervals claimed one by one, then runs of them."""
    began = time.process_time()
    with EmbeddedChain() as chain:
        ledger, account = found(chain, 1)
        roof = Generator(ledger, account)
        closer = Closer(ledger, account)
        closer.start = FIRST_START
        for _ in range(CLAIMS + CLAIM_RUNS * RUN_MAX):
            roof.produce(closer)
        single = [
            ledger.claim(
                account, roof.signed[at].record, roof.productions[at], roof.signed[at + 1].signature
            ).gas_used
            for at in range(CLAIMS)
        ]
        runs = []
        for at in range(CLAIMS, len(roof.productions), RUN_MAX):
            steps, last = roof.productions[at : at + RUN_MAX], roof.signed[at + RUN_MAX]
            receipt = ledger.claim_run(account, roof.signed[at].record, steps, last.signature)
            runs.append(receipt.gas_used / RUN_MAX)
    seconds = time.process_time() - began
    return [
        Figure(
            name="claim_gas",
            what="claim of one interval",
            unit="gas",
            target=CLAIM_GAS_MAX,
            digits=0,
            cpu_seconds=seconds,
            **median_of(single),
        ),
        Figure(
            name="claim_run_gas_each",
            what=f"claim_run of {RUN_MAX} intervals, for each",
            unit="gas",
            target=CLAIM_RUN_EACH_GAS_MAX,
            digits=0,
            **median_of(runs),
        ),
    ]


def _size(name: str) -> Figure:
    artefact = json.loads((ARTEFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return Figure(
        name=f"{name.lower()}_bytes",
        what=f"{name}",
        unit="bytes",
        value=artefact["runtime_bytes"],
        target=CONTRACT_BYTES_MAX,
        digits=0,
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main()))
